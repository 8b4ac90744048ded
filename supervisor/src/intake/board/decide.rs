//! What an alarm means.

use midwatch_policy::{IdError, IncidentId, ServiceName, SignedDuration, Timestamp};

use crate::{
    alarm::{Alarm, AlarmState},
    intake::{
        identity::{AlarmKey, Trouble},
        incident_id,
        quiet::Hush,
        relations::Kinship,
        service_of,
    },
};

use super::{Board, Decision, Grouping, How, Orders, Ruling, group::Incoming, track::Track};

/// How long an incident takes its own alarms again that never stopped, or while it is at work.
const STILL: SignedDuration = SignedDuration::from_hours(24);
/// Two alarms of one service in a storm that are further apart are two troubles.
const SHORT: SignedDuration = SignedDuration::from_mins(5);

impl Board {
    /// What an alarm means that comes in now. `salt` makes the id of an incident, should it open one.
    pub fn decide(
        &self,
        alarm: &Alarm,
        orders: &Orders,
        now: Timestamp,
        salt: u32,
    ) -> Result<Ruling, IdError> {
        let service = service_of(alarm, &orders.catalog);
        let name = service.map(|service| service.name.clone());
        let track = self.tracks.get(&AlarmKey::of(alarm));
        let due = track.is_some_and(|t| t.held.as_ref().is_some_and(|held| held.is_due(orders, now)));
        let ruled = |decision| Ok(Ruling { service: name.clone(), decision });
        if let Some(track) = track
            && !due
            && track.seen.iter().any(|seen| seen.covers(alarm))
        {
            return ruled(Decision::Duplicate { incident: track.incident.clone() });
        }
        if alarm.state != AlarmState::Alarm
            && let Some(update) = self.update(alarm, track, &orders.grouping, now)
        {
            return ruled(update);
        }
        if !alarm.state.holds_back() {
            let what = if alarm.state == AlarmState::Deleted { "was deleted" } else { "went to OK" };
            return ruled(Decision::Noted { why: format!("it {what}, and no incident is open for it") });
        }
        if !due && let Some(hush) = Hush::of_cloudwatch(alarm, now) {
            return ruled(Decision::Suppressed { hush });
        }
        if let Some(hush) = orders.quiet.hush(alarm, service, now) {
            return ruled(Decision::Suppressed { hush });
        }
        if !due && let Some(decision) = self.flaps(alarm, track, orders) {
            return ruled(decision);
        }
        let incoming = Incoming { alarm, key: AlarmKey::of(alarm), due };
        let joined = self
            .repeats(&incoming, name.as_ref(), track, orders)
            .or_else(|| self.of_service(&incoming, name.as_ref()?, orders))
            .or_else(|| self.of_kin(&incoming, name.as_ref()?, orders))
            .or_else(|| self.of_storm(&incoming, orders, now));
        if let Some(decision) = joined {
            return ruled(decision);
        }
        let after = self.troubles.get(&Trouble::of(alarm, name.as_ref().map(ServiceName::as_str)));
        let recent = after.filter(|id| {
            self.groups
                .get(*id)
                .is_some_and(|group| group.span.distance(alarm.at) <= orders.grouping.flap_window)
        });
        let (incident, salt) = self.fresh(alarm, salt)?;
        ruled(Decision::Opened { incident, salt, after: recent.cloned(), handed_back_by: None })
    }

    /// An id that no incident has yet.
    pub(super) fn fresh(&self, alarm: &Alarm, mut salt: u32) -> Result<(IncidentId, u32), IdError> {
        loop {
            let id = incident_id(alarm, salt)?;
            if !self.groups.contains_key(&id) {
                return Ok((id, salt));
            }
            salt = salt.wrapping_add(1);
        }
    }

    /// A change of an alarm that an incident is about, for the better or into the unknown.
    fn update(
        &self,
        alarm: &Alarm,
        track: Option<&Track>,
        grouping: &Grouping,
        now: Timestamp,
    ) -> Option<Decision> {
        let track = track?;
        let incident = track.incident.clone()?;
        let group = self.groups.get(&incident)?;
        let key = AlarmKey::of(alarm);
        // A state from before the one that is known changes nothing.
        let is_late = alarm.at < track.at;
        let state = if is_late { track.state } else { alarm.state };
        // Insufficient data is never OK; for what was deleted nothing ever comes in that could be.
        let all_clear = !is_late && !state.holds_back() && !group.has_others(&key);
        // What flaps would wake people each time, and so would the end of it.
        let flapped = all_clear && (self.calm.contains_key(&incident) || has_flapped(alarm, track, grouping));
        let told_at = flapped.then(|| now.saturating_add(grouping.flap_hold).unwrap_or(now));
        Some(Decision::Updated { incident, state, all_clear, told_at })
    }

    fn flaps(&self, alarm: &Alarm, track: Option<&Track>, orders: &Orders) -> Option<Decision> {
        let track = track?;
        let incident = track.incident.clone()?;
        let since = alarm.at.saturating_sub(orders.grouping.flap_window).ok()?;
        let rises = track.rises.iter().filter(|at| **at > since && **at < alarm.at).count() + 1;
        (rises >= orders.grouping.flaps && self.groups.contains_key(&incident)).then_some(Decision::Joined {
            incident,
            how: How::Flapping,
            leads: false,
            absorbs: Vec::new(),
        })
    }

