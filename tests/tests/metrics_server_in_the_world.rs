//! The metrics server against the simulated world: several metrics in one call, and an alarm that is in ALARM all the
//! time.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

use std::sync::Arc;

use midwatch_mcp::{Aws, AwsSettings, Client, Ctx, connect_in_process};
use midwatch_metrics::MetricsServer;
use midwatch_sim::{Scenario, World};
use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};

const SCENARIO: &str = r#"
title = "Metrics"
time = 2026-11-21T02:04:00Z
history = "4h"
seed = 7

[[service]]
name = "shop-api"
tier = 1
depends_on = ["cart"]
tasks = 3

[[service]]
name = "cart"
tier = 2
tasks = 4

[[fault]]
id = "pool"
service = "shop-api"
at = "-3m"
error_share = 0.3

[[series]]
name = "Backlog"
namespace = "Shop"
base = 900
noise = 0.0

[[alarm]]
name = "shop-api-errors"
service = "shop-api"
metric = "error_rate"
threshold = 5

[[alarm]]
name = "shop-api-errors-hourly"
service = "shop-api"
metric = "errors"
threshold = 100000
period = "1h"

[[alarm]]
name = "cart-backlog"
service = "cart"
series = "Backlog"
threshold = 100

[expected]
verdict = "real"
"#;

struct Stage {
    world: World,
    client: Client,
}

async fn stage() -> Stage {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("scenario.toml"), SCENARIO).unwrap();
    let scenario = Scenario::load(directory.path()).unwrap_or_else(|error| panic!("{error}"));
    let world = World::start(scenario).await.unwrap();
    let aws = Aws::new(AwsSettings::local(world.endpoint(), "us-east-1"));
    let ctx = Ctx::new(aws, Arc::new(world.catalog().clone()), world.clock());
    Stage { client: connect_in_process(MetricsServer::new(ctx)).await.unwrap(), world }
}

impl Stage {
    async fn call(&self, tool: &'static str, arguments: Value) -> Value {
        let request =
            CallToolRequestParams::new(tool).with_arguments(arguments.as_object().cloned().unwrap());
        let result = self.client.call_tool(request).await.unwrap();
        assert_eq!(result.is_error, Some(false), "{result:?}");
        result.structured_content.unwrap()
    }

    /// Why a call is refused.
    async fn refused(&self, tool: &'static str, arguments: Value) -> String {
        let request =
            CallToolRequestParams::new(tool).with_arguments(arguments.as_object().cloned().unwrap());
        let result = self.client.call_tool(request).await.unwrap();
        assert_eq!(result.is_error, Some(true), "{result:?}");
        let error = &result.structured_content.unwrap()["error"];
        assert_eq!(error["kind"], "invalid", "{error}");
        format!("{}; {}", error["message"].as_str().unwrap(), error["mend"].as_str().unwrap())
    }

    /// The half hour up to now.
    fn lately(&self) -> (String, String) {
        let now = self.world.clock().now();
        ((now - jiff::SignedDuration::from_mins(30)).to_string(), now.to_string())
    }
}

#[tokio::test]
async fn several_metrics_of_one_call_are_each_judged_and_one_that_is_not_there_hides_none() {
    let stage = stage().await;
    let (from, to) = stage.lately();
    let also = json!([
        {"role": "traffic"},
        {"service": "cart", "role": "errors"},
        {"alarm_name": "cart-backlog", "service": "cart"},
        {"alarm_name": "no-such-alarm"},
    ]);
    let arguments = json!({"service": "shop-api", "role": "errors", "from": from, "to": to, "also": also});
    let found = stage.call("metric_window", arguments).await;
    assert_eq!(found["change"], "up", "{found}");
    assert!(!found["points"].as_array().unwrap().is_empty());

    let further = found["also"].as_array().unwrap();
    let named: Vec<&str> = further.iter().map(|one| one["metric"].as_str().unwrap()).collect();
    assert_eq!(further.len(), 3, "{named:?}");
    assert!(named[0].contains("RequestCount") && named[2].contains("Shop Backlog"), "{named:?}");
    for one in further {
        assert!(one.get("points").is_none(), "told without points: {one}");
        assert_eq!(one["change"], "none", "{one}");
        assert!(one.get("onset").is_none(), "{one}");
    }
    assert_eq!(further[2]["stats"]["avg"], 900.0);
    let notes = found["notes"].to_string();
    assert!(notes.contains("also[3]") && notes.contains("no-such-alarm"), "{notes}");

    // Asked for by itself, each is what it was beside the others.
    let alone = stage
        .call("metric_window", json!({"service": "shop-api", "role": "traffic", "from": from, "to": to}));
    let alone = alone.await;
    assert_eq!((&alone["ref"], &alone["stats"]), (&further[0]["ref"], &further[0]["stats"]));
}

