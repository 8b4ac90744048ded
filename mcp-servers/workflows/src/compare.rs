//! Where two executions part: the states each went through, how long and how often. Pure.

use jiff::Timestamp;
use midwatch_mcp::clean;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    count::tenths,
    event::{Events, What},
};

/// One visit to a state.
#[derive(Debug, Clone, PartialEq)]
pub struct Visit {
    /// The state.
    pub state: String,
    entered: Timestamp,
    exited: Option<Timestamp>,
    attempts: u32,
}

/// How a state went in one execution.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Went {
    /// Seconds from its begin to its end; absent where it did not end well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// How often it was tried, all visits together.
    pub attempts: u32,
    /// How often it was entered, where more than once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visits: Option<u32>,
    /// Whether its last visit ended well.
    pub ended_well: bool,
}

/// A state in both executions.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StateRow {
    /// The state.
    pub state: String,
    /// In the good execution; absent where it did not go there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub good: Option<Went>,
    /// In the failed one; absent where it did not get there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<Went>,
}

/// The visits of an execution, in the order in which states were entered.
pub fn visits(events: &Events) -> Vec<Visit> {
    let mut all: Vec<(i64, Visit)> = Vec::new();
    for event in events.all() {
        match &event.what {
            What::Entered { state, .. } => all.push((
                event.id,
                Visit { state: state.clone(), entered: event.at, exited: None, attempts: 1 },
            )),
            What::Exited { state } => {
                let open = all.iter_mut().rev().find(|(_, v)| &v.state == state && v.exited.is_none());
                if let Some((_, visit)) = open {
                    visit.exited = Some(event.at);
                }
            }
            // A call after a failure of the same visit is another attempt.
            What::Called(_) => {
                let mut way = events.back_from(event.id).skip(1);
                let mut again = false;
                let of = way.find_map(|before| match &before.what {
                    What::Failed { .. } => {
                        again = true;
                        None
                    }
                    What::Entered { .. } => Some(Some(before.id)),
                    What::Exited { .. } => Some(None),
                    _ => None,
                });
                if let (true, Some(Some(id))) = (again, of)
                    && let Some((_, visit)) = all.iter_mut().find(|(entered, _)| *entered == id)
                {
                    visit.attempts += 1;
                }
            }
            _ => {}
        }
    }
    all.into_iter().map(|(_, visit)| visit).collect()
}

/// Each state of either execution once, in the order of the good one, and then the rest.
pub fn rows(good: &[Visit], failed: &[Visit]) -> Vec<StateRow> {
    let mut names: Vec<&str> = Vec::new();
    for visit in good.iter().chain(failed) {
        if !names.contains(&visit.state.as_str()) {
            names.push(&visit.state);
        }
    }
    names
        .into_iter()
        .map(|name| StateRow {
            state: clean(name, 128).text,
            good: went(good, name),
            failed: went(failed, name),
        })
        .collect()
}

fn went(visits: &[Visit], name: &str) -> Option<Went> {
    let of: Vec<&Visit> = visits.iter().filter(|visit| visit.state == name).collect();
    let last = of.last()?;
    let seconds: Option<f64> =
        of.iter().map(|visit| Some(visit.exited?.duration_since(visit.entered).as_secs_f64())).sum();
    Some(Went {
        seconds: seconds.map(tenths),
        attempts: of.iter().map(|visit| visit.attempts).sum(),
        visits: (of.len() > 1).then(|| u32::try_from(of.len()).unwrap_or(u32::MAX)),
        ended_well: last.exited.is_some(),
    })
}

/// The first state at which the ways part: entered by one only, or not ended well by the failed one.
pub fn diverges_at(good: &[Visit], failed: &[Visit]) -> Option<String> {
    let mut ways = good.iter().zip(failed);
    let parted = ways.find(|(good, failed)| good.state != failed.state || failed.exited.is_none());
    let name = match parted {
        Some((_, failed)) => &failed.state,
        None => &failed.get(good.len()).or_else(|| good.get(failed.len()))?.state,
    };
    Some(clean(name, 128).text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Called, event::Event};

    fn run(list: &[(i64, i64, What)]) -> Events {
        list.iter()
            .enumerate()
            .map(|(n, (second, previous, what))| Event {
                id: i64::try_from(n).unwrap() + 1,
                previous: *previous,
                at: Timestamp::from_second(*second).unwrap(),
                what: what.clone(),
            })
            .collect()
    }

    fn entered(state: &str) -> What {
        What::Entered { state: state.to_owned(), input: None }
    }
    fn exited(state: &str) -> What {
        What::Exited { state: state.to_owned() }
    }

    #[test]
    fn states_are_laid_side_by_side() {
        let good = run(&[
            (0, 0, What::Started),
            (1, 1, entered("A")),
            (3, 2, exited("A")),
            (3, 3, entered("B")),
            (8, 4, exited("B")),
            (8, 5, entered("C")),
            (9, 6, exited("C")),
        ]);
        let failure = || What::Failed { error: None, cause: None };
        let called = || What::Called(Called::lambda("b"));
        let failed = run(&[
            (0, 0, What::Started),
            (1, 1, entered("A")),
            (2, 2, exited("A")),
            (2, 3, entered("B")),
            (2, 4, called()),
            (4, 5, failure()),
            (6, 6, called()),
            (8, 7, failure()),
            (8, 8, What::Ended { error: None, cause: None }),
        ]);
        let (good, failed) = (visits(&good), visits(&failed));
        let rows = rows(&good, &failed);
        let told: Vec<_> = rows
            .iter()
            .map(|row| {
                let of = |went: &Option<Went>| went.as_ref().map(|w| (w.seconds, w.attempts, w.ended_well));
                (row.state.as_str(), of(&row.good), of(&row.failed))
            })
            .collect();
        assert_eq!(
            told,
            [
                ("A", Some((Some(2.0), 1, true)), Some((Some(1.0), 1, true))),
                ("B", Some((Some(5.0), 1, true)), Some((None, 2, false))),
                ("C", Some((Some(1.0), 1, true)), None),
            ]
        );
        assert_eq!(diverges_at(&good, &failed).as_deref(), Some("B"));
        assert_eq!(diverges_at(&good, &good), None);
    }

    #[test]
    fn a_loop_is_one_row_and_another_way_is_where_they_part() {
        let looped = run(&[
            (0, 0, entered("Wait")),
            (1, 1, exited("Wait")),
            (1, 2, entered("Wait")),
            (4, 3, exited("Wait")),
        ]);
        let other = run(&[(0, 0, entered("Wait")), (1, 1, exited("Wait")), (1, 2, entered("Refuse"))]);
        let (looped, other) = (visits(&looped), visits(&other));
        let first = &rows(&looped, &other)[0];
        let good = first.good.as_ref().unwrap();
        assert_eq!((good.visits, good.seconds), (Some(2), Some(4.0)));
        assert_eq!(diverges_at(&looped, &other).as_deref(), Some("Refuse"));
    }
}
