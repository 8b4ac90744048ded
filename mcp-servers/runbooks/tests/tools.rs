//! The tools and resources as a client sees them.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{path::Path, sync::Arc};

use midwatch_mcp::{Aws, AwsSettings, Client, Ctx, ErrorKind, ToolError, connect_in_process};
use midwatch_policy::{Catalog, FixedClock, Timestamp};
use midwatch_runbooks::{RunbooksConfig, RunbooksServer};
use rmcp::model::{
    ArgumentInfo, CallToolRequestParams, CompleteRequestParams, ReadResourceRequestParams, Reference,
};
use serde_json::{Value, json};

const POOL: &str = "+++\nid = \"pool\"\ntitle = \"Connection pool exhausted\"\naction = \"rollback_deployment\"\n\
    signatures = [\"connection pool exhausted\"]\n+++\n# Connection pool exhausted\n\
    The new library needs `pool.close()`. Ask dba@example.com.\n";

async fn client(directory: Option<&Path>, knowledge_base: Option<&str>) -> Client {
    let clock = FixedClock(Timestamp::from_second(1_795_226_400).unwrap());
    // Nothing listens there.
    let aws = Aws::new(AwsSettings::local("http://127.0.0.1:9", "us-east-1"));
    let config = RunbooksConfig {
        directory: directory.map(Path::to_owned),
        knowledge_base_id: knowledge_base.map(str::to_owned),
        rerank_model: None,
    };
    let ctx = Ctx::new(aws, Arc::new(Catalog::default()), Arc::new(clock));
    connect_in_process(RunbooksServer::new(ctx, config)).await.unwrap()
}

async fn call(client: &Client, tool: &'static str, arguments: Value) -> Value {
    let request = CallToolRequestParams::new(tool).with_arguments(arguments.as_object().unwrap().clone());
    client.call_tool(request).await.unwrap().structured_content.unwrap()
}

fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("pool.md"), POOL).unwrap();
    std::fs::write(directory.path().join("bad one.md"), "+++\nid=\n+++\n# Bad\n").unwrap();
    directory
}

#[tokio::test]
async fn the_list_of_tools_is_stable() {
    insta::assert_json_snapshot!(client(None, None).await.list_all_tools().await.unwrap());
}

#[tokio::test]
async fn a_runbook_is_found_with_its_contract_and_a_bad_one_is_named() {
    let directory = directory();
    let client = client(Some(directory.path()), None).await;
    let found =
        call(&client, "search_runbooks", json!({"query": "FATAL: connection pool exhausted (+\"x\")"})).await;
    assert_eq!(found["hits"][0]["ref"], "runbook:pool");
    assert_eq!(found["hits"][0]["contract"]["action"], "rollback_deployment");
    assert_eq!(found["hits"][0]["source"], "local");
    assert!(found["notes"][0].as_str().unwrap().contains("bad one.md"), "{found}");
    let whole = call(&client, "get_runbook", json!({"runbook_id": "pool"})).await;
    assert!(whole["text"].as_str().unwrap().contains("pool.close()"));
    assert!(!whole.to_string().contains("dba@example.com"), "{whole}");
    for id in [found["hits"][0]["ref"].as_str().unwrap(), "runbook:///pool"] {
        assert_eq!(call(&client, "get_runbook", json!({"runbook_id": id})).await, whole, "as it is cited");
    }
}

#[tokio::test]
async fn ids_are_completed_by_any_part_and_lead_to_a_resource() {
    let directory = tempfile::tempdir().unwrap();
    for id in ["orders-pool", "pool-exhausted", "disk-full"] {
        let text = format!("+++\nid = \"{id}\"\n+++\n# {id}\nWhat to do.\n");
        std::fs::write(directory.path().join(format!("{id}.md")), text).unwrap();
    }
    let client = client(Some(directory.path()), None).await;
    let template = client.list_all_resource_templates().await.unwrap()[0].uri_template.clone();
    let complete = async |typed: &str| {
        let argument = ArgumentInfo::new("id", typed);
        let request = CompleteRequestParams::new(Reference::for_resource(&template), argument);
        client.complete(request).await.unwrap().completion
    };
    assert_eq!(complete("Pool").await.values, ["pool-exhausted", "orders-pool"]);
    assert_eq!(complete("").await.total, Some(3));
    assert!(complete("nothing").await.values.is_empty());
    let uri = template.replace("{+id}", "pool-exhausted");
    let read = client.read_resource(ReadResourceRequestParams::new(uri)).await.unwrap();
    assert!(serde_json::to_string(&read.contents).unwrap().contains("What to do."));
}

