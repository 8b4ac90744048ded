//! Business hours: local time, on some days of the week.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use jiff::{
    Timestamp,
    civil::{Date, Weekday},
    tz::{TimeZone, TimeZoneDatabase},
};
use serde::Deserialize;

use crate::{fields::Fields, problem::Problem};

/// When somebody works.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Hours {
    zone: TimeZone,
    days: BTreeSet<Day>,
    /// Minutes of the local day.
    minutes: Range<u16>,
    /// Local dates on which nobody works.
    closed: BTreeSet<Date>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl From<Weekday> for Day {
    fn from(day: Weekday) -> Self {
        match day {
            Weekday::Monday => Self::Mon,
            Weekday::Tuesday => Self::Tue,
            Weekday::Wednesday => Self::Wed,
            Weekday::Thursday => Self::Thu,
            Weekday::Friday => Self::Fri,
            Weekday::Saturday => Self::Sat,
            Weekday::Sunday => Self::Sun,
        }
    }
}

impl Hours {
    pub(super) fn contain(&self, now: Timestamp) -> bool {
        let local = self.zone.to_datetime(now);
        let (hour, minute) =
            (u16::from(local.hour().unsigned_abs()), u16::from(local.minute().unsigned_abs()));
        self.minutes.contains(&(hour * 60 + minute))
            && self.days.contains(&Day::from(local.weekday()))
            && !self.closed.contains(&local.date())
    }
}

/// What a table says; what it does not say an owner has from everybody's.
#[derive(Clone, Default)]
struct Said {
    zone: Option<TimeZone>,
    days: Option<BTreeSet<Day>>,
    from: Option<u16>,
    to: Option<u16>,
    closed: BTreeSet<Date>,
}

const KNOWN: &str = "zone, days, from, to, closed";

/// The hours of everybody, and of owners that have others.
pub(super) fn read(
    mut table: Fields<'_>,
    problems: &mut Vec<Problem>,
) -> (Option<Hours>, BTreeMap<String, Hours>) {
    let owners = table.table("owner", problems);
    let empty = table.keys().is_empty();
    let (base, sound) = said(&mut table, problems);
    let everybody = if empty || !sound { None } else { hours(&table, base.clone(), problems) };
    if empty && owners.is_none() {
        problems.push(table.wrong("it says nothing", "give `zone`, `days`, `from` and `to`"));
    }
    table.finish(KNOWN, problems);
    let mut all = BTreeMap::new();
    if let Some(mut owners) = owners {
        for name in owners.keys() {
            let Some(mut table) = owners.table(&name, problems) else { continue };
            let (own, own_sound) = said(&mut table, problems);
            let closed = base.closed.union(&own.closed).copied().collect();
            let merged = Said {
                zone: own.zone.or_else(|| base.zone.clone()),
                days: own.days.or_else(|| base.days.clone()),
                from: own.from.or(base.from),
                to: own.to.or(base.to),
                closed,
            };
            if sound
                && own_sound
                && let Some(hours) = hours(&table, merged, problems)
            {
                all.insert(name, hours);
            }
            table.finish(KNOWN, problems);
        }
    }
    (everybody, all)
}

/// Reads one table, and whether what it says can be read.
fn said(table: &mut Fields<'_>, problems: &mut Vec<Problem>) -> (Said, bool) {
    let before = problems.len();
    let zone = table.take::<String>("zone", "\"Europe/Berlin\"", problems).and_then(|name| {
        let zone = TimeZoneDatabase::bundled().get(&name).ok();
        if zone.is_none() {
            let remedy = "use a name of the IANA time zone database, such as `Europe/Berlin` or `UTC`";
            problems.push(table.wrong(&format!("there is no time zone `{name}`"), remedy));
        }
        zone
    });
    let days: Option<BTreeSet<Day>> = table.take("days", "[\"mon\", \"tue\", \"wed\"]", problems);
    if days.as_ref().is_some_and(BTreeSet::is_empty) {
        problems.push(table.wrong("`days` is empty", "name the days, such as `days = [\"mon\", \"tue\"]`"));
    }
    let from = minute(table, "from", problems);
    let to = minute(table, "to", problems);
    let mut closed = BTreeSet::new();
    for text in table.take::<Vec<String>>("closed", "[\"2026-12-25\"]", problems).unwrap_or_default() {
        match text.parse() {
            Ok(date) => {
                closed.insert(date);
            }
            Err(_) => problems.push(table.wrong(
                &format!("`closed` has `{text}`, which is no date"),
                "write dates like `\"2026-12-25\"`",
            )),
        }
    }
    (Said { zone, days, from, to, closed }, problems.len() == before)
}

fn hours(table: &Fields<'_>, said: Said, problems: &mut Vec<Problem>) -> Option<Hours> {
    let missing: Vec<&str> = [
        (said.zone.is_none(), "zone"),
        (said.days.is_none(), "days"),
        (said.from.is_none(), "from"),
        (said.to.is_none(), "to"),
    ]
    .into_iter()
    .filter_map(|(missing, name)| missing.then_some(name))
    .collect();
    if !missing.is_empty() {
        let message = format!("there is no `{}`", missing.join("`, no `"));
        problems.push(table.wrong(&message, "give all of `zone`, `days`, `from` and `to`"));
        return None;
    }
    let (from, to) = (said.from?, said.to?);
    if from >= to {
        let remedy = "let `to` be later than `from` on the same day, at most \"24:00\"";
        problems.push(table.wrong("the hours end before they begin", remedy));
        return None;
    }
    Some(Hours { zone: said.zone?, days: said.days?, minutes: from..to, closed: said.closed })
}

/// `HH:MM`, from `00:00` to `24:00`.
fn minute(table: &mut Fields<'_>, key: &str, problems: &mut Vec<Problem>) -> Option<u16> {
    let text: String = table.take(key, "\"09:00\"", problems)?;
    let parsed = text.split_once(':').and_then(|(hour, minute)| {
        let two = |part: &str| (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit())).then_some(());
        two(hour).and(two(minute))?;
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        (minute < 60).then_some(hour * 60 + minute).filter(|minutes| *minutes <= 24 * 60)
    });
    if parsed.is_none() {
        let message = format!("`{key}` is `{text}`, which is no time of day");
        problems.push(table.wrong(&message, &format!("write it like `{key} = \"09:00\"`")));
    }
    parsed
}
