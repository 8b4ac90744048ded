use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).unwrap()
}

fn link(channel: &str, ack: Option<u64>) -> Link {
    Link { channel: channel.to_owned(), ack_within: ack.map(Duration::from_secs), attempts: 3 }
}

fn sent(delivery: Delivery, now: Timestamp) -> (Delivery, Try) {
    let (delivery, effects) = delivery.step(Input::Tick, now);
    match effects.as_slice() {
        [Effect::Send { attempt, .. }] => (delivery, *attempt),
        other => panic!("expected to send, got {other:?} in {delivery:?}"),
    }
}

fn not_now(attempt: Try, retry_after: Option<u64>) -> Input {
    Input::NotNow {
        attempt,
        perhaps: Perhaps::HasNot,
        retry_after: retry_after.map(Duration::from_secs),
        jitter: 1000,
        problem: "HTTP 500".to_owned(),
    }
}

#[test]
fn nobody_acknowledges_so_the_next_is_told_and_in_the_end_it_has_failed() {
    let delivery = Delivery::begin(vec![link("pager", Some(600)), link("lead", Some(300))], at(0));
    let (delivery, attempt) = sent(delivery, at(0));
    let (delivery, _) = delivery.step(Input::Taken(attempt), at(1));
    let (delivery, effects) = delivery.step(Input::Tick, at(600));
    assert_eq!(effects, [], "its time is not over");
    let (delivery, _) = delivery.step(Input::Tick, at(601));
    let (delivery, attempt) = sent(delivery, at(601));
    assert_eq!(delivery.channel(), "lead");
    let (delivery, _) = delivery.step(Input::Taken(attempt), at(602));
    let (delivery, effects) = delivery.step(Input::Tick, at(902));
    assert!(matches!(effects.as_slice(), [Effect::Left { .. }, Effect::Exhausted { .. }]));
    assert_eq!(delivery.problem(), Some("lead: nobody acknowledged within 5 min"));
    assert_eq!(delivery.told().len(), 2);
    let (delivery, _) = delivery.step(Input::Acknowledge { by: "first-on-call".to_owned() }, at(903));
    assert_eq!(delivery.phase().as_str(), "acknowledged");
}

#[test]
fn attempts_are_spaced_and_bounded_and_then_the_next_link_is_tried_at_once() {
    let mut delivery = Delivery::begin(vec![link("pager", None), link("topic", None)], at(0));
    for second in [0, 2] {
        let (sending, attempt) = sent(delivery, at(second));
        delivery = sending.step(not_now(attempt, None), at(second)).0;
    }
    let (waiting, effects) = delivery.step(Input::Tick, at(5));
    assert_eq!(effects, [], "the second wait is four seconds");
    let (delivery, attempt) = sent(waiting, at(6));
    let (delivery, effects) = delivery.step(not_now(attempt, None), at(6));
    assert!(matches!(effects.as_slice(), [Effect::Left { channel, .. }] if channel == "pager"));
    let (delivery, attempt) = sent(delivery, at(6));
    assert_eq!((delivery.channel(), attempt.failed), ("topic", 0));
}

#[test]
fn a_channel_that_asks_for_much_time_is_left_unless_it_is_the_last() {
    let delivery = Delivery::begin(vec![link("pager", None), link("topic", None)], at(0));
    let (delivery, attempt) = sent(delivery, at(0));
    let (delivery, _) = delivery.step(not_now(attempt, Some(300)), at(0));
    let (delivery, attempt) = sent(delivery, at(0));
    assert_eq!(delivery.channel(), "topic");
    let (delivery, _) = delivery.step(not_now(attempt, Some(300)), at(0));
    let (delivery, effects) = delivery.step(Input::Tick, at(299));
    assert_eq!(effects, [], "it asked for five minutes");
    sent(delivery, at(300));
}

#[test]
fn a_crash_while_sending_sends_again_and_a_late_answer_of_the_first_is_only_noted() {
    let (delivery, attempt) = sent(Delivery::begin(vec![link("pager", None)], at(0)), at(0));
    let (delivery, _) = delivery.step(Input::Restarted, at(30));
    let (delivery, again) = sent(delivery, at(30));
    assert_eq!(attempt, again, "the same attempt, so the same key");
    let (delivery, _) = delivery.step(Input::Cancel, at(31));
    let (delivery, effects) = delivery.step(Input::Taken(again), at(32));
    assert_eq!((delivery.phase().as_str(), effects), ("cancelled", vec![]));
    assert!(delivery.told().contains("pager"), "it has to hear the all-clear");
}

#[test]
fn a_clock_that_goes_back_does_not_make_anybody_wait_longer() {
    let (delivery, attempt) = sent(Delivery::begin(vec![link("a", Some(60)), link("b", None)], at(0)), at(0));
    let (delivery, _) = delivery.step(Input::Taken(attempt), at(0));
    let (delivery, _) = delivery.step(Input::Tick, at(-86_400));
    let (delivery, _) = delivery.step(Input::Tick, at(-86_400 + 60));
    assert_eq!(sent(delivery, at(-86_340)).0.channel(), "b");
    let (delivery, attempt) = sent(Delivery::begin(vec![link("a", None)], at(0)), at(0));
    let (delivery, _) = delivery.step(not_now(attempt, None), at(0));
    let (delivery, _) = delivery.step(Input::Tick, at(-10_000));
    sent(delivery, at(-9_998));
}

