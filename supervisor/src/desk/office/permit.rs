//! Permits on their way to the server: fetched, checked, used.

use midwatch_policy::{
    Action, Fetched, HoldState, Outcome, PermitId, RequestEvent, RequestState, RequestView,
};

use super::{
    Office,
    answer::{no_permit, said, stepped},
};
use crate::desk::{
    error::DeskError,
    principal::Principal,
    store::{Record, Tx},
};

impl Office {
    /// The permit that was given to this caller for exactly this action at this server, if any.
    pub fn fetch_permit(
        &self,
        who: &Principal,
        subject: &str,
        action: &Action,
    ) -> Result<Option<Fetched>, DeskError> {
        who.is_server()?;
        let fetched = self.look(|tx| {
            let people = self.people()?;
            for record in tx.same(subject, action, ["approved", "approved"])? {
                let record = people.settled(record, tx.now())?;
                let Some(permit) = record.standing_permit(tx.now()) else { continue };
                if record.shown.audience != who.name || !worked_on(tx, &record)? {
                    continue;
                }
                if let Some(token) = tx.token(permit)? {
                    return Ok(Some(Fetched { request: record.shown.request.clone(), token }));
                }
            }
            Ok(None)
        })?;
        if let Some(fetched) = &fetched {
            tracing::info!(
                target: "midwatch::audit", request = %fetched.request, by = who.name, subject, "permit fetched"
            );
        }
        Ok(fetched)
    }

    /// Whether a permit still stands, and all who approved it: asked just before it is spent in that store.
    /// The first store that asks is written down, and no other gets a yes: a second server with a store of its
    /// own, or one whose store was lost, does not know what was spent.
    pub fn check(&self, who: &Principal, permit: &PermitId, store: &str) -> Result<bool, DeskError> {
        who.is_server()?;
        let store = said(store)?;
        self.change(|tx| {
            let Some(record) = tx.request_of(permit)?.filter(|record| record.shown.audience == who.name)
            else {
                return Ok(false);
            };
            let mut record = self.people()?.settled(record, tx.now())?;
            if record.standing_permit(tx.now()) != Some(permit) || !worked_on(tx, &record)? {
                return Ok(false);
            }
            match &record.spender {
                None => {
                    record.spender = Some(store.clone());
                    tx.update(&record)?;
                    Ok(true)
                }
                Some(known) if *known == store => Ok(true),
                Some(_) => {
                    tracing::error!(
                        target: "midwatch::audit", request = %record.shown.request, %permit, by = who.name,
                        "a permit is to be spent in a second store: two servers under one name, or a store that was lost"
                    );
                    Ok(false)
                }
            }
        })
    }

    /// What came of the act. Said twice, it is written once. Of a permit that was voided while the server
    /// acted on it, too: what was done was done.
    pub fn used(
        &self,
        who: &Principal,
        permit: &PermitId,
        outcome: Outcome,
    ) -> Result<RequestView, DeskError> {
        who.is_server()?;
        let view = self.change(|tx| {
            let record = tx
                .request_of(permit)?
                .filter(|record| record.shown.audience == who.name)
                .ok_or_else(|| no_permit(permit))?;
            match &record.state {
                RequestState::Used { outcome: known, .. } if *known == outcome => record.view(tx.now()),
                _ => stepped(tx, record, &RequestEvent::Use { outcome }),
            }
        });
        match &view {
            Ok(view) => {
                let request = &view.shown.request;
                tracing::info!(target: "midwatch::audit", %request, %permit, by = who.name, ?outcome, "permit used");
                if let Some(void) = view.state.acted_though_void() {
                    // A person has to know: they were told that nothing would be done any more.
                    tracing::error!(
                        target: "midwatch::audit", %request, incident = %view.shown.incident, %permit, ?outcome,
                        void = void.why, since = %void.since, "acted on a permit that was void"
                    );
                }
            }
            Err(error) => tracing::error!(
                target: "midwatch::audit", %permit, by = who.name, ?outcome, %error,
                "a permit was used that the desk never gave"
            ),
        }
        view
    }
}

/// Whether Midwatch still works on the incident.
fn worked_on(tx: &Tx<'_>, record: &Record) -> Result<bool, DeskError> {
    Ok(tx.hold(&record.shown.incident)?.state == HoldState::Working)
}
