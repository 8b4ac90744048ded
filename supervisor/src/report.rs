//! Report: what was seen, decided and done, put together. Always written, whatever failed.

mod evidence;
mod prose;
pub mod quote;
mod timeline;

use std::sync::Arc;

use midwatch_agents::{finding::Finding, signals::Signals, sweep::Sweep};
use midwatch_policy::{CauseKind, HoldState, Plan, Timestamp, Verdict};
use serde::Deserialize;

use crate::{
    alarm::AlarmState,
    case::Case,
    decide::Diagnosis,
    others::Others,
    run::{
        Answer, Cause, ClaimKind, Escalation, Moment, Outcome, Run, RunAction, RunAlarm, RunClaim,
        RunProposal, RunRaised, RunUsage, RunWait, Timings,
    },
    sweep::Swept,
    verify::Verified,
};

use quote::Quote;

/// What the stages came to so far. Stages that did not run leave their part empty.
#[derive(Debug, Clone, Default)]
pub struct Story {
    /// First light.
    pub swept: Option<Arc<Swept>>,
    /// Everything that was observed, as it was last read.
    pub signals: Option<Signals>,
    /// What the runbook that fits says.
    pub quote: Option<Quote>,
    /// What the router said.
    pub routed: Option<String>,
    /// What the specialists found.
    pub findings: Vec<Finding>,
    /// What code made of it.
    pub diagnosis: Option<Diagnosis>,
    /// What was proposed, and what became of it.
    pub proposal: Option<RunProposal>,
    /// What was proposed to undo an action that did not help.
    pub undo: Option<RunProposal>,
    /// Who holds the incident, if a person does, and how.
    pub held: Option<(HoldState, String)>,
    /// When it was proposed and when it was answered.
    pub proposed_at: Option<Timestamp>,
    /// Each answer: when, how and who.
    pub answers: Vec<(Timestamp, Answer, Option<String>)>,
    /// What was done.
    pub actions: Vec<RunAction>,
    /// When it was done.
    pub acted_at: Option<Timestamp>,
    /// How it went on.
    pub verified: Option<Verified>,
    /// Why a person has to look.
    pub escalation: Option<Escalation>,
    /// When they were told.
    pub escalated_at: Option<Timestamp>,
    /// What was raised again after the end of what came before.
    pub raised: Vec<RunRaised>,
    /// The handling up to then.
    pub before: Vec<Moment>,
    /// The other alarms of the incident.
    pub others: Others,
    /// What was waited for.
    pub waited: Vec<RunWait>,
    /// State of the alarm when last read.
    pub last_state: Option<AlarmState>,
    /// What else was not checked.
    pub not_checked: Vec<String>,
    /// What went wrong in Midwatch.
    pub problems: Vec<String>,
}

impl Story {
    /// The plan that was proposed, if there was one.
    pub fn plan(&self) -> Option<&Plan> {
        self.proposal.as_ref().map(|p| &p.plan)
    }

    /// Whether an action was done.
    pub fn acted(&self) -> bool {
        self.actions.iter().any(RunAction::took_effect)
    }

    /// It goes on after its end, with a request that was raised again: what was found and done
    /// stays, what was asked and told is the past.
    pub fn go_on(&mut self, case: &Case, raised: RunRaised) {
        self.before.extend(timeline::handling(case, self));
        let RunRaised { request, by, at } = &raised;
        self.before.push(moment(*at, format!("{by} raised the request again: {request}")));
        self.raised.push(raised);
        self.answers.clear();
        (self.proposed_at, self.acted_at, self.escalated_at) = (None, None, None);
        (self.verified, self.escalation, self.held) = (None, None, None);
    }

    /// The sweep.
    pub fn sweep(&self) -> Option<&Sweep> {
        self.swept.as_ref().map(|s| &s.sweep)
    }
}

