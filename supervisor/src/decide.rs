//! Decide: code weighs what was found. Models contribute findings; the ranking, the confidence and
//! whether an action may be proposed at all are computed here.
//!
//! INVARIANT: a model can make the diagnosis less sure, and can name a cause where code sees none;
//! it cannot make an action possible that the rules over the brief would not propose.

mod brief;
mod words;

use midwatch_agents::{
    causes::{self, RankedCause},
    finding::{CauseDraft, Claim, Finding},
    playbook::PLAYBOOK,
    signals::Signals,
};
use midwatch_policy::{Action, CauseKind, RunbookContract, Verdict};

use crate::{
    case::Case,
    event::Event,
    memory::{self, Remembered},
    run::{Cause, Factor, WeighedCause},
};

pub use brief::{brief, may_propose};
pub(crate) use words::no_cause;

/// Confidence that a cause cannot pass which only a model names.
const MODEL_ALONE: f64 = 0.5;
/// What agreement of a model with the ranking adds, and disagreement takes.
const AGREES: f64 = 0.03;
const DISAGREES: f64 = 0.1;

/// A finding and who concluded it.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The finding.
    pub finding: Finding,
    /// The model's id, or `playbook`.
    pub concluded_by: String,
}

/// What code makes of everything that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnosis {
    /// What the alarm turned out to be.
    pub verdict: Verdict,
    /// The probable cause.
    pub cause: Cause,
    /// Confidence in it.
    pub confidence: f64,
    /// What the confidence was computed from.
    pub factors: Vec<Factor>,
    /// All causes that were weighed.
    pub causes: Vec<WeighedCause>,
    /// What code itself claims, checked like everything else.
    pub claims: Vec<Claim>,
    /// In a sentence or two.
    pub text: String,
}

impl Diagnosis {
    /// Nothing is known.
    pub fn none() -> Self {
        Self {
            verdict: Verdict::Unclear,
            cause: Cause { kind: CauseKind::Unknown, reference: None },
            confidence: 0.0,
            factors: Vec::new(),
            causes: Vec::new(),
            claims: Vec::new(),
            text: "The evidence names no cause.".to_owned(),
        }
    }
}

/// Forms the diagnosis.
pub fn diagnose(case: &Case, signals: &Signals, found: &[Found]) -> Diagnosis {
    let ranked = causes::rank(signals);
    let verdict = causes::verdict(signals, &ranked);
    let claims = claims(case, signals, &ranked);
    let mut diagnosis = match ranked.first() {
        None => Diagnosis { verdict, claims, ..Diagnosis::none() },
        Some(top) => Diagnosis {
            verdict,
            cause: cause_of(top),
            confidence: top.confidence,
            factors: top.factors.iter().map(|f| Factor { text: f.name.clone(), weight: f.weight }).collect(),
            causes: ranked.iter().map(weighed).collect(),
            claims,
            text: String::new(),
        },
    };
    weigh_models(&mut diagnosis, found);
    diagnosis.text = words::cause(&diagnosis, signals);
    let Diagnosis { cause, confidence, factors, causes, text, .. } = diagnosis.clone();
    case.recorder.note(Event::Diagnosed { cause, confidence, factors, causes, text });
    diagnosis
}

/// Lets what helped and did not help before move the confidence.
pub fn remember(case: &Case, diagnosis: &mut Diagnosis, past: &[Remembered]) {
    let factors = memory::factors(past);
    if factors.is_empty() || diagnosis.cause.kind == CauseKind::Unknown {
        return;
    }
    for Factor { text, weight } in factors {
        add(diagnosis, text, weight);
    }
    diagnosis.confidence = (diagnosis.confidence.clamp(0.0, 0.95) * 100.0).round() / 100.0;
    let Diagnosis { cause, confidence, factors, causes, text, .. } = diagnosis.clone();
    case.recorder.note(Event::Diagnosed { cause, confidence, factors, causes, text });
}

