//! A hostile agent: random calls of every server's tools, from callers that have no permit, while
//! permits for somebody else's same actions wait at the desk. Nothing changes, nothing panics.
//!
//! `MIDWATCH_CALLS` says how many calls; without it few enough for every run of the tests. Several agents
//! call at once, each with connections and numbers of its own.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use midwatch_deployments::DeploymentsServer;
use midwatch_logs::LogsServer;
use midwatch_mcp::{Aws, AwsSettings, Client, Ctx, connect_in_process};
use midwatch_metrics::MetricsServer;
use midwatch_remediation::SpendStore;
use midwatch_runbooks::{RunbooksConfig, RunbooksServer};
use midwatch_workflows::WorkflowsServer;
use rmcp::model::{CallToolRequestParams, Tool};
use serde_json::{Map, Value, json};

use crate::{
    random::{Random, told},
    range::{DESK, EDITOR, Range, restart, rollback, scale, unlimited},
};

const CALLS: u64 = 1500;
/// How many agents call at once.
const AGENTS: u64 = 4;
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

/// A server as an agent reaches it.
struct Door {
    name: &'static str,
    client: Client,
    tools: Vec<Tool>,
}

/// What came of an agent's calls: how many were answered and turned down, and the time they took, by tool.
#[derive(Default)]
struct Tally {
    answered: u64,
    refused: u64,
    slowest: Duration,
    spent: BTreeMap<String, (u32, Duration)>,
}

async fn doors(range: &Range) -> Vec<Door> {
    let aws = Aws::new(AwsSettings::local(range.world.endpoint(), "us-east-1"));
    let ctx = Ctx::new(aws, Arc::new(range.world.catalog().clone()), range.world.clock());
    let config = RunbooksConfig { directory: Some(range.path("runbooks")), ..RunbooksConfig::default() };
    let clients = [
        ("remediation", range.client(EDITOR).await),
        ("remediation", range.client(EDITOR).await),
        ("remediation, as desk", range.client(DESK).await),
        ("logs", connect_in_process(LogsServer::new(ctx.clone())).await.unwrap()),
        ("metrics", connect_in_process(MetricsServer::new(ctx.clone())).await.unwrap()),
        ("deployments", connect_in_process(DeploymentsServer::new(ctx.clone())).await.unwrap()),
        ("workflows", connect_in_process(WorkflowsServer::new(ctx.clone())).await.unwrap()),
        ("runbooks", connect_in_process(RunbooksServer::new(ctx, config)).await.unwrap()),
    ];
    let mut doors = Vec::new();
    for (name, client) in clients {
        let tools = client.list_all_tools().await.unwrap();
        doors.push(Door { name, client, tools });
    }
    doors
}

/// One agent and its calls.
async fn agent(range: Arc<Range>, seed: u64, calls: u64) -> Tally {
    let (doors, mut random, mut tally) = (doors(&range).await, Random::from(seed), Tally::default());
    for call in 0..calls {
        let door = &doors[random.below(doors.len())];
        let tool = &door.tools[random.below(door.tools.len())];
        let arguments = arguments(&mut random, &tool.input_schema);
        let what = || format!("seed {seed}, call {call}, {}: {arguments:?}", tool.name);
        let request = CallToolRequestParams::new(tool.name.clone()).with_arguments(arguments.clone());
        let begun = tokio::time::Instant::now();
        let answer = tokio::time::timeout(LONGEST, door.client.call_tool(request)).await;
        let answer = answer.unwrap_or_else(|_| panic!("{} has no end", what()));
        let took = begun.elapsed();
        tally.slowest = tally.slowest.max(took);
        let (count, sum) = tally.spent.entry(format!("{}: {}", door.name, tool.name)).or_default();
        (*count, *sum) = (*count + 1, *sum + took);
        match answer {
            Ok(result) => {
                let text = result.structured_content.unwrap_or_default().to_string();
                assert!(!text.contains("\"outcome\":\"done\""), "{}: {text}", what());
                assert!(!text.contains("panicked"), "{}: {text}", what());
                assert!(!text.contains("v4.public."), "{}: a permit is shown: {text}", what());
                tally.answered += 1;
            }
            Err(error) => {
                let text = error.to_string();
                assert!(!text.contains("closed") && !text.contains("panic"), "{}: {text}", what());
                tally.refused += 1;
            }
        }
    }
    tally
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_calls_of_every_tool_change_nothing() {
    let calls = told("MIDWATCH_CALLS", CALLS);
    let seed = told("MIDWATCH_SEED", 1);
    println!("seed {seed}, {calls} calls");
    // Every call goes all the way: what is limited by the hour is tried elsewhere, and nothing here is
    // about what survives a restart.
    let range = Range::with("", |config| {
        unlimited(config);
        config.spend = SpendStore::in_memory().unwrap();
    })
    .await;
    range.write("runbooks/pool.md", "# Connection pool exhausted\n\nRoll the deployment back.\n");
    // What they want is approved, for somebody else.
    for action in [scale("cart", 6), restart("cart"), rollback("shop-api", "d-BAD")] {
        range.approved(&action).await;
    }
    let range = Arc::new(range);
    let agents = (0..AGENTS).map(|number| {
        let share = calls / AGENTS + u64::from(number < calls % AGENTS);
        tokio::spawn(agent(Arc::clone(&range), seed.wrapping_mul(1000) + number, share))
    });
    let mut all = Tally::default();
    for tally in futures::future::join_all(agents).await {
        let tally = tally.unwrap();
        all.answered += tally.answered;
        all.refused += tally.refused;
        all.slowest = all.slowest.max(tally.slowest);
        for (name, (count, spent)) in tally.spent {
            let (known, sum) = all.spent.entry(name).or_default();
            (*known, *sum) = (*known + count, *sum + spent);
        }
    }
    assert_eq!(range.world.mutations(), [], "something was changed");
    println!("{} answered, {} turned down, the slowest took {:?}", all.answered, all.refused, all.slowest);
    for (name, (count, spent)) in &all.spent {
        println!("{name}: {count} calls, {:?} each", *spent / (*count).max(1));
    }
    assert_eq!(all.answered + all.refused, calls);
    assert!(all.answered > calls / 10, "hardly anything was understood");
    // And whoever it was approved for can still use it.
    range.acts_once(&rollback("shop-api", "d-BAD")).await;
}
