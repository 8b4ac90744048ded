use proptest::prelude::*;

use super::*;
use crate::{
    action::{Action, BlastRadius, Inverse, Risk},
    catalog::Environment,
    id::{AwsName, ServiceName},
    terms::{EndState, ExpectedState, Place, Terms},
};

fn shown() -> Shown {
    let name = |text: &str| AwsName::parse(text).unwrap();
    let filed_at: Timestamp = "2026-11-21T02:06:00Z".parse().unwrap();
    Shown {
        request: RequestId::parse("req-1").unwrap(),
        incident: IncidentId::parse("inc-1").unwrap(),
        subject: "supervisor".to_owned(),
        caller: CallerKind::Supervisor,
        audience: "remediation".to_owned(),
        plan: Plan {
            action: Action::RestartService { service: ServiceName::parse("a").unwrap() },
            steps: Vec::new(),
            terms: Terms {
                place: Place {
                    account: None,
                    region: None,
                    environment: Environment::Production,
                    tier: 1.try_into().unwrap(),
                },
                expected: ExpectedState::EcsDesiredCount {
                    cluster: name("c"),
                    ecs_service: name("a"),
                    desired_count: 2,
                },
                result: EndState::DesiredCount { desired_count: 2 },
            },
            blast_radius: BlastRadius {
                tasks_affected: 2,
                tasks_running: 2,
                dependents: Vec::new(),
                summary: "all".to_owned(),
            },
            risk: Risk::Medium,
            inverse: Inverse { summary: "none".to_owned(), action: None },
            warnings: Vec::new(),
        },
        facts: Attested {
            change_freeze: false,
            business_hours: false,
            deployments_in_progress: 0,
            tasks_running: 2,
            tasks_affected: 2,
            actions_last_hour: 0,
        },
        reason: "r".to_owned(),
        evidence: Vec::new(),
        claimed: None,
        runbook: None,
        contracts: Vec::new(),
        asks: vec![Ask { role: "oncall".to_owned(), people: 2 }],
        rules: vec!["x".to_owned()],
        filed_at,
        expires_at: filed_at.checked_add(jiff::SignedDuration::from_mins(10)).unwrap(),
    }
}

fn at(shown: &Shown, seconds: i64) -> Timestamp {
    shown.filed_at.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap()
}

fn yes(shown: &Shown, name: &str, role: &str) -> RequestEvent {
    RequestEvent::Approve {
        approver: Approver { name: name.to_owned(), role: role.to_owned(), channel: "cli".to_owned() },
        shown: shown.digest().unwrap(),
        permit: PermitId::parse("mwp-1").unwrap(),
    }
}

#[test]
fn all_who_have_to_approve_once_each() {
    let shown = shown();
    let filed = RequestState::filed();
    let first = filed.step(&shown, &yes(&shown, "first-on-call", "oncall"), at(&shown, 1)).unwrap();
    assert!(first.is_open());
    let again = first.step(&shown, &yes(&shown, " FIRST-on-call ", "oncall"), at(&shown, 2));
    assert!(matches!(again, Err(StepError::Twice(_))), "{again:?}");
    let second = first.step(&shown, &yes(&shown, "second-on-call", "oncall"), at(&shown, 3)).unwrap();
    let RequestState::Approved { approvers, .. } = &second else { panic!("{second:?}") };
    assert_eq!(approvers.len(), 2);
    assert!(second.step(&shown, &yes(&shown, "third-on-call", "oncall"), at(&shown, 4)).is_err());
}

#[test]
fn what_does_not_count() {
    let shown = shown();
    let filed = RequestState::filed();
    let tried = |event: &RequestEvent, s| filed.step(&shown, event, at(&shown, s)).unwrap_err();
    assert!(matches!(tried(&yes(&shown, "Supervisor", "oncall"), 1), StepError::SelfApproval(_)));
    assert!(matches!(tried(&yes(&shown, " ", "oncall"), 1), StepError::Nameless));
    assert!(matches!(tried(&yes(&shown, "p", "owner"), 1), StepError::Role { .. }));
    assert!(matches!(tried(&yes(&shown, "p", "oncall"), 600), StepError::Late(_)));
    let other = Shown { reason: "another".to_owned(), ..shown.clone() };
    assert!(matches!(tried(&yes(&other, "p", "oncall"), 1), StepError::OtherShown));
    let late = filed.step(&shown, &RequestEvent::Tick, at(&shown, 600)).unwrap();
    assert_eq!(late, RequestState::Expired { at: shown.expires_at });
    assert_eq!(filed.step(&shown, &RequestEvent::Tick, at(&shown, 599)).unwrap(), filed);
}

#[test]
fn who_leaves_takes_their_approval_along() {
    let shown = shown();
    let leaves = |state: &RequestState, name: &str| {
        state.step(&shown, &RequestEvent::Leave { name: name.to_owned() }, at(&shown, 5)).unwrap()
    };
    let first = RequestState::filed().step(&shown, &yes(&shown, "a", "oncall"), at(&shown, 1)).unwrap();
    assert_eq!(leaves(&first, "a"), RequestState::filed());
    assert_eq!(leaves(&first, "b"), first);
    let both = first.step(&shown, &yes(&shown, "b", "oncall"), at(&shown, 2)).unwrap();
    assert_eq!(leaves(&both, "c"), both);
    let void = leaves(&both, "a");
    assert!(matches!(&void, RequestState::Withdrawn { why, .. } if why.contains("`a`")), "{void:?}");
    let used = both.step(&shown, &RequestEvent::Use { outcome: Outcome::Done }, at(&shown, 3)).unwrap();
    assert_eq!(leaves(&used, "a"), used);
}