/// What a channel says to an attempt.
#[derive(Debug, Clone, Copy)]
enum Says {
    Yes,
    NotNow(u16),
    Never,
    Crash,
    Nothing,
}

/// One thing that happens.
#[derive(Debug, Clone)]
enum Happens {
    Passes(i64),
    Says(Says),
    Acknowledged,
    Cancelled,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => (-5_000_i64..5_000).prop_map(Happens::Passes),
        1 => (0..1_i64).prop_map(|_| Happens::Passes(i64::from(i32::MAX))),
        6 => prop_oneof![
            2 => Just(Says::Yes),
            4 => (0..900_u16).prop_map(Says::NotNow),
            1 => Just(Says::Never),
            1 => Just(Says::Crash),
            1 => Just(Says::Nothing),
        ]
        .prop_map(Happens::Says),
        1 => Just(Happens::Acknowledged),
        1 => Just(Happens::Cancelled),
    ]
}

fn chain() -> impl Strategy<Value = Vec<Link>> {
    let link = (prop::option::of(1_u64..900), 1_u32..6).prop_map(|(ack, attempts)| Link {
        channel: String::new(),
        ack_within: ack.map(Duration::from_secs),
        attempts,
    });
    prop::collection::vec(link, 0..5).prop_map(|mut links| {
        for (n, link) in links.iter_mut().enumerate() {
            link.channel = format!("c{n}");
        }
        links
    })
}

proptest! {
    /// After anything at all, a notice that has not ended still ends once its channels answer and
    /// time passes; nothing is sent after it has ended; an end stays one.
    #[test]
    fn no_notice_is_lost(links in chain(), story in prop::collection::vec(happens(), 0..60), last in prop::option::of(0..2_u8)) {
        let mut now = 0_i64;
        let mut delivery = Delivery::begin(links.clone(), at(0));
        let mut under_way: Option<Try> = None;
        let mut tries = 0_u32;
        for event in story {
            let before = delivery.clone();
            let input = match event {
                Happens::Passes(seconds) => {
                    now = (now + seconds).clamp(-4_000_000_000, 4_000_000_000);
                    Input::Tick
                }
                Happens::Acknowledged => Input::Acknowledge { by: "somebody".to_owned() },
                Happens::Cancelled => Input::Cancel,
                Happens::Says(says) => match (under_way, says) {
                    (None, _) | (_, Says::Nothing) => Input::Tick,
                    (Some(_), Says::Crash) => { under_way = None; Input::Restarted }
                    (Some(attempt), Says::Yes) => { under_way = None; Input::Taken(attempt) }
                    (Some(attempt), Says::Never) => { under_way = None; Input::Never { attempt, problem: "no".to_owned() } }
                    (Some(attempt), Says::NotNow(wait)) => { under_way = None; not_now(attempt, Some(u64::from(wait))) }
                },
            };
            let acknowledges = matches!(input, Input::Acknowledge { .. });
            let (next, effects) = delivery.step(input, at(now));
            for effect in &effects {
                if let Effect::Send { channel, attempt } = effect {
                    prop_assert!(!before.phase().has_ended(), "sent after {:?}", before.phase());
                    prop_assert_eq!(&links[attempt.link].channel, channel);
                    prop_assert!(attempt.failed < links[attempt.link].attempts);
                    prop_assert!(under_way.is_none(), "sent twice at once");
                    under_way = Some(*attempt);
                    tries += 1;
                }
            }
            if before.phase().has_ended() && !acknowledges {
                prop_assert_eq!(before.phase(), next.phase());
            }
            prop_assert!(!(matches!(before.phase(), Phase::Cancelled) && next.phase().as_str() != "cancelled"));
            if let Some((due, wait)) = next.phase().due() {
                let ticked = next.clone().step(Input::Tick, at(now)).0;
                let ahead = ticked.phase().due().map_or(Duration::ZERO, |(due, _)| due.duration_since(at(now)).unsigned_abs());
                prop_assert!(due <= at(now) || ahead <= wait, "waits {ahead:?} of {wait:?}");
            }
            delivery = next;
        }
        // From here on the clock runs, and every channel answers in one way.
        for _ in 0..200 {
            if delivery.phase().has_ended() { break; }
            now += 901;
            let input = match (under_way.take(), last) {
                (None, _) => Input::Tick,
                (Some(attempt), Some(0)) => Input::Taken(attempt),
                (Some(attempt), Some(_)) => Input::Never { attempt, problem: "no".to_owned() },
                (Some(attempt), None) => not_now(attempt, None),
            };
            let (next, effects) = delivery.step(input, at(now));
            for effect in effects {
                if let Effect::Send { attempt, .. } = effect { under_way = Some(attempt); tries += 1; }
            }
            delivery = next;
        }
        prop_assert!(delivery.phase().has_ended(), "{delivery:?}");
        let delivered = matches!(delivery.phase(), Phase::Delivered);
        prop_assert!(!delivered || !delivery.told().is_empty());
        if let Phase::Failed { why } = delivery.phase() { prop_assert!(!why.is_empty()); }
        prop_assert!(tries <= 60 + links.iter().map(|l| l.attempts).sum::<u32>());
    }

    #[test]
    fn waits_grow_stay_bounded_and_are_spread(failed in 1_u32..100, jitter in 0_u16..2_000) {
        let wait = backoff(failed, jitter);
        prop_assert!(wait >= FIRST_WAIT / 2 && wait <= LONGEST_WAIT);
        prop_assert!(backoff(failed + 1, jitter) >= wait);
    }
}
