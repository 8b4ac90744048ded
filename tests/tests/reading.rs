//! The deployments and runbooks servers against the simulated world, as a client sees them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

use std::sync::Arc;

use midwatch_deployments::DeploymentsServer;
use midwatch_mcp::{Aws, AwsSettings, Client, Ctx, ErrorKind, ToolError, connect_in_process};
use midwatch_policy::{SignedDuration, Timestamp};
use midwatch_runbooks::{RunbooksConfig, RunbooksServer};
use midwatch_sim::{Scenario, World};
use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};

const SCENARIO: &str = r#"
title = "Reading"
time = 2026-11-21T02:04:00Z
seed = 11

[[service]]
name = "shop-api"
tier = 1
deploys_with = "codedeploy"
depends_on = ["cart"]
tasks = 3

[[service]]
name = "cart"
tier = 2
deploys_with = "ecs"
tasks = 4

[[deployment]]
service = "shop-api"
id = "d-OLD"
at = "-20h"
commit = "aaaaaaa"

[[deployment]]
service = "shop-api"
id = "d-NEW"
at = "-4m"
takes = "50s"
commit = "bbbbbbb"
author = "payments-dev"
pull_request = 1482
message = "Use password=hunter2hunter2 for the pool"

[[deployment]]
service = "cart"
kind = "ecs"
at = "-2h"
takes = "60s"
commit = "ccccccc"
author = "cart-team"
pull_request = 7
env = { POOL_SIZE = "supersecretvalue" }

[[fault]]
id = "pool"
service = "shop-api"
at = "-3m"
deployment = "d-NEW"
error_share = 0.2

[[task_stop]]
service = "cart"
at = "-10m"
kind = "oom"

[[task_stop]]
service = "cart"
at = "-5m"
kind = "health_check"

[[alarm]]
name = "shop-api-errors"
service = "shop-api"
metric = "error_rate"
threshold = 5

[expected]
verdict = "real"
"#;

async fn world(extra: &str) -> World {
    world_in(&tempfile::tempdir().unwrap(), extra).await
}

async fn world_in(directory: &tempfile::TempDir, extra: &str) -> World {
    std::fs::write(directory.path().join("scenario.toml"), format!("{SCENARIO}\n{extra}")).unwrap();
    std::fs::create_dir(directory.path().join("runbooks")).unwrap();
    let runbook = "+++\nid='pool'\ntitle='Connection pool'\nsignatures=['connection pool exhausted']\n+++\n\
                   # Connection pool\n## Steps\nA connection pool that is exhausted: roll the deployment back.\n";
    std::fs::write(directory.path().join("runbooks/pool.md"), runbook).unwrap();
    let scenario = Scenario::load(directory.path()).unwrap_or_else(|error| panic!("{error}"));
    World::start(scenario).await.unwrap()
}

fn ctx(world: &World) -> Ctx {
    let aws = Aws::new(AwsSettings::local(world.endpoint(), "us-east-1"));
    Ctx::new(aws, Arc::new(world.catalog().clone()), world.clock())
}

async fn deployments(world: &World) -> Client {
    connect_in_process(DeploymentsServer::new(ctx(world))).await.unwrap()
}

async fn call(client: &Client, tool: &'static str, arguments: &Value) -> Value {
    let request = CallToolRequestParams::new(tool).with_arguments(arguments.as_object().unwrap().clone());
    client.call_tool(request).await.unwrap().structured_content.unwrap()
}

/// This long before or after the world's present, as a text.
fn then(world: &World, minutes: i64) -> String {
    let now: Timestamp = world.clock().now();
    now.checked_add(SignedDuration::from_mins(minutes)).unwrap().to_string()
}

