use proptest::prelude::*;

use super::*;
use crate::fixture::at;

fn breaker() -> Breaker {
    let settings = BreakerSettings {
        min_calls: 4,
        slow_ms: 1_000,
        spend_micro_usd: 10_000,
        ..BreakerSettings::default()
    };
    Breaker::new("bedrock/m", settings)
}

fn call(breaker: &mut Breaker, time: &str, seen: Seen, cost: u64) -> Option<Transition> {
    let leave = breaker.admit(at(time)).0.unwrap();
    breaker.report(at(time), leave, seen, cost)
}

#[test]
fn errors_open_it_and_probes_close_it() {
    let mut it = breaker();
    for _ in 0..2 {
        assert_eq!(call(&mut it, "02:00", Seen::Answered(5), 1), None);
    }
    assert_eq!(call(&mut it, "02:00:10", Seen::Failed, 0), None);
    let opened = call(&mut it, "02:00:20", Seen::Failed, 0).unwrap();
    assert_eq!((opened.from, opened.to), (Phase::Closed, Phase::Open));
    assert_eq!(opened.why, "2 of 4 calls failed within 60 s");
    let blocked = it.admit(at("02:01:19")).0.unwrap_err();
    assert_eq!(blocked.until, Some(at("02:01:20")));
    // Its time is up: two probes and no third.
    let (first, changed) = it.admit(at("02:01:20"));
    assert_eq!(changed.unwrap().to, Phase::HalfOpen);
    let second = it.admit(at("02:01:21")).0.unwrap();
    assert!(it.admit(at("02:01:22")).0.is_err());
    assert_eq!(it.report(at("02:01:23"), first.unwrap(), Seen::Answered(5), 1), None);
    let closed = it.report(at("02:01:24"), second, Seen::Answered(5), 1).unwrap();
    assert_eq!(closed.to, Phase::Closed);
}

#[test]
fn a_failed_probe_opens_it_for_twice_as_long() {
    let mut it = breaker();
    for _ in 0..4 {
        call(&mut it, "02:00", Seen::Failed, 0);
    }
    assert_eq!(call(&mut it, "02:01", Seen::Failed, 0).unwrap().why, "a probe failed");
    assert_eq!(it.admit(at("02:02:59")).0.unwrap_err().until, Some(at("02:03")));
    // A probe that says nothing gives its place to another.
    assert_eq!(call(&mut it, "02:03", Seen::Nothing, 0), None);
    assert_eq!(call(&mut it, "02:03", Seen::Answered(1), 0), None);
    assert_eq!(call(&mut it, "02:03", Seen::Answered(1), 0).unwrap().to, Phase::Closed);
}

#[test]
fn slowness_and_spend_open_it_and_old_calls_do_not_count() {
    let mut it = breaker();
    for _ in 0..3 {
        assert_eq!(call(&mut it, "02:00", Seen::Answered(2_000), 1), None);
    }
    assert_eq!(
        call(&mut it, "02:00", Seen::Answered(2_000), 1).unwrap().why,
        "4 of 4 calls took longer than 1000 ms"
    );
    let mut it = breaker();
    assert_eq!(call(&mut it, "02:00", Seen::Answered(1), 9_999), None);
    assert_eq!(call(&mut it, "02:02", Seen::Answered(1), 9_999), None);
    // What was cancelled has cost as well.
    assert_eq!(call(&mut it, "02:02:30", Seen::Nothing, 2).unwrap().why, "10001 micro-dollars within 60 s");
}

#[test]
fn people_open_and_close_it_and_an_earlier_call_changes_nothing() {
    let mut it = breaker();
    let before = it.admit(at("02:00")).0.unwrap();
    assert_eq!(it.hold_open(at("02:00"), "first-on-call").unwrap().why, "opened by first-on-call");
    assert_eq!(it.hold_open(at("02:00"), "first-on-call"), None);
    assert_eq!(it.admit(at("09:00")).0.unwrap_err().until, None);
    assert_eq!(it.report(at("02:01"), before, Seen::Failed, 99_999), None);
    assert_eq!(it.close(at("09:01"), "first-on-call").unwrap().to, Phase::Closed);
    assert_eq!(it.close(at("09:01"), "first-on-call"), None);
    assert!(it.admit(at("09:01")).0.is_ok());
}

proptest! {
    #[test]
    fn an_open_one_lets_nothing_through_and_a_half_open_one_its_probes(
        steps in prop::collection::vec((0i64..40, 0u8..6, 0u64..4_000), 1..200)
    ) {
        let mut it = breaker();
        let mut now = at("02:00");
        let mut out: Vec<(Leave, u64)> = Vec::new();
        let mut phase = Phase::Closed;
        let check = |changed: Option<Transition>, phase: &mut Phase| {
            if let Some(changed) = changed {
                assert_eq!(changed.from, *phase, "transitions join up");
                *phase = changed.to;
            }
        };
        for (seconds, what, cost) in steps {
            now += SignedDuration::from_secs(seconds);
            match what {
                0..=2 => {
                    let (leave, changed) = it.admit(now);
                    check(changed, &mut phase);
                    match it.phase() {
                        Phase::Open => prop_assert!(leave.is_err()),
                        Phase::Closed => prop_assert!(leave.is_ok()),
                        Phase::HalfOpen => {}
                    }
                    out.extend(leave.map(|l| (l, it.round)));
                    let probing = out.iter().filter(|(l, round)| l.is_probe && *round == it.round).count();
                    prop_assert!(probing <= 2);
                }
                _ => {
                    if let Some((leave, _)) = out.pop() {
                        let seen = [Seen::Failed, Seen::Answered(5), Seen::Nothing][usize::from(what - 3)];
                        let changed = it.report(now, leave, seen, cost);
                        check(changed, &mut phase);
                    }
                }
            }
            prop_assert_eq!(phase, it.phase());
        }
    }
}
