//! What is brought to the door, what is answered, and what follows.

use midwatch_policy::{IncidentId, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::{
    alarm::Alarm,
    intake::board::{How, News, Orders, Ruling},
    run::Outcome,
};

use super::AGAIN;

/// Why an alarm was not taken. The sender keeps it and comes again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too much waits already.
    #[error("too many alarms or incidents are waiting: send it again in {} s", AGAIN.as_secs())]
    Full,
    /// The inbox cannot be written.
    #[error("it cannot be written down: send it again in {} s", AGAIN.as_secs())]
    Unwritten,
    /// Midwatch is being stopped.
    #[error("midwatch is being stopped: send it again in {} s", AGAIN.as_secs())]
    Stopping,
}

/// Something that has to happen now that it is written down.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// An incident was opened, and waits for work.
    Opened {
        /// The incident.
        incident: IncidentId,
        /// The alarm it was opened for.
        alarm: Box<Alarm>,
        /// When it came in.
        at: Timestamp,
    },
    /// An incident has a new alarm, or one of its alarms changed its state.
    Tell {
        /// The incident.
        incident: IncidentId,
        /// The alarm.
        alarm: Box<Alarm>,
        /// What was decided about it.
        ruling: Ruling,
    },
    /// A person has the incident, and one more alarm came in for it: they are told.
    More {
        /// The incident.
        incident: IncidentId,
        /// The alarm.
        alarm: Box<Alarm>,
        /// Why it belongs to it.
        how: How,
        /// What is new about it.
        news: News,
    },
    /// An incident that has ended has no alarm any more that fires: whoever was told of it hears that.
    Over {
        /// The incident.
        incident: IncidentId,
        /// The alarm that went last.
        alarm: Box<Alarm>,
    },
    /// An incident is part of another one.
    Absorbed {
        /// Which.
        incident: IncidentId,
        /// Part of which.
        into: IncidentId,
        /// Whether it had been begun.
        begun: Begun,
    },
}

/// Whether an incident that turns out to be part of another one had been begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// It goes on by itself, to its own end.
    Yes,
    /// It has ended with this.
    No,
}

/// How it goes on with an incident that has ended and was handed back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Onward {
    /// What fires on has a new incident.
    Opened(IncidentId),
    /// What fires belongs to this incident by now.
    In(IncidentId),
    /// Nothing of it fires any more.
    Nothing,
}

/// What came in.
pub(super) struct Arrival {
    pub(super) alarms: Vec<Alarm>,
    pub(super) source: String,
    pub(super) message: Option<String>,
    pub(super) done: oneshot::Sender<Result<Vec<Ruling>, Refusal>>,
    /// Those of its alarms, while they wait; what the porter brings itself needs none.
    pub(super) place: Option<OwnedSemaphorePermit>,
}

pub(super) enum Message {
    Arrival(Arrival),
    Finished {
        incident: IncidentId,
        outcome: Option<Outcome>,
        why: Option<String>,
        done: oneshot::Sender<Result<(), Refusal>>,
    },
    HandedBack {
        incident: IncidentId,
        by: String,
        done: oneshot::Sender<Result<Onward, Refusal>>,
    },
    Orders(Box<Orders>, oneshot::Sender<()>),
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Arrival(_) => "Arrival",
            Self::Finished { .. } => "Finished",
            Self::HandedBack { .. } => "HandedBack",
            Self::Orders(..) => "Orders",
        })
    }
}
