//! One deployment, whichever service made it: what `list_deployments` answers with.
//!
//! `CodeDeploy` and ECS name the same things differently; everything behind this file sees one
//! type. A status keeps the word AWS used beside ours, because nine of theirs become five of ours.

use jiff::Timestamp;
use midwatch_mcp::{Time, Window};
use midwatch_policy::{MarkKind, ServiceName};
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

/// How ECS moves traffic from the old tasks to the new ones, where it does not simply replace them.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Shift {
    /// `BLUE_GREEN`, `CANARY`, `LINEAR`, in AWS's word.
    pub strategy: String,
    /// Where it is, in AWS's word, such as `BAKE_TIME`; absent when it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Per cent of the production traffic that the new tasks are to have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub production_percent: Option<f64>,
    /// Minutes for which both run after all traffic has moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bake_minutes: Option<i32>,
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
    pub service: ServiceName,
    /// How far it got.
    pub status: Status,
    /// The status in AWS's own word.
    pub aws_status: String,
    /// When it was asked for.
    #[schemars(with = "Time")]
    pub created_at: Timestamp,
    /// When it ended, well or badly.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Time>")]
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
    /// The deployment that takes this one back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolled_back_by: Option<String>,
    /// Why AWS says it failed or was rolled back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    /// How ECS moves the traffic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shift: Option<Shift>,
    /// Commit, author and pull request, where they could be told.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// In what ways its free text speaks to the reader. It is data all the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub screened: Vec<MarkKind>,
}

impl Deployment {
    /// A deployment of which only this is known.
    pub fn new(kind: Kind, id: &str, service: &ServiceName, status: Status, created_at: Timestamp) -> Self {
        Self {
            reference: format!("deploy:{id}"),
            kind,
            deployment_id: id.to_owned(),
            service: service.clone(),
            status,
            aws_status: String::new(),
            created_at,
            completed_at: None,
            revision: String::new(),
            previous_revision: None,
            creator: None,
            description: None,
            rollback_of: None,
            rolled_back_by: None,
            status_reason: None,
            shift: None,
            provenance: Provenance::default(),
            screened: Vec::new(),
        }
    }

    /// Whether this deployment takes another one back.
    pub const fn is_rollback(&self) -> bool {
        self.rollback_of.is_some()
    }

    /// Whether any of it lies in the window.
    pub fn touches(&self, window: Window) -> bool {
        let began = self.created_at < window.to;
        let ended =
            self.status != Status::InProgress && self.completed_at.unwrap_or(self.created_at) < window.from;
        began && !ended
    }
}

/// Works out, from the history of one service, what ran before each deployment and which one took
/// which back. Returned newest first, each deployment once.
pub fn link(mut list: Vec<Deployment>) -> Vec<Deployment> {
    list.sort_by(|a, b| (a.created_at, &a.deployment_id).cmp(&(b.created_at, &b.deployment_id)));
    list.dedup_by(|a, b| a.deployment_id == b.deployment_id);
    let mut good: Vec<(Kind, String, String)> = Vec::new();
    for deployment in &mut list {
        if let Some((_, id, revision)) = good.iter().rev().find(|(kind, ..)| *kind == deployment.kind) {
            deployment.previous_revision = Some(revision.clone());
            if deployment.kind == Kind::Ecs && is_older(&deployment.revision, revision) {
                deployment.rollback_of.get_or_insert_with(|| id.clone());
            }
        }
        if deployment.status == Status::Succeeded {
            good.push((deployment.kind, deployment.deployment_id.clone(), deployment.revision.clone()));
        }
    }
    let back: Vec<(String, String, Status)> = list
        .iter()
        .filter_map(|d| Some((d.rollback_of.clone()?, d.deployment_id.clone(), d.status)))
        .collect();
    for deployment in &mut list {
        let mut by = back.iter().filter(|(of, ..)| *of == deployment.deployment_id).peekable();
        if let Some((_, first, _)) = by.peek() {
            let done = by.clone().find(|(.., status)| *status == Status::Succeeded);
            deployment.rolled_back_by = Some(done.map_or(first, |(_, id, _)| id).clone());
            if done.is_some() && deployment.status != Status::InProgress {
                deployment.status = Status::RolledBack;
            }
        } else if deployment.rolled_back_by.is_some() && deployment.status != Status::InProgress {
            // Its rollback lies outside of what was read; AWS says that there is one.
            deployment.status = Status::RolledBack;
        }
    }
    list.reverse();
    list
}

