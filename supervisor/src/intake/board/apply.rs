//! What a decision changes on the board.

use std::collections::{BTreeMap, BTreeSet};

use midwatch_policy::{IncidentId, ServiceName, SignedDuration, Timestamp};

use crate::{
    alarm::{Alarm, AlarmState},
    intake::identity::{AlarmKey, Trouble},
};

use super::{
    Board, Decision, Grouping, How, Ruling,
    group::{Finished, Group, Span},
    track::{Held, Seen, Track, Why},
};

/// State changes of one alarm that are remembered, to know a message that comes again.
const SEEN: usize = 32;
/// How long an alarm or an incident that nothing comes in for is remembered.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(48);
/// How long an alarm may fire on after its incident is over before it is looked at again.
const LINGERS: SignedDuration = SignedDuration::from_mins(5);

impl Board {
    /// Makes the board what it is after a decision.
    pub fn apply(&mut self, alarm: &Alarm, ruling: &Ruling, grouping: &Grouping, now: Timestamp) {
        let key = AlarmKey::of(alarm);
        self.see(&key, alarm, &ruling.decision, grouping, now);
        match &ruling.decision {
            Decision::Opened { incident, after, handed_back_by, .. } => {
                // What comes from now on is not for the one that was handed back.
                if handed_back_by.is_some()
                    && let Some(before) = after
                    && let Some(before) = self.groups.get_mut(before)
                {
                    before.finished = Some(Finished { at: now, with_a_person: false, is_quiet: false });
                }
                let group = Group {
                    lead: key.clone(),
                    lead_service: ruling.service.clone(),
                    place: (alarm.account.clone(), alarm.region.clone()),
                    members: BTreeSet::new(),
                    firing: BTreeSet::new(),
                    without_data: BTreeSet::new(),
                    services: BTreeMap::new(),
                    span: Span::at(alarm.at),
                    repeats: 0,
                    finished: None,
                    storm: false,
                    touched: now,
                };
                self.groups.insert(incident.clone(), group);
                self.belongs(&key, alarm, ruling, incident, now);
            }
            Decision::Joined { incident, how, leads, absorbs } => {
                for other in absorbs {
                    self.absorb(incident, other);
                }
                self.belongs(&key, alarm, ruling, incident, now);
                if let Some(group) = self.groups.get_mut(incident) {
                    group.repeats = group.repeats.saturating_add(u32::from(*how == How::Repeat));
                    group.storm |= *how == How::Storm;
                    if *leads {
                        group.lead = key.clone();
                        group.lead_service.clone_from(&ruling.service);
                    }
                }
                if *how == How::Flapping {
                    let until = now.saturating_add(grouping.flap_hold).unwrap_or(now);
                    self.hold(&key, alarm, until, Why::Stays);
                }
            }
            Decision::Updated { incident, told_at, .. } => {
                let state = self.tracks.get(&key).map_or(alarm.state, |track| track.state);
                if let Some(group) = self.groups.get_mut(incident) {
                    group.touched = now;
                    if state != AlarmState::Alarm {
                        group.turns(&key, state);
                    }
                    match told_at.filter(|_| group.is_finished() && group.is_clear()) {
                        Some(at) => drop(self.calm.insert(incident.clone(), (Box::new(alarm.clone()), at))),
                        None => drop(self.calm.remove(incident)),
                    }
                }
            }
            Decision::Suppressed { hush } => {
                let why = if hush.is_by_cloudwatch() { Why::CloudWatch } else { Why::Quiet };
                if let Some(until) = hush.until {
                    self.hold(&key, alarm, until, why);
                }
            }
            Decision::Noted { .. } | Decision::Duplicate { .. } => {}
        }
    }

    /// An incident has come to its end. `with_a_person`: more of the same still belongs to it.
    /// Otherwise it is over, and an alarm of it that fires on for a while is looked at again:
    /// nothing more comes in for it by itself.
    pub fn finish(&mut self, incident: &IncidentId, with_a_person: bool, now: Timestamp) {
        let Some(group) = self.groups.get_mut(incident) else { return };
        group.finished = Some(Finished { at: now, with_a_person, is_quiet: group.firing.is_empty() });
        group.touched = now;
        if with_a_person {
            return;
        }
        let until = now.saturating_add(LINGERS).unwrap_or(now);
        for key in &group.firing {
            if let Some(track) = self.tracks.get_mut(key)
                && track.state == AlarmState::Alarm
                && track.held.is_none()
            {
                track.held = track.fired.clone().map(|alarm| Held { alarm, until, why: Why::Stays });
            }
        }
    }

