//! Every scenario of the repository, played and read over the wire by the real clients: what it expects a
//! caller to find can be found, and what makes it special really happens.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_sdk_cloudwatch::types::{AlarmType, StateValue};
use aws_sdk_cloudwatchlogs::types::QueryStatus;
use midwatch_sim::{Scenario, World};

fn scenarios() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let mut dirs: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("scenario.toml").exists())
        .collect();
    dirs.sort();
    dirs
}

struct Stage {
    id: String,
    world: World,
    logs: aws_sdk_cloudwatchlogs::Client,
    alarms: aws_sdk_cloudwatch::Client,
    config: SdkConfig,
}

impl Stage {
    async fn play(dir: &Path) -> Self {
        let scenario = Scenario::load(dir).unwrap_or_else(|error| panic!("{error}"));
        let id = scenario.id().to_owned();
        let world = World::start(scenario).await.unwrap();
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(world.endpoint())
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "AK", "SK", None, None, "test",
            )))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        let logs = aws_sdk_cloudwatchlogs::Client::new(&config);
        let alarms = aws_sdk_cloudwatch::Client::new(&config);
        Self { id, world, logs, alarms, config }
    }

    async fn named(id: &str) -> Self {
        let dir = scenarios().into_iter().find(|dir| dir.ends_with(id));
        Self::play(&dir.unwrap_or_else(|| panic!("there is no scenario `{id}`"))).await
    }

    fn now(&self) -> i64 {
        self.world.clock().now().as_second()
    }

    /// Runs a query over the last half hour and waits for its end: rows as `name=value`.
    async fn query(&self, groups: &[String], text: &str) -> Vec<Vec<(String, String)>> {
        let started = self
            .logs
            .start_query()
            .set_log_group_names(Some(groups.to_vec()))
            .start_time(self.now() - 1800)
            .end_time(self.now())
            .query_string(text)
            .send()
            .await
            .unwrap();
        loop {
            self.world.clock().sleep(Duration::from_millis(300)).await;
            let answer =
                self.logs.get_query_results().query_id(started.query_id().unwrap()).send().await.unwrap();
            match answer.status() {
                Some(QueryStatus::Complete) => {
                    let cell = |cell: &aws_sdk_cloudwatchlogs::types::ResultField| {
                        (
                            cell.field().unwrap_or_default().to_owned(),
                            cell.value().unwrap_or_default().to_owned(),
                        )
                    };
                    return answer.results().iter().map(|row| row.iter().map(cell).collect()).collect();
                }
                Some(QueryStatus::Scheduled | QueryStatus::Running) => {}
                other => panic!("{}: {other:?}", self.id),
            }
        }
    }

    async fn count(&self, group: &str, condition: &str) -> u64 {
        let text = format!("filter {condition} | stats count(*) as n");
        let rows = self.query(&[group.to_owned()], &text).await;
        rows.first().map_or(0, |row| row[0].1.parse().unwrap())
    }

    fn groups(&self) -> Vec<String> {
        self.world.catalog().services().flat_map(|service| service.log_groups.clone()).collect()
    }

    /// The histories of the newest failed execution of each state machine.
    async fn failed_executions(&self) -> String {
        use aws_sdk_sfn::types::ExecutionFailedEventDetails as Failed;
        let client = aws_sdk_sfn::Client::new(&self.config);
        let mut text = String::new();
        for machine in self.world.catalog().services().filter_map(|service| service.state_machine.as_ref()) {
            let listed = client
                .list_executions()
                .state_machine_arn(machine.as_str())
                .status_filter(aws_sdk_sfn::types::ExecutionStatus::Failed)
                .send()
                .await
                .unwrap();
            for execution in listed.executions().iter().take(1) {
                let history = client
                    .get_execution_history()
                    .execution_arn(execution.execution_arn())
                    .send()
                    .await
                    .unwrap();
                for event in history.events() {
                    let entered = event
                        .state_entered_event_details()
                        .map(aws_sdk_sfn::types::StateEnteredEventDetails::name);
                    let failed = event.execution_failed_event_details();
                    text.extend(entered.into_iter().chain(failed.and_then(Failed::error)));
                    text.extend(failed.and_then(Failed::cause));
                    text.push('\n');
                }
            }
        }
        text
    }

    async fn alarm_state(&self, name: &str) -> StateValue {
        let asked = self.alarms.describe_alarms().alarm_names(name);
        let both = asked.alarm_types(AlarmType::MetricAlarm).alarm_types(AlarmType::CompositeAlarm);
        let answer = both.send().await.unwrap();
        let metric = answer.metric_alarms().iter().map(|alarm| alarm.state_value());
        let composite = answer.composite_alarms().iter().map(|alarm| alarm.state_value());
        metric.chain(composite).next().flatten().unwrap().clone()
    }
}

