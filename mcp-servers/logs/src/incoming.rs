//! How much a log group took in over a window, by CloudWatch's own metric `IncomingBytes`, which is what
//! a query over that window scans. The newest minutes are not in it yet.

use aws_sdk_cloudwatch::{
    Client,
    primitives::DateTime,
    types::{Dimension, Statistic},
};
use midwatch_mcp::Window;

/// Periods of the metric, in seconds. Fine ones are kept for 63 days, and one answer has 1440.
const FINE: i64 = 300;
const COARSE: i64 = 3600;
const LONGEST_FINE: f64 = 4.0 * 86_400.0;

/// Bytes that a group took in over all of these windows; `None` where the metric cannot be asked, or has
/// nothing to say of any of them.
pub(crate) async fn bytes(client: &Client, group: &str, windows: &[Window]) -> Option<f64> {
    let mut sum = None;
    for window in windows {
        if let Some(bytes) = of_window(client, group, *window).await? {
            *sum.get_or_insert(0.0) += bytes;
        }
    }
    sum
}

/// The same of one window: nothing where it cannot be asked, and nothing in that where there are no data.
async fn of_window(client: &Client, group: &str, window: Window) -> Option<Option<f64>> {
    let periods: &[i64] = if window.seconds() > LONGEST_FINE { &[COARSE] } else { &[FINE, COARSE] };
    for period in periods {
        let found = ask(client, group, window, *period).await?;
        if found.is_some() {
            return Some(found);
        }
    }
    Some(None)
}

/// Nothing where it cannot be asked, and nothing in that where no such period is kept.
async fn ask(client: &Client, group: &str, window: Window, period: i64) -> Option<Option<f64>> {
    // Whole periods, so that no part of the window is missing.
    let from = window.from.as_second().div_euclid(period) * period;
    let to = window.to.as_second().div_euclid(period) * period + period;
    let answer = client
        .get_metric_statistics()
        .namespace("AWS/Logs")
        .metric_name("IncomingBytes")
        .dimensions(Dimension::builder().name("LogGroupName").value(group).build())
        .start_time(DateTime::from_secs(from))
        .end_time(DateTime::from_secs(to))
        .period(i32::try_from(period).ok()?)
        .statistics(Statistic::Sum)
        .send()
        .await;
    match answer {
        Ok(answer) => {
            let points = answer.datapoints();
            let sum = points.iter().filter_map(aws_sdk_cloudwatch::types::Datapoint::sum).sum();
            Some((!points.is_empty()).then_some(sum))
        }
        Err(error) => {
            tracing::debug!(group, ?error, "the bytes that came in cannot be asked");
            None
        }
    }
}
