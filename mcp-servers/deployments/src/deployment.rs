//! One deployment, whichever service made it: what `list_deployments` answers with.
//!
//! `CodeDeploy` and ECS name the same things differently; everything behind this file sees one
//! type. A status keeps the word AWS used beside ours, because nine of theirs become five of ours.

use jiff::Timestamp;
use midwatch_policy::ServiceName;
use schemars::JsonSchema;
use serde::Serialize;

use crate::provenance::Provenance;

/// Which AWS service deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// AWS CodeDeploy, to instances or to ECS.
    CodeDeploy,
    /// An ECS rolling deployment.
    Ecs,
}

/// How far a deployment got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It has begun, or will soon; the last word is not spoken.
    InProgress,
    /// It finished and its revision runs.
    Succeeded,
    /// It finished badly.
    Failed,
    /// Somebody stopped it.
    Stopped,
    /// It was taken back, by itself or by somebody.
    RolledBack,
}

/// A deployment.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Deployment {
    /// Reference for citing.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Which AWS service deployed.
    pub kind: Kind,
    /// `CodeDeploy` id (`d-…`), ARN of an ECS service deployment, or `ecs-svc/…`.
    pub deployment_id: String,
    /// The service of the catalog.
    #[schemars(with = "String")]
    pub service: ServiceName,
    /// How far it got.
    pub status: Status,
    /// The status in AWS's own word.
    pub aws_status: String,
    /// When it was asked for.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// When it ended, well or badly.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub completed_at: Option<Timestamp>,
    /// What it deploys, as one text.
    pub revision: String,
    /// What ran before: the last good deployment of the same target before this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_revision: Option<String>,
    /// Who or what asked for it, as AWS says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creator: Option<String>,
    /// Free text that came with it. Data from outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The deployment that this one takes back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback_of: Option<String>,
    /// Why AWS says it failed or was rolled back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    /// Commit, author and pull request, where they could be told.
    #[serde(flatten)]
    pub provenance: Provenance,
}

impl Deployment {
    /// The reference for citing a deployment of this id.
    pub fn reference_of(id: &str) -> String {
        format!("deploy:{id}")
    }

    /// Whether this deployment takes another one back.
    pub const fn is_rollback(&self) -> bool {
        self.rollback_of.is_some()
    }
}

/// Marks every deployment that a later one took back, and fills in what ran before each: the last
/// deployment of the same service and kind that ended well. `before` knows of none → what AWS
/// itself recorded stays.
///
/// Returned newest first.
pub fn link(mut list: Vec<Deployment>) -> Vec<Deployment> {
    list.sort_by(|a, b| (a.created_at, &a.deployment_id).cmp(&(b.created_at, &b.deployment_id)));
    list.dedup_by(|a, b| a.deployment_id == b.deployment_id);
    let taken_back: Vec<String> = list.iter().filter_map(|d| d.rollback_of.clone()).collect();
    let mut good: Vec<(Kind, ServiceName, String)> = Vec::new();
    for deployment in &mut list {
        let same = |(kind, service, _): &&(Kind, ServiceName, String)| {
            *kind == deployment.kind && *service == deployment.service
        };
        if let Some((.., revision)) = good.iter().rev().find(same) {
            deployment.previous_revision = Some(revision.clone());
        }
        if deployment.status == Status::Succeeded {
            good.push((deployment.kind, deployment.service.clone(), deployment.revision.clone()));
        }
    }
    for deployment in &mut list {
        if deployment.status != Status::InProgress && taken_back.contains(&deployment.deployment_id) {
            deployment.status = Status::RolledBack;
        }
    }
    list.reverse();
    list
}
