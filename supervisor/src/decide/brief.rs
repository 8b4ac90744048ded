//! The brief for the remediator, built from typed values only, and the rules that hold whatever
//! it answers.

use midwatch_agents::{
    brief::{Brief, BriefCause, BriefDeployment, BriefHealth, BriefRunbook, BriefTag},
    playbook,
    signals::Signals,
};
use midwatch_policy::{Action, ActionKind, AwsName, EvidenceId, Service, Timestamp, Verdict};

use crate::case::Case;

use super::Diagnosis;

/// Builds the brief: enums, ids, numbers and times; no text from outside, none from a model.
pub fn brief(
    case: &Case,
    service: &Service,
    signals: &Signals,
    diagnosis: &Diagnosis,
    tried: Vec<ActionKind>,
) -> Brief {
    Brief {
        kind: BriefTag::default(),
        incident: case.opened.id.clone(),
        service: service.name.clone(),
        verdict: diagnosis.verdict,
        causes: causes(diagnosis),
        onset: signals.onset,
        ongoing: ongoing(signals),
        deployments: deployments(signals),
        health: health(signals),
        runbooks: runbooks(signals),
        scale: service.scale,
        traffic_ratio: signals.traffic_now(),
        protected: service.protected,
        tried,
        at: case.now(),
    }
}

/// Whether the trouble still goes on: errors still come, the alarm is still up, or it went silent.
fn ongoing(signals: &Signals) -> bool {
    let firing = signals.alarm.as_ref().is_some_and(|a| a.state == "ALARM");
    firing && signals.errors_ongoing() != Some(false) || signals.silent() || signals.healthy() == Some(false)
}

fn causes(diagnosis: &Diagnosis) -> Vec<BriefCause> {
    let best = std::iter::once((&diagnosis.cause, diagnosis.confidence));
    let others =
        diagnosis.causes.iter().filter(|c| c.cause != diagnosis.cause).map(|c| (&c.cause, c.confidence));
    best.chain(others)
        .take(4)
        .map(|(cause, confidence)| BriefCause {
            kind: cause.kind,
            reference: cause.reference.as_ref().and_then(|r| AwsName::parse(r.clone()).ok()),
            confidence,
            evidence: diagnosis
                .causes
                .iter()
                .find(|c| c.cause == *cause)
                .map(|c| ids(&c.evidence))
                .unwrap_or_default(),
        })
        .collect()
}

fn ids(texts: &[String]) -> Vec<EvidenceId> {
    texts.iter().filter_map(|t| EvidenceId::parse(t.clone()).ok()).collect()
}

fn id(text: Option<&String>) -> Option<EvidenceId> {
    EvidenceId::parse(text?.clone()).ok()
}

fn deployments(signals: &Signals) -> Vec<BriefDeployment> {
    signals
        .deployments
        .iter()
        .filter(|d| d.own)
        .filter_map(|signal| {
            let deployment = &signal.deployment;
            let started_at: Timestamp = deployment.created_at?;
            Some(BriefDeployment {
                deployment_id: AwsName::parse(deployment.deployment_id.clone()).ok()?,
                status: deployment.status,
                started_at,
                score: signal.candidate.as_ref().map_or(0.0, |c| c.score),
                has_previous: deployment.previous_revision.is_some(),
                evidence: id(deployment.evidence.as_ref()),
            })
        })
        .collect()
}

fn health(signals: &Signals) -> Option<BriefHealth> {
    let health = signals.health.as_ref()?;
    Some(BriefHealth {
        desired: health.desired?,
        running: health.running?,
        oom_kills: u32::try_from(signals.oom_kills()).unwrap_or(u32::MAX),
        deployments_in_progress: health.deployments_in_progress,
    })
}

fn runbooks(signals: &Signals) -> Vec<BriefRunbook> {
    signals
        .runbooks
        .iter()
        .filter_map(|signal| {
            let contract = signal.hit.contract.as_ref()?;
            Some(BriefRunbook {
                evidence: id(signal.hit.evidence.as_ref()),
                score: signal.hit.score,
                signature_matched: signal.matched.is_some(),
                cause: contract.cause,
                action: contract.action,
                safe_during_deployment: contract.safe_during_deployment,
            })
        })
        .collect()
}

/// Whether the rules would propose this action themselves. A model may leave an action out or
/// choose another number of tasks within the bounds; it may not bring in one of its own.
pub fn may_propose(brief: &Brief, action: &Action) -> Result<(), String> {
    if brief.verdict != Verdict::Real {
        return Err("the trouble is not shown to be real".to_owned());
    }
    let own = playbook::propose(brief);
    match (&own.action, action) {
        (Some(rule), action) if rule == action => Ok(()),
        (
            Some(Action::ScaleService { service, .. }),
            Action::ScaleService { service: wanted, desired_count },
        ) if service == wanted
            && brief.scale.is_some_and(|b| (b.min..=b.max).contains(desired_count))
            && brief.health.is_some_and(|h| *desired_count > h.desired) =>
        {
            Ok(())
        }
        (Some(rule), _) => Err(format!("the rules would only {rule}")),
        (None, _) => Err(own.reason),
    }
}
