//! Whose an incident is, and the seal under its journal.

use midwatch_policy::{Digest, Hold, HoldState, IncidentId, RequestEvent, Seal};

use super::{Office, answer::stepped};
use crate::{
    desk::{
        error::{DeskError, Trouble},
        principal::Principal,
    },
    terminal::text::{clean, fit},
};

/// Longest note, in characters.
const NOTE: usize = 500;

impl Office {
    /// Whose an incident is.
    pub fn hold(&self, incident: &IncidentId) -> Result<Hold, DeskError> {
        self.look(|tx| tx.hold(incident))
    }

    /// A person takes an incident over: from now on Midwatch only reads and notes.
    pub fn take(&self, who: &Principal, incident: &IncidentId, note: &str) -> Result<Hold, DeskError> {
        self.set(who, incident, HoldState::Taken, note)
    }

    /// A person stops Midwatch's work on an incident.
    pub fn stop(&self, who: &Principal, incident: &IncidentId, note: &str) -> Result<Hold, DeskError> {
        self.set(who, incident, HoldState::Stopped, note)
    }

    /// A person hands an incident back that was taken over. What was withdrawn stays so.
    pub fn hand_back(&self, who: &Principal, incident: &IncidentId, note: &str) -> Result<Hold, DeskError> {
        self.set(who, incident, HoldState::Working, note)
    }

    fn set(
        &self,
        who: &Principal,
        incident: &IncidentId,
        state: HoldState,
        note: &str,
    ) -> Result<Hold, DeskError> {
        who.roles()?;
        let note = fit(&clean(&midwatch_policy::redact(note).text), NOTE);
        let (hold, withdrawn) = self.change(|tx| {
            let before = tx.hold(incident)?;
            if before.state == HoldState::Stopped && state != HoldState::Stopped {
                return Err(DeskError::new(
                    Trouble::Ended,
                    format!(
                        "`{}` has stopped Midwatch's work on `{incident}`, and that is final",
                        before.by.unwrap_or_default()
                    ),
                    "act by hand; what is only taken over can be handed back",
                ));
            }
            let hold = Hold {
                incident: incident.clone(),
                state,
                by: Some(who.name.clone()),
                note: note.clone(),
                at: Some(tx.now()),
            };
            tx.set_hold(&hold)?;
            let did = match state {
                HoldState::Working => return Ok((hold, 0)),
                HoldState::Taken => "took over",
                HoldState::Stopped => "stopped",
            };
            let mut withdrawn = 0;
            for record in tx.unfinished_of(incident)? {
                if record.state_at(tx.now()).is_open() || record.standing_permit(tx.now()).is_some() {
                    let why = format!("{} {did} the incident", who.name);
                    stepped(tx, record, &RequestEvent::Withdraw { why })?;
                    withdrawn += 1;
                }
            }
            Ok((hold, withdrawn))
        })?;
        tracing::info!(
            target: "midwatch::audit", %incident, by = who.name, state = ?hold.state, note, withdrawn,
            "incident held"
        );
        Ok(hold)
    }

    /// Signs the head of an incident's journal. A journal that grew shorter, or whose head is
    /// another one at the same length, was rewritten and is not signed.
    pub fn seal(
        &self,
        who: &Principal,
        incident: &IncidentId,
        entries: u32,
        head: Digest,
    ) -> Result<String, DeskError> {
        who.is_asker()?;
        let text = head.to_string();
        self.change(|tx| {
            if let Some((asker, before, known)) = tx.sealed(incident)? {
                if asker != who.name {
                    return Err(who.may_not(&format!("`{asker}` keeps the journal of `{incident}`")));
                }
                if entries < before || (entries == before && known != text) {
                    tracing::error!(
                        target: "midwatch::audit", %incident, by = who.name, before, entries,
                        "a journal was rewritten"
                    );
                    return Err(DeskError::new(
                        Trouble::Invalid,
                        format!("the journal of `{incident}` had {before} entries and another head: it was rewritten"),
                        "compare it with its last seal; it is not signed",
                    ));
                }
            }
            let seal = Seal { incident: incident.clone(), entries, head, at: tx.now() };
            let signature = self.config.keys.seal(&seal)?;
            tx.set_seal(incident, &who.name, (entries, &text, &signature))?;
            Ok(signature)
        })
    }
}
