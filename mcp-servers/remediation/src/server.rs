//! The tools.

use std::{path::PathBuf, sync::Arc};

use midwatch_mcp::{Contracts, Ctx, Principal, PrincipalKind, Standing, ToolError, server_info};
use midwatch_policy::{Action, Calendar, Catalog, PublicKeys, Rules};
use rmcp::{
    Json, RoleServer, ServerHandler,
    handler::server::{router::tool::ToolRouter, wrapper::Parameters},
    model::ServerConfig,
    service::RequestContext,
    tool, tool_handler, tool_router,
};
use tokio::sync::Semaphore;

use crate::{
    args::{PlanArgs, PlanResult, RestartArgs, RollbackArgs, ScaleArgs},
    asks::Asks,
    flights::{Flight, Flights, Presented},
    gate::Gate,
    grounds::Grounds,
    kill_switch::KillSwitch,
    permits::PermitSource,
    receipt::Receipt,
    spend::{Limits, SpendStore},
    tell,
};

/// What a remediation server is built from.
#[derive(Debug)]
pub struct RemediationConfig {
    /// Identity of this server: permits name it as their audience.
    pub audience: String,
    /// Who is connected in this process or on stdio. Over HTTP the token says it.
    pub local_caller: Option<Principal>,
    /// The desk; without one every mutating tool refuses.
    pub source: Option<Arc<dyn PermitSource>>,
    /// Keys whose permits are accepted; without any every mutating tool refuses.
    pub keys: Standing<PublicKeys>,
    /// Where spent permits are recorded.
    pub spend: SpendStore,
    /// What stops every change.
    pub kill_switch: KillSwitch,
    /// How often may be acted.
    pub limits: Limits,
    /// Name of the role to assume for changing, in the account of each service. Absent: the
    /// catalog's role, or the credentials the server runs with.
    pub acting_role: Option<String>,
    /// The service catalog, read again at each call; absent: the one of the context.
    pub catalog: Option<Standing<Catalog>>,
    /// The policy that is asked again before each act; without one nothing is allowed.
    pub rules: Option<Standing<Rules>>,
    /// Change freezes and business hours; without one there are none.
    pub calendar: Option<Standing<Calendar>>,
    /// The runbooks' contracts; without them no permit that cites one is good.
    pub runbooks: Option<Standing<Contracts>>,
    /// File whose existence says that a change freeze is on.
    pub change_freeze: Option<PathBuf>,
}

impl RemediationConfig {
    /// A server that plans and refuses to change anything.
    pub fn planning_only(spend: SpendStore) -> Self {
        Self {
            audience: "midwatch-remediation".to_owned(),
            local_caller: Principal::new("local", PrincipalKind::AgentClient).ok(),
            source: None,
            keys: PublicKeys::default().into(),
            spend,
            kill_switch: KillSwitch::default(),
            limits: Limits::default(),
            acting_role: None,
            catalog: None,
            rules: Rules::embedded().ok().map(Standing::from),
            calendar: None,
            runbooks: None,
            change_freeze: None,
        }
    }
}

/// The server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RemediationServer {
    gate: Arc<Gate>,
    local_caller: Option<Principal>,
    tool_router: Arc<ToolRouter<Self>>,
}

#[tool_router]
impl RemediationServer {
    /// A server with this gate. What the desk has not heard of, it is told from now on.
    pub fn new(ctx: Ctx, config: RemediationConfig) -> Self {
        let RemediationConfig {
            audience,
            local_caller,
            source,
            keys,
            spend,
            kill_switch,
            limits,
            acting_role,
            catalog,
            rules,
            calendar,
            runbooks,
            change_freeze,
        } = config;
        let turn = Semaphore::new(1);
        let catalog = catalog.unwrap_or_else(|| Standing::from(Arc::clone(&ctx.catalog)));
        let gate = Arc::new(Gate {
            ctx,
            audience,
            source,
            grounds: Grounds { catalog, keys, rules, calendar, runbooks, change_freeze },
            spend,
            kill_switch,
            limits,
            acting_role,
            turn,
            asks: Asks::default(),
            flights: Flights::default(),
            presented: Presented::default(),
        });
        tell::begin(&gate);
        Self { gate, local_caller, tool_router: Arc::new(Self::tool_router()) }
    }

