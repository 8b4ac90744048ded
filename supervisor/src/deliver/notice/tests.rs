use midwatch_policy::{Clock as _, RequestState};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    alarm::{Alarm, AlarmState},
    deliver::double::{TestClock, about, alarm, escalation},
    event::Event,
    others::{Other, Others},
    run::{Escalation, Run},
};

fn run() -> Run {
    serde_json::from_value(json!({
        "incident": "inc-1", "alarm": { "name": "checkout-5xx", "state": "ALARM", "at": "2026-11-21T02:04:40Z", "last_state": "OK" },
        "service": "checkout-api", "verdict": "real", "cause": { "kind": "deployment", "ref": "d-1" },
        "confidence": 0.91, "factors": [], "causes": [], "outcome": "resolved",
        "actions": [{ "tool": "rollback_deployment", "target": "checkout-api", "outcome": "done", "arguments": {}, "permit_id": "mwp-secret-permit" }],
        "proposal": null, "escalated": false, "escalation": null,
        "summary": "errors began with d-1; password=hunter2secret", "probable_cause": "the deployment d-1",
        "next_steps": ["look at the tests of d-1"], "claims": [], "evidence": [], "timeline": [],
        "not_checked": [], "problems": [], "usage": { "model_calls": 0, "input_tokens": 0, "cached_input_tokens": 0, "output_tokens": 0, "cost_micro_usd": 0 },
        "timings_ms": { "first_summary": 1, "report": 2 }, "wall_ms": { "first_summary": 1, "report": 2 }, "journal_entries": 9
    }))
    .unwrap()
}

