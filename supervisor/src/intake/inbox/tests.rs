//! What the inbox keeps.

use super::*;
use crate::alarm;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn incident(n: u32) -> IncidentId {
    IncidentId::parse(format!("inc-{n}")).unwrap()
}

fn row(second: i64, decision: Decision) -> Row {
    let path = format!("{}/tests/fixtures/alarms/sns-metric.json", env!("CARGO_MANIFEST_DIR"));
    let alarm = Box::new(alarm::parse(&std::fs::read_to_string(path).unwrap()).unwrap());
    let noted = Noted::Alarm { alarm, ruling: Ruling { service: None, decision } };
    Row { at: at(second), source: "webhook test".to_owned(), message: Some("m".to_owned()), noted }
}

fn opened(second: i64, n: u32) -> Row {
    row(second, Decision::Opened { incident: incident(n), salt: n, after: None, handed_back_by: None })
}

fn finished(second: i64, n: u32) -> Row {
    let noted = Noted::Finished { incident: incident(n), outcome: Some(Outcome::Resolved), why: None };
    Row { at: at(second), source: "midwatch".to_owned(), message: None, noted }
}

#[tokio::test]
async fn what_is_written_is_read_again_by_another_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/incidents.inbox.db");
    let joined = Decision::Joined {
        incident: incident(1),
        how: How::Repeat,
        leads: false,
        absorbs: vec![incident(9)],
    };
    let rows = vec![opened(0, 1), opened(5, 2), row(6, joined), finished(7, 2)];
    Inbox::open(&path).unwrap().append(rows.clone()).await.unwrap();
    let inbox = Inbox::open(&path).unwrap();
    assert_eq!(inbox.since(at(0)).await.unwrap(), rows);
    let open = inbox.unfinished().await.unwrap();
    assert_eq!(open.iter().map(|open| (&open.incident, open.salt)).collect::<Vec<_>>(), [(&incident(1), 1)]);
    assert_eq!(inbox.of_incident(incident(1)).await.unwrap().len(), 2);
    assert_eq!(inbox.newest(&["joined", "finished"], 1).await.unwrap(), [finished(7, 2)]);
}

#[tokio::test]
async fn an_incident_that_goes_on_after_its_end_has_not_ended_until_it_ends_again() {
    let inbox = Inbox::in_memory().unwrap();
    let reopened = |second| {
        let request = RequestId::parse("req-1").unwrap();
        let noted = Noted::Reopened { incident: incident(1), request, by: "first-on-call".to_owned() };
        Row { at: at(second), source: "desk".to_owned(), message: None, noted }
    };
    inbox.append(vec![opened(0, 1), finished(5, 1), opened(6, 2), finished(7, 2)]).await.unwrap();
    for second in [10, 20] {
        assert_eq!(inbox.unfinished().await.unwrap(), []);
        assert_eq!(inbox.ended_among(vec![incident(1)]).await.unwrap(), [incident(1)]);
        inbox.append(vec![reopened(second)]).await.unwrap();
        let open = inbox.unfinished().await.unwrap();
        assert_eq!(open.len(), 1, "{open:?}");
        assert_eq!((&open[0].incident, open[0].salt, open[0].at), (&incident(1), 1, at(second)));
        assert_eq!(inbox.ended_among(vec![incident(1), incident(2)]).await.unwrap(), [incident(2)]);
        inbox.append(vec![finished(second + 5, 1)]).await.unwrap();
    }
}

#[tokio::test]
async fn what_came_in_for_one_that_is_part_of_another_is_the_others_too() {
    let inbox = Inbox::in_memory().unwrap();
    let takes = |second, of: u32, other: u32| {
        let (incident, absorbs) = (incident(of), vec![incident(other)]);
        row(second, Decision::Joined { incident, how: How::Storm, leads: false, absorbs })
    };
    let rows = vec![opened(0, 1), opened(1, 2), opened(2, 3), takes(3, 2, 3), takes(4, 1, 2), opened(5, 9)];
    inbox.append(rows).await.unwrap();
    let all = inbox.all_of(incident(1)).await.unwrap();
    assert_eq!(all.len(), 5, "{all:?}");
    assert!(all.iter().all(|row| row.noted.incident() == Some(&incident(1))));
}

#[tokio::test]
async fn an_incident_that_has_not_ended_is_never_forgotten() {
    let inbox = Inbox::in_memory().unwrap();
    inbox.append(vec![opened(0, 1), opened(0, 2), finished(10, 2)]).await.unwrap();
    assert_eq!(inbox.since(at(5_000)).await.unwrap(), [opened(0, 1)]);
    assert_eq!(inbox.forget(at(5_000), at(5_000)).await.unwrap(), 2);
    assert_eq!(inbox.unfinished().await.unwrap().len(), 1);
}
