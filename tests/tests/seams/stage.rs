//! A world, and the supervisor's tools for it.

use std::{path::Path, sync::Arc};

use midwatch::{
    alarm,
    event::NoView,
    incident::handle,
    journal::SqliteJournal,
    memory::Memory,
    run::Run,
    servers,
    site::{Hands, Minds, Site},
    tools::Toolbox,
};
use midwatch_agents::{playbook::PlaybookModel, prices::Prices};
use midwatch_mcp::{Aws, AwsSettings, Ctx, SystemClock};
use midwatch_sim::{Scenario, World};

pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) ctx: Ctx,
}

impl Stage {
    pub(crate) async fn new(scenario: &str) -> Self {
        let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/scenarios");
        let scenario = Scenario::load(&all.join(scenario)).unwrap_or_else(|error| panic!("{error}"));
        let world = World::start(scenario).await.unwrap();
        let aws = Aws::new(AwsSettings::local(world.endpoint(), "us-east-1"));
        let ctx = Ctx::new(aws, Arc::new(world.catalog().clone()), world.clock());
        Self { world, ctx }
    }

    /// The servers that only read, in this process.
    pub(crate) async fn readers(&self) -> Toolbox {
        servers::readers(&self.ctx, Some(self.world.runbooks().to_owned())).await
    }

    /// The incident of the world's alarm, by rules.
    pub(crate) async fn handle(&self, tools: Toolbox, hands: Option<Hands>) -> Run {
        let model = Arc::new(PlaybookModel);
        let prices = Arc::new(Prices::embedded().unwrap());
        let site = Site {
            catalog: Arc::clone(&self.ctx.catalog),
            clock: self.world.clock(),
            wall: Arc::new(SystemClock),
            tools: Arc::new(tools),
            minds: Arc::new(Minds::new(model.clone(), model, prices).unwrap()),
            hands,
            journal: Arc::new(SqliteJournal::in_memory().unwrap()),
            memory: Memory::none(),
        };
        let alarm = alarm::parse(&self.world.alarm_event().to_string()).unwrap();
        handle(alarm, &site, Box::new(NoView), 7).await.unwrap()
    }
}
