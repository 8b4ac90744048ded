//! What changed between the state that was approved and the one that is there, in words.

use midwatch_policy::{AwsName, EndState, ExpectedState, Terms};

use crate::state::short;

/// One line for whoever has to decide again.
pub(crate) fn difference(approved: &Terms, live: &Terms) -> String {
    let mut parts = Vec::new();
    compare(&mut parts, "the place", &approved.place.to_string(), &live.place.to_string());
    states(&mut parts, &approved.expected, &live.expected);
    // What it starts from says it already.
    if parts.is_empty() {
        compare(&mut parts, "what it leads to", &outcome(&approved.result), &outcome(&live.result));
    }
    parts.join("; ")
}

fn compare(parts: &mut Vec<String>, what: &str, then: &str, now: &str) {
    if then != now {
        parts.push(format!("{what} was `{then}`, now it is `{now}`"));
    }
}

fn outcome(result: &EndState) -> String {
    match result {
        EndState::Revision { revision } => revision.clone(),
        EndState::TaskDefinition { task_definition } => short(task_definition.as_str()).to_owned(),
        EndState::DesiredCount { desired_count } => format!("{desired_count} tasks"),
    }
}

fn states(parts: &mut Vec<String>, expected: &ExpectedState, live: &ExpectedState) {
    use ExpectedState::{CodeDeployDeployment, EcsDeployment, EcsDesiredCount};
    let mut compare = |what: &str, then: &str, now: &str| compare(parts, what, then, now);
    let target = |a: &AwsName, b: &AwsName| format!("{a}/{b}");
    match (expected, live) {
        (
            CodeDeployDeployment { application, deployment_group, deployment_id, revision },
            CodeDeployDeployment { application: a, deployment_group: g, deployment_id: d, revision: r },
        ) => {
            compare("the deployment group", &target(application, deployment_group), &target(a, g));
            compare("the newest deployment", deployment_id.as_str(), d.as_str());
            compare("its revision", revision, r);
        }
        (
            EcsDeployment { cluster, ecs_service, primary_deployment_id, task_definition },
            EcsDeployment { cluster: c, ecs_service: s, primary_deployment_id: p, task_definition: t },
        ) => {
            compare("the ECS service", &target(cluster, ecs_service), &target(c, s));
            compare("the primary deployment", primary_deployment_id.as_str(), p.as_str());
            compare("the task definition", short(task_definition.as_str()), short(t.as_str()));
        }
        (
            EcsDesiredCount { cluster, ecs_service, desired_count },
            EcsDesiredCount { cluster: c, ecs_service: s, desired_count: n },
        ) => {
            compare("the ECS service", &target(cluster, ecs_service), &target(c, s));
            compare("the desired count", &desired_count.to_string(), &n.to_string());
        }
        _ => parts.push("it is deployed in another way".to_owned()),
    }
}
