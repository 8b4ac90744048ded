//! What feeds an alarm, in the world: metric filters on log groups, and the children of composite alarms.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

use std::{sync::Arc, time::Duration};

use midwatch_logs::LogsServer;
use midwatch_mcp::{Aws, AwsSettings, Client, Ctx, connect_in_process};
use midwatch_metrics::MetricsServer;
use midwatch_sim::{Scenario, World};
use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};

const SCENARIO: &str = r#"
title = "Feeds"
time = 2026-11-21T02:04:00Z
seed = 7

[[service]]
name = "shop-api"
depends_on = ["cart"]

[[service]]
name = "cart"

[[fault]]
service = "shop-api"
at = "-3m30s"
until = "+4m"
error_share = 0.3
[[fault.line]]
text = "PaymentDeclined: card {hex:8} was refused"
per_minute = 40

[[metric_filter]]
name = "payments declined"
service = "shop-api"
pattern = '{ $.message = "PaymentDeclined*" }'
metric = "PaymentsDeclined"
namespace = "Shop"
default = 0

# Another metric, for all its name: it has dimensions.
[[metric_filter]]
name = "by level"
service = "cart"
metric = "PaymentsDeclined"
namespace = "Shop"
dimensions = { Level = "$.level" }

[[alarm]]
name = "shop-api-trouble"
service = "shop-api"
rule = 'ALARM("shop-api-declined") OR (ALARM("cart-backlog") AND NOT OK("shop-api-5xx"))'

[[alarm]]
name = "shop-api-declined"
service = "shop-api"
filter = "payments declined"

[[alarm]]
name = "shop-api-5xx"
service = "shop-api"

[[series]]
name = "Backlog"
namespace = "Shop"
base = 10

[[alarm]]
name = "cart-backlog"
service = "cart"
series = "Backlog"
threshold = 100

[[alarm]]
name = "shop-worst"
service = "shop-api"
rule = 'ALARM("shop-api-trouble") AND ALARM(arn:aws:cloudwatch:us-east-1:123456789012:alarm:shop-api-5xx) OR OK("deleted-long-ago")'
"#;

struct Stage {
    world: World,
    metrics: Client,
    logs: Client,
}

/// While one test computes, only its own worlds stand still. Otherwise a call in another's may wait longer than
/// the SDK allows it.
fn apart(number: usize) {
    std::fs::write("/proc/thread-self/comm", midwatch_sim::thread_name(number)).unwrap();
}

async fn stage(more: &str) -> Stage {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("scenario.toml"), format!("{SCENARIO}{more}")).unwrap();
    let scenario = Scenario::load(directory.path()).unwrap_or_else(|error| panic!("{error}"));
    let world = World::start(scenario).await.unwrap();
    let aws = Aws::new(AwsSettings::local(world.endpoint(), "us-east-1"));
    let ctx = Ctx::new(aws, Arc::new(world.catalog().clone()), world.clock());
    let metrics = connect_in_process(MetricsServer::new(ctx.clone())).await.unwrap();
    Stage { metrics, logs: connect_in_process(LogsServer::new(ctx)).await.unwrap(), world }
}

async fn call(client: &Client, tool: &'static str, arguments: Value) -> Value {
    let request = CallToolRequestParams::new(tool).with_arguments(arguments.as_object().cloned().unwrap());
    let result = client.call_tool(request).await.unwrap();
    assert_eq!(result.is_error, Some(false), "{result:?}");
    result.structured_content.unwrap()
}

impl Stage {
    async fn alarm(&self, name: &str) -> Value {
        call(&self.metrics, "get_alarm", json!({ "alarm_name": name })).await
    }
}