/// A person took the incident over, or the permit back, while the server was acting.
#[test]
fn what_was_done_on_a_void_permit_is_said() {
    let shown = shown();
    let step = |state: &RequestState, event, s| state.step(&shown, &event, at(&shown, s));
    let first = step(&RequestState::filed(), yes(&shown, "a", "oncall"), 1).unwrap();
    let withdraw = || RequestEvent::Withdraw { why: "a took over the incident".to_owned() };
    let acted = || RequestEvent::Use { outcome: Outcome::Ambiguous };
    let open = step(&first, withdraw(), 2).unwrap();
    assert!(step(&open, acted(), 3).is_err(), "nothing was out yet");
    let both = step(&first, yes(&shown, "b", "oncall"), 2).unwrap();
    let (by, reason) = ("b".to_owned(), "wait".to_owned());
    for (event, why) in [
        (withdraw(), "withdrawn: a took over the incident"),
        (RequestEvent::Revoke { by, reason }, "`b` took it back: wait"),
        (RequestEvent::Leave { name: "a".to_owned() }, "withdrawn: `a` approved it"),
    ] {
        let void = step(&both, event, 3).unwrap();
        assert_eq!(void.approvers(), [], "nobody's approval counts");
        let used = step(&void, acted(), 4).unwrap();
        let said = used.acted_though_void().unwrap();
        assert!(said.why.starts_with(why) && said.since == at(&shown, 3), "{said:?}");
        assert_eq!((used.as_str(), used.approvers().len()), ("used", 2));
        assert!(step(&used, acted(), 5).is_err() && step(&used, withdraw(), 5).is_err());
    }
    let used = step(&both, acted(), 3).unwrap();
    assert_eq!(used.acted_though_void(), None);
}

/// Requests that were stored before it was kept which permit was out.
#[test]
fn states_as_they_were_written_before_are_read() {
    for text in [
        r#"{"state":"withdrawn","why":"x","at":"2026-11-21T02:06:00Z"}"#,
        r#"{"state":"revoked","permit":"mwp-1","by":"a","reason":"x","at":"2026-11-21T02:06:00Z"}"#,
        r#"{"state":"used","permit":"mwp-1","approvers":[],"outcome":"done","at":"2026-11-21T02:06:00Z"}"#,
    ] {
        let state: RequestState = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&state).unwrap(), text);
    }
}

fn any_event() -> impl Strategy<Value = (RequestEvent, i64)> {
    let shown = shown();
    let person = prop::sample::select(vec!["a", "b", "c", "supervisor", ""]);
    let role = prop::sample::select(vec!["oncall", "owner"]);
    let approve = (person, role, any::<bool>()).prop_map(move |(name, role, same)| {
        let other = Shown { reason: "another".to_owned(), ..shown.clone() };
        yes(if same { &shown } else { &other }, name, role)
    });
    let plain = prop::sample::select(vec![
        RequestEvent::Decline { by: "a".to_owned(), reason: "no".to_owned() },
        RequestEvent::Withdraw { why: "cleared".to_owned() },
        RequestEvent::Revoke { by: "a".to_owned(), reason: "no".to_owned() },
        RequestEvent::Use { outcome: Outcome::Done },
        RequestEvent::Leave { name: "a".to_owned() },
        RequestEvent::Leave { name: "b".to_owned() },
        RequestEvent::Tick,
    ]);
    (prop_oneof![3 => approve, 2 => plain], 0..700i64)
}

proptest! {
    /// Whatever happens in whatever order: a permit means two different people, neither of them the
    /// asker, in the role, in time, who saw this; and what has ended stays ended.
    #[test]
    fn no_history_gives_a_permit_that_was_not_approved(events in prop::collection::vec(any_event(), 0..40)) {
        let shown = shown();
        let digest = shown.digest().unwrap();
        let mut state = RequestState::filed();
        let mut said: Vec<String> = Vec::new();
        let (mut ended, mut permitted) = (false, false);
        for (event, seconds) in events {
            let Ok(next) = state.step(&shown, &event, at(&shown, seconds)) else { continue };
            if let RequestEvent::Approve { approver, shown: seen, .. } = &event {
                prop_assert!(!ended && seconds < 600 && *seen == digest && approver.role == "oncall");
                prop_assert!(approver.name != "supervisor" && !said.contains(&approver.name));
                said.push(approver.name.clone());
            }
            if let RequestEvent::Leave { name } = &event {
                said.retain(|who| who != name);
            }
            if matches!(next, RequestState::Approved { .. }) {
                prop_assert_eq!(said.len(), 2);
            }
            if ended && next != state {
                let acted = matches!(&event, RequestEvent::Use { .. });
                prop_assert!(acted && permitted && next.acted_though_void().is_some(), "what ended has changed");
            }
            permitted |= matches!(next, RequestState::Approved { .. });
            let used = matches!(next, RequestState::Used { .. });
            prop_assert!(!used || permitted, "used without a permit");
            ended = !matches!(next, RequestState::Open { .. } | RequestState::Approved { .. });
            state = next;
        }
    }
}