#[tokio::test]
async fn deployments_of_both_kinds_are_listed_with_what_ran_before() {
    let world = world("").await;
    let client = deployments(&world).await;
    let window =
        |service: &str| json!({"service": service, "from": then(&world, -60 * 24), "to": then(&world, 1)});
    let listed = call(&client, "list_deployments", &window("shop-api")).await;
    let list = listed["deployments"].as_array().unwrap();
    let ids: Vec<&str> = list.iter().map(|d| d["deployment_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["d-NEW", "d-OLD"], "{listed}");
    let new = &list[0];
    assert_eq!((new["kind"].as_str(), new["status"].as_str()), (Some("codedeploy"), Some("succeeded")));
    assert_eq!(new["ref"], "deploy:d-NEW");
    assert_eq!(new["previous_revision"], list[1]["revision"]);
    assert!(new["commit"].as_str().unwrap().starts_with("bbbbbbb"), "{new}");
    assert_eq!((new["author"].as_str(), new["pull_request"].as_str()), (Some("payments-dev"), Some("1482")));
    assert!(!listed.to_string().contains("hunter2"), "{new}");

    let listed = call(&client, "list_deployments", &window("cart")).await;
    assert_eq!(listed["deployments"][0]["kind"], "ecs", "{listed}");
    assert_eq!(listed["deployments"][0]["status"], "succeeded");
    assert!(listed["deployments"][0]["previous_revision"].is_string(), "{listed}");
}

#[tokio::test]
async fn a_deployment_is_compared_with_what_ran_before_and_no_value_leaves() {
    let world = world("").await;
    let client = deployments(&world).await;
    let changed =
        call(&client, "what_changed", &json!({"service": "shop-api", "deployment_id": "d-NEW"})).await;
    let fields: Vec<&str> =
        changed["changes"].as_array().unwrap().iter().map(|c| c["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["commit", "revision"], "{changed}");
    assert_eq!(changed["author"], "payments-dev");

    let window = json!({"service": "cart", "from": then(&world, -180), "to": then(&world, 1)});
    let listed = call(&client, "list_deployments", &window).await;
    let id = &listed["deployments"][0]["deployment_id"];
    let changed = call(&client, "what_changed", &json!({"service": "cart", "deployment_id": id})).await;
    let text = changed["changes"].to_string();
    assert!(text.contains(".image") && text.contains(".environment.POOL_SIZE"), "{changed}");
    assert!(!changed.to_string().contains("supersecretvalue"), "{changed}");
    assert_eq!(
        (changed["author"].as_str(), changed["pull_request"].as_str()),
        (Some("cart-team"), Some("7")),
        "{changed}"
    );

    let missing = call(&client, "what_changed", &json!({"service": "cart", "deployment_id": "d-NEW"})).await;
    assert_eq!(ToolError::from_structured(&missing).unwrap().kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn who_asked_for_a_deployment_is_told_by_cloudtrail_and_never_needed() {
    let world = world("").await;
    let client = deployments(&world).await;
    let new = json!({"service": "shop-api", "deployment_id": "d-NEW"});
    let changed = call(&client, "what_changed", &new).await;
    let by = &changed["asked_by"];
    assert_eq!(
        (by["principal"].as_str(), by["by"].as_str()),
        (Some("role/deploy/payments-dev"), Some("cli"))
    );
    assert_eq!(changed["notes"], json!([]), "{changed}");

    let window = json!({"service": "cart", "from": then(&world, -180), "to": then(&world, 1)});
    let listed = call(&client, "list_deployments", &window).await;
    let id = &listed["deployments"][0]["deployment_id"];
    let of_cart = call(&client, "what_changed", &json!({"service": "cart", "deployment_id": id})).await;
    assert_eq!(of_cart["asked_by"]["principal"], "role/deploy/cart-team", "{of_cart}");

    world.fail("cloudtrail:*", "AccessDeniedException", 400, None);
    let denied = call(&client, "what_changed", &new).await;
    assert!(denied["asked_by"].is_null() && denied["changes"] == changed["changes"], "{denied}");
    let note = denied["notes"][0].as_str().unwrap();
    assert!(note.contains("cloudtrail:LookupEvents") && note.contains("not permitted"), "{note}");
}

#[tokio::test]
async fn the_deployment_just_before_the_onset_is_the_first_suspect() {
    let world = world("").await;
    let client = deployments(&world).await;
    let found = call(&client, "correlate", &json!({"service": "shop-api", "onset": then(&world, -3)})).await;
    let scores: Vec<(&str, f64)> = found["candidates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["service"].as_str().unwrap(), c["score"].as_f64().unwrap()))
        .collect();
    assert_eq!(found["candidates"][0]["deployment_id"], "d-NEW", "{found}");
    assert!(scores[0].1 > 0.8, "{found}");
    assert!(scores[1..].iter().all(|(_, score)| *score < 0.2), "{found}");
    assert!(scores.iter().any(|(service, _)| *service == "cart"), "dependencies are looked at: {found}");
    // Had the trouble begun before it, it would be cleared.
    let found = call(&client, "correlate", &json!({"service": "shop-api", "onset": then(&world, -8)})).await;
    let new = found["candidates"].as_array().unwrap().iter().find(|c| c["deployment_id"] == "d-NEW").unwrap();
    assert!(
        new["score"].as_f64().unwrap() < 0.05 && new["seconds_before_onset"].as_i64().unwrap() < 0,
        "{new}"
    );
}

#[tokio::test]
async fn stopped_tasks_are_counted_and_told_apart() {
    let world = world("").await;
    let client = deployments(&world).await;
    let health = call(&client, "service_health", &json!({"service": "cart"})).await;
    assert_eq!((health["known"].as_bool(), health["desired"].as_u64()), (Some(true), Some(4)), "{health}");
    let mut kinds: Vec<&str> =
        health["stopped_tasks"].as_array().unwrap().iter().map(|t| t["kind"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["health_check", "oom"], "{health}");
    assert_eq!(health["restarts"], 2);
    assert_eq!(health["healthy"], true, "{health}");
    assert!(!health["events"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn one_source_that_fails_leaves_the_other_and_a_note() {
    let world = world("\n[[inject]]\napi='ecs:*'\nfails_with='access_denied'\n").await;
    let client = deployments(&world).await;
    let window =
        |service: &str| json!({"service": service, "from": then(&world, -60), "to": then(&world, 1)});
    let found = call(&client, "correlate", &json!({"service": "shop-api", "onset": then(&world, -3)})).await;
    assert_eq!(found["candidates"][0]["deployment_id"], "d-NEW", "{found}");
    assert!(found["notes"].to_string().contains("`cart` are missing"), "{found}");
    let failed = call(&client, "list_deployments", &window("cart")).await;
    assert_eq!(ToolError::from_structured(&failed).unwrap().kind, ErrorKind::AccessDenied);
}

#[tokio::test]
async fn runbooks_come_from_the_directory_or_the_knowledge_base_in_one_shape() {
    let directory = tempfile::tempdir().unwrap();
    let world = world_in(&directory, "").await;
    let query = json!({"query": "ConnectionTimeoutException: connection pool exhausted"});
    let (base, model) = (|| Some("KB12345678".to_owned()), || Some("amazon.rerank-v1:0".to_owned()));
    for (knowledge_base_id, rerank_model, source, spent) in [
        (None, None, "local", json!({})),
        (base(), None, "knowledge_base", json!({"retrieval_queries": 1})),
        (base(), model(), "knowledge_base", json!({"retrieval_queries": 1, "rerank_queries": 1})),
    ] {
        let directory = Some(world.runbooks().to_owned());
        let config = RunbooksConfig { directory, knowledge_base_id, rerank_model };
        let client = connect_in_process(RunbooksServer::new(ctx(&world), config)).await.unwrap();
        let found = call(&client, "search_runbooks", &query).await;
        let hit = &found["hits"][0];
        assert_eq!(
            (hit["runbook_id"].as_str(), hit["source"].as_str()),
            (Some("pool"), Some(source)),
            "{found}"
        );
        assert_eq!(hit["contract"]["id"], "pool", "{found}");
        assert_eq!(found["spent"], spent, "{found}");
    }
}
