use midwatch_mcp::Window;
use midwatch_policy::SignedDuration;

use super::*;
use crate::{
    events::Event,
    patterns::{mine, pattern, rank},
};

fn at(seconds: i64) -> Timestamp {
    let zero: Timestamp = "2026-11-21T02:00:00Z".parse().unwrap();
    zero.checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

fn span() -> Span {
    Span { now: Window { from: at(0), to: at(1800) }, before: Window { from: at(-1800), to: at(0) } }
}

fn every(step: usize, from: i64, to: i64, message: &str) -> Vec<Event> {
    let times = (from..to).step_by(step);
    times.map(|s| Event::new(at(s), "a", message)).collect()
}

fn report(mut now: Vec<Event>, before: &[Event]) -> (Vec<Pattern>, Vec<Group>) {
    now.sort_by_key(|event| event.at);
    let mut found = mine(&crate::scope::Source::own("/app"), &now, before, false);
    rank(&mut found, span());
    let redactor = midwatch_policy::Redactor::default();
    let mut patterns: Vec<Pattern> = found.iter().map(|one| pattern(&redactor, one, span(), &[]).0).collect();
    adjust(&mut patterns, found.iter().map(|one| one.chance(span())).collect());
    let groups = group(&found, &mut patterns, span());
    (patterns, groups)
}

fn template<'p>(patterns: &'p [Pattern], reference: &str) -> &'p str {
    &patterns.iter().find(|p| p.reference == reference).unwrap().template
}

#[test]
fn what_rose_together_is_one_group_with_the_earliest_first() {
    let mut now = every(4, 600, 1500, "ERROR pool of the store is exhausted");
    now.extend(every(3, 660, 1500, "ERROR checkout could not be completed"));
    // Noise that was always there, and a burst of something else much later.
    now.extend(every(30, 0, 1800, "ERROR card was declined by the bank"));
    now.extend(every(2, 1700, 1740, "WARN cache is being rebuilt"));
    let noise = every(30, -1800, 0, "ERROR card was declined by the bank");
    let (patterns, groups) = report(now, &noise);
    assert_eq!(groups.len(), 2, "{groups:?}");
    let names: Vec<&str> = groups[0].patterns.iter().map(|r| template(&patterns, r)).collect();
    assert_eq!(names, ["pool of the store is exhausted", "checkout could not be completed"]);
    assert_eq!((groups[0].onset.0, groups[0].count), (at(600), 225 + 280));
    assert_eq!(groups[0].status, Status::Ceased);
    assert!(groups[0].correlation > 0.5);
    assert_eq!(template(&patterns, &groups[1].patterns[0]), "cache is being rebuilt");
    let card = patterns.iter().find(|p| p.template.starts_with("card")).unwrap();
    assert_eq!(card.group, None);
}

#[test]
fn where_time_does_not_tell_severity_does() {
    let mut now = every(5, 600, 1800, "WARN request was retried by the client");
    now.extend(every(5, 602, 1800, "ERROR StoreException: the store is gone"));
    let (patterns, groups) = report(now, &[]);
    assert_eq!(groups.len(), 1, "{groups:?}");
    assert!(template(&patterns, &groups[0].patterns[0]).starts_with("StoreException"), "{groups:?}");
    assert_eq!(groups[0].status, Status::Ongoing);
}

#[test]
fn chances_are_corrected_for_how_many_were_compared() {
    let (mut patterns, _) = report(every(60, 0, 1800, "ERROR the store is gone"), &[]);
    let chance = patterns[0].chance;
    assert!(chance < 1e-6);
    patterns[0].chance = 0.004;
    adjust(&mut patterns, vec![0.5, 0.004, 0.9, 1.0, 0.02]);
    assert!((patterns[0].chance_adjusted - 0.02).abs() < 1e-9, "{}", patterns[0].chance_adjusted);
    // A greater chance never comes out smaller than a smaller one did.
    patterns[0].chance = 0.02;
    adjust(&mut patterns, vec![0.5, 0.004, 0.9, 1.0, 0.02]);
    assert!((patterns[0].chance_adjusted - 0.08).abs() < 1e-9, "{}", patterns[0].chance_adjusted);
}