/// Puts the run together.
pub fn report(case: &Case, story: &Story, outcome: Outcome) -> Run {
    let opened = &case.opened;
    let total = case.spend.total();
    let (report_ms, report_wall) = case.recorder.elapsed_ms();
    let first = story.swept.as_ref().map_or((0, 0), |s| s.summary_ms);
    let diagnosis = story.diagnosis.clone().unwrap_or_else(Diagnosis::none);
    let claims = claims(story, &diagnosis, outcome);
    let (verdict, cause) = match outcome {
        Outcome::ClosedTransient => {
            let reference = opened.service.as_ref().map(|s| s.name.to_string());
            (Verdict::Transient, Cause { kind: CauseKind::Transient, reference })
        }
        Outcome::Resolved | Outcome::Recovered | Outcome::Escalated | Outcome::TakenOver => {
            (diagnosis.verdict, diagnosis.cause.clone())
        }
    };
    let mut problems = story.problems.clone();
    match case.recorder.lost() {
        0 => {}
        lost => problems.push(format!("{lost} events are missing from the journal: too many at once")),
    }
    Run {
        incident: opened.id.clone(),
        alarm: RunAlarm {
            name: opened.alarm.name.clone(),
            state: opened.alarm.state,
            at: opened.alarm.at,
            last_state: story.last_state,
        },
        others: story.others.clone(),
        service: opened.service.as_ref().map(|s| s.name.clone()),
        verdict,
        cause,
        confidence: diagnosis.confidence,
        factors: diagnosis.factors.clone(),
        causes: diagnosis.causes.clone(),
        outcome,
        actions: story.actions.clone(),
        proposal: story.proposal.clone(),
        undo: story.undo.clone(),
        raised: story.raised.clone(),
        escalated: story.escalation.is_some(),
        escalation: story.escalation.clone(),
        summary: prose::summary(case, story, &diagnosis, outcome),
        probable_cause: diagnosis.text.clone(),
        next_steps: prose::next_steps(case, story, &diagnosis, outcome),
        evidence: evidence::list(&case.book, &claims),
        claims,
        timeline: timeline::timeline(case, story),
        not_checked: not_checked(case, story),
        problems,
        usage: RunUsage {
            model_calls: u32::try_from(total.model_calls).unwrap_or(u32::MAX),
            input_tokens: total.usage.input_tokens
                + total.usage.cache_read_tokens
                + total.usage.cache_write_tokens,
            cached_input_tokens: total.usage.cache_read_tokens,
            output_tokens: total.usage.output_tokens,
            cost_micro_usd: total.cost_micro_usd,
        },
        waited: story.waited.clone(),
        timings_ms: Timings { first_summary: first.0, report: report_ms },
        wall_ms: Timings { first_summary: first.1, report: report_wall },
        journal_entries: 0,
    }
}

/// Code's own facts first, then what the specialists claim; the same sentence once.
fn claims(story: &Story, diagnosis: &Diagnosis, outcome: Outcome) -> Vec<RunClaim> {
    let mut all: Vec<RunClaim> = Vec::new();
    let of_findings = story.findings.iter().flat_map(|f| &f.claims);
    for claim in diagnosis.claims.iter().chain(of_findings) {
        let mut claim = RunClaim::from(claim);
        if let Some(same) = all.iter_mut().find(|c| c.text == claim.text) {
            if same.kind == ClaimKind::Guess && claim.kind == ClaimKind::Fact {
                std::mem::swap(same, &mut claim);
            }
            continue;
        }
        all.push(claim);
    }
    // What was so when it was read is not so in the report of what is over.
    if !outcome.needs_a_person() {
        for claim in &mut all {
            claim.text = claim
                .text
                .replace(" is in ALARM since ", " went to ALARM at ")
                .replace(" is in ALARM", " was in ALARM");
        }
    }
    all
}

/// What an answer says of itself.
#[derive(Default, Deserialize)]
struct Noted {
    #[serde(default)]
    notes: Vec<String>,
}

fn not_checked(case: &Case, story: &Story) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    if case.opened.service.is_none() {
        all.push(format!(
            "logs, deployments, tasks and traffic: the catalog has no service for the alarm `{}`",
            case.opened.alarm.name
        ));
    }
    for part in story.sweep().map(|s| s.missing.as_slice()).unwrap_or_default() {
        let about = part.service.as_ref().map(|s| format!(" of {s}")).unwrap_or_default();
        all.push(format!("{}{about}: {}", part.tool, part.why));
    }
    // An answer that came can still be without one of its sources; it says so in its notes.
    let parts = story.sweep().map(|s| s.parts.as_slice()).unwrap_or_default();
    for part in parts {
        let gaps = part.result.read::<Noted>().unwrap_or_default().notes.into_iter();
        let gap = |note: &String| note.contains(" missing: ") || note.contains("could not be read");
        all.extend(gaps.filter(gap).map(|note| format!("{}: {note}", part.tool)));
    }
    all.extend(case.tools.toolbox().missing());
    all.extend(case.remarks());
    all.extend(story.findings.iter().flat_map(|f| f.not_checked.clone()));
    all.extend(story.not_checked.clone());
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|gap| seen.insert(gap.clone()));
    all
}

/// A moment on the incident's clock.
pub(crate) fn moment(at: Timestamp, text: impl Into<String>) -> Moment {
    Moment { at, text: text.into() }
}

/// Whether a request ended without leave to act.
pub(crate) const fn without_leave(answer: Answer) -> bool {
    !matches!(answer, Answer::Approved)
}
