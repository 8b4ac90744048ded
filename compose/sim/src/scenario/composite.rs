//! Composite alarms: what `rule` of an `[[alarm]]` says.

use super::{
    raw::RawAlarm,
    reader::Reader,
    rule::Rule,
    spec::{AlarmSource, AlarmSpec},
};

/// Whether the rules below an alarm lead back to it.
pub(super) fn in_a_circle(alarms: &[AlarmSpec], start: usize) -> bool {
    let below = |n: usize| {
        let names = alarms.get(n).and_then(AlarmSpec::rule).map(Rule::names).unwrap_or_default();
        names.into_iter().filter_map(|name| alarms.iter().position(|a| a.name == name)).collect::<Vec<_>>()
    };
    let (mut seen, mut open) = (vec![false; alarms.len()], below(start));
    while let Some(n) = open.pop() {
        if n == start {
            return true;
        }
        if let Some(seen) = seen.get_mut(n).filter(|seen| !**seen) {
            *seen = true;
            open.extend(below(n));
        }
    }
    false
}

/// What a composite alarm is computed from; what else is written of it would mean nothing.
pub(super) fn composite(
    r: &mut Reader<'_>,
    a: &RawAlarm,
    rule: &toml::Spanned<String>,
) -> Option<AlarmSource> {
    let beside = [
        ("metric", a.metric.is_some()),
        ("series", a.series.is_some()),
        ("filter", a.filter.is_some()),
        ("stat", a.stat.is_some()),
        ("comparison", a.comparison.is_some()),
        ("threshold", a.threshold.is_some()),
        ("period", a.period.is_some()),
        ("periods", a.periods.is_some()),
        ("datapoints", a.datapoints.is_some()),
        ("missing", a.missing.is_some()),
    ];
    for (key, _) in beside.iter().filter(|(_, written)| *written) {
        r.problem(
            rule.span(),
            format!("`{key}` says nothing of an alarm with a `rule`"),
            "leave one of them out: a composite alarm is computed from other alarms alone",
        );
    }
    match Rule::parse(rule.get_ref()) {
        Ok(parsed) => Some(AlarmSource::Rule(rule.get_ref().clone(), parsed)),
        Err(why) => {
            let remedy =
                "write it as CloudWatch has it: `'ALARM(\"a\") OR (ALARM(\"b\") AND NOT OK(\"c\"))'`";
            r.problem(rule.span(), format!("this is no rule: {why}"), remedy);
            None
        }
    }
}
