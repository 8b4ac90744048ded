//! The desk's way to the remediation server, when that one ends and begins again.

use std::sync::Arc;

use midwatch_policy::{Catalog, Service};
use serde_json::json;

use crate::range::{Range, SUPERVISOR, asking, restart, scale};

#[tokio::test]
async fn the_desk_plans_again_once_the_server_is_back() {
    let mut range = Range::new().await;
    let action = scale("cart", 6);
    range.filed(&restart("vault-front")).await;
    // Another process at another address: every connection of before is gone.
    range.restart(|_| ()).await;
    range.approved(&action).await;
    range.acts_once(&action).await;
    // While nobody is there, nobody is asked; and then it goes on.
    let before = range.addr();
    range.back.lead_to("http://127.0.0.1:9");
    let (status, answer) =
        range.post(SUPERVISOR, "/v1/requests", &asking(&scale("cart", 5), json!({}))).await;
    assert_eq!((status, answer["error"]["kind"].as_str()), (409, Some("plan")), "{answer}");
    range.back.lead_to(&format!("http://{before}"));
    range.approved(&scale("cart", 5)).await;
    range.acts_once(&scale("cart", 5)).await;
}

/// A server that would act elsewhere than the desk, and so the approver, believes.
#[tokio::test]
async fn a_server_of_another_place() {
    let (mut range, action) = (Range::new().await, scale("cart", 6));
    let elsewhere = range
        .world
        .catalog()
        .services()
        .cloned()
        .map(|service| Service { account: Some("210987654321".to_owned()), ..service });
    let elsewhere = Arc::new(Catalog::new(elsewhere.collect()).unwrap());
    range.restart_with(|_| (), |config| config.catalog = Some(elsewhere.into())).await;
    let (status, answer) = range.post(SUPERVISOR, "/v1/requests", &asking(&action, json!({}))).await;
    assert_eq!((status, answer["error"]["kind"].as_str()), (409, Some("plan")), "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("210987654321"), "{answer}");
    range.restart(|_| ()).await;
    range.approved(&action).await;
    range.acts_once(&action).await;
}
