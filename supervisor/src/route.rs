//! Route: close as transient, investigate, or page now. The small model suggests; closing is
//! checked by code.

use std::sync::Arc;

use midwatch_agents::{route::RouteDecision, run, signals::Signals};
use midwatch_policy::ServiceName;
use serde::{Deserialize, Serialize};

use crate::{
    alarm::AlarmState,
    case::Case,
    event::{Condition, Event},
    investigate::{context, task},
    signs::{self, INGESTION_LAG},
    site::Minds,
    sweep::Swept,
};

/// Asks the router. Whatever goes wrong, the answer is `investigate`.
pub async fn route(case: &Case, minds: &Arc<Minds>, swept: &Swept, known: &[ServiceName]) -> RouteDecision {
    let ask = async {
        let task =
            task(case, "router", known, "Close it as transient, investigate it, or page a person now?");
        let context = context(case, minds, &minds.router);
        run::route(&context.as_run(), &minds.router, &task, &swept.sweep).await
    };
    let outcome = case.step("route", ask).await;
    case.remark(outcome.remark);
    case.recorder.note(Event::Routed { decision: outcome.output.clone() });
    outcome.output
}

/// Whether there is nothing to investigate: the alarm did not come in as one that fires, it does
/// not fire now, and nothing that was read goes on. Whether it is over is another question.
pub fn is_quiet(case: &Case, signals: &Signals) -> bool {
    let firing = signals.alarm.as_ref().is_some_and(|alarm| alarm.state == "ALARM");
    let goes_on =
        signals.errors_ongoing() == Some(true) || signals.silent() || signals.healthy() == Some(false);
    !case.opened.fires() && !firing && !goes_on && !signals.nothing_read()
}

/// What code found about closing.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Closing {
    /// Whether it is over.
    pub over: bool,
    /// Every condition.
    pub conditions: Vec<Condition>,
    /// State of the alarm, last read.
    pub alarm: Option<AlarmState>,
    /// What a person should know about it.
    pub note: Option<String>,
}

/// Checks that an incident is over: every sign holds, and holds again once what was late has had
/// time to arrive.
pub async fn closing(case: &Case, signals: &Signals) -> Closing {
    let checked = case.step("closing", check(case, signals)).await;
    case.recorder.note(Event::ClosingChecked { conditions: checked.conditions.clone() });
    checked
}

async fn check(case: &Case, signals: &Signals) -> Closing {
    let onset = signals.onset.unwrap_or(case.opened.alarm.at);
    let mut seen = signs::look(case, onset).await;
    if seen.well() && !signals.flapping() {
        case.clock.sleep(INGESTION_LAG + INGESTION_LAG / 2).await;
        seen = signs::look(case, onset).await;
    }
    let mut conditions = seen.conditions();
    conditions.push(Condition {
        text: if signals.flapping() { "the alarm goes in and out" } else { "the alarm is not flapping" }
            .to_owned(),
        holds: !signals.flapping(),
    });
    let over = conditions.iter().all(|c| c.holds);
    let open: Vec<&str> = conditions.iter().filter(|c| !c.holds).map(|c| c.text.as_str()).collect();
    let note = (!over).then(|| format!("it was not closed as transient: {}", open.join(", ")));
    Closing { over, conditions, alarm: seen.alarm, note }
}