#[tokio::test]
async fn front_matter_is_cleaned_like_prose() {
    let key = concat!("AKIA", "QYLPMN5HHHFPZAM2");
    let title = format!("title = \"Pool \\u202e\\u001b[31m with {key}\"");
    let lists = format!(
        "signatures = [\"pool exhausted {key}\"]\npreconditions = [\"{key}\"]\nnever = [\"{key}\"]\n\
         escalate_to = \"{key}\""
    );
    let directory = tempfile::tempdir().unwrap();
    let text = format!("+++\nid = \"pool\"\n{title}\n{lists}\n+++\n# Pool {key}\npool exhausted\u{202e}\n");
    std::fs::write(directory.path().join("pool.md"), text).unwrap();
    std::fs::write(
        directory.path().join("bad.md"),
        format!("+++\nid=\"bad\"\nacton=\"{key}\"\n+++\n# Bad\n"),
    )
    .unwrap();
    let client = client(Some(directory.path()), None).await;
    let found = call(&client, "search_runbooks", json!({"query": "pool exhausted"})).await;
    let whole = call(&client, "get_runbook", json!({"runbook_id": "pool"})).await;
    assert!(found["hits"][0]["title"].as_str().unwrap().starts_with("Pool [31m with "), "{found}");
    for answer in [&found, &whole] {
        assert!(!answer.to_string().contains(key), "{answer}");
        assert!(!answer.to_string().contains(['\u{202e}', '\u{1b}']), "{answer}");
        assert!(!answer.to_string().contains("\\u001b"), "{answer}");
        assert!(answer["notes"].to_string().contains("secrets were taken out"), "{answer}");
    }
    let listed = serde_json::to_string(&client.list_all_resources().await.unwrap()).unwrap();
    assert!(!listed.contains(key), "{listed}");
}

#[tokio::test]
async fn a_knowledge_base_that_fails_is_replaced_by_the_directory() {
    let directory = directory();
    let client = client(Some(directory.path()), Some("KB1")).await;
    let found = call(&client, "search_runbooks", json!({"query": "connection pool exhausted"})).await;
    assert_eq!(found["hits"][0]["source"], "local");
    assert!(found["notes"].to_string().contains("knowledge base did not answer"), "{found}");
}

#[tokio::test]
async fn whole_runbooks_are_resources() {
    let directory = directory();
    let client = client(Some(directory.path()), None).await;
    let listed = client.list_all_resources().await.unwrap();
    let uris: Vec<&str> = listed.iter().map(|r| r.uri.as_str()).collect();
    assert_eq!(uris, ["runbook:///bad%20one", "runbook:///pool"]);
    let read = client.read_resource(ReadResourceRequestParams::new("runbook:///pool")).await.unwrap();
    assert!(serde_json::to_string(&read.contents).unwrap().contains("pool.close()"));
    assert!(client.read_resource(ReadResourceRequestParams::new("runbook:///nothing")).await.is_err());
}

#[tokio::test]
async fn bad_arguments_are_answered_in_the_common_shape() {
    let client = client(None, None).await;
    for (tool, arguments, kind) in [
        ("search_runbooks", json!({"query": "x", "limit": 0}), ErrorKind::Invalid),
        ("search_runbooks", json!({"query": " "}), ErrorKind::Invalid),
        ("search_runbooks", json!({"query": "x", "service": "a b"}), ErrorKind::Invalid),
        ("search_runbooks", json!({}), ErrorKind::Invalid),
        ("get_runbook", json!({"runbook_id": "../../etc/passwd"}), ErrorKind::NotFound),
    ] {
        let answer = call(&client, tool, arguments).await;
        assert_eq!(ToolError::from_structured(&answer).unwrap().kind, kind, "{answer}");
    }
    let found = call(&client, "search_runbooks", json!({"query": "x"})).await;
    assert!(found["notes"].to_string().contains("--runbooks DIR"), "{found}");
}

#[tokio::test]
async fn a_service_that_nobody_knows_is_noted_with_those_that_are() {
    let directory = directory();
    let client = client(Some(directory.path()), None).await;
    let asked = async |service| {
        call(&client, "search_runbooks", json!({"query": "pool", "service": service})).await["notes"]
            .to_string()
    };
    assert!(!asked("checkout-apj").await.contains("checkout-apj"), "nothing is known of services");
    let contract = "+++\nid = \"disk\"\ntitle = \"Disk\"\nservices = [\"checkout-api\"]\n+++\n# Disk\n";
    std::fs::write(directory.path().join("disk.md"), contract).unwrap();
    let note = asked("checkout-apj").await;
    assert!(note.contains("did you mean `checkout-api`?; known are: checkout-api"), "{note}");
    assert!(!asked("checkout-api").await.contains("known are"));
}
