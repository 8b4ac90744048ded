//! What else came in for an incident, from the inbox: right after a restart, and whatever holds its journal up.

use std::sync::Arc;

use futures::future::BoxFuture;
use midwatch_policy::IncidentId;

use crate::{
    alarm::Alarm,
    intake::{
        board::Decision,
        inbox::{Inbox, Noted},
    },
    others::{Company, Gathered, Others},
};

use super::site::Sites;

/// The inbox, and the catalog that says whose alarms they are.
#[derive(Debug)]
pub(super) struct CameIn {
    pub(super) inbox: Inbox,
    pub(super) sites: Arc<Sites>,
}

impl Company for CameIn {
    fn of<'a>(&'a self, incident: &'a IncidentId, lead: &'a Alarm) -> BoxFuture<'a, Others> {
        Box::pin(async move {
            let rows = match self.inbox.all_of(incident.clone()).await {
                Ok(rows) => rows,
                Err(error) => {
                    tracing::warn!(%incident, %error, "what else came in for an incident cannot be read");
                    return Others::default();
                }
            };
            let catalog = Arc::clone(&self.sites.now().catalog);
            let mut gathered = Gathered::beside(lead);
            for row in rows {
                if let Noted::Alarm { alarm, ruling } = row.noted
                    && matches!(ruling.decision, Decision::Opened { .. } | Decision::Joined { .. })
                {
                    gathered.take(&alarm, &catalog);
                }
            }
            gathered.others()
        })
    }
}
