//! From an action that would fit to its end: judged, asked, done once, verified, remembered.
//!
//! INVARIANT: an action reaches the remediation server only after the desk said that people
//! approved it, and what is shown, asked and done is the plan that the desk fetched. On every other
//! way nothing is changed and a person is told.

use std::time::Duration;

use midwatch_policy::{
    Action, Asking, Autonomy, Cited, Claimed, Digest, HoldState, Plan, RequestState, RequestView,
    RunbookContract, Service,
};
use serde_json::{Value, json};

use crate::{
    act,
    approve::{approve, names},
    case::Case,
    decide::Diagnosis,
    desk::DeskError,
    event::{Event, Stage},
    memory::Remembered,
    route,
    run::{Answer, Outcome, RunProposal},
    site::Hands,
    verify,
};

use super::{Incident, failed, guarded};

/// Deadline of a plan that is only shown.
const PLAN: Duration = Duration::from_secs(20);
/// Facts that a person is shown beside a proposal.
const SHOWN: usize = 5;

/// What an action is pursued with.
pub(super) struct Pursuit<'a> {
    pub(super) service: &'a Service,
    pub(super) action: &'a Action,
    pub(super) diagnosis: &'a Diagnosis,
    pub(super) contract: Option<RunbookContract>,
}

/// How far one action got.
pub(super) enum Reached {
    /// It ended without having been done, or was refused: what becomes of the incident.
    Ended(Outcome),
    /// It took effect.
    Done,
}

