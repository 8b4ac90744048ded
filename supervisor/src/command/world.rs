//! A world with everything that is needed to handle its incident: for `demo` and `eval`.

use std::sync::Arc;

use anyhow::Context as _;
use midwatch_mcp::{
    Aws, AwsSettings, Client, ConnectError, Contracts, Ctx, Principal, PrincipalKind, Standing, SystemClock,
    connect_in_process,
};
use midwatch_policy::{Calendar, Catalog, Clock as _, Rules, SignedDuration};
use midwatch_remediation::{RemediationConfig, RemediationServer, SpendStore};
use midwatch_sim::{RealTime, Scenario, World};

use crate::{
    alarm::{self, Alarm},
    approve::Channel,
    desk::{Desk, EmbeddedConfig, EmbeddedDesk, McpPlanner, Sources},
    journal::Journal,
    ledger::Ledger,
    memory::Memory,
    servers,
    site::{Hands, Site},
};

use super::{apart::Apart, args::ModelChoice, model::minds, seat::Seat};

/// Who calls, in a world.
const SUBJECT: &str = "supervisor";
/// The server whose permits are good in a world, and nowhere else.
const AUDIENCE: &str = "sim";
/// What a call may take of real time, in terms of the usual, where the world's time is no real time.
const PATIENCE: u32 = 15;

/// A world, and what its incident is handled with.
pub(super) struct Stage {
    /// The world.
    pub(super) world: Arc<World>,
    /// Everything else.
    pub(super) site: Site,
    /// The alarm that starts it.
    pub(super) alarm: Alarm,
    _processes: Option<Apart>,
    _pace: Option<RealTime>,
}

/// Where the desk and the remediation server are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    /// In this process; people are asked for at most so long.
    Embedded(Option<SignedDuration>),
    /// Processes of their own; the world runs in real time, from now.
    Apart,
}

/// What the stages reach the gate by.
struct Reached {
    desk: Arc<dyn Desk>,
    remediation: Result<Client, ConnectError>,
    seat: Seat,
    processes: Option<Apart>,
}

/// Sets the stage for a scenario.
pub(super) async fn set(
    scenario: Scenario,
    (model, ledger): (ModelChoice, Ledger),
    (journal, memory): (Arc<dyn Journal>, Memory),
    gate: Gate,
    channel: impl FnOnce(&Arc<World>, Seat) -> Arc<dyn Channel>,
) -> anyhow::Result<Stage> {
    let scenario = match gate {
        Gate::Embedded(_) => scenario,
        Gate::Apart => scenario.beginning_at(SystemClock.now()).context("the scenario, beginning now")?,
    };
    let world = Arc::new(World::start(scenario).await.context("the world cannot be started")?);
    let pace = (gate == Gate::Apart).then(|| world.run_at_real_time());
    let clock = world.clock();
    let catalog: Arc<Catalog> = Arc::new(world.catalog().clone());
    let patience = if gate == Gate::Apart { 1 } else { PATIENCE };
    let aws = Aws::new(AwsSettings { patience, ..AwsSettings::local(world.endpoint(), "us-east-1") });
    let config = aws.base().await.map_err(|e| anyhow::anyhow!("{}", e.message))?;
    let ctx = Ctx::new(aws, Arc::clone(&catalog), Arc::clone(&clock));
    let Reached { desk, remediation, seat, processes } = match gate {
        Gate::Embedded(ask_for) => embedded(&world, &ctx, ask_for).await?,
        Gate::Apart => apart(&world).await?,
    };
    let mut tools = servers::readers(&ctx, Some(world.runbooks().to_owned())).await.patient(patience);
    servers::attach(&mut tools, "remediation", remediation).await;
    let event = world.alarm_event().to_string();
    let alarm = alarm::parse(&event).context("the world's alarm")?;
    let site = Site {
        catalog,
        clock,
        wall: Arc::new(SystemClock),
        tools: Arc::new(tools),
        minds: Arc::new(minds(model, Some(&config), ledger)?),
        hands: Some(Hands { channel: channel(&world, seat), desk }),
        journal,
        memory,
    };
    Ok(Stage { world, site, alarm, _processes: processes, _pace: pace })
}

/// Desk and remediation server in this process, with a key that ends with it.
async fn embedded(world: &World, ctx: &Ctx, ask_for: Option<SignedDuration>) -> anyhow::Result<Reached> {
    let contracts = Contracts::load(world.runbooks()).context("the scenario's runbooks")?;
    let sources = Sources {
        catalog: Arc::clone(&ctx.catalog).into(),
        rules: Rules::embedded().context("embedded policy")?.into(),
        calendar: Calendar::default().into(),
        contracts: contracts.into(),
    };
    let planner = Arc::new(McpPlanner::unattached());
    let desk = EmbeddedDesk::new(EmbeddedConfig {
        sources,
        clock: Arc::clone(&ctx.clock),
        planner: Arc::clone(&planner) as Arc<_>,
        asker: SUBJECT.to_owned(),
        audience: AUDIENCE.to_owned(),
        ask_for,
    })?;
    let spend = SpendStore::in_memory().context("the store of spent permits")?;
    let remediation = RemediationServer::new(
        ctx.clone(),
        RemediationConfig {
            audience: AUDIENCE.to_owned(),
            local_caller: Some(Principal::new(SUBJECT, PrincipalKind::Supervisor)?),
            source: Some(Arc::new(desk.clone())),
            keys: desk.public_keys()?.into(),
            runbooks: Some(Standing::runbooks_in(world.runbooks().to_owned())),
            ..RemediationConfig::planning_only(spend)
        },
    );
    planner.attach(Box::pin(connect_in_process(remediation.clone())).await?).await;
    Ok(Reached {
        remediation: Box::pin(connect_in_process(remediation)).await,
        seat: Seat::Here(desk.clone()),
        desk: Arc::new(desk),
        processes: None,
    })
}

async fn apart(world: &World) -> anyhow::Result<Reached> {
    let (processes, reached) = Apart::start(world).await?;
    Ok(Reached {
        desk: Arc::new(reached.desk),
        remediation: Ok(reached.remediation),
        seat: Seat::There(reached.people),
        processes: Some(processes),
    })
}
