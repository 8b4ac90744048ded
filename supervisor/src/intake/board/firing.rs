//! What still fires of an incident that a person hands back.

use midwatch_policy::{IdError, IncidentId, ServiceName};

use crate::{
    alarm::{Alarm, AlarmState},
    intake::service_of,
};

use super::{Board, Decision, How, Orders, Ruling};

/// What still fires of an incident that has ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Firing {
    /// These alarms; the one that it was about comes first.
    Still(Vec<Alarm>),
    /// What does belongs to this incident by now.
    Elsewhere(IncidentId),
    /// Nothing, as far as anybody was told.
    Nothing,
}

impl Board {
    /// What still fires of an incident that has ended.
    pub fn firing(&self, incident: &IncidentId) -> Firing {
        let Some(group) = self.groups.get(incident) else { return Firing::Nothing };
        let tracks = group.members.iter().filter_map(|key| Some((key, self.tracks.get(key)?)));
        let fires: Vec<_> = tracks.filter(|(_, track)| track.state == AlarmState::Alarm).collect();
        let mut ours: Vec<_> = fires
            .iter()
            .filter(|(_, track)| track.incident.as_ref() == Some(incident))
            .filter_map(|(key, track)| Some((**key != group.lead, track.fired.as_deref()?.clone())))
            .collect();
        if !ours.is_empty() {
            ours.sort_by_key(|(other, _)| *other);
            return Firing::Still(ours.into_iter().map(|(_, alarm)| alarm).collect());
        }
        let elsewhere = fires.into_iter().find_map(|(_, track)| track.incident.clone());
        elsewhere.filter(|other| other != incident).map_or(Firing::Nothing, Firing::Elsewhere)
    }

    /// What an alarm means that fires on when its incident was handed back: the first one opens a
    /// new incident, the others belong to that.
    pub fn anew(
        &self,
        alarm: &Alarm,
        orders: &Orders,
        (after, by): (&IncidentId, &str),
        opened: Option<&IncidentId>,
        salt: u32,
    ) -> Result<Ruling, IdError> {
        let service: Option<ServiceName> =
            service_of(alarm, &orders.catalog).map(|service| service.name.clone());
        let decision = if let Some(incident) = opened {
            let incident = incident.clone();
            Decision::Joined { incident, how: How::Repeat, leads: false, absorbs: Vec::new() }
        } else {
            let (incident, salt) = self.fresh(alarm, salt)?;
            let (after, by) = (Some(after.clone()), Some(by.to_owned()));
            Decision::Opened { incident, salt, after, handed_back_by: by }
        };
        Ok(Ruling { service, decision })
    }
}