/// `api:41` is older than `api:42`; another family is not comparable.
fn is_older(revision: &str, than: &str) -> bool {
    let number = |text: &str| {
        let (family, number) = text.rsplit_once(':')?;
        Some((family.to_owned(), number.parse::<u64>().ok()?))
    };
    matches!((number(revision), number(than)), (Some((a, x)), Some((b, y))) if a == b && x < y)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(kind: Kind, id: &str, second: i64, status: Status, revision: &str) -> Deployment {
        let service = ServiceName::parse("api").unwrap();
        let mut d = Deployment::new(kind, id, &service, status, Timestamp::from_second(second).unwrap());
        revision.clone_into(&mut d.revision);
        d
    }

    fn codedeploy(id: &str, second: i64, status: Status, revision: &str) -> Deployment {
        deployment(Kind::CodeDeploy, id, second, status, revision)
    }

    fn lines(list: Vec<Deployment>) -> Vec<String> {
        let line = |d: Deployment| {
            let before = d.previous_revision.unwrap_or_default();
            format!(
                "{} {:?} {before}->{} by {}",
                d.deployment_id,
                d.status,
                d.revision,
                d.rolled_back_by.unwrap_or_default()
            )
        };
        link(list).into_iter().map(line).collect()
    }

    #[test]
    fn the_revision_before_is_the_last_good_one() {
        use Status::{Failed, InProgress, Succeeded};
        let list = vec![
            codedeploy("d-4", 4, InProgress, "r4"),
            codedeploy("d-1", 1, Succeeded, "r1"),
            codedeploy("d-3", 3, Failed, "r3"),
            codedeploy("d-2", 2, Succeeded, "r2"),
            codedeploy("d-2", 2, Succeeded, "r2"),
            deployment(Kind::Ecs, "ecs", 3, Succeeded, "api:1"),
        ];
        assert_eq!(
            lines(list),
            [
                "d-4 InProgress r2->r4 by ",
                "ecs Succeeded ->api:1 by ",
                "d-3 Failed r2->r3 by ",
                "d-2 Succeeded r1->r2 by ",
                "d-1 Succeeded ->r1 by "
            ]
        );
    }

    #[test]
    fn a_rollback_counts_once_it_succeeded() {
        for (outcome, expected) in [
            (Status::Succeeded, "d-2 RolledBack"),
            (Status::InProgress, "d-2 Stopped"),
            (Status::Failed, "d-2 Stopped"),
        ] {
            let mut back = codedeploy("d-3", 3, outcome, "r1");
            back.rollback_of = Some("d-2".to_owned());
            let list = vec![
                codedeploy("d-1", 1, Status::Succeeded, "r1"),
                codedeploy("d-2", 2, Status::Stopped, "r2"),
                back,
            ];
            assert!(lines(list)[1].starts_with(expected), "{outcome:?}");
        }
        let mut far = codedeploy("d-2", 2, Status::Failed, "r2");
        far.rolled_back_by = Some("d-9".to_owned());
        assert!(lines(vec![far])[0].starts_with("d-2 RolledBack"));
    }

    #[test]
    fn going_back_to_an_older_task_definition_is_a_rollback() {
        let ecs =
            |id: &str, second, revision: &str| deployment(Kind::Ecs, id, second, Status::Succeeded, revision);
        let found = lines(vec![ecs("a", 1, "api:41"), ecs("b", 2, "api:42"), ecs("c", 3, "api:41")]);
        assert_eq!(found[1], "b RolledBack api:41->api:42 by c");
        assert!(lines(vec![ecs("a", 1, "api:41"), ecs("b", 2, "web:7")])[1].starts_with("a Succeeded"));
    }
}
