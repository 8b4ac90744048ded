//! From the lines of a window and its baseline to patterns, ranked. Pure.

use std::collections::BTreeMap;

use midwatch_mcp::{Clean, Redactions, Time, Window, clean_with, reference};
use midwatch_mining::{Leaf, TemplateId};
use midwatch_policy::{Redactor, Timestamp};

use crate::{
    change::{Change, compare},
    events::Event,
    example::Examples,
    fields,
    kinds::Kinds,
    line::{self, Level},
    onset::{Tick, onset, silence},
    scope::Source,
    shapes::{Example, Minute, Pattern, Series},
    words,
};

/// Bytes of a template and of an example that leave the server.
const TEMPLATE_BYTES: usize = 400;
const EXAMPLE_BYTES: usize = 700;
/// Literal pieces of a template that its lines are counted by, and bytes that they have together at least.
const PIECES: usize = 6;
const LEAST_LITERAL: usize = 6;
/// Places of marks that are told of one pattern, or of the rows of a query.
pub(crate) const PLACES: usize = 20;
/// The longest that AWS allows.
const STREAM_BYTES: usize = 512;

/// The window and what it is compared with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) now: Window,
    pub(crate) before: Window,
}

/// A kind of line, as found by mining. Its counts may later be replaced by counts of all lines.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) source: Source,
    pub(crate) level: Level,
    exception: Option<String>,
    status: Option<u16>,
    template: String,
    pub(crate) now: Vec<Tick>,
    pub(crate) before: Vec<Tick>,
    /// First, middle and last of the window; of the baseline where the window has none.
    examples: Vec<Event>,
    /// Places of its lines among those of the window; of the baseline where the window has none.
    places: Vec<usize>,
    of_window: bool,
    /// The lines that had no room among the templates: they are counted, and are no pattern.
    pub(crate) is_rest: bool,
    /// Regular expressions that all lines of the sample that are of this kind match, each of them, and no other
    /// line of the sample does. None where there are no such.
    pub(crate) regexes: Vec<String>,
}

impl Found {
    fn count(ticks: &[Tick]) -> u64 {
        ticks.iter().map(|tick| tick.n).sum()
    }

    /// Its examples, as they were logged.
    pub(crate) fn examples(&self) -> &[Event] {
        &self.examples
    }

    /// A failed request of an access log, which says the same as an error line beside it once more.
    pub(crate) fn is_failed_request(&self) -> bool {
        self.template == line::FAILED_REQUEST
    }

    /// Where the fields of its lines stand, of those it was mined from.
    pub(crate) fn lines<'a>(&self, now: &'a [Event], before: &'a [Event]) -> Vec<&'a str> {
        let all = if self.of_window { now } else { before };
        self.places.iter().filter_map(|at| Some(all.get(*at)?.fields())).collect()
    }

    /// Probability of so great a difference from the baseline by chance alone.
    pub(crate) fn chance(&self, span: Span) -> f64 {
        let (now, before) = (Self::count(&self.now), Self::count(&self.before));
        compare(now, span.now.seconds(), before, span.before.seconds()).chance
    }

    /// New and grown first, then by how bad and how many.
    fn rank(&self, span: Span) -> (u8, std::cmp::Reverse<Level>, std::cmp::Reverse<u64>) {
        let (now, before) = (Self::count(&self.now), Self::count(&self.before));
        let compared = compare(now, span.now.seconds(), before, span.before.seconds());
        let rank = match compared.change {
            Change::New | Change::Grew if compared.is_clear() => 0,
            Change::New | Change::Grew => 1,
            Change::Steady => 2,
            Change::Shrank => 3,
            Change::Gone => 4,
        };
        (rank, std::cmp::Reverse(self.level), std::cmp::Reverse(now.max(before)))
    }
}

/// Takes out what is no pattern, and says how many lines of the window it was.
pub(crate) fn take_rest(found: &mut Vec<Found>) -> u64 {
    found.extract_if(.., |one| one.is_rest).map(|one| Found::count(&one.now)).sum()
}