    /// What an action would do now.
    #[tool(
        title = "Plan a change",
        description = "What rolling back, restarting or scaling would do if it were done now: the AWS calls, whom it \
                       touches, how it is undone, what must still hold, warnings. Only reads; an action that makes no \
                       sense is refused with the reason.",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn plan(
        &self,
        Parameters(args): Parameters<PlanArgs>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<PlanResult>, ToolError> {
        let action = Action::try_from(args)?;
        let _place = self.place(&context)?;
        let ctx = self.gate.now().map_err(unusable)?;
        let service = ctx.service(action.service().as_str())?;
        let planned = self.gate.plan(&ctx, &action, service).await?;
        let facts = self.gate.facts(service, &planned)?;
        let parts = serde_json::to_string(&action).unwrap_or_default();
        Ok(Json(PlanResult {
            reference: midwatch_mcp::reference("plan", &[&parts]),
            plan: planned.plan,
            facts,
        }))
    }

    /// Takes a deployment back.
    #[tool(
        title = "Roll back a deployment",
        description = "Takes a deployment back to what ran before it. Acts only on a permit that a person's approval \
                       made for exactly this; without one it refuses.",
        annotations(
            read_only_hint = false,
            destructive_hint = true,
            idempotent_hint = false,
            open_world_hint = false
        )
    )]
    async fn rollback_deployment(
        &self,
        Parameters(RollbackArgs { service, deployment_id }): Parameters<RollbackArgs>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Receipt>, ToolError> {
        self.act(Action::RollbackDeployment { service, deployment_id }, &context).await
    }

    /// Replaces all tasks.
    #[tool(
        title = "Restart a service",
        description = "Replaces every task by a fresh one of the same revision; refused while a deployment is in \
                       progress. Acts only on a permit that a person's approval made for exactly this.",
        annotations(
            read_only_hint = false,
            destructive_hint = true,
            idempotent_hint = false,
            open_world_hint = false
        )
    )]
    async fn restart_service(
        &self,
        Parameters(RestartArgs { service }): Parameters<RestartArgs>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Receipt>, ToolError> {
        self.act(Action::RestartService { service }, &context).await
    }

    /// Sets the number of tasks.
    #[tool(
        title = "Scale a service",
        description = "Sets the number of tasks, within the catalog's bounds. Acts only on a permit that a person's \
                       approval made for exactly this.",
        annotations(
            read_only_hint = false,
            destructive_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn scale_service(
        &self,
        Parameters(ScaleArgs { service, desired_count }): Parameters<ScaleArgs>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Receipt>, ToolError> {
        self.act(Action::ScaleService { service, desired_count }, &context).await
    }

    async fn act(
        &self,
        action: Action,
        context: &RequestContext<RoleServer>,
    ) -> Result<Json<Receipt>, ToolError> {
        let caller = self.caller(context)?;
        let gate = Arc::clone(&self.gate);
        let work = gate.ctx.work.clone();
        // A task of its own: whoever hangs up, or ends this server, what was begun is carried to its record.
        work.spawn(async move { Box::pin(gate.pass(&caller, action)).await }).await.map(Json).map_err(
            |error| {
                tracing::error!(%error, "an act died");
                ToolError::internal(
                    "the act died; whether it took effect is not known: read the target, do not call again",
                )
            },
        )
    }

    /// Who calls, as whoever let them in knows it; nothing in the call itself says so. A desk only
    /// plans: it signs permits, and who signs does not act.
    fn known(&self, context: &RequestContext<RoleServer>) -> Option<Principal> {
        match context.extensions.get::<http::request::Parts>() {
            Some(parts) => parts.extensions.get::<Principal>().cloned(),
            None => self.local_caller.clone(),
        }
    }

    /// A caller's place for reading: nobody's readings of AWS are in the way of an act. The desk plans for
    /// whoever asks it, and is bounded by the asker's own limits.
    fn place(&self, context: &RequestContext<RoleServer>) -> Result<Option<Flight<'_>>, ToolError> {
        let Some(caller) = self.known(context).filter(|known| known.kind() != PrincipalKind::Desk) else {
            return Ok(None);
        };
        let busy =
            || ToolError::refused(crate::asked::busy(caller.name()).message, "wait for your other calls");
        self.gate.flights.begin(caller.name()).map(Some).ok_or_else(busy)
    }

    fn caller(&self, context: &RequestContext<RoleServer>) -> Result<Principal, ToolError> {
        match self.known(context) {
            Some(caller) if caller.kind() == PrincipalKind::Desk => Err(ToolError::refused(
                format!("`{}` is a desk, which plans and changes nothing", caller.name()),
                "call `plan`; the change is made for the caller that asked for it",
            )),
            Some(caller) => Ok(caller),
            None => Err(ToolError::refused(
                "this server does not know who is calling, so no permit can be yours",
                "an operator gives each caller over HTTP a token of its own (--callers), or names the one on stdio \
                 (--caller)",
            )),
        }
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for RemediationServer {
    fn get_info(&self) -> ServerConfig {
        server_info(
            "midwatch-remediation",
            env!("CARGO_PKG_VERSION"),
            "Plans changes by reading, and makes them only on a permit that a person's approval signed for exactly \
             that change. Call `plan` first.",
        )
    }
}

/// Nothing is planned by a catalog that cannot be read.
fn unusable(why: String) -> ToolError {
    ToolError::refused(why, "an operator mends the file; it is read again with the next call")
}
