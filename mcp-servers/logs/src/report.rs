//! The tool `error_patterns`: which groups, how to read them, and putting the answer together.

use futures::future::join_all;
use midwatch_mcp::{MAX_RESULT_BYTES, Progress, Redactions, Spent, Time, ToolError, Window, fit, limit};
use midwatch_policy::{SignedDuration, Timestamp};

use crate::{
    groups,
    line::Level,
    meter::Meter,
    onset::{Tick, is_quiet},
    patterns::{self, Found, Span},
    reading::{self, Most},
    scope::Source,
    seen::Place,
    server::LogsServer,
    shapes::{Activity, CompareWith, ErrorPatterns, ErrorPatternsArgs, Pattern},
    source::{GroupRead, Priced},
    words,
};

const MAX_WINDOW: SignedDuration = SignedDuration::from_hours(24);
/// Bytes of lines that a call keeps, of all groups and both windows.
const MAX_BYTES: usize = 128 << 20;
/// Patterns whose lines are counted by queries of their own when a sample was read.
const COUNTED: usize = 10;

pub(crate) async fn error_patterns(
    server: &LogsServer,
    args: ErrorPatternsArgs,
    progress: &Progress,
    meter: &Meter,
) -> Result<ErrorPatterns, ToolError> {
    let mut notes = Vec::new();
    let present = server.ctx().clock.now();
    let asked = Window::begun(args.from, args.to, MAX_WINDOW, present, &mut notes)?;
    let limit = limit(args.limit, 10, 30)?;
    let before = baseline(asked, &args)?;
    // By a caller's clock that is ahead it may even begin a little later.
    let to = if asked.from < present { asked.to.min(present) } else { asked.to };
    let span = Span { now: Window { to, ..asked }, before };
    let sources = server.sources(args.service.as_deref(), &args.log_groups).await?;

    let priced =
        join_all(sources.iter().map(|source| Priced::of(server, source, span, (progress, meter)))).await;
    // All are priced before any is read: where some do not fit, whoever can allow more may do so
    // before anything is spent.
    let too_much = priced.iter().flatten().find_map(Priced::too_much);
    if let Some(error) = too_much
        && meter.bound() < server.config().max_scan_bytes
        && meter.spent() == Some(Spent::default())
    {
        return Err(error.clone());
    }
    let most = Most { lines: server.config().max_lines, bytes: MAX_BYTES / 2 / sources.len().max(1) };
    let reads = priced.into_iter().map(async |priced| Box::pin(priced?.read(span, most)).await);
    let reads = join_all(reads).await;
    let mut read: Vec<GroupRead> = Vec::new();
    let mut failed: Option<ToolError> = None;
    for (Source { group, .. }, outcome) in sources.iter().zip(reads) {
        match outcome {
            Ok(one) => read.push(one),
            Err(error) => {
                notes.push(format!("`{group}` could not be read: {}; {}", error.message, error.mend));
                failed.get_or_insert(error);
            }
        }
    }
    if read.is_empty() {
        return Err(failed.unwrap_or_else(|| ToolError::internal("no group was read")));
    }
    notes.extend(read.iter().filter_map(|one| one.not_kept(span.now)));
    for one in &read {
        notes.extend(one.now.notes.iter().cloned());
        notes.extend(one.before.notes.iter().filter(|note| !one.now.notes.contains(note)).cloned());
    }

    let sampled = read.iter().any(|one| one.now.sampled || one.before.sampled);
    let mut found: Vec<Found> = read
        .iter()
        .flat_map(|one| patterns::mine(&one.source, &one.now.lines, &one.before.lines, sampled))
        .collect();
    patterns::rank(&mut found, span);
    let said = found.iter().any(|one| one.level >= Level::Error && !one.is_failed_request());
    let is_error = move |one: &Found| one.level >= Level::Error && !(said && one.is_failed_request());
    let both = |chosen: &dyn Fn(&Found) -> bool| {
        [patterns::ticks_of(&found, chosen, |f| &f.now), patterns::ticks_of(&found, chosen, |f| &f.before)]
    };
    let mut errors = both(&is_error);
    let warnings = both(&|one| one.level == Level::Warn);
    if said && found.iter().any(Found::is_failed_request) {
        notes.push(
            "access-log lines with a 5xx status are a pattern of their own and not counted in errors"
                .to_owned(),
        );
    }
    let beyond = patterns::take_rest(&mut found);
    if beyond > 0 {
        notes.push(format!(
            "{beyond} lines came when the table of templates was full: they are counted, and in no pattern"
        ));
    }
    if sampled {
        let words = if said { &words::ERROR_CANDIDATE } else { &words::FAILED_STATUS };
        recount(&read, &mut found, &mut errors, words, span, &mut notes).await;
        patterns::rank(&mut found, span);
    }

    if found.len() > limit {
        notes.push(format!("{} further patterns are not shown (limit {limit})", found.len() - limit));
    }
    let mut redacted = Redactions::default();
    let mut shown: Vec<Pattern> = found
        .iter()
        .take(limit)
        .map(|one| {
            let of = read.iter().find(|read| read.source == one.source);
            let lines = of.map_or_else(Vec::new, |of| one.lines(&of.now.lines, &of.before.lines));
            let (pattern, in_it) = patterns::pattern(server.redactor(), one, span, &lines);
            redacted.add(&in_it);
            for (event, shown) in one.examples().iter().zip(&pattern.examples) {
                let (source, stream) = (one.source.clone(), event.stream.clone());
                server.seen().note(&shown.reference, Place { source, stream, at: event.at });
            }
            pattern
        })
        .collect();
    // All that were compared count for the correction, shown or not.
    groups::adjust(&mut shown, found.iter().map(|one| one.chance(span)).collect());
    let risen = groups::group(&found, &mut shown, span);
    notes.extend(redacted.note());
    let subject = args
        .service
        .clone()
        .unwrap_or_else(|| sources.iter().map(|source| source.group.as_str()).collect::<Vec<_>>().join(","));
    let [errors_now, errors_before] = errors;
    let [warnings_now, warnings_before] = warnings;
    let mut result = ErrorPatterns {
        log_groups: read.iter().map(|one| one.source.group.clone()).collect(),
        from: Time(span.now.from),
        to: Time(span.now.to),
        baseline_from: Time(before.from),
        baseline_to: Time(before.to),
        sampled,
        spent: None,
        lines_read: read.iter().map(|one| (one.now.lines.len() + one.before.lines.len()) as u64).sum(),
        errors: patterns::series(&format!("errors:{subject}"), &errors_now, &errors_before, span),
        warnings: patterns::series(&format!("warnings:{subject}"), &warnings_now, &warnings_before, span),
        activity: activity(&subject, &read, span),
        patterns: shown,
        groups: risen,
        notes,
    };
    result.spent = meter.spent();
    say_onsets_once(&mut result);
    if result.activity.quiet {
        result
            .notes
            .push("the service is quiet: that it logs no errors does not mean that it is healthy".to_owned());
    }
    let steps = fit(&mut result, MAX_RESULT_BYTES, |result| {
        let fullest = result.patterns.iter_mut().rev().find(|pattern| pattern.examples.len() > 1);
        match fullest {
            Some(pattern) => pattern.examples.pop().is_some(),
            None => result.patterns.pop().is_some(),
        }
    });
    if steps > 0 {
        result.notes.push("examples or patterns were left out to keep the result small".to_owned());
    }
    Ok(result)
}

