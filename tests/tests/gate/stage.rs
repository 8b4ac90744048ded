//! A world, the supervisor with hands in it, and somebody who is asked.

use std::{
    num::NonZeroU32,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::BoxFuture;
use midwatch::{
    alarm,
    approve::{Approver, Question, Reply},
    desk::Desk,
    event::NoView,
    incident::handle,
    journal::{Journal, SqliteJournal},
    run::Run,
    servers,
    site::{Hands, Minds, Site},
};
use midwatch_agents::{bedrock::BedrockModel, model::Model, playbook::PlaybookModel, prices::Prices};
use midwatch_mcp::{Aws, AwsSettings, Ctx, Principal, PrincipalKind, SystemClock, connect_in_process};
use midwatch_policy::{Clock, Plan, Rules, SignedDuration};
use midwatch_remediation::{RemediationConfig, RemediationServer, SpendStore};
use midwatch_sim::{Mind, Mutation, Scenario, World};

const SUBJECT: &str = "supervisor";
const AUDIENCE: &str = "sim";

/// How somebody answers: by what they are asked, and who has approved already.
pub(crate) type Manner = fn(&Question) -> Option<Reply>;

/// Somebody who answers in a manner, and remembers what they were shown.
#[derive(Debug)]
pub(crate) struct Person {
    manner: Manner,
    clock: Arc<dyn Clock>,
    shown: Mutex<Vec<Plan>>,
}

impl Approver for Person {
    fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            self.shown.lock().unwrap().push(question.plan.clone());
            self.clock.sleep(Duration::from_secs(20)).await;
            match (self.manner)(question) {
                Some(reply) => reply,
                None => std::future::pending().await,
            }
        })
    }
}

pub(crate) fn reply(approve: bool, by: &str, role: &str) -> Reply {
    Reply { approve, by: by.to_owned(), role: role.to_owned(), channel: "test".to_owned(), note: None }
}

/// Different people approve whatever they are asked.
#[expect(clippy::unnecessary_wraps, reason = "a manner")]
pub(crate) fn everybody_says_yes(question: &Question) -> Option<Reply> {
    let role = question.roles.first().map_or("oncall", String::as_str);
    Some(reply(true, &format!("person-{}", question.already.len()), role))
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

/// Plays a scenario; with a mind, the models are Bedrock's, and that mind is behind them.
pub(crate) async fn play(scenario: Scenario, mind: Option<Mind>, manner: Manner) -> Played {
    let world = World::start(scenario).await.unwrap();
    let clock = world.clock();
    let catalog = Arc::new(world.catalog().clone());
    let aws = Aws::new(AwsSettings::local(world.endpoint(), "us-east-1"));
    let config = aws.base().await.unwrap();
    let model: Arc<dyn Model> = match mind {
        None => Arc::new(PlaybookModel),
        Some(mind) => {
            world.set_mind(mind);
            let name = "global.anthropic.claude-sonnet-4-5-20250929-v1:0".to_owned();
            Arc::new(BedrockModel::new(&config, name, NonZeroU32::new(6000).unwrap()))
        }
    };
    let ctx = Ctx::new(aws, Arc::clone(&catalog), Arc::clone(&clock));
    let rules = Arc::new(Rules::embedded().unwrap());
    let asked_for = Some(SignedDuration::from_mins(5));
    let desk = Arc::new(Desk::embedded(rules, Arc::clone(&clock), SUBJECT, AUDIENCE, asked_for).unwrap());
    let remediation = RemediationServer::new(
        ctx.clone(),
        RemediationConfig {
            audience: AUDIENCE.to_owned(),
            local_caller: Some(Principal::new(SUBJECT, PrincipalKind::Supervisor).unwrap()),
            source: Some(Arc::clone(&desk) as Arc<_>),
            keys: desk.public_keys().unwrap().into(),
            ..RemediationConfig::planning_only(SpendStore::in_memory().unwrap())
        },
    );
    let mut tools = servers::readers(&ctx, Some(world.runbooks().to_owned())).await;
    tools.attach("remediation", connect_in_process(remediation).await.unwrap()).await;
    let person = Arc::new(Person { manner, clock: Arc::clone(&clock), shown: Mutex::default() });
    let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::in_memory().unwrap());
    let minds = Minds::new(Arc::clone(&model), model, Arc::new(Prices::embedded().unwrap())).unwrap();
    let site = Site {
        catalog,
        clock,
        wall: Arc::new(SystemClock),
        tools: Arc::new(tools),
        minds: Arc::new(minds),
        hands: Some(Hands { desk, approver: Arc::clone(&person) as Arc<_> }),
        journal,
    };
    let alarm = alarm::parse(&world.alarm_event().to_string()).unwrap();
    let run = tokio::time::timeout(Duration::from_mins(2), handle(alarm, &site, Box::new(NoView), 7))
        .await
        .expect("the incident ends")
        .unwrap();
    let shown = person.shown.lock().unwrap().clone();
    let played = Played { run, shown, mutations: world.mutations() };
    sound(&played);
    played
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
