use std::num::NonZeroU32;

use super::*;
use crate::fixture::at;

fn gate(requests: u32, tokens: Option<u32>, max_wait_seconds: u32) -> Gate {
    let limits = Limits {
        requests_per_minute: NonZeroU32::new(requests).unwrap(),
        tokens_per_minute: tokens.and_then(NonZeroU32::new),
        max_wait_seconds,
    };
    let settings = BreakerSettings { min_calls: 1, ..BreakerSettings::default() };
    Gate::new("bedrock us-east-1 m", Arc::default(), settings, limits)
}

#[tokio::test]
async fn waiting_for_quota_is_counted_and_bounded() {
    // One a second, and a burst of sixty.
    let it = gate(60, None, 2);
    for _ in 0..60 {
        assert_eq!(it.turn(1).await, Ok(Duration::ZERO));
    }
    let waited = it.turn(1).await.unwrap();
    assert!(waited > Duration::ZERO && waited <= Duration::from_secs(1), "{waited:?}");
    assert_eq!(it.counts().waited, 1);
    // Two a minute: the third would wait for half a minute.
    let it = gate(2, None, 2);
    for _ in 0..2 {
        assert_eq!(it.turn(1).await, Ok(Duration::ZERO));
    }
    assert_eq!(it.turn(1).await, Err(Closed::Quota(Duration::from_secs(2))));
}

#[tokio::test]
async fn tokens_have_a_quota_of_their_own() {
    let it = gate(1_000, Some(600), 2);
    assert_eq!(it.turn(500).await, Ok(Duration::ZERO));
    assert_eq!(it.turn(500).await, Err(Closed::Quota(Duration::from_secs(2))));
    // More than a minute's quota is asked for as a minute's.
    let it = gate(1_000, Some(600), 2);
    assert_eq!(it.turn(9_000).await, Ok(Duration::ZERO));
}

#[test]
fn the_switch_comes_before_the_breaker_and_changes_are_counted() {
    let switch = Arc::new(ModelSwitch::default());
    let settings = BreakerSettings { min_calls: 1, ..BreakerSettings::default() };
    let it = Gate::new("m", Arc::clone(&switch), settings, Limits::default());
    let leave = it.admit(at("02:00")).0.unwrap();
    assert_eq!(leave.report(at("02:00"), seen(ModelErrorKind::Unavailable), 0).unwrap().to, Phase::Open);
    assert!(matches!(it.admit(at("02:00")).0, Err(Closed::Breaker { .. })));
    switch.stop("drill");
    assert_eq!(it.admit(at("02:00")).0.unwrap_err(), Closed::Switch("drill".to_owned()));
    switch.resume();
    assert_eq!(it.close(at("02:00"), "first-on-call").unwrap().to, Phase::Closed);
    drop(it.admit(at("02:00")).0.unwrap());
    let counts = it.counts();
    assert_eq!((counts.admitted, counts.refused, counts.transitions), (2, 2, 2));
    assert_eq!(seen(ModelErrorKind::Validation), Seen::Nothing);
}

#[test]
fn a_person_holds_a_breaker_open_and_closes_it_by_a_file() {
    let file = std::env::temp_dir().join(format!("midwatch-gate-orders-{}", std::process::id()));
    let _ = std::fs::remove_file(&file);
    let gates = Gates::new(ModelSwitch::default(), Orders::new(Some(file.clone())));
    let it = gates.want(&mut Wanted::default(), "us-east-1 m", BreakerSettings::default(), Limits::default());
    assert!(it.admit(at("02:00")).0.is_ok());
    let order = |to, why: Option<&str>| {
        let (gates, by) = ("us-east-1".to_owned(), "first-on-call".to_owned());
        Order { at: at("02:00"), gates, to, by, why: why.map(str::to_owned) }.append(&file).unwrap();
    };
    order(Ordered::Open, Some("answers are wrong"));
    let (closed, changed) = it.admit(at("02:01"));
    assert_eq!(changed.unwrap().to, Phase::Open);
    let why = "opened by first-on-call (answers are wrong)".to_owned();
    assert_eq!(closed.unwrap_err(), Closed::Breaker { why, until: None });
    // It is carried out once, and stays.
    assert_eq!(it.admit(at("06:00")).1, None);
    order(Ordered::Close, None);
    let (leave, changed) = it.admit(at("06:00"));
    assert_eq!((leave.is_ok(), changed.unwrap().why.as_str()), (true, "closed by first-on-call"));
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn an_order_in_a_new_file_is_carried_out_and_one_seen_by_a_scrape_is_told_by_the_next_call() {
    let file = std::env::temp_dir().join(format!("midwatch-gate-rotated-{}", std::process::id()));
    let _ = std::fs::remove_file(&file);
    let gates = Gates::new(ModelSwitch::default(), Orders::new(Some(file.clone())));
    let it = gates.want(&mut Wanted::default(), "us-east-1 m", BreakerSettings::default(), Limits::default());
    let order = |time, to| {
        let (gates, by) = ("us-east-1".to_owned(), "first-on-call".to_owned());
        Order { at: at(time), gates, to, by, why: None }.append(&file).unwrap();
    };
    order("02:00", Ordered::Open);
    assert_eq!(it.admit(at("02:00")).1.unwrap().to, Phase::Open);
    // Rotated away, it stays as ordered; the first line of the new file is a new order.
    std::fs::remove_file(&file).unwrap();
    assert_eq!((it.admit(at("02:01")).1, it.phase()), (None, Phase::Open));
    order("02:02", Ordered::Close);
    it.obey(at("02:02"));
    assert_eq!(it.phase(), Phase::Closed);
    assert_eq!(it.admit(at("02:03")).1.unwrap().why, "closed by first-on-call");
    assert_eq!(it.admit(at("02:04")).1, None);
    std::fs::remove_file(&file).unwrap();
}