#[tokio::test]
async fn what_has_to_be_cited_can_be_found() {
    for dir in scenarios() {
        let stage = Stage::play(&dir).await;
        let groups = stage.groups();
        assert!(groups.len() >= 3, "{}: a service alone has no noisy neighbours", stage.id);
        for text in &stage.world.expected().must_cite {
            let number = text.bytes().all(|byte| byte.is_ascii_digit());
            let deployment = text.starts_with("d-") || text.starts_with("arn:");
            if number || deployment {
                continue;
            }
            let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
            let rows = stage
                .query(&groups, &format!("filter @message like \"{quoted}\" | stats count(*) as n by @log"))
                .await;
            let found = !rows.is_empty() || stage.failed_executions().await.contains(text);
            assert!(found, "{}: `{text}` is in no log and in no execution", stage.id);
        }
    }
}

#[tokio::test]
async fn every_scenario_names_its_alarm_and_has_healthy_noise() {
    for dir in scenarios() {
        let stage = Stage::play(&dir).await;
        let event = stage.world.alarm_event();
        let name = event["detail"]["alarmName"].as_str().unwrap_or_else(|| panic!("{}: {event}", stage.id));
        // What passed by itself may be over by the time its alarm is delivered.
        if !stage.world.expected().verdict.contains(&midwatch_policy::Verdict::Transient) {
            assert_eq!(stage.alarm_state(name).await, StateValue::Alarm, "{}", stage.id);
        }
        for group in stage.groups() {
            let lines = stage.query(std::slice::from_ref(&group), "stats count(*) as n").await;
            let lines: u64 = lines[0][0].1.parse().unwrap();
            assert!(lines > 200, "{}: `{group}` has {lines} lines only", stage.id);
        }
    }
}

#[tokio::test]
async fn the_case_study_has_its_seventy_three_errors_since_one_past_two() {
    let stage = Stage::named("pool-exhaustion-after-deploy").await;
    let pattern = "@message like /ConnectionTimeoutException: PostgreSQL connection pool exhausted/";
    assert_eq!(stage.count("/ecs/checkout-api", pattern).await, 73);
    let first = stage
        .query(
            &["/ecs/checkout-api".to_owned()],
            &format!("filter {pattern} | stats min(@timestamp) as first"),
        )
        .await;
    assert!(first[0][0].1.starts_with("2026-11-21 02:01:"), "{first:?}");
}

#[tokio::test]
async fn a_dead_service_stays_silent_while_its_alarm_goes_back_to_ok() {
    let stage = Stage::named("dead-and-quiet").await;
    stage.world.clock().sleep(Duration::from_mins(7)).await;
    assert_eq!(stage.alarm_state("dispatch-core-5xx-count").await, StateValue::Ok);
    let since = format!("@timestamp > {}", (stage.now() - 300) * 1000);
    assert_eq!(stage.count("/ecs/dispatch-core", &since).await, 0);
    assert!(stage.count("/ecs/driver-chat", &since).await > 100);
}

#[tokio::test]
async fn orders_stand_in_the_log_for_whoever_reads_it() {
    let stage = Stage::named("log-lines-with-instructions").await;
    assert!(stage.count("/ecs/booking-api", "@message like /IGNORE ALL PREVIOUS INSTRUCTIONS/").await > 3);
    assert!(stage.count("/ecs/booking-api", "@message like /PaymentUnavailableException/").await > 100);
}

