//! An incident with a guest: what it knows stands in the report, and what it does changes nothing else.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
};

use futures::future::BoxFuture;
use midwatch::{
    alarm,
    event::NoView,
    guests::Guest,
    incident::handle,
    journal::SqliteJournal,
    memory::Memory,
    run::{ClaimKind, Run},
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
use serde_json::{Value, json};

use crate::rude;

const TOOL: &str = "tickets__search";

/// Rules that look at tickets first, where they can.
#[derive(Debug, Default)]
struct Curious {
    /// Whether what they find is claimed as well.
    claims: bool,
    /// Which specialists asked, and whether they were offered the tickets.
    asked: Mutex<BTreeMap<String, bool>>,
}

impl Model for Curious {
    fn id(&self) -> &str {
        PLAYBOOK
    }

    fn converse<'a>(
        &'a self,
        request: &'a ModelRequest,
        _: &'a CallLimits,
    ) -> BoxFuture<'a, Result<ModelResponse, ModelError>> {
        if let Some(specialist) = specialist(request) {
            let offered = request.tool_names().any(|name| name == TOOL);
            self.asked.lock().unwrap().insert(specialist, offered);
        }
        let mut response = look_first(request);
        if self.claims {
            response.message.content.iter_mut().for_each(|block| claim(request, block));
        }
        Box::pin(std::future::ready(Ok(response)))
    }
}

/// Who works on the task of a request.
fn specialist(request: &ModelRequest) -> Option<String> {
    let documents = request.messages.iter().flat_map(|message| &message.content);
    documents.filter_map(Content::as_document).find_map(|one| Some(one["specialist"].as_str()?.to_owned()))
}

/// Adds to a conclusion what the tickets said.
fn claim(request: &ModelRequest, block: &mut Content) {
    let mut results = request.messages.iter().flat_map(Message::tool_results);
    let evidence = results.find_map(|result| told(&serde_json::to_value(result).unwrap()));
    if let (Content::ToolUse(call), Some(evidence)) = (block, evidence)
        && let Some(claims) = call.input.get_mut("claims").and_then(Value::as_array_mut)
    {
        let quote = "the pool of orders-primary was made smaller last week";
        let citations = json!([{ "evidence": evidence, "quote": quote }]);
        claims.push(json!({ "text": format!("A ticket says that {quote}."), "citations": citations }));
    }
}

/// The evidence id of the innermost object that holds the ticket.
fn told(value: &Value) -> Option<String> {
    let inner: Option<String> = match value {
        Value::Array(items) => items.iter().find_map(told),
        Value::Object(fields) => fields.values().find_map(told),
        Value::String(text) => serde_json::from_str(text).ok().as_ref().and_then(told),
        _ => None,
    };
    let own = || value["evidence"].as_str().filter(|_| value.to_string().contains("TICKET-4711"));
    inner.or_else(|| own().map(str::to_owned))
}

fn look_first(request: &ModelRequest) -> ModelResponse {
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
    handled_by(Arc::default(), guests).await
}

async fn handled_by(model: Arc<Curious>, guests: Vec<Guest>) -> Run {
    let scenario =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/scenarios/pool-exhaustion-after-deploy");
    let world = World::start(Scenario::load(&scenario).unwrap()).await.unwrap();
    let aws = Aws::new(AwsSettings::local(world.endpoint(), "us-east-1"));
    let ctx = Ctx::new(aws, Arc::new(world.catalog().clone()), world.clock());
    let mut tools = servers::readers(&ctx, Some(world.runbooks().to_owned())).await;
    tools.attach_guests(guests);
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

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_analyst_is_called_where_a_server_is_lent_to_it_and_its_word_is_in_the_report() {
    let offered = |model: &Curious| model.asked.lock().unwrap().clone();
    let none = Arc::new(Curious { claims: true, ..Curious::default() });
    let without = handled_by(Arc::clone(&none), Vec::new()).await;
    assert!(!offered(&none).contains_key("metrics_analyst"), "{:?}", offered(&none));
    assert!(offered(&none).contains_key("log_analyst"), "{:?}", offered(&none));

    let dir = tempfile::tempdir().unwrap();
    let guest = rude::guest(dir.path(), "good", &json!({ "specialists": ["metrics_analyst"] }));
    let model = Arc::new(Curious { claims: true, ..Curious::default() });
    let run = handled_by(Arc::clone(&model), vec![guest]).await;
    let lent: Vec<(String, bool)> = offered(&model).into_iter().filter(|(_, offered)| *offered).collect();
    assert_eq!(lent, [("metrics_analyst".to_owned(), true)], "to it, and to nobody else");
    assert!(offered(&model).contains_key("log_analyst"), "{:?}", offered(&model));

    let piece = run.evidence.iter().find(|piece| piece.reference == "tickets:1").unwrap();
    assert_eq!(piece.source, "tickets.tickets__search");
    let said = run.claims.iter().find(|claim| claim.text.starts_with("A ticket says")).unwrap();
    assert_eq!((said.kind, said.by.as_str()), (ClaimKind::Fact, "metrics_analyst"), "{said:?}");
    assert!(said.evidence.contains(&piece.id), "{said:?} {piece:?}");
    // One more who finds the same moves nothing else.
    assert_eq!((run.outcome, &run.cause, run.verdict), (without.outcome, &without.cause, without.verdict));
    assert!(without.claims.iter().all(|claim| !claim.text.starts_with("A ticket says")));
}
