//! Reading deployments from CodeDeploy.

use aws_sdk_codedeploy::{
    Client,
    types::{DeploymentCreator, DeploymentInfo, DeploymentStatus, RevisionLocation, TimeRange},
};
use aws_smithy_types::DateTime;
use futures::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use midwatch_mcp::{Aws, AwsResult, ToolError, Window};
use midwatch_policy::{CodeDeployTarget, Service, ServiceName};

use crate::{
    change::{Fields, Value},
    deployment::{Deployment, Kind, Status},
    lambda::LambdaSpec,
    outside,
    provenance::Provenance,
    stamp,
};

/// How far back the last good deployment before a window is looked for.
const HISTORY: SignedDuration = SignedDuration::from_hours(90 * 24);
/// Ids that are read of a window; more than that is a pipeline gone wild.
const MOST: usize = 300;
/// How many ids `BatchGetDeployments` takes.
const BATCH: usize = 25;

/// One deployment group.
#[derive(Debug, Clone)]
pub(crate) struct CodeDeploy {
    client: Client,
    target: CodeDeployTarget,
    service: ServiceName,
}

impl CodeDeploy {
    /// The deployment group of a service.
    pub(crate) async fn of(
        aws: &Aws,
        service: &Service,
        target: &CodeDeployTarget,
    ) -> Result<Self, ToolError> {
        let client = Client::new(&aws.for_service(service).await?);
        Ok(Self { client, target: target.clone(), service: service.name.clone() })
    }

    /// Deployments that were created in the window, and before it those that succeeded or go on,
    /// so that what ran before can be told. Not yet linked.
    pub(crate) async fn history(
        &self,
        window: Window,
        notes: &mut Vec<String>,
    ) -> Result<Vec<Deployment>, ToolError> {
        let earliest = window.from.checked_sub(HISTORY).unwrap_or(Timestamp::MIN);
        let settled_or_running = [&[DeploymentStatus::Succeeded], in_progress().as_slice()].concat();
        let (within, before) = futures::try_join!(
            self.ids(window.from, window.to, &[], MOST),
            // One page, newest first: the last good one is on it.
            self.ids(earliest, window.from, &settled_or_running, 1),
        )?;
        if within.len() >= MOST {
            notes.push(format!(
                "`{}` has more than {MOST} deployments in the window; the rest was not read",
                self.service
            ));
        }
        let mut ids = within;
        ids.extend(before);
        let infos = self.get(&ids).await?;
        Ok(infos.iter().filter_map(|info| convert(info, &self.service)).collect())
    }

    /// How many deployments are under way.
    pub(crate) async fn in_progress(&self) -> Result<usize, ToolError> {
        // Nothing stays in progress for more than CodeDeploy's own limits, far below the history.
        Ok(self.ids(Timestamp::MIN, Timestamp::MAX, &in_progress(), MOST).await?.len())
    }

    /// One deployment of this group, raw.
    pub(crate) async fn one(&self, id: &str) -> Result<Option<DeploymentInfo>, ToolError> {
        let infos = self.get(&[id.to_owned()]).await?;
        let ours = |info: &DeploymentInfo| {
            info.application_name() == Some(self.target.application.as_str())
                && info.deployment_group_name() == Some(self.target.deployment_group.as_str())
        };
        Ok(infos.into_iter().find(ours))
    }

    /// Ids created in a span, page by page until there are `enough`.
    async fn ids(
        &self,
        from: Timestamp,
        to: Timestamp,
        statuses: &[DeploymentStatus],
        enough: usize,
    ) -> Result<Vec<String>, ToolError> {
        let range = (from > Timestamp::MIN)
            .then(|| TimeRange::builder().start(aws_time(from)).end(aws_time(to)).build());
        let mut ids = Vec::new();
        let mut token = None;
        loop {
            let page = self
                .client
                .list_deployments()
                .application_name(self.target.application.as_str())
                .deployment_group_name(self.target.deployment_group.as_str())
                .set_create_time_range(range.clone())
                .set_include_only_statuses((!statuses.is_empty()).then(|| statuses.to_vec()))
                .set_next_token(token.take())
                .send()
                .await
                .aws("codedeploy:ListDeployments")?;
            ids.extend(page.deployments.unwrap_or_default());
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() || ids.len() >= enough {
                return Ok(ids);
            }
        }
    }

