//! From a call to an act: the checks, in their order, and what is answered when one fails.
//!
//! fetch permit → verify → protected, bounds, kill switch → read the target again → policy once
//! more → compare with what was approved → spend → act once → record. Each step needs what the one before it gave; acting needs an
//! `Authorised`, which only the comparison gives.

use std::{path::PathBuf, sync::Arc};

use jiff::Timestamp;
use midwatch_mcp::{Ctx, Time, ToolError};
use midwatch_policy::{
    Action, Approver, Attested, Authorised, CallerKind, Demand, PermitError, PublicKeys, Rules, Service,
    verify,
};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    act::{self, Call},
    kill_switch::KillSwitch,
    permits::{Offer, PermitSource},
    plan::{Planned, plan},
    read,
    spend::{Ending, Limits, SpendError, SpendStore},
};

/// How a call of a mutating tool ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// AWS accepted the change.
    Done,
    /// Nothing was sent; `reason` says why.
    Refused,
    /// AWS refused the change; nothing was changed.
    Failed,
    /// It was sent and may have been made. Read the target; do not call again.
    Ambiguous,
}

/// What stood in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// Nobody has approved this action for this caller.
    NoPermit,
    /// A permit was found, and it is no leave for this.
    BadPermit,
    /// The target has changed since it was approved, or cannot be read.
    Stale,
    /// The permit was used before.
    Spent,
    /// The catalog or a policy forbids it, whoever approved.
    Policy,
    /// All changes are stopped.
    KillSwitch,
    /// No approvals are set up.
    NoKeys,
    /// Too many changes lately.
    Limit,
}

/// Why nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Refused {
    /// What stood in the way.
    pub kind: Obstacle,
    /// For people.
    pub message: String,
}

impl Refused {
    fn new(kind: Obstacle, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// Result of a mutating tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Receipt {
    /// How it ended.
    pub outcome: Outcome,
    /// Why nothing was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Refused>,
    /// The permit that was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permit_id: Option<String>,
    /// The deployment that was started, where AWS named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<String>,
    /// The AWS calls that were made.
    pub calls: Vec<Call>,
    /// When the act began.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Time>")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Time>")]
    pub finished_at: Option<Timestamp>,
}

impl Receipt {
    fn refused(reason: Refused, permit_id: Option<String>) -> Self {
        Self {
            outcome: Outcome::Refused,
            reason: Some(reason),
            permit_id,
            deployment_id: None,
            calls: Vec::new(),
            started_at: None,
            finished_at: None,
        }
    }
}

/// What the gate is built from.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) ctx: Ctx,
    pub(crate) audience: String,
    pub(crate) source: Option<Arc<dyn PermitSource>>,
    pub(crate) keys: PublicKeys,
    pub(crate) spend: SpendStore,
    pub(crate) kill_switch: KillSwitch,
    pub(crate) limits: Limits,
    pub(crate) acting_role: Option<String>,
    pub(crate) rules: Option<Arc<Rules>>,
    pub(crate) change_freeze: Option<PathBuf>,
    /// One act at a time: the second of two permits for one target then sees the first one's work.
    pub(crate) turn: Semaphore,
}

impl Gate {
    /// Plans an action on live state.
    pub(crate) async fn plan(&self, action: &Action, service: &Service) -> Result<Planned, ToolError> {
        let live = Box::pin(read::live(&self.ctx, service, action)).await?;
        let planned = plan(action, service, &live)?;
        read::usable(&self.ctx, service, &planned).await?;
        Ok(planned)
    }

    /// Takes an action through every check, and carries it out if all hold.
    pub(crate) async fn pass(&self, kind: CallerKind, subject: &str, action: Action) -> Receipt {
        let mut permit = None;
        match self.checked((kind, subject), &action, &mut permit).await {
            // The turn is held until the act has ended.
            Ok((authorised, planned, _turn)) => self.act(&authorised, &planned).await,
            Err(reason) => {
                tracing::info!(%action, kind = ?reason.kind, reason = reason.message, "a change was refused");
                Receipt::refused(reason, permit)
            }
        }
    }

    async fn checked(
        &self,
        caller: (CallerKind, &str),
        action: &Action,
        permit: &mut Option<String>,
    ) -> Result<(Authorised, Planned, SemaphorePermit<'_>), Refused> {
        let subject = caller.1;
        let offer = self.fetch(subject, action).await?;
        let turn = self.turn.acquire().await;
        let turn = turn.map_err(|_| Refused::new(Obstacle::KillSwitch, "the server is shutting down"))?;
        let now = self.ctx.clock.now();
        let demand = Demand {
            subject,
            audience: &self.audience,
            request: &offer.request,
            incident: None,
            action,
            now,
        };
        let verified = verify(&offer.token, &self.keys, &demand).map_err(|error| bad(&error))?;
        *permit = Some(verified.claims().permit.to_string());
        let service = self.allowed(action)?;
        let planned = self
            .plan(action, service)
            .await
            .map_err(|error| Refused::new(Obstacle::Stale, format!("{}; {}", error.message, error.mend)))?;
        self.reconsider(caller, action, service, &planned, &verified.claims().approvers, now)?;
        let authorised = verified.against(&planned.plan.expected).map_err(|error| bad(&error))?;
        self.not_stopped()?;
        // Reading took time; what expired meanwhile is expired.
        let now = self.ctx.clock.now();
        if now >= authorised.claims().expires {
            return Err(bad(&PermitError::Expired(authorised.claims().expires)));
        }
        self.spend.spend(&authorised, now, self.limits).map_err(|error| unspent(&error))?;
        Ok((authorised, planned, turn))
    }

