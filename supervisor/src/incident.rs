//! One incident from its alarm to its report.
//!
//! INVARIANT: whatever fails, there is a report, and it escalates unless code has seen positive
//! signs that the incident is over. A stage that fails or panics becomes a problem in the report.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt as _;
use midwatch_agents::{budget::Spend, route::Route, signals::Signals};
use midwatch_policy::{Action, CauseKind, Claimed, PermitId, RunbookContract, Service, Timestamp, Verdict};

use crate::{
    act,
    alarm::Alarm,
    approve::{Ended, Question, approve},
    case::Case,
    decide::{self, Diagnosis, Found},
    desk::{DeskError, Request},
    event::{Event, Stage, View},
    intake, investigate,
    record::Recorder,
    report::{self, Story},
    route,
    run::{Answer, Escalation, Outcome, Run, RunProposal},
    site::{Hands, Site},
    sweep, verify,
};

/// How long recovery has to hold where no runbook says.
const STABLE: Duration = Duration::from_mins(5);

/// Why an incident could not even be opened.
#[derive(Debug, thiserror::Error)]
#[error("the alarm cannot be given an incident id: {0}")]
pub struct OpenError(#[from] midwatch_policy::IdError);

/// Handles one alarm.
pub async fn handle(alarm: Alarm, site: &Site, view: Box<dyn View>, salt: u32) -> Result<Run, OpenError> {
    let opened = Arc::new(intake::open(alarm, &site.catalog, site.clock.now(), salt)?);
    let (recorder, writer) = Recorder::start(
        opened.id.clone(),
        Arc::clone(&site.journal),
        Arc::clone(&site.clock),
        Arc::clone(&site.wall),
        view,
    );
    let spend = Spend::new(Arc::clone(&site.minds.prices), site.minds.ceiling_micro_usd);
    let case = Case::new(
        Arc::clone(&opened),
        Arc::clone(&site.clock),
        Arc::clone(&site.tools),
        spend,
        recorder,
        Arc::clone(&site.journal),
    );
    case.recorder.note(Event::Opened {
        alarm: opened.alarm.clone(),
        fingerprint: opened.alarm.fingerprint(),
        service: opened.service.as_ref().map(|s| s.name.clone()),
        about: opened.about(),
    });

    let mut incident = Incident { case, site, story: Story::default() };
    let outcome = Box::pin(incident.run()).await;
    let Incident { case, mut story, .. } = incident;
    let outcome = outcome.unwrap_or_else(|| {
        escalate(&case, &mut story, None, "Midwatch could not finish its work: see its troubles");
        Outcome::Escalated
    });
    case.keep_evidence().await;
    case.recorder.note(Event::Closed { outcome });
    let mut run = report::report(&case, &story, outcome);
    case.recorder.note(Event::Reported { run: Box::new(run.clone()) });
    drop(case);
    match writer.await {
        Ok(written) => {
            run.journal_entries = written.entries;
            run.problems.extend(written.problem.map(|p| format!("the journal is not complete: {p}")));
        }
        Err(error) => run.problems.push(format!("the journal's writer ended: {error}")),
    }
    Ok(run)
}

struct Incident<'a> {
    case: Case,
    site: &'a Site,
    story: Story,
}

/// Runs a stage; a panic in it is a problem of the report and not the end.
async fn guarded<T>(
    case: &Case,
    story: &mut Story,
    stage: Stage,
    work: impl Future<Output = T>,
) -> Option<T> {
    case.recorder.note(Event::StageBegan { stage });
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(done) => Some(done),
        Err(panic) => {
            let said = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("it did not say why");
            failed(case, story, stage, format!("a defect in Midwatch: {said}"));
            None
        }
    }
}

fn failed(case: &Case, story: &mut Story, stage: Stage, problem: String) {
    story.problems.push(format!("{}: {problem}", stage.as_str()));
    case.recorder.note(Event::StageFailed { stage, problem });
}