    /// Forgets what nothing came in for in a long time; an incident under way is never forgotten.
    pub fn prune(&mut self, now: Timestamp) {
        let Ok(limit) = now.checked_sub(REMEMBERED) else { return };
        self.groups.retain(|_, group| group.finished.is_none() || group.touched > limit);
        let groups = &self.groups;
        self.tracks.retain(|_, track| {
            let held = track.held.is_some() && track.state == AlarmState::Alarm;
            let open = track.incident.as_ref().is_some_and(|id| groups.contains_key(id));
            held || open || track.touched > limit
        });
        self.troubles.retain(|_, incident| groups.contains_key(incident));
        self.calm.retain(|incident, _| groups.contains_key(incident));
        self.by_service.retain(|_, incidents| {
            incidents.retain(|incident| groups.contains_key(incident));
            !incidents.is_empty()
        });
    }

    fn see(
        &mut self,
        key: &AlarmKey,
        alarm: &Alarm,
        decision: &Decision,
        grouping: &Grouping,
        now: Timestamp,
    ) {
        let track = self.tracks.entry(key.clone()).or_insert_with(|| Track {
            state: alarm.state,
            at: alarm.at,
            seen: Vec::new(),
            rises: Vec::new(),
            incident: None,
            held: None,
            fired: None,
            touched: now,
        });
        track.touched = now;
        // Whatever it is held for is decided anew; what is not put off any more is looked at.
        let looked_at = matches!(decision, Decision::Opened { .. } | Decision::Joined { .. });
        if track.held.as_ref().is_some_and(|held| held.until <= now || looked_at && held.why != Why::Stays) {
            track.held = None;
        }
        let by_cloudwatch = matches!(decision, Decision::Suppressed { hush } if hush.is_by_cloudwatch());
        if let Some(seen) = track.seen.iter_mut().find(|seen| seen.is(alarm)) {
            if !matches!(decision, Decision::Duplicate { .. }) {
                seen.by_cloudwatch = by_cloudwatch;
            }
            return;
        }
        track.seen.push(Seen { at: alarm.at, state: alarm.state, by_cloudwatch });
        if track.seen.len() > SEEN {
            track.seen.remove(0);
        }
        if alarm.at >= track.at {
            (track.at, track.state) = (alarm.at, alarm.state);
            track.fired = (alarm.state == AlarmState::Alarm).then(|| Box::new(alarm.clone()));
        }
        if alarm.state == AlarmState::Alarm {
            track.rises.push(alarm.at);
            let newest = track.rises.iter().max().copied().unwrap_or(alarm.at);
            if let Ok(since) = newest.checked_sub(grouping.flap_window) {
                track.rises.retain(|at| *at > since);
            }
        }
        if track.state != AlarmState::Alarm {
            track.held = None;
        }
    }

    fn belongs(
        &mut self,
        key: &AlarmKey,
        alarm: &Alarm,
        ruling: &Ruling,
        incident: &IncidentId,
        now: Timestamp,
    ) {
        let service = ruling.service.as_ref();
        self.troubles.insert(Trouble::of(alarm, service.map(ServiceName::as_str)), incident.clone());
        let Some(track) = self.tracks.get_mut(key) else { return };
        track.incident = Some(incident.clone());
        let state = track.state;
        let Some(group) = self.groups.get_mut(incident) else { return };
        group.members.insert(key.clone());
        group.turns(key, state);
        if state.holds_back() {
            self.calm.remove(incident);
        }
        group.span.reach(alarm.at);
        group.touched = now;
        if let Some(service) = service {
            group
                .services
                .entry(service.clone())
                .and_modify(|span| span.reach(alarm.at))
                .or_insert_with(|| Span::at(alarm.at));
            self.by_service.entry(service.clone()).or_default().insert(incident.clone());
        }
    }

    fn hold(&mut self, key: &AlarmKey, alarm: &Alarm, until: Timestamp, why: Why) {
        if let Some(track) = self.tracks.get_mut(key)
            && track.state == AlarmState::Alarm
        {
            track.held = Some(Held { alarm: Box::new(alarm.clone()), until, why });
        }
    }

    /// One incident becomes part of another.
    fn absorb(&mut self, into: &IncidentId, other: &IncidentId) {
        if !self.groups.contains_key(into) || into == other {
            return;
        }
        let Some(gone) = self.groups.remove(other) else { return };
        for key in &gone.members {
            if let Some(track) = self.tracks.get_mut(key) {
                track.incident = Some(into.clone());
            }
        }
        for incident in self.troubles.values_mut().filter(|incident| *incident == other) {
            incident.clone_from(into);
        }
        for service in gone.services.keys() {
            let incidents = self.by_service.entry(service.clone()).or_default();
            incidents.remove(other);
            incidents.insert(into.clone());
        }
        let Some(group) = self.groups.get_mut(into) else { return };
        group.members.extend(gone.members);
        group.firing.extend(gone.firing);
        group.without_data.extend(gone.without_data);
        group.span.reach(gone.span.first);
        group.span.reach(gone.span.last);
        group.repeats = group.repeats.saturating_add(gone.repeats);
        group.storm |= gone.storm;
        for (service, span) in gone.services {
            let known = group.services.entry(service).or_insert(span);
            known.reach(span.first);
            known.reach(span.last);
        }
    }
}
