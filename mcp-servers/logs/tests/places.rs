//! A name that two regions have: whose group is read, at the wire. Every request is signed for the region
//! it goes to, so that the signature tells.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

use std::sync::{Arc, Mutex};

use axum::{Router, body::Bytes, http::HeaderMap, routing::post};
use midwatch_logs::LogsServer;
use midwatch_mcp::{Aws, AwsSettings, Client, Ctx, SystemClock, connect_in_process};
use midwatch_policy::Catalog;
use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};

const CATALOG: &str = r#"
[[service]]
name = "checkout-prod"
tier = 1
environment = "production"
region = "eu-west-1"
log_groups = ["/ecs/checkout", "/ecs/only-eu"]

[[service]]
name = "checkout-us"
tier = 1
environment = "production"
region = "us-west-2"
log_groups = ["/ecs/checkout"]

[[service]]
name = "pay-us"
tier = 1
environment = "production"
region = "us-west-2"
log_groups = ["/ecs/only-us"]
"#;

type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// An endpoint with one error line in every group; keeps the region and the operation of each request.
async fn endpoint() -> (String, Asked) {
    let asked = Asked::default();
    let log = asked.clone();
    let answer = move |headers: HeaderMap, body: Bytes| async move {
        let of = |name: &str| headers.get(name).and_then(|t| t.to_str().ok()).unwrap_or_default().to_owned();
        let operation = of("x-amz-target").rsplit('.').next().unwrap_or_default().to_owned();
        let region = of("authorization").split('/').nth(2).unwrap_or_default().to_owned();
        log.lock().unwrap().push((region.clone(), operation.clone()));
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let at = 1_763_690_500_000_i64;
        let event = json!({ "timestamp": at, "message": "ERROR no stock", "logStreamName": "s" });
        let body = match operation.as_str() {
            "StartQuery" => json!({ "queryId": "q" }),
            "GetQueryResults" => json!({ "status": "Complete", "results": [] }),
            "FilterLogEvents" | "GetLogEvents" => json!({ "events": [event] }),
            "DescribeLogGroups" => {
                let name = &body["logGroupNamePrefix"];
                let group = json!({ "logGroupName": name, "storedBytes": 1000, "creationTime": 0 });
                json!({ "logGroups": [group] })
            }
            other => json!({ "__type": "AccessDeniedException", "message": other }),
        };
        ([("content-type", "application/x-amz-json-1.1")], body.to_string())
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (endpoint, asked)
}

struct Stage {
    client: Client,
    asked: Asked,
}

impl Stage {
    async fn new() -> Self {
        let (at, asked) = endpoint().await;
        let aws = Aws::new(AwsSettings::local(at, "us-east-1"));
        let catalog = Arc::new(Catalog::parse(CATALOG).unwrap());
        let server = LogsServer::new(Ctx::new(aws, catalog, Arc::new(SystemClock)));
        Self { client: connect_in_process(server).await.unwrap(), asked }
    }

    /// The content of the answer, and the regions that it was read from.
    async fn call(&self, tool: &'static str, arguments: Value) -> (Value, Vec<String>) {
        self.asked.lock().unwrap().clear();
        let mut all = arguments.as_object().cloned().unwrap();
        if tool != "log_context" {
            all.insert("from".to_owned(), json!("2025-11-21T02:00:00Z"));
            all.insert("to".to_owned(), json!("2025-11-21T02:30:00Z"));
        }
        if tool == "log_query" {
            all.insert("query".to_owned(), json!("fields @message"));
        }
        let request = CallToolRequestParams::new(tool).with_arguments(all);
        let result = self.client.call_tool(request).await.unwrap();
        let mut regions: Vec<String> =
            self.asked.lock().unwrap().iter().map(|(region, _)| region.clone()).collect();
        regions.sort();
        regions.dedup();
        (result.structured_content.unwrap(), regions)
    }
}

#[tokio::test]
async fn a_service_decides_where_a_group_is_read() {
    let stage = Stage::new().await;
    let mut references = Vec::new();
    for (service, region) in [("checkout-us", "us-west-2"), ("checkout-prod", "eu-west-1")] {
        for tool in ["error_patterns", "log_query"] {
            let (found, regions) = stage.call(tool, json!({ "service": service })).await;
            assert_eq!(regions, [region], "{tool} {found}");
            references.push(found["ref"].clone());
            if tool == "error_patterns" {
                let pattern = &found["patterns"][0];
                references.push(pattern["ref"].clone());
                references.push(pattern["examples"][0]["ref"].clone());
            }
        }
    }
    let (us, eu) = references.split_at(references.len() / 2);
    assert!(us.iter().zip(eu).all(|(one, other)| one.is_null() || one != other), "{references:?}");
    // An event is read on where it was found, by its ref or by its name.
    for (event, region) in [(&us[2], "us-west-2"), (&eu[2], "eu-west-1")] {
        let (found, regions) = stage.call("log_context", json!({ "ref": event })).await;
        assert_eq!(regions, [region], "{found}");
        assert_eq!(&found["events"][0]["ref"], event, "{found}");
    }
    let (error, _) = stage.call("log_context", json!({ "ref": us[1] })).await;
    assert!(error["error"]["mend"].to_string().contains("examples of a pattern"), "{error}");
    let event = json!({ "log_group": "/ecs/checkout", "log_stream": "s", "at": "2025-11-21T02:01:40Z",
        "service": "checkout-us" });
    assert_eq!(stage.call("log_context", event).await.1, ["us-west-2"]);
}

#[tokio::test]
async fn a_bare_name_of_several_places_is_refused_and_one_query_reads_one_place() {
    let stage = Stage::new().await;
    let event = json!({ "log_group": "/ecs/checkout", "log_stream": "s", "at": "2025-11-21T02:01:40Z" });
    for (tool, arguments) in [
        ("error_patterns", json!({ "log_groups": ["/ecs/checkout"] })),
        ("log_query", json!({ "log_groups": ["/ecs/only-us", "/ecs/checkout"] })),
        ("log_context", event),
    ] {
        let (error, regions) = stage.call(tool, arguments.clone()).await;
        let error = error["error"].to_string();
        assert!(error.contains("checkout-prod") && error.contains("checkout-us"), "{arguments} {error}");
        assert_eq!(regions, [""; 0]);
    }
    let both = json!({ "log_groups": ["/ecs/only-us", "/ecs/only-eu"] });
    let (error, regions) = stage.call("log_query", both.clone()).await;
    let said = error["error"]["message"].as_str().unwrap();
    assert!(said.contains("eu-west-1") && said.contains("us-west-2"), "{error}");
    assert_eq!((&error["error"]["kind"], regions.len()), (&json!("invalid"), 0));
    // error_patterns reads each in its own place.
    let (found, regions) = stage.call("error_patterns", both).await;
    assert_eq!(regions, ["eu-west-1", "us-west-2"], "{found}");
    // What nobody lists is read with the service that it is named with, else with our own access.
    let (_, regions) =
        stage.call("error_patterns", json!({ "log_groups": ["/x"], "service": "pay-us" })).await;
    assert_eq!(regions, ["us-west-2"]);
    let (_, regions) = stage.call("error_patterns", json!({ "log_groups": ["/x"] })).await;
    assert_eq!(regions, ["us-east-1"]);
    let (_, regions) =
        stage.call("log_query", json!({ "service": "pay-us", "log_groups": ["/ecs/checkout"] })).await;
    assert_eq!(regions, ["us-west-2"]);
}
