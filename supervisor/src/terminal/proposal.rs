//! What the person who is asked gets to see: exactly the plan that the permit will be signed for.

use midwatch_policy::{ExpectedState, Plan, Risk};

use super::{
    Page,
    style::{BAD, GOOD, STRONG, WARN},
    text::{clean, visible},
};

/// The plan with its evidence, blast radius, way back and expected state.
pub(crate) fn show(page: &mut Page, plan: &Plan, reason: &str, because: &[String]) {
    page.blank();
    let action = plan.action.to_string();
    let gutter = page.gutter();
    let line = format!("{:gutter$}{STRONG}PROPOSAL{STRONG:#}  {STRONG}{action}{STRONG:#}", "");
    if visible(&line) <= page.width() {
        page.line(&line);
    } else {
        page.styled("PROPOSAL", STRONG);
        page.styled(&action, STRONG);
    }
    page.labelled("why", reason);
    for (at, line) in because.iter().enumerate() {
        page.labelled(if at == 0 { "evidence" } else { "" }, line);
    }
    for (at, step) in plan.steps.iter().enumerate() {
        page.labelled(if at == 0 { "will call" } else { "" }, &format!("{}  {}", step.api, step.detail));
    }
    page.labelled("touches", &plan.blast_radius.summary);
    if !plan.blast_radius.dependents.is_empty() {
        let names: Vec<&str> = plan.blast_radius.dependents.iter().map(AsRef::as_ref).collect();
        page.labelled("used by", &names.join(", "));
    }
    page.labelled("way back", &plan.inverse.summary);
    page.labelled("only if", &expected(&plan.expected));
    let (colour, risk) = match plan.risk {
        Risk::Low => (GOOD, "low"),
        Risk::Medium => (WARN, "medium"),
        Risk::High => (BAD, "high"),
    };
    page.labelled_in("risk", colour, risk);
    for warning in &plan.warnings {
        page.labelled("mind", &clean(warning));
    }
}

/// The state the action expects, in words.
pub(crate) fn expected(state: &ExpectedState) -> String {
    match state {
        ExpectedState::CodeDeployDeployment { deployment_group, deployment_id, revision, .. } => {
            format!("{deployment_id} is still the newest deployment of {deployment_group}, at {revision}")
        }
        ExpectedState::EcsDeployment { ecs_service, primary_deployment_id, task_definition, .. } => {
            let family = task_definition.as_str().rsplit('/').next().unwrap_or_default();
            format!("{ecs_service} still runs {family} as {primary_deployment_id}")
        }
        ExpectedState::EcsDesiredCount { ecs_service, desired_count, .. } => {
            format!("{ecs_service} still wants {desired_count} tasks")
        }
    }
}