/// Sorts by relevance.
pub(crate) fn rank(found: &mut [Found], span: Span) {
    found.sort_by_cached_key(|pattern| (pattern.rank(span), pattern.template.clone()));
}

/// Mines the lines of one group.
pub(crate) fn mine(source: &Source, now: &[Event], before: &[Event], with_regex: bool) -> Vec<Found> {
    let mut miner = Kinds::new();
    let mut file = |events: &'_ [Event]| -> Vec<Option<Leaf>> {
        events.iter().map(|event| Some(miner.add(&event.line()?))).collect()
    };
    let (of_now, of_before) = (file(now), file(before));
    miner.settle();
    let mut kinds: BTreeMap<TemplateId, (Vec<&Event>, Vec<&Event>)> = BTreeMap::new();
    let mut places: BTreeMap<TemplateId, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for (at, (event, leaf)) in now.iter().zip(of_now).enumerate() {
        if let Some(leaf) = leaf {
            kinds.entry(miner.template(leaf)).or_default().0.push(event);
            places.entry(miner.template(leaf)).or_default().0.push(at);
        }
    }
    for (at, (event, leaf)) in before.iter().zip(of_before).enumerate() {
        if let Some(leaf) = leaf {
            kinds.entry(miner.template(leaf)).or_default().1.push(event);
            places.entry(miner.template(leaf)).or_default().1.push(at);
        }
    }
    let ticks = |events: &[&Event]| events.iter().map(|event| Tick { at: event.at, n: 1 }).collect();
    kinds
        .iter()
        .filter_map(|(id, (now, before))| {
            let kind = miner.kind(*id)?;
            let template = miner.text(*id);
            let shown = if now.is_empty() { before } else { now };
            let (of_now, of_before) = places.remove(id).unwrap_or_default();
            let regexes = if with_regex { regexes_of(&template, *id, &kinds) } else { Vec::new() };
            Some(Found {
                source: source.clone(),
                level: kind.level,
                exception: kind.exception.clone(),
                status: kind.status,
                template,
                now: ticks(now),
                before: ticks(before),
                examples: spread(shown),
                places: if now.is_empty() { of_before } else { of_now },
                of_window: !now.is_empty(),
                regexes,
                is_rest: miner.is_rest(*id),
            })
        })
        .collect()
}

/// First, middle and last, each once.
fn spread(events: &[&Event]) -> Vec<Event> {
    let mut picks = vec![0, events.len() / 2, events.len().saturating_sub(1)];
    picks.dedup();
    let mut out: Vec<Event> = Vec::new();
    for event in picks.into_iter().filter_map(|at| events.get(at)) {
        if !out.contains(event) {
            out.push((*event).clone());
        }
    }
    out
}

/// Regular expressions for the lines of a template, if they tell the sample's lines apart: one for what is literal
/// in it, in order, or else one for each piece. A text that was put together from several fields of JSON stands
/// in its lines piece by piece, in whatever order.
fn regexes_of<'a>(
    template: &str,
    id: TemplateId,
    kinds: &'a BTreeMap<TemplateId, (Vec<&'a Event>, Vec<&'a Event>)>,
) -> Vec<String> {
    let ways = if template == line::FAILED_REQUEST {
        vec![vec![words::FAILED_STATUS.clone()]]
    } else {
        let (whole, pieces) = (literals_of(template, None), literals_of(template, Some(": ")));
        vec![vec![whole.join(".*")], pieces]
    };
    ways.into_iter().find(|way| tells_apart(way, id, kinds)).unwrap_or_default()
}

