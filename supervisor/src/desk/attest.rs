//! What the desk reads itself before it asks policy.

use std::time::Duration;

use midwatch_agents::view::Health;
use midwatch_policy::{Action, Attested, Caller, CallerKind, Claimed, Plan, Service, ToolCall, ToolClass};
use serde_json::{Map, Value};

use crate::case::Case;

use super::about;

/// Deadline of a look.
const LOOK: Duration = Duration::from_secs(10);

/// Live facts about the target.
pub(super) async fn attest(case: &Case, service: &Service, plan: &Plan) -> Attested {
    let health = case.read("deployments", "service_health", about(service), LOOK).await;
    let health: Option<Health> = health.ok().and_then(|a| serde_json::from_value(a.result).ok());
    Attested {
        // There is no calendar of freezes yet, and no zone for an owner's office.
        change_freeze: false,
        business_hours: false,
        deployments_in_progress: health.map_or(0, |h| h.deployments_in_progress),
        tasks_running: plan.blast_radius.tasks_running,
        tasks_affected: plan.blast_radius.tasks_affected,
        // One desk for one incident, which acts at most once.
        actions_last_hour: 0,
    }
}

/// The call as policy sees it.
pub(super) fn call<'a>(
    subject: &'a str,
    action: &Action,
    arguments: &'a Map<String, Value>,
    service: &'a Service,
    attested: Attested,
    claimed: &'a Claimed,
) -> ToolCall<'a> {
    ToolCall {
        caller: Caller { kind: CallerKind::Supervisor, name: subject },
        server: "remediation",
        tool: action.kind().tool(),
        class: ToolClass::Mutate,
        arguments,
        service: Some(service),
        attested,
        claimed: Some(claimed),
    }
}
