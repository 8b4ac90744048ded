//! `[[metric_filter]]`.

use super::{
    raw::{RawMetricFilter, RawScenario},
    reader::Reader,
    spec::Spec,
};
use crate::wire::logs::{FilterPattern, MetricFilter, MetricValue};

/// Dimensions that AWS allows a metric filter.
const MOST_DIMENSIONS: usize = 3;

pub(super) fn metric_filters(r: &mut Reader<'_>, raw: &RawScenario, spec: &mut Spec) {
    for written in &raw.metric_filter {
        let Some(filter) = metric_filter(r, written.span(), written.get_ref(), spec) else { continue };
        if spec.metric_filters.iter().any(|other| other.name == filter.name && other.group == filter.group) {
            r.problem(
                written.span(),
                format!("metric filter `{}` stands there twice for `{}`", filter.name, filter.group),
                "give each a `name` of its own",
            );
        }
        spec.metric_filters.push(filter);
    }
}

fn metric_filter(
    r: &mut Reader<'_>,
    place: std::ops::Range<usize>,
    f: &RawMetricFilter,
    spec: &Spec,
) -> Option<MetricFilter> {
    let service = f.service.as_ref().and_then(|name| r.service(name)).and_then(|at| spec.services.get(at));
    let group = f.group.as_ref().map(|group| group.get_ref().clone());
    let Some(group) = group.or_else(|| service.map(|service| service.log_group.clone())) else {
        if f.service.is_none() {
            r.problem(place, "this metric filter has no log group", "add `service` or `group`");
        }
        return None;
    };
    let text = f.pattern.as_ref().map_or("", |pattern| pattern.get_ref());
    let pattern = match FilterPattern::parse(text) {
        Ok(pattern) => pattern,
        Err(why) => {
            let at = f.pattern.as_ref().map_or(place, toml::Spanned::span);
            r.problem(at, why, "write it as CloudWatch Logs has it, such as `'{ $.level = \"ERROR\" }'`");
            return None;
        }
    };
    let value = f.value.as_ref().map_or("1", |value| value.get_ref());
    let Some(value) = MetricValue::parse(value) else {
        let at = f.value.as_ref().map_or(place, toml::Spanned::span);
        let remedy = "write a number, `\"1\"`, or a field of the line, `\"$.latency\"`";
        r.problem(at, format!("`{value}` is no value of a metric"), remedy);
        return None;
    };
    let mut dimensions = std::collections::BTreeMap::new();
    for (name, field) in &f.dimensions {
        match MetricValue::parse(field) {
            Some(MetricValue::Field(path)) => {
                dimensions.insert(name.clone(), path);
            }
            _ => r.problem(
                place.clone(),
                format!("dimension `{name}` is `{field}`, which is no field of the line"),
                "write a field: `dimensions = { Route = \"$.route\" }`",
            ),
        }
    }
    if dimensions.len() > MOST_DIMENSIONS {
        let remedy = format!("AWS allows {MOST_DIMENSIONS}");
        r.problem(place.clone(), format!("{} dimensions are too many", dimensions.len()), remedy);
    }
    if !dimensions.is_empty() && f.default.is_some() {
        r.problem(place, "`default` does not go with `dimensions`", "AWS takes one of them: leave one out");
    }
    let metric = f.metric.get_ref().clone();
    Some(MetricFilter {
        name: f.name.as_ref().map_or_else(|| metric.clone(), |name| name.get_ref().clone()),
        group,
        pattern,
        namespace: f.namespace.clone().unwrap_or_else(|| "Application".to_owned()),
        metric,
        value,
        default: f.default,
        dimensions,
    })
}
