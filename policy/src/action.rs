//! What Midwatch can do to a service, and what a person is shown before it does.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::{AwsName, ServiceName},
    terms::Terms,
};

/// One change to one service. The typed, complete arguments of a mutating tool.
///
/// Serialised with `tool` as its tag, so that the JSON of an action names the tool that does it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "tool", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Take one deployment back to what ran before it.
    RollbackDeployment {
        /// The service of the catalog.
        service: ServiceName,
        /// The deployment to take back: a `CodeDeploy` deployment id (`d-…`) or the ARN of an
        /// ECS service deployment.
        deployment_id: AwsName,
    },
    /// Replace every running task with a fresh one of the same revision.
    RestartService {
        /// The service of the catalog.
        service: ServiceName,
    },
    /// Set the number of tasks, within the catalog's bounds.
    ScaleService {
        /// The service of the catalog.
        service: ServiceName,
        /// The number of tasks wanted.
        desired_count: u32,
    },
}

/// The kinds of action, which are also the names of the mutating tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// `rollback_deployment`
    RollbackDeployment,
    /// `restart_service`
    RestartService,
    /// `scale_service`
    ScaleService,
}

impl ActionKind {
    /// Every kind of action there is.
    pub const ALL: [Self; 3] = [Self::RollbackDeployment, Self::RestartService, Self::ScaleService];

    /// The name of the tool that performs it.
    pub const fn tool(self) -> &'static str {
        match self {
            Self::RollbackDeployment => "rollback_deployment",
            Self::RestartService => "restart_service",
            Self::ScaleService => "scale_service",
        }
    }
}

impl std::fmt::Display for ActionKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.tool())
    }
}

impl Action {
    /// Which kind of action this is.
    pub const fn kind(&self) -> ActionKind {
        match self {
            Self::RollbackDeployment { .. } => ActionKind::RollbackDeployment,
            Self::RestartService { .. } => ActionKind::RestartService,
            Self::ScaleService { .. } => ActionKind::ScaleService,
        }
    }

    /// The service it changes.
    pub const fn service(&self) -> &ServiceName {
        match self {
            Self::RollbackDeployment { service, .. }
            | Self::RestartService { service }
            | Self::ScaleService { service, .. } => service,
        }
    }

    /// The arguments of the tool call, without the tag.
    pub fn arguments(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut map = match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(map)) => map,
            _ => serde_json::Map::new(),
        };
        map.remove("tool");
        map
    }
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::RollbackDeployment { service, deployment_id } => {
                write!(f, "roll back deployment {deployment_id} of {service}")
            }
            Self::RestartService { service } => write!(f, "restart {service}"),
            Self::ScaleService { service, desired_count } => {
                write!(f, "scale {service} to {desired_count} tasks")
            }
        }
    }
}

/// Who and what an action touches, computed from live state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BlastRadius {
    /// Tasks or instances that are replaced or stopped.
    pub tasks_affected: u32,
    /// Tasks or instances that run now.
    pub tasks_running: u32,
    /// Services of the catalog that depend on this one.
    pub dependents: Vec<ServiceName>,
    /// One line for a person.
    pub summary: String,
}

/// How dangerous an action is in its present circumstances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Reversible and small.
    Low,
    /// Reversible; customers may notice.
    Medium,
    /// Hard to reverse or wide.
    High,
}

/// How the action is undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inverse {
    /// One line for a person.
    pub summary: String,
    /// The action that undoes it, where one of ours does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
}

/// One AWS call the action will make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanStep {
    /// The API operation, such as `codedeploy:CreateDeployment`.
    pub api: String,
    /// What it will be called with, for a person.
    pub detail: String,
}

/// What an action would do if it were done now. Made by reading only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The action with its complete arguments.
    pub action: Action,
    /// The AWS calls, in order.
    pub steps: Vec<PlanStep>,
    /// Where it would happen, on what, and what would be there afterwards: what a permit binds it to.
    pub terms: Terms,
    /// Whom it touches.
    pub blast_radius: BlastRadius,
    /// How dangerous it is.
    pub risk: Risk,
    /// How it is undone.
    pub inverse: Inverse,
    /// What the approver should know besides.
    pub warnings: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_names_its_tool_and_keeps_its_arguments() {
        let action = Action::RollbackDeployment {
            service: ServiceName::parse("checkout-api").unwrap(),
            deployment_id: AwsName::parse("d-1").unwrap(),
        };
        let json = serde_json::to_value(&action).unwrap();
        assert_eq!(json["tool"], action.kind().tool());
        let arguments = action.arguments();
        assert_eq!(arguments.len(), 2);
        assert_eq!(arguments["deployment_id"], "d-1");
    }

    #[test]
    fn unknown_arguments_are_refused() {
        let text = r#"{"tool":"restart_service","service":"a","force":true}"#;
        assert!(serde_json::from_str::<Action>(text).is_err());
    }
}
