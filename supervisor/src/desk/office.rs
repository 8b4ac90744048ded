//! The desk itself: takes requests, shows them, takes answers, signs, hands permits out.
//!
//! INVARIANTS:
//! - the plan is the one that the desk fetched itself; what is shown is what is signed;
//! - a request changes through `RequestState::step` and in no other way, and the change is on disk
//!   before anybody is told;
//! - a permit is signed in the transaction that writes the last approval down, so that two
//!   approvals at once make one permit;
//! - every method is given an authenticated principal and checks what it may do.

mod admit;
mod answer;
mod back;
mod file;
mod grounds;
mod hold;
mod people;
mod permit;
mod see;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use midwatch_mcp::KeyFile;
use midwatch_policy::{Clock, PublicKeys, RequestId, SignedDuration, Timestamp};
use tokio::sync::watch;

pub use admit::Limits;
pub use answer::Yes;
pub use file::Filed;
pub use people::Known;
pub(super) use see::mark;

use super::{
    error::{DeskError, Trouble},
    planner::Planner,
    principal::{Principal, PrincipalKind},
    ring::KeyRing,
    sources::Sources,
    store::{Record, Store, StoreError, Tx},
};

/// What a desk is made of.
#[derive(Debug)]
pub struct OfficeConfig {
    /// The keys.
    pub keys: KeyRing,
    /// Catalog, policy, calendar and runbooks.
    pub sources: Sources,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Who plans.
    pub planner: Arc<dyn Planner>,
    /// The remediation server whose plans these are, as permits name it.
    pub audience: String,
    /// Who is known.
    pub known: Known,
    /// How much may be asked.
    pub limits: Limits,
    /// How long people are asked, where that is shorter than policy says.
    pub ask_for: Option<SignedDuration>,
}

/// The desk.
#[derive(Debug)]
pub struct Office {
    store: Store,
    config: OfficeConfig,
    changes: watch::Sender<u64>,
}

impl Office {
    /// A desk with a store in this file.
    pub fn open(store: &std::path::Path, config: OfficeConfig) -> Result<Self, StoreError> {
        Ok(Self::with(Store::open(store)?, config))
    }

    /// A desk whose store ends with it.
    pub fn in_memory(config: OfficeConfig) -> Result<Self, StoreError> {
        Ok(Self::with(Store::in_memory()?, config))
    }

    fn with(store: Store, config: OfficeConfig) -> Self {
        Self { store, config, changes: watch::Sender::new(0) }
    }

    /// The keys whose permits are good.
    pub fn accepted_keys(&self) -> Result<PublicKeys, DeskError> {
        self.config.keys.accepted()
    }

    /// All public keys with their states.
    pub fn known_keys(&self) -> Result<KeyFile, DeskError> {
        self.config.keys.known()
    }

    /// The name that permits are for.
    pub fn audience(&self) -> &str {
        &self.config.audience
    }

    fn now(&self) -> Timestamp {
        self.config.clock.now()
    }

    /// The request as it is now, if it is there for this principal.
    fn find(&self, tx: &Tx<'_>, who: &Principal, id: &RequestId) -> Result<Record, DeskError> {
        let record = tx.request(id)?.filter(|record| sees(who, record)).ok_or_else(|| {
            let message = format!("there is no request `{id}`");
            DeskError::new(Trouble::NotFound, message, "`midwatch approvals` lists them")
        })?;
        self.people()?.settled(record, tx.now())
    }

    /// Reads at one moment.
    fn look<T>(&self, work: impl FnOnce(&Tx<'_>) -> Result<T, DeskError>) -> Result<T, DeskError> {
        self.store.read(self.now(), work)
    }

    /// Changes something; whoever waits looks again.
    fn change<T>(&self, work: impl FnOnce(&Tx<'_>) -> Result<T, DeskError>) -> Result<T, DeskError> {
        let done = self.store.write(self.now(), work)?;
        self.changes.send_modify(|n| *n = n.wrapping_add(1));
        Ok(done)
    }
}

/// Whether this principal may see the request. To who may not, it is not there.
fn sees(who: &Principal, record: &Record) -> bool {
    match who.kind {
        PrincipalKind::Person { .. } => true,
        PrincipalKind::Asker => record.asker == who.name || record.shown.subject == who.name,
        PrincipalKind::Server => record.shown.audience == who.name,
    }
}
