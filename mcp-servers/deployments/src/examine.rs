//! Looking closely: at one deployment, at one service.

use aws_sdk_ecs::types::{ServiceEvent, Task};
use jiff::{SignedDuration, Timestamp};
use midwatch_mcp::{Aws, ToolError, Window};
use midwatch_policy::{Service, ServiceName};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    asked::{AskedBy, Made, asked_by},
    change::{Change, Fields, Value, changes, task_fields},
    codedeploy::{self, CodeDeploy, revision_fields},
    deployment::{Deployment, link},
    ecs::{self, Described, Ecs},
    health::{Event, Health, StopFacts, StopKind, StoppedTask, classify, exit_code, is_healthy, reason_text},
    lambda::LambdaSpec,
    outside,
    provenance::Provenance,
    stamp,
};

/// Stopped tasks and events that are returned.
const MOST: usize = 25;

/// Result of `what_changed`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WhatChanged {
    /// Reference for citing.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The deployment.
    pub deployment_id: String,
    /// What ran before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_revision: Option<String>,
    /// What it deploys.
    pub to_revision: String,
    /// The fields that differ.
    pub changes: Vec<Change>,
    /// Who asked AWS for it, as CloudTrail says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<AskedBy>,
    /// Commit, author and pull request, where they could be told.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// What is missing or cut.
    pub notes: Vec<String>,
}

impl WhatChanged {
    fn new(id: &str, to_revision: String) -> Self {
        Self {
            reference: format!("change:{id}"),
            deployment_id: id.to_owned(),
            from_revision: None,
            to_revision,
            changes: Vec::new(),
            asked_by: None,
            provenance: Provenance::default(),
            notes: Vec::new(),
        }
    }

    fn compare(&mut self, from: Option<&Fields>, to: &Fields) {
        match from {
            Some(from) => {
                let found = changes(from, to);
                self.changes.extend(found.iter().map(redacted));
                if self.changes.is_empty() {
                    self.notes.push("nothing that is compared differs from what ran before".to_owned());
                }
            }
            None => self
                .notes
                .push("what ran before could not be told, so there is nothing to compare".to_owned()),
        }
    }
}

/// Commands and image names are written by people, too.
fn redacted(change: &Change) -> Change {
    Change {
        field: outside::line(&change.field),
        from: change.from.as_deref().map(outside::line),
        to: change.to.as_deref().map(outside::line),
    }
}

/// What a deployment changed.
pub(crate) async fn what_changed(
    aws: &Aws,
    service: &Service,
    id: &str,
    now: Timestamp,
) -> Result<WhatChanged, ToolError> {
    let missing = || {
        ToolError::not_found(
            format!("no deployment `{}` of `{}`", midwatch_mcp::clip(id, 120), service.name),
            "list_deployments names the deployments of a service",
        )
    };
    // ECS names service deployments by ARN and others by `ecs-svc/…`; all else is CodeDeploy's.
    let by_codedeploy = !id.starts_with("arn:") && !id.starts_with("ecs-svc/");
    match (&service.codedeploy, &service.ecs) {
        (Some(target), _) if by_codedeploy => {
            let group = CodeDeploy::of(aws, service, target).await?;
            let ecs = match &service.ecs {
                Some(target) => Some(Ecs::of(aws, service, target).await?),
                None => None,
            };
            let found = codedeploy_changed(&group, ecs.as_ref(), &service.name, id, now).await?;
            let (mut found, this) = found.ok_or_else(missing)?;
            // What CodeDeploy or a scaling began has no caller.
            if this.creator.as_deref().is_none_or(|creator| creator == "user") {
                let trail = aws_sdk_cloudtrail::Client::new(&aws.for_service(service).await?);
                let made = Made::CodeDeploy { id };
                found.asked_by = asked_by(&trail, &made, this.created_at, now, &mut found.notes).await;
            }
            Ok(found)
        }
        (_, Some(target)) if !by_codedeploy => {
            let ecs = Ecs::of(aws, service, target).await?;
            let (mut found, created_at) = ecs_changed(&ecs, &service.name, id).await?.ok_or_else(missing)?;
            if let Some(created_at) = created_at {
                let trail = aws_sdk_cloudtrail::Client::new(&aws.for_service(service).await?);
                let made = Made::Ecs { cluster: target.cluster.as_str(), service: target.service.as_str() };
                found.asked_by = asked_by(&trail, &made, created_at, now, &mut found.notes).await;
            }
            Ok(found)
        }
        _ => Err(missing()),
    }
}

