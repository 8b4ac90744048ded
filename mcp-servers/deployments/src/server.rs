//! The tools.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use midwatch_mcp::{Ctx, Time, ToolError, Window, named, server_info};
use rmcp::{
    Json, ServerHandler,
    handler::server::{router::tool::ToolRouter, wrapper::Parameters},
    model::ServerConfig,
    tool, tool_handler, tool_router,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    correlate::{Candidate, Onset, correlate},
    deployment::Deployment,
    examine::{self, WhatChanged},
    health::Health,
    history,
};

/// Widest window that is listed.
const WIDEST: SignedDuration = SignedDuration::from_hours(31 * 24);
/// How far before an onset deployments are looked at; the base rate is counted over this day.
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// A window that ended longer ago than this is of the past.
const LATELY: SignedDuration = SignedDuration::from_mins(5);
/// Candidates that are returned.
const MOST_CANDIDATES: usize = 20;
/// Deployments that are returned.
const MOST_DEPLOYMENTS: usize = 100;

/// The server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DeploymentsServer {
    ctx: Ctx,
    tool_router: Arc<ToolRouter<Self>>,
}

/// Arguments of `list_deployments`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListArgs {
    /// Service of the catalog.
    pub service: String,
    /// Begin of the window, RFC 3339.
    pub from: Time,
    /// End of the window, RFC 3339.
    pub to: Time,
}

/// Arguments of `what_changed`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangedArgs {
    /// Service of the catalog.
    pub service: String,
    /// Deployment, as `list_deployments` names it.
    pub deployment_id: String,
}

/// Arguments of `correlate`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CorrelateArgs {
    /// Service of the catalog.
    pub service: String,
    /// When the trouble was first certain, RFC 3339.
    pub onset: Time,
    /// The earliest it can have begun, where that is not certain, RFC 3339.
    #[serde(default)]
    pub onset_earliest: Option<Time>,
    /// Deployments from here on; a day before the onset when absent.
    #[serde(default)]
    pub from: Option<Time>,
    /// Deployments before this; an hour after the onset when absent.
    #[serde(default)]
    pub to: Option<Time>,
}

/// Arguments of `service_health`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthArgs {
    /// Service of the catalog.
    pub service: String,
    /// Stopped tasks and events from here on; an hour before `to` when absent.
    #[serde(default)]
    pub from: Option<Time>,
    /// Stopped tasks and events before this; now when absent.
    #[serde(default)]
    pub to: Option<Time>,
}

/// Result of `list_deployments`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DeploymentList {
    /// Deployments that touch the window, newest first.
    pub deployments: Vec<Deployment>,
    /// What is missing or cut.
    pub notes: Vec<String>,
}

/// Result of `correlate`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Correlation {
    /// The onset that was asked about.
    #[schemars(with = "Time")]
    pub onset: Timestamp,
    /// Deployments of the service and of what it depends on, the most likely first.
    pub candidates: Vec<Candidate>,
    /// What is missing or cut.
    pub notes: Vec<String>,
}

#[tool_router]
impl DeploymentsServer {
    /// A server over these clients, this catalog and this clock.
    pub fn new(ctx: Ctx) -> Self {
        Self { ctx, tool_router: Arc::new(Self::tool_router()) }
    }

    /// Deployments of a service in a window.
    #[tool(
        title = "List deployments",
        description = "Deployments of a service (CodeDeploy and ECS) that touch a window, newest first: status, \
                       revision and the one before, commit, author and pull request where known.",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn list_deployments(
        &self,
        Parameters(args): Parameters<ListArgs>,
    ) -> Result<Json<DeploymentList>, ToolError> {
        let service = self.ctx.service(&args.service)?;
        let mut notes = Vec::new();
        let window = Window::begun(args.from, args.to, WIDEST, self.ctx.clock.now(), &mut notes)?;
        let mut deployments = history::of(&self.ctx, service, window, &mut notes).await?;
        deployments.retain(|d| d.touches(window));
        if deployments.len() > MOST_DEPLOYMENTS {
            notes.push(format!("{} deployments; the newest {MOST_DEPLOYMENTS} are shown", deployments.len()));
            deployments.truncate(MOST_DEPLOYMENTS);
        }
        Ok(Json(DeploymentList { deployments, notes }))
    }

