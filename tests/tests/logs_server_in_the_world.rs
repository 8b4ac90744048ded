//! The logs server against the world: its patterns for every scenario of the repository, and each of its other tools once.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use midwatch_logs::{LogsConfig, LogsServer};
use midwatch_mcp::{Aws, AwsSettings, Client, Ctx, connect_in_process};
use midwatch_policy::Timestamp;
use midwatch_sim::{Scenario, World};
use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};

fn scenarios() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/scenarios");
    let entries = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let mut dirs: Vec<PathBuf> = entries.filter(|path| path.join("scenario.toml").exists()).collect();
    dirs.sort();
    dirs
}

/// While one test computes, only its own worlds stand still. Otherwise a call in another's may wait longer than
/// the SDK allows it, and the server does without what it asked for.
fn apart(number: usize) {
    std::fs::write("/proc/thread-self/comm", midwatch_sim::thread_name(number)).unwrap();
}

/// A client of a logs server whose AWS is the world.
async fn client(world: &World) -> Client {
    client_with(world, LogsConfig::default()).await
}

async fn client_with(world: &World, config: LogsConfig) -> Client {
    let aws = Aws::new(AwsSettings::local(world.endpoint(), "us-east-1"));
    let ctx = Ctx::new(aws, Arc::new(world.catalog().clone()), world.clock());
    connect_in_process(LogsServer::with_config(ctx, config)).await.unwrap()
}

/// The content of a result, or its error.
async fn call(client: &Client, tool: &'static str, arguments: Value) -> Result<Value, Value> {
    let request = CallToolRequestParams::new(tool).with_arguments(arguments.as_object().cloned().unwrap());
    let result = client.call_tool(request).await.unwrap();
    let content = result.structured_content.unwrap();
    if result.is_error == Some(true) { Err(content["error"].clone()) } else { Ok(content) }
}

/// A service over the half hour up to now, with further arguments.
#[allow(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn lately(world: &World, service: &str, more: Value) -> Value {
    let now = world.clock().now();
    let from = now - jiff::SignedDuration::from_mins(30);
    let mut all = json!({ "service": service, "from": from.to_string(), "to": now.to_string() });
    all.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    all
}

/// What `error_patterns` says of a service over the half hour up to now.
async fn patterns(world: &World, service: &str) -> Value {
    call(&client(world).await, "error_patterns", lately(world, service, json!({}))).await.unwrap()
}

async fn case_study() -> World {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/scenarios/pool-exhaustion-after-deploy");
    World::start(Scenario::load(&dir).unwrap()).await.unwrap()
}

#[tokio::test]
async fn what_has_to_be_cited_is_among_the_patterns() {
    apart(1);
    for dir in scenarios() {
        let scenario = Scenario::load(&dir).unwrap_or_else(|error| panic!("{error}"));
        let id = scenario.id().to_owned();
        let world = World::start(scenario).await.unwrap();
        let alarm = world.alarm_event()["detail"]["alarmName"].as_str().unwrap().to_owned();
        let catalog = world.catalog();
        let service = catalog.services().find(|service| service.alarms.contains(&alarm)).unwrap();
        if service.state_machine.is_some() {
            // Its executions say it: `workflows.rs`.
            continue;
        }
        let mut seen = patterns(&world, service.name.as_str()).await.to_string();
        for dependency in service.depends_on.iter().filter(|name| catalog.get(name).is_some()) {
            seen.push_str(&patterns(&world, dependency.as_str()).await.to_string());
        }
        for text in &world.expected().must_cite {
            if text.starts_with("d-") || text.bytes().all(|byte| byte.is_ascii_digit()) {
                continue;
            }
            assert!(seen.contains(text.as_str()), "{id}: `{text}` is in no pattern of `{}`", service.name);
        }
    }
}

#[tokio::test]
async fn a_query_scans_no_more_than_was_estimated_and_not_much_less() {
    apart(2);
    let mut by_metric = 0;
    for dir in scenarios() {
        let world = World::start(Scenario::load(&dir).unwrap()).await.unwrap();
        let client = client(&world).await;
        for service in world.catalog().services().filter(|service| !service.log_groups.is_empty()) {
            let query = lately(&world, service.name.as_str(), json!({ "query": "stats count(*) as n" }));
            let found = call(&client, "log_query", query).await.unwrap();
            let estimated = found["cost"]["estimated_bytes"].as_f64().unwrap();
            let scanned = found["statistics"]["bytes_scanned"].as_f64().unwrap();
            let place = format!("{} {}", dir.display(), service.name);
            // The newest minute is not in the metric yet; that each line counts a little more makes up for it.
            assert!(estimated >= 0.98 * scanned, "{place}: {found}");
            if found["cost"]["basis"] == "incoming_bytes" {
                by_metric += 1;
                assert!(estimated <= 2.0 * scanned + 1e5, "{place}: {found}");
            }
        }
    }
    assert!(by_metric > 40, "{by_metric}");
}

