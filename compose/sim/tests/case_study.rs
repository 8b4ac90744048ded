//! The case study, played with the official SDK clients and nothing of the product.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::{path::Path, time::Duration};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, StateValue};
use aws_sdk_codedeploy::types::{DeploymentStatus, GitHubLocation, RevisionLocation, RevisionLocationType};
use aws_sdk_ecs::types::DesiredStatus;
use aws_smithy_types::{DateTime, retry::RetryConfig};
use midwatch_sim::{Scenario, World};

async fn world(id: &str) -> (World, SdkConfig) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(id);
    let world = World::start(Scenario::load(&dir).unwrap()).await.unwrap();
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(world.endpoint())
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "AKIAEXAMPLE",
            "x",
            None,
            None,
            "t",
        )))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled())
        .build();
    (world, config)
}

fn seconds(world: &World) -> i64 {
    world.clock().now().as_second()
}

async fn count(logs: &aws_sdk_cloudwatchlogs::Client, text: &str, from_s: i64, to_s: i64) -> usize {
    let mut pages = logs
        .filter_log_events()
        .log_group_name("/ecs/checkout-api")
        .filter_pattern(format!("\"{text}\""))
        .start_time(from_s * 1000)
        .end_time(to_s * 1000)
        .into_paginator()
        .send();
    let mut found = 0;
    while let Some(page) = pages.next().await {
        found += page.unwrap().events().len();
    }
    found
}

