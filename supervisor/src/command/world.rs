//! A world with everything that is needed to handle its incident: for `demo` and `eval`.

use std::sync::Arc;

use anyhow::Context as _;
use midwatch_mcp::{Aws, AwsSettings, Ctx, Principal, PrincipalKind, SystemClock, connect_in_process};
use midwatch_policy::{Catalog, Rules, SignedDuration};
use midwatch_remediation::{RemediationConfig, RemediationServer, SpendStore};
use midwatch_sim::{Scenario, World};

use crate::{
    alarm::{self, Alarm},
    approve::Approver,
    desk::Desk,
    journal::Journal,
    servers,
    site::{Hands, Site},
};

use super::{args::ModelChoice, model::minds};

/// Who calls, in a world.
const SUBJECT: &str = "supervisor";
/// The server whose permits are good in a world, and nowhere else.
const AUDIENCE: &str = "sim";

/// A world, and what its incident is handled with.
pub(super) struct Stage {
    /// The world.
    pub(super) world: Arc<World>,
    /// Everything else.
    pub(super) site: Site,
    /// The alarm that starts it.
    pub(super) alarm: Alarm,
}

/// Sets the stage for a scenario.
pub(super) async fn set(
    scenario: Scenario,
    model: ModelChoice,
    journal: Arc<dyn Journal>,
    ask_for: Option<SignedDuration>,
    approver: impl FnOnce(&Arc<World>) -> Arc<dyn Approver>,
) -> anyhow::Result<Stage> {
    let world = Arc::new(World::start(scenario).await.context("the world cannot be started")?);
    let clock = world.clock();
    let catalog: Arc<Catalog> = Arc::new(world.catalog().clone());
    let aws = Aws::new(AwsSettings::local(world.endpoint(), "us-east-1"));
    let config = aws.base().await.map_err(|e| anyhow::anyhow!("{}", e.message))?;
    let ctx = Ctx::new(aws, Arc::clone(&catalog), Arc::clone(&clock));

    let rules = Arc::new(Rules::embedded().context("embedded policy")?);
    let desk = Arc::new(Desk::embedded(Arc::clone(&rules), Arc::clone(&clock), SUBJECT, AUDIENCE, ask_for)?);
    let spend = SpendStore::in_memory().context("the store of spent permits")?;
    let remediation = RemediationServer::new(
        ctx.clone(),
        RemediationConfig {
            audience: AUDIENCE.to_owned(),
            local_caller: Some(Principal::new(SUBJECT, PrincipalKind::Supervisor)?),
            source: Some(Arc::clone(&desk) as Arc<_>),
            keys: desk.public_keys()?.into(),
            ..RemediationConfig::planning_only(spend)
        },
    );

    let mut tools = servers::readers(&ctx, Some(world.runbooks().to_owned())).await;
    servers::attach(&mut tools, "remediation", Box::pin(connect_in_process(remediation)).await).await;
    let event = world.alarm_event().to_string();
    let alarm = alarm::parse(&event).context("the world's alarm")?;
    let site = Site {
        catalog,
        clock,
        wall: Arc::new(SystemClock),
        tools: Arc::new(tools),
        minds: Arc::new(minds(model, Some(&config))?),
        hands: Some(Hands { desk, approver: approver(&world) }),
        journal,
    };
    Ok(Stage { world, site, alarm })
}
