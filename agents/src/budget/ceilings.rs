//! The ceilings above a call, as they are configured.

use serde::{Deserialize, Serialize};

/// What may be spent at most, in micro-dollars. An hour and a day are those of the clock, in UTC:
/// a call counts in the hour and the day in which it was reserved, however long it takes. Sliding
/// windows were rejected: nobody can check one against a bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ceilings {
    /// On one incident, however long it lasts and however often Midwatch is restarted.
    pub incident_micro_usd: u64,
    /// On one service in an hour.
    pub service_hour_micro_usd: u64,
    /// On everything in an hour.
    pub hour_micro_usd: u64,
    /// On everything in a day.
    pub day_micro_usd: u64,
}

impl Ceilings {
    /// Only the incident is bounded.
    pub const fn of_incident(micro_usd: u64) -> Self {
        Self {
            incident_micro_usd: micro_usd,
            service_hour_micro_usd: u64::MAX,
            hour_micro_usd: u64::MAX,
            day_micro_usd: u64::MAX,
        }
    }
}

impl Default for Ceilings {
    /// Fifty cents an incident, five dollars a service and hour, twenty an hour, a hundred a day.
    fn default() -> Self {
        Self {
            incident_micro_usd: 500_000,
            service_hour_micro_usd: 5_000_000,
            hour_micro_usd: 20_000_000,
            day_micro_usd: 100_000_000,
        }
    }
}
