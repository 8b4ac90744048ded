use std::time::Duration;

use super::*;
use crate::deliver::{
    double::{TestClock, about, escalation, service},
    notice::Notice,
};

const EVERYTHING: Wanted =
    Wanted { services: None, tiers: None, severities: None, kinds: None, hours: Hours::Any };

fn route(name: &str, wanted: Wanted, also: bool) -> Route {
    let link = Link { channel: name.to_owned(), ack_within: Some(Duration::from_mins(5)), attempts: 3 };
    Route { name: name.to_owned(), wanted, also, links: vec![link] }
}

fn picked(routes: &Routes, notice: &Notice, calendar: &Calendar, at: &str) -> Vec<String> {
    routes.pick(notice, calendar, at.parse().unwrap()).iter().map(|r| r.name.clone()).collect()
}

#[test]
fn the_first_that_wants_it_takes_it_and_others_only_also() {
    let calendar = Calendar::parse(
        "[hours]\nzone='UTC'\ndays=['mon','tue','wed','thu','fri']\nfrom='09:00'\nto='17:00'",
    )
    .unwrap();
    let routes = Routes::new(vec![
        route("log", Wanted { kinds: Some(vec![Kind::Escalation]), ..EVERYTHING }, true),
        route(
            "day",
            Wanted { services: Some(vec!["checkout-*".to_owned()]), hours: Hours::Business, ..EVERYTHING },
            false,
        ),
        route("night", Wanted { tiers: Some(vec![0, 1]), hours: Hours::Off, ..EVERYTHING }, false),
        route("warnings", Wanted { severities: Some(vec![Severity::Warning]), ..EVERYTHING }, false),
        route("rest", EVERYTHING, false),
    ]);
    let clock = TestClock::at("2026-11-21T02:05:00Z");
    let page = escalation("inc-1", &clock);
    // A Friday at noon, and a Saturday night.
    assert_eq!(picked(&routes, &page, &calendar, "2026-11-20T12:00:00Z"), ["log", "day"]);
    assert_eq!(picked(&routes, &page, &calendar, "2026-11-21T02:00:00Z"), ["log", "night"]);
    let mut unknown = about("inc-2");
    unknown.service = None;
    let escalated = crate::run::Escalation { why: "x".to_owned(), to: Vec::new() };
    let notice = Notice::escalation(unknown, &escalated, page.at);
    assert_eq!(picked(&routes, &notice, &calendar, "2026-11-20T12:00:00Z"), ["log", "rest"]);
    let mut staging = about("inc-3");
    staging.service = Some(midwatch_policy::Service {
        environment: midwatch_policy::Environment::Staging,
        tier: 3.try_into().unwrap(),
        name: "other".parse().unwrap(),
        ..service()
    });
    let notice = Notice::escalation(staging, &escalated, page.at);
    assert_eq!(picked(&routes, &notice, &calendar, "2026-11-21T02:00:00Z"), ["log", "warnings"]);
}

#[test]
fn nobody_has_to_acknowledge_a_report() {
    let route = route("r", EVERYTHING, false);
    assert!(route.chain(Kind::Escalation)[0].ack_within.is_some());
    assert!(route.chain(Kind::Report)[0].ack_within.is_none());
}
