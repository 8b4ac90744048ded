//! Why an execution ended badly: the state, its error, how often it was tried. Pure.

use jiff::Timestamp;

use crate::{
    called::Called,
    event::{Event, Events, What},
};

/// What a history says of its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failure {
    /// The state that failed; absent where the history does not reach back to it.
    pub state: Option<String>,
    /// Error name.
    pub error: Option<String>,
    /// Cause. From outside, raw.
    pub cause: Option<String>,
    /// Attempts that were seen, at least one where a state failed.
    pub attempts: u32,
    /// Bytes of the state's input, where it was read.
    pub input: Option<u64>,
    /// What the state called last.
    pub called: Option<Called>,
    /// When the state began.
    pub entered_at: Option<Timestamp>,
}

/// Reads the failure out of the events that were read, which may be only the last ones.
pub fn explain(events: &Events) -> Failure {
    let mut failure = Failure::default();
    let Some(end) = events.all().rev().find(|event| matches!(event.what, What::Ended { .. })) else {
        return failure;
    };
    if let What::Ended { error, cause } = &end.what {
        (failure.error, failure.cause) = (error.clone(), cause.clone());
    }
    let way: Vec<&Event> = match events.back_from(end.id).nth(1) {
        Some(_) => events.back_from(end.id).skip(1).collect(),
        // A time-out or an abort follows nothing: what was under way is what ended.
        None => under_way(events).map(|event| events.back_from(event.id).collect()).unwrap_or_default(),
    };
    for event in way {
        match &event.what {
            What::Failed { error, cause } => {
                failure.attempts += 1;
                // The last attempt's words are closer to the trouble than the execution's.
                if failure.attempts == 1 {
                    failure.error = error.clone().or(failure.error);
                    failure.cause = cause.clone().or(failure.cause);
                }
            }
            What::Called(called) => failure.called = failure.called.or_else(|| Some(called.clone())),
            What::Entered { state, input } => {
                failure.state = Some(state.clone());
                failure.input = *input;
                failure.entered_at = Some(event.at);
                failure.attempts = failure.attempts.max(1);
                break;
            }
            // The state before: the failing one has no beginning of its own that was read.
            What::Exited { .. } | What::Started | What::Ended { .. } => break,
            What::Other => {}
        }
    }
    failure
}

/// The last event of a state that began and did not end.
fn under_way(events: &Events) -> Option<&Event> {
    let mut left: Vec<&str> = Vec::new();
    for event in events.all().rev() {
        match &event.what {
            What::Exited { state } => left.push(state),
            What::Entered { state, .. } => {
                let Some(at) = left.iter().position(|name| name == state) else {
                    let of_it = |later: &&Event| events.back_from(later.id).any(|e| e.id == event.id);
                    return events.all().rev().find(of_it);
                };
                left.remove(at);
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(list: Vec<(i64, What)>) -> Events {
        list.into_iter()
            .enumerate()
            .map(|(n, (previous, what))| {
                let id = i64::try_from(n).unwrap() + 1;
                Event { id, previous, at: Timestamp::from_second(id).unwrap(), what }
            })
            .collect()
    }

    fn entered(state: &str) -> What {
        What::Entered { state: state.to_owned(), input: Some(10) }
    }
    fn exited(state: &str) -> What {
        What::Exited { state: state.to_owned() }
    }
    fn failed(error: &str) -> What {
        What::Failed { error: Some(error.to_owned()), cause: Some("why".to_owned()) }
    }
    fn ended(error: Option<&str>) -> What {
        What::Ended { error: error.map(str::to_owned), cause: None }
    }
    fn called(name: &str) -> What {
        What::Called(Called::lambda(name))
    }

    #[test]
    fn the_state_its_attempts_and_what_it_called_are_found() {
        let all = events(vec![
            (0, What::Started),
            (1, entered("A")),
            (2, exited("A")),
            (3, entered("B")),
            (4, called("score")),
            (5, failed("KeyError")),
            (6, called("score")),
            (7, failed("KeyError")),
            (8, ended(Some("KeyError"))),
        ]);
        let found = explain(&all);
        assert_eq!((found.state.as_deref(), found.attempts, found.input), (Some("B"), 2, Some(10)));
        assert_eq!((found.error.as_deref(), found.cause.as_deref()), (Some("KeyError"), Some("why")));
        assert_eq!(found.called.unwrap().name.as_deref(), Some("score"));
        assert_eq!(found.entered_at, Some(Timestamp::from_second(4).unwrap()));
    }

    #[test]
    fn in_a_parallel_state_the_branch_that_failed_is_named() {
        let all = events(vec![
            (0, What::Started),
            (1, entered("Both")),
            (2, What::Other),
            (3, entered("Left")),
            (3, entered("Right")),
            (4, called("left")),
            (5, called("right")),
            (6, failed("Boom")),
            (8, What::Other),
            (9, ended(Some("Boom"))),
        ]);
        let found = explain(&all);
        assert_eq!((found.state.as_deref(), found.attempts), (Some("Left"), 1));
        assert_eq!(found.called.unwrap().name.as_deref(), Some("left"));
    }

    #[test]
    fn an_execution_that_timed_out_names_what_was_under_way() {
        let all = events(vec![
            (0, What::Started),
            (1, entered("A")),
            (2, exited("A")),
            (3, entered("B")),
            (4, called("slow")),
            (0, ended(Some("States.Timeout"))),
        ]);
        let found = explain(&all);
        assert_eq!((found.state.as_deref(), found.error.as_deref()), (Some("B"), Some("States.Timeout")));
        assert_eq!(found.called.unwrap().name.as_deref(), Some("slow"));
    }

    #[test]
    fn what_was_not_read_is_not_guessed() {
        let tail: Events =
            events(vec![(0, What::Started), (1, entered("A")), (2, failed("E")), (3, ended(Some("E")))])
                .all()
                .skip(2)
                .cloned()
                .collect();
        let found = explain(&tail);
        assert_eq!((found.state, found.attempts, found.error.as_deref()), (None, 1, Some("E")));
        assert_eq!(explain(&Events::default()), Failure::default());
        let running = events(vec![(0, What::Started), (1, entered("A"))]);
        assert_eq!(explain(&running), Failure::default());
    }
}
