use aws_sdk_cloudwatch::types::{ComparisonOperator, Metric as SdkMetric, MetricDataQuery, StateValue};

use super::*;

fn stat(name: &str) -> MetricStat {
    let dimension = Dimension::builder().name("ServiceName").value("checkout").build();
    let metric = SdkMetric::builder().namespace("Shop").metric_name(name).dimensions(dimension).build();
    MetricStat::builder().metric(metric).stat("Sum").period(60).build()
}

#[test]
fn metric_math_keeps_its_inputs_and_expression() {
    let alarm = MetricAlarm::builder()
        .alarm_name("a")
        .state_value(StateValue::Alarm)
        .threshold(5.0)
        .comparison_operator(ComparisonOperator::GreaterThanThreshold)
        .evaluation_periods(3)
        .metrics(MetricDataQuery::builder().id("e").expression("100*m1/m2").return_data(true).build())
        .metrics(MetricDataQuery::builder().id("m1").metric_stat(stat("Errors")).return_data(false).build())
        .metrics(MetricDataQuery::builder().id("m2").metric_stat(stat("Requests")).return_data(false).build())
        .build();
    let read = of_metric(&alarm);
    assert_eq!(read.expression.as_deref(), Some("100*m1/m2"));
    // The first of its inputs, and those that come after it.
    let first = read.metric.unwrap();
    assert_eq!((first.name.as_str(), first.dimensions["ServiceName"].as_str()), ("Errors", "checkout"));
    let inputs = serde_json::to_value(&read.inputs).unwrap();
    assert_eq!(inputs, serde_json::json!([{ "name": "Requests" }]));
    assert_eq!((read.datapoints_to_alarm, read.treat_missing_data), (None, None));
}

#[test]
fn what_differs_from_the_usual_is_told() {
    let other = {
        let dimension = Dimension::builder().name("ServiceName").value("cart").build();
        let metric =
            SdkMetric::builder().namespace("Shop").metric_name("Requests").dimensions(dimension).build();
        MetricStat::builder().metric(metric).stat("Average").period(60).build()
    };
    let alarm = MetricAlarm::builder()
        .alarm_name("a")
        .evaluation_periods(5)
        .datapoints_to_alarm(3)
        .treat_missing_data("breaching")
        .metrics(MetricDataQuery::builder().id("e").expression("m1/m2").return_data(true).build())
        .metrics(MetricDataQuery::builder().id("m1").metric_stat(stat("Errors")).return_data(false).build())
        .metrics(MetricDataQuery::builder().id("m2").metric_stat(other).return_data(false).build())
        .build();
    let read = of_metric(&alarm);
    let inputs = serde_json::to_value(&read.inputs).unwrap();
    let wanted =
        serde_json::json!([{ "name": "Requests", "stat": "Average", "dimensions": {"ServiceName": "cart"} }]);
    assert_eq!(inputs, wanted);
    assert_eq!((read.datapoints_to_alarm, read.treat_missing_data.as_deref()), (Some(3), Some("breaching")));
}

#[test]
fn the_noise_of_sums_is_not_told_and_names_stay_as_they_are() {
    for (text, wanted) in [
        ("[17.94871794871795 (21/11/26 02:03:00)]", "[17.9487 (21/11/26 02:03:00)]"),
        ("(5.0) and -0.33333333, 3 out of 3", "(5.0) and -0.333333, 3 out of 3"),
        (
            "api-1.23456789 at 10.0.12345.1, 2026-11-21T02:00:00.123456Z v1.23456b",
            "api-1.23456789 at 10.0.12345.1, 2026-11-21T02:00:00.123456Z v1.23456b",
        ),
        ("was 0.12345", "was 0.12345"),
        ("", ""),
    ] {
        assert_eq!(told(text, 300), wanted);
    }
}

#[test]
fn an_unknown_state_is_not_ok() {
    assert_eq!(AlarmState::of(Some(&StateValue::from("SNOOZED"))), AlarmState::InsufficientData);
    assert_eq!(AlarmState::of(None), AlarmState::InsufficientData);
}

#[test]
fn since_is_when_the_state_changed_and_not_when_its_reason_did() {
    let at = aws_smithy_types::DateTime::from_secs;
    let alarm = MetricAlarm::builder()
        .alarm_name("a")
        .state_updated_timestamp(at(2000))
        .state_transitioned_timestamp(at(1000))
        .build();
    assert_eq!(summary_of_metric(&alarm).state_since, Some(Time::from_millis(1_000_000)));
}

#[test]
fn a_long_reason_keeps_what_it_was_compared_with() {
    let points: Vec<String> = (0..40).map(|n| format!("{n}.5 (21/11/26 02:{n}:00)")).collect();
    let reason = format!(
        "Threshold Crossed: 40 out of the last 40 datapoints [{}] were greater than the threshold (5.0) (minimum 40 \
         datapoints for OK -> ALARM transition).",
        points.join(", ")
    );
    let text = told(&reason, 300);
    assert!(text.starts_with("Threshold Crossed: 40 out of") && text.contains("bytes cut]"), "{text}");
    assert!(text.contains("the threshold (5.0)") && text.len() < 340, "{text}");
    assert_eq!(told("short", 300), "short");
}

#[test]
fn an_alarm_is_named_by_what_a_result_calls_it() {
    for (given, meant) in [
        ("a", "a"),
        ("alarm:a", "a"),
        ("history:a", "a"),
        ("transition:a/2026-11-21T15:52:00Z", "a"),
        (" transition:team/a: 5xx/2026-11-21T15:52:00.25Z", "team/a: 5xx"),
        // An alarm may be called so.
        ("transition:team/a", "transition:team/a"),
        ("transition:/2026-11-21T15:52:00Z", "transition:/2026-11-21T15:52:00Z"),
        ("team/2026-11-21T15:52:00Z", "team/2026-11-21T15:52:00Z"),
    ] {
        assert_eq!(name(given).unwrap(), meant);
    }
}
