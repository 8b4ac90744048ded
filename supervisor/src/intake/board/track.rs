//! One alarm of the board: what is known of it, and what it is put off for.

use midwatch_policy::{IncidentId, Timestamp};

use crate::{
    alarm::{Alarm, AlarmState},
    intake::service_of,
};

use super::Orders;

/// One alarm, through its states.
#[derive(Debug, Clone)]
pub(super) struct Track {
    /// The newest state, by its own time.
    pub(super) state: AlarmState,
    pub(super) at: Timestamp,
    /// State changes that came in, newest last; what is in there comes in again as a duplicate.
    pub(super) seen: Vec<Seen>,
    /// When it began to fire, lately.
    pub(super) rises: Vec<Timestamp>,
    /// The incident it belongs to.
    pub(super) incident: Option<IncidentId>,
    /// What came in when it began to fire, while it does.
    pub(super) fired: Option<Box<Alarm>>,
    /// To be looked at again, if it still fires.
    pub(super) held: Option<Held>,
    /// When something last came in, by our clock.
    pub(super) touched: Timestamp,
}

/// A state change that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) at: Timestamp,
    pub(super) state: AlarmState,
    /// CloudWatch suppressed it: the same without that is news.
    pub(super) by_cloudwatch: bool,
}

impl Seen {
    pub(super) fn is(&self, alarm: &Alarm) -> bool {
        (self.at, self.state) == (alarm.at, alarm.state)
    }

    /// Whether an alarm says nothing beyond it.
    pub(super) fn covers(&self, alarm: &Alarm) -> bool {
        self.is(alarm) && (!self.by_cloudwatch || alarm.suppressed.is_some())
    }
}

/// An alarm that is looked at again, if it still fires then.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) alarm: Box<Alarm>,
    pub(super) until: Timestamp,
    pub(super) why: Why,
}

/// What an alarm is held for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// A silence or a maintenance window, for as long as there is one.
    Quiet,
    /// CloudWatch suppresses it.
    CloudWatch,
    /// It flaps, or fires on after its incident is over.
    Stays,
}

impl Held {
    /// Whether it is to be looked at now. Asked of the orders each time, and not only of what was decided: a silence may
    /// have been ended early, also while nobody ran.
    pub(super) fn is_due(&self, orders: &Orders, now: Timestamp) -> bool {
        let ended = || {
            let service = service_of(&self.alarm, &orders.catalog);
            orders.quiet.hush(&self.alarm, service, now).is_none()
        };
        self.until <= now || self.why == Why::Quiet && ended()
    }
}
