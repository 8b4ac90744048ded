//! The board: which alarms there are, and which incident each belongs to. Pure.
//!
//! `Board::decide` looks and changes nothing; `Board::apply` changes and decides nothing. So what
//! was decided can be written down in between, and a board that is made again from what was
//! written is the same one, whatever the configuration says by then.
//!
//! INVARIANTS:
//! - alarms are ordered by their own time, never by that of their arrival: a state that is older
//!   than the one known changes no state;
//! - every alarm that fires ends in an incident, or in a decision that says why not and until when;
//! - an incident that was closed as over takes no alarm that fired after that.
//!
//! Waiting a minute before anything is opened, so that all alarms of a trouble are there, was
//! rejected: two incidents that turn out to be one are put together instead.

mod apply;
mod decide;
mod firing;
mod group;
#[cfg(test)]
mod tests;
mod track;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use midwatch_policy::{Catalog, IncidentId, ServiceName, SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::alarm::{Alarm, AlarmState};

use super::{
    identity::{AlarmKey, Trouble},
    quiet::Quiet,
    relations::{Kinship, Relations},
};

pub use firing::Firing;
pub use group::{Group, News};
use track::Track;

/// How alarms are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grouping {
    /// Two alarms of one service that are further apart are two troubles.
    pub same_service: SignedDuration,
    /// The same for services that are related.
    pub related: SignedDuration,
    /// The same for services that only share something they call.
    pub sibling: SignedDuration,
    /// An alarm that begins to fire this often within `flap_window` flaps.
    pub flaps: usize,
    /// See `flaps`.
    pub flap_window: SignedDuration,
    /// A flapping alarm that then fires this long without a break is looked at again.
    pub flap_hold: SignedDuration,
    /// So many incidents of one account and region within `storm_window` are a storm.
    pub storm: usize,
    /// See `storm`.
    pub storm_window: SignedDuration,
}

impl Default for Grouping {
    fn default() -> Self {
        Self {
            same_service: SignedDuration::from_mins(20),
            related: SignedDuration::from_mins(6),
            sibling: SignedDuration::from_mins(3),
            flaps: 4,
            flap_window: SignedDuration::from_hours(1),
            flap_hold: SignedDuration::from_mins(10),
            storm: 12,
            storm_window: SignedDuration::from_mins(5),
        }
    }
}

/// What is known beside the board, from configuration; another one after a reload.
#[derive(Debug, Clone, Default)]
pub struct Orders {
    /// The services.
    pub catalog: Arc<Catalog>,
    /// How they are related.
    pub relations: Arc<Relations>,
    /// What is not to be looked at.
    pub quiet: Quiet,
    /// How alarms are put together.
    pub grouping: Grouping,
}

impl Orders {
    /// Of a catalog and what the configuration says.
    pub fn new(catalog: Arc<Catalog>, quiet: Quiet, grouping: Grouping) -> Self {
        let relations = Arc::new(Relations::of(&catalog));
        Self { catalog, relations, quiet, grouping }
    }
}

/// Why an alarm belongs to an incident that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The same trouble once more.
    Repeat,
    /// The alarm flaps: it is counted and not looked at again.
    Flapping,
    /// The same service.
    Service,
    /// A related service.
    Kin(Kinship),
    /// Everything in this account and region goes off at once.
    Storm,
}

impl How {
    /// In a few words, for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Repeat => "the same trouble again",
            Self::Flapping => "it flaps",
            Self::Service => "the same service",
            Self::Kin(Kinship::Deployment) => "rolled out by the same deployment",
            Self::Kin(Kinship::Dependency) => "what fails calls it",
            Self::Kin(Kinship::Dependent) => "it calls what fails",
            Self::Kin(Kinship::Sibling) => "both call the same thing",
            Self::Storm => "part of a storm",
        }
    }
}