    fn repeats(
        &self,
        incoming: &Incoming<'_>,
        service: Option<&ServiceName>,
        track: Option<&Track>,
        orders: &Orders,
    ) -> Option<Decision> {
        let alarm = incoming.alarm;
        let incident = self.troubles.get(&Trouble::of(alarm, service.map(ServiceName::as_str)))?;
        let group = self.groups.get(incident)?;
        // It never stopped, or nobody knows that it did: what fires is what the incident is about, however long ago it
        // began.
        let still = track.is_some_and(|track| track.state.holds_back());
        let window = if still || !group.is_finished() { STILL } else { orders.grouping.same_service };
        let near = group.span.distance(alarm.at) <= window;
        (group.takes(incoming) && near).then(|| joined(incident, How::Repeat))
    }

    fn of_service(
        &self,
        incoming: &Incoming<'_>,
        service: &ServiceName,
        orders: &Orders,
    ) -> Option<Decision> {
        let (incident, _) = self.nearest(service, incoming, orders.grouping.same_service)?;
        Some(joined(incident, How::Service))
    }

    fn of_kin(&self, incoming: &Incoming<'_>, service: &ServiceName, orders: &Orders) -> Option<Decision> {
        let grouping = &orders.grouping;
        let mut found: Vec<(Kinship, SignedDuration, &IncidentId)> = orders
            .relations
            .kin(service)
            .filter_map(|(other, kinship)| {
                let window = match kinship {
                    Kinship::Sibling => grouping.sibling,
                    Kinship::Deployment | Kinship::Dependency | Kinship::Dependent => grouping.related,
                };
                let (incident, distance) = self.nearest(other, incoming, window)?;
                let group = self.groups.get(incident)?;
                // Whoever is related to any of many services is related to everybody: it has to be
                // the one that the incident is about, or something that one of them calls.
                let central = kinship == Kinship::Dependency || group.lead_service.as_ref() == Some(other);
                (central && !group.storm).then_some((kinship, distance, incident))
            })
            .collect();
        found.sort();
        let (kinship, _, mut incident) = *found.first()?;
        // What several incidents call has failed: they are one.
        let mut absorbs: Vec<IncidentId> = Vec::new();
        if kinship == Kinship::Dependency {
            let called = || found.iter().filter(|(kinship, ..)| *kinship == Kinship::Dependency);
            let age = |id: &IncidentId| self.groups.get(id).map(|g| (g.is_finished(), g.span.first));
            incident = called().map(|(_, _, id)| *id).min_by_key(|id| (age(id), *id)).unwrap_or(incident);
            for (_, _, other) in called() {
                if *other != incident && !absorbs.contains(other) {
                    absorbs.push((*other).clone());
                }
            }
        }
        // The incident is about what is called by everything else that fails.
        let lead = self.groups.get(incident).and_then(|group| group.lead_service.as_ref());
        let leads =
            lead.is_none_or(|lead| orders.relations.between(service, lead) == Some(Kinship::Dependency));
        let (incident, how) = (incident.clone(), How::Kin(kinship));
        Some(Decision::Joined { incident, how, leads, absorbs })
    }

    fn of_storm(&self, incoming: &Incoming<'_>, orders: &Orders, now: Timestamp) -> Option<Decision> {
        let alarm = incoming.alarm;
        let grouping = &orders.grouping;
        let place = (alarm.account.clone(), alarm.region.clone());
        let lately = now.saturating_sub(grouping.storm_window.saturating_add(grouping.same_service)).ok()?;
        let mut near: Vec<_> = self
            .groups
            .iter()
            .filter(|(_, group)| group.touched >= lately && group.place == place && group.takes(incoming))
            .filter(|(_, group)| group.span.distance(alarm.at) <= grouping.storm_window)
            // What has ended is nobody's investigation: it neither takes others in nor is one of many. A storm that a
            // person has takes more of it, and they are told.
            .filter(|(_, group)| group.storm || !group.is_finished())
            .collect();
        if let Some((incident, _)) = near.iter().find(|(_, group)| group.storm) {
            return Some(joined(incident, How::Storm));
        }
        if near.len() < grouping.storm {
            return None;
        }
        near.sort_by_key(|(id, group)| (std::cmp::Reverse(group.members.len()), group.span.first, *id));
        let (first, others) = near.split_first()?;
        let absorbs = others.iter().map(|(incident, _)| (*incident).clone()).collect();
        let incident = first.0.clone();
        Some(Decision::Joined { incident, how: How::Storm, leads: false, absorbs })
    }

    /// The incident with an alarm of the service that is nearest in time.
    fn nearest(
        &self,
        service: &ServiceName,
        incoming: &Incoming<'_>,
        window: SignedDuration,
    ) -> Option<(&IncidentId, SignedDuration)> {
        let incidents = self.by_service.get(service)?;
        incidents
            .iter()
            .filter_map(|id| {
                let group = self.groups.get(id).filter(|group| group.takes(incoming))?;
                let distance = group.distance(service, incoming.alarm.at)?;
                // Everything is in a storm: only what is near in time is part of it.
                let window = if group.storm { window.min(SHORT) } else { window };
                (distance <= window).then_some((id, distance))
            })
            .min_by_key(|(id, distance)| (*distance, *id))
    }
}

fn joined(incident: &IncidentId, how: How) -> Decision {
    Decision::Joined { incident: incident.clone(), how, leads: false, absorbs: Vec::new() }
}

/// Whether an alarm that is quiet now flapped until then.
fn has_flapped(alarm: &Alarm, track: &Track, grouping: &Grouping) -> bool {
    let Ok(since) = alarm.at.checked_sub(grouping.flap_window) else { return false };
    track.rises.iter().filter(|at| **at > since).count() >= grouping.flaps
}
