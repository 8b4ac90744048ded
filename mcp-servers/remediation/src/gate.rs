//! From a call to an act: the checks, in their order.
//!
//! a place → fetch permit → verify → the turn → verify → kill switch → catalog, protected, bounds → read the target again → policy
//! once more, on what was read → the runbook's contract, and what any contract forbids → compare with
//! what was approved → still stands at the desk → not expired meanwhile → spend → act once → record →
//! tell the desk. Each step needs what the one before it gave; acting needs an `Authorised`, which only
//! the comparison gives. A call without a permit files a request and ends as refused.

use std::sync::Arc;

use midwatch_mcp::{Ctx, ErrorKind, Principal, ToolError};
use midwatch_policy::{
    Action, Attested, Authorised, Demand, Outcome as Known, PermitError, PermitId, PublicKeys, Service,
    verify,
};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    act::{self, Call},
    asked,
    asks::Asks,
    flights::{Flight, Flights, Presented},
    grounds::Grounds,
    kill_switch::KillSwitch,
    noted::{known, noted, withdrawn},
    permits::{Offer, PermitSource},
    plan::{Planned, plan, within_bounds},
    policy, read,
    receipt::{Obstacle, Outcome, Receipt, Refused, Stop},
    spend::{Ending, Limits, SpendError, SpendStore},
    tell,
};

/// What the gate is built from.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Its catalog is the one that `grounds` has now: see [`Gate::now`].
    pub(crate) ctx: Ctx,
    pub(crate) audience: String,
    pub(crate) source: Option<Arc<dyn PermitSource>>,
    pub(crate) grounds: Grounds,
    pub(crate) spend: SpendStore,
    pub(crate) kill_switch: KillSwitch,
    pub(crate) limits: Limits,
    pub(crate) acting_role: Option<String>,
    /// One act at a time: the second of two permits for one target then sees the first one's work.
    pub(crate) turn: Semaphore,
    /// How often callers asked without a permit.
    pub(crate) asks: Asks,
    /// How many calls of each caller are under way.
    pub(crate) flights: Flights,
    /// Permits that are not looked at again.
    pub(crate) presented: Presented,
}

/// An action that passed every check. The turn and the caller's place are held until the act is recorded.
struct Passed<'a> {
    authorised: Authorised,
    service: Service,
    planned: Planned,
    turn: SemaphorePermit<'a>,
    place: Flight<'a>,
}

impl Gate {
    /// AWS and clock, with the catalog as it is now: read once for a call, so that all of it is of one
    /// catalog.
    pub(crate) fn now(&self) -> Result<Ctx, String> {
        Ok(self.ctx.with_catalog(self.grounds.catalog()?))
    }

    /// Plans an action on live state.
    pub(crate) async fn plan(
        &self,
        ctx: &Ctx,
        action: &Action,
        service: &Service,
    ) -> Result<Planned, ToolError> {
        let live = Box::pin(read::live(ctx, service, action)).await?;
        let planned = plan(action, service, &live)?;
        read::usable(ctx, service, &planned).await?;
        Ok(planned)
    }

    /// What policy is asked with, on what was just read.
    pub(crate) fn facts(&self, service: &Service, planned: &Planned) -> Result<Attested, ToolError> {
        let now = self.ctx.clock.now();
        if let Err(error) = self.spend.see(now) {
            tracing::warn!(%error, "the time could not be noted");
        }
        self.grounds.facts(&self.spend, service, planned, now).map_err(|why| {
            ToolError::refused(
                why,
                "an operator mends the file or the store; nothing is planned on what is not known",
            )
        })
    }

    /// Takes an action through every check, and carries it out if all hold.
    pub(crate) async fn pass(self: &Arc<Self>, caller: &Principal, action: Action) -> Receipt {
        let mut permit = None;
        match Box::pin(self.checked(caller, &action, &mut permit)).await {
            Ok(passed) => Box::pin(self.act(passed)).await,
            Err(stop) => {
                let (kind, message) = (stop.reason.kind, &stop.reason.message);
                tracing::info!(%action, caller = caller.name(), ?kind, message, "a change was refused");
                Receipt::refused(stop, permit)
            }
        }
    }

