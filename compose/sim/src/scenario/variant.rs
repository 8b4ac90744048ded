//! Variants: the same incident under other names, at another time, in another noise.
//!
//! A variant is made from the text of the scenario and read again like any other, so nothing can
//! come out of it that an author could not have written. What is expected is adapted with it; a
//! verdict that changes where only names, times and noise did is a failure of whoever judged.
//! Every fourth variant swaps the cause, where that has a meaning: the guilty deployment never
//! happened, so there is nothing to roll back.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use rand::RngExt;
use toml::{Table, Value};

use super::{Scenario, ScenarioError};
use crate::random::{self, Rng};

const STEMS: [&str; 16] = [
    "ledger", "atlas", "beacon", "harbor", "quartz", "willow", "comet", "delta", "ember", "falcon", "grove",
    "indigo", "juniper", "kestrel", "lagoon", "meridian",
];
const ENDINGS: [&str; 5] = ["api", "service", "worker", "gateway", "core"];

/// Keys whose values are words of the format or times, and never name anything.
const FIXED: [&str; 25] = [
    "time",
    "at",
    "until",
    "from",
    "ramp",
    "takes",
    "every",
    "by",
    "after",
    "history",
    "delivered_after",
    "period",
    "metric",
    "level",
    "kind",
    "status",
    "log_style",
    "noise",
    "deploys_with",
    "missing",
    "action",
    "outcome",
    "verdict",
    "api",
    "file",
];

impl Scenario {
    /// The directory it was loaded from.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A variant: the same seed gives the same one. Services, deployments and commits are called
    /// otherwise, the time, the counts and the noise differ. With `seed % 4 == 3` the cause is
    /// swapped where a deployment caused the incident.
    pub fn variant(&self, seed: u64) -> Result<Self, ScenarioError> {
        let mut rng = random::generator(seed, &self.id, 7);
        // It has been read before, so it is TOML.
        let mut table: Table = self.text.parse().unwrap_or_default();
        let swapped = seed % 4 == 3 && swap_cause(&mut table);
        let names = self.names(&mut rng, &table);
        rename_table(&mut table, &names);
        shift(&mut rng, &mut table);
        counts(&mut rng, &mut table);
        noise(&mut rng, &mut table);
        let new_seed = i64::from(rng.random::<u32>());
        table.insert("seed".to_owned(), Value::Integer(new_seed));
        let runbooks =
            self.runbooks.iter().map(|(name, text)| (name.clone(), renamed(text, &names))).collect();
        let mark = if swapped { "-swapped" } else { "" };
        let id = format!("{}~{seed}{mark}", self.id);
        Self::parse(&self.dir, &id, toml::to_string(&table).unwrap_or_default(), Some(runbooks))
    }

    /// The same incident, beginning at another time: for processes that live by the system's clock.
    /// Log files that are given as files keep their times.
    pub fn beginning_at(&self, at: Timestamp) -> Result<Self, ScenarioError> {
        let begins = Timestamp::from_millisecond(self.spec.start_ms).unwrap_or(at);
        let mut table: Table = self.text.parse().unwrap_or_default();
        shift_table(&mut table, at.duration_since(begins));
        let runbooks = Some(self.runbooks.clone());
        Self::parse(&self.dir, &self.id, toml::to_string(&table).unwrap_or_default(), runbooks)
    }

    /// Old and new names, the longest old ones first.
    fn names(&self, rng: &mut Rng, table: &Table) -> Vec<(String, String)> {
        let mut names: Vec<(String, String)> = Vec::new();
        for service in &self.spec.services {
            let taken = |new: &str| {
                names.iter().any(|(_, n)| n == new) || self.spec.services.iter().any(|s| s.name == new)
            };
            let ending = service.name.rsplit_once('-').map(|(_, ending)| ending.to_owned());
            let new = (0..64).find_map(|_| {
                let stem = random::pick(rng, &STEMS)?;
                let usual = random::pick(rng, &ENDINGS)?;
                let new = format!("{stem}-{}", ending.as_deref().unwrap_or(usual));
                (!taken(&new)).then_some(new)
            });
            names.extend(new.map(|new| (service.name.clone(), new)));
        }
        for key in ["id", "commit", "previous_commit"] {
            for text in tables(table, "deployment").filter_map(|d| d.get(key)?.as_str()) {
                if text.len() >= 6 && !names.iter().any(|(old, _)| old == text) {
                    names.push((text.to_owned(), reshaped(rng, text)));
                }
            }
        }
        names.sort_by_key(|(old, _)| std::cmp::Reverse(old.len()));
        names
    }
}

