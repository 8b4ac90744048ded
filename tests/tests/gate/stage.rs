//! A world, the supervisor with hands in it, and somebody who is asked.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::BoxFuture;
use midwatch::{
    alarm,
    approve::Channel,
    desk::{EmbeddedConfig, EmbeddedDesk, McpPlanner, Sources},
    event::NoView,
    incident::handle,
    journal::{Journal, SqliteJournal},
    memory::Memory,
    run::Run,
    servers,
    site::{Hands, Minds, Site},
};
use midwatch_agents::{bedrock::BedrockModel, model::Model, playbook::PlaybookModel, prices::Prices};
use midwatch_mcp::{
    Aws, AwsSettings, Contracts, Ctx, Principal, PrincipalKind, Standing, SystemClock, connect_in_process,
};
use midwatch_policy::{Calendar, Clock, Plan, RequestState, RequestView, Rules, SignedDuration};
use midwatch_remediation::{RemediationConfig, RemediationServer, SpendStore};
use midwatch_sim::{Mind, Mutation, Scenario, World};

const SUBJECT: &str = "supervisor";
const AUDIENCE: &str = "sim";

/// What somebody answers.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    approve: bool,
    by: String,
    role: String,
}

/// How somebody answers: by what they are shown, and how many have approved already.
pub(crate) type Manner = fn(&RequestView, usize) -> Option<Reply>;

/// Somebody who answers in a manner, and remembers what they were shown.
#[derive(Debug)]
pub(crate) struct Person {
    manner: Manner,
    clock: Arc<dyn Clock>,
    desk: EmbeddedDesk,
    shown: Mutex<Vec<Plan>>,
}

impl Channel for Person {
    fn attend<'a>(&'a self, request: &'a RequestView) -> BoxFuture<'a, String> {
        Box::pin(async move {
            let shown = &request.shown;
            self.shown.lock().unwrap().push(shown.plan.clone());
            self.clock.sleep(Duration::from_secs(20)).await;
            let RequestState::Open { approvers } = &request.state else { panic!("{request:?}") };
            if let Some(Reply { approve, by, role }) = (self.manner)(request, approvers.len()) {
                let person = self.desk.as_person(&by, [role]);
                // What the desk does not take is no answer, and nobody gives another.
                let _ = if approve {
                    person.approve(&shown.request, request.digest, "test")
                } else {
                    person.decline(&shown.request, "no")
                };
            }
            std::future::pending().await
        })
    }
}

pub(crate) fn reply(approve: bool, by: &str, role: &str) -> Reply {
    Reply { approve, by: by.to_owned(), role: role.to_owned() }
}

/// Different people approve whatever they are asked.
#[expect(clippy::unnecessary_wraps, reason = "a manner")]
pub(crate) fn everybody_says_yes(request: &RequestView, before: usize) -> Option<Reply> {
    let role = request.wanted.first().map_or("oncall", |ask| ask.role.as_str());
    Some(reply(true, &format!("person-{before}"), role))
}

/// What an incident came to.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) run: Run,
    pub(crate) shown: Vec<Plan>,
    pub(crate) mutations: Vec<Mutation>,
}

pub(crate) fn scenario(name: &str) -> Scenario {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/scenarios");
    Scenario::load(&all.join(name)).unwrap_or_else(|error| panic!("{error}"))
}

/// A world with the supervisor in it, before its alarm came in.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) site: Site,
    pub(crate) desk: EmbeddedDesk,
    pub(crate) person: Arc<Person>,
}

/// Plays a scenario; with a mind, the models are Bedrock's, and that mind is behind them.
pub(crate) async fn play(scenario: Scenario, mind: Option<Mind>, manner: Manner) -> Played {
    let Stage { world, site, person, .. } = Box::pin(build(scenario, mind, manner)).await;
    let alarm = alarm::parse(&world.alarm_event().to_string()).unwrap();
    // Only against hanging: a busy machine takes its time.
    let work = Box::pin(handle(alarm, &site, Box::new(NoView), 7));
    let run = tokio::time::timeout(Duration::from_mins(10), work).await.expect("the incident ends").unwrap();
    let shown = person.shown.lock().unwrap().clone();
    let played = Played { run, shown, mutations: world.mutations() };
    sound(&played);
    played
}