#[tokio::test]
async fn rows_are_paged_by_cursor_without_asking_again() {
    apart(3);
    let world = case_study().await;
    let client = client(&world).await;
    let more = json!({ "query": "fields @timestamp, @message | limit 25", "limit": 10 });
    let mut arguments = lately(&world, "checkout-api", more);
    let mut seen: Vec<Value> = Vec::new();
    for rows in [10, 10, 5] {
        let page = call(&client, "log_query", arguments.clone()).await.unwrap();
        assert_eq!(page["rows"].as_array().unwrap().len(), rows, "{page}");
        assert_eq!(page["spent"] == json!({}), !seen.is_empty(), "only the first page costs: {page}");
        seen.extend(page["rows"].as_array().unwrap().iter().cloned());
        assert_eq!(page["next_cursor"].is_null(), seen.len() == 25, "{page}");
        arguments["cursor"] = page["next_cursor"].clone();
    }
    // Newest first, each once: the pages are of one answer, whatever is logged meanwhile.
    let times: Vec<&str> = seen.iter().map(|row| row["@timestamp"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|one, next| one >= next), "{times:?}");
    let each: std::collections::BTreeSet<String> = seen.iter().map(Value::to_string).collect();
    assert_eq!(each.len(), 25);
    arguments["cursor"] = json!("../x:1");
    let error = call(&client, "log_query", arguments).await.unwrap_err();
    assert_eq!(error["kind"], "invalid", "{error}");
}

#[tokio::test]
async fn the_groups_of_a_service_are_found_by_what_runs_it_and_all_are_listed_in_pages() {
    apart(4);
    let world = case_study().await;
    let client = client(&world).await;
    let found = call(&client, "log_groups", json!({ "service": "checkout-api" })).await.unwrap();
    let own = &found["groups"][0];
    let ways = own["found_by"].to_string();
    assert!(ways.contains("catalog") && ways.contains("task_definition"), "{found}");
    assert!(own["stored_bytes"].as_u64().unwrap() > 0, "{found}");
    let mut listed: Vec<String> = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let page = call(&client, "log_groups", json!({ "limit": 2, "cursor": cursor })).await.unwrap();
        let names = page["groups"].as_array().unwrap().iter();
        let names: Vec<String> = names.map(|group| group["name"].as_str().unwrap().to_owned()).collect();
        assert!((1..=2).contains(&names.len()), "{page}");
        listed.extend(names);
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert!(listed.len() > 2 && listed.is_sorted_by(|one, next| one < next), "{listed:?}");
    assert!(listed.iter().any(|name| *name == own["name"]), "{listed:?}");
    let some = call(&client, "log_groups", json!({ "contains": "checkout-api" })).await.unwrap();
    assert_eq!(some["groups"][0]["name"], own["name"], "{some}");
    let error = call(&client, "log_groups", json!({ "metric_name": "Errors" })).await.unwrap_err();
    assert_eq!(error["kind"], "invalid", "{error}");
}

#[tokio::test]
async fn a_window_is_compared_with_the_time_that_was_named() {
    apart(5);
    let world = case_study().await;
    let client = client(&world).await;
    let time = |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
    for (named, hours) in
        [("before", 0.5), ("hour_before", 1.0), ("same_time_yesterday", 24.0), ("same_time_last_week", 168.0)]
    {
        let arguments = lately(&world, "checkout-api", json!({ "compare_with": named }));
        let found = call(&client, "error_patterns", arguments).await.unwrap();
        let back = time(&found["from"]).duration_since(time(&found["baseline_from"])).as_secs_f64() / 3600.0;
        assert!((back - hours).abs() < 1e-6, "{named}: {found}");
        let errors = &found["errors"];
        assert!(errors["total"].as_u64().unwrap() > 50 && errors["baseline_total"] == 0, "{named}: {errors}");
    }
    let itself = json!({ "baseline_from": "2026-11-21T01:50:00Z", "baseline_to": "2026-11-21T02:04:00Z" });
    let error = call(&client, "error_patterns", lately(&world, "checkout-api", itself)).await.unwrap_err();
    assert!(error["message"].as_str().unwrap().contains("overlaps the window"), "{error}");
    let both = json!({ "compare_with": "hour_before", "baseline_from": "2026-11-21T00:00:00Z", "baseline_to": "2026-11-21T01:00:00Z" });
    let error = call(&client, "error_patterns", lately(&world, "checkout-api", both)).await.unwrap_err();
    assert_eq!(error["kind"], "invalid", "{error}");
}

