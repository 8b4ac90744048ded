//! What metric filters make of the lines of a tick.
//!
//! They read what was written, whoever wrote it: background, faults, explicit lines. As in AWS, a
//! line counts in the minute that it says it is of.

use super::{State, traffic::TICK_MS};
use crate::time::MINUTE_MS;

/// Counts the lines of the tick that begins at `from_ms`, once it has been played.
pub(super) fn tick(state: &mut State, from_ms: i64) {
    let to_ms = from_ms + TICK_MS;
    for filter in &state.logs_api.metric_filters {
        for event in state.logs.events(&filter.group, from_ms, to_ms, i64::MAX) {
            if let Some((key, value)) = filter.reads(&event.message) {
                state.metrics.record(&key, event.timestamp_ms, value);
            }
        }
        // At the end of a minute with lines of which none counted.
        let minute = to_ms - MINUTE_MS;
        if let Some(default) = filter.default
            && to_ms.rem_euclid(MINUTE_MS) == 0
            && !state.metrics.has(&filter.key(), minute)
            && state.logs.events(&filter.group, minute, to_ms, i64::MAX).next().is_some()
        {
            state.metrics.record(&filter.key(), minute, default);
        }
    }
}