#[tokio::test]
async fn a_rollback_ends_the_incident() {
    let (world, config) = world("pool-exhaustion-after-deploy").await;
    let logs = aws_sdk_cloudwatchlogs::Client::new(&config);
    let metrics = aws_sdk_cloudwatch::Client::new(&config);
    let deploy = aws_sdk_codedeploy::Client::new(&config);
    let ecs = aws_sdk_ecs::Client::new(&config);
    let start = seconds(&world);
    assert_eq!(world.clock().now().to_string(), "2026-11-21T02:04:04Z");
    assert_eq!(world.alarm_event()["detail"]["alarmName"], "checkout-api-5xx-error-rate");

    // Exactly 73 errors, none before 02:01.
    let text = "connection pool exhausted";
    assert_eq!(count(&logs, text, start - 1800, start).await, 73);
    assert_eq!(count(&logs, text, start - 1800, start - 184).await, 0);

    let alarms = metrics.describe_alarms().alarm_names("checkout-api-5xx-error-rate").send().await.unwrap();
    let alarm = &alarms.metric_alarms()[0];
    assert_eq!(alarm.state_value(), Some(&StateValue::Alarm));
    assert!(alarm.state_reason().unwrap().contains("3 out of the last 3 datapoints"), "{alarm:?}");
    assert_eq!(alarm.metrics().len(), 3);

    // Traffic by minute, against the dimensions of the catalog.
    let service = world.catalog().services().find(|s| s.name.as_str() == "checkout-api").unwrap();
    let traffic = service.traffic.as_ref().unwrap();
    let metric = Metric::builder()
        .namespace(&traffic.namespace)
        .metric_name(&traffic.name)
        .set_dimensions(Some(
            traffic.dimensions.iter().map(|(k, v)| Dimension::builder().name(k).value(v).build()).collect(),
        ))
        .build();
    let read = |minutes: i64, until: i64| {
        metrics
            .get_metric_data()
            .start_time(DateTime::from_secs(until - minutes * 60))
            .end_time(DateTime::from_secs(until))
            .metric_data_queries(
                MetricDataQuery::builder()
                    .id("m1")
                    .metric_stat(MetricStat::builder().metric(metric.clone()).period(60).stat("Sum").build())
                    .build(),
            )
            .send()
    };
    let data = read(30, start).await.unwrap();
    let values = data.metric_data_results()[0].values();
    assert!(values.len() >= 29, "{values:?}");
    assert!(values.iter().all(|v| *v > 100.0 && *v < 250.0), "{values:?}");

    // The deployment, and what ran before it.
    let listed = deploy
        .list_deployments()
        .application_name("checkout-api")
        .deployment_group_name("checkout-api-production")
        .send()
        .await
        .unwrap();
    assert_eq!(listed.deployments().len(), 2);
    assert_eq!(listed.deployments()[0], "d-8K2LQ7XVN");
    let infos = deploy.batch_get_deployments().deployment_ids("d-8K2LQ7XVN").send().await.unwrap();
    let info = &infos.deployments_info()[0];
    assert_eq!(info.status(), Some(&DeploymentStatus::Succeeded));
    assert!(info.description().unwrap().contains("(commit 9f31c2e, author payments-dev, PR #1482)"));
    let previous = info.previous_revision().unwrap().git_hub_location().unwrap().clone();
    assert!(previous.commit_id().unwrap().starts_with("4b7d0aa"));

    // A deployment that has succeeded cannot be stopped.
    let refused = deploy.stop_deployment().deployment_id("d-8K2LQ7XVN").send().await.unwrap_err();
    assert!(refused.into_service_error().is_deployment_already_completed_exception());
    let revision = |commit: &str| {
        RevisionLocation::builder()
            .revision_type(RevisionLocationType::GitHub)
            .git_hub_location(
                GitHubLocation::builder().repository("example-org/checkout-api").commit_id(commit).build(),
            )
            .build()
    };
    let create = |commit: &str| {
        deploy
            .create_deployment()
            .application_name("checkout-api")
            .deployment_group_name("checkout-api-production")
            .revision(revision(commit))
            .send()
    };
    let unknown = create("0000000").await.unwrap_err();
    assert!(unknown.into_service_error().is_revision_does_not_exist_exception());
    let id = create(previous.commit_id().unwrap()).await.unwrap().deployment_id.unwrap();
    let busy = create(previous.commit_id().unwrap()).await.unwrap_err();
    assert!(busy.into_service_error().is_deployment_limit_exceeded_exception());

    let clock = world.clock();
    clock.sleep(Duration::from_secs(20)).await;
    let info = deploy.get_deployment().deployment_id(&id).send().await.unwrap().deployment_info.unwrap();
    assert_eq!(info.status(), Some(&DeploymentStatus::InProgress));
    clock.sleep(Duration::from_secs(110)).await;
    let info = deploy.get_deployment().deployment_id(&id).send().await.unwrap().deployment_info.unwrap();
    assert_eq!(info.status(), Some(&DeploymentStatus::Succeeded));

    // The alarm clears within 90 seconds of the last replaced task, the errors stop, traffic goes on.
    let alarms = metrics.describe_alarms().alarm_names("checkout-api-5xx-error-rate").send().await.unwrap();
    assert_eq!(alarms.metric_alarms()[0].state_value(), Some(&StateValue::Ok));
    let history =
        metrics.describe_alarm_history().alarm_name("checkout-api-5xx-error-rate").send().await.unwrap();
    assert_eq!(history.alarm_history_items().len(), 2);
    clock.sleep(Duration::from_mins(2)).await;
    let now = seconds(&world);
    assert_eq!(count(&logs, text, now - 110, now).await, 0);
    let data = read(2, now).await.unwrap();
    assert!(data.metric_data_results()[0].values().iter().all(|v| *v > 100.0));

    // Every task was replaced.
    let running = ecs
        .list_tasks()
        .cluster("production")
        .service_name("checkout-api")
        .desired_status(DesiredStatus::Running)
        .send()
        .await
        .unwrap();
    let tasks = ecs
        .describe_tasks()
        .cluster("production")
        .set_tasks(Some(running.task_arns().to_vec()))
        .send()
        .await
        .unwrap();
    assert_eq!(tasks.tasks().len(), 4);
    assert!(tasks.tasks().iter().all(|t| t.created_at().unwrap().secs() >= start));

    // The oracle has seen two refusals and one change.
    let mutations = world.mutations();
    let accepted: Vec<_> = mutations.iter().filter(|m| m.accepted).map(|m| m.api.as_str()).collect();
    assert_eq!(accepted, ["codedeploy:CreateDeployment"]);
    assert_eq!(mutations.len(), 4);
}

#[tokio::test]
async fn without_an_action_the_incident_goes_on() {
    let (world, config) = world("pool-exhaustion-after-deploy").await;
    let logs = aws_sdk_cloudwatchlogs::Client::new(&config);
    let metrics = aws_sdk_cloudwatch::Client::new(&config);
    world.clock().sleep(Duration::from_mins(10)).await;
    let now = seconds(&world);
    assert!(count(&logs, "connection pool exhausted", now - 120, now).await > 20);
    let alarms = metrics.describe_alarms().state_value(StateValue::Alarm).send().await.unwrap();
    assert_eq!(alarms.metric_alarms().len(), 1);
}

#[tokio::test]
async fn the_same_seed_plays_the_same_world() {
    let mut texts = Vec::new();
    for _ in 0..2 {
        let (world, config) = world("pool-exhaustion-after-deploy").await;
        let logs = aws_sdk_cloudwatchlogs::Client::new(&config);
        let start = seconds(&world);
        let page = logs
            .filter_log_events()
            .log_group_name("/ecs/cart-service")
            .start_time((start - 120) * 1000)
            .end_time(start * 1000)
            .send()
            .await
            .unwrap();
        texts.push(format!("{:?} {}", page.events(), world.alarm_event()));
    }
    assert_eq!(texts[0], texts[1]);
}
