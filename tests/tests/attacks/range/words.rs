//! Actions, and how they are asked for.

use std::collections::BTreeMap;

use midwatch_policy::{Action, AwsName, Catalog, Service, ServiceName};
use serde_json::{Value, json};

use super::Range;

#[allow(clippy::needless_pass_by_value, reason = "reads better where it is called")]
pub(crate) fn asking(action: &Action, more: Value) -> Value {
    let mut asking = json!({
        "incident": "inc-1", "action": action, "reason": "it leaks",
        "evidence": [{"id": "E1", "text": "memory grows"}],
        "claimed": {"confidence_percent": 90, "phase": "decide", "severity": "alarm", "evidence": ["E1"]},
    });
    for (key, value) in more.as_object().unwrap() {
        asking[key] = value.clone();
    }
    asking
}

pub(crate) fn rollback(service: &str, deployment: &str) -> Action {
    Action::RollbackDeployment {
        service: ServiceName::parse(service).unwrap(),
        deployment_id: AwsName::parse(deployment).unwrap(),
    }
}

pub(crate) fn restart(service: &str) -> Action {
    Action::RestartService { service: ServiceName::parse(service).unwrap() }
}

pub(crate) fn scale(service: &str, desired_count: u32) -> Action {
    Action::ScaleService { service: ServiceName::parse(service).unwrap(), desired_count }
}

/// Changes an ECS service past everybody.
pub(crate) async fn update(range: &Range, service: &str, more: Value) {
    let found = range.world.catalog().get(&ServiceName::parse(service).unwrap()).unwrap();
    let target = found.ecs.as_ref().unwrap();
    let mut input = json!({"cluster": target.cluster, "service": target.service});
    for (key, value) in more.as_object().unwrap() {
        input[key] = value.clone();
    }
    range.elsewhere("AmazonEC2ContainerServiceV20141113.UpdateService", &input).await;
}

/// A catalog as its file.
pub(crate) fn catalog(catalog: &Catalog) -> String {
    let services: Vec<&Service> = catalog.services().collect();
    toml::to_string(&BTreeMap::from([("service", services)])).unwrap()
}
