//! What comes in for an incident from elsewhere while it is at work, as its journal shows it: more
//! alarms, and a person who takes it over or stops it; and how long it waited for quotas.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use midwatch_agents::events::AgentEvent;
use midwatch_policy::{Catalog, HoldState};
use tokio_util::sync::CancellationToken;

use crate::{
    alarm::Alarm,
    event::{Event, Noted, View},
    others::{Gathered, Others},
    run::RunWait,
};

/// Less than this is not worth a line.
const WORTH_TELLING_MS: u64 = 1_000;

/// Everything that came so far.
#[derive(Debug)]
pub(super) struct Aside {
    catalog: Arc<Catalog>,
    came: Mutex<Came>,
    /// A person holds the incident.
    held: CancellationToken,
}

#[derive(Debug)]
struct Came {
    gathered: Gathered,
    hold: Option<(HoldState, String)>,
    /// Milliseconds, by model.
    waited: BTreeMap<String, u64>,
}

impl Aside {
    /// Nothing yet, of an incident that was opened for an alarm.
    pub(super) fn of(lead: &Alarm, catalog: &Arc<Catalog>) -> Arc<Self> {
        let came = Mutex::new(Came { gathered: Gathered::beside(lead), hold: None, waited: BTreeMap::new() });
        Arc::new(Self { catalog: Arc::clone(catalog), came, held: CancellationToken::new() })
    }

    /// The other alarms.
    pub(super) fn others(&self) -> Others {
        self.came().gathered.others()
    }

    /// Whose it is, if a person holds it, and in a sentence.
    pub(super) fn hold(&self) -> Option<(HoldState, String)> {
        self.came().hold.clone()
    }

    /// Quotas that were waited for, where that came to something.
    pub(super) fn waited(&self) -> Vec<RunWait> {
        let came = self.came();
        let long = came.waited.iter().filter(|(_, ms)| **ms >= WORTH_TELLING_MS);
        long.map(|(model, ms)| RunWait { quota: format!("the quota of {model}"), ms: *ms }).collect()
    }

    /// Returns once a person holds it.
    pub(super) async fn held(&self) {
        self.held.cancelled().await;
    }

    fn came(&self) -> MutexGuard<'_, Came> {
        self.came.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, noted: &Noted) {
        match &noted.event {
            Event::Joined { alarm, .. } => self.came().gathered.take(alarm, &self.catalog),
            Event::Held { state, text, .. } => {
                self.came().hold = Some((*state, text.clone()));
                self.held.cancel();
            }
            Event::Agent { agent: AgentEvent::Waited { model, ms, .. } } => {
                let mut came = self.came();
                let waited = came.waited.entry(model.clone()).or_default();
                *waited = waited.saturating_add(*ms);
            }
            _ => {}
        }
    }
}

/// Shows on what it sees, and keeps what came from elsewhere.
pub(super) struct Sees {
    pub(super) view: Box<dyn View>,
    pub(super) aside: Arc<Aside>,
}

impl View for Sees {
    fn show(&mut self, noted: &Noted) {
        self.aside.take(noted);
        self.view.show(noted);
    }

    fn again(&mut self, noted: &Noted) {
        self.aside.take(noted);
        self.view.again(noted);
    }
}