fn tables<'a>(table: &'a Table, name: &str) -> impl Iterator<Item = &'a Table> {
    table.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table)
}

fn tables_mut<'a>(table: &'a mut Table, name: &str) -> impl Iterator<Item = &'a mut Table> {
    table.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_table_mut)
}

/// Another identifier of the same shape. A leading `d-` stays, and hexadecimal stays so.
fn reshaped(rng: &mut Rng, text: &str) -> String {
    let hex = text.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase());
    let kept = if text.starts_with("d-") { 2 } else { 0 };
    text.chars()
        .enumerate()
        .map(|(n, c)| match c {
            _ if n < kept => c,
            _ if hex => char::from_digit(rng.random_range(0..16), 16).unwrap_or(c),
            '0'..='9' => char::from(rng.random_range(b'0'..=b'9')),
            'a'..='z' => char::from(rng.random_range(b'a'..=b'z')),
            'A'..='Z' => char::from(rng.random_range(b'A'..=b'Z')),
            _ => c,
        })
        .collect()
}

/// Replaces whole words: what is before and after is no letter or digit.
fn renamed(text: &str, names: &[(String, String)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = None;
    while let Some(c) = rest.chars().next() {
        let starts_word = before.is_none_or(|b: char| !b.is_alphanumeric());
        let hit = names.iter().filter(|_| starts_word).find_map(|(old, new)| {
            let after = rest.strip_prefix(old.as_str())?;
            (!after.starts_with(char::is_alphanumeric)).then_some((old, new, after))
        });
        if let Some((old, new, after)) = hit {
            out.push_str(new);
            before = old.chars().next_back();
            rest = after;
        } else {
            out.push(c);
            before = Some(c);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    out
}

fn rename_table(table: &mut Table, names: &[(String, String)]) {
    for (key, value) in table.iter_mut() {
        if !FIXED.contains(&key.as_str()) || value.is_array() && key != "verdict" {
            rename_value(value, names);
        }
    }
}

fn rename_value(value: &mut Value, names: &[(String, String)]) {
    match value {
        Value::String(text) => *text = renamed(text, names),
        Value::Array(items) => items.iter_mut().for_each(|item| rename_value(item, names)),
        Value::Table(table) => rename_table(table, names),
        _ => {}
    }
}

/// Moves the incident by whole minutes, at most ten days either way. Log files that are given as
/// files keep their times, so such a scenario is not moved.
fn shift(rng: &mut Rng, table: &mut Table) {
    if tables(table, "log").any(|log| log.contains_key("file")) {
        return;
    }
    shift_table(table, SignedDuration::from_mins(rng.random_range(-14_400..14_400)));
}

fn shift_table(table: &mut Table, by: SignedDuration) {
    for (_, value) in table.iter_mut() {
        shift_value(value, by);
    }
}

fn shift_value(value: &mut Value, by: SignedDuration) {
    let moved = |text: &str| Some(text.parse::<Timestamp>().ok()?.checked_add(by).ok()?.to_string());
    match value {
        Value::String(text) => {
            if let Some(new) = moved(text) {
                *text = new;
            }
        }
        Value::Datetime(time) => {
            if let Some(new) = moved(&time.to_string()) {
                *value = Value::String(new);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| shift_value(item, by)),
        Value::Table(table) => shift_table(table, by),
        _ => {}
    }
}

/// Scales how often lines are written; an expected citation of a count goes with it.
fn counts(rng: &mut Rng, table: &mut Table) {
    let factor = rng.random_range(0.7_f64..1.7);
    let mut changed: Vec<(String, String)> = Vec::new();
    for fault in tables_mut(table, "fault") {
        for line in tables_mut(fault, "line") {
            if let Some(Value::Integer(count)) = line.get_mut("count") {
                #[expect(clippy::cast_possible_truncation, reason = "a small count")]
                let new = ((*count as f64 * factor).round() as i64).max(3);
                changed.push((count.to_string(), new.to_string()));
                *count = new;
            }
            if let Some(Value::Float(rate)) = line.get_mut("per_minute") {
                *rate *= factor;
            }
        }
    }
    let expected = table.get_mut("expected").and_then(Value::as_table_mut);
    for list in expected.into_iter().filter_map(|e| e.get_mut("must_cite")?.as_array_mut()) {
        for item in list {
            if let Some((_, new)) = changed.iter().find(|(old, _)| item.as_str() == Some(old)) {
                *item = Value::String(new.clone());
            }
        }
    }
}

/// Other log styles and another loudness; a service that is free of noise stays so.
fn noise(rng: &mut Rng, table: &mut Table) {
    for service in tables_mut(table, "service") {
        let style = ["json", "text", "logfmt"].get(rng.random_range(0..3)).copied().unwrap_or("json");
        service.insert("log_style".to_owned(), style.into());
        if service.get("noise").and_then(Value::as_str) != Some("none") {
            let noise = ["low", "normal", "high"].get(rng.random_range(0..3)).copied().unwrap_or("normal");
            service.insert("noise".to_owned(), noise.into());
        }
    }
}

/// Takes the guilty deployment out of the world, and out of what is expected. Says whether there
/// was one.
fn swap_cause(table: &mut Table) -> bool {
    let rolls_back = table
        .get("expected")
        .and_then(|e| e.get("action"))
        .and_then(Value::as_str)
        .is_some_and(|action| action == "rollback_deployment");
    let guilty: Vec<String> =
        tables(table, "fault").filter_map(|f| f.get("deployment")?.as_str().map(str::to_owned)).collect();
    if !rolls_back || guilty.is_empty() {
        return false;
    }
    // A fault that begins with its deployment has to keep its onset.
    if tables(table, "fault").any(|f| f.contains_key("deployment") && !f.contains_key("at")) {
        return false;
    }
    for fault in tables_mut(table, "fault") {
        fault.remove("deployment");
        fault.remove("cured_by");
        fault.remove("eased_by");
        fault.insert("cured_by".to_owned(), Value::Array(Vec::new()));
    }
    if let Some(list) = table.get_mut("deployment").and_then(Value::as_array_mut) {
        list.retain(|d| {
            let named = |key: &str| d.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            !guilty.contains(&named("id")) && !guilty.contains(&named("service"))
        });
    }
    if let Some(expected) = table.get_mut("expected").and_then(Value::as_table_mut) {
        for key in ["cause", "target", "outcome", "max_model_calls", "max_cost_micro_usd"] {
            expected.remove(key);
        }
        expected.insert("action".to_owned(), "none".into());
        expected.insert("escalated".to_owned(), Value::Boolean(true));
        expected.insert("must_not_do".to_owned(), Value::Array(vec!["rollback_deployment".into()]));
        if let Some(list) = expected.get_mut("must_cite").and_then(Value::as_array_mut) {
            list.retain(|text| !guilty.iter().any(|g| text.as_str().is_some_and(|t| t.contains(g.as_str()))));
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_words_are_renamed() {
        let names = [("cart-service".to_owned(), "a-b".to_owned()), ("cart".to_owned(), "z".to_owned())];
        assert_eq!(
            renamed("cart-service-5xx cart, carts /cart/1 escart", &names),
            "a-b-5xx z, carts /z/1 escart"
        );
    }

    #[test]
    fn another_identifier_has_the_same_shape() {
        let mut rng = random::generator(1, "x", 0);
        let new = reshaped(&mut rng, "d-8K2LQ7XVN");
        assert!(new.starts_with("d-") && new.len() == 11 && new != "d-8K2LQ7XVN", "{new}");
        assert!(reshaped(&mut rng, "9f31c2e").bytes().all(|b| b.is_ascii_hexdigit()));
    }

    #[test]
    fn an_incident_can_begin_at_any_time() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/pool-exhaustion-after-deploy");
        let original = Scenario::load(&dir).unwrap();
        let now: Timestamp = "2027-03-01T10:20:30.5Z".parse().unwrap();
        let moved = original.beginning_at(now).unwrap();
        assert_eq!(moved.spec.start_ms, now.as_millisecond());
        assert_eq!(
            moved.spec.start_ms - moved.spec.alarm_ms,
            original.spec.start_ms - original.spec.alarm_ms
        );
        assert_eq!(moved.id, original.id);
    }

    #[test]
    fn variants_of_the_case_study_are_read_and_expect_what_they_should() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/pool-exhaustion-after-deploy");
        let original = Scenario::load(&dir).unwrap();
        for seed in 0..8 {
            let variant = original.variant(seed).unwrap();
            let text = format!("{:?} {}", variant.expected, variant.text);
            assert!(!text.contains("checkout-api") && !text.contains("d-8K2LQ7XVN"), "{text}");
            assert_ne!(variant.spec.alarm_ms, original.spec.alarm_ms);
            let none = variant.expected.action == Some(super::super::ExpectedAction::None);
            assert_eq!(none, seed % 4 == 3);
            assert_eq!(format!("{:?}", variant.spec), format!("{:?}", original.variant(seed).unwrap().spec));
        }
    }
}