async fn codedeploy_changed(
    group: &CodeDeploy,
    ecs: Option<&Ecs>,
    service: &ServiceName,
    id: &str,
    now: Timestamp,
) -> Result<Option<(WhatChanged, Deployment)>, ToolError> {
    let Some(info) = group.one(id).await? else { return Ok(None) };
    let Some(this) = codedeploy::convert(&info, service) else { return Ok(None) };
    let mut found = WhatChanged::new(id, this.revision.clone());
    found.provenance = this.provenance.clone();
    let second = SignedDuration::from_secs(1);
    let window = Window {
        from: this.created_at,
        to: this
            .created_at
            .checked_add(second)
            .unwrap_or(this.created_at)
            .min(now.checked_add(second).unwrap_or(now)),
    };
    let history = link(group.history(window, &mut found.notes).await?);
    let linked = history.iter().find(|d| d.deployment_id == id).unwrap_or(&this);
    found.from_revision.clone_from(&linked.previous_revision);
    let before = history
        .iter()
        .find(|d| d.created_at < this.created_at && Some(&d.revision) == found.from_revision.as_ref());
    let before = match before {
        Some(before) => group.one(&before.deployment_id).await?,
        None => None,
    };
    let location = before.as_ref().and_then(|b| b.revision()).or_else(|| info.previous_revision());
    let to = revision_fields(&info, info.revision());
    let mut from = location.map(|location| revision_fields(before.as_ref().unwrap_or(&info), Some(location)));
    if let Some(lambda) = info.revision().and_then(LambdaSpec::of)
        && let Some(version) = &lambda.current
    {
        // The specification itself says what it replaces.
        found.from_revision.get_or_insert_with(|| lambda.text(version));
        let from = from.get_or_insert_with(|| to.clone());
        from.insert("revision".to_owned(), Value::Open(lambda.text(version)));
        from.insert("version".to_owned(), Value::Open(version.clone()));
    }
    found.compare(from.as_ref(), &to);
    // CodeDeploy to ECS: the task definition holds what really changed.
    let definition = |revision: Option<&_>| revision.and_then(codedeploy::task_definition);
    if let (Some(ecs), Some(to)) = (ecs, definition(info.revision())) {
        compare_tasks(&mut found, ecs, definition(location).as_deref(), &to).await;
    }
    Ok(Some((found, this)))
}

/// With when it was created, where that is known.
async fn ecs_changed(
    ecs: &Ecs,
    service: &ServiceName,
    id: &str,
) -> Result<Option<(WhatChanged, Option<Timestamp>)>, ToolError> {
    let (from, to, created_at) = if id.contains(":service-deployment/") {
        let described = ecs.service_deployments(&[id.to_owned()]).await?;
        let Some(deployment) = described.iter().find(|d| d.service_deployment_arn() == Some(id)) else {
            return Ok(None);
        };
        let definitions = ecs.task_definitions_of(ecs::revision_arns(deployment)).await?;
        let definition = |arn: Option<&str>| arn.and_then(|arn| definitions.get(arn)).cloned();
        let sources = deployment.source_service_revisions();
        let target = definition(deployment.target_service_revision().and_then(|r| r.arn()));
        // Several sources: the one that differs is what ran before this.
        let source = sources.iter().filter_map(|r| definition(r.arn()));
        let source = source.max_by_key(|source| Some(source) != target.as_ref());
        (source, target, stamp(deployment.created_at()))
    } else {
        let Some(live) = ecs.describe().await? else { return Ok(None) };
        let of = |ours: bool| live.deployments().iter().find(|d| (d.id() == Some(id)) == ours);
        let Some(this) = of(true) else { return Ok(None) };
        let before = of(false).and_then(|d| d.task_definition.clone());
        (before, this.task_definition.clone(), stamp(this.created_at()))
    };
    let Some(to) = to else {
        return Err(ToolError::not_found(
            format!(
                "ECS does not say which task definition `{}` of `{service}` deploys",
                midwatch_mcp::clip(id, 120)
            ),
            "service_health names the task definition that runs now",
        ));
    };
    let mut found = WhatChanged::new(id, ecs::short(&to).to_owned());
    found.from_revision = from.as_deref().map(|arn| ecs::short(arn).to_owned());
    compare_tasks(&mut found, ecs, from.as_deref(), &to).await;
    Ok(Some((found, created_at)))
}