fn cause_of(ranked: &RankedCause) -> Cause {
    Cause { kind: ranked.kind, reference: ranked.reference.clone() }
}

fn weighed(ranked: &RankedCause) -> WeighedCause {
    let mut evidence: Vec<String> = ranked.factors.iter().flat_map(|f| f.evidence.clone()).collect();
    evidence.dedup();
    WeighedCause { cause: cause_of(ranked), confidence: ranked.confidence, evidence }
}

/// The facts behind the best cause, what else is worth knowing, and texts that tried to instruct.
fn claims(case: &Case, signals: &Signals, ranked: &[RankedCause]) -> Vec<Claim> {
    let behind = ranked.iter().take(1).flat_map(|c| &c.factors).filter_map(|f| f.fact.clone());
    behind
        .chain(causes::context_facts(signals))
        .chain(causes::screened_facts(signals))
        .map(|draft| case.book.check(&draft, "midwatch"))
        .collect()
}

/// Lets what models concluded move the confidence. The playbook's conclusion is this same
/// ranking, so it counts for nothing.
fn weigh_models(diagnosis: &mut Diagnosis, found: &[Found]) {
    for found in found.iter().filter(|f| f.concluded_by != PLAYBOOK) {
        let Some(named) = found.finding.causes.first().filter(|c| c.kind != CauseKind::Unknown) else {
            continue;
        };
        let who = found.finding.specialist.replace('_', " ");
        if diagnosis.cause.kind == CauseKind::Unknown {
            adopt(diagnosis, named, &found.finding, &who);
        } else if same(&diagnosis.cause, named) {
            add(diagnosis, format!("the {who} names the same cause"), AGREES);
        } else {
            add(diagnosis, format!("the {who} names another cause: {}", named.kind), -DISAGREES);
        }
    }
    diagnosis.confidence = (diagnosis.confidence.clamp(0.0, 0.95) * 100.0).round() / 100.0;
}

fn same(cause: &Cause, named: &CauseDraft) -> bool {
    cause.kind == named.kind && (named.reference.is_none() || named.reference == cause.reference)
}

fn add(diagnosis: &mut Diagnosis, text: String, weight: f64) {
    diagnosis.confidence += weight;
    diagnosis.factors.push(Factor { text, weight });
}

/// A cause that only a model names, if it has shown facts for something; never sure enough to act.
fn adopt(diagnosis: &mut Diagnosis, named: &CauseDraft, finding: &Finding, who: &str) {
    let facts = finding.claims.iter().filter(|c| c.is_fact()).count();
    if facts == 0 {
        return;
    }
    let confidence = named.confidence.clamp(0.0, MODEL_ALONE);
    diagnosis.cause = Cause { kind: named.kind, reference: named.reference.clone() };
    diagnosis.confidence = confidence;
    let text = format!("only the {who} names this cause, with {facts} checked facts; no rule does");
    diagnosis.factors = vec![Factor { text, weight: confidence }];
    let evidence =
        finding.claims.iter().flat_map(|c| &c.evidence).map(ToString::to_string).collect::<Vec<_>>();
    let weighed = WeighedCause { cause: diagnosis.cause.clone(), confidence, evidence };
    diagnosis.causes.insert(0, weighed);
}

/// The contract of the runbook that matches the errors and allows this action, if one does; the
/// best matching one otherwise.
pub fn contract(case: &Case, signals: &Signals, action: Option<&Action>) -> Option<RunbookContract> {
    let contracts: Vec<RunbookContract> = signals
        .runbooks
        .iter()
        .filter(|r| r.matched.is_some())
        .filter_map(|r| case.book.get(r.hit.evidence.as_deref()?))
        .filter_map(|piece| serde_json::from_value(piece.value().get("contract")?.clone()).ok())
        .collect();
    let kind = action.map(Action::kind);
    contracts.iter().find(|c| kind.is_some() && c.action == kind).or(contracts.first()).cloned()
}