    /// What a deployment changed.
    #[tool(
        title = "What changed",
        description = "What a deployment changed against what ran before: revision, images, sizes, names of \
                       environment variables (never their values), versions of a Lambda function; commit, author and pull \
                       request where known; who asked AWS for it.",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn what_changed(
        &self,
        Parameters(args): Parameters<ChangedArgs>,
    ) -> Result<Json<WhatChanged>, ToolError> {
        let service = self.ctx.service(&args.service)?;
        let now = self.ctx.clock.now();
        let id = named(&args.deployment_id, &["deploy", "candidate", "change"]);
        examine::what_changed(&self.ctx.aws, service, id, now).await.map(Json)
    }

    /// How likely each deployment brought the trouble.
    #[tool(
        title = "Correlate with deployments",
        description = "Scores the deployments of a service, and of the services it depends on, against the onset \
                       of trouble: 0 (nothing to do with it) to 1, with reasons whose weights add up to the score. \
                       A high score is a suspicion, not a proof.",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn correlate(
        &self,
        Parameters(args): Parameters<CorrelateArgs>,
    ) -> Result<Json<Correlation>, ToolError> {
        let service = self.ctx.service(&args.service)?;
        let (at, present) = (args.onset.0, self.ctx.clock.now());
        args.onset.has_come("onset", present)?;
        let earliest = args.onset_earliest.map_or(at, |time| time.0);
        if earliest > at {
            return Err(ToolError::invalid(
                format!("`onset_earliest` ({earliest}) is after `onset` ({at})"),
                "swap them, or leave `onset_earliest` out",
            ));
        }
        let shifted = |span: SignedDuration| at.checked_add(span).unwrap_or(at);
        let from = args.from.unwrap_or_else(|| Time(earliest.checked_sub(DAY).unwrap_or(earliest)));
        let hour_after = shifted(SignedDuration::from_hours(1)).min(present.max(at));
        let to = args.to.unwrap_or(Time(hour_after));
        let mut notes = Vec::new();
        let window = Window::begun(from, to, WIDEST, present, &mut notes)?;

        let mut deployments = history::of(&self.ctx, service, window, &mut notes).await?;
        deployments.extend(history::of_dependencies(&self.ctx, service, window, &mut notes).await);
        deployments.retain(|d| d.touches(window));
        if window.from > at {
            notes.push(format!(
                "`from` ({}) is after the onset: what was deployed before it was not looked at",
                window.from
            ));
        } else if deployments.is_empty() {
            notes.push(format!("no deployment between {} and {}", window.from, window.to));
        }
        let mut candidates = correlate(&deployments, &service.name, Onset { at, earliest });
        if candidates.len() > MOST_CANDIDATES {
            notes.push(format!("{} candidates; the best {MOST_CANDIDATES} are shown", candidates.len()));
            candidates.truncate(MOST_CANDIDATES);
        }
        Ok(Json(Correlation { onset: at, candidates, notes }))
    }

    /// Whether a service lives.
    #[tool(
        title = "Service health",
        description = "Tasks wanted, running and starting, deployments under way, tasks that stopped in the window \
                       with the kind of reason (oom, health_check, image_pull, capacity, crash, deployment, other) \
                       and the service's events. `known` false means that nothing could be counted, not that all is well.",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn service_health(
        &self,
        Parameters(args): Parameters<HealthArgs>,
    ) -> Result<Json<Health>, ToolError> {
        let service = self.ctx.service(&args.service)?;
        let now = self.ctx.clock.now();
        let to = args.to.map_or(now, |time| time.0);
        let hour = SignedDuration::from_hours(1);
        let from = args.from.map_or_else(|| to.checked_sub(hour).unwrap_or(to), |time| time.0);
        let mut notes = Vec::new();
        let window = Window::begun(Time(from), Time(to), WIDEST, now, &mut notes)?;
        let mut health = examine::health(&self.ctx.aws, service, window).await?;
        health.notes.splice(..0, notes);
        if now.duration_since(to) > LATELY {
            health.notes.push(format!(
                "counts of tasks and deployments in progress are of now ({now:.0}), not of the window; stopped tasks and \
                 events are of the window"
            ));
        }
        Ok(Json(health))
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for DeploymentsServer {
    fn get_info(&self) -> ServerConfig {
        server_info(
            "midwatch-deployments",
            env!("CARGO_PKG_VERSION"),
            "Deployments by CodeDeploy and ECS, what they changed, how well they fit the onset of trouble, and \
             whether a service's tasks live. Reads only.",
        )
    }
}