/// Whether all lines of a kind match all of these, and no other line does.
fn tells_apart<'a>(
    way: &[String],
    id: TemplateId,
    kinds: &'a BTreeMap<TemplateId, (Vec<&'a Event>, Vec<&'a Event>)>,
) -> bool {
    let all: Result<Vec<regex::Regex>, _> = way.iter().map(|text| regex::Regex::new(text)).collect();
    let (Ok(all), Some(own)) = (all, kinds.get(&id)) else { return false };
    let is_one = |event: &Event| all.iter().all(|regex| regex.is_match(event.logged()));
    let lines = |kind: &'a (Vec<&Event>, Vec<&Event>)| kind.0.iter().chain(&kind.1);
    way.iter().map(String::len).sum::<usize>() >= LEAST_LITERAL
        && lines(own).all(|event| is_one(event))
        && kinds
            .iter()
            .filter(|(other, _)| **other != id)
            .all(|(_, kind)| !lines(kind).any(|event| is_one(event)))
}

/// The literal parts of a template, in order, as regular expressions.
fn literals_of(template: &str, joint: Option<&str>) -> Vec<String> {
    let mut pieces: Vec<&str> = Vec::new();
    let mut rest = template;
    while let Some((piece, tail)) = rest.split_once('<') {
        pieces.push(piece);
        // Masks are the only short words in angle brackets.
        rest = tail.split_once('>').filter(|(name, _)| name.len() <= 5).map_or(tail, |(_, after)| after);
    }
    pieces.push(rest);
    pieces
        .into_iter()
        .flat_map(|piece| joint.map_or_else(|| vec![piece], |joint| piece.split(joint).collect()))
        .flat_map(|piece| piece.split(['"', '\\', '/', '\'']))
        .map(str::trim)
        .filter(|piece| piece.len() >= 3)
        .take(PIECES)
        .map(regex::escape)
        .collect()
}

/// All ticks of what is chosen, in order of time.
pub(crate) fn ticks_of(
    found: &[Found],
    chosen: impl Fn(&Found) -> bool,
    side: fn(&Found) -> &Vec<Tick>,
) -> Vec<Tick> {
    let mut ticks: Vec<Tick> =
        found.iter().filter(|f| chosen(f)).flat_map(|f| side(f).iter().copied()).collect();
    ticks.sort_by_key(|tick| tick.at);
    ticks
}

/// A series as it goes out.
pub(crate) fn series(name: &str, now: &[Tick], before: &[Tick], span: Span) -> Series {
    let mut minutes: BTreeMap<i64, u64> = BTreeMap::new();
    for tick in now {
        *minutes.entry(tick.at.as_second().div_euclid(60) * 60).or_default() += tick.n;
    }
    let onset = onset(span.now, now, span.before, before);
    let silence = silence(onset, span.now, now, span.before, before);
    Series {
        reference: name.to_owned(),
        total: Found::count(now),
        baseline_total: Found::count(before),
        first_seen: now.first().map(|tick| tick.at.into()),
        last_seen: now.last().map(|tick| tick.at.into()),
        onset: onset.map(|onset| Time(onset.at)),
        onset_earliest: onset.map(|onset| Time(onset.earliest).to_the_second()),
        onset_latest: onset.map(|onset| Time(onset.latest)),
        status: silence.status,
        silent_s: silence.seconds,
        silence_chance: rounded(silence.chance),
        per_minute: minutes
            .into_iter()
            .map(|(second, count)| Minute { at: Time::from_millis(second.saturating_mul(1000)), count })
            .collect(),
    }
}

