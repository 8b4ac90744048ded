//! Every operation, called by the real client.

use aws_sdk_cloudwatchlogs::{
    Client,
    error::ProvideErrorMetadata,
    types::{OrderBy, OutputLogEvent, QueryStatus, ResultField},
};

use super::{FilterPattern, MetricFilter, MetricValue};
use crate::{
    logs::Line,
    world::{
        State,
        played::{Played, play},
    },
};

/// 2026-11-21 02:00:00 UTC.
const START: i64 = 1_795_226_400_000;
const GROUP: &str = "/ecs/checkout-api";

fn line(stream: &str, at: i64, message: String) -> Line {
    Line { stream: stream.into(), timestamp_ms: at, ingestion_ms: at + 200, message: message.into() }
}

/// Two groups; in the first an event every second for ten minutes on two streams, every tenth an error.
async fn world() -> (Played, Client) {
    let mut state = State::new(START + 600_000, "123456789012", "us-east-1");
    state.logs.create_group(GROUP, START - 86_400_000, None);
    state.logs.create_group("/ecs/payments", START - 86_400_000, None);
    state.logs.create_group("/huge", START - 86_400_000, Some(40_000_000_000));
    state.logs.write(
        GROUP,
        (0..600).map(|second| {
            let level = if second % 10 == 0 { "ERROR" } else { "INFO" };
            let stream = if second % 2 == 0 { "api/a" } else { "api/b" };
            line(
                stream,
                START + second * 1000,
                format!(r#"{{"level":"{level}","ms":{second},"user":{{"id":"u{}"}}}}"#, second % 3),
            )
        }),
    );
    state.logs.write("/ecs/payments", [line("pay/1", START + 1000, "ERROR no such card".to_owned())]);
    state
        .logs
        .write("/huge", (0..100).map(|second| line("h", START + second * 1000, format!("line {second}"))));
    state.logs_api.metric_filters.push(MetricFilter {
        name: "errors".into(),
        group: GROUP.into(),
        pattern: FilterPattern::parse("{ $.level = \"ERROR\" }").unwrap(),
        namespace: "Checkout".into(),
        metric: "Errors".into(),
        value: MetricValue::Number(1.0),
        default: None,
        dimensions: std::collections::BTreeMap::new(),
    });
    let played = play(state).await;
    let client = Client::new(&played.config);
    (played, client)
}

async fn wait(
    played: &Played,
    client: &Client,
    id: &str,
) -> aws_sdk_cloudwatchlogs::operation::get_query_results::GetQueryResultsOutput {
    for _ in 0..100 {
        let answer = client.get_query_results().query_id(id).send().await.unwrap();
        if !matches!(answer.status(), Some(QueryStatus::Scheduled | QueryStatus::Running)) {
            return answer;
        }
        played.shared.pass(200).await;
    }
    panic!("the query did not end");
}

fn cells(row: &[ResultField]) -> Vec<String> {
    row.iter().map(|cell| format!("{}={}", cell.field().unwrap(), cell.value().unwrap())).collect()
}

#[tokio::test]
async fn groups_are_found_by_prefix_and_pattern_and_paged() {
    let (_played, client) = world().await;
    let all = client.describe_log_groups().send().await.unwrap();
    assert_eq!(all.log_groups().len(), 3);
    assert_eq!(all.log_groups()[2].stored_bytes(), Some(40_000_000_000));
    let first = &all.log_groups()[0];
    assert_eq!(first.log_group_name(), Some(GROUP));
    assert_eq!(first.metric_filter_count(), Some(1));
    assert_eq!(
        first.log_group_arn(),
        Some("arn:aws:logs:us-east-1:123456789012:log-group:/ecs/checkout-api")
    );

    let page = client.describe_log_groups().limit(1).log_group_name_prefix("/ecs/").send().await.unwrap();
    assert_eq!(page.log_groups().len(), 1);
    let next = client
        .describe_log_groups()
        .limit(1)
        .log_group_name_prefix("/ecs/")
        .next_token(page.next_token().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(next.log_groups()[0].log_group_name(), Some("/ecs/payments"));
    assert_eq!(next.next_token(), None);
    let pattern = client.describe_log_groups().log_group_name_pattern("ment").send().await.unwrap();
    assert_eq!(pattern.log_groups().len(), 1);
    let wrong = client.describe_log_groups().next_token("rubbish").send().await.unwrap_err();
    assert_eq!(wrong.code(), Some("InvalidParameterException"));
}

#[tokio::test]
async fn streams_and_metric_filters_are_described() {
    let (_played, client) = world().await;
    let streams = client
        .describe_log_streams()
        .log_group_name(GROUP)
        .order_by(OrderBy::LastEventTime)
        .descending(true)
        .send()
        .await
        .unwrap();
    let names: Vec<_> = streams.log_streams().iter().filter_map(|stream| stream.log_stream_name()).collect();
    assert_eq!(names, ["api/b", "api/a"]);
    assert_eq!(streams.log_streams()[0].last_event_timestamp(), Some(START + 599_000));
    assert_eq!(streams.log_streams()[1].first_event_timestamp(), Some(START));

    let filters = client
        .describe_metric_filters()
        .metric_namespace("Checkout")
        .metric_name("Errors")
        .send()
        .await
        .unwrap();
    assert_eq!(filters.metric_filters()[0].log_group_name(), Some(GROUP));
    let none =
        client.describe_metric_filters().metric_namespace("Checkout").metric_name("X").send().await.unwrap();
    assert!(none.metric_filters().is_empty());
    let error = client.describe_log_streams().log_group_name("/nope").send().await.unwrap_err();
    assert!(error.into_service_error().is_resource_not_found_exception());
}

#[tokio::test]
async fn events_are_filtered_and_paged() {
    let (_played, client) = world().await;
    let ask = || {
        client
            .filter_log_events()
            .log_group_name(GROUP)
            .filter_pattern("{ $.level = \"ERROR\" }")
            .start_time(START + 60_000)
            .end_time(START + 120_000)
            .limit(4)
    };
    let first = ask().send().await.unwrap();
    assert_eq!(first.events().len(), 4);
    assert_eq!(first.events()[0].timestamp(), Some(START + 60_000));
    let second = ask().next_token(first.next_token().unwrap()).send().await.unwrap();
    // The end is inclusive: 60, 70, … 120 are seven.
    assert_eq!(second.events().len(), 3);
    assert_eq!(second.events()[2].timestamp(), Some(START + 120_000));
    assert_eq!(second.next_token(), None);
    let words = client
        .filter_log_events()
        .log_group_identifier("arn:aws:logs:us-east-1:123456789012:log-group:/ecs/payments:*");
    assert_eq!(words.filter_pattern("card -INFO").send().await.unwrap().events().len(), 1);
    let prefix = client.filter_log_events().log_group_name(GROUP).log_stream_name_prefix("api/b");
    assert_eq!(prefix.send().await.unwrap().events().len(), 300);
    let wrong = client.filter_log_events().log_group_name(GROUP).filter_pattern("{ $.level }").send().await;
    assert!(wrong.unwrap_err().into_service_error().is_invalid_parameter_exception());
}

#[tokio::test]
async fn a_stream_is_read_in_both_directions() {
    let (_played, client) = world().await;
    let ask = || client.get_log_events().log_group_name(GROUP).log_stream_name("api/a").limit(100);
    let at = |events: &[OutputLogEvent]| {
        let time = |event: Option<&OutputLogEvent>| (event.unwrap().timestamp().unwrap() - START) / 1000;
        (time(events.first()), time(events.last()), events.len())
    };
    let tail = ask().send().await.unwrap();
    assert_eq!(at(tail.events()), (400, 598, 100));
    let before = ask().next_token(tail.next_backward_token().unwrap()).send().await.unwrap();
    assert_eq!(at(before.events()), (200, 398, 100));
    let head = ask().start_from_head(true).send().await.unwrap();
    assert_eq!(at(head.events()), (0, 198, 100));
    let after = ask().next_token(head.next_forward_token().unwrap()).send().await.unwrap();
    assert_eq!(at(after.events()), (200, 398, 100));
    let end = ask().next_token(tail.next_forward_token().unwrap()).send().await.unwrap();
    assert!(end.events().is_empty());
    assert_eq!(end.next_forward_token(), tail.next_forward_token());
    let missing =
        client.get_log_events().log_group_name(GROUP).log_stream_name("nope").send().await.unwrap_err();
    assert!(missing.into_service_error().is_resource_not_found_exception());
}

#[tokio::test]
async fn a_query_runs_then_completes_and_its_rows_lead_back_to_the_record() {
    let (played, client) = world().await;
    let started = client
        .start_query()
        .log_group_names(GROUP)
        .log_group_names("/ecs/payments")
        .start_time(START / 1000)
        .end_time(START / 1000 + 600)
        .query_string("filter @message like /ERROR/ | sort @timestamp asc | limit 2")
        .send()
        .await
        .unwrap();
    let id = started.query_id().unwrap();
    let early = client.get_query_results().query_id(id).send().await.unwrap();
    assert!(matches!(early.status(), Some(QueryStatus::Scheduled | QueryStatus::Running)), "{early:?}");
    let early_scanned = early.statistics().unwrap().records_scanned();
    let described = client.describe_queries().log_group_name(GROUP).send().await.unwrap();
    assert_eq!(described.queries()[0].query_id(), Some(id));

    let done = wait(&played, &client, id).await;
    assert_eq!(done.status(), Some(&QueryStatus::Complete));
    let statistics = done.statistics().unwrap();
    assert!(early_scanned < statistics.records_scanned());
    assert!((statistics.records_scanned() - 601.0).abs() < f64::EPSILON);
    assert!((statistics.records_matched() - 61.0).abs() < f64::EPSILON);
    let row = cells(&done.results()[0]);
    assert_eq!(row[0], "@timestamp=2026-11-21 02:00:00.000");
    assert!(row[1].starts_with("@message={\"level\":\"ERROR\""));
    let pointer = row[2].strip_prefix("@ptr=").unwrap();
    let record = client.get_log_record().log_record_pointer(pointer).send().await.unwrap();
    let fields = record.log_record().unwrap();
    assert_eq!(fields["level"], "ERROR");
    assert_eq!(fields["user.id"], "u0");
    assert_eq!(fields["@timestamp"], START.to_string());
    assert_eq!(fields["@log"], "123456789012:/ecs/checkout-api");
}

#[tokio::test]
async fn aggregates_are_grouped_by_time() {
    let (played, client) = world().await;
    let started = client
        .start_query()
        .log_group_identifiers("arn:aws:logs:us-east-1:123456789012:log-group:/ecs/checkout-api")
        .start_time(START / 1000)
        .end_time(START / 1000 + 599)
        .query_string("filter level = 'ERROR' | stats count(*) as n by bin(5m) as t | sort t asc")
        .send()
        .await
        .unwrap();
    let done = wait(&played, &client, started.query_id().unwrap()).await;
    let rows: Vec<_> = done.results().iter().map(|row| cells(row)).collect();
    assert_eq!(rows, [["t=2026-11-21 02:00:00.000", "n=30"], ["t=2026-11-21 02:05:00.000", "n=30"]]);
}

#[tokio::test]
async fn a_huge_group_takes_long_charges_much_and_can_be_stopped() {
    let (played, client) = world().await;
    let start = |text: &str| {
        client
            .start_query()
            .log_group_name("/huge")
            .start_time(START / 1000)
            .end_time(START / 1000 + 600)
            .query_string(text)
            .send()
    };
    let slow = start("stats count(*)").await.unwrap();
    let id = slow.query_id().unwrap();
    let running = client.get_query_results().query_id(id).send().await.unwrap();
    played.shared.pass(2000).await;
    let later = client.get_query_results().query_id(id).send().await.unwrap();
    assert_eq!(later.status(), Some(&QueryStatus::Running));
    assert!(later.statistics().unwrap().bytes_scanned() > running.statistics().unwrap().bytes_scanned());
    assert!(client.stop_query().query_id(id).send().await.unwrap().success());
    let stopped = client.get_query_results().query_id(id).send().await.unwrap();
    assert_eq!(stopped.status(), Some(&QueryStatus::Cancelled));
    assert!(client.stop_query().query_id(id).send().await.is_err());

    let estimate = start("stats count(*) | estimate").await.unwrap();
    let answer = wait(&played, &client, estimate.query_id().unwrap()).await;
    let bytes: f64 = answer.results()[0][0].value().unwrap().parse().unwrap();
    // All lines of the group are in the window; the service counts 26 bytes more for each.
    assert!((8.0e9..40.0e9).contains(&bytes), "{bytes}");
    assert!(answer.statistics().unwrap().bytes_scanned().abs() < f64::EPSILON);
}

#[tokio::test]
async fn bad_queries_are_refused_as_the_service_refuses_them() {
    let (_played, client) = world().await;
    let ask = |group: &str, text: &str| {
        client
            .start_query()
            .log_group_name(group)
            .start_time(START / 1000)
            .end_time(START / 1000 + 9)
            .query_string(text)
    };
    let error = ask(GROUP, "filter level == 1").send().await.unwrap_err().into_service_error();
    let aws_sdk_cloudwatchlogs::operation::start_query::StartQueryError::MalformedQueryException(malformed) =
        error
    else {
        panic!("{error:?}")
    };
    let compile = malformed.query_compile_error().unwrap();
    let location = compile.location().unwrap();
    assert_eq!((location.start_char_offset(), location.end_char_offset()), (Some(14), Some(15)));
    assert!(compile.message().unwrap().contains("equality"));

    let missing = ask("/nope", "fields @message").send().await.unwrap_err().into_service_error();
    assert!(missing.is_resource_not_found_exception());
    let backwards = ask(GROUP, "fields @message").end_time(1).send().await.unwrap_err().into_service_error();
    assert!(backwards.is_invalid_parameter_exception());
    let ancient = ask(GROUP, "fields @message").start_time(1).end_time(2).send().await.unwrap_err();
    assert!(ancient.into_service_error().is_malformed_query_exception());
    let unknown = client.get_query_results().query_id("nope").send().await.unwrap_err();
    assert!(unknown.into_service_error().is_resource_not_found_exception());
    let both = ask(GROUP, "fields @message").log_group_names(GROUP).send().await.unwrap_err();
    assert!(both.into_service_error().is_invalid_parameter_exception());
}

#[tokio::test]
async fn only_so_many_queries_run_at_once() {
    let (played, client) = world().await;
    let start = || {
        client
            .start_query()
            .log_group_name("/huge")
            .start_time(START / 1000)
            .end_time(START / 1000 + 600)
            .query_string("fields @message")
            .send()
    };
    for _ in 0..100 {
        start().await.unwrap();
    }
    assert!(start().await.unwrap_err().into_service_error().is_limit_exceeded_exception());
    played.shared.pass(200_000).await;
    start().await.unwrap();
}
