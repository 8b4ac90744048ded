//! The tool `metric_window`.

use futures::future::join_all;
use midwatch_mcp::{MAX_RESULT_BYTES, Time, ToolError, Window, fit, length, reference};
use midwatch_policy::{Service, SignedDuration, Timestamp};

use crate::{
    alarm::{self, Described, describe},
    judge::{Change, Nature, Series, judge},
    series::{Wanted, align, align_baseline, fetch, period},
    server::MetricsServer,
    shapes::{MetricChoice, MetricSummary, MetricWindow, MetricWindowArgs, Point, Role, Stats},
};

const MAX_WINDOW: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Further metrics of one call: each costs as much as the first.
const MAX_ALSO: usize = 9;
/// How far behind the present CloudWatch may be with the metrics of its own services.
const LATE_S: i64 = 180;

pub(crate) async fn metric_window(
    server: &MetricsServer,
    args: MetricWindowArgs,
) -> Result<MetricWindow, ToolError> {
    let mut notes = Vec::new();
    let present = server.ctx().clock.now();
    let asked = Window::begun(args.from, args.to, MAX_WINDOW, present, &mut notes)?;
    let given = asked.baseline(args.baseline_from, args.baseline_to, MAX_WINDOW)?;
    let baseline = args.baseline_from.map(|_| given);
    if args.also.len() > MAX_ALSO {
        return Err(ToolError::invalid(
            format!("{} further metrics are too many", args.also.len()),
            format!("at most {MAX_ALSO} at once"),
        ));
    }
    let over = Over { asked, baseline, period_s: args.period_s, present };
    let MetricWindowArgs { service, role, alarm_name, metric, also, .. } = args;
    let further = also.into_iter().map(|choice| {
        let service = choice.service.or_else(|| service.clone());
        let choice = MetricChoice { service, ..choice };
        async move { one(server, &choice, over).await }
    });
    let first = MetricChoice { service: service.clone(), role, alarm_name, metric };
    let (first, further) = futures::join!(one(server, &first, over), join_all(further));
    let mut result = first?;
    result.notes.splice(..0, notes);
    for (n, found) in further.into_iter().enumerate() {
        match found {
            Ok(found) => result.also.push(MetricSummary::from(found)),
            // What was asked for in vain hides nothing that was found.
            Err(error) => result.notes.push(format!("also[{n}]: {}; {}", error.message, error.mend)),
        }
    }
    let dropped = fit(&mut result, MAX_RESULT_BYTES, |result| {
        !result.points.is_empty() && {
            result.points.remove(0);
            true
        }
    });
    if dropped > 0 {
        result.notes.push(format!("the first {dropped} points were left out to keep the result small"));
    }
    Ok(result)
}

/// What every metric of a call is read over.
#[derive(Debug, Clone, Copy)]
struct Over {
    asked: Window,
    /// What to compare with, where the caller said so.
    baseline: Option<Window>,
    period_s: Option<i32>,
    present: Timestamp,
}

