//! The server: its tools, and what they share.

use aws_sdk_cloudwatch::Client;
use midwatch_mcp::{Ctx, ToolError};
use midwatch_policy::Service;
use rmcp::{
    Json, ServerHandler,
    handler::server::{router::tool::ToolRouter, wrapper::Parameters},
    model::ServerConfig,
    tool, tool_handler, tool_router,
};

use crate::{
    alarm, history, list,
    shapes::{
        Alarm, AlarmHistory, AlarmHistoryArgs, AlarmList, GetAlarmArgs, ListAlarmsArgs, MetricWindow,
        MetricWindowArgs,
    },
    window,
};

/// MCP server for CloudWatch alarms and metrics. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MetricsServer {
    ctx: Ctx,
    tool_router: ToolRouter<Self>,
}

impl MetricsServer {
    /// A server over these clients and this catalog.
    pub fn new(ctx: Ctx) -> Self {
        Self { ctx, tool_router: Self::tool_router() }
    }

    pub(crate) fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    /// Access to the account and region of a service, or to the ordinary ones.
    pub(crate) async fn client(&self, service: Option<&Service>) -> Result<Client, ToolError> {
        Ok(Client::new(&self.ctx.aws.for_optional(service).await?))
    }

    /// The logs of the same account and region.
    pub(crate) async fn logs(
        &self,
        service: Option<&Service>,
    ) -> Result<aws_sdk_cloudwatchlogs::Client, ToolError> {
        Ok(aws_sdk_cloudwatchlogs::Client::new(&self.ctx.aws.for_optional(service).await?))
    }

    /// The service that was named, or that the catalog says the alarm is about.
    pub(crate) fn owner(&self, service: Option<&str>, alarm: &str) -> Result<Option<&Service>, ToolError> {
        match service {
            Some(name) => self.ctx.service(name).map(Some),
            None => Ok(self.ctx.catalog.service_of_alarm(alarm, &std::collections::BTreeMap::new())),
        }
    }
}

#[tool_router]
impl MetricsServer {
    /// One alarm.
    #[tool(
        title = "Alarm",
        description = "One alarm as it is now: state and since when, reason, metric or metric math, threshold, and what feeds it: metric filters, or a composite's children. INSUFFICIENT_DATA is never OK. Well under a second, free.",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn get_alarm(&self, Parameters(args): Parameters<GetAlarmArgs>) -> Result<Json<Alarm>, ToolError> {
        alarm::get_alarm(self, args).await.map(Json)
    }

    /// Its history.
    #[tool(
        title = "Alarm history",
        description = "When an alarm changed its state, how often and how long it was in ALARM, and whether it flaps. At most 14 days. Free.",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn alarm_history(
        &self,
        Parameters(args): Parameters<AlarmHistoryArgs>,
    ) -> Result<Json<AlarmHistory>, ToolError> {
        history::alarm_history(self, args).await.map(Json)
    }

    /// A metric against its baseline.
    #[tool(
        title = "Metric window",
        description = "A metric over a window against a baseline: points, statistics, ratio, whether it rose, fell, stopped or is missing, its onset, and each run that departs; further metrics beside it (`also`). Name it by service and role (traffic is the sign of life), by the alarm that watches it, or in full. Missing data is said, never filled. Under a second, about $0.00002 a metric.",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn metric_window(
        &self,
        Parameters(args): Parameters<MetricWindowArgs>,
    ) -> Result<Json<MetricWindow>, ToolError> {
        window::metric_window(self, args).await.map(Json)
    }

    /// All alarms about a service.
    #[tool(
        title = "Alarms of a service",
        description = "All alarms about a service of the catalog, those in ALARM first; with dependencies = true also those about what it depends on, to see whether the trouble lies below. Free.",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn list_alarms(
        &self,
        Parameters(args): Parameters<ListAlarmsArgs>,
    ) -> Result<Json<AlarmList>, ToolError> {
        list::list_alarms(self, args).await.map(Json)
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for MetricsServer {
    fn get_info(&self) -> ServerConfig {
        midwatch_mcp::server_info(
            "midwatch-metrics",
            env!("CARGO_PKG_VERSION"),
            "Reads CloudWatch alarms and metrics. get_alarm says what fired, metric_window whether traffic and errors departed from their baseline and since when.",
        )
    }
}
