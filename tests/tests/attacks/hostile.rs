//! A hostile agent: random calls of every server's tools, from callers that have no permit, while
//! permits for somebody else's same actions wait at the desk. Nothing changes, nothing panics.
//!
//! `MIDWATCH_CALLS` says how many calls; without it few enough for every run of the tests.

use std::{sync::Arc, time::Duration};

use midwatch_deployments::DeploymentsServer;
use midwatch_logs::LogsServer;
use midwatch_mcp::{Aws, AwsSettings, Client, Ctx, connect_in_process};
use midwatch_metrics::MetricsServer;
use rmcp::model::CallToolRequestParams;
use serde_json::{Map, Value, json};

use crate::{
    random::{Random, told},
    range::{DESK, EDITOR, Range, restart, rollback, scale},
};

const CALLS: u64 = 1500;
/// Longest that one call may take.
const LONGEST: Duration = Duration::from_secs(30);

const WORDS: [&str; 22] = [
    "cart",
    "shop-api",
    "vault-front",
    "ledger",
    "watched",
    "d-BAD",
    "d-GOOD",
    "inc-1",
    "supervisor",
    "scale_service",
    "restart_service",
    "rollback_deployment",
    "2026-11-21T02:00:00Z",
    "2026-11-21T02:04:00Z",
    "production",
    "c\u{430}rt",
    "",
    "\u{202e}trac",
    "../../etc/passwd",
    "{\"$ne\":1}",
    "| fields @message",
    "*",
];

fn value(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth > 3 { 7 } else { 9 }) {
        0..=3 => json!(random.of(&WORDS)),
        4 => json!(random.below(10)),
        5 => [json!(-1), json!(6.5), json!(u64::MAX), json!(1e300), json!(true), Value::Null]
            [random.below(6)]
        .clone(),
        6 => json!("x".repeat(random.below(3000))),
        7 => (0..random.below(4)).map(|_| value(random, depth + 1)).collect(),
        _ => Value::Object(
            (0..random.below(3)).map(|_| (random.of(&WORDS).to_owned(), value(random, depth + 1))).collect(),
        ),
    }
}

/// Arguments from a tool's own schema, mostly of the right names, and often enough of the right type.
fn arguments(random: &mut Random, schema: &Map<String, Value>) -> Map<String, Value> {
    let mut all = Map::new();
    for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if random.below(5) > 0 {
            let fits = match name.as_str() {
                "service" => json!(random.of(&["cart", "shop-api", "vault-front", "ledger"])),
                "deployment_id" => json!(random.of(&["d-BAD", "d-GOOD"])),
                "desired_count" => json!(random.below(10)),
                "action" => json!(random.of(&["scale_service", "restart_service", "rollback_deployment"])),
                "from" => json!("2026-11-21T01:55:00Z"),
                "to" | "as_of" => json!("2026-11-21T02:04:00Z"),
                _ if field.get("type") == Some(&json!("integer")) => json!(random.below(100)),
                _ => value(random, 0),
            };
            let odd = random.below(6) == 0;
            all.insert(name.clone(), if odd { value(random, 0) } else { fits });
        }
    }
    if random.below(8) == 0 {
        all.insert(random.of(&WORDS).to_owned(), value(random, 0));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_calls_of_every_tool_change_nothing() {
    let calls = told("MIDWATCH_CALLS", CALLS);
    let seed = told("MIDWATCH_SEED", 1);
    println!("seed {seed}, {calls} calls");
    let range = Range::new().await;
    // What they want is approved, for somebody else.
    for action in [scale("cart", 6), restart("cart"), rollback("shop-api", "d-BAD")] {
        range.approved(&action).await;
    }
    let aws = Aws::new(AwsSettings::local(range.world.endpoint(), "us-east-1"));
    let ctx = Ctx::new(aws, Arc::new(range.world.catalog().clone()), range.world.clock());
    let clients: Vec<Client> = vec![
        range.client(EDITOR).await,
        range.client(EDITOR).await,
        range.client(DESK).await,
        connect_in_process(LogsServer::new(ctx.clone())).await.unwrap(),
        connect_in_process(MetricsServer::new(ctx.clone())).await.unwrap(),
        connect_in_process(DeploymentsServer::new(ctx)).await.unwrap(),
    ];
    let mut tools = Vec::new();
    for client in &clients {
        tools.push(client.list_all_tools().await.unwrap());
    }
    let mut random = Random::from(seed);
    let (mut answered, mut refused, mut slowest) = (0_u64, 0_u64, Duration::ZERO);
    for call in 0..calls {
        let at = random.below(clients.len());
        let tool = &tools[at][random.below(tools[at].len())];
        let arguments = arguments(&mut random, &tool.input_schema);
        let request = CallToolRequestParams::new(tool.name.clone()).with_arguments(arguments.clone());
        let begun = tokio::time::Instant::now();
        let answer = tokio::time::timeout(LONGEST, clients[at].call_tool(request)).await;
        let answer =
            answer.unwrap_or_else(|_| panic!("call {call}, {}: {arguments:?} has no end", tool.name));
        slowest = slowest.max(begun.elapsed());
        match answer {
            Ok(result) => {
                let text = result.structured_content.unwrap_or_default().to_string();
                assert!(!text.contains("\"outcome\":\"done\""), "call {call}: {text}");
                assert!(!text.contains("panicked"), "call {call}, {}: {arguments:?}: {text}", tool.name);
                assert!(!text.contains("v4.public."), "call {call}: a permit is shown: {text}");
                answered += 1;
            }
            Err(error) => {
                let text = error.to_string();
                assert!(
                    !text.contains("closed") && !text.contains("panic"),
                    "call {call}, {}: {text}",
                    tool.name
                );
                refused += 1;
            }
        }
    }
    assert_eq!(range.world.mutations(), [], "something was changed");
    println!("{answered} answered, {refused} turned down, the slowest took {slowest:?}");
    assert!(answered > calls / 10, "hardly anything was understood");
    // And whoever it was approved for can still use it.
    range.acts_once(&rollback("shop-api", "d-BAD")).await;
}
