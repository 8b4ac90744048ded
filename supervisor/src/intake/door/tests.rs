//! The door: nothing is answered before it is durable, and nothing is lost.

use midwatch_mcp::SystemClock;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{alarm, intake::board::Decision};

fn alarm(name: &str, state: &str, second: u32) -> Alarm {
    let text = format!(r#"{{"name":"{name}","state":"{state}","at":"2026-11-21T02:00:{second:02}Z"}}"#);
    alarm::parse_all(&text).unwrap().remove(0)
}

struct Stage {
    door: Door,
    stop: CancellationToken,
    effects: mpsc::Receiver<Effect>,
    porter: tokio::task::JoinHandle<()>,
}

async fn stage(inbox: Inbox, waiting: usize) -> Stage {
    let (sender, effects) = mpsc::channel(64);
    let queue = Queue::new(1, waiting);
    let built = Door::build(inbox, Orders::default(), queue, Arc::new(SystemClock), sender).await;
    let (door, porter) = built.unwrap();
    let stop = CancellationToken::new();
    let porter = tokio::spawn(porter.run(stop.clone()));
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