impl Incident<'_> {
    /// Takes an action as far as the service's autonomy and the people who are asked let it.
    pub(super) async fn pursue(&mut self, pursuit: &Pursuit<'_>) -> Option<Outcome> {
        let hands = match (pursuit.service.autonomy, self.site.hands.clone()) {
            (Autonomy::Ask, Some(hands)) => hands,
            (Autonomy::Observe, _) => return Some(self.observed(pursuit)),
            (Autonomy::Advise, _) => {
                return Some(self.advised(pursuit, "the catalog's autonomy for it is `advise`").await);
            }
            (Autonomy::Ask, None) => return Some(self.advised(pursuit, "here Midwatch only reads").await),
        };
        match self.carry_out(&hands, pursuit).await? {
            Reached::Ended(outcome) => Some(outcome),
            Reached::Done => self.follow_up(&hands, pursuit).await,
        }
    }

    /// The lowest rung of the ladder: nothing is proposed.
    fn observed(&mut self, pursuit: &Pursuit<'_>) -> Outcome {
        let why = format!(
            "the catalog's autonomy for {} is `observe`: it is looked at and nothing is proposed",
            pursuit.service.name
        );
        self.case.recorder.note(Event::NothingProposed { why });
        let signals = self.story.signals.clone().unwrap_or_default();
        self.escalate(pursuit.contract.as_ref(), &super::why_unresolved(pursuit.diagnosis, &signals));
        Outcome::Escalated
    }

    /// The proposal is made and nobody is asked.
    async fn advised(&mut self, pursuit: &Pursuit<'_>, because: &str) -> Outcome {
        let Pursuit { action, diagnosis, ref contract, .. } = *pursuit;
        let mut arguments = action.arguments();
        arguments.insert("action".to_owned(), json!(action.kind()));
        let plan: Result<Plan, String> = self
            .case
            .step("plan", async {
                let planned = self.case.read("remediation", "plan", arguments, PLAN).await;
                let planned = planned.map_err(|failure| failure.to_string())?;
                let plan = planned.result.get("plan").cloned().unwrap_or(Value::Null);
                serde_json::from_value(plan).map_err(|error| error.to_string())
            })
            .await;
        match plan {
            Ok(plan) if plan.action == *action => {
                let policy = format!("nobody is asked: {because}");
                self.propose(plan, diagnosis, policy.clone(), Answer::NotAsked);
                self.case.recorder.note(Event::Judged { text: policy, may_ask: false });
            }
            Ok(plan) => self.unplanned(action, &format!("the plan is for another action: {}", plan.action)),
            Err(why) => self.unplanned(action, &why),
        }
        self.escalate(contract.as_ref(), &format!("would propose to {action}, but {because}"));
        Outcome::Escalated
    }

    fn unplanned(&mut self, action: &Action, why: &str) {
        self.case.recorder.note(Event::NothingProposed {
            why: format!("`{action}` would fit, but it was not planned: {why}"),
        });
        self.story.not_checked.push(format!("what to {action} would do: {why}"));
    }

    /// Asks for one action and does it if it was approved.
    async fn carry_out(&mut self, hands: &Hands, pursuit: &Pursuit<'_>) -> Option<Reached> {
        let Pursuit { action, ref contract, .. } = *pursuit;
        if let Some(outcome) = self.held(hands).await {
            return Some(Reached::Ended(outcome));
        }
        let asking = self.asking(pursuit);
        let file = async { hands.desk.file(asking).await.map_err(DeskError::into_wire) };
        let filed =
            guarded(&self.case, &mut self.story, Stage::Approve, self.case.step("file", file)).await?;
        let request = match filed {
            Ok(request) => request,
            Err(error) => {
                let error = DeskError::from(error);
                return Some(Reached::Ended(self.not_asked(action, &error, contract.as_ref())));
            }
        };
        Box::pin(self.see_through(hands, pursuit, request)).await
    }

    /// Takes a request that lies at the desk to its end, and does what it is for if it was approved.
    pub(super) async fn see_through(
        &mut self,
        hands: &Hands,
        pursuit: &Pursuit<'_>,
        request: RequestView,
    ) -> Option<Reached> {
        let Pursuit { action, diagnosis, ref contract, .. } = *pursuit;
        let shown = &request.shown;
        let policy = format!("asks {} by `{}`", shown.whom(), shown.rules.join("`, `"));
        self.propose(shown.plan.clone(), diagnosis, policy.clone(), Answer::Expired);
        self.case.recorder.note(Event::Judged { text: policy, may_ask: true });

        let (answer, request) = Box::pin(approve(&self.case, hands, request)).await;
        self.answered(answer, &request);
        let unsealed = seal(&self.case, hands).await;
        self.story.problems.extend(unsealed);
        match answer {
            Answer::Approved => {
                if let Some(outcome) = self.held(hands).await {
                    return Some(Reached::Ended(outcome));
                }
                self.act(hands, &request, contract.as_ref()).await
            }
            Answer::Withdrawn => {
                let ended = match self.held(hands).await {
                    Some(outcome) => outcome,
                    None => self.cleared(pursuit).await,
                };
                Some(Reached::Ended(ended))
            }
            Answer::Declined | Answer::Expired | Answer::NotAsked => {
                let how = if answer == Answer::Declined { "declined" } else { "not answered in time" };
                let why = format!(
                    "the proposal to {action} was {how}; nothing was changed, and Midwatch does not ask again \
                     by itself"
                );
                self.escalate(contract.as_ref(), &why);
                Some(Reached::Ended(Outcome::Escalated))
            }
        }
    }

    /// What the desk is asked: words are this code's own, and only about facts that were checked.
    fn asking(&self, pursuit: &Pursuit<'_>) -> Asking {
        let evidence = pursuit
            .diagnosis
            .claims
            .iter()
            .filter(|claim| claim.is_fact())
            .filter_map(|claim| Some(Cited { id: claim.evidence.first()?.clone(), text: claim.text.clone() }))
            .take(SHOWN)
            .collect();
        Asking {
            subject: None,
            incident: Some(self.case.opened.id.clone()),
            action: pursuit.action.clone(),
            claimed: Some(claimed(pursuit.diagnosis)),
            reason: pursuit.diagnosis.text.clone(),
            evidence,
            runbook: pursuit.contract.as_ref().map(|contract| contract.id.clone()),
        }
    }

    fn propose(&mut self, plan: Plan, diagnosis: &Diagnosis, policy: String, answer: Answer) {
        let evidence: Vec<String> = diagnosis.causes.first().map(|c| c.evidence.clone()).unwrap_or_default();
        let because: Vec<String> = diagnosis
            .claims
            .iter()
            .filter(|c| c.is_fact())
            .take(SHOWN)
            .map(|c| {
                let ids: Vec<&str> = c.evidence.iter().map(AsRef::as_ref).collect();
                format!("{} [{}]", c.text, ids.join(" "))
            })
            .collect();
        let reason = diagnosis.text.clone();
        self.story.proposed_at = Some(self.case.now());
        self.story.proposal = Some(RunProposal {
            plan: plan.clone(),
            reason: reason.clone(),
            evidence: evidence.clone(),
            policy,
            answer,
            by: None,
        });
        self.case.recorder.note(Event::Proposed { plan, reason, evidence, because });
    }

    fn answered(&mut self, answer: Answer, request: &RequestView) {
        let by = match &request.state {
            RequestState::Approved { approvers, .. } | RequestState::Used { approvers, .. } => {
                Some(names(approvers))
            }
            RequestState::Declined { by, .. } | RequestState::Revoked { by, .. } => Some(by.clone()),
            RequestState::Open { .. } | RequestState::Expired { .. } | RequestState::Withdrawn { .. } => None,
        };
        self.story.answers.push((self.case.now(), answer, by.clone()));
        if let Some(proposal) = &mut self.story.proposal {
            proposal.answer = answer;
            proposal.by = by;
        }
    }

    fn not_asked(
        &mut self,
        action: &Action,
        error: &DeskError,
        contract: Option<&RunbookContract>,
    ) -> Outcome {
        let text = format!("{error}; {}", error.mend());
        self.case.recorder.note(Event::Judged { text: text.clone(), may_ask: false });
        self.story.not_checked.push(format!("nobody was asked to {action}: {error}"));
        self.escalate(contract, &format!("`{action}` would fit, but nobody was asked: {error}"));
        Outcome::Escalated
    }

    /// Does what was approved, once, and says what came of it.
    async fn act(
        &mut self,
        hands: &Hands,
        request: &RequestView,
        contract: Option<&RunbookContract>,
    ) -> Option<Reached> {
        let shown = &request.shown;
        let action = &shown.plan.action;
        if let RequestState::Approved { permit, .. } = &request.state {
            let event =
                Event::Permitted { permit_id: permit.to_string(), request: shown.request.to_string() };
            self.case.recorder.note(event);
        }
        let act = act::act(&self.case, hands, shown);
        let done = guarded(&self.case, &mut self.story, Stage::Act, self.case.step("act", act)).await?;
        let done = match done {
            Ok(done) => done,
            Err(error) => {
                failed(&self.case, &mut self.story, Stage::Act, format!("not done: {error}"));
                let why = "the approved action was not done: its intent could not be written down";
                self.escalate(contract, why);
                return Some(Reached::Ended(Outcome::Escalated));
            }
        };
        self.story.acted_at = Some(self.case.now());
        let (took_effect, outcome, detail) = (done.took_effect(), done.outcome.clone(), done.detail.clone());
        self.story.actions.push(done);
        if took_effect {
            return Some(Reached::Done);
        }
        self.escalate(contract, &format!("the approved action to {action} was {outcome}: {detail}"));
        Some(Reached::Ended(Outcome::Escalated))
    }

    /// Watches what was done, remembers whether it helped, and where it did not, proposes the way back.
    pub(super) async fn follow_up(&mut self, hands: &Hands, pursuit: &Pursuit<'_>) -> Option<Outcome> {
        let contract = pursuit.contract.as_ref();
        let onset = self.onset();
        let acted = self.story.acted_at.unwrap_or_else(|| self.case.now());
        let by = contract.map(|c| c.verify.clone()).unwrap_or_default();
        let watch = verify::verify(&self.case, onset, acted, &by);
        let verified = guarded(&self.case, &mut self.story, Stage::Verify, watch).await?;
        self.story.last_state = verified.alarm.or(self.story.last_state);
        let (recovered, text) = (verified.recovered, verified.text.clone());
        self.story.verified = Some(verified);
        self.remember(pursuit, recovered).await;
        if recovered {
            return Some(Outcome::Resolved);
        }
        // Of a second act it would lead back to what did not help.
        let only = self.story.actions.iter().filter(|action| action.took_effect()).count() <= 1;
        let way_back = self.story.plan().filter(|_| only).map(|plan| plan.inverse.clone());
        let tried = format!("tried to {}: {text}", pursuit.action);
        let summary =
            way_back.as_ref().map(|back| format!(". The way back: {}", back.summary)).unwrap_or_default();
        self.escalate(contract, &format!("{tried}{summary}"));
        if let Some(back) = way_back.and_then(|back| back.action) {
            // People were told; what becomes of the way back does not change why.
            let (proposal, escalation) = (self.story.proposal.take(), self.story.escalation.clone());
            let back = Pursuit { action: &back, contract: None, ..*pursuit };
            Box::pin(self.carry_out(hands, &back)).await;
            self.story.undo = self.story.proposal.take();
            self.story.proposal = proposal;
            self.story.escalation = escalation;
        }
        Some(Outcome::Escalated)
    }

    async fn remember(&self, pursuit: &Pursuit<'_>, helped: bool) {
        let Some(signature) = self.signature(pursuit.diagnosis.cause.kind) else { return };
        let outcome = Remembered {
            incident: self.case.opened.id.clone(),
            action: pursuit.action.kind(),
            helped,
            at: self.case.now(),
        };
        self.case.step("remember", self.site.memory.remember(&signature, outcome)).await;
    }

    /// The alarm cleared while a person was being asked: over only if the signs say so as well.
    async fn cleared(&mut self, pursuit: &Pursuit<'_>) -> Outcome {
        let Some(signals) = self.story.signals.clone() else { return Outcome::Escalated };
        let checked = route::closing(&self.case, &signals).await;
        self.story.last_state = checked.alarm.or(self.story.last_state);
        if checked.over {
            return Outcome::Recovered;
        }
        let open: Vec<String> =
            checked.conditions.iter().filter(|c| !c.holds).map(|c| c.text.clone()).collect();
        self.escalate(
            pursuit.contract.as_ref(),
            &format!("the alarm cleared, but there are no signs of recovery: {}", open.join(", ")),
        );
        Outcome::Escalated
    }

    /// Whether a person has taken the incident over or stopped it; then Midwatch does nothing more.
    /// A desk that cannot be asked holds nothing: it would have to be asked before an act anyway.
    pub(super) async fn held(&mut self, hands: &Hands) -> Option<Outcome> {
        if let Some(hold) = self.aside.hold() {
            self.story.held = Some(hold);
            return Some(Outcome::TakenOver);
        }
        let hold = self
            .case
            .step("hold", async {
                let asked = hands.desk.hold(&self.case.opened.id).await;
                asked
                    .inspect_err(
                        |error| tracing::warn!(%error, "the desk does not say whose the incident is"),
                    )
                    .ok()
            })
            .await?;
        if hold.state == HoldState::Working {
            return None;
        }
        let who = hold.by.unwrap_or_else(|| "somebody".to_owned());
        let text = sentence(hold.state, &who, &hold.note);
        self.case.recorder.note(Event::Held { state: hold.state, by: who, text: text.clone() });
        self.story.held = Some((hold.state, text));
        Some(Outcome::TakenOver)
    }
}

