//! The logs and metrics servers against worlds: their calls on the real wire, and what they make
//! of incidents that are told by scenario files.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use midwatch_logs::{LogsConfig, LogsServer};
use midwatch_mcp::{Aws, AwsSettings, Client, Ctx, connect_in_process};
use midwatch_metrics::MetricsServer;
use midwatch_policy::{SignedDuration, Timestamp};
use midwatch_sim::{Scenario, World};
use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};

/// A world with both servers connected, looked at from the time its alarm fired.
struct Watch {
    world: World,
    logs: Client,
    metrics: Client,
    alarm: String,
    service: String,
    now: Timestamp,
}

fn scenarios() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/scenarios");
    let mut all: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("scenario.toml").is_file())
        .collect();
    all.sort();
    all
}

fn scenario(name: &str) -> PathBuf {
    scenarios().into_iter().find(|path| path.ends_with(name)).unwrap()
}

async fn watch(dir: &Path) -> Watch {
    watch_with(dir, LogsConfig::default()).await
}

async fn watch_with(dir: &Path, config: LogsConfig) -> Watch {
    let world = World::start(Scenario::load(dir).unwrap()).await.unwrap();
    let event = world.alarm_event();
    let alarm = event["detail"]["alarmName"].as_str().unwrap().to_owned();
    let catalog = Arc::new(world.catalog().clone());
    let service =
        catalog.service_of_alarm(&alarm, &std::collections::BTreeMap::new()).unwrap().name.to_string();
    let aws = Aws::new(AwsSettings::local(world.endpoint(), "us-east-1"));
    let ctx = Ctx::new(aws, catalog, world.clock());
    let logs = connect_in_process(LogsServer::with_config(ctx.clone(), config)).await.unwrap();
    let metrics = connect_in_process(MetricsServer::new(ctx)).await.unwrap();
    let now = world.clock().now();
    Watch { world, logs, metrics, alarm, service, now }
}

impl Watch {
    fn window(&self, minutes: i64, mut with: Value) -> Value {
        let from = self.now.checked_sub(SignedDuration::from_mins(minutes)).unwrap();
        with["from"] = json!(from);
        with["to"] = json!(self.now);
        with
    }
}

async fn answer(client: &Client, tool: &'static str, arguments: &Value) -> (bool, Value) {
    let request = CallToolRequestParams::new(tool).with_arguments(arguments.as_object().cloned().unwrap());
    let result = client.call_tool(request).await.unwrap();
    (result.is_error != Some(true), result.structured_content.unwrap())
}

async fn good(client: &Client, tool: &'static str, arguments: &Value) -> Value {
    let (good, content) = answer(client, tool, arguments).await;
    assert!(good, "{tool} {arguments}: {content}");
    content
}

/// Every `ref` in a result, with the object it stands in.
fn references<'a>(value: &'a Value, out: &mut Vec<(&'a str, &'a Value)>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("ref") {
                out.push((reference, value));
            }
            map.values().for_each(|inner| references(inner, out));
        }
        Value::Array(list) => list.iter().for_each(|inner| references(inner, out)),
        _ => {}
    }
}

#[tokio::test]
async fn every_scenario_is_read_without_error_and_every_part_can_be_cited_apart() {
    for dir in scenarios() {
        let watch = watch(&dir).await;
        let alarm = json!({"alarm_name": watch.alarm});
        let service = json!({"service": watch.service});
        let told = good(&watch.metrics, "get_alarm", &alarm).await;
        // A composite alarm watches no metric; its children do.
        let watching = json!({"alarm_name": told["children"][0].get("name").unwrap_or(&told["name"])});
        let mut results = vec![
            good(&watch.logs, "error_patterns", &watch.window(30, service.clone())).await,
            told,
            good(&watch.metrics, "alarm_history", &watch.window(24 * 60, alarm)).await,
            good(&watch.metrics, "list_alarms", &json!({"service": watch.service, "dependencies": true}))
                .await,
            good(&watch.metrics, "metric_window", &watch.window(30, watching)).await,
        ];
        for role in ["traffic", "errors"] {
            let arguments = watch.window(30, json!({"service": watch.service, "role": role}));
            results.push(good(&watch.metrics, "metric_window", &arguments).await);
        }
        for result in &results {
            let mut found = Vec::new();
            references(result, &mut found);
            assert!(!found.is_empty(), "{}: {result}", dir.display());
            found.sort_unstable_by_key(|(reference, _)| *reference);
            for pair in found.windows(2) {
                assert!(pair[0].0 != pair[1].0, "{} twice in {}: {result}", pair[0].0, dir.display());
            }
            assert!(result.to_string().len() < 70_000, "{}", dir.display());
        }
        assert_eq!(results[1]["name"], watch.alarm.as_str());
        // What the alarm says of itself is where its history ends, whether it is over or not.
        let newest = results[2]["transitions"].as_array().unwrap().last().unwrap();
        assert_eq!(results[1]["state"], newest["to"], "{}", dir.display());
        assert!(watch.world.mutations().is_empty(), "a reading server changed something");
    }
}