async fn one(server: &MetricsServer, choice: &MetricChoice, over: Over) -> Result<MetricWindow, ToolError> {
    let Over { asked, baseline, period_s, present } = over;
    let (owner, wanted) = wanted(server, choice).await?;
    let client = server.client(owner).await?;
    let oldest = asked.from.min(baseline.unwrap_or_else(|| asked.before()).from);
    let period_s = period(period_s, wanted.own_period, asked, oldest, present)?;
    let now = align(asked, period_s, present, LATE_S);
    // Put on the grid by itself, it could come to lie where the window does.
    let before = match baseline {
        None => now.before(),
        Some(given) => align_baseline(given, now, period_s, present).ok_or_else(|| {
            ToolError::invalid(
                format!(
                    "in periods of {period_s} s the window is {} to {}, and the baseline lies in it",
                    now.from, now.to
                ),
                "ask for a shorter period, or for a baseline farther away",
            )
        })?,
    };

    let mut notes = Vec::new();
    let mut notes_before = Vec::new();
    let period = SignedDuration::from_secs(i64::from(period_s));
    if period > asked.span() {
        notes.push(format!(
            "the window was widened: its data comes by {}, which is longer than what was asked for",
            length(period)
        ));
    }
    // What has been seen of it: its last period may still be running.
    let seen = Window { to: now.to.min(present.max(now.from)), ..now };
    if seen.to < now.to {
        notes.push(format!("its last period ends at {} and is not over: its values will change", now.to));
    }
    let (points, base) = tokio::try_join!(
        fetch(&client, &wanted, now, period_s, &mut notes),
        fetch(&client, &wanted, before, period_s, &mut notes_before),
    )?;
    notes.extend(notes_before.into_iter().map(|note| format!("baseline: {note}")));

    let late_s = LATE_S as f64;
    let late = (late_s - present.duration_since(seen.to).as_secs_f64()).clamp(0.0, late_s);
    let found = judge(
        Series { window: seen, points: &points },
        Series { window: before, points: &base },
        f64::from(period_s),
        wanted.nature,
        late,
    );
    // A period that is still running is none that is missing.
    let expected = periods(seen, period_s);
    let over = |point: &&Point| point.at.0.checked_add(period).is_ok_and(|end| end <= seen.to);
    let missing_points = expected.saturating_sub(points.iter().filter(over).count());
    if missing_points > 0 {
        notes.push(format!(
            "{missing_points} of {expected} periods have no data point; they are not counted as zero"
        ));
    }
    if base.is_empty() && points.is_empty() {
        notes.push(
            "there is no data at all, in the window or the baseline, so nothing is known of a change: where that is \
             not what was expected, check namespace, name and every dimension, and the region"
                .to_owned(),
        );
    } else if base.is_empty() {
        notes.push("the baseline has no data points".to_owned());
    }
    match found.change {
        Change::Stopped if points.iter().all(|p| Some(p.at.0) < found.onset) => {
            notes.push(
                "it stopped without zeros: either nothing happened any more, or nobody reports it".to_owned(),
            );
        }
        Change::Missing => {
            notes.push("nobody reports it any more; what its value is cannot be told".to_owned());
        }
        _ => {}
    }
    let (stats, baseline) = (Stats::of(&points), Stats::of(&base));
    let ratio = ratio(&stats, seen, &baseline, before, wanted.nature);
    let (from, to) = (Time(now.from), Time(now.to));
    Ok(MetricWindow {
        reference: reference(
            "metric",
            &[&wanted.label, &period_s.to_string(), &from.to_string(), &to.to_string()],
        ),
        metric: wanted.label,
        period_s,
        from,
        to,
        points: points.into_iter().map(Point::rounded).collect(),
        missing_points,
        stats,
        baseline: Some(baseline),
        baseline_from: Some(Time(before.from)),
        baseline_to: Some(Time(before.to)),
        ratio,
        change: found.change,
        onset: found.onset.map(Time),
        recovered_at: found.recovered_at.map(Time),
        changes: found.runs,
        also: Vec::new(),
        notes,
    })
}

/// The metric that the arguments name, and whose it is.
async fn wanted<'a>(
    server: &'a MetricsServer,
    args: &MetricChoice,
) -> Result<(Option<&'a Service>, Wanted), ToolError> {
    let one_way = "name the metric in one way: service and role, alarm_name, or metric";
    match (&args.role, &args.alarm_name, &args.metric) {
        (Some(role), None, None) => {
            let name = args
                .service
                .as_deref()
                .ok_or_else(|| ToolError::invalid("a role needs a service", one_way))?;
            let service = server.ctx().service(name)?;
            let (metric, role) = match role {
                Role::Traffic => (&service.traffic, "traffic"),
                Role::Errors => (&service.errors, "errors"),
            };
            let metric = metric.as_ref().ok_or_else(|| {
                ToolError::not_found(
                    format!("the catalog has no `{role}` metric for `{name}`"),
                    "give `metric` in full, or add it to the catalog",
                )
            })?;
            Ok((Some(service), Wanted::metric(metric)))
        }
        (None, Some(alarm), None) => {
            let alarm = alarm::name(alarm)?;
            let owner = server.owner(args.service.as_deref(), alarm)?;
            let client = server.client(owner).await?;
            match describe(&client, alarm).await? {
                Described::Metric(found) => Ok((
                    owner,
                    Wanted::alarm(&found).ok_or_else(|| {
                        ToolError::invalid(format!("`{alarm}` watches no metric that can be read"), one_way)
                    })?,
                )),
                Described::Composite(_) => Err(ToolError::invalid(
                    format!("`{alarm}` is a composite alarm and watches no metric"),
                    "get_alarm lists its children: ask for one of them",
                )),
            }
        }
        (None, None, Some(metric)) => {
            let owner = args.service.as_deref().map(|name| server.ctx().service(name)).transpose()?;
            Ok((owner, Wanted::metric(metric)))
        }
        _ => Err(ToolError::invalid("the metric is not clear", one_way)),
    }
}

fn periods(window: Window, period_s: i32) -> usize {
    usize::try_from(window.span().as_secs() / i64::from(period_s.max(1))).unwrap_or_default()
}

/// Window against baseline: sums by their rates, because periods without anything have no point.
fn ratio(now: &Stats, window: Window, before: &Stats, baseline: Window, nature: Nature) -> Option<f64> {
    let (a, b) = match nature {
        Nature::Counted => (now.sum / window.seconds(), before.sum / baseline.seconds()),
        Nature::Measured => (now.avg?, before.avg?),
    };
    (b.abs() > 1e-12).then(|| (a / b * 1e4).round() / 1e4)
}
