//! Plans of what CodeDeploy deploys.

use aws_sdk_codedeploy::types::RevisionLocation;
use midwatch_policy::{AwsName, CodeDeployTarget, EndState, ExpectedState, Inverse, PlanStep, Risk, Service};

use super::{Draft, Live, Move, radius};
use crate::{
    refusal::Refusal,
    rollback::{self, CodeDeployWay},
    state::Phase,
};

pub(super) fn rollback(service: &Service, live: &Live, id: &AwsName) -> Result<Draft, Refusal> {
    let group = live.group.as_ref().ok_or_else(|| Refusal::NoTarget {
        why: format!("the catalog names no CodeDeploy deployment group for `{}`", service.name),
    })?;
    let way = rollback::codedeploy(group, service.name.as_str(), id.as_str())?;
    let (CodeDeployWay::Stop { bad, good } | CodeDeployWay::Redeploy { bad, good }) = &way;
    let newest = group.deployments.first().unwrap_or(bad);
    let CodeDeployTarget { application, deployment_group } = &group.target;
    let (call, step) = match &way {
        CodeDeployWay::Stop { .. } => (
            Move::StopDeployment { id: bad.id.clone() },
            PlanStep {
                api: "codedeploy:StopDeployment".to_owned(),
                detail: format!(
                    "stop {} with automatic rollback; CodeDeploy then redeploys {} (from {})",
                    bad.id, good.revision, good.id
                ),
            },
        ),
        CodeDeployWay::Redeploy { .. } => (
            Move::CreateDeployment {
                target: group.target.clone(),
                // `last_good` only gives deployments that have one.
                revision: Box::new(
                    good.location.clone().unwrap_or_else(|| RevisionLocation::builder().build()),
                ),
                rollback_of: bad.id.clone(),
            },
            PlanStep {
                api: "codedeploy:CreateDeployment".to_owned(),
                detail: format!(
                    "deploy {} (last good, from {}) to {application}/{deployment_group} in place of {}",
                    good.revision, good.id, bad.revision
                ),
            },
        ),
    };
    let mut warnings = Vec::new();
    if matches!(bad.phase, Phase::Failed | Phase::Stopped) {
        warnings
            .push(format!("{} did not finish: some instances may run {}, others not", bad.id, bad.revision));
    }
    if bad.phase == Phase::InProgress {
        warnings.push(format!(
            "should {} finish before this starts, {} is deployed instead of stopping it",
            bad.id, good.revision
        ));
    }
    if good.location.as_ref().is_some_and(is_loose) {
        warnings.push(format!(
            "{} has neither a version nor an ETag: whoever can write to its bucket decides what is deployed",
            good.revision
        ));
    }
    let (affected, kind) = match &live.running {
        Some(running) => (running.running, "tasks"),
        None => (bad.instances, "instances"),
    };
    Ok(Draft {
        step,
        expected: ExpectedState::CodeDeployDeployment {
            application: application.clone(),
            deployment_group: deployment_group.clone(),
            deployment_id: newest.id.clone(),
            revision: newest.revision.clone(),
        },
        result: EndState::Revision { revision: good.revision.clone() },
        blast_radius: radius(
            affected,
            affected,
            format!("all {affected} {kind} of {} go back to {}", service.name, good.revision),
        ),
        risk: Risk::Medium,
        inverse: Inverse { summary: format!("a person deploys {} once more", bad.revision), action: None },
        warnings,
        call,
    })
}

/// Whether what a revision names can be exchanged without its name changing.
fn is_loose(revision: &RevisionLocation) -> bool {
    revision.s3_location().is_some_and(|s3| s3.version().is_none() && s3.e_tag().is_none())
}