    async fn get(&self, ids: &[String]) -> Result<Vec<DeploymentInfo>, ToolError> {
        let batches = try_join_all(ids.chunks(BATCH).map(|batch| async {
            let found = self
                .client
                .batch_get_deployments()
                .set_deployment_ids(Some(batch.to_vec()))
                .send()
                .await
                .aws("codedeploy:BatchGetDeployments")?;
            Ok::<_, ToolError>(found.deployments_info.unwrap_or_default())
        }))
        .await?;
        Ok(batches.into_iter().flatten().collect())
    }
}

fn in_progress() -> [DeploymentStatus; 5] {
    use DeploymentStatus::{Baking, Created, InProgress, Queued, Ready};
    [Created, Queued, InProgress, Baking, Ready]
}

fn aws_time(at: Timestamp) -> DateTime {
    DateTime::from_millis(at.as_millisecond())
}

/// A deployment in our terms; one without an id or a time is none.
pub(crate) fn convert(info: &DeploymentInfo, service: &ServiceName) -> Option<Deployment> {
    let id = info.deployment_id()?;
    let created_at = stamp(info.create_time())?;
    let aws_status = info.status()?;
    let (description, screened) = outside::free_text(info.description());
    let back = info.rollback_info();
    let named =
        |other: Option<&str>| other.filter(|other| !other.is_empty() && *other != id).map(str::to_owned);
    let rollback = info.creator() == Some(&DeploymentCreator::CodeDeployRollback);
    let github = info.revision().and_then(|r| r.git_hub_location()).and_then(|g| g.commit_id());
    let provenance = github.map(Provenance::from_commit).unwrap_or_default();
    Some(Deployment {
        aws_status: aws_status.as_str().to_owned(),
        completed_at: stamp(info.complete_time()),
        revision: info.revision().map(revision_text).unwrap_or_default(),
        previous_revision: info.previous_revision().map(revision_text),
        creator: info.creator().map(|creator| creator.as_str().to_owned()),
        rollback_of: named(back.and_then(|b| b.rollback_triggering_deployment_id()))
            .filter(|_| rollback)
            .or_else(|| description.as_deref().and_then(taken_back)),
        rolled_back_by: named(back.and_then(|b| b.rollback_deployment_id())).filter(|_| !rollback),
        status_reason: info.error_information().and_then(|error| {
            let text = format!(
                "{}: {}",
                error.code().map_or("error", |code| code.as_str()),
                error.message().unwrap_or_default()
            );
            outside::free_text(Some(&text)).0
        }),
        provenance: provenance.or(description.as_deref().map(Provenance::from_text).unwrap_or_default()),
        description,
        screened,
        ..Deployment::new(Kind::CodeDeploy, id, service, status(aws_status), created_at)
    })
}

fn status(status: &DeploymentStatus) -> Status {
    match status {
        DeploymentStatus::Succeeded => Status::Succeeded,
        DeploymentStatus::Failed => Status::Failed,
        DeploymentStatus::Stopped => Status::Stopped,
        // A status that is newer than this code is certainly not known to be over.
        _ => Status::InProgress,
    }
}

/// `… rollback of d-ABC …`: how a rollback by CreateDeployment says what it is.
fn taken_back(description: &str) -> Option<String> {
    let (_, rest) = description.split_once("rollback of ")?;
    let id = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next()?;
    id.starts_with("d-").then(|| id.to_owned())
}

/// A revision as one text, the same for equal revisions and different for different ones.
pub(crate) fn revision_text(revision: &RevisionLocation) -> String {
    if let Some(github) = revision.git_hub_location() {
        return format!(
            "github:{}@{}",
            github.repository().unwrap_or_default(),
            github.commit_id().unwrap_or_default()
        );
    }
    if let Some(s3) = revision.s3_location() {
        let mut text = format!("s3://{}/{}", s3.bucket().unwrap_or_default(), s3.key().unwrap_or_default());
        for (name, value) in [("versionId", s3.version()), ("eTag", s3.e_tag())] {
            if let Some(value) = value {
                text.push('?');
                text.push_str(name);
                text.push('=');
                text.push_str(value);
            }
        }
        return text;
    }
    if let Some(lambda) = LambdaSpec::of(revision) {
        return lambda.text(&lambda.target);
    }
    let content = revision
        .app_spec_content()
        .and_then(|spec| spec.content())
        .or_else(|| revision.string().and_then(|raw| raw.content()));
    content.map_or_else(|| "unknown".to_owned(), |content| midwatch_mcp::reference("appspec", &[content]))
}

