//! Alarms that arrive in another state than ALARM, in a world and on its clock; and incidents that
//! are interrupted.

use std::path::Path;

use super::*;
use crate::{
    alarm::AlarmState,
    run::{Outcome, Run},
};

fn scenario(name: &str) -> Scenario {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/scenarios").join(name);
    Scenario::load(&directory).unwrap()
}

/// On threads of its own: other tests must not hold its world still, nor it theirs.
async fn alone<T: Send + 'static>(number: usize, work: impl Future<Output = T> + Send + 'static) -> T {
    apart(100 + number, work).await.unwrap()
}

/// Handles a scenario's alarm as if it had arrived in another state; the kinds of its entries.
async fn arriving(name: &'static str, state: AlarmState) -> (Run, Vec<String>) {
    let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::in_memory().unwrap());
    let mut stage = set(scenario(name), ModelChoice::Playbook, Arc::clone(&journal)).await.unwrap();
    stage.alarm.state = state;
    let run = handle(stage.alarm.clone(), &stage.site, Box::new(NoView), salt(name)).await.unwrap();
    let entries = journal.read(&run.incident).await.unwrap();
    (run, entries.into_iter().map(|entry| entry.kind).collect())
}

#[tokio::test]
async fn an_alarm_that_is_over_when_it_arrives_is_checked_and_not_investigated() {
    for state in [AlarmState::Ok, AlarmState::InsufficientData] {
        let (run, kinds) = alone(1, Box::pin(arriving("transient-blip", state))).await;
        assert_eq!(run.outcome, Outcome::ClosedTransient, "{state}: {}", run.summary);
        assert_eq!((run.usage.model_calls, run.escalated), (0, false), "{state}");
        assert!(kinds.iter().any(|kind| kind == "closing_checked"), "{state}");
        assert!(!kinds.iter().any(|kind| kind == "routed" || kind == "agent"), "{state}: {kinds:?}");
    }
}

#[tokio::test]
async fn an_alarm_that_says_ok_while_the_trouble_goes_on_is_investigated() {
    let (run, kinds) = alone(2, Box::pin(arriving("pool-exhaustion-after-deploy", AlarmState::Ok))).await;
    assert!(kinds.iter().any(|kind| kind == "routed"), "{kinds:?}");
    assert_ne!(run.outcome, Outcome::ClosedTransient);
}

#[tokio::test]
async fn missing_data_of_a_dead_service_is_never_taken_for_recovery() {
    for state in [AlarmState::InsufficientData, AlarmState::Ok] {
        let (run, _) = alone(3, Box::pin(arriving("dead-and-quiet", state))).await;
        assert_eq!((run.outcome, run.escalated), (Outcome::Escalated, true), "{state}: {}", run.summary);
    }
}

#[tokio::test]
async fn an_act_that_was_begun_is_not_begun_again() {
    alone(4, Box::pin(interrupted_at_the_act())).await;
}

async fn interrupted_at_the_act() {
    let name = "pool-exhaustion-after-deploy";
    let (whole, entries) = Box::pin(play_whole(name, scenario(name), ModelChoice::Playbook)).await.unwrap();
    let whole = whole.run.unwrap();
    let intended = entries.iter().position(|entry| entry.kind == "intended").unwrap();
    let after = u32::try_from(intended + 1).unwrap();
    for (cut, outcome) in [
        // The intent was written down and nothing was called: nobody knows that, so a person is told.
        (Cut::Unheard(after), Outcome::Escalated),
        // It was called and the answer was lost: the target shows it.
        (Cut::Heard(after), Outcome::Resolved),
        // The answer was written down.
        (Cut::Unheard(after + 1), Outcome::Resolved),
    ] {
        let id = format!("{name}!{cut}");
        let again = play_interrupted(&id, scenario(name), ModelChoice::Playbook, (&whole, cut));
        let played = Box::pin(again).await.unwrap();
        assert_eq!(played.failures, Vec::<String>::new(), "{cut}");
        assert_eq!(played.run.unwrap().outcome, outcome, "{cut}");
    }
}

#[tokio::test]
async fn an_act_that_does_not_help_is_given_up_in_time_though_the_watch_was_interrupted() {
    alone(5, Box::pin(interrupted_while_watching())).await;
}

async fn interrupted_while_watching() {
    let name = "rollback-does-not-help";
    let (whole, entries) = Box::pin(play_whole(name, scenario(name), ModelChoice::Playbook)).await.unwrap();
    let whole = whole.run.unwrap();
    let last = entries.iter().rposition(|entry| entry.kind == "watched").unwrap();
    let cut = Cut::Heard(u32::try_from(last + 1).unwrap());
    let id = format!("{name}!{cut}");
    let again = play_interrupted(&id, scenario(name), ModelChoice::Playbook, (&whole, cut));
    let played = Box::pin(again).await.unwrap();
    assert_eq!(played.failures, Vec::<String>::new());
    let [whole, again] = [whole, played.run.unwrap()].map(|run| run.timings_ms.report);
    assert!(again <= whole + 60_000, "{again} ms from the alarm to the report, uninterrupted {whole} ms");
}
