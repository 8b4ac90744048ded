//! A deployment group and its deployments, as CodeDeploy says.

use aws_sdk_codedeploy::types::{
    DeploymentCreator, DeploymentInfo, DeploymentStatus, RevisionLocation, TimeRange,
};
use futures::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use midwatch_mcp::{AwsResult, ErrorKind, SdkConfig, ToolError};
use midwatch_policy::{AwsName, CodeDeployTarget};

use super::{HISTORY, MOST, aws_time, stamp};
use crate::state::{Deployed, Group, Phase};

pub(super) async fn group(
    config: &SdkConfig,
    target: &CodeDeployTarget,
    now: Timestamp,
) -> Result<Group, ToolError> {
    let client = aws_sdk_codedeploy::Client::new(config);
    let start = now.checked_sub(HISTORY).unwrap_or(Timestamp::MIN);
    // A little beyond now: clocks differ, and a deployment that is missed would not be the newest.
    let end = now.checked_add(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MAX);
    let range = TimeRange::builder().start(aws_time(start)).end(aws_time(end)).build();
    let (mut ids, mut token) = (Vec::new(), None);
    loop {
        let page = client
            .list_deployments()
            .application_name(target.application.as_str())
            .deployment_group_name(target.deployment_group.as_str())
            .create_time_range(range.clone())
            .set_next_token(token.take())
            .send()
            .await
            .aws("codedeploy:ListDeployments")?;
        ids.extend(page.deployments.unwrap_or_default());
        token = page.next_token.filter(|token| !token.is_empty());
        if token.is_none() || ids.len() >= MOST {
            break;
        }
    }
    let batches = try_join_all(ids.chunks(25).map(|batch| async {
        let found = client
            .batch_get_deployments()
            .set_deployment_ids(Some(batch.to_vec()))
            .send()
            .await
            .aws("codedeploy:BatchGetDeployments")?;
        Ok::<_, ToolError>(found.deployments_info.unwrap_or_default())
    }))
    .await?;
    let mut deployments: Vec<Deployed> = batches.iter().flatten().filter_map(deployed).collect();
    // The one that is left out may be the newest.
    if deployments.len() != ids.len() {
        return Err(ToolError::new(
            ErrorKind::Unavailable,
            format!("CodeDeploy names {} deployments and describes {}", ids.len(), deployments.len()),
            "try again; nothing is planned on a part of them",
        ));
    }
    deployments.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
    Ok(Group { target: target.clone(), deployments })
}

fn deployed(info: &DeploymentInfo) -> Option<Deployed> {
    let id = AwsName::parse(info.deployment_id()?).ok()?;
    let phase = match info.status()? {
        DeploymentStatus::Succeeded => Phase::Succeeded,
        DeploymentStatus::Failed => Phase::Failed,
        DeploymentStatus::Stopped => Phase::Stopped,
        // Created, queued, baking, ready; and what is newer than this code.
        _ => Phase::InProgress,
    };
    let own = info.creator() == Some(&DeploymentCreator::CodeDeployRollback);
    let back = info.rollback_info();
    let other = |text: Option<&str>| text.filter(|t| !t.is_empty() && *t != id.as_str()).map(str::to_owned);
    let count = info
        .deployment_overview()
        .map_or(0, |o| o.pending + o.in_progress + o.succeeded + o.failed + o.skipped + o.ready);
    Some(Deployed {
        created_at: stamp(info.create_time())?,
        phase,
        revision: info.revision().map(revision_text).unwrap_or_default(),
        location: info.revision().cloned(),
        rollback_of: other(back.and_then(|b| b.rollback_triggering_deployment_id()))
            .filter(|_| own)
            .or_else(|| info.description().and_then(taken_back)),
        rolled_back_by: other(back.and_then(|b| b.rollback_deployment_id())).filter(|_| !own),
        instances: u32::try_from(count).unwrap_or(0),
        id,
    })
}

/// How our own rollbacks say what they are: see `act`.
fn taken_back(description: &str) -> Option<String> {
    let rest = description.strip_prefix("midwatch: rollback of ")?;
    let id = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next()?;
    id.starts_with("d-").then(|| id.to_owned())
}

/// A revision as one text, the same for equal revisions and different for different ones.
fn revision_text(revision: &RevisionLocation) -> String {
    if let Some(github) = revision.git_hub_location() {
        return format!(
            "github:{}@{}",
            github.repository().unwrap_or_default(),
            github.commit_id().unwrap_or_default()
        );
    }
    if let Some(s3) = revision.s3_location() {
        let mut text = format!("s3://{}/{}", s3.bucket().unwrap_or_default(), s3.key().unwrap_or_default());
        for (name, value) in [("?versionId=", s3.version()), ("?eTag=", s3.e_tag())] {
            if let Some(value) = value {
                text.push_str(name);
                text.push_str(value);
            }
        }
        return text;
    }
    let content = revision
        .app_spec_content()
        .and_then(|spec| spec.content())
        .or_else(|| revision.string().and_then(|raw| raw.content()));
    content.map_or_else(|| "unknown".to_owned(), |content| midwatch_mcp::reference("appspec", &[content]))
}