/// Adds what differs between two task definitions. What cannot be read becomes a note.
async fn compare_tasks(found: &mut WhatChanged, ecs: &Ecs, from: Option<&str>, to: &str) {
    let mut read = async |arn: Option<&str>| -> Option<Described> {
        match ecs.task_definition(arn?).await {
            Ok(Some(described)) => Some(described),
            Ok(None) => {
                found.notes.push(format!("task definition `{}` is gone", ecs::short(arn?)));
                None
            }
            Err(error) => {
                found
                    .notes
                    .push(format!("task definition `{}` could not be read: {error}", ecs::short(arn?)));
                None
            }
        }
    };
    let (before, after) = (read(from).await, read(Some(to)).await);
    let Some(after) = after else { return };
    found.provenance = std::mem::take(&mut found.provenance).or(after.provenance);
    found.compare(before.map(|b| task_fields(&b.task)).as_ref(), &task_fields(&after.task));
}

/// How a service is.
pub(crate) async fn health(aws: &Aws, service: &Service, window: Window) -> Result<Health, ToolError> {
    let mut health = Health::unknown(&service.name);
    if let Some(target) = &service.codedeploy {
        let counted = async { CodeDeploy::of(aws, service, target).await?.in_progress().await };
        match counted.await {
            Ok(count) => health.deployments_in_progress = u32::try_from(count).unwrap_or(u32::MAX),
            // Without ECS this is all there is to ask, so its error is the answer.
            Err(error) if service.ecs.is_none() => return Err(error),
            Err(error) => {
                health.notes.push(format!("deployments in progress at CodeDeploy are not counted: {error}"));
            }
        }
    }
    let Some(target) = &service.ecs else {
        health.notes.push(
            "the catalog names no ECS service, so tasks cannot be counted: judge its health by traffic and errors".to_owned(),
        );
        return Ok(health);
    };
    let ecs = Ecs::of(aws, service, target).await?;
    let Some(live) = ecs.describe().await? else {
        health
            .notes
            .push(format!("cluster `{}` has no active ECS service `{}`", target.cluster, target.service));
        return Ok(health);
    };
    let count = |n: i32| u32::try_from(n).unwrap_or(0);
    let (desired, running) = (count(live.desired_count), count(live.running_count));
    health.known = true;
    health.desired = Some(desired);
    health.running = Some(running);
    health.pending = Some(count(live.pending_count));
    let rolling = live.deployments().iter().filter(|d| ecs::is_in_progress(d)).count();
    // A rollout by CodeDeploy shows at both.
    health.deployments_in_progress =
        health.deployments_in_progress.max(u32::try_from(rolling).unwrap_or(u32::MAX));
    if let Some(primary) = live.deployments().iter().find(|d| d.status() == Some("PRIMARY")) {
        health.task_definition = primary.task_definition.clone();
        health.primary_deployment_id = primary.id.clone();
    }
    health.task_definition = health.task_definition.or_else(|| live.task_definition.clone());
    health.events = events(live.events(), window, &mut health.notes);
    match ecs.tasks().await {
        Ok((stopped, unhealthy)) => {
            health.unhealthy = Some(unhealthy);
            health.healthy = Some(is_healthy(desired, running, unhealthy));
            take_stopped(&mut health, &stopped, window);
        }
        Err(error) => {
            // Counts alone can still say that it is not healthy.
            health.healthy = (!is_healthy(desired, running, 0)).then_some(false);
            health.notes.push(format!("its tasks could not be looked at: {error}"));
        }
    }
    if desired == 0 {
        health.notes.push("it is scaled to zero: no task is wanted".to_owned());
    }
    Ok(health)
}