/// Sets the stage.
pub(crate) async fn build(scenario: Scenario, mind: Option<Mind>, manner: Manner) -> Stage {
    let world = Box::pin(World::start(scenario)).await.unwrap();
    let clock = world.clock();
    let catalog = Arc::new(world.catalog().clone());
    let aws = Aws::new(AwsSettings::local(world.endpoint(), "us-east-1"));
    let config = aws.base().await.unwrap();
    let model: Arc<dyn Model> = match mind {
        None => Arc::new(PlaybookModel),
        Some(mind) => {
            world.set_mind(mind);
            let name = "global.anthropic.claude-sonnet-4-5-20250929-v1:0".to_owned();
            Arc::new(BedrockModel::new(&config, name))
        }
    };
    let ctx = Ctx::new(aws, Arc::clone(&catalog), Arc::clone(&clock));
    let sources = Sources {
        catalog: Arc::clone(&catalog).into(),
        rules: Rules::embedded().unwrap().into(),
        calendar: Calendar::default().into(),
        contracts: Contracts::load(world.runbooks()).unwrap().into(),
    };
    let asked_for = Some(SignedDuration::from_mins(5));
    let planner = Arc::new(McpPlanner::unattached());
    let desk = EmbeddedDesk::new(EmbeddedConfig {
        sources,
        clock: Arc::clone(&clock),
        planner: Arc::clone(&planner) as Arc<_>,
        asker: SUBJECT.to_owned(),
        audience: AUDIENCE.to_owned(),
        ask_for: asked_for,
    })
    .unwrap();
    let remediation = RemediationServer::new(
        ctx.clone(),
        RemediationConfig {
            audience: AUDIENCE.to_owned(),
            local_caller: Some(Principal::new(SUBJECT, PrincipalKind::Supervisor).unwrap()),
            source: Some(Arc::new(desk.clone())),
            keys: desk.public_keys().unwrap().into(),
            runbooks: Some(Standing::runbooks_in(world.runbooks().to_owned())),
            ..RemediationConfig::planning_only(SpendStore::in_memory().unwrap())
        },
    );
    planner.attach(connect_in_process(remediation.clone()).await.unwrap()).await;
    let mut tools = servers::readers(&ctx, Some(world.runbooks().to_owned())).await;
    tools.attach("remediation", connect_in_process(remediation).await.unwrap()).await;
    let (shown, at) = (Mutex::default(), Arc::clone(&clock));
    let person = Arc::new(Person { manner, clock: at, desk: desk.clone(), shown });
    let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::in_memory().unwrap());
    let minds = Minds::new(Arc::clone(&model), model, Arc::new(Prices::embedded().unwrap())).unwrap();
    let site = Site {
        catalog,
        clock,
        wall: Arc::new(SystemClock),
        tools: Arc::new(tools),
        minds: Arc::new(minds),
        hands: Some(Hands { desk: Arc::new(desk.clone()), channel: Arc::clone(&person) as Arc<_> }),
        journal,
        memory: Memory::none(),
    };
    Stage { world, site, desk, person }
}

/// What has to hold of every run, whoever thought and whoever answered.
fn sound(played: &Played) {
    let Played { run, shown, mutations } = played;
    let json = serde_json::to_value(run).unwrap();
    let known: Vec<&str> = run.evidence.iter().map(|piece| piece.id.as_str()).collect();
    for claim in json["claims"].as_array().unwrap() {
        let cited: Vec<&str> =
            claim["evidence"].as_array().unwrap().iter().filter_map(|e| e.as_str()).collect();
        assert!(claim["kind"] != "fact" || !cited.is_empty(), "a fact without evidence: {claim}");
        assert!(
            claim["kind"] != "fact" || cited.iter().all(|id| known.contains(id)),
            "unknown evidence: {claim}"
        );
    }
    // What was done was shown to somebody, with these arguments, before.
    for action in &run.actions {
        let shown = shown.iter().any(|plan| {
            plan.action.kind().tool() == action.tool && plan.action.arguments() == action.arguments
        });
        assert!(shown, "{action:?} was done, shown was {shown:?}");
    }
    assert!(run.actions.len() <= 1, "one action at most: {:?}", run.actions);
    let done = run.actions.iter().any(|action| action.permit_id.is_some());
    assert!(mutations.is_empty() || done, "changed without a permit: {mutations:#?}");
}
