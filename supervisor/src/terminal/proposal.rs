//! What the person who is asked gets to see: exactly the plan that the permit will be signed for.

use midwatch_policy::{EndState, ExpectedState, Plan, Risk, Terms};

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
    page.labelled("where", &plan.terms.place.to_string());
    page.labelled("touches", &plan.blast_radius.summary);
    if !plan.blast_radius.dependents.is_empty() {
        let names: Vec<&str> = plan.blast_radius.dependents.iter().map(AsRef::as_ref).collect();
        page.labelled("used by", &names.join(", "));
    }
    page.labelled("way back", &plan.inverse.summary);
    terms(page, &plan.terms);
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

/// What has to be so when it starts, and what is so when it is done.
pub(crate) fn terms(page: &mut Page, terms: &Terms) {
    page.labelled("only if", &expected(&terms.expected));
    let leads_to = match &terms.result {
        EndState::Revision { revision } => format!("{revision} is deployed"),
        EndState::TaskDefinition { task_definition } => format!("{} runs", family(task_definition.as_str())),
        EndState::DesiredCount { desired_count } => format!("{desired_count} tasks are wanted"),
    };
    page.labelled("leads to", &leads_to);
}

/// `arn:…:task-definition/api:4` → `api:4`.
fn family(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or_default()
}

/// The state the action expects, in words.
fn expected(state: &ExpectedState) -> String {
    match state {
        ExpectedState::CodeDeployDeployment { deployment_group, deployment_id, revision, .. } => {
            format!("{deployment_id} is still the newest deployment of {deployment_group}, at {revision}")
        }
        ExpectedState::EcsDeployment { ecs_service, primary_deployment_id, task_definition, .. } => {
            let family = family(task_definition.as_str());
            format!("{ecs_service} still runs {family} as {primary_deployment_id}")
        }
        ExpectedState::EcsDesiredCount { ecs_service, desired_count, .. } => {
            format!("{ecs_service} still wants {desired_count} tasks")
        }
    }
}
