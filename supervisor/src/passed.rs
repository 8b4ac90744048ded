//! What time it is for taking away what is old: a wall clock that is set forward must not delete history.
//!
//! INVARIANT: this time is never later than the wall says, and while the process runs it goes at most twice as fast
//! as time does. Who takes something away keeps it in the store that it goes from, so a clock that was set while nothing
//! ran is not believed at once either: what the process was down for is made up for in as long again.

use std::time::Duration;

use midwatch_policy::Timestamp;

/// The time that has passed in fact, as far as is known.
#[derive(Debug)]
pub(crate) struct Passed {
    at: Timestamp,
    /// How long the clock had been running when that was so.
    seen: Duration,
}

impl Passed {
    /// It was `kept` when it was last written down.
    pub(crate) fn since(kept: Option<Timestamp>, now: Timestamp, running: Duration) -> Self {
        Self { at: kept.unwrap_or(now), seen: running }
    }

    /// What time it is.
    pub(crate) fn now(&mut self, wall: Timestamp, running: Duration) -> Timestamp {
        let went = running.saturating_sub(self.seen).saturating_mul(2);
        self.seen = running;
        // While the wall says less, that counts, and is not believed: what was set back is put right again.
        if wall >= self.at {
            self.at = self.at.saturating_add(went).unwrap_or(wall).min(wall);
        }
        self.at.min(wall)
    }
}

#[cfg(test)]
mod tests {
    use midwatch_policy::SignedDuration;

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn day(days: i64) -> Timestamp {
        "2026-11-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(24 * days)
    }

    #[test]
    fn it_goes_with_the_wall_and_not_with_its_jumps() {
        let mut passed = Passed::since(None, day(0), DAY);
        assert_eq!(passed.now(day(1), 2 * DAY), day(1));
        // Set forward by a year: two days pass in one.
        assert_eq!(passed.now(day(367), 3 * DAY), day(3));
        // Put right.
        assert_eq!(passed.now(day(3), 4 * DAY), day(3));
        assert_eq!(passed.now(day(4), 5 * DAY), day(4));
        // Set back: nothing is older than the wall says.
        assert_eq!(passed.now(day(1), 6 * DAY), day(1));
        // And put right: it was never that long ago.
        assert_eq!(passed.now(day(6), 7 * DAY), day(6));
    }

    #[test]
    fn after_a_start_it_goes_on_from_where_it_was_and_makes_up_for_the_rest() {
        let mut passed = Passed::since(Some(day(0)), day(2), Duration::ZERO);
        assert_eq!(passed.now(day(2), Duration::ZERO), day(0));
        assert_eq!(passed.now(day(3), DAY), day(2));
        assert_eq!(passed.now(day(4), 2 * DAY), day(4));
        let mut set_meanwhile = Passed::since(Some(day(0)), day(400), Duration::ZERO);
        assert_eq!(set_meanwhile.now(day(400), Duration::from_secs(15)), day(0) + Duration::from_secs(30));
    }
}