/// A pattern as it goes out, with what its lines share, and what was redacted in it.
pub(crate) fn pattern(
    redactor: &Redactor,
    found: &Found,
    span: Span,
    lines: &[&str],
) -> (Pattern, Redactions) {
    let (now, before) = (Found::count(&found.now), Found::count(&found.before));
    let compared = compare(now, span.now.seconds(), before, span.before.seconds());
    let onset = onset(span.now, &found.now, span.before, &found.before);
    let silence = silence(onset, span.now, &found.now, span.before, &found.before);
    let ends = [found.now.first(), found.now.last()];
    let [first, last]: [Option<Timestamp>; 2] = ends.map(|tick| tick.map(|tick| tick.at));
    let template = clean_with(redactor, &found.template, TEMPLATE_BYTES);
    let mut places = template.places_in("template");
    let mut redacted = template.kinds;
    let mut marks = template.marks;
    let (shared, of_shared): (Vec<_>, Vec<Clean>) = fields::shared(redactor, lines).into_iter().unzip();
    for (field, value) in shared.iter().zip(of_shared) {
        places.extend(value.places_in(&format!("fields.{}", field.name)));
        marks.extend(value.marks);
    }
    let mut texts = Examples::new(redactor);
    let examples = found
        .examples
        .iter()
        .map(|event| {
            let mut told = fields::told_beside(redactor, &event.message, event.fields(), EXAMPLE_BYTES);
            let text = texts.text(event, EXAMPLE_BYTES);
            told.redacted.at_least(&text.kinds);
            redacted.add(&told.redacted);
            marks.extend(told.marks.into_iter().chain(text.marks.iter().copied()));
            let reference = event_reference(&found.source, event);
            told.fields.retain(|name, value| !shared.iter().any(|field| field.is_of_all(name, value)));
            let is_shown = |place: &&String| {
                let field = place.strip_prefix("fields.").and_then(|rest| rest.rsplitn(3, ' ').nth(2));
                field.is_some_and(|name| told.fields.contains_key(name))
            };
            let in_fields = told.places.iter().filter(is_shown).cloned();
            places.extend(
                text.places_in("message")
                    .into_iter()
                    .chain(in_fields)
                    .map(|place| format!("{reference} {place}")),
            );
            let stream = clean_with(redactor, &event.stream, STREAM_BYTES);
            redacted.add(&stream.kinds);
            places.extend(stream.places_in(&format!("{reference} log_stream")));
            marks.extend(stream.marks);
            Example {
                reference,
                timestamp: event.at.into(),
                log_stream: stream.text,
                message: text.text,
                fields: told.fields,
            }
        })
        .collect();
    let name = found.exception.as_deref().map(|name| clean_with(redactor, name, line::LONGEST_NAME));
    let name = name.unwrap_or_default();
    redacted.add(&name.kinds);
    places.extend(name.places_in("exception"));
    marks.extend(name.marks);
    places.truncate(PLACES);
    marks.sort_unstable();
    marks.dedup();
    let level = found.level;
    let exception = found.exception.clone().unwrap_or_default();
    let kind = found.status.map_or_else(|| format!("{level:?}"), |status| format!("{level:?} {status}"));
    let pattern = Pattern {
        reference: reference("pat", &[&found.source.key(), &kind, &exception, &found.template]),
        template: template.text,
        level,
        // What is a secret is no name.
        exception: Some(name.text).filter(|text| !text.is_empty() && name.redacted == 0),
        http_status: found.status,
        count: now,
        baseline_count: before,
        change: compared.change,
        chance: rounded(compared.chance),
        chance_adjusted: rounded(compared.chance),
        first_seen: first.map(Time),
        last_seen: last.map(Time),
        onset: onset.map(|onset| Time(onset.at)),
        onset_earliest: onset.map(|onset| Time(onset.earliest).to_the_second()),
        onset_latest: onset.map(|onset| Time(onset.latest)),
        status: silence.status,
        silent_s: silence.seconds,
        silence_chance: rounded(silence.chance),
        group: None,
        log_group: found.source.group.clone(),
        examples,
        fields: shared,
        screened: marks.iter().map(|mark| mark.as_str().to_owned()).collect(),
        screened_at: places,
    };
    (pattern, redacted)
}

/// Six digits are enough of a probability.
pub(crate) fn rounded(chance: f64) -> f64 {
    (chance * 1e6).round() / 1e6
}

/// The same event has the same reference, however it was read.
pub(crate) fn event_reference(source: &Source, event: &Event) -> String {
    let at = event.at.as_millisecond().to_string();
    let mut parts = vec![source.group.as_str(), event.stream.as_str(), &at, event.name()];
    parts.extend(source.place.as_deref());
    reference("log", &parts)
}

#[cfg(test)]
#[path = "patterns_tests.rs"]
mod tests;
