//! Fetching points: what to ask GetMetricData for, and over which periods.

use std::fmt::Write as _;

use aws_sdk_cloudwatch::{
    Client,
    types::{Dimension, Metric as SdkMetric, MetricAlarm, MetricDataQuery, MetricStat, ScanBy, StatusCode},
};
use midwatch_mcp::{AwsResult, ErrorKind, ToolError, Window, length};
use midwatch_policy::{MetricRef, SignedDuration, Timestamp};

use crate::{
    alarm::{inputs, time},
    judge::Nature,
    shapes::Point,
};

/// Points that come back at most.
const MAX_POINTS: i64 = 1440;
/// Points that are aimed at.
const GOOD_POINTS: i64 = 240;
const MAX_PAGES: usize = 4;

/// What to ask for.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    queries: Vec<MetricDataQuery>,
    /// Which query's result is meant.
    id: String,
    /// In words.
    pub(crate) label: String,
    pub(crate) nature: Nature,
    /// The period the alarm uses, if it is an alarm's metric.
    pub(crate) own_period: Option<i32>,
}

impl Wanted {
    /// One metric.
    pub(crate) fn metric(metric: &MetricRef) -> Self {
        let dimensions = metric.dimensions.iter().map(|(n, v)| Dimension::builder().name(n).value(v).build());
        let sdk = SdkMetric::builder()
            .namespace(&metric.namespace)
            .metric_name(&metric.name)
            .set_dimensions(Some(dimensions.collect()))
            .build();
        let stat = MetricStat::builder().metric(sdk).stat(&metric.stat).period(60).build();
        Self {
            queries: vec![MetricDataQuery::builder().id("m0").metric_stat(stat).return_data(true).build()],
            id: "m0".to_owned(),
            label: label(&metric.stat, &metric.namespace, &metric.name, metric.dimensions.iter()),
            nature: Nature::of(&metric.stat),
            own_period: None,
        }
    }

    /// What an alarm watches.
    pub(crate) fn alarm(alarm: &MetricAlarm) -> Option<Self> {
        let inputs = inputs(alarm);
        let first = inputs.first()?;
        if alarm.metrics().is_empty() {
            let metric = MetricRef {
                namespace: first.namespace.clone(),
                name: first.name.clone(),
                stat: first.stat.clone(),
                dimensions: first.dimensions.clone(),
            };
            return Some(Self { own_period: Some(first.period_s), ..Self::metric(&metric) });
        }
        let band = alarm.threshold_metric_id();
        let shown = alarm
            .metrics()
            .iter()
            .find(|query| query.return_data() != Some(false) && query.id() != band && !is_band(query))?;
        let queries =
            alarm.metrics().iter().filter(|query| query.id() != band && !is_band(query)).cloned().collect();
        let label = match shown.expression() {
            Some(expression) => format!("{expression} ({})", alarm.alarm_name().unwrap_or_default()),
            None => label(&first.stat, &first.namespace, &first.name, first.dimensions.iter()),
        };
        // The result of metric math, say a percentage, is a measure whatever it is made of.
        let nature = if shown.expression().is_some() { Nature::Measured } else { Nature::of(&first.stat) };
        Some(Self { id: shown.id()?.to_owned(), queries, label, nature, own_period: Some(first.period_s) })
    }

    fn with_period(&self, period: i32) -> Vec<MetricDataQuery> {
        self.queries
            .iter()
            .cloned()
            .map(|mut query| {
                if let Some(stat) = &mut query.metric_stat {
                    stat.period = Some(period);
                }
                query
            })
            .collect()
    }
}

fn is_band(query: &MetricDataQuery) -> bool {
    query.expression().is_some_and(|text| text.contains("ANOMALY_DETECTION_BAND"))
}

fn label<'a>(
    stat: &str,
    namespace: &str,
    name: &str,
    dimensions: impl Iterator<Item = (&'a String, &'a String)>,
) -> String {
    let mut text = format!("{stat} of {namespace} {name}");
    let mut separator = " {";
    for (name, value) in dimensions {
        // Writing to a String cannot fail.
        let _ = write!(text, "{separator}{name}={value}");
        separator = ", ";
    }
    if separator == ", " {
        text.push('}');
    }
    text
}

