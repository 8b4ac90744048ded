//! Whether a request may be filed at all: before it costs a plan, and again when it is written.

use midwatch_policy::{Action, HoldState, IncidentId, RequestState, SignedDuration};

use super::people::People;
use crate::desk::{
    error::{DeskError, Trouble},
    store::{Record, Tx},
};

/// How long what a person declined is not asked again without new evidence.
const DECLINED_FOR: SignedDuration = SignedDuration::from_hours(24);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// How much may be asked. People have to read all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open requests of one subject.
    pub open_per_subject: u32,
    /// Requests of one subject within an hour.
    pub hourly_per_subject: u32,
    /// Open requests of one subject about one service: nobody takes another's place.
    pub open_per_target: u32,
    /// Requests of one subject about one service within an hour.
    pub hourly_per_target: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { open_per_subject: 5, hourly_per_subject: 20, open_per_target: 2, hourly_per_target: 8 }
    }
}

/// What is about to be filed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    pub(super) subject: &'a str,
    /// Absent for a caller that has none: it gets one of its own, which nobody holds.
    pub(super) incident: Option<&'a IncidentId>,
    pub(super) action: &'a Action,
    pub(super) evidence: &'a [String],
    /// A person raised it, whom neither limits nor an earlier no of theirs bind.
    pub(super) by_person: bool,
}

/// The request that stands for this wish already, if there is one; an error if there may be none.
pub(super) fn admit(
    tx: &Tx<'_>,
    wish: &Wish<'_>,
    limits: Limits,
    people: &People,
) -> Result<Option<Record>, DeskError> {
    if let Some(incident) = wish.incident {
        not_held(tx, incident)?;
    }
    let same = tx.same(wish.subject, wish.action, ["open", "approved"])?;
    let stands =
        |record: &Record| record.state_at(tx.now()).is_open() || record.standing_permit(tx.now()).is_some();
    for record in same {
        let record = people.settled(record, tx.now())?;
        if stands(&record) {
            if let Some(other) = wish.incident.filter(|incident| **incident != record.shown.incident) {
                let (request, incident) = (&record.shown.request, &record.shown.incident);
                return Err(DeskError::new(
                    Trouble::Limit,
                    format!(
                        "the same is asked for `{incident}` already, by request `{request}`, and not for `{other}`"
                    ),
                    "follow that request; ask again once it has ended",
                ));
            }
            return Ok(Some(record));
        }
    }
    if !wish.by_person {
        not_declined(tx, wish)?;
        within(tx, wish, limits)?;
    }
    Ok(None)
}

/// Nothing is asked for an incident that a person has taken over or stopped.
pub(super) fn not_held(tx: &Tx<'_>, incident: &IncidentId) -> Result<(), DeskError> {
    let hold = tx.hold(incident)?;
    let (did, mend) = match hold.state {
        HoldState::Working => return Ok(()),
        HoldState::Taken => {
            ("has taken over", format!("`midwatch incidents return {incident}` hands it back"))
        }
        HoldState::Stopped => ("has stopped", "that is final: act by hand".to_owned()),
    };
    let by = hold.by.unwrap_or_default();
    Err(DeskError::new(
        Trouble::Held,
        format!("`{by}` {did} the incident `{incident}`: nothing is asked or done for it"),
        mend,
    ))
}

/// Evidence is new if its text stands in none of the requests that were declined. Other words for
/// the reason are no evidence, and neither is leaving some out.
fn not_declined(tx: &Tx<'_>, wish: &Wish<'_>) -> Result<(), DeskError> {
    let since = tx.now().saturating_sub(DECLINED_FOR).unwrap_or(tx.now());
    let declined: Vec<Record> = tx
        .same(wish.subject, wish.action, ["declined", "declined"])?
        .into_iter()
        .filter(|record| matches!(record.state, RequestState::Declined { at, .. } if at > since))
        .collect();
    let Some(RequestState::Declined { by, reason, at }) = declined.first().map(|record| &record.state) else {
        return Ok(());
    };
    let seen: Vec<String> =
        declined.iter().flat_map(|record| &record.shown.evidence).map(|cited| plain(&cited.text)).collect();
    if wish.evidence.iter().any(|text| !seen.contains(&plain(text))) {
        return Ok(());
    }
    Err(DeskError::new(
        Trouble::DeclinedBefore,
        format!("`{by}` declined the same at {at}: {reason}"),
        "ask again with evidence that was not there then, or have a person raise it",
    ))
}

/// Case, spaces and the numbers of a running clock make no new evidence of an old one.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

fn within(tx: &Tx<'_>, wish: &Wish<'_>, limits: Limits) -> Result<(), DeskError> {
    let hour_ago = tx.now().saturating_sub(HOUR).unwrap_or(tx.now());
    let (subject, service) = (wish.subject, wish.action.service().as_str());
    let counts = [
        (tx.open_of_subject(subject)?, limits.open_per_subject, format!("open requests of `{subject}`")),
        (
            tx.open_about(subject, service)?,
            limits.open_per_target,
            format!("open requests of `{subject}` about `{service}`"),
        ),
        (
            tx.filed_by_subject(subject, hour_ago)?,
            limits.hourly_per_subject,
            format!("requests of `{subject}` within the hour"),
        ),
        (
            tx.filed_about(subject, service, hour_ago)?,
            limits.hourly_per_target,
            format!("requests of `{subject}` about `{service}` within the hour"),
        ),
    ];
    match counts.into_iter().find(|(count, most, _)| count >= most) {
        None => Ok(()),
        Some((count, _, what)) => Err(DeskError::new(
            Trouble::Limit,
            format!("there are {count} {what}, and people have to read them"),
            "wait until some are answered; a person can raise one that has ended",
        )),
    }
}
