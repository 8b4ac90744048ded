//! Several accounts and regions in one daemon: what is asked about a service is asked with that
//! service's role and in its region, as it is seen at the wire.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use midwatch::servers;
use midwatch_agents::{
    model::CallLimits,
    tools::{ToolCall, Tools as _},
};
use midwatch_mcp::{Aws, AwsSettings, Ctx, Roles, SystemClock};
use midwatch_policy::Catalog;
use serde_json::{Map, Value, json};

const CATALOG: &str = "
[[service]]
name = 'shop'
tier = 1
environment = 'production'
region = 'eu-west-1'
role_arn = 'arn:aws:iam::111111111111:role/read-shop'
log_groups = ['/shop']
alarms = ['shop-*']
ecs = { cluster = 'shop', service = 'shop' }
[[service]]
name = 'stock'
tier = 1
environment = 'production'
region = 'us-west-2'
role_arn = 'arn:aws:iam::222222222222:role/read-stock'
log_groups = ['/stock']
alarms = ['stock-*']
ecs = { cluster = 'stock', service = 'stock' }
[[service]]
name = 'plain'
tier = 1
environment = 'production'
log_groups = ['/plain']
alarms = ['plain-*']
ecs = { cluster = 'plain', service = 'plain' }
";

/// A request as it came: whose key signed it, for which region and service of AWS, and what it says.
#[derive(Debug, Clone)]
struct Came {
    key: String,
    region: String,
    of: String,
    body: String,
}

type Seen = Arc<Mutex<Vec<Came>>>;

/// Answers every call: with credentials that name the role, or with a refusal.
async fn aws(State(seen): State<Seen>, headers: HeaderMap, body: Bytes) -> Response {
    let body = String::from_utf8_lossy(&body).into_owned();
    let signed = headers["authorization"].to_str().unwrap();
    let scope = signed.split_once("Credential=").unwrap().1.split(',').next().unwrap();
    let parts: Vec<&str> = scope.split('/').collect();
    let came = Came {
        key: parts[0].to_owned(),
        region: parts[2].to_owned(),
        of: parts[3].to_owned(),
        body: body.clone(),
    };
    seen.lock().unwrap().push(came);
    if parts[3] != "sts" {
        let refused = json!({ "__type": "AccessDeniedException", "message": "enough was seen" }).to_string();
        return (StatusCode::BAD_REQUEST, refused).into_response();
    }
    let role = if body.contains("read-shop") { "SHOP" } else { "STOCK" };
    format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
         <AssumedRoleUser><AssumedRoleId>A:s</AssumedRoleId><Arn>arn:aws:sts::1:assumed-role/r/s</Arn></AssumedRoleUser>\
         <Credentials><AccessKeyId>ASIA{role}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
         <SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
         </AssumeRoleResult></AssumeRoleResponse>"
    )
    .into_response()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_service_is_asked_about_with_its_own_role_in_its_own_region() {
    let seen = Seen::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(aws).with_state(Arc::clone(&seen));
    tokio::spawn(async move { axum::serve(listener, app).await });

    let settings = AwsSettings { roles: Roles::Assume, ..AwsSettings::local(&endpoint, "us-east-1") };
    let catalog = Arc::new(Catalog::parse(CATALOG).unwrap());
    let ctx = Ctx::new(Aws::new(settings), catalog, Arc::new(SystemClock));
    let tools = Arc::new(servers::readers(&ctx, None).await);
    let span = json!({ "from": "2026-11-21T01:00:00Z", "to": "2026-11-21T02:00:00Z" });
    let of = |service: &str, more: Value| {
        let mut args: Map<String, Value> = Map::from_iter([("service".to_owned(), json!(service))]);
        args.extend(more.as_object().unwrap().clone());
        args
    };
    // All at once: one service's role must not be another's because it came first.
    let calls = ["shop", "stock", "plain"].into_iter().flat_map(|service| {
        let alarm = json!({ "alarm_name": format!("{service}-slow") });
        [
            ("metrics", "get_alarm", of(service, alarm)),
            ("deployments", "service_health", of(service, json!({}))),
            ("logs", "error_patterns", of(service, span.clone())),
        ]
    });
    let calls: Vec<_> = calls.collect();
    let asked = calls.into_iter().map(|(server, tool, args)| {
        let tools = Arc::clone(&tools);
        async move {
            let call = ToolCall { server: server.to_owned(), tool: tool.to_owned(), args };
            drop(tools.call(&call, &CallLimits::within(Duration::from_secs(30))).await);
        }
    });
    futures::future::join_all(asked).await;

    let seen = seen.lock().unwrap().clone();
    let whose = |name: &str| -> BTreeSet<(String, String)> {
        let about = |came: &&Came| came.of != "sts" && came.body.contains(name);
        seen.iter().filter(about).map(|came| (came.key.clone(), came.region.clone())).collect()
    };
    let one = |key: &str, region: &str| BTreeSet::from([(key.to_owned(), region.to_owned())]);
    assert_eq!(whose("shop"), one("ASIASHOP", "eu-west-1"));
    assert_eq!(whose("stock"), one("ASIASTOCK", "us-west-2"));
    assert_eq!(whose("plain"), one("AKIDLOCAL", "us-east-1"));
    let asked: BTreeSet<&str> = seen.iter().map(|came| came.of.as_str()).collect();
    for of in ["sts", "monitoring", "ecs", "logs"] {
        assert!(asked.contains(of), "{of} was not asked: {asked:?}");
    }
    for came in seen.iter().filter(|came| came.of == "sts") {
        assert_eq!(came.key, "AKIDLOCAL", "a role is assumed with our own credentials");
    }
}
