//! Metric filters: which lines count, and as what.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::pattern::Pattern;
use crate::world::metrics::MetricKey;

/// A filter that turns lines into a metric.
#[derive(Debug, Clone)]
pub(crate) struct MetricFilter {
    /// Its name.
    pub(crate) name: String,
    /// The log group it reads.
    pub(crate) group: String,
    /// Which lines count.
    pub(crate) pattern: FilterPattern,
    /// The metric it feeds.
    pub(crate) namespace: String,
    pub(crate) metric: String,
    /// What a line adds to it.
    pub(crate) value: MetricValue,
    /// What it is in a minute with lines of which none counts.
    pub(crate) default: Option<f64>,
    /// Dimensions, each with the field of the line that holds its value.
    pub(crate) dimensions: BTreeMap<String, String>,
}

/// A pattern as it is written, and parsed.
#[derive(Debug, Clone)]
pub(crate) struct FilterPattern {
    text: String,
    parsed: Arc<Pattern>,
}

impl FilterPattern {
    /// Parses a pattern; the error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Ok(Self { text: text.to_owned(), parsed: Arc::new(Pattern::parse(text)?) })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

/// What a line adds to a metric.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum MetricValue {
    Number(f64),
    /// The number in a field of the line.
    Field(String),
}

impl MetricValue {
    /// Parses `1` or `$.latency`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("$.") {
            Some(path) if !path.is_empty() && path.split('.').all(|part| !part.is_empty()) => {
                Some(Self::Field(path.to_owned()))
            }
            Some(_) => None,
            None => text.parse().ok().filter(|number: &f64| number.is_finite()).map(Self::Number),
        }
    }

    /// As the API writes it.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Field(path) => format!("$.{path}"),
        }
    }
}

impl MetricFilter {
    /// The metric without dimensions.
    pub(crate) fn key(&self) -> MetricKey {
        MetricKey {
            namespace: self.namespace.clone(),
            name: self.metric.clone(),
            dimensions: BTreeMap::new(),
        }
    }

    /// What a line is to it: a value of a metric. A line without what a value or a dimension is
    /// made of counts for nothing.
    pub(crate) fn reads(&self, message: &str) -> Option<(MetricKey, f64)> {
        if !self.pattern.parsed.matches(message) {
            return None;
        }
        let mut key = self.key();
        if let (MetricValue::Number(number), true) = (&self.value, self.dimensions.is_empty()) {
            return Some((key, *number));
        }
        let line: Value = serde_json::from_str(message).ok()?;
        for (name, path) in &self.dimensions {
            let value = match field(&line, path)? {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            key.dimensions.insert(name.clone(), value);
        }
        let value = match &self.value {
            MetricValue::Number(number) => *number,
            MetricValue::Field(path) => field(&line, path)?.as_f64()?,
        };
        Some((key, value))
    }
}

fn field<'a>(line: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(line, |value, part| value.get(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(pattern: &str, value: &str, dimensions: &[(&str, &str)]) -> MetricFilter {
        MetricFilter {
            name: "f".to_owned(),
            group: "g".to_owned(),
            pattern: FilterPattern::parse(pattern).unwrap(),
            namespace: "Shop".to_owned(),
            metric: "M".to_owned(),
            value: MetricValue::parse(value).unwrap(),
            default: None,
            dimensions: dimensions.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        }
    }

    #[test]
    fn a_line_counts_as_what_the_filter_says() {
        let line = r#"{"level":"ERROR","ms":12.5,"http":{"route":"/pay"}}"#;
        let read =
            |filter: &MetricFilter, line| filter.reads(line).map(|(key, value)| (key.dimensions, value));
        assert_eq!(read(&filter("ERROR", "1", &[]), line), Some((BTreeMap::new(), 1.0)));
        assert_eq!(read(&filter("WARN", "1", &[]), line), None);
        let route = BTreeMap::from([("Route".to_owned(), "/pay".to_owned())]);
        let of_route = filter("{ $.level = \"ERROR\" }", "$.ms", &[("Route", "http.route")]);
        assert_eq!(read(&of_route, line), Some((route, 12.5)));
        assert_eq!(read(&of_route, r#"{"level":"ERROR","ms":12.5}"#), None);
        assert_eq!(of_route.value.text(), "$.ms");
        for wrong in ["", "one", "$.", "$.a..b", "inf"] {
            assert_eq!(MetricValue::parse(wrong), None, "{wrong}");
        }
    }
}