#[tokio::test]
async fn of_times_without_lines_no_silence_is_told() {
    apart(7);
    let world = case_study().await;
    let client = client(&world).await;
    let over = |from: &str, to: &str| json!({ "service": "checkout-api", "from": from, "to": to });
    let old = over("2016-01-01T00:00:00Z", "2016-01-01T01:00:00Z");
    let old = call(&client, "error_patterns", old).await.unwrap();
    assert_eq!((&old["activity"]["lines"], &old["activity"]["quiet"]), (&json!(0), &json!(false)), "{old}");
    let notes = old["notes"].to_string();
    assert!(notes.contains("has nothing from before") && !notes.contains("is quiet"), "{notes}");

    let future = over("2030-01-01T00:00:00Z", "2030-01-01T01:00:00Z");
    let query = json!({ "query": "fields @message" });
    let mut asked = future.clone();
    asked.as_object_mut().unwrap().extend(query.as_object().cloned().unwrap());
    for (tool, arguments) in [("error_patterns", future), ("log_query", asked)] {
        let error = call(&client, tool, arguments).await.unwrap_err();
        assert!(error["message"].as_str().unwrap().contains("after the present"), "{tool} {error}");
    }

    let arn = "arn:aws:logs:us-east-1:123456789012:log-group:/ecs/checkout-api:*";
    let arguments =
        json!({ "log_groups": [arn], "from": "2026-11-21T01:00:00Z", "to": "2026-11-21T02:00:00Z" });
    let error = call(&client, "error_patterns", arguments).await.unwrap_err();
    assert!(error["mend"].as_str().unwrap().contains("give the name, `/ecs/checkout-api`"), "{error}");
}

#[tokio::test]
async fn a_sample_counts_the_errors_that_reading_all_lines_finds() {
    apart(6);
    let text = r#"
time = 2026-11-21T02:04:00Z
seed = 3
[[service]]
name = "orders"
log_lines_per_minute = 0
noise = "none"
[[fault]]
service = "orders"
at = "-20m"
error_share = 0
[[fault.line]]
text = '{"level":"INFO","message":"order {hex:8} shipped","error":null,"exception":"","failed":0}'
per_minute = 30
[[fault.line]]
text = '{"message":"order {hex:8} packed","err":{},"last_error_code":0}'
per_minute = 30
[[fault.line]]
text = '{"level":"ERROR","message":"order {hex:8} is lost","error":null}'
count = 40
[[fault.line]]
text = '{"message":"order {hex:8}","error":"LedgerClosed: no such book"}'
count = 25
"#;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("scenario.toml"), text).unwrap();
    let few = LogsConfig { max_lines: 30, direct_bytes: 0, ..LogsConfig::default() };
    for (config, sampled) in [(LogsConfig::default(), false), (few, true)] {
        let world = World::start(Scenario::load(dir.path()).unwrap()).await.unwrap();
        let client = client_with(&world, config).await;
        let found = call(&client, "error_patterns", lately(&world, "orders", json!({}))).await.unwrap();
        assert_eq!(found["sampled"], sampled, "{found}");
        assert!(found["activity"]["lines"].as_u64().unwrap() > 1000, "{found}");
        assert_eq!(found["errors"]["total"], 65, "{found}");
        let patterns = found["patterns"].as_array().unwrap();
        // One is told in one piece and written field by field.
        let counts: Vec<&Value> = patterns.iter().map(|pattern| &pattern["count"]).collect();
        assert_eq!(counts, [40, 25], "{found}");
        assert!(!found["notes"].to_string().contains("lower bound"), "{found}");
        let quiet = ["shipped", "packed"];
        assert!(!quiet.iter().any(|word| found["patterns"].to_string().contains(word)), "{found}");
    }
}
