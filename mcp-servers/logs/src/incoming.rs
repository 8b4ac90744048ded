//! How much a log group took in over a window, by CloudWatch's own metric `IncomingBytes`: for
//! where neither Logs Insights nor what is stored says what a query would scan.

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

/// Bytes that a group took in; `None` where the metric has nothing to say.
pub(crate) async fn bytes(client: &Client, group: &str, window: Window) -> Option<f64> {
    let periods: &[i64] = if window.seconds() > LONGEST_FINE { &[COARSE] } else { &[FINE, COARSE] };
    for period in periods {
        let found = ask(client, group, window, *period).await?;
        if found.is_some() {
            return found;
        }
    }
    None
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