/// The period for a window: what was asked for, what the alarm uses, or what gives a good number
/// of points; never finer than CloudWatch keeps data of that age. One that was asked for fits into the window.
pub(crate) fn period(
    asked: Option<i32>,
    own: Option<i32>,
    window: Window,
    oldest: Timestamp,
    present: Timestamp,
) -> Result<i32, ToolError> {
    let seconds = window.span().as_secs();
    let age = present.duration_since(oldest);
    let kept = match age.as_hours() {
        ..3 => 1,
        3..360 => 60,
        360..1512 => 300,
        _ => 3600,
    };
    if let Some(period) = asked {
        if !(matches!(period, 1 | 5 | 10 | 30) || period > 0 && period % 60 == 0) {
            return Err(ToolError::invalid(
                format!("{period} s is no period"),
                "give 1, 5, 10, 30 or a multiple of 60",
            ));
        }
        if i64::from(period) > seconds {
            let span = SignedDuration::from_secs(i64::from(period));
            return Err(ToolError::invalid(
                format!("a period of {period} s is longer than the window"),
                format!(
                    "ask for a period of at most {}, or for a window of at least {}",
                    length(window.span()),
                    length(span)
                ),
            ));
        }
        if i64::from(period) * MAX_POINTS < seconds {
            return Err(ToolError::invalid(
                format!("a period of {period} s gives more than {MAX_POINTS} points"),
                "ask for a longer period or a shorter window",
            ));
        }
        if i64::from(period) < kept {
            return Err(ToolError::invalid(
                format!("CloudWatch keeps data of that age by {kept} s only"),
                format!("ask for a period of {kept} s or more"),
            ));
        }
        return Ok(period);
    }
    let good = [60, 300, 900, 3600].into_iter().find(|p| seconds / p <= GOOD_POINTS).unwrap_or(3600);
    let own = own.map_or(60, i64::from);
    i32::try_from(good.max(kept).max(own)).map_err(|_| ToolError::internal("the period is out of range"))
}

/// A window on the grid of periods, as far as there can be data: from the begin of its first period to the end of its
/// last. One that is still running is the last only where it has run for longer than `late_s`, which CloudWatch may
/// be behind: a long one would hide what happens now, of a short one nothing is there yet.
pub(crate) fn align(window: Window, period: i32, present: Timestamp, late_s: i64) -> Window {
    let step = i64::from(period);
    let on_grid = |second: i64, at: Timestamp| Timestamp::from_second(second).unwrap_or(at);
    let begin = |at: Timestamp| at.as_second().div_euclid(step) * step;
    let end = |at: Timestamp| begin(at) + if at == on_grid(begin(at), at) { 0 } else { step };
    let from = begin(window.from);
    let last = window.to.min(present);
    let is_running = end(last) > present.as_second();
    let to = if is_running && present.as_second() - begin(last) <= late_s { begin(last) } else { end(last) };
    Window { from: on_grid(from, window.from), to: on_grid(to.max(from + step), window.to) }
}

/// A baseline on the same grid, beside the window that lies on it and never in it.
pub(crate) fn align_baseline(
    asked: Window,
    window: Window,
    period: i32,
    present: Timestamp,
) -> Option<Window> {
    let on_grid = align(asked, period, present, 0);
    let beside = if asked.from < window.from {
        Window { to: on_grid.to.min(window.from), ..on_grid }
    } else {
        Window { from: on_grid.from.max(window.to), ..on_grid }
    };
    (beside.from < beside.to).then_some(beside)
}

