//! What counts an alarm's metrics out of logs: metric filters.

use std::collections::BTreeMap;

use aws_sdk_cloudwatchlogs::{
    Client,
    types::{MetricFilter, MetricTransformation},
};
use midwatch_mcp::{AwsResult, ToolError, clean};

use crate::shapes::{Alarm, Feed, Metric};

const PATTERN_BYTES: usize = 300;
const NAME_BYTES: usize = 200;
/// Metrics of an alarm that are looked for behind metric filters, and filters that are told.
const MAX_FED: usize = 4;
const MAX_FEEDS: usize = 12;

/// A metric that an alarm reads.
#[derive(Debug)]
pub(crate) struct Read {
    /// The child that reads it, of a composite alarm.
    pub(crate) alarm: Option<String>,
    pub(crate) metric: Metric,
}

impl Read {
    /// A metric that the alarm reads itself.
    pub(crate) const fn itself(metric: Metric) -> Self {
        Self { alarm: None, metric }
    }
}

/// Puts the metric filters behind these metrics into `out`, and what could not be read or is not told into its
/// notes. AWS's own metrics have none.
pub(crate) async fn feeds(client: &Client, read: &[Read], out: &mut Alarm) {
    let mut own: Vec<&Read> = Vec::new();
    for one in read.iter().filter(|one| !one.metric.namespace.starts_with("AWS/")) {
        let same = |known: &&Read| known.alarm == one.alarm && is_same(&known.metric, &one.metric);
        if !own.iter().any(same) {
            own.push(one);
        }
    }
    if own.len() > MAX_FED {
        out.notes.push(format!(
            "metric filters were looked for behind {MAX_FED} of the {} metrics that are read",
            own.len()
        ));
    }
    for one in own.into_iter().take(MAX_FED) {
        let metric = &one.metric;
        match of_metric(client, metric).await {
            Ok(found) => {
                for filter in found {
                    let pattern = clean(filter.filter_pattern().unwrap_or_default(), PATTERN_BYTES);
                    out.screened.extend(pattern.marks.iter().map(|mark| mark.as_str().to_owned()));
                    out.fed_by.push(Feed {
                        filter: clean(filter.filter_name().unwrap_or_default(), NAME_BYTES).text,
                        alarm: one.alarm.clone(),
                        metric: metric.name.clone(),
                        log_group: filter.log_group_name().unwrap_or_default().to_owned(),
                        pattern: pattern.text,
                    });
                }
            }
            Err(error) => out.notes.push(format!(
                "the metric filters of `{}` could not be read: {}",
                metric.name, error.message
            )),
        }
    }
    if out.fed_by.len() > MAX_FEEDS {
        out.notes.push(format!("{} further metric filters are not told", out.fed_by.len() - MAX_FEEDS));
        out.fed_by.truncate(MAX_FEEDS);
    }
    out.screened.sort_unstable();
    out.screened.dedup();
}

fn is_same(one: &Metric, other: &Metric) -> bool {
    (&one.namespace, &one.name, &one.dimensions) == (&other.namespace, &other.name, &other.dimensions)
}

async fn of_metric(client: &Client, metric: &Metric) -> Result<Vec<MetricFilter>, ToolError> {
    let found =
        client.describe_metric_filters().metric_namespace(&metric.namespace).metric_name(&metric.name);
    let found = found.send().await.aws("logs:DescribeMetricFilters")?;
    let makes =
        |filter: &MetricFilter| filter.metric_transformations().iter().any(|one| is_made(one, metric));
    Ok(found.metric_filters.unwrap_or_default().into_iter().filter(makes).collect())
}

/// Whether a metric of that name, with those dimensions, is made: with others it is another metric.
fn is_made(made: &MetricTransformation, metric: &Metric) -> bool {
    let dimensions = made.dimensions().map(|all| all.keys().collect::<Vec<_>>()).unwrap_or_default();
    made.metric_namespace() == metric.namespace
        && made.metric_name() == metric.name
        && dimensions.len() == metric.dimensions.len()
        && dimensions.into_iter().all(|name| BTreeMap::contains_key(&metric.dimensions, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_with_other_dimensions_makes_another_metric() {
        let metric = |names: &[&str]| Metric {
            namespace: "Shop".to_owned(),
            name: "Errors".to_owned(),
            stat: "Sum".to_owned(),
            dimensions: names.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect(),
            period_s: 60,
        };
        let made = |names: &[&str]| {
            let mut made = MetricTransformation::builder().metric_namespace("Shop").metric_name("Errors");
            for name in names {
                made = made.dimensions(*name, "$.field");
            }
            made.metric_value("1").build().unwrap()
        };
        assert!(is_made(&made(&[]), &metric(&[])));
        assert!(is_made(&made(&["Route"]), &metric(&["Route"])));
        for (filter, read) in [(&["Route"][..], &[][..]), (&[], &["Route"]), (&["Route"], &["Service"])] {
            assert!(!is_made(&made(filter), &metric(read)), "{filter:?} {read:?}");
        }
    }
}