#[tokio::test]
async fn the_case_study_is_found_to_the_line() {
    let watch = watch(&scenario("pool-exhaustion-after-deploy")).await;
    let found =
        good(&watch.logs, "error_patterns", &watch.window(30, json!({"service": watch.service}))).await;
    let pool = &found["patterns"][0];
    assert_eq!(pool["exception"], "ConnectionTimeoutException");
    assert!(pool["template"].as_str().unwrap().contains("PostgreSQL connection pool exhausted"), "{pool}");
    assert_eq!((&pool["count"], &pool["baseline_count"]), (&json!(73), &json!(0)));
    assert_eq!((&pool["change"], &pool["status"]), (&json!("new"), &json!("ongoing")));
    assert!(pool["onset"].as_str().unwrap().starts_with("2026-11-21T02:01:0"), "{pool}");
    assert_eq!((&found["sampled"], &found["errors"]["total"]), (&json!(false), &json!(73)));
    assert_eq!(found["errors"]["onset"], pool["onset"]);
    // The interval ends at the onset: that is not said twice.
    assert!(pool["onset_earliest"].is_string() && pool.get("onset_latest").is_none(), "{pool}");
    assert_eq!(found["activity"]["quiet"], false);

    let example = &pool["examples"][1];
    let around = json!({"log_group": pool["log_group"], "log_stream": example["log_stream"], "at": example["timestamp"], "before": 3, "after": 3});
    let context = good(&watch.logs, "log_context", &around).await;
    let events = context["events"].as_array().unwrap();
    assert_eq!(events.len(), 6, "{context}");
    assert!(events.iter().any(|event| event["ref"] == example["ref"]), "{context}");

    let traffic = good(
        &watch.metrics,
        "metric_window",
        &watch.window(30, json!({"service": watch.service, "role": "traffic"})),
    )
    .await;
    assert_eq!(traffic["change"], "none", "{traffic}");
    let errors = good(
        &watch.metrics,
        "metric_window",
        &watch.window(30, json!({"service": watch.service, "role": "errors"})),
    )
    .await;
    assert_eq!(
        (&errors["change"], &errors["onset"]),
        (&json!("up"), &json!("2026-11-21T02:01:00Z")),
        "{errors}"
    );
    let rate =
        good(&watch.metrics, "metric_window", &watch.window(30, json!({"alarm_name": watch.alarm}))).await;
    assert_eq!((&rate["change"], &rate["onset"]), (&json!("up"), &json!("2026-11-21T02:01:00Z")), "{rate}");
}

#[tokio::test]
async fn insights_and_single_events_say_the_same() {
    let queried = LogsConfig { direct_bytes: 0, ..LogsConfig::default() };
    for name in ["pool-exhaustion-after-deploy", "table-throttled", "approver-never-answers"] {
        let mut both = Vec::new();
        for config in [LogsConfig::default(), queried] {
            let watch = watch_with(&scenario(name), config).await;
            let arguments = watch.window(30, json!({"service": watch.service, "limit": 30}));
            both.push(good(&watch.logs, "error_patterns", &arguments).await);
        }
        assert_eq!(both[0]["patterns"], both[1]["patterns"], "{name}");
        assert_eq!(both[0]["errors"], both[1]["errors"], "{name}");
        assert_eq!(both[0]["sampled"], false);
        let lines = |of: &Value| of["activity"]["lines"].as_i64().unwrap();
        // The range of a query counts whole seconds, so one second more may be in it.
        assert!(
            (lines(&both[0]) - lines(&both[1])).abs() <= 20,
            "{} {}",
            both[0]["activity"],
            both[1]["activity"]
        );
    }
}

#[tokio::test]
async fn counts_stay_exact_when_only_a_sample_is_read() {
    let few = LogsConfig { max_lines: 40, direct_bytes: 0, ..LogsConfig::default() };
    let watch = watch_with(&scenario("pool-exhaustion-after-deploy"), few).await;
    let found =
        good(&watch.logs, "error_patterns", &watch.window(30, json!({"service": watch.service}))).await;
    assert_eq!(found["sampled"], true);
    assert!(found["lines_read"].as_u64().unwrap() < 73, "{found}");
    let pool = &found["patterns"][0];
    assert_eq!(pool["exception"], "ConnectionTimeoutException");
    assert_eq!((&pool["count"], &pool["change"]), (&json!(73), &json!("new")), "{found}");
    assert!(pool["onset"].as_str().unwrap().starts_with("2026-11-21T02:01:0"), "{pool}");
    assert!(found["notes"].to_string().contains("sample"), "{found}");
}

