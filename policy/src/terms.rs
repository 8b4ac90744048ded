//! What an approval is bound to besides the arguments of the action.
//!
//! The remediation server makes the terms anew just before it acts. Whatever differs from what the
//! approver was shown makes the permit stale: another account or region, a service that became more
//! critical, a target that changed, or an outcome that would be another one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    catalog::{Environment, Service, Tier},
    id::AwsName,
};

/// Where an action happens, what it starts from, and what it leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Where it happens.
    pub place: Place,
    /// What must still be true of the target when it starts.
    pub expected: ExpectedState,
    /// What runs there once it is done.
    pub result: EndState,
}

/// The account and the region in which the server acts, and how much the service matters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Account id, twelve digits; absent where the catalog names none: then it is the account of the
    /// server's own credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Region, such as `us-east-1`; absent where the catalog names none and nothing was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Whom it would hurt.
    pub environment: Environment,
    /// How much.
    pub tier: Tier,
}

impl Place {
    /// Where a service is: in the region that its entry names, else in this one.
    pub fn of(service: &Service, region: Option<&str>) -> Self {
        Self {
            account: service.home_account().map(str::to_owned),
            region: service.region.as_deref().or(region).map(str::to_owned),
            environment: service.environment,
            tier: service.tier,
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, tier {}, ", self.environment.as_str(), self.tier.get())?;
        match &self.account {
            Some(account) => write!(f, "account {account}")?,
            None => f.write_str("the account of the server's own credentials")?,
        }
        self.region.as_ref().map_or(Ok(()), |region| write!(f, ", {region}"))
    }
}

/// What must still be true of the target when the action starts. Compared with the live state by
/// the remediation server just before it acts; anything else there makes the permit stale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ExpectedState {
    /// The newest deployment of the group and the revision it carries. Holds both while it is in
    /// progress and after it succeeded, so that one permit covers stopping it and redeploying.
    CodeDeployDeployment {
        /// Application.
        application: AwsName,
        /// Deployment group.
        deployment_group: AwsName,
        /// The newest deployment of the group.
        deployment_id: AwsName,
        /// The revision that deployment carries, as one text.
        revision: String,
    },
    /// The primary deployment of an ECS service.
    EcsDeployment {
        /// Cluster.
        cluster: AwsName,
        /// ECS service.
        ecs_service: AwsName,
        /// Id of the primary deployment (`ecs-svc/…`).
        primary_deployment_id: AwsName,
        /// Task definition of the primary deployment, an ARN.
        task_definition: AwsName,
    },
    /// The desired count of an ECS service.
    EcsDesiredCount {
        /// Cluster.
        cluster: AwsName,
        /// ECS service.
        ecs_service: AwsName,
        /// The count before scaling.
        desired_count: u32,
    },
}

/// What an action leads to. The same whether a rollout that it takes back has finished meanwhile or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum EndState {
    /// `CodeDeploy` has deployed this.
    Revision {
        /// The revision, as one text.
        revision: String,
    },
    /// ECS runs tasks of this.
    TaskDefinition {
        /// An ARN.
        task_definition: AwsName,
    },
    /// ECS runs so many tasks.
    DesiredCount {
        /// The count.
        desired_count: u32,
    },
}
