//! The desk: where a request for approval lies, and the only place that signs a permit.
//!
//! INVARIANTS: what is signed is the plan that the desk fetched itself from the remediation
//! server, and that the person was shown; policy is asked with facts the desk has read itself; a
//! request is answered once; a permit leaves only towards the server that asks for exactly this
//! action, and enters no tool argument, no model and no log.
//!
//! This one is embedded and its key is thrown away with it: it serves the world and nothing else
//! (its audience says so). Against a real account the desk is a process of its own.

mod attest;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::future::{BoxFuture, ready};
use midwatch_policy::{
    Action, Approver, Ask, Claimed, Claims, Clock, Decision, Digest, IncidentId, Outcome, PermitId, Plan,
    PublicKeys, RequestId, RequestView, Rules, Service, SignedDuration, SigningKey, Timestamp, sign, unmet,
};
use midwatch_remediation::{Offer, PermitSource, SourceError};
use serde_json::{Value, json};

use crate::{
    approve::Reply,
    case::{Case, args},
};

/// How long a signed permit is good for.
const GOOD_FOR: SignedDuration = SignedDuration::from_mins(5);
/// Deadline for the plan.
const PLAN: std::time::Duration = std::time::Duration::from_secs(20);

/// Why the desk does not take or answer a request.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The remediation server could not plan it.
    #[error("the remediation server could not plan it: {0}")]
    Plan(String),
    /// The plan is for something else than was asked for.
    #[error("the plan is for another action: {0}")]
    OtherPlan(String),
    /// Policy forbids it.
    #[error("forbidden by `{rule}`: {reason}")]
    Forbidden {
        /// The rule.
        rule: String,
        /// Its reason.
        reason: String,
    },
    /// There is no such request, or it was answered.
    #[error("request `{0}` is not open")]
    NotOpen(RequestId),
    /// Whoever asked cannot approve, and an approval has a name.
    #[error("`{0}` cannot approve this")]
    NotAPerson(String),
    /// Those who approved are not all who have to.
    #[error("still to approve: {0}")]
    Unmet(String),
    /// The permit could not be signed.
    #[error("the permit cannot be signed: {0}")]
    Sign(String),
}

/// A request as the person who is asked sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// What would be done.
    pub plan: Plan,
    /// Who has to approve.
    pub asks: Vec<Ask>,
    /// The rules that ask.
    pub rules: Vec<String>,
    /// When it counts as declined.
    pub expires_at: Timestamp,
}

impl Request {
    /// Who has to approve, in words.
    pub fn whom(&self) -> String {
        self.asks.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
    }
}

#[derive(Debug)]
enum State {
    Open(Vec<Approver>),
    Ended,
    Signed { token: String, claims: Box<Claims> },
}

#[derive(Debug)]
struct Held {
    request: Request,
    incident: IncidentId,
    state: State,
}

/// The embedded desk.
#[derive(Debug)]
pub struct Desk {
    key: SigningKey,
    rules: Arc<Rules>,
    clock: Arc<dyn Clock>,
    /// The caller that permits are signed for.
    subject: String,
    /// The server that may act on them.
    audience: String,
    /// How long people are asked, where that is shorter than policy says.
    ask_for: Option<SignedDuration>,
    held: Mutex<BTreeMap<RequestId, Held>>,
}

impl Desk {
    /// A desk with a key of its own, which ends with it.
    pub fn embedded(
        rules: Arc<Rules>,
        clock: Arc<dyn Clock>,
        subject: impl Into<String>,
        audience: impl Into<String>,
        ask_for: Option<SignedDuration>,
    ) -> Result<Self, DeskError> {
        let key = SigningKey::generate().map_err(|e| DeskError::Sign(e.to_string()))?;
        let (subject, audience) = (subject.into(), audience.into());
        Ok(Self { key, rules, clock, subject, audience, ask_for, held: Mutex::default() })
    }

    /// The keys that the remediation server accepts.
    pub fn public_keys(&self) -> Result<PublicKeys, DeskError> {
        let mut keys = PublicKeys::default();
        keys.accept(self.key.public().map_err(|e| DeskError::Sign(e.to_string()))?);
        Ok(keys)
    }

    /// Takes a request: fetches the plan, asks policy, and holds it open. The case is used to
    /// read; nothing of what its agents said is.
    pub async fn open(
        &self,
        case: &Case,
        service: &Service,
        action: &Action,
        claimed: &Claimed,
    ) -> Result<Request, DeskError> {
        let plan = self.plan(case, action).await?;
        let attested = attest::attest(case, service, &plan).await;
        let arguments = action.arguments();
        let call = attest::call(&self.subject, action, &arguments, service, attested, claimed);
        let (asks, rules, within_s) = match self.rules.decide(&call) {
            Decision::Ask { asks, rules, within_s } => (asks, rules, within_s),
            Decision::Forbid { rule, reason } => return Err(DeskError::Forbidden { rule, reason }),
            Decision::Allow { rule } => {
                let reason = "an action has to be asked of a person".to_owned();
                return Err(DeskError::Forbidden { rule, reason });
            }
        };
        let within = SignedDuration::from_secs(within_s);
        let within = self.ask_for.map_or(within, |asked| asked.min(within));
        let now = self.clock.now();
        let expires_at = now.saturating_add(within).unwrap_or(now);
        let mut held = self.held();
        let id = RequestId::parse(format!("req-{}-{}", case.opened.id, held.len() + 1))
            .or_else(|_| RequestId::parse(format!("req-{}", held.len() + 1)))
            .map_err(|e| DeskError::Sign(e.to_string()))?;
        let request = Request { id: id.clone(), plan, asks, rules, expires_at };
        let incident = case.opened.id.clone();
        held.insert(id, Held { request: request.clone(), incident, state: State::Open(Vec::new()) });
        Ok(request)
    }