/// Points in order of time, with what CloudWatch had to say about them.
pub(crate) async fn fetch(
    client: &Client,
    wanted: &Wanted,
    window: Window,
    period: i32,
    notes: &mut Vec<String>,
) -> Result<Vec<Point>, ToolError> {
    let (mut points, mut token) = (Vec::new(), None);
    for page in 0.. {
        let found = client
            .get_metric_data()
            .set_metric_data_queries(Some(wanted.with_period(period)))
            .start_time(aws_smithy_types::DateTime::from_millis(window.from.as_millisecond()))
            .end_time(aws_smithy_types::DateTime::from_millis(window.to.as_millisecond()))
            .scan_by(ScanBy::TimestampAscending)
            .set_next_token(token)
            .send()
            .await
            .aws("cloudwatch:GetMetricData")?;
        for result in found.metric_data_results().iter().filter(|result| result.id() == Some(&wanted.id)) {
            match result.status_code() {
                Some(StatusCode::Forbidden) => {
                    return Err(ToolError::new(
                        ErrorKind::AccessDenied,
                        "the metric belongs to an account that may not be read",
                        "an operator grants cross-account observability for it",
                    ));
                }
                Some(StatusCode::InternalError) => {
                    notes.push("CloudWatch could not compute all points".to_owned());
                }
                _ => {}
            }
            let of = |(at, value): (&aws_smithy_types::DateTime, &f64)| Point { at: time(at), value: *value };
            points.extend(result.timestamps().iter().zip(result.values()).map(of));
            notes.extend(
                result
                    .messages()
                    .iter()
                    .filter_map(|m| m.value())
                    .map(|m| midwatch_mcp::clip(m, 200).into_owned()),
            );
        }
        token = found.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
        if page + 1 == MAX_PAGES {
            notes.push("there are more points than were read".to_owned());
            break;
        }
    }
    points.retain(|point| window.contains(point.at.0) && point.value.is_finite());
    points.sort_by_key(|point| point.at);
    points.dedup_by_key(|point| point.at);
    Ok(points)
}

#[cfg(test)]
mod tests {
    use midwatch_mcp::Time;

    use super::*;

    fn window(from: &str, to: &str) -> Window {
        Window { from: Time::parse(from).unwrap().0, to: Time::parse(to).unwrap().0 }
    }

    fn hours(n: i64) -> (Window, Timestamp) {
        let window = window("2026-11-21T00:00:00Z", "2026-11-21T01:00:00Z");
        let to = window.from.checked_add(SignedDuration::from_hours(n)).unwrap();
        (Window { to, ..window }, to)
    }

    #[test]
    fn periods_fit_the_window_and_the_age_of_the_data() {
        let (short, now) = hours(1);
        assert_eq!(period(None, None, short, short.from, now).unwrap(), 60);
        assert_eq!(period(None, Some(300), short, short.from, now).unwrap(), 300);
        assert_eq!(period(Some(10), None, short, short.from, now).unwrap(), 10);
        let (day, end) = hours(24);
        assert_eq!(period(None, None, day, day.from, end).unwrap(), 900);
        let later = now.checked_add(SignedDuration::from_hours(24 * 20)).unwrap();
        assert_eq!(period(None, None, short, short.from, later).unwrap(), 300);
        for wrong in [0, -60, 7, 90] {
            assert!(period(Some(wrong), None, short, short.from, now).is_err(), "{wrong}");
        }
        assert!(period(Some(10), None, day, day.from, end).is_err());
        assert!(period(Some(60), None, short, short.from, later).is_err());
    }

    #[test]
    fn a_period_that_was_asked_for_fits_into_the_window() {
        let asked = window("2026-11-21T01:34:04Z", "2026-11-21T02:04:04Z");
        for (long, mend) in [(3600, "at most 30 min, or for a window of at least 1 h"), (86_400, "24 h")] {
            let error = period(Some(long), None, asked, asked.from, asked.to).unwrap_err();
            assert!(
                error.message.contains("longer than the window") && error.mend.contains(mend),
                "{error:?}"
            );
        }
        assert_eq!(period(Some(1800), None, asked, asked.from, asked.to).unwrap(), 1800);
        // What an alarm is evaluated by is no mistake of the caller's.
        assert_eq!(period(None, Some(3600), asked, asked.from, asked.to).unwrap(), 3600);
    }

