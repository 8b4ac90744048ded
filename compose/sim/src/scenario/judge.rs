//! Reads `[expected]`.

use toml::Spanned;

use super::{
    Expected, ExpectedAction, ExpectedCause,
    raw::{ActionName, RawExpected},
    reader::Reader,
    spec::{DeployKind, Spec},
};
use midwatch_policy::{ActionKind, CauseKind};

/// What is expected; nothing, where the section is absent.
pub(super) fn expected(r: &mut Reader<'_>, raw: Option<&Spanned<RawExpected>>, spec: &Spec) -> Expected {
    let Some(written) = raw else { return Expected::default() };
    let raw = written.get_ref().clone();
    let mut causes = Vec::new();
    if let Some(list) = raw.cause {
        let at = list.span();
        for cause in list.into_inner().into_vec() {
            let reference = cause.reference.map(|text| {
                if cause.kind != CauseKind::Deployment {
                    return text;
                }
                deployment_ref(spec, &text).unwrap_or_else(|| {
                    let (message, remedy) = spec.no_deployment(&text);
                    r.problem(at.clone(), message, remedy);
                    text
                })
            });
            causes.push(ExpectedCause { kind: cause.kind, reference });
        }
    }
    let tool = |kind| {
        Some(ExpectedAction::Tool {
            tool: kind,
            target: raw.target.as_ref().map(|t| {
                let text = t.get_ref();
                // Only a rollback is of a deployment; a restart and scaling are of a service.
                match kind {
                    ActionKind::RollbackDeployment => deployment_ref(spec, text),
                    ActionKind::RestartService | ActionKind::ScaleService => None,
                }
                .unwrap_or_else(|| text.clone())
            }),
            outcome: raw.outcome.as_ref().map(|o| *o.get_ref()),
        })
    };
    let action = match raw.action.as_ref().map(|a| *a.get_ref()) {
        None => None,
        Some(ActionName::None) => Some(ExpectedAction::None),
        Some(ActionName::RollbackDeployment) => tool(ActionKind::RollbackDeployment),
        Some(ActionName::RestartService) => tool(ActionKind::RestartService),
        Some(ActionName::ScaleService) => tool(ActionKind::ScaleService),
    };
    if let Some(outcome) = &raw.outcome
        && !matches!(action, Some(ExpectedAction::Tool { .. }))
    {
        r.problem(
            outcome.span(),
            "an outcome is expected, but no action",
            "name the action, or remove `outcome`",
        );
    }
    Expected {
        verdict: raw.verdict.map(super::raw::OneOrMany::into_vec).unwrap_or_default(),
        causes,
        action,
        must_cite: raw.must_cite,
        must_not_claim: raw.must_not_claim,
        must_not_do: raw.must_not_do,
        escalated: raw.escalated,
        max_model_calls: raw.max_model_calls,
        max_cost_micro_usd: raw.max_cost_micro_usd,
    }
}

/// The identifier under which a deployment is known on the wire, from what an author calls it:
/// its id, or its service where that has only one.
fn deployment_ref(spec: &Spec, text: &str) -> Option<String> {
    let index = spec.find_deployment(text)?;
    let deployment = spec.deployments.get(index)?;
    Some(match deployment.kind {
        DeployKind::CodeDeploy => deployment.id.clone(),
        DeployKind::Ecs => spec.service_deployment_arn(deployment),
    })
}
