//! The door: nothing is answered before it is durable, and nothing is lost.

use midwatch_mcp::SystemClock;
use midwatch_policy::{Clock as _, SignedDuration};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    alarm::{self, AlarmState},
    deliver::double::TestClock,
    intake::{
        board::{Decision, Grouping, How, News},
        inbox::{Noted, Row, Said},
        quiet::Quiet,
    },
};

fn alarm(name: &str, state: &str, second: u32) -> Alarm {
    let text = format!(r#"{{"name":"{name}","state":"{state}","at":"2026-11-21T02:00:{second:02}Z"}}"#);
    alarm::parse(&text).unwrap()
}

struct Stage {
    door: Door,
    stop: CancellationToken,
    effects: mpsc::Receiver<Effect>,
    porter: tokio::task::JoinHandle<()>,
}

async fn stage(inbox: Inbox, waiting: usize) -> Stage {
    stage_with(inbox, waiting, Orders::default()).await
}

async fn stage_with(inbox: Inbox, waiting: usize, orders: Orders) -> Stage {
    let (sender, effects) = mpsc::channel(64);
    let queue = Queue::new(1, waiting);
    let built = Door::build(inbox, orders, queue, Arc::new(SystemClock), sender).await;
    let (door, mut porter) = built.unwrap();
    let stop = CancellationToken::new();
    let told = stop.clone();
    let porter = tokio::spawn(async move { porter.run(&told).await });
    Stage { door, stop, effects, porter }
}

fn opened(rulings: &[Ruling]) -> IncidentId {
    match &rulings[0].decision {
        Decision::Opened { incident, .. } => incident.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("inbox.db");
    let mut first = stage(Inbox::open(&path).unwrap(), 10).await;
    let rulings = first.door.bring(vec![alarm("a", "firing", 0)], "t", Some("m1".into())).await.unwrap();
    let incident = opened(&rulings);
    assert_eq!(first.door.queue(|queue| queue.waiting()), 1);
    first.door.bring(vec![alarm("a", "firing", 9)], "t", None).await.unwrap();
    assert!(matches!(first.effects.recv().await.unwrap(), Effect::Opened { .. }));
    assert!(matches!(first.effects.recv().await.unwrap(), Effect::Tell { .. }));
    // The process is gone without a word.
    first.porter.abort();
    let inbox = Inbox::open(&path).unwrap();
    assert_eq!(inbox.unfinished().await.unwrap()[0].incident, incident);
    let second = stage(inbox, 10).await;
    let again = second.door.bring(vec![alarm("a", "firing", 0)], "t", Some("m1".into())).await.unwrap();
    assert_eq!(again[0].decision, Decision::Duplicate { incident: Some(incident) });
}

#[tokio::test]
async fn without_room_an_incident_is_refused_and_what_joins_one_is_not() {
    let stage = stage(Inbox::in_memory().unwrap(), 1).await;
    stage.door.knock(vec![alarm("a", "firing", 0)], "t", None).await.unwrap();
    let refused = stage.door.knock(vec![alarm("b", "firing", 1)], "t", None).await;
    assert_eq!(refused, Err(Refusal::Full));
    // What stands behind it in its message is remembered as well.
    let three = vec![alarm("b", "firing", 1), alarm("c", "firing", 1), alarm("d", "firing", 1)];
    assert_eq!(stage.door.knock(three, "t", None).await, Err(Refusal::Full));
    let later = SystemClock.now().checked_add(midwatch_policy::SignedDuration::from_mins(3)).unwrap();
    let mut left: Vec<_> = stage.door.left_out(later).into_iter().map(|(alarm, _)| alarm.name).collect();
    left.sort();
    assert_eq!(left, ["b", "c", "d"]);
    assert!(stage.door.knock(vec![alarm("a", "firing", 2)], "t", None).await.is_ok());
    // The same message again, once there is room: nothing of it is lost.
    let next = stage.door.queue(|queue| queue.next("2026-11-21T02:00:00Z".parse().unwrap())).unwrap();
    stage.door.finished(next.incident.clone(), None, None).await.unwrap();
    let both = vec![alarm("a", "firing", 2), alarm("b", "firing", 1)];
    let rulings = stage.door.knock(both, "t", None).await.unwrap();
    assert!(matches!(rulings[0].decision, Decision::Duplicate { .. }));
    assert!(matches!(rulings[1].decision, Decision::Opened { .. }));
}

#[tokio::test]
async fn what_waits_too_long_or_finds_the_door_full_is_remembered() {
    let (sender, _effects) = mpsc::channel(64);
    let inbox = Inbox::in_memory().unwrap();
    let (door, mut porter) =
        Door::build(inbox, Orders::default(), Queue::new(1, 10), Arc::new(SystemClock), sender)
            .await
            .unwrap();
    let later = SystemClock.now().checked_add(midwatch_policy::SignedDuration::from_mins(3)).unwrap();
    let names = |door: &Door| -> Vec<String> {
        let mut names: Vec<_> = door.left_out(later).into_iter().map(|(alarm, _)| alarm.name).collect();
        names.sort();
        names
    };
    // Nobody stands behind the door.
    let held = door.clone();
    let held = tokio::spawn(async move { held.knock(vec![alarm("a", "firing", 0)], "t", None).await });
    tokio::time::sleep(HELD_UP + Duration::from_millis(300)).await;
    assert_eq!(names(&door), ["a"]);
    for _ in 1..WAITING {
        let (done, _) = oneshot::channel();
        let (alarms, source) = (Vec::new(), String::new());
        let arrival = Arrival { alarms, source, message: None, done, place: None };
        door.sender.try_send(Message::Arrival(arrival)).unwrap();
    }
    assert_eq!(door.knock(vec![alarm("b", "firing", 0)], "t", None).await, Err(Refusal::Full));
    assert_eq!(names(&door), ["a", "b"]);
    tokio::spawn(async move { porter.run(&CancellationToken::new()).await });
    held.await.unwrap().unwrap();
    assert_eq!(names(&door), ["b"], "the other was taken after all");
}

#[tokio::test]
async fn alarms_that_wait_are_bounded_however_few_messages_they_come_in() {
    let (sender, _effects) = mpsc::channel(64);
    let inbox = Inbox::in_memory().unwrap();
    let built = Door::build(inbox, Orders::default(), Queue::new(1, 10), Arc::new(SystemClock), sender).await;
    let (door, mut porter) = built.unwrap();
    let many = |count: usize| vec![alarm("a", "ok", 0); count];
    for _ in 0..2 {
        let door = door.clone();
        let alarms = many(MOST);
        tokio::spawn(async move { door.knock(alarms, "t", None).await });
    }
    tokio::task::yield_now().await;
    assert_eq!((door.waiting(), door.knock(many(1), "t", None).await), (2, Err(Refusal::Full)));
    // Once they are taken there is room again.
    let stop = CancellationToken::new();
    let told = stop.clone();
    let running = tokio::spawn(async move { porter.run(&told).await });
    door.bring(many(1), "t", None).await.unwrap();
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_silence_that_a_reload_ended_is_over() {
    let inbox = Inbox::in_memory().unwrap();
    let file = "[[silence]]\nid='x'\nreason='known'\nuntil=2099-01-01T00:00:00Z\nalarms=['a*']";
    let mut problems = Vec::new();
    let mut fields = midwatch_policy::Fields::parse(file, &mut problems).unwrap();
    let quiet = Quiet::read(&mut fields, &mut problems);
    let orders = Orders::new(Arc::default(), quiet, Grouping::default());
    let mut stage = stage_with(inbox, 10, orders).await;
    let rulings = stage.door.bring(vec![alarm("a", "firing", 0)], "t", None).await.unwrap();
    assert!(matches!(rulings[0].decision, Decision::Suppressed { .. }), "{rulings:?}");
    stage.door.order(Orders::default()).await.unwrap();
    let told = next(&mut stage).await;
    assert!(matches!(&told, Effect::Opened { alarm, .. } if alarm.name == "a"), "{told:?}");
}

#[tokio::test]
async fn what_cannot_be_written_has_not_happened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("inbox.db");
    let stage = stage(Inbox::open(&path).unwrap(), 10).await;
    let spoiled = rusqlite::Connection::open(&path).unwrap();
    spoiled.execute_batch("ALTER TABLE intake RENAME TO away").unwrap();
    let refused = stage.door.bring(vec![alarm("a", "firing", 0)], "t", None).await;
    assert_eq!(refused, Err(Refusal::Unwritten));
    assert_eq!(stage.door.queue(|queue| queue.waiting()), 0);
    spoiled.execute_batch("ALTER TABLE away RENAME TO intake").unwrap();
    let rulings = stage.door.bring(vec![alarm("a", "firing", 0)], "t", None).await.unwrap();
    assert!(matches!(rulings[0].decision, Decision::Opened { .. }), "not a duplicate: {rulings:?}");
}

#[tokio::test]
async fn what_came_in_before_the_stop_is_answered_and_nothing_after_it_is_taken() {
    let stage = stage(Inbox::in_memory().unwrap(), 10).await;
    let waiting: Vec<_> = (0..20)
        .map(|n| {
            let door = stage.door.clone();
            tokio::spawn(async move { door.bring(vec![alarm(&format!("x{n}y"), "ok", n)], "t", None).await })
        })
        .collect();
    for brought in waiting {
        brought.await.unwrap().unwrap();
    }
    stage.stop.cancel();
    stage.porter.await.unwrap();
    let late = stage.door.bring(vec![alarm("z", "firing", 0)], "t", None).await;
    assert_eq!(late, Err(Refusal::Stopping));
}

/// Another process holds the inbox, as long as the value lives.
fn hold(path: &std::path::Path) -> rusqlite::Connection {
    let held = rusqlite::Connection::open(path).unwrap();
    held.execute_batch("BEGIN IMMEDIATE").unwrap();
    held
}

#[tokio::test]
async fn while_nothing_can_be_written_there_is_no_room_and_what_came_is_remembered() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("inbox.db");
    let inbox = Inbox::open(&path).unwrap();
    let stage = stage(inbox.clone(), 10).await;
    assert_eq!(stage.door.room(), 10);
    let held = hold(&path);
    let refused = stage.door.bring(vec![alarm("a", "firing", 0)], "t", None).await;
    assert_eq!((refused, stage.door.room()), (Err(Refusal::Unwritten), 0));
    let later =
        |minutes| SystemClock.now().checked_add(midwatch_policy::SignedDuration::from_mins(minutes)).unwrap();
    assert_eq!(stage.door.left_out(later(1)), []);
    assert_eq!(stage.door.left_out(later(3)).len(), 1);
    stage.door.tried(&inbox.touch(SystemClock.now()).await);
    assert_eq!(stage.door.room(), 0, "it was tried, and it cannot be written yet");
    drop(held);
    stage.door.tried(&inbox.touch(SystemClock.now()).await);
    assert_eq!(stage.door.room(), 10);
    stage.door.bring(vec![alarm("a", "firing", 0)], "t", None).await.unwrap();
    assert_eq!(stage.door.room(), 9);
}

#[tokio::test]
async fn an_incident_that_is_part_of_another_before_it_was_begun_is_said_to_have_ended() {
    let catalog = "[[service]]\nname='shop'\ntier=1\nenvironment='production'\ndepends_on=['db']\n\
                   [[service]]\nname='cart'\ntier=1\nenvironment='production'\ndepends_on=['db']\n\
                   [[service]]\nname='db'\ntier=1\nenvironment='production'\n";
    let catalog = Arc::new(midwatch_policy::Catalog::parse(catalog).unwrap());
    let orders = Orders::new(
        catalog,
        super::super::quiet::Quiet::default(),
        super::super::board::Grouping {
            sibling: midwatch_policy::SignedDuration::ZERO,
            ..super::super::board::Grouping::default()
        },
    );
    let (sender, mut effects) = mpsc::channel(64);
    let queue = Queue::new(1, 10);
    let clock = Arc::new(SystemClock);
    let inbox = Inbox::in_memory().unwrap();
    let (door, mut porter) = Door::build(inbox.clone(), orders, queue, clock, sender).await.unwrap();
    tokio::spawn(async move { porter.run(&CancellationToken::new()).await });
    let of = |service: &str, second: u32| {
        let text = format!(
            r#"{{"name":"{service}-slow","state":"firing","at":"2026-11-21T02:00:{second:02}Z","service":"{service}"}}"#
        );
        alarm::parse_all(&text).unwrap().alarms
    };
    for (service, second) in [("shop", 0), ("cart", 9), ("db", 20)] {
        door.bring(of(service, second), "t", None).await.unwrap();
    }
    let mut gone = Vec::new();
    while let Ok(effect) = effects.try_recv() {
        if let Effect::Absorbed { incident, begun, .. } = effect {
            assert_eq!(begun, Begun::No);
            gone.push(incident);
        }
    }
    assert_eq!(gone.len(), 1, "two called what failed");
    assert_eq!(inbox.ended_among(gone.clone()).await.unwrap(), gone);
}

#[tokio::test]
async fn what_people_say_is_kept_until_it_is_journaled() {
    let inbox = Inbox::in_memory().unwrap();
    let (incident, now) = (IncidentId::parse("inc-1").unwrap(), SystemClock.now());
    let note = Said::Note { by: "first-on-call".to_owned(), text: "it is the cache".to_owned() };
    inbox.say(incident.clone(), note.clone(), now).await.unwrap();
    inbox.say(incident.clone(), Said::Acknowledged { by: "b".to_owned() }, now).await.unwrap();
    let unheard = inbox.unheard(10).await.unwrap();
    assert_eq!((unheard.len(), &unheard[0].said), (2, &note));
    inbox.heard(unheard[0].seq).await.unwrap();
    assert_eq!(inbox.unheard(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_still_fires_of_an_incident_that_is_handed_back_has_a_new_one_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("inbox.db");
    let first = stage(Inbox::open(&path).unwrap(), 1).await;
    let by = "first-on-call";
    let before = opened(&first.door.bring(vec![alarm("a", "firing", 0)], "t", None).await.unwrap());
    let working = first.door.queue(|queue| queue.next(SystemClock.now())).unwrap();
    let taken = Some(Outcome::TakenOver);
    first.door.finished(before.clone(), taken, None).await.unwrap();
    first.door.queue(|queue| queue.done(&working.incident));
    // There is no room for it: whoever hands it back is not told that it goes on.
    first.door.bring(vec![alarm("b", "firing", 1)], "t", None).await.unwrap();
    assert_eq!(first.door.hand_back(before.clone(), by).await, Err(Refusal::Full));
    first.door.queue(|queue| queue.next(SystemClock.now())).unwrap();
    let Onward::Opened(next) = first.door.hand_back(before.clone(), by).await.unwrap() else { panic!() };
    assert_ne!(next, before);
    assert!(first.door.queue(|queue| queue.waits(&next)));
    // Durable, and the same again opens no other, by this process or the next.
    first.porter.abort();
    let inbox = Inbox::open(&path).unwrap();
    assert!(inbox.unfinished().await.unwrap().iter().any(|open| open.incident == next));
    let second = stage(inbox.clone(), 1).await;
    assert_eq!(second.door.hand_back(before.clone(), by).await.unwrap(), Onward::In(next.clone()));
    let rows = inbox.of_incident(next.clone()).await.unwrap();
    let Noted::Alarm { ruling, .. } = &rows[0].noted else { panic!("{rows:?}") };
    let Decision::Opened { after, handed_back_by, .. } = &ruling.decision else { panic!("{ruling:?}") };
    assert_eq!((after.as_ref(), handed_back_by.as_deref()), (Some(&before), Some(by)));
    // The same trouble belongs to the new one from now on.
    let again = second.door.bring(vec![alarm("a", "firing", 30)], "t", None).await.unwrap();
    assert_eq!(again[0].decision.incident(), Some(&next));
    second.door.bring(vec![alarm("a", "ok", 40)], "t", None).await.unwrap();
    assert_eq!(second.door.hand_back(next, by).await.unwrap(), Onward::Nothing);
    let nobody = IncidentId::parse("inc-0").unwrap();
    assert_eq!(second.door.hand_back(nobody, by).await.unwrap(), Onward::Nothing);
}

/// Effects so far, without those that an incident is told.
fn effects(stage: &mut Stage) -> Vec<Effect> {
    let all = std::iter::from_fn(|| stage.effects.try_recv().ok());
    all.filter(|effect| !matches!(effect, Effect::Tell { .. })).collect()
}

#[tokio::test]
async fn who_has_an_incident_hears_of_more_of_it_and_that_it_is_over() {
    let mut stage = stage(Inbox::in_memory().unwrap(), 100).await;
    let brought = |name: &str, state: &str, second| vec![alarm(name, state, second)];
    let incident = opened(&stage.door.bring(brought("a", "firing", 0), "t", None).await.unwrap());
    for n in 1..12 {
        stage.door.bring(brought(&format!("a{n}"), "firing", 1), "t", None).await.unwrap();
    }
    let rulings = stage.door.bring(brought("storm", "firing", 2), "t", None).await.unwrap();
    assert_eq!(rulings[0].decision.incident(), Some(&incident));
    stage.door.finished(incident.clone(), Some(Outcome::Escalated), None).await.unwrap();
    effects(&mut stage);
    stage.door.bring(brought("more", "firing", 3), "t", None).await.unwrap();
    let told = effects(&mut stage);
    let [Effect::More { incident: of, alarm: more, how: How::Storm, news: News::More }] = told.as_slice()
    else {
        panic!("{told:?}")
    };
    assert_eq!((of, more.name.as_str()), (&incident, "more"));
    stage.door.bring(brought("more", "firing", 4), "t", None).await.unwrap();
    assert_eq!(effects(&mut stage), [], "they know of it");
    let names = (1..12).map(|n| format!("a{n}")).chain(["a".to_owned(), "storm".to_owned()]);
    for name in names {
        stage.door.bring(brought(&name, "ok", 5), "t", None).await.unwrap();
        assert_eq!(effects(&mut stage), []);
    }
    stage.door.bring(brought("more", "ok", 6), "t", None).await.unwrap();
    let told = effects(&mut stage);
    assert!(matches!(told.as_slice(), [Effect::Over { incident: of, .. }] if *of == incident), "{told:?}");
    let rulings = stage.door.bring(brought("more", "firing", 7), "t", None).await.unwrap();
    assert_eq!(rulings[0].decision.incident(), Some(&incident));
    let told = effects(&mut stage);
    assert!(matches!(told.as_slice(), [Effect::More { news: News::Again, .. }]), "{told:?}");
}

/// The next effect that is for people.
async fn next(stage: &mut Stage) -> Effect {
    loop {
        let effect = tokio::time::timeout(Duration::from_secs(20), stage.effects.recv()).await;
        match effect.expect("people are told").unwrap() {
            Effect::Tell { .. } => {}
            effect => return effect,
        }
    }
}

#[tokio::test]
async fn what_flaps_is_told_once_it_stays_and_its_end_once_it_has_been_quiet() {
    let directory = tempfile::tempdir().unwrap();
    let inbox = || Inbox::open(&directory.path().join("inbox.db")).unwrap();
    let hold = SignedDuration::from_secs(2);
    let grouping = Grouping { flap_hold: hold, ..Grouping::default() };
    let orders = || Orders::new(Arc::default(), Quiet::default(), grouping);
    let mut stage = stage_with(inbox(), 100, orders()).await;
    let incident = opened(&stage.door.bring(vec![alarm("a", "firing", 0)], "t", None).await.unwrap());
    stage.door.finished(incident.clone(), Some(Outcome::Escalated), None).await.unwrap();
    assert!(matches!(next(&mut stage).await, Effect::Opened { .. }));
    // Twice it comes and goes: that is told.
    for second in [10, 20] {
        stage.door.bring(vec![alarm("a", "ok", second)], "t", None).await.unwrap();
        assert!(matches!(next(&mut stage).await, Effect::Over { .. }));
        stage.door.bring(vec![alarm("a", "firing", second + 5)], "t", None).await.unwrap();
        assert!(matches!(next(&mut stage).await, Effect::More { news: News::Again, .. }));
    }
    stage.door.bring(vec![alarm("a", "ok", 30)], "t", None).await.unwrap();
    assert!(matches!(next(&mut stage).await, Effect::Over { .. }));
    // From the fourth time on it flaps: neither a flap nor the end of one is told.
    for second in [31, 33, 35] {
        let rulings = stage.door.bring(vec![alarm("a", "firing", second)], "t", None).await.unwrap();
        assert!(matches!(&rulings[0].decision, Decision::Joined { how: How::Flapping, .. }), "{rulings:?}");
        let rulings = stage.door.bring(vec![alarm("a", "ok", second + 1)], "t", None).await.unwrap();
        assert!(matches!(&rulings[0].decision, Decision::Updated { told_at: Some(_), .. }), "{rulings:?}");
        assert_eq!(effects(&mut stage), []);
    }
    // Once it stays, it is.
    let before = SystemClock.now();
    stage.door.bring(vec![alarm("a", "firing", 37)], "t", None).await.unwrap();
    let told = next(&mut stage).await;
    assert!(
        matches!(&told, Effect::More { incident: of, news: News::Again, .. } if *of == incident),
        "{told:?}"
    );
    assert!(SystemClock.now().duration_since(before) >= hold);
    // Its end, too, once it has been quiet, after whatever came between, and after a restart.
    stage.door.bring(vec![alarm("a", "ok", 38)], "t", None).await.unwrap();
    stage.door.bring(vec![alarm("a", "firing", 39)], "t", None).await.unwrap();
    stage.door.bring(vec![alarm("a", "ok", 40)], "t", None).await.unwrap();
    assert_eq!(effects(&mut stage), []);
    stage.porter.abort();
    let mut stage = stage_with(inbox(), 100, orders()).await;
    let told = next(&mut stage).await;
    assert!(
        matches!(&told, Effect::Over { incident: of, alarm: last } if *of == incident && last.at == alarm("a", "ok", 40).at),
        "{told:?}"
    );
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(effects(&mut stage), [], "once");
}

#[tokio::test]
async fn the_end_is_told_when_what_is_left_was_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let inbox = || Inbox::open(&directory.path().join("inbox.db")).unwrap();
    let mut first = stage(inbox(), 10).await;
    let incident = opened(&first.door.bring(vec![alarm("a", "firing", 0)], "t", None).await.unwrap());
    first.door.finished(incident.clone(), Some(Outcome::Escalated), None).await.unwrap();
    assert!(matches!(next(&mut first).await, Effect::Opened { .. }));
    first.door.bring(vec![alarm("a", "no_data", 5)], "t", None).await.unwrap();
    assert_eq!(effects(&mut first), []);
    // Whoever is started meanwhile knows it as well.
    first.porter.abort();
    let mut second = stage(inbox(), 10).await;
    let gone = Alarm { state: AlarmState::Deleted, ..alarm("a", "no_data", 9) };
    second.door.bring(vec![gone.clone()], "t", None).await.unwrap();
    let told = next(&mut second).await;
    assert!(
        matches!(&told, Effect::Over { incident: of, alarm } if *of == incident && **alarm == gone),
        "{told:?}"
    );
}

#[tokio::test]
async fn what_is_silenced_for_weeks_is_looked_at_after_a_restart() {
    let inbox = Inbox::in_memory().unwrap();
    let now = SystemClock.now();
    let days =
        |days: i64| now.saturating_sub(midwatch_policy::SignedDuration::from_hours(24 * days)).unwrap();
    let until = now.saturating_add(midwatch_policy::SignedDuration::from_hours(1)).unwrap();
    let hush =
        crate::intake::quiet::Hush { by: "silence `x`".into(), reason: "known".into(), until: Some(until) };
    let row = |name: &str, at, decision| Row {
        at,
        source: "t".to_owned(),
        message: None,
        noted: Noted::Alarm {
            alarm: Box::new(Alarm { at, ..alarm(name, "firing", 0) }),
            ruling: Ruling { service: None, decision },
        },
    };
    let rows = vec![
        row("old", days(40), Decision::Suppressed { hush: hush.clone() }),
        row("over", days(3), Decision::Suppressed { hush }),
        Row {
            noted: Noted::Alarm {
                alarm: Box::new(Alarm { at: days(2), ..alarm("over", "ok", 0) }),
                ruling: Ruling { service: None, decision: Decision::Noted { why: "it went to OK".into() } },
            },
            ..row("over", days(2), Decision::Duplicate { incident: None })
        },
        row("other", days(40), Decision::Duplicate { incident: None }),
    ];
    inbox.append(rows).await.unwrap();
    assert_eq!(inbox.forget(days(30), now).await.unwrap(), 1, "what is still silenced is kept");
    let (sender, _effects) = mpsc::channel(64);
    let queue = Queue::new(1, 10);
    let (_door, porter) =
        Door::build(inbox, Orders::default(), queue, Arc::new(SystemClock), sender).await.unwrap();
    let due: Vec<String> =
        porter.board.due(&porter.orders, until).into_iter().map(|alarm| alarm.name).collect();
    assert_eq!(due, ["old"]);
}

/// Behind the door, with an incident that a person has and a clock that was set forward by a year since.
async fn a_year_ahead(clock: &TestClock) -> (Door, Inbox, IncidentId) {
    let inbox = Inbox::in_memory().unwrap();
    let (sender, mut effects) = mpsc::channel(64);
    let queue = Queue::new(1, 10);
    let built = Door::build(inbox.clone(), Orders::default(), queue, Arc::new(clock.clone()), sender).await;
    let (door, mut porter) = built.unwrap();
    tokio::spawn(async move { porter.run(&CancellationToken::new()).await });
    tokio::spawn(async move { while effects.recv().await.is_some() {} });
    let incident = opened(&door.bring(vec![alarm("a", "firing", 0)], "t", None).await.unwrap());
    door.finished(incident.clone(), Some(Outcome::Escalated), None).await.unwrap();
    clock.set_forward(366 * 86_400);
    // It is looked every five seconds whether an hour has gone.
    clock.step(6);
    tokio::time::sleep(Duration::from_millis(300)).await;
    (door, inbox, incident)
}

#[tokio::test]
async fn a_clock_that_is_set_forward_takes_no_row_away_and_a_month_that_passes_does() {
    let clock = TestClock::at("2026-11-21T02:00:00Z");
    let (_door, inbox, incident) = a_year_ahead(&clock).await;
    let rows = || async { inbox.of_incident(incident.clone()).await.unwrap().len() };
    assert_eq!(rows().await, 2);
    clock.step(31 * 86_400);
    for _ in 0..300 {
        if rows().await == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("rows are kept for ever");
}

#[tokio::test]
async fn a_clock_that_is_set_forward_keeps_no_end_from_the_person_who_has_it() {
    let clock = TestClock::at("2026-11-21T02:00:00Z");
    let (door, _, _) = a_year_ahead(&clock).await;
    let over = door.bring(vec![alarm("a", "ok", 9)], "t", None).await.unwrap();
    assert!(matches!(over[0].decision, Decision::Updated { all_clear: true, .. }), "{over:?}");
}