    async fn checked(
        &self,
        caller: &Principal,
        action: &Action,
        permit: &mut Option<String>,
    ) -> Result<Passed<'_>, Stop> {
        let source = self.desk()?;
        self.keys()?;
        let place = self.flights.begin(caller.name()).ok_or_else(|| asked::busy(caller.name()))?;
        let offer = match source.permit_for(caller.name(), action).await {
            Ok(Some(offer)) => offer,
            Ok(None) => return Err(self.ask(source, caller, action).await),
            Err(error) => return Err(asked::turned_down(error).into()),
        };
        // What is of no use takes nobody's turn.
        let first = self.verified(caller, action, &offer)?;
        *permit = Some(first.claims().permit.to_string());
        // What was done stays done, whatever the target looks like since.
        let unspent = self.spend.unspent(&first.claims().permit);
        unspent.map_err(|error| self.not_spent(source, &first.claims().permit, &error))?;
        self.not_stopped()?;
        let (token, ends) = (offer.token.as_str(), first.claims().expires);
        self.presented.look(token, ends, self.ctx.clock.now()).map_err(asked::useless)?;
        let ending = || Refused::new(Obstacle::KillSwitch, "the server is shutting down");
        let turn = tokio::select! {
            biased;
            () = self.ctx.work.is_cut_off() => return Err(ending().into()),
            turn = self.turn.acquire() => turn.map_err(|_| ending())?,
        };
        self.presented.stands(token).map_err(asked::useless)?;
        let verified = self.verified(caller, action, &offer)?;
        let ctx = self.now().map_err(unknown)?;
        let service = self.allowed(&ctx, action)?;
        let planned = match self.plan(&ctx, action, service).await {
            Ok(planned) => planned,
            Err(error) => {
                let refused = Refused::new(Obstacle::Stale, format!("{}; {}", error.message, error.mend));
                // It makes no sense any more. What could not be read may be as it was approved.
                let over =
                    matches!(error.kind, ErrorKind::Refused | ErrorKind::NotFound | ErrorKind::Invalid);
                return Err(if over {
                    self.over(source, &offer, turn, refused).await
                } else {
                    refused.into()
                });
            }
        };
        let facts =
            self.facts(service, &planned).map_err(|error| Refused::new(Obstacle::Policy, error.message))?;
        let rules = self.grounds.rules().map_err(|why| Refused::new(Obstacle::Policy, why))?;
        let claims = verified.claims();
        let granted = (claims.approvers.as_slice(), claims.claimed.as_ref());
        if let Some(why) = policy::objection(&rules, caller, action, service, facts, granted) {
            return Err(Refused::new(Obstacle::Policy, why).into());
        }
        self.grounds
            .contract(verified.claims(), &planned.plan, &facts)
            .map_err(|why| Refused::new(Obstacle::Contract, why))?;
        let authorised = match verified.against(&planned.plan.terms) {
            Ok(authorised) => authorised,
            Err(error) => return Err(self.over(source, &offer, turn, Refused::from(&error)).await),
        };
        self.still_stands(source, &authorised).await?;
        self.spent(source, &authorised)?;
        Ok(Passed { authorised, service: service.clone(), planned, turn, place })
    }

    /// What was approved is not what is there: the permit is void from now on, here and at the desk.
    async fn over(
        &self,
        source: &Arc<dyn PermitSource>,
        offer: &Offer,
        turn: SemaphorePermit<'_>,
        refused: Refused,
    ) -> Stop {
        self.presented.stale(&offer.token, &refused.message);
        drop(turn);
        withdrawn(&**source, &offer.request, &refused.message).await;
        refused.into()
    }

    fn desk(&self) -> Result<&Arc<dyn PermitSource>, Refused> {
        self.source.as_ref().ok_or_else(|| {
            Refused::new(Obstacle::NoKeys, format!("no desk is connected that could permit this: {SET_UP}"))
        })
    }

    fn keys(&self) -> Result<Arc<PublicKeys>, Refused> {
        let keys = self.grounds.keys().map_err(|why| {
            Refused::new(Obstacle::NoKeys, format!("the approvers' keys cannot be used: {why}: {SET_UP}"))
        })?;
        if keys.is_empty() {
            let message = format!("no approver's key is accepted: {SET_UP}");
            return Err(Refused::new(Obstacle::NoKeys, message));
        }
        Ok(keys)
    }

    /// Files a request for a caller without a permit, unless nobody could approve it anyway.
    async fn ask(&self, source: &Arc<dyn PermitSource>, caller: &Principal, action: &Action) -> Stop {
        let allowed = self.now().map_err(unknown).and_then(|ctx| self.allowed(&ctx, action).map(drop));
        if let Err(reason) = allowed {
            return reason.into();
        }
        let most = self.limits.asks_per_caller_and_hour;
        let counted = match self.asks.count(caller.name(), self.ctx.clock.now(), most) {
            Ok(counted) => counted,
            Err(since) => return asked::too_often(caller.name(), most, since).into(),
        };
        let answer = source.ask(caller.name(), action).await;
        if let Ok(view) = &answer {
            self.asks.answered(caller.name(), &counted, &view.shown.request);
        }
        asked::refusal(answer, (caller.name(), &self.audience), action)
    }

    /// Every claim of the permit against what is about to be done, by the keys accepted now.
    fn verified(
        &self,
        caller: &Principal,
        action: &Action,
        offer: &Offer,
    ) -> Result<midwatch_policy::VerifiedPermit, Refused> {
        let demand = Demand {
            subject: caller.name(),
            audience: &self.audience,
            request: &offer.request,
            incident: None,
            action,
            now: self.ctx.clock.now(),
        };
        let keys = self.keys()?;
        verify(&offer.token, &keys, &demand).map_err(|error| Refused::from(&error))
    }

    /// What no approval changes: the kill switch, protection, bounds.
    fn allowed<'a>(&self, ctx: &'a Ctx, action: &Action) -> Result<&'a Service, Refused> {
        self.not_stopped()?;
        let policy = |message: String| Refused::new(Obstacle::Policy, message);
        let service = ctx
            .catalog
            .get(action.service())
            .ok_or_else(|| policy(format!("`{}` is not in the catalog", action.service())))?;
        if service.protected {
            return Err(policy(format!("`{}` is protected in the catalog", service.name)));
        }
        if let Action::ScaleService { desired_count, .. } = action {
            // In the words of `plan`.
            within_bounds(service, *desired_count)
                .map_err(|refusal| policy(refusal.to_string()).mended(refusal.mend()))?;
        }
        Ok(service)
    }

    fn not_stopped(&self) -> Result<(), Refused> {
        self.kill_switch.engaged().map_or(Ok(()), |why| Err(Refused::new(Obstacle::KillSwitch, why)))
    }

    /// The desk's last word, just before spending. No answer is a no.
    async fn still_stands(
        &self,
        source: &Arc<dyn PermitSource>,
        authorised: &Authorised,
    ) -> Result<(), Refused> {
        let store = self.spend.id().map_err(|error| Refused::from(&error))?;
        match source.stands(authorised.permit(), &store).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refused::new(
                Obstacle::Withdrawn,
                "the permit stands no longer: it was used, revoked or withdrawn, a person holds the incident, or \
                 another record of spent permits is the one it may be spent in",
            )),
            Err(error) => Err(asked::turned_down(error)),
        }
    }

    /// Reading and asking took time: what was stopped or expired meanwhile is so. Then the permit is
    /// spent, on disk.
    fn spent(&self, source: &Arc<dyn PermitSource>, authorised: &Authorised) -> Result<(), Refused> {
        self.not_stopped()?;
        let now = self.ctx.clock.now();
        if now >= authorised.claims().expires {
            return Err(Refused::from(&PermitError::Expired(authorised.claims().expires)));
        }
        let spent = self.spend.spend(authorised, now, self.limits);
        spent.map_err(|error| self.not_spent(source, authorised.permit(), &error))
    }

    /// The desk has heard what came of a permit.
    pub(crate) fn heard(&self, permit: &PermitId) {
        if let Err(error) = self.spend.told(permit) {
            tracing::warn!(%error, %permit, "the desk will be told once more");
        }
    }

    /// Why a permit was not spent.
    fn not_spent(&self, source: &Arc<dyn PermitSource>, permit: &PermitId, error: &SpendError) -> Refused {
        if let SpendError::Spent { state, .. } = error {
            // The desk still offers it, so it has missed what came of it.
            let (source, permit, outcome) = (Arc::clone(source), permit.clone(), known(state));
            drop(self.ctx.work.spawn(async move { noted(&*source, &permit, outcome).await }));
        }
        Refused::from(error)
    }

    async fn act(self: &Arc<Self>, passed: Passed<'_>) -> Receipt {
        let Passed { authorised, service, planned, turn, place } = passed;
        let permit = authorised.permit().to_string();
        let started_at = self.ctx.clock.now();
        let role = self.acting_role.as_deref();
        let session = act::session(&self.ctx.aws, &service, role, authorised.permit()).await;
        let (ending, call, deployment_id) = match session {
            Ok(clients) => {
                let acted = act::act(&clients, &authorised, &planned.call).await;
                (acted.ending, Some(acted.call), acted.deployment_id)
            }
            Err(error) => {
                tracing::error!(%error, "no session to act with");
                let call = Call { api: "sts:AssumeRole".to_owned(), detail: error.message };
                (Ending::Failed, Some(call), None)
            }
        };
        let finished_at = self.ctx.clock.now();
        let detail = call.as_ref().map(|call| format!("{}: {}", call.api, call.detail)).unwrap_or_default();
        tracing::info!(permit, action = %authorised.action(), ?ending, detail, "a change was made or tried");
        if let Err(error) = self.spend.finish(&permit, ending, &detail, finished_at) {
            // The intent stands in the store and becomes ambiguous: never a second act.
            tracing::error!(%error, permit, "the outcome could not be recorded");
        }
        drop((turn, place));
        let (outcome, known) = match ending {
            Ending::Done => (Outcome::Done, Known::Done),
            Ending::Failed => (Outcome::Failed, Known::Failed),
            Ending::Ambiguous => (Outcome::Ambiguous, Known::Ambiguous),
        };
        if let Some(source) = &self.source {
            if noted(&**source, authorised.permit(), known).await {
                self.heard(authorised.permit());
            } else {
                tell::begin(self);
            }
        }
        Receipt {
            outcome,
            reason: None,
            request: None,
            plan: None,
            permit_id: Some(permit),
            deployment_id,
            calls: call.into_iter().collect(),
            started_at: Some(started_at),
            finished_at: Some(finished_at),
        }
    }
}

/// Nothing is decided by a catalog that cannot be read.
fn unknown(why: String) -> Refused {
    Refused::new(Obstacle::Policy, why)
}

const SET_UP: &str =
    "an operator creates keys (`midwatch keys`) and starts the desk; until then this server only plans";