/// What to compare with: two times, a name, or the same length just before.
fn baseline(asked: Window, args: &ErrorPatternsArgs) -> Result<Window, ToolError> {
    let Some(with) = args.compare_with else {
        return asked.baseline(args.baseline_from, args.baseline_to, MAX_WINDOW);
    };
    if args.baseline_from.is_some() || args.baseline_to.is_some() {
        return Err(ToolError::invalid(
            "both compare_with and a baseline were given",
            "give compare_with, or baseline_from and baseline_to",
        ));
    }
    let earlier = |at: Timestamp, hours| at.saturating_sub(SignedDuration::from_hours(hours)).unwrap_or(at);
    Ok(match with {
        CompareWith::Before => asked.baseline(None, None, MAX_WINDOW)?,
        CompareWith::HourBefore => Window { from: earlier(asked.from, 1), to: asked.from },
        CompareWith::SameTimeYesterday => Window { from: earlier(asked.from, 24), to: earlier(asked.to, 24) },
        CompareWith::SameTimeLastWeek => {
            Window { from: earlier(asked.from, 168), to: earlier(asked.to, 168) }
        }
    })
}

/// Replaces the counts of a sample by counts of all lines: for errors in total, and for the most
/// relevant patterns one by one. What could not be counted is noted as a lower bound.
async fn recount(
    read: &[GroupRead],
    found: &mut [Found],
    errors: &mut [Vec<Tick>; 2],
    words: &str,
    span: Span,
    notes: &mut Vec<String>,
) {
    let words = [words.to_owned()];
    notes.push("too many lines to read all: templates come from a sample, counts from Logs Insights, times are to the minute".to_owned());
    // Each count is a pass more; what does not fit into the call's bound is not counted.
    let mut whole = read.iter().all(GroupRead::take_pass);
    let counts = read.iter().filter(|_| whole).flat_map(|one| {
        [span.now, span.before].map(|window| reading::count(&one.insights, &one.source.group, window, &words))
    });
    let totals = join_all(counts).await;
    let mut counted = [Vec::new(), Vec::new()];
    for (n, ticks) in totals.into_iter().enumerate() {
        match ticks {
            Ok(ticks) => counted.get_mut(n % 2).map_or((), |side| side.extend(ticks)),
            Err(_) => whole = false,
        }
    }
    if whole {
        for side in &mut counted {
            side.sort_by_key(|tick| tick.at);
        }
        *errors = counted;
        notes.push("errors in total are lines that contain an error word or level".to_owned());
    } else {
        notes.push("errors in total could not be counted: the number is a lower bound".to_owned());
    }
    let counts = join_all(found.iter().take(COUNTED).map(|one| async move {
        let of = read.iter().find(|read| read.source == one.source)?;
        let (insights, regexes) = (&of.insights, one.regexes.as_slice());
        if regexes.is_empty() || !of.take_pass() {
            return None;
        }
        let (now, before) = tokio::join!(
            reading::count(insights, &one.source.group, span.now, regexes),
            reading::count(insights, &one.source.group, span.before, regexes),
        );
        Some((now.ok()?, before.ok()?))
    }))
    .await;
    let mut bounds = found.len().saturating_sub(COUNTED);
    for (one, count) in found.iter_mut().zip(counts) {
        match count {
            Some((now, before)) => (one.now, one.before) = (now, before),
            None => bounds += 1,
        }
    }
    if bounds > 0 {
        notes.push(format!("{bounds} patterns could not be counted: their numbers are lower bounds"));
    }
}

/// An interval that ends at the onset needs no end.
fn say_onsets_once(result: &mut ErrorPatterns) {
    let series = [&mut result.errors, &mut result.warnings].map(|one| (one.onset, &mut one.onset_latest));
    let patterns = result.patterns.iter_mut().map(|one| (one.onset, &mut one.onset_latest));
    let groups = result.groups.iter_mut().map(|one| (Some(one.onset), &mut one.onset_latest));
    for (onset, latest) in series.into_iter().chain(patterns).chain(groups) {
        if *latest == onset {
            *latest = None;
        }
    }
}

fn activity(subject: &str, read: &[GroupRead], span: Span) -> Activity {
    let lines = read.iter().map(|one| one.now.total).sum();
    let baseline_lines = read.iter().map(|one| one.before.total).sum();
    let last = read.iter().filter_map(|one| one.now.last).max();
    Activity {
        reference: format!("activity:{subject}"),
        lines,
        baseline_lines,
        last_line: last.map(Time),
        // Of what is not kept, silence says nothing.
        quiet: read.iter().any(|one| one.is_kept(span.now))
            && is_quiet(span.now, lines, last, span.before, baseline_lines),
    }
}