/// Names and states of an alarm's children.
fn children(alarm: &Value) -> Vec<(&str, &str)> {
    let all = alarm["children"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().map(|child| (child["name"].as_str().unwrap(), child["state"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn an_alarm_on_a_metric_of_a_filter_names_the_filter_and_its_log_group() {
    apart(1);
    let stage = stage("").await;
    let alarm = stage.alarm("shop-api-declined").await;
    assert_eq!(
        (&alarm["state"], &alarm["metric"]["namespace"]),
        (&json!("ALARM"), &json!("Shop")),
        "{alarm}"
    );
    let feed = json!([{
        "filter": "payments declined", "metric": "PaymentsDeclined", "log_group": "/ecs/shop-api",
        "pattern": r#"{ $.message = "PaymentDeclined*" }"#,
    }]);
    assert_eq!(alarm["fed_by"], feed, "{alarm}");
    // What AWS counts itself comes out of no log.
    assert!(stage.alarm("shop-api-5xx").await.get("fed_by").is_none());

    // The metric is what the filter makes of the lines.
    let now = stage.world.clock().now();
    let window = json!({
        "alarm_name": "shop-api-declined", "from": (now - jiff::SignedDuration::from_mins(30)).to_string(),
        "to": now.to_string(),
    });
    let window = call(&stage.metrics, "metric_window", window).await;
    assert_eq!((&window["change"], &window["missing_points"]), (&json!("up"), &json!(0)), "{window}");
    let points = window["points"].as_array().unwrap();
    let value = |at: &str| points.iter().find(|point| point["at"] == at).unwrap()["value"].as_f64().unwrap();
    assert!(value("2026-11-21T01:50:00Z") < 0.5, "{window}");
    assert!((30.0..=50.0).contains(&value("2026-11-21T02:02:00Z")), "{window}");
}

#[tokio::test]
async fn where_a_metric_is_counted_out_of_logs_is_found_by_its_filters() {
    apart(2);
    let stage = stage("").await;
    let asked = json!({ "metric_namespace": "Shop", "metric_name": "PaymentsDeclined" });
    let found = call(&stage.logs, "log_groups", asked).await;
    let ways = |group: &Value| group["found_by"][0]["metric_filter"]["pattern"].clone();
    let groups = found["groups"].as_array().unwrap();
    let named: Vec<&str> = groups.iter().map(|group| group["name"].as_str().unwrap()).collect();
    assert_eq!(named, ["/ecs/cart", "/ecs/shop-api"], "{found}");
    assert_eq!(ways(&groups[1]), r#"{ $.message = "PaymentDeclined*" }"#, "{found}");
    assert!(groups[1]["stored_bytes"].as_u64().unwrap() > 0, "{found}");
    let none =
        call(&stage.logs, "log_groups", json!({ "metric_namespace": "Shop", "metric_name": "Orders" }));
    let none = none.await;
    assert_eq!(none["groups"], json!([]), "{none}");
    assert!(none["notes"].to_string().contains("nothing was found"), "{none}");
}

#[tokio::test]
async fn a_composite_alarm_names_its_children_with_their_states_and_what_feeds_them() {
    apart(3);
    let stage = stage("").await;
    let alarm = stage.alarm("shop-api-trouble").await;
    assert_eq!((&alarm["state"], &alarm["state_since"]), (&json!("ALARM"), &json!("2026-11-21T02:04:00Z")));
    assert!(
        alarm["expression"].as_str().unwrap().starts_with("ALARM(\"shop-api-declined\") OR ("),
        "{alarm}"
    );
    let reason = alarm["reason"].as_str().unwrap();
    assert!(reason.contains(":alarm:shop-api-") && reason.contains(" transitioned to ALARM at "), "{alarm}");
    let of = children(&alarm);
    assert_eq!(of[2], ("cart-backlog", "OK"), "those in ALARM first: {alarm}");
    assert!(
        of.contains(&("shop-api-declined", "ALARM")) && of.contains(&("shop-api-5xx", "ALARM")),
        "{alarm}"
    );
    for child in alarm["children"].as_array().unwrap() {
        // CloudWatch's list of children has no reasons: they were asked for by name as well.
        assert!(child["reason"].as_str().unwrap().contains("Threshold Crossed"), "{child}");
    }
    let fed = &alarm["fed_by"];
    assert_eq!(
        (fed.as_array().unwrap().len(), &fed[0]["alarm"]),
        (1, &json!("shop-api-declined")),
        "{alarm}"
    );
    assert_eq!(
        (&fed[0]["filter"], &fed[0]["log_group"]),
        (&json!("payments declined"), &json!("/ecs/shop-api"))
    );
    assert_eq!(alarm["notes"], json!([]), "{alarm}");

    let whose: Vec<&Value> =
        alarm["children"].as_array().unwrap().iter().map(|one| &one["service"]).collect();
    assert_eq!(whose, ["shop-api", "shop-api", "cart"], "{alarm}");
}

#[tokio::test]
async fn what_the_children_of_a_composite_alarm_are_made_of_is_followed() {
    apart(7);
    let more = r#"
[[alarm]]
name = "shop-business"
service = "shop-api"
rule = 'ALARM("shop-worst")'

[[alarm]]
name = "shop-board"
service = "shop-api"
rule = 'ALARM("shop-business")'
"#;
    let stage = stage(more).await;
    // (name, state, composite alarm between, composite)
    let told = |alarm: &Value| -> Vec<(String, String, Option<String>, bool)> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        alarm["children"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                let of = text(&one["child_of"]);
                (text(&one["name"]).unwrap(), text(&one["state"]).unwrap(), of, one["composite"] == true)
            })
            .collect()
    };
    let one = |name: &str, state: &str, of: Option<&str>, composite| {
        (name.to_owned(), state.to_owned(), of.map(str::to_owned), composite)
    };
    let leaves = |depth: &str| {
        [one("shop-api-declined", "ALARM", Some(depth), false), one("cart-backlog", "OK", Some(depth), false)]
    };
    let above = stage.alarm("shop-worst").await;
    let [declined, backlog] = leaves("shop-api-trouble");
    // The rule of its child names one of its own children once more.
    let (own, trouble) =
        (one("shop-api-5xx", "ALARM", None, false), one("shop-api-trouble", "ALARM", None, true));
    assert_eq!(told(&above), [own, trouble, declined.clone(), backlog.clone()], "{above}");
    assert_eq!(above["fed_by"][0]["alarm"], "shop-api-declined", "{above}");

    // Two levels lie between them.
    let business = stage.alarm("shop-business").await;
    let (own, trouble) = (
        one("shop-api-5xx", "ALARM", Some("shop-worst"), false),
        one("shop-api-trouble", "ALARM", Some("shop-worst"), true),
    );
    let worst = one("shop-worst", "ALARM", None, true);
    assert_eq!(told(&business), [worst, own, trouble, declined, backlog], "{business}");
    assert_eq!(
        (&business["fed_by"][0]["alarm"], &business["fed_by"][0]["log_group"]),
        (&json!("shop-api-declined"), &json!("/ecs/shop-api")),
        "{business}"
    );
    let gone = "the rule of `shop-worst` names `deleted-long-ago`, but that alarm does not exist";
    assert_eq!(business["notes"], json!([gone]), "{business}");

    // Deeper is not looked, and that is said; no level takes more than one request.
    let before = stage.world.calls("cloudwatch:DescribeAlarms");
    let board = stage.alarm("shop-board").await;
    assert!(!board.to_string().contains("shop-api-declined"), "{board}");
    let notes = board["notes"].to_string();
    assert!(
        notes.contains("3 levels down: what the rule of `shop-api-trouble` names was not read"),
        "{board}"
    );
    // The alarm, its children twice, and two levels below them.
    assert_eq!(stage.world.calls("cloudwatch:DescribeAlarms") - before, 5, "{board}");

    // A level that cannot be read is said, and those above it stand.
    let denied = "\n[[inject]]\napi = \"cloudwatch:DescribeAlarms\"\nfails_with = \"access_denied\"\ncontains = '\"shop-api-declined\",\"cart-backlog\"'\n";
    let blind = self::stage(denied).await.alarm("shop-worst").await;
    assert_eq!(children(&blind), [("shop-api-5xx", "ALARM"), ("shop-api-trouble", "ALARM")], "{blind}");
    let notes = blind["notes"].to_string();
    assert!(
        notes.contains("the rule of `shop-api-trouble` names `shop-api-declined`, `cart-backlog`, which could not be read"),
        "{blind}"
    );
}

#[tokio::test]
async fn a_composite_alarm_changes_when_its_children_do() {
    apart(4);
    let stage = stage("").await;
    stage.world.clock().sleep(Duration::from_mins(12)).await;
    let alarm = stage.alarm("shop-api-trouble").await;
    assert_eq!(alarm["state"], "OK", "{alarm}");
    assert!(children(&alarm).iter().all(|(_, state)| *state == "OK"), "{alarm}");
    assert_eq!(stage.alarm("shop-worst").await["state"], "OK");
    let window = json!({
        "alarm_name": "shop-api-trouble", "from": "2026-11-21T01:00:00Z",
        "to": stage.world.clock().now().to_string(),
    });
    let history = call(&stage.metrics, "alarm_history", window).await;
    let changes = history["transitions"].as_array().unwrap();
    let to: Vec<&str> = changes.iter().map(|change| change["to"].as_str().unwrap()).collect();
    assert_eq!(to, ["ALARM", "OK"], "{history}");
    let declined = children(&alarm).len();
    assert_eq!(declined, 3, "{alarm}");
    assert!(changes[1]["reason"].as_str().unwrap().contains("transitioned to OK"), "{history}");
}

#[tokio::test]
async fn a_child_that_does_not_exist_or_cannot_be_read_is_said() {
    apart(5);
    let stage_with_all = stage("").await;
    let alarm = stage_with_all.alarm("shop-worst").await;
    let notes = alarm["notes"].to_string();
    assert!(notes.contains("`deleted-long-ago`") && notes.contains("does not exist"), "{alarm}");

    // The list of children alone fails: their names are in the rule.
    let denied = |contains: &str| {
        format!(
            "\n[[inject]]\napi = \"cloudwatch:DescribeAlarms\"\nfails_with = \"access_denied\"\ncontains = '{contains}'\n"
        )
    };
    let stage_unlisted = stage(&denied("ChildrenOfAlarmName")).await;
    let alarm = stage_unlisted.alarm("shop-api-trouble").await;
    assert_eq!(children(&alarm).len(), 3, "{alarm}");

    // By name they cannot be read: CloudWatch's list has their states.
    let by_name = r#""shop-api-declined","cart-backlog""#;
    let stage_unnamed = stage(&denied(by_name)).await;
    let alarm = stage_unnamed.alarm("shop-api-trouble").await;
    assert_eq!(children(&alarm).len(), 3, "{alarm}");
    assert!(alarm["notes"].to_string().contains("only name and state could be read"), "{alarm}");

    // Neither can be read: their names are still said.
    let stage_blind = stage(&format!("{}{}", denied("ChildrenOfAlarmName"), denied(by_name))).await;
    let alarm = stage_blind.alarm("shop-api-trouble").await;
    assert_eq!((alarm.get("children"), &alarm["state"]), (None, &json!("ALARM")), "{alarm}");
    let notes = alarm["notes"].to_string();
    for said in ["children could not be read", "`shop-api-declined`", "`cart-backlog`", "`shop-api-5xx`"] {
        assert!(notes.contains(said), "{said}: {alarm}");
    }

    let filters = "\n[[inject]]\napi = \"logs:DescribeMetricFilters\"\nfails_with = \"access_denied\"\n";
    let stage_unfed = stage(filters).await;
    let alarm = stage_unfed.alarm("shop-api-declined").await;
    assert!(alarm.get("fed_by").is_none(), "{alarm}");
    assert!(
        alarm["notes"].to_string().contains("metric filters of `PaymentsDeclined` could not be read"),
        "{alarm}"
    );
}

#[tokio::test]
async fn a_composite_alarm_is_among_the_alarms_of_its_service_and_near_a_name_that_is_wrong() {
    apart(6);
    let stage = stage("").await;
    let all = call(&stage.metrics, "list_alarms", json!({ "service": "shop-api" })).await;
    let named: Vec<&str> =
        all["alarms"].as_array().unwrap().iter().map(|alarm| alarm["name"].as_str().unwrap()).collect();
    assert!(named.contains(&"shop-api-trouble") && named.contains(&"shop-worst"), "{all}");
    let request = CallToolRequestParams::new("get_alarm")
        .with_arguments(json!({ "alarm_name": "shop-wurst" }).as_object().cloned().unwrap());
    let result = stage.metrics.call_tool(request).await.unwrap();
    let error = &result.structured_content.unwrap()["error"];
    assert!(error["mend"].as_str().unwrap().contains("shop-worst"), "{error}");
}