#[tokio::test]
async fn a_throttled_table_shows_in_its_metric() {
    let stage = Stage::named("table-throttled").await;
    assert_eq!(stage.alarm_state("voucher-redemptions-throttled").await, StateValue::Alarm);
}

#[tokio::test]
async fn executions_fail_as_a_release_breaks_their_state_and_end_well_once_it_is_taken_back() {
    use aws_sdk_sfn::types::ExecutionStatus;
    let stage = Stage::named("workflow-state-fails-after-deploy").await;
    let service = stage.world.catalog().services().find(|s| s.state_machine.is_some()).unwrap().clone();
    let machine = service.state_machine.unwrap();
    let client = aws_sdk_sfn::Client::new(&stage.config);
    let statuses = async || {
        let listed = client.list_executions().state_machine_arn(machine.as_str()).send().await.unwrap();
        listed.executions
    };
    let before = statuses().await;
    let bad = before.iter().take(20).filter(|e| *e.status() == ExecutionStatus::Failed).count();
    assert!(bad >= 12, "{bad} of the last 20 failed");
    let old = before.iter().skip(60).filter(|e| *e.status() != ExecutionStatus::Succeeded).count();
    assert_eq!(old, 0, "none failed before");

    let ecs = aws_sdk_ecs::Client::new(&stage.config);
    let target = service.ecs.unwrap();
    let described = ecs
        .describe_services()
        .cluster(target.cluster.as_str())
        .services(target.service.as_str())
        .send()
        .await
        .unwrap();
    let now = described.services()[0].task_definition().unwrap().to_owned();
    let (family, revision) = now.rsplit_once(':').unwrap();
    let last_good = format!("{family}:{}", revision.parse::<u32>().unwrap() - 1);
    ecs.update_service()
        .cluster(target.cluster.as_str())
        .service(target.service.as_str())
        .task_definition(last_good)
        .send()
        .await
        .unwrap();
    stage.world.clock().sleep(Duration::from_mins(6)).await;
    let after = statuses().await;
    assert!(after[0].start_date().secs() > before[0].start_date().secs() + 240, "executions go on");
    let bad = after.iter().take(20).filter(|e| *e.status() == ExecutionStatus::Failed).count();
    assert_eq!(bad, 0, "none of the last 20 failed");
    assert_eq!(stage.alarm_state("claim-settlement-executions-failed").await, StateValue::Ok);
}

#[tokio::test]
async fn a_flapping_alarm_has_a_history_and_calms_down() {
    let stage = Stage::named("flapping-alarm").await;
    let history = stage
        .alarms
        .describe_alarm_history()
        .alarm_name("search-suggest-queue-depth")
        .history_item_type(aws_sdk_cloudwatch::types::HistoryItemType::StateUpdate)
        .send()
        .await
        .unwrap();
    assert!(history.alarm_history_items().len() >= 10, "{}", history.alarm_history_items().len());
    stage.world.clock().sleep(Duration::from_mins(7)).await;
    assert_eq!(stage.alarm_state("search-suggest-queue-depth").await, StateValue::Ok);
}

#[tokio::test]
async fn runbooks_are_retrieved_by_the_error() {
    let stage = Stage::named("pool-exhaustion-after-deploy").await;
    let client = aws_sdk_bedrockagentruntime::Client::new(&stage.config);
    let query = aws_sdk_bedrockagentruntime::types::KnowledgeBaseQuery::builder()
        .text("ConnectionTimeoutException: PostgreSQL connection pool exhausted")
        .build();
    let found =
        client.retrieve().knowledge_base_id("RUNBOOKS01").retrieval_query(query).send().await.unwrap();
    let uri = found.retrieval_results()[0].location().unwrap().s3_location().unwrap().uri().unwrap();
    assert!(uri.ends_with("/connection-pool-exhausted.md"), "{uri}");
}