    async fn fetch(&self, subject: &str, action: &Action) -> Result<Offer, Refused> {
        let set_up = "an operator creates keys (`midwatch keys`) and starts the desk; until then this server only plans";
        let Some(source) = &self.source else {
            return Err(Refused::new(
                Obstacle::NoKeys,
                format!("no desk is connected that could permit this: {set_up}"),
            ));
        };
        if self.keys.is_empty() {
            return Err(Refused::new(Obstacle::NoKeys, format!("no approver's key is accepted: {set_up}")));
        }
        match source.permit_for(subject, action).await {
            Ok(Some(offer)) => Ok(offer),
            Ok(None) => Err(Refused::new(
                Obstacle::NoPermit,
                format!(
                    "nobody has approved that `{subject}` may {action}: `plan` it, and ask for approval at the desk"
                ),
            )),
            Err(error) => {
                Err(Refused::new(Obstacle::NoPermit, format!("the desk could not be asked: {error}")))
            }
        }
    }

    /// What no approval changes: protection, bounds, the kill switch.
    fn allowed(&self, action: &Action) -> Result<&Service, Refused> {
        let policy = |message: String| Refused::new(Obstacle::Policy, message);
        let service = self
            .ctx
            .catalog
            .get(action.service())
            .ok_or_else(|| policy(format!("`{}` is not in the catalog", action.service())))?;
        if service.protected {
            return Err(policy(format!("`{}` is protected in the catalog", service.name)));
        }
        if let Action::ScaleService { desired_count, .. } = action
            && !service.scale.is_some_and(|bounds| (bounds.min..=bounds.max).contains(desired_count))
        {
            return Err(policy(format!(
                "{desired_count} tasks are outside of the catalog's bounds for `{}`",
                service.name
            )));
        }
        self.not_stopped()?;
        Ok(service)
    }

    /// Policy once more, on what was just read.
    fn reconsider(
        &self,
        caller: (CallerKind, &str),
        action: &Action,
        service: &Service,
        planned: &Planned,
        approvers: &[Approver],
        now: Timestamp,
    ) -> Result<(), Refused> {
        let policy = |message: String| Refused::new(Obstacle::Policy, message);
        let rules = self
            .rules
            .as_ref()
            .ok_or_else(|| policy("no policy is loaded, so nothing is allowed".to_owned()))?;
        let acted = self.spend.acted(Some(&service.name), now).map_err(|error| unspent(&error))?;
        let attested = Attested {
            change_freeze: self.change_freeze.as_ref().is_some_and(|file| file.try_exists().unwrap_or(true)),
            business_hours: false,
            deployments_in_progress: planned.deployments_in_progress,
            tasks_running: planned.plan.blast_radius.tasks_running,
            tasks_affected: planned.plan.blast_radius.tasks_affected,
            actions_last_hour: acted,
        };
        crate::policy::objection(rules, caller, action, service, attested, approvers)
            .map_or(Ok(()), |why| Err(policy(why)))
    }

    fn not_stopped(&self) -> Result<(), Refused> {
        self.kill_switch.engaged().map_or(Ok(()), |why| Err(Refused::new(Obstacle::KillSwitch, why)))
    }

    async fn act(&self, authorised: &Authorised, planned: &Planned) -> Receipt {
        let permit = authorised.permit().to_string();
        let started_at = self.ctx.clock.now();
        let service = self.ctx.catalog.get(authorised.action().service());
        let session = match service {
            Some(service) => {
                act::session(&self.ctx.aws, service, self.acting_role.as_deref(), authorised.permit()).await
            }
            None => Err(ToolError::internal("the service left the catalog")),
        };
        let (ending, call, deployment_id) = match session {
            Ok(clients) => {
                let acted = act::act(&clients, authorised, &planned.call).await;
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
        Receipt {
            outcome: match ending {
                Ending::Done => Outcome::Done,
                Ending::Failed => Outcome::Failed,
                Ending::Ambiguous => Outcome::Ambiguous,
            },
            reason: None,
            permit_id: Some(permit),
            deployment_id,
            calls: call.into_iter().collect(),
            started_at: Some(started_at),
            finished_at: Some(finished_at),
        }
    }
}

fn bad(error: &PermitError) -> Refused {
    match error {
        PermitError::Stale { expected, live } => Refused::new(
            Obstacle::Stale,
            format!(
                "the target has changed since it was approved: {}",
                crate::difference::difference(expected, live)
            ),
        ),
        other => Refused::new(Obstacle::BadPermit, other.to_string()),
    }
}

fn unspent(error: &SpendError) -> Refused {
    let kind = match error {
        SpendError::Limit(_) => Obstacle::Limit,
        SpendError::Spent { .. } | SpendError::Clock { .. } | SpendError::Held | SpendError::Store(_) => {
            Obstacle::Spent
        }
    };
    tracing::warn!(%error, "a permit could not be spent");
    Refused::new(kind, error.to_string())
}