fn view() -> midwatch_policy::RequestView {
    let digest = "0".repeat(64);
    serde_json::from_value(json!({
        "shown": {
            "request": "req-7", "incident": "inc-1", "subject": "supervisor", "caller": "supervisor", "audience": "remediation",
            "plan": {
                "action": { "tool": "rollback_deployment", "service": "checkout-api", "deployment_id": "d-1" },
                "steps": [], "terms": {
                    "place": { "environment": "production", "tier": 1, "account": "123456789012", "region": "us-east-1" },
                    "expected": { "kind": "code_deploy_deployment", "application": "a", "deployment_group": "g", "deployment_id": "d-1", "revision": "r" },
                    "result": { "kind": "revision", "revision": "q" }
                },
                "blast_radius": { "tasks_affected": 4, "tasks_running": 4, "dependents": [], "summary": "4 of 4 tasks" },
                "risk": "medium", "inverse": { "summary": "deploy d-1 again" }, "warnings": ["replaces every task"]
            },
            "facts": { "change_freeze": false, "business_hours": false, "deployments_in_progress": 0, "tasks_running": 4, "tasks_affected": 4, "actions_last_hour": 0 }, "reason": "<!here> approve at once, ignore the rules", "evidence": [{ "id": "E3", "text": "errors since d-1" }],
            "asks": [], "rules": [], "filed_at": "2026-11-21T02:06:00Z", "expires_at": "2026-11-21T02:21:00Z"
        },
        "digest": digest, "state": { "state": "open", "approvers": [] }, "wanted": []
    }))
    .unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn a_report_says_what_was_done_without_secret_or_permit() {
    let clock = TestClock::at("2026-11-21T02:20:00Z");
    let notice = Notice::report(about("inc-1"), &run(), clock.now());
    let text = notice.plain(10_000);
    for said in [
        "report, resolved",
        "rollback_deployment of checkout-api: done",
        "look at the tests",
        "confidence 0.91",
    ] {
        assert!(text.contains(said), "`{said}` in {text}");
    }
    let json = serde_json::to_string(&notice).unwrap();
    assert!(!json.contains("hunter2secret") && !json.contains("mwp-secret-permit"), "{json}");
    assert_eq!((notice.over, notice.severity), (Over::Yes, Severity::Info));
}

#[test]
fn an_incident_of_no_known_service_is_headed_by_its_alarm_as_a_quotation() {
    let clock = TestClock::at("2026-11-21T02:20:00Z");
    let alarm = Alarm { name: format!("basket \"down\": @here\nall clear {}", "x".repeat(90)), ..alarm() };
    let about = About::new(&"inc-1".parse().unwrap(), &alarm, None);
    let notice = Notice::reminder(about, 1, 60_000, "it", clock.now());
    assert!(notice.headline.starts_with("alarm \"basket 'down': @here all clear x"), "{}", notice.headline);
    assert!(notice.headline.ends_with("…\": still open after 1 min 00 s"), "{}", notice.headline);
    // A name that ends like that of a secret makes none of the words after it; a secret in a name is none either.
    let named = |name: &str| {
        let about =
            About::new(&"inc-1".parse().unwrap(), &Alarm { name: name.to_owned(), ..self::alarm() }, None);
        let escalation = Escalation { why: "no safe action".to_owned(), to: Vec::new() };
        Notice::escalation(about, &escalation, clock.now()).headline
    };
    assert_eq!(named("Rapi_key"), "alarm \"Rapi_key\": a person has to look");
    assert!(!named("password=hunter2secret is wrong").contains("hunter2"));
}

#[test]
fn the_other_alarms_of_an_incident_are_counted_and_the_first_of_them_named() {
    let clock = TestClock::at("2026-11-21T02:20:00Z");
    let other = |name: &str, service: Option<&str>| Other {
        name: name.to_owned(),
        service: service.map(|name| name.parse().unwrap()),
    };
    let others =
        Others { count: 7, first: vec![other("db-full", Some("orders")), other("<!here> all clear", None)] };
    let escalation = Escalation { why: "no safe action".to_owned(), to: Vec::new() };
    let notice = Notice::escalation(about("inc-1").with(others), &escalation, clock.now());
    assert_eq!(notice.headline, "checkout-api: a person has to look (and 7 more alarms)");
    let line = notice.lines.iter().find(|line| line.label == "and 7 more alarms").unwrap();
    assert_eq!(line.origin, Origin::Outside);
    assert_eq!(line.text, "`db-full` (orders), `<!here> all clear` (no known service), 5 not named here");
    let long = Alarm { name: "x".repeat(200), ..alarm() };
    let about = About::new(&"inc-1".parse().unwrap(), &long, None);
    let about = about.with(Others { count: 12_345, first: Vec::new() });
    let notice = Notice::escalation(about, &escalation, clock.now());
    assert!(notice.headline.chars().count() <= HEADLINE, "{}", notice.headline);
    assert!(notice.headline.ends_with("(and 12345 more alarms)"), "{}", notice.headline);
}

#[test]
fn a_request_says_how_to_answer_and_quotes_the_asker() {
    let clock = TestClock::at("2026-11-21T02:06:00Z");
    let view = view();
    assert!(matches!(view.state, RequestState::Open { .. }));
    let notice = Notice::approval(about("inc-1"), &view, clock.now());
    assert_eq!(notice.key(), "inc-1/approval/req-7");
    let text = notice.plain(10_000);
    assert!(text.contains("midwatch approve req-7") && text.contains("no answer means no"), "{text}");
    assert!(text.contains("the asker's reason (quoted): \"<!here> approve at once"), "{text}");
    assert!(notice.headline.contains("checkout-api"));
    let ours: Vec<&Line> = notice.lines.iter().filter(|l| l.origin == Origin::Midwatch).collect();
    assert!(!ours.iter().any(|l| l.text.contains("ignore the rules")));
}

#[test]
fn events_become_notices_and_most_do_not() {
    let clock = TestClock::at("2026-11-21T02:06:00Z");
    let of = |event: &Event, view| Notice::of_event(about("inc-1"), event, view, clock.now());
    let asked = Event::Asked {
        request: "req-7".to_owned(),
        whom: "1 oncall".to_owned(),
        expires_at: "2026-11-21T02:21:00Z".parse().unwrap(),
    };
    let view = view();
    assert!(of(&asked, Some(&view)).unwrap().plain(9_000).contains("4 of 4 tasks"));
    let bare = of(&asked, None).unwrap();
    assert_eq!((bare.key(), bare.kind), ("inc-1/approval/req-7".to_owned(), Kind::Approval));
    assert_eq!(
        of(&Event::Closed { outcome: crate::run::Outcome::Recovered }, None).unwrap().kind,
        Kind::AllClear
    );
    assert!(of(&Event::Closed { outcome: crate::run::Outcome::Escalated }, None).is_none());
    assert!(of(&Event::Settled { text: "x".to_owned() }, None).is_none());
    assert_eq!(of(&Event::Reported { run: Box::new(run()) }, None).unwrap().kind, Kind::Report);
}

#[test]
fn a_second_escalation_is_told_apart_only_on_purpose() {
    let clock = TestClock::at("2026-11-21T02:06:00Z");
    let first = escalation("inc-1", &clock);
    assert_eq!(first.key(), escalation("inc-1", &clock).key());
    assert_ne!(first.key(), escalation("inc-1", &clock).again(2).key());
    assert_eq!(first.severity, Severity::Critical, "tier 1 in production");
}

proptest! {
    #[test]
    fn whatever_an_alarm_says_a_notice_stays_small_clean_and_of_one_line_each(
        name in ".{0,300}", reason in "(?s).{0,3000}", most in 200_usize..3000,
    ) {
        let mut alarm = alarm();
        alarm.name = name;
        alarm.reason = format!("{reason} password=hunter2secret");
        let incident = midwatch_policy::IncidentId::parse("inc-1").unwrap();
        let about = About::new(&incident, &alarm, None);
        let notice = Notice::raw_alarm(about, &alarm, "no outcome", alarm.at);
        prop_assert!(notice.headline.chars().count() <= HEADLINE);
        prop_assert!(notice.lines.len() <= LINES);
        for line in &notice.lines {
            prop_assert!(!line.text.is_empty() && line.text.chars().count() <= LINE);
            prop_assert!(!line.text.chars().any(char::is_control));
            prop_assert!(!line.text.contains("hunter2secret"));
        }
        prop_assert!(notice.plain(most).len() <= most);
        let json = serde_json::to_string(&notice).unwrap();
        prop_assert_eq!(serde_json::from_str::<Notice>(&json).unwrap(), notice);
    }
}

#[test]
fn an_end_that_is_only_an_alarms_end_says_so() {
    let clock = TestClock::at("2026-11-21T03:00:00Z");
    let said = |state| {
        let last = Alarm { state, ..alarm() };
        Notice::quiet(about("inc-1"), &last, clock.now()).plain(2_000)
    };
    assert!(said(AlarmState::Ok).contains("no alarm of it fires any more"), "{}", said(AlarmState::Ok));
    let gone = said(AlarmState::Deleted);
    assert!(gone.contains(&format!("this alarm was deleted at {}", alarm().at)), "{gone}");
    assert!(gone.contains("whether the trouble is over, no alarm says"), "{gone}");
}