#[tokio::test]
async fn what_would_scan_too_much_is_refused_with_a_cheaper_way() {
    // Nothing here is so small that it is read without a query, for nothing.
    let poor = LogsConfig { max_scan_bytes: 1000, direct_bytes: 0, ..LogsConfig::default() };
    let watch = watch_with(&scenario("pool-exhaustion-after-deploy"), poor).await;
    let (fine, refused) =
        answer(&watch.logs, "error_patterns", &watch.window(30, json!({"service": watch.service}))).await;
    assert!(!fine && refused["error"]["kind"] == "refused", "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("allowed are 1000 bytes"), "{refused}");
    // Not even a minute fits; what reads next to nothing is named.
    assert!(refused["error"]["mend"].as_str().unwrap().contains("log_context"), "{refused}");
}

#[tokio::test]
async fn queries_are_bounded_and_their_mistakes_explained() {
    let watch = watch(&scenario("pool-exhaustion-after-deploy")).await;
    let query = |text: &str| watch.window(10, json!({"service": watch.service, "query": text, "limit": 5}));
    let counts = good(
        &watch.logs,
        "log_query",
        &query("filter @message like /pool exhausted/ | stats count(*) as n by bin(1m) as minute | sort minute asc"),
    )
    .await;
    let sum: u64 = counts["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["n"].as_str().unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!((sum, &counts["status"]), (73, &json!("complete")), "{counts}");
    assert!(counts["statistics"]["bytes_scanned"].as_u64().unwrap() > 0);

    let many = good(&watch.logs, "log_query", &query("fields @timestamp, @message | limit 500")).await;
    assert_eq!((many["rows"].as_array().unwrap().len(), &many["truncated"]), (5, &json!(true)));
    assert!(!many.to_string().contains("@ptr"), "{many}");

    let (fine, wrong) = answer(&watch.logs, "log_query", &query("filter @message lik /a/")).await;
    assert!(!fine && wrong["error"]["kind"] == "invalid", "{wrong}");
    let (fine, other) =
        answer(&watch.logs, "log_query", &query("SOURCE logGroups() | fields @message")).await;
    assert!(!fine && other["error"]["kind"] == "refused", "{other}");
}

#[tokio::test]
async fn a_missing_group_is_named_and_the_others_are_still_read() {
    let watch = watch(&scenario("pool-exhaustion-after-deploy")).await;
    let (fine, missing) =
        answer(&watch.logs, "error_patterns", &watch.window(10, json!({"log_groups": ["/ecs/checkout"]})))
            .await;
    assert!(!fine && missing["error"]["kind"] == "not_found", "{missing}");
    assert!(missing["error"]["message"].as_str().unwrap().contains("/ecs/checkout"), "{missing}");
    let both = watch.window(10, json!({"service": watch.service, "log_groups": ["/ecs/nothing-there"]}));
    let found = good(&watch.logs, "error_patterns", &both).await;
    assert_eq!(found["patterns"][0]["count"], 73);
    assert!(found["notes"].to_string().contains("/ecs/nothing-there"), "{found}");

    let (fine, alarm) = answer(&watch.metrics, "get_alarm", &json!({"alarm_name": "checkout-api-5xx"})).await;
    assert!(!fine && alarm["error"]["mend"].as_str().unwrap().contains(&watch.alarm), "{alarm}");
}

#[tokio::test]
async fn silence_shows_once_a_service_is_dead() {
    let mut watch = watch(&scenario("dead-and-quiet")).await;
    watch.world.clock().sleep(std::time::Duration::from_mins(12)).await;
    watch.now = watch.world.clock().now();
    let found =
        good(&watch.logs, "error_patterns", &watch.window(10, json!({"service": watch.service}))).await;
    assert_eq!(found["activity"]["quiet"], true, "{}", found["activity"]);
    assert!(found["notes"].to_string().contains("healthy"), "{}", found["notes"]);
    let traffic = watch.window(30, json!({"service": watch.service, "role": "traffic"}));
    let traffic = good(&watch.metrics, "metric_window", &traffic).await;
    assert_eq!(traffic["change"], "stopped", "{traffic}");
}

#[tokio::test]
async fn instructions_in_lines_are_marked() {
    let watch = watch(&scenario("log-lines-with-instructions")).await;
    let found = good(
        &watch.logs,
        "error_patterns",
        &watch.window(30, json!({"service": watch.service, "limit": 30})),
    )
    .await;
    let marked = found["patterns"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|pattern| pattern.get("screened").is_some())
        .count();
    assert!(marked > 0, "{found}");
    assert!(marked < found["patterns"].as_array().unwrap().len(), "{found}");
}

#[tokio::test]
async fn a_flapping_alarm_is_seen_to_flap() {
    let watch = watch(&scenario("flapping-alarm")).await;
    let history =
        good(&watch.metrics, "alarm_history", &watch.window(24 * 60, json!({"alarm_name": watch.alarm})))
            .await;
    assert_eq!(history["flapping"], true, "{history}");
}