/// What an alarm means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    /// A new incident.
    Opened {
        /// Its id.
        incident: IncidentId,
        /// What its id was made with.
        salt: u32,
        /// The incident of the same trouble that was closed not long ago.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<IncidentId>,
        /// Who handed `after` back, where it was opened for that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        handed_back_by: Option<String>,
    },
    /// Part of an incident.
    Joined {
        /// Which.
        incident: IncidentId,
        /// Why.
        how: How,
        /// Whether the incident is about this alarm from now on.
        leads: bool,
        /// Incidents that turn out to be part of it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        absorbs: Vec<IncidentId>,
    },
    /// An alarm of an incident changed its state.
    Updated {
        /// Which incident.
        incident: IncidentId,
        /// The state it has now, which is not that of a message that came late.
        state: AlarmState,
        /// Whether no alarm of the incident fires any more, or has no data.
        all_clear: bool,
        /// An alarm of it flaps: people hear that all is clear if it is still so then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        told_at: Option<Timestamp>,
    },
    /// Somebody does not want to hear of it.
    Suppressed {
        /// Who, why, until when.
        #[serde(flatten)]
        hush: super::quiet::Hush,
    },
    /// Nothing has to be done about it.
    Noted {
        /// Why.
        why: String,
    },
    /// The same message once more.
    Duplicate {
        /// The incident it was for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        incident: Option<IncidentId>,
    },
}

impl Decision {
    /// The incident it is about.
    pub const fn incident(&self) -> Option<&IncidentId> {
        match self {
            Self::Opened { incident, .. }
            | Self::Joined { incident, .. }
            | Self::Updated { incident, .. } => Some(incident),
            Self::Duplicate { incident } => incident.as_ref(),
            Self::Suppressed { .. } | Self::Noted { .. } => None,
        }
    }

    /// In a word, for people and metrics.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "opened",
            Self::Joined { .. } => "joined",
            Self::Updated { .. } => "updated",
            Self::Suppressed { .. } => "suppressed",
            Self::Noted { .. } => "noted",
            Self::Duplicate { .. } => "duplicate",
        }
    }
}

/// A decision, with the service it was made for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// The service the alarm is about, where the catalog knew it then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// What the alarm means.
    #[serde(flatten)]
    pub decision: Decision,
}

/// All alarms and incidents.
#[derive(Debug, Clone, Default)]
pub struct Board {
    tracks: BTreeMap<AlarmKey, Track>,
    groups: BTreeMap<IncidentId, Group>,
    troubles: HashMap<Trouble, IncidentId>,
    by_service: BTreeMap<ServiceName, BTreeSet<IncidentId>>,
    /// Incidents that have ended and whose flapping alarms are quiet, with the alarm that went last and the moment
    /// from which on people hear that all is clear.
    calm: BTreeMap<IncidentId, (Box<Alarm>, Timestamp)>,
}

impl Board {
    /// The alarms of an incident.
    pub fn group(&self, incident: &IncidentId) -> Option<&Group> {
        self.groups.get(incident)
    }

    /// How many alarms are known.
    pub fn alarms(&self) -> usize {
        self.tracks.len()
    }

    /// Incidents that stayed quiet for long enough after their alarms had flapped, with the alarm that went last; each
    /// once.
    pub fn calmed(&mut self, now: Timestamp) -> Vec<(IncidentId, Box<Alarm>)> {
        let calm = self.calm.extract_if(.., |_, (_, told_at)| *told_at <= now);
        let calm: Vec<_> = calm.map(|(incident, (alarm, _))| (incident, alarm)).collect();
        let is_clear = |id: &IncidentId| self.groups.get(id).is_some_and(Group::is_clear);
        calm.into_iter().filter(|(incident, _)| is_clear(incident)).collect()
    }

    /// Alarms that were put off, and still fire, and whose time has come.
    pub fn due(&self, orders: &Orders, now: Timestamp) -> Vec<Alarm> {
        let held = self.tracks.values().filter(|track| track.state == AlarmState::Alarm);
        let held = held.filter_map(|track| track.held.as_ref()).filter(|held| held.is_due(orders, now));
        held.map(|held| (*held.alarm).clone()).collect()
    }
}