impl Incident<'_> {
    async fn run(&mut self) -> Option<Outcome> {
        let known = self.known_dependencies();
        let swept =
            guarded(&self.case, &mut self.story, Stage::Sweep, sweep::sweep(&self.case, &known)).await?;
        self.story.swept = Some(swept.clone());
        self.story.signals = Some(swept.signals.clone());
        self.remember_alarm(&swept.signals);
        if route::is_quiet(&self.case, &swept.signals) {
            return Some(self.not_firing(&swept.signals).await);
        }

        let routed = guarded(
            &self.case,
            &mut self.story,
            Stage::Route,
            route::route(&self.case, &self.site.minds, &swept, &known),
        )
        .await;
        let to = routed.as_ref().map_or(Route::Investigate, |r| r.route);
        self.story.routed = routed.map(|r| r.reason);
        match to {
            Route::CloseTransient if self.may_close(&swept.signals).await => {
                let diagnosis = decide::diagnose(&self.case, &swept.signals, &[]);
                self.story.diagnosis = Some(diagnosis);
                return Some(Outcome::ClosedTransient);
            }
            Route::PageNow => self.escalate(None, "customers may be cut off: paged before the investigation"),
            Route::CloseTransient | Route::Investigate => {}
        }

        let looked = guarded(
            &self.case,
            &mut self.story,
            Stage::Investigate,
            investigate::analysts(&self.case, &self.site.minds, &swept, &known),
        )
        .await
        .unwrap_or_default();
        let signals = investigate::signals(&self.case, &swept, &looked.observed);
        self.story.findings = looked.found.iter().map(|f| f.finding.clone()).collect();

        self.story.signals = Some(signals.clone());
        self.story.quote = report::quote::quote(&self.case, &signals).await;

        let (diagnosis, decided) = self.decide(&signals, &looked.found).await;
        self.story.diagnosis = Some(diagnosis.clone());
        if diagnosis.verdict == Verdict::Transient
            && diagnosis.cause.kind == CauseKind::Transient
            && self.may_close(&signals).await
        {
            return Some(Outcome::ClosedTransient);
        }
        let Some((service, action)) = decided else {
            self.escalate(None, &why_unresolved(&diagnosis, &signals));
            return Some(Outcome::Escalated);
        };
        self.ask(&service, &action, &signals, &diagnosis).await
    }

    /// The alarm did not come in as one that fires, and nothing goes on: a short check instead of
    /// an investigation.
    async fn not_firing(&mut self, signals: &Signals) -> Outcome {
        self.story.diagnosis = Some(decide::diagnose(&self.case, signals, &[]));
        if self.may_close(signals).await {
            return Outcome::ClosedTransient;
        }
        let state = self.case.opened.alarm.state;
        self.escalate(
            None,
            &format!("the alarm came in as {state}, and not everything shows that it is over"),
        );
        Outcome::Escalated
    }

    fn known_dependencies(&self) -> Vec<midwatch_policy::ServiceName> {
        let service = self.case.opened.service.as_ref();
        let depends = service.map(|s| s.depends_on.as_slice()).unwrap_or_default();
        depends.iter().filter(|name| self.site.catalog.get(name).is_some()).cloned().collect()
    }

    fn remember_alarm(&mut self, signals: &Signals) {
        self.story.last_state = signals
            .alarm
            .as_ref()
            .and_then(|a| serde_json::from_value(serde_json::Value::String(a.state.clone())).ok());
    }

    /// Whether code agrees that it is over: all signs hold, and hold again once late lines and
    /// points have had time to arrive; a flapping alarm is never over.
    async fn may_close(&mut self, signals: &Signals) -> bool {
        let checked = route::closing(&self.case, signals).await;
        self.story.last_state = checked.alarm.or(self.story.last_state);
        if !checked.over {
            let open: Vec<String> =
                checked.conditions.iter().filter(|c| !c.holds).map(|c| c.text.clone()).collect();
            self.story.not_checked.extend(checked.note);
            tracing::info!(open = ?open, "not closed");
        }
        checked.over
    }

    async fn decide(&mut self, signals: &Signals, found: &[Found]) -> (Diagnosis, Option<(Service, Action)>) {
        let diagnosis = decide::diagnose(&self.case, signals, found);
        let Some(service) = self.case.opened.service.clone() else {
            let why = "the catalog has no service for this alarm".to_owned();
            self.case.recorder.note(Event::NothingProposed { why });
            return (diagnosis, None);
        };
        let brief = decide::brief(&self.case, &service, signals, &diagnosis, Vec::new());
        let proposal = guarded(
            &self.case,
            &mut self.story,
            Stage::Decide,
            investigate::remediator(&self.case, &self.site.minds, &service, &brief),
        )
        .await;
        let Some(proposal) = proposal else { return (diagnosis, None) };
        let Some(action) = proposal.action else {
            self.case.recorder.note(Event::NothingProposed { why: proposal.reason });
            return (diagnosis, None);
        };
        if let Err(why) = decide::may_propose(&brief, &action) {
            let why = format!("`{action}` was suggested, but {why}");
            self.story.not_checked.push(why.clone());
            self.case.recorder.note(Event::NothingProposed { why });
            return (diagnosis, None);
        }
        (diagnosis, Some((service, action)))
    }

    async fn ask(
        &mut self,
        service: &Service,
        action: &Action,
        signals: &Signals,
        diagnosis: &Diagnosis,
    ) -> Option<Outcome> {
        let contract = decide::contract(&self.case, signals, Some(action));
        let Some(hands) = self.site.hands.clone() else {
            let why = format!("would propose to {action}, but here Midwatch only reads");
            self.case.recorder.note(Event::NothingProposed { why: why.clone() });
            self.escalate(contract.as_ref(), &why);
            return Some(Outcome::Escalated);
        };
        let opened = guarded(
            &self.case,
            &mut self.story,
            Stage::Approve,
            hands.desk.open(&self.case, service, action, &claimed(diagnosis)),
        )
        .await?;
        let request = match opened {
            Ok(request) => request,
            Err(error) => return Some(self.not_asked(action, &error, contract.as_ref())),
        };
        self.propose(&request, diagnosis);
        let mut question = Question {
            request: request.id.clone(),
            incident: self.case.opened.id.clone(),
            plan: request.plan.clone(),
            whom: request.whom(),
            roles: request.asks.iter().map(|a| a.role.clone()).collect(),
            already: Vec::new(),
            expires_at: request.expires_at,
        };
        let (ended, permit) = self.answer(&hands, &mut question).await;
        if let Some(proposal) = &mut self.story.proposal {
            proposal.answer = ended.answer;
            // Whoever declines, declines alone; an approval is of all who gave theirs.
            let before = if ended.answer == Answer::Approved { question.already } else { Vec::new() };
            let last = ended.reply.iter().map(|r| r.by.clone());
            let mut by: Vec<String> = before.into_iter().chain(last).collect();
            by.dedup();
            proposal.by = Some(by.join(" and ")).filter(|by| !by.is_empty());
        }
        match ended.answer {
            Answer::Approved => self.act(permit, &request, signals, contract.as_ref()).await,
            Answer::Withdrawn => {
                hands.desk.end(&request.id);
                self.cleared(signals, contract.as_ref()).await
            }
            Answer::Declined | Answer::Expired | Answer::NotAsked => {
                hands.desk.end(&request.id);
                let how = if ended.answer == Answer::Declined { "declined" } else { "not answered in time" };
                self.escalate(
                    contract.as_ref(),
                    &format!("the proposal to {action} was {how}; nothing was changed"),
                );
                Some(Outcome::Escalated)
            }
        }
    }

    /// Asks until all who have to have approved, or one does not.
    async fn answer(
        &mut self,
        hands: &Hands,
        question: &mut Question,
    ) -> (Ended, Option<Result<PermitId, DeskError>>) {
        loop {
            let ended = approve(&self.case, hands.approver.as_ref(), question).await;
            let by = ended.reply.as_ref().map(|r| r.by.clone());
            self.story.answers.push((self.case.now(), ended.answer, by));
            let Some(reply) = ended.reply.as_ref().filter(|_| ended.answer == Answer::Approved) else {
                return (ended, None);
            };
            match hands.desk.approve(&question.request, reply) {
                Err(DeskError::Unmet(_))
                    if !question.already.contains(&reply.by) && question.already.len() < 9 =>
                {
                    question.already.push(reply.by.clone());
                }
                settled => return (ended, Some(settled)),
            }
        }
    }

    fn propose(&mut self, request: &Request, diagnosis: &Diagnosis) {
        let evidence: Vec<String> = diagnosis.causes.first().map(|c| c.evidence.clone()).unwrap_or_default();
        let because: Vec<String> = diagnosis
            .claims
            .iter()
            .filter(|c| c.is_fact())
            .take(5)
            .map(|c| {
                let ids: Vec<&str> = c.evidence.iter().map(AsRef::as_ref).collect();
                format!("{} [{}]", c.text, ids.join(" "))
            })
            .collect();
        let policy = format!("asks {} by `{}`", request.whom(), request.rules.join("`, `"));
        let reason = diagnosis.text.clone();
        self.story.proposed_at = Some(self.case.now());
        self.story.proposal = Some(RunProposal {
            plan: request.plan.clone(),
            reason: reason.clone(),
            evidence: evidence.clone(),
            policy: policy.clone(),
            answer: Answer::Expired,
            by: None,
        });
        self.case.recorder.note(Event::Proposed { plan: request.plan.clone(), reason, evidence, because });
        self.case.recorder.note(Event::Judged { text: policy, may_ask: true });
    }

    fn not_asked(
        &mut self,
        action: &Action,
        error: &DeskError,
        contract: Option<&RunbookContract>,
    ) -> Outcome {
        self.case.recorder.note(Event::Judged { text: error.to_string(), may_ask: false });
        self.story.not_checked.push(format!("nobody was asked to {action}: {error}"));
        self.escalate(contract, &format!("`{action}` would fit, but nobody was asked: {error}"));
        Outcome::Escalated
    }

    async fn act(
        &mut self,
        permit: Option<Result<PermitId, DeskError>>,
        request: &Request,
        signals: &Signals,
        contract: Option<&RunbookContract>,
    ) -> Option<Outcome> {
        let action = request.plan.action.clone();
        match permit {
            Some(Ok(permit)) => {
                let event =
                    Event::Permitted { permit_id: permit.to_string(), request: request.id.to_string() };
                self.case.recorder.note(event);
            }
            Some(Err(error)) => return Some(self.not_asked(&action, &error, contract)),
            None => return None,
        }
        let done = guarded(
            &self.case,
            &mut self.story,
            Stage::Act,
            act::act(&self.case, &request.plan, request.id.as_str()),
        )
        .await?;
        let done = match done {
            Ok(done) => done,
            Err(error) => {
                failed(&self.case, &mut self.story, Stage::Act, format!("not done: {error}"));
                self.escalate(
                    contract,
                    "the approved action was not done: its intent could not be written down",
                );
                return Some(Outcome::Escalated);
            }
        };
        self.story.acted_at = Some(self.case.now());
        let (took_effect, outcome, detail) = (done.took_effect(), done.outcome.clone(), done.detail.clone());
        self.story.actions.push(done);
        if !took_effect {
            self.escalate(contract, &format!("the approved action to {action} was {outcome}: {detail}"));
            return Some(Outcome::Escalated);
        }
        let window = contract.map_or(STABLE, |c| Duration::from_secs(u64::from(c.verify.stability_window_s)));
        let onset = self.onset(signals);
        let verified =
            guarded(&self.case, &mut self.story, Stage::Verify, verify::verify(&self.case, onset, window))
                .await?;
        self.story.last_state = verified.alarm.or(self.story.last_state);
        let recovered = verified.recovered;
        let text = verified.text.clone();
        self.story.verified = Some(verified);
        if recovered {
            return Some(Outcome::Resolved);
        }
        let way_back = &request.plan.inverse.summary;
        self.escalate(contract, &format!("tried to {action}: {text}. The way back: {way_back}"));
        Some(Outcome::Escalated)
    }

    /// The alarm cleared while a person was being asked: over only if the signs say so as well.
    async fn cleared(&mut self, signals: &Signals, contract: Option<&RunbookContract>) -> Option<Outcome> {
        let checked = route::closing(&self.case, signals).await;
        self.story.last_state = checked.alarm.or(self.story.last_state);
        if checked.over {
            return Some(Outcome::Recovered);
        }
        let open: Vec<String> =
            checked.conditions.iter().filter(|c| !c.holds).map(|c| c.text.clone()).collect();
        self.escalate(
            contract,
            &format!("the alarm cleared, but there are no signs of recovery: {}", open.join(", ")),
        );
        Some(Outcome::Escalated)
    }

    fn onset(&self, signals: &Signals) -> Timestamp {
        signals.onset.unwrap_or(self.case.opened.alarm.at)
    }

    fn escalate(&mut self, contract: Option<&RunbookContract>, why: &str) {
        escalate(&self.case, &mut self.story, contract, why);
    }
}

/// Tells a person, once; a later reason replaces an earlier one in the report.
fn escalate(case: &Case, story: &mut Story, contract: Option<&RunbookContract>, why: &str) {
    let mut to: Vec<String> = contract.and_then(|c| c.escalate_to.clone()).into_iter().collect();
    for owner in case.opened.service.iter().flat_map(|s| &s.owners) {
        if !to.contains(owner) {
            to.push(owner.clone());
        }
    }
    let escalation = Escalation { why: why.to_owned(), to };
    case.recorder.note(Event::Escalated { escalation: escalation.clone() });
    story.escalated_at.get_or_insert(case.now());
    story.escalation = Some(escalation);
}

fn why_unresolved(diagnosis: &Diagnosis, signals: &Signals) -> String {
    match diagnosis.cause.kind {
        CauseKind::Unknown => decide::no_cause(signals).to_owned(),
        kind => format!(
            "the probable cause is {}{}, and there is no safe action for Midwatch to propose",
            kind.as_str().replace('_', " "),
            diagnosis.cause.reference.as_ref().map(|r| format!(" ({r})")).unwrap_or_default()
        ),
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