    async fn plan(&self, case: &Case, action: &Action) -> Result<Plan, DeskError> {
        let mut arguments = action.arguments();
        arguments.insert("action".to_owned(), json!(action.kind()));
        let admitted = case
            .read("remediation", "plan", arguments, PLAN)
            .await
            .map_err(|failure| DeskError::Plan(failure.to_string()))?;
        let plan = admitted.result.get("plan").cloned().unwrap_or(Value::Null);
        let plan: Plan = serde_json::from_value(plan).map_err(|e| DeskError::Plan(e.to_string()))?;
        if plan.action == *action { Ok(plan) } else { Err(DeskError::OtherPlan(plan.action.to_string())) }
    }

    /// Takes a person's approval. Once all who have to have approved, the permit is signed.
    pub fn approve(&self, id: &RequestId, reply: &Reply) -> Result<PermitId, DeskError> {
        let mut all = self.held();
        let number = all.len();
        let held = all.get_mut(id).ok_or_else(|| DeskError::NotOpen(id.clone()))?;
        let now = self.clock.now();
        let State::Open(approvers) = &mut held.state else { return Err(DeskError::NotOpen(id.clone())) };
        if now >= held.request.expires_at {
            held.state = State::Ended;
            return Err(DeskError::NotOpen(id.clone()));
        }
        let name = reply.by.trim();
        let same = |other: &str| other.trim().to_lowercase() == name.to_lowercase();
        if name.is_empty() || same(&self.subject) {
            return Err(DeskError::NotAPerson(reply.by.clone()));
        }
        // Who approves again has said nothing new.
        if !approvers.iter().any(|approver| same(&approver.name)) {
            approvers.push(Approver {
                name: name.to_owned(),
                role: reply.role.clone(),
                channel: reply.channel.clone(),
            });
        }
        let missing = unmet(&held.request.asks, approvers);
        if !missing.is_empty() {
            let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
            return Err(DeskError::Unmet(missing.join(" and ")));
        }
        let action = &held.request.plan.action;
        let unsigned = |e: String| DeskError::Sign(e);
        let permit = PermitId::parse(format!("mwp-{}-{number}", held.incident))
            .map_err(|e| unsigned(e.to_string()))?;
        let claims = Claims {
            permit: permit.clone(),
            request: id.clone(),
            incident: held.incident.clone(),
            subject: self.subject.clone(),
            audience: self.audience.clone(),
            tool: action.kind(),
            schema: Action::schema_digest().map_err(|e| unsigned(e.to_string()))?,
            arguments: action.digest().map_err(|e| unsigned(e.to_string()))?,
            expected: held.request.plan.expected.clone(),
            approvers: approvers.clone(),
            policies: held.request.rules.clone(),
            shown: Digest::of_json(&held.request.plan).map_err(|e| unsigned(e.to_string()))?,
            runbook: None,
            not_before: now,
            expires: now.saturating_add(GOOD_FOR).unwrap_or(now),
        };
        let token = sign(&claims, &self.key).map_err(|e| unsigned(e.to_string()))?.into_string();
        held.state = State::Signed { token, claims: Box::new(claims) };
        Ok(permit)
    }

    /// Ends a request without a permit: declined, expired or withdrawn.
    pub fn end(&self, id: &RequestId) {
        if let Some(held) = self.held().get_mut(id)
            && matches!(held.state, State::Open(_))
        {
            held.state = State::Ended;
        }
    }

    /// The permit for exactly this action and caller, with the request it answers; handed out to
    /// the remediation server, which verifies and spends it.
    fn offer(&self, subject: &str, action: &Action) -> Option<Offer> {
        self.held().values().rev().find_map(|held| match &held.state {
            State::Signed { token, claims }
                if claims.subject == subject && held.request.plan.action == *action =>
            {
                Some(Offer { request: held.request.id.clone(), token: token.clone() })
            }
            _ => None,
        })
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<RequestId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PermitSource for Desk {
    fn permit_for<'a>(
        &'a self,
        subject: &'a str,
        action: &'a Action,
    ) -> BoxFuture<'a, Result<Option<Offer>, SourceError>> {
        Box::pin(ready(Ok(self.offer(subject, action))))
    }

    fn ask<'a>(&'a self, _: &'a str, _: &'a Action) -> BoxFuture<'a, Result<RequestView, SourceError>> {
        let why = "nobody has approved this, and this desk takes requests from the supervisor alone";
        Box::pin(ready(Err(SourceError::Silent(why.to_owned()))))
    }

    fn stands<'a>(&'a self, permit: &'a PermitId) -> BoxFuture<'a, Result<bool, SourceError>> {
        let signed =
            |held: &Held| matches!(&held.state, State::Signed { claims, .. } if claims.permit == *permit);
        Box::pin(ready(Ok(self.held().values().any(signed))))
    }

    fn used<'a>(&'a self, _: &'a PermitId, _: Outcome) -> BoxFuture<'a, Result<(), SourceError>> {
        Box::pin(ready(Ok(())))
    }
}

/// Arguments for reading one service.
pub(crate) fn about(service: &Service) -> serde_json::Map<String, Value> {
    args([("service", json!(service.name))])
}
