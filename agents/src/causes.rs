//! Why: causes ranked by listed, weighted factors.
//!
//! Pure. Each factor names what was seen and carries, where it rests on evidence, a claim that the
//! evidence book can check; confidence is computed from the factors, from how far the best cause is
//! ahead, and from what could not be read. The playbook concludes with this ranking and the
//! supervisor forms its diagnosis with it. Letting a model state its confidence was rejected:
//! nobody can check such a number.

mod dependency;
mod deployment;
mod fact;
mod resource;
mod transient;
mod workflow;

use midwatch_policy::{CauseKind, Verdict};
use serde::{Deserialize, Serialize};

use crate::{finding::ClaimDraft, signals::Signals};
pub(crate) use fact::short;
pub use fact::{context_facts, screened_facts};
pub use transient::is_over;

/// One thing that speaks for or against a cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Factor {
    /// What was seen, in a few words.
    pub name: String,
    /// How much it speaks for (positive) or against (negative).
    pub weight: f64,
    /// What it rests on.
    #[serde(default)]
    pub evidence: Vec<String>,
    /// The same as a claim that can be checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fact: Option<ClaimDraft>,
}

/// A cause and all that speaks for and against it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankedCause {
    /// What kind.
    pub kind: CauseKind,
    /// Which one.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Sum of the weights.
    pub score: f64,
    /// Computed confidence, 0 to 1.
    pub confidence: f64,
    /// What it is the sum of, weightiest first.
    pub factors: Vec<Factor>,
}

/// Where every ranking ends: what speaks for no cause at all.
const UNKNOWN: f64 = 0.3;

/// Ranks the causes that the signals allow, best first. Never empty: `unknown` is always among
/// them, and stands first when nothing else reaches it.
pub fn rank(signals: &Signals) -> Vec<RankedCause> {
    let mut causes: Vec<RankedCause> = Vec::new();
    causes.extend(deployment::weigh(signals));
    causes.extend(dependency::weigh(signals));
    causes.extend(resource::weigh(signals));
    causes.extend(transient::weigh(signals));
    workflow::weigh(signals, &mut causes);
    // The alarm alone names no cause.
    causes.retain(|cause| cause.score > 0.05 && !signals.nothing_read());
    causes.push(unknown(signals));
    causes.sort_by(|a, b| b.score.total_cmp(&a.score));
    let rival = |n: usize| causes.get(n).filter(|c| c.kind != CauseKind::Unknown).map_or(0.0, |c| c.score);
    let (first, second) = (rival(0), rival(1));
    let blind = blindness(signals);
    for (n, cause) in causes.iter_mut().enumerate() {
        cause.confidence = confidence(cause, if n == 0 { second } else { first }, blind);
    }
    causes
}

/// How sure, from the score, the rival's score and what was not seen.
fn confidence(cause: &RankedCause, rival: f64, blind: f64) -> f64 {
    if cause.kind == CauseKind::Unknown {
        return round(0.2_f64.min(cause.score));
    }
    let own = cause.score.clamp(0.0, 1.0) * 0.95;
    // A rival with half the score takes nothing, one with the same score takes 45 %.
    let closeness = if cause.score <= 0.0 { 1.0 } else { (rival / cause.score).clamp(0.0, 1.0) };
    let contested = ((closeness - 0.5) * 2.0).max(0.0) * 0.45;
    round((own * (1.0 - contested) - blind).clamp(0.02, 0.95))
}

/// What could not be read makes every answer less sure.
fn blindness(signals: &Signals) -> f64 {
    let mut blind = 0.0;
    if signals.errors.is_none() && signals.patterns.is_empty() {
        blind += 0.1;
    }
    if !signals.deployments_read && signals.deployments.is_empty() {
        blind += 0.08;
    }
    if signals.alarm.is_none() {
        blind += 0.04;
    }
    blind
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn unknown(signals: &Signals) -> RankedCause {
    let mut weighing = Weighing::new(CauseKind::Unknown, None);
    if signals.nothing_read() {
        weighing.add("nothing could be read that would name a cause", 0.0, None);
    } else {
        weighing.add("no cause stands out by itself", UNKNOWN, None);
    }
    if signals.flapping() {
        weighing.add(
            "the alarm goes in and out, which a single cause seldom explains",
            0.1,
            fact::history(signals),
        );
    }
    weighing.done()
}

/// What the alarm turned out to be, given the ranking.
pub fn verdict(signals: &Signals, ranked: &[RankedCause]) -> Verdict {
    let Some(top) = ranked.first() else { return Verdict::Unclear };
    if top.kind == CauseKind::Transient {
        return if transient::is_over(signals) { Verdict::Transient } else { Verdict::Unclear };
    }
    let down = signals.silent() || signals.healthy() == Some(false);
    let failing = signals.errors_ongoing() == Some(true) || signals.workflow_fails();
    let firing = signals.alarm.as_ref().is_some_and(|alarm| alarm.state == "ALARM");
    let known = top.kind != CauseKind::Unknown;
    match (known, firing, down || failing) {
        // Something is wrong now, or something was and its cause is known.
        (_, true, true) | (true, true, false) => Verdict::Real,
        (true, false, _) if top.confidence >= 0.4 => Verdict::Real,
        (_, false, true) if down => Verdict::Real,
        _ => Verdict::Unclear,
    }
}

/// Collects factors.
struct Weighing(RankedCause);

impl Weighing {
    fn new(kind: CauseKind, reference: Option<String>) -> Self {
        Self(RankedCause { kind, reference, score: 0.0, confidence: 0.0, factors: Vec::new() })
    }

    fn add(&mut self, name: impl Into<String>, weight: f64, fact: Option<ClaimDraft>) {
        let mut evidence: Vec<String> =
            fact.iter().flat_map(|f| &f.citations).map(|c| c.evidence.clone()).collect();
        evidence.dedup();
        self.0.factors.push(Factor { name: name.into(), weight: round(weight), evidence, fact });
    }

    fn done(mut self) -> RankedCause {
        self.0.score = round(self.0.factors.iter().map(|f| f.weight).sum());
        self.0.factors.sort_by(|a, b| b.weight.abs().total_cmp(&a.weight.abs()));
        self.0
    }
}

/// Adds what matching runbooks say about a kind of cause: the team has seen this before.
fn add_runbook(weighing: &mut Weighing, signals: &Signals, weight: f64) {
    let kind = weighing.0.kind;
    let treats = |r: &&crate::signals::RunbookSignal| {
        r.matched.is_some() && r.hit.contract.as_ref().is_some_and(|c| c.cause == Some(kind))
    };
    if let Some(runbook) = signals.runbooks.iter().find(treats) {
        weighing.add(
            "a runbook with this error's signature treats this cause",
            weight,
            fact::runbook(runbook),
        );
    } else if signals.runbooks.iter().any(|r| {
        r.matched.is_some() && r.hit.contract.as_ref().is_some_and(|c| c.cause.is_some_and(|c| c != kind))
    }) && kind != CauseKind::Transient
    {
        weighing.add("the runbook with this error's signature treats another cause", -0.1, None);
    }
}

#[cfg(test)]
mod tests;
