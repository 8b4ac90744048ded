//! Looking at requests, and waiting until one changes.

use std::time::Duration;

use midwatch_policy::{RequestId, RequestState, RequestView};

use super::{Office, sees};
use crate::desk::{
    error::DeskError,
    principal::Principal,
    store::{Record, Tx},
};

/// Most requests in a list.
const LIST: u32 = 200;
/// Shortest pause between two looks of somebody who waits, whatever the clock does.
const PAUSE: Duration = Duration::from_millis(10);

/// A short name of a state, for waiting until it is another: an open one says how many approved.
pub(in crate::desk) fn mark(state: &RequestState) -> String {
    match state {
        RequestState::Open { approvers } => format!("open.{}", approvers.len()),
        other => other.as_str().to_owned(),
    }
}

/// Whether this is the state that somebody has seen; `open` means open, whoever approved.
fn is_seen(seen: &str, state: &RequestState) -> bool {
    seen == state.as_str() || seen == mark(state)
}

impl Office {
    /// A request.
    pub fn view(&self, who: &Principal, id: &RequestId) -> Result<RequestView, DeskError> {
        self.look(|tx| self.find(tx, who, id)?.view(tx.now()))
    }

    /// The newest requests that this principal may see, newest first; those in one state only, if
    /// it is named.
    pub fn list(&self, who: &Principal, state: Option<&str>) -> Result<Vec<RequestView>, DeskError> {
        self.look(|tx| {
            let (people, mut views) = (self.people()?, Vec::new());
            for record in tx.newest(stored(state), LIST)? {
                if sees(who, &record) {
                    let view = people.settled(record, tx.now())?.view(tx.now())?;
                    if state.is_none_or(|wanted| wanted == view.state.as_str()) {
                        views.push(view);
                    }
                }
            }
            Ok(views)
        })
    }

    /// The request, once its state is another than the one that was seen (by [`mark`]), or the
    /// time is over.
    pub async fn wait(
        &self,
        who: &Principal,
        id: &RequestId,
        seen: &str,
        longest: Option<Duration>,
    ) -> Result<RequestView, DeskError> {
        let mut changes = self.changes.subscribe();
        let over = async {
            match longest {
                Some(longest) => tokio::time::sleep(longest).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(over);
        loop {
            changes.borrow_and_update();
            let view = self.view(who, id)?;
            if !is_seen(seen, &view.state) {
                return Ok(view);
            }
            let deadline = async {
                if view.state.is_open() {
                    let left = view.shown.expires_at.duration_since(self.now());
                    self.config.clock.sleep(Duration::try_from(left).unwrap_or_default()).await;
                    tokio::time::sleep(PAUSE).await;
                } else {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                changed = changes.changed() => {
                    if changed.is_err() {
                        return Ok(view);
                    }
                }
                () = deadline => {}
                () = &mut over => return Ok(view),
            }
        }
    }

    /// Writes down what has expired or lost an approval, and removes tokens that nobody can use any
    /// more.
    pub fn sweep(&self) -> Result<usize, DeskError> {
        Ok(self.expire()? + self.leave()?)
    }

    /// Takes the approvals of people who are known no longer.
    fn leave(&self) -> Result<usize, DeskError> {
        let people = self.people()?;
        let changed = |tx: &Tx<'_>| -> Result<Vec<Record>, DeskError> {
            let mut changed = Vec::new();
            for record in tx.unfinished()? {
                let before = record.state.clone();
                let after = people.settled(record, tx.now())?;
                if after.state != before {
                    changed.push(after);
                }
            }
            Ok(changed)
        };
        // Nobody who waits is woken for nothing.
        if self.look(changed)?.is_empty() {
            return Ok(0);
        }
        self.change(|tx| {
            let changed = changed(tx)?;
            for record in &changed {
                tx.update(record)?;
                let (request, state) = (&record.shown.request, record.state.as_str());
                tracing::info!(target: "midwatch::audit", %request, state, "an approver is known no longer");
            }
            Ok(changed.len())
        })
    }

    fn expire(&self) -> Result<usize, DeskError> {
        let due = self.look(|tx| Ok(tx.overdue()?.len()))?;
        let expire = |tx: &Tx<'_>| {
            let mut expired = 0;
            for mut record in tx.overdue()? {
                record.state = record.state_at(tx.now());
                tx.update(&record)?;
                expired += 1;
                let request = &record.shown.request;
                tracing::info!(target: "midwatch::audit", %request, "request expired");
            }
            tx.wipe_tokens()?;
            Ok(expired)
        };
        // Nobody who waits is woken for nothing.
        if due == 0 { self.store.write(self.now(), expire) } else { self.change(expire) }
    }
}

/// A state as it is stored: what is stored as open may have expired since, and is both.
fn stored(state: Option<&str>) -> Option<&str> {
    state.filter(|state| *state != "expired")
}