/// Who did what with an incident.
pub fn sentence(state: HoldState, who: &str, note: &str) -> String {
    let did = match state {
        HoldState::Working => "handed the incident back",
        HoldState::Taken => "took the incident over",
        HoldState::Stopped => "stopped Midwatch's work on it",
    };
    let note = if note.is_empty() { String::new() } else { format!(": {note}") };
    format!("{who} {did}{note}")
}

/// Has the desk sign what the journal holds so far, so that it cannot be rewritten unseen. Says
/// what went wrong, if so.
pub(super) async fn seal(case: &Case, hands: &Hands) -> Option<String> {
    case.step("seal", sign(case, hands)).await
}

/// The same at the end, after which nothing is done again.
pub(super) async fn sign(case: &Case, hands: &Hands) -> Option<String> {
    let head = case.recorder.head().await?;
    let hash = Digest::parse(&head.hash).ok()?;
    match hands.desk.seal(&case.opened.id, head.entries, hash).await {
        Ok(signature) => {
            case.recorder.note(Event::Sealed { entries: head.entries, head: head.hash, signature });
            None
        }
        Err(error) => Some(format!("the desk did not sign the journal: {error}")),
    }
}

/// What is claimed towards policy; it can only count against us.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=100 just before")]
fn claimed(diagnosis: &Diagnosis) -> Claimed {
    let evidence = diagnosis.claims.iter().filter(|c| c.is_fact()).flat_map(|c| &c.evidence);
    Claimed {
        confidence_percent: (diagnosis.confidence * 100.0).clamp(0.0, 100.0).round() as u8,
        phase: "decide".to_owned(),
        severity: "alarm".to_owned(),
        evidence: evidence.map(ToString::to_string).collect(),
    }
}
