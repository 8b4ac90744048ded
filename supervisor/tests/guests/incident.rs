//! An incident with a guest: what it knows stands in the report, and what it does changes nothing else.

use std::{path::Path, sync::Arc};

use futures::future::BoxFuture;
use midwatch::{
    alarm,
    event::NoView,
    guests::Guest,
    incident::handle,
    journal::SqliteJournal,
    memory::Memory,
    run::Run,
    servers,
    site::{Minds, Site},
};
use midwatch_agents::{
    model::{
        CallLimits, Content, Message, Model, ModelError, ModelRequest, ModelResponse, StopReason, ToolUse,
        Usage,
    },
    playbook::{self, PLAYBOOK},
    prices::Prices,
};
use midwatch_mcp::{Aws, AwsSettings, Ctx, SystemClock};
use midwatch_sim::{Scenario, World};
use serde_json::json;

use crate::rude;

/// Rules that look at tickets first, where they can, and cite what they find.
#[derive(Debug)]
struct Curious;

impl Model for Curious {
    fn id(&self) -> &str {
        PLAYBOOK
    }

    fn converse<'a>(
        &'a self,
        request: &'a ModelRequest,
        _: &'a CallLimits,
    ) -> BoxFuture<'a, Result<ModelResponse, ModelError>> {
        Box::pin(std::future::ready(Ok(look_first(request))))
    }
}

fn look_first(request: &ModelRequest) -> ModelResponse {
    const TOOL: &str = "tickets__search";
    let offered = request.tool_names().any(|name| name == TOOL);
    let asked = request.messages.iter().flat_map(Message::tool_uses).any(|call| call.name == TOOL);
    if !offered || asked {
        return playbook::respond(request);
    }
    let input = json!({"query": "connection pool"});
    let call = ToolUse { tool_use_id: "curious_1".to_owned(), name: TOOL.to_owned(), input };
    ModelResponse {
        message: Message::assistant(vec![Content::ToolUse(call)]),
        stop_reason: StopReason::ToolUse,
        usage: Some(Usage::default()),
        latency_ms: 0,
        guardrail: None,
    }
}

async fn handled(guests: Vec<Guest>) -> Run {
    let scenario =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/scenarios/pool-exhaustion-after-deploy");
    let world = World::start(Scenario::load(&scenario).unwrap()).await.unwrap();
    let aws = Aws::new(AwsSettings::local(world.endpoint(), "us-east-1"));
    let ctx = Ctx::new(aws, Arc::new(world.catalog().clone()), world.clock());
    let mut tools = servers::readers(&ctx, Some(world.runbooks().to_owned())).await;
    tools.attach_guests(guests);
    let model = Arc::new(Curious);
    let site = Site {
        catalog: Arc::clone(&ctx.catalog),
        clock: world.clock(),
        wall: Arc::new(SystemClock),
        tools: Arc::new(tools),
        minds: Arc::new(Minds::new(model.clone(), model, Arc::new(Prices::embedded().unwrap())).unwrap()),
        hands: None,
        journal: Arc::new(SqliteJournal::in_memory().unwrap()),
        memory: Memory::none(),
    };
    let alarm = alarm::parse(&world.alarm_event().to_string()).unwrap();
    handle(alarm, &site, Box::new(NoView), 7).await.unwrap()
}

/// What of an incident must not depend on a guest that only stands in the way.
fn outcome(run: &Run) -> String {
    let facts: Vec<&str> = run.claims.iter().map(|claim| claim.text.as_str()).collect();
    format!(
        "{:?} {} {:?} {} {:?} {:?} {facts:#?}",
        run.outcome,
        run.verdict,
        run.cause.kind,
        run.summary.replace(|c: char| c.is_ascii_digit(), ""),
        run.proposal.as_ref().map(|proposal| proposal.plan.action.to_string()),
        run.problems,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_guest_knows_is_evidence_and_what_it_does_changes_nothing_else() {
    let without = handled(Vec::new()).await;
    let dir = tempfile::tempdir().unwrap();
    let good = handled(vec![rude::guest(dir.path(), "good", &json!({}))]).await;
    let piece = good.evidence.iter().find(|piece| piece.reference == "tickets:1").unwrap();
    assert_eq!(piece.source, "tickets.tickets__search");
    assert!(piece.line.contains("TICKET-4711"), "{}", piece.line);
    assert!(!good.not_checked.iter().any(|gap| gap.contains("third-party")), "{:?}", good.not_checked);
    assert_eq!(outcome(&good), outcome(&without));

    for (manners, said) in [
        ("dead", "could not be asked"),
        ("mute", "could not be asked: it is still starting"),
        ("silent", "could not be asked: no answer within 2 s"),
        ("dies", "could not be asked"),
        ("endless", "could not be asked"),
        ("progress", "could not be asked"),
        ("storm", "could not be asked"),
        ("thousands", "does not offer `search`"),
        ("promises", "did not answer what it promises"),
        ("instructs", "gives orders"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let run = handled(vec![rude::guest(dir.path(), manners, &json!({}))]).await;
        assert_eq!(outcome(&run), outcome(&without), "{manners}");
        let gaps = run.not_checked.join("\n");
        assert!(gaps.contains("third-party server `tickets`") && gaps.contains(said), "{manners}: {gaps}");
    }
}