    #[test]
    fn windows_lie_on_the_grid_and_hold_the_end_that_was_asked() {
        let asked = window("2026-11-21T02:00:30Z", "2026-11-21T02:10:59Z");
        let at = |text: &str| Time::parse(text).unwrap().0;
        let aligned = |period, present: &str| align(asked, period, at(present), 180);
        assert_eq!(
            aligned(60, "2026-11-21T04:00:00Z"),
            window("2026-11-21T02:00:00Z", "2026-11-21T02:11:00Z")
        );
        assert_eq!(
            aligned(3600, "2026-11-21T04:00:00Z"),
            window("2026-11-21T02:00:00Z", "2026-11-21T03:00:00Z")
        );
        // A minute that has just begun has no data yet; an hour that has run for ten minutes does.
        assert_eq!(
            aligned(60, "2026-11-21T02:07:20Z"),
            window("2026-11-21T02:00:00Z", "2026-11-21T02:07:00Z")
        );
        assert_eq!(
            aligned(3600, "2026-11-21T02:10:59Z"),
            window("2026-11-21T02:00:00Z", "2026-11-21T03:00:00Z")
        );
        assert_eq!(
            aligned(60, "2026-11-21T02:00:31Z"),
            window("2026-11-21T02:00:00Z", "2026-11-21T02:01:00Z")
        );
        let on_grid = window("2026-11-21T01:00:00Z", "2026-11-21T02:00:00Z");
        assert_eq!(align(on_grid, 3600, at("2026-11-21T02:00:00Z"), 180), on_grid);
    }

    #[test]
    fn a_baseline_lies_beside_the_window() {
        let present = Time::parse("2026-11-21T05:00:00Z").unwrap().0;
        let now = window("2026-11-21T02:00:00Z", "2026-11-21T03:00:00Z");
        let beside = |asked| align_baseline(asked, now, 3600, present);
        let before = window("2026-11-21T01:30:00Z", "2026-11-21T02:10:00Z");
        assert_eq!(beside(before), Some(window("2026-11-21T01:00:00Z", "2026-11-21T02:00:00Z")));
        let after = window("2026-11-21T02:40:00Z", "2026-11-21T03:30:00Z");
        assert_eq!(beside(after), Some(window("2026-11-21T03:00:00Z", "2026-11-21T04:00:00Z")));
        assert_eq!(beside(window("2026-11-21T02:04:04Z", "2026-11-21T02:30:00Z")), None);
    }

    #[test]
    fn metric_math_asks_for_its_inputs_but_shows_the_result() {
        let stat = |name: &str| {
            let metric = SdkMetric::builder().namespace("Shop").metric_name(name).build();
            MetricStat::builder().metric(metric).stat("Sum").period(60).build()
        };
        let query = MetricDataQuery::builder;
        let alarm = MetricAlarm::builder()
            .alarm_name("a")
            .metrics(query().id("e").expression("100*m1/m2").return_data(true).build())
            .metrics(query().id("m1").metric_stat(stat("Errors")).return_data(false).build())
            .metrics(query().id("m2").metric_stat(stat("Requests")).return_data(false).build())
            .build();
        let wanted = Wanted::alarm(&alarm).unwrap();
        assert_eq!((wanted.id.as_str(), wanted.nature), ("e", Nature::Measured));
        let periods: Vec<Option<i32>> =
            wanted.with_period(300).iter().filter_map(|q| q.metric_stat()).map(|s| s.period).collect();
        assert_eq!(periods, [Some(300), Some(300)]);
    }

    #[test]
    fn a_metric_is_named_in_words() {
        let metric = MetricRef {
            namespace: "AWS/ECS".into(),
            name: "CPUUtilization".into(),
            stat: "Average".into(),
            dimensions: [("ClusterName".into(), "b".into()), ("ServiceName".into(), "a".into())].into(),
        };
        assert_eq!(
            Wanted::metric(&metric).label,
            "Average of AWS/ECS CPUUtilization {ClusterName=b, ServiceName=a}"
        );
    }
}