fn take_stopped(health: &mut Health, tasks: &[Task], window: Window) {
    let mut stopped: Vec<StoppedTask> =
        tasks.iter().filter_map(stopped_task).filter(|task| window.contains(task.stopped_at)).collect();
    stopped.sort_by(|a, b| b.stopped_at.cmp(&a.stopped_at).then_with(|| a.task_id.cmp(&b.task_id)));
    let restarts = stopped.iter().filter(|task| task.kind != StopKind::Deployment).count();
    health.restarts = u32::try_from(restarts).unwrap_or(u32::MAX);
    if stopped.len() > MOST {
        health
            .notes
            .push(format!("{} tasks stopped in the window; the newest {MOST} are shown", stopped.len()));
        stopped.truncate(MOST);
    }
    if window.span() > SignedDuration::from_hours(1) {
        health
            .notes
            .push("ECS remembers stopped tasks for about an hour; earlier ones are not counted".to_owned());
    }
    health.stopped_tasks = stopped;
}

fn stopped_task(task: &Task) -> Option<StoppedTask> {
    let id = ecs::short(task.task_arn()?);
    let facts = StopFacts {
        code: task.stop_code().map_or("", |code| code.as_str()),
        reason: task.stopped_reason().unwrap_or_default(),
        containers: task.containers().iter().map(|c| (c.exit_code, c.reason().unwrap_or_default())).collect(),
    };
    Some(StoppedTask {
        reference: format!("task:{id}"),
        task_id: id.to_owned(),
        stopped_at: stamp(task.stopped_at()).or_else(|| stamp(task.stopping_at()))?,
        reason: outside::line(&reason_text(&facts)),
        exit_code: exit_code(&facts),
        kind: classify(&facts),
    })
}

fn events(all: &[ServiceEvent], window: Window, notes: &mut Vec<String>) -> Vec<Event> {
    let event = |event: &ServiceEvent| {
        let at = stamp(event.created_at())?;
        let message = outside::line(event.message()?);
        let reference = event.id().map_or_else(
            || midwatch_mcp::reference("event", &[&at.to_string(), &message]),
            |id| format!("event:{id}"),
        );
        Some(Event { reference, at, message })
    };
    let mut found: Vec<Event> = all.iter().filter_map(event).filter(|e| window.contains(e.at)).collect();
    found.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.reference.cmp(&b.reference)));
    if found.len() > MOST {
        notes.push(format!("{} events in the window; the newest {MOST} are shown", found.len()));
        found.truncate(MOST);
    }
    found
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::{Container, TaskStopCode};
    use aws_smithy_types::DateTime;

    use super::*;

    fn task(id: &str, second: i64, reason: &str) -> Task {
        Task::builder()
            .task_arn(format!("arn:aws:ecs:us-east-1:1:task/c/{id}"))
            .stopped_at(DateTime::from_secs(second))
            .stop_code(TaskStopCode::EssentialContainerExited)
            .stopped_reason(reason)
            .containers(Container::builder().exit_code(137).build())
            .build()
    }

    #[test]
    fn only_stops_within_the_window_count_and_deployments_are_no_restarts() {
        let second = |s| Timestamp::from_second(s).unwrap();
        let window = Window { from: second(100), to: second(200) };
        let tasks = [
            task("a", 99, "Essential container in task exited"),
            task("b", 120, "OutOfMemoryError: killed"),
            task("c", 150, "Scaling activity initiated by (deployment ecs-svc/1)"),
            task("d", 200, "Essential container in task exited"),
        ];
        let mut health = Health::unknown(&ServiceName::parse("api").unwrap());
        take_stopped(&mut health, &tasks, window);
        let seen: Vec<_> = health.stopped_tasks.iter().map(|t| (t.task_id.as_str(), t.kind)).collect();
        assert_eq!(seen, [("c", StopKind::Deployment), ("b", StopKind::Oom)]);
        assert_eq!(health.restarts, 1);
    }
}
