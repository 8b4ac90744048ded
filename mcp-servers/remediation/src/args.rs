//! Arguments of the tools, and the result of `plan`.

use midwatch_mcp::ToolError;
use midwatch_policy::{Action, ActionKind, Attested, AwsName, Plan, ServiceName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Arguments of `plan`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanArgs {
    /// What would be done.
    pub action: ActionKind,
    /// Service of the catalog.
    pub service: ServiceName,
    /// For `rollback_deployment`: the deployment to take back, as `list_deployments` names it.
    #[serde(default)]
    pub deployment_id: Option<AwsName>,
    /// For `scale_service`: the number of tasks wanted.
    #[serde(default)]
    pub desired_count: Option<u32>,
}

/// Arguments of `rollback_deployment`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackArgs {
    /// Service of the catalog.
    pub service: ServiceName,
    /// The deployment to take back, as `list_deployments` names it.
    pub deployment_id: AwsName,
}

/// Arguments of `restart_service`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestartArgs {
    /// Service of the catalog.
    pub service: ServiceName,
}

/// Arguments of `scale_service`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaleArgs {
    /// Service of the catalog.
    pub service: ServiceName,
    /// The number of tasks wanted, within the catalog's bounds.
    pub desired_count: u32,
}

/// Result of `plan`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PlanResult {
    /// Reference for citing.
    #[serde(rename = "ref")]
    pub reference: String,
    /// What would be done, to whom, and how it is undone.
    pub plan: Plan,
    /// What policy is asked with, as this server read it.
    pub facts: Attested,
}

impl TryFrom<PlanArgs> for Action {
    type Error = ToolError;

    fn try_from(args: PlanArgs) -> Result<Self, ToolError> {
        let PlanArgs { action, service, deployment_id, desired_count } = args;
        let wrong = |message: &str, mend: &str| Err(ToolError::invalid(message, mend));
        match (action, deployment_id, desired_count) {
            (ActionKind::RollbackDeployment, Some(deployment_id), None) => {
                Ok(Self::RollbackDeployment { service, deployment_id })
            }
            (ActionKind::RestartService, None, None) => Ok(Self::RestartService { service }),
            (ActionKind::ScaleService, None, Some(desired_count)) => {
                Ok(Self::ScaleService { service, desired_count })
            }
            (ActionKind::RollbackDeployment, ..) => wrong(
                "`rollback_deployment` takes `deployment_id` and nothing else",
                "name the deployment to take back",
            ),
            (ActionKind::RestartService, ..) => {
                wrong("`restart_service` takes neither `deployment_id` nor `desired_count`", "leave them out")
            }
            (ActionKind::ScaleService, ..) => wrong(
                "`scale_service` takes `desired_count` and nothing else",
                "name the number of tasks wanted",
            ),
        }
    }
}