/// The fields of a revision, for comparing two of them.
pub(crate) fn revision_fields(info: &DeploymentInfo, revision: Option<&RevisionLocation>) -> Fields {
    let mut fields = Fields::new();
    let mut put = |field: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            fields.insert(field.to_owned(), Value::Open(value.to_owned()));
        }
    };
    let Some(revision) = revision else { return fields };
    put("revision", Some(&revision_text(revision)));
    if let Some(github) = revision.git_hub_location() {
        put("repository", github.repository());
        put("commit", github.commit_id());
    }
    if let Some(s3) = revision.s3_location() {
        put("bucket", s3.bucket());
        put("key", s3.key());
        put("object_version", s3.version());
    }
    if let Some(lambda) = LambdaSpec::of(revision) {
        put("function", Some(&lambda.function));
        put("alias", Some(&lambda.alias));
        put("version", Some(&lambda.target));
    }
    put("task_definition", task_definition(revision).as_deref());
    put("deployment_config", info.deployment_config_name());
    fields
}

/// The task definition that an application specification names, for CodeDeploy to ECS.
pub(crate) fn task_definition(revision: &RevisionLocation) -> Option<String> {
    let content = revision
        .app_spec_content()
        .and_then(|spec| spec.content())
        .or_else(|| revision.string().and_then(|raw| raw.content()))?;
    // JSON and YAML alike: the ARN is found by its own shape.
    let at = content.find("arn:aws")?;
    content
        .get(at..)?
        .split(['"', '\'', '\n', ' ', ','])
        .find(|arn| arn.contains(":task-definition/"))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use aws_sdk_codedeploy::types::{
        AppSpecContent, GitHubLocation, RevisionLocationType, RollbackInfo, S3Location,
    };

    use super::*;

    fn github(commit: &str) -> RevisionLocation {
        RevisionLocation::builder()
            .revision_type(RevisionLocationType::GitHub)
            .git_hub_location(GitHubLocation::builder().repository("o/r").commit_id(commit).build())
            .build()
    }

    fn info(id: &str) -> aws_sdk_codedeploy::types::builders::DeploymentInfoBuilder {
        DeploymentInfo::builder()
            .deployment_id(id)
            .create_time(DateTime::from_secs(1_795_226_400))
            .status(DeploymentStatus::Succeeded)
            .revision(github("9f8e7d6a"))
    }

    fn read(info: &DeploymentInfo) -> Deployment {
        convert(info, &ServiceName::parse("api").unwrap()).unwrap()
    }

    #[test]
    fn rollbacks_are_recognised_whoever_made_them() {
        let back = |of: &str, by: &str| {
            RollbackInfo::builder().rollback_triggering_deployment_id(of).rollback_deployment_id(by).build()
        };
        let own = read(
            &info("d-2")
                .creator(DeploymentCreator::CodeDeployRollback)
                .rollback_info(back("d-1", "d-2"))
                .build(),
        );
        assert_eq!((own.rollback_of.as_deref(), own.rolled_back_by), (Some("d-1"), None));
        let first =
            read(&info("d-1").creator(DeploymentCreator::User).rollback_info(back("d-1", "d-2")).build());
        assert_eq!((first.rollback_of, first.rolled_back_by.as_deref()), (None, Some("d-2")));
        let ours = read(&info("d-3").description("midwatch: rollback of d-1 (permit 7)").build());
        assert_eq!(ours.rollback_of.as_deref(), Some("d-1"));
        assert_eq!(read(&info("d-4").description("rollback of the week").build()).rollback_of, None);
    }

    #[test]
    fn provenance_prefers_the_revision_over_the_text() {
        let found = read(&info("d-1").description("commit 1111111, author Ada, PR #12").build());
        assert_eq!(found.provenance.commit.as_deref(), Some("9f8e7d6a"));
        assert_eq!(found.provenance.pull_request.as_deref(), Some("12"));
        assert_eq!(found.revision, "github:o/r@9f8e7d6a");
    }

    #[test]
    fn a_revision_is_one_text() {
        let s3 = |version: Option<&str>| {
            let location =
                S3Location::builder().bucket("b").key("k.zip").set_version(version.map(str::to_owned));
            revision_text(&RevisionLocation::builder().s3_location(location.build()).build())
        };
        assert_eq!(
            (s3(None), s3(Some("3"))),
            ("s3://b/k.zip".to_owned(), "s3://b/k.zip?versionId=3".to_owned())
        );
        let spec = |content: &str| {
            RevisionLocation::builder()
                .app_spec_content(AppSpecContent::builder().content(content).build())
                .build()
        };
        assert_ne!(revision_text(&spec("a")), revision_text(&spec("b")));
        let arn = "arn:aws:ecs:us-east-1:1:task-definition/api:4";
        let found = task_definition(&spec(&format!("Properties:\n  TaskDefinition: \"{arn}\"\n")));
        assert_eq!(found.as_deref(), Some(arn));
    }
}