#[tokio::test]
async fn an_alarm_that_is_in_alarm_all_the_time_is_said_to_be_though_it_never_changed() {
    let stage = stage().await;
    let alarm = stage.call("get_alarm", json!({"alarm_name": "cart-backlog", "service": "cart"})).await;
    assert_eq!(alarm["state"], "ALARM", "{alarm}");
    // As it is cited, it is the same; by its ARN it may be another's.
    let cited = stage.call("get_alarm", json!({"alarm_name": alarm["ref"], "service": "cart"})).await;
    assert_eq!(cited, alarm);
    let arn = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:cart-backlog";
    let why = stage.refused("get_alarm", json!({"alarm_name": arn})).await;
    assert!(why.contains("give the name, `cart-backlog`"), "{why}");
    let (from, to) = stage.lately();
    assert!(alarm["state_since"].as_str().unwrap() < from.as_str(), "long before: {alarm}");

    let arguments = json!({"alarm_name": "cart-backlog", "service": "cart", "from": from, "to": to});
    let history = stage.call("alarm_history", arguments).await;
    assert_eq!(history["transitions"], json!([]), "{history}");
    assert_eq!(history["times_in_alarm"], 0);
    assert_eq!(history["seconds_in_alarm"], 1800, "{history}");
    assert_eq!(history["flapping"], false);

    // Its metric has been where it is, too: what is steady has no onset, however bad it is.
    let arguments = json!({"alarm_name": "cart-backlog", "service": "cart", "from": from, "to": to});
    let window = stage.call("metric_window", arguments).await;
    assert_eq!((&window["change"], window.get("onset")), (&json!("none"), None), "{window}");

    let of_the_service =
        stage.call("list_alarms", json!({"service": "shop-api", "dependencies": true})).await;
    let firing = of_the_service["alarms"].as_array().unwrap().iter().filter(|one| one["state"] == "ALARM");
    let firing: Vec<&str> = firing.map(|one| one["name"].as_str().unwrap()).collect();
    assert!(firing.contains(&"cart-backlog") && firing.contains(&"shop-api-errors"), "{of_the_service}");
}

#[tokio::test]
async fn a_window_shorter_than_its_period_is_widened_or_refused_and_never_its_own_baseline() {
    let stage = stage().await;
    let (from, to) = stage.lately();
    let errors = |more: Value| {
        let mut arguments = json!({"service": "shop-api", "from": from, "to": to});
        arguments.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        arguments
    };
    for period in [3600, 86_400] {
        let why = stage.refused("metric_window", errors(json!({"role": "errors", "period_s": period}))).await;
        assert!(why.contains("longer than the window") && why.contains("at most 30 min"), "{why}");
    }

    let asked = errors(json!({"alarm_name": "shop-api-errors-hourly"}));
    let found = stage.call("metric_window", asked).await;
    assert_eq!(found["period_s"], 3600, "{found}");
    assert!(found["to"].as_str().unwrap() >= to.as_str(), "it holds the end that was asked: {found}");
    assert_eq!(found["baseline_to"], found["from"], "{found}");
    assert_ne!(found["baseline"], found["stats"], "{found}");
    assert_eq!(found["change"], "up", "{found}");
    let notes = found["notes"].to_string();
    assert!(notes.contains("the window was widened") && notes.contains("is not over"), "{notes}");
}

#[tokio::test]
async fn a_baseline_that_overlaps_the_window_is_refused() {
    let stage = stage().await;
    let (from, to) = stage.lately();
    let arguments = json!({"service": "shop-api", "role": "errors", "from": from, "to": to,
        "baseline_from": "2026-11-21T01:00:00Z", "baseline_to": to});
    let why = stage.refused("metric_window", arguments).await;
    assert!(why.contains("overlaps the window") && why.contains(&format!("end it at {from}")), "{why}");
}

#[tokio::test]
async fn no_state_is_told_of_times_without_a_history() {
    let stage = stage().await;
    let history = |from: &str, to: &str| json!({"alarm_name": "shop-api-errors", "from": from, "to": to});
    let why = stage.refused("alarm_history", history("2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z")).await;
    assert!(why.contains("after the present"), "{why}");

    let old = stage.call("alarm_history", history("2016-01-01T00:00:00Z", "2016-01-02T00:00:00Z")).await;
    assert_eq!((old.get("seconds_in_alarm"), &old["transitions"]), (None, &json!([])), "{old}");
    let notes = old["notes"].to_string();
    assert!(notes.contains("is not known") && !notes.contains("all along"), "{notes}");

    // What is kept is still told, and a window that is not over ends now.
    let day = stage.call("alarm_history", history("2026-11-20T12:00:00Z", "2026-11-22T00:00:00Z")).await;
    assert_eq!(day["times_in_alarm"], 1, "{day}");
    assert!(day["notes"].to_string().contains("cut at the present"), "{day}");
}
