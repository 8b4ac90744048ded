//! What people gave a supervisor back to see through: requests raised again, incidents handed back.

use midwatch_policy::{GivenBack, Hold, HoldState, SignedDuration};

use super::Office;
use crate::desk::{error::DeskError, principal::Principal};

/// How long something is named that was given back. A supervisor that was down for longer finds
/// the permits of that time expired long ago.
const NAMED_FOR: SignedDuration = SignedDuration::from_hours(24);
/// Most of a kind that are named: the newest.
const MOST: u32 = 200;

impl Office {
    /// What was given back to this supervisor. Nobody is told of another's.
    pub fn given_back(&self, who: &Principal) -> Result<GivenBack, DeskError> {
        who.is_asker()?;
        self.look(|tx| {
            let (people, now) = (self.people()?, tx.now());
            let since = now.saturating_sub(NAMED_FOR).unwrap_or(now);
            let mut raised = Vec::new();
            for record in tx.raised_for(&who.name, since, MOST)? {
                raised.push(people.settled(record, now)?.view(now)?);
            }
            let recent =
                |hold: &Hold| hold.state == HoldState::Working && hold.at.is_some_and(|at| at > since);
            let mut returned = tx.holds_of(&who.name)?;
            returned.retain(recent);
            returned.sort_by_key(|hold| hold.at);
            let most = usize::try_from(MOST).unwrap_or(usize::MAX);
            let returned = returned.split_off(returned.len().saturating_sub(most));
            Ok(GivenBack { raised, returned })
        })
    }
}
