//! What people answer, and what is withdrawn.

use midwatch_policy::{
    Action, Approver, Claims, Digest, PermitId, RequestEvent, RequestId, RequestState, RequestView,
    SignedDuration, unmet,
};

use super::{Office, admit::not_held};
use crate::{
    desk::{
        error::{DeskError, Trouble},
        principal::Principal,
        store::{Record, Tx},
    },
    terminal::text::{clean, fit},
};

/// How far the server's clock may be behind the desk's before a fresh permit is not yet valid there.
const BEHIND: SignedDuration = SignedDuration::from_secs(30);
/// Longest reason, in characters.
const REASON: usize = 500;

/// A person's yes.
#[derive(Debug, Clone, Copy)]
pub struct Yes<'a> {
    /// Digest of what they were shown.
    pub shown: Digest,
    /// The role in which they approve; their first that is asked for, if they do not say.
    pub role: Option<&'a str>,
    /// Where they said so, such as `terminal`.
    pub channel: &'a str,
}

impl Office {
    /// Takes a person's approval. With the last one that is wanted the permit is signed.
    pub fn approve(&self, who: &Principal, id: &RequestId, yes: Yes<'_>) -> Result<RequestView, DeskError> {
        let roles = who.roles()?;
        let new_permit = PermitId::parse(format!("mwp-{}", hex::encode(rand::random::<[u8; 16]>())))
            .map_err(|_| DeskError::internal("no permit id could be made"))?;
        let view = self.change(|tx| {
            let mut record = self.find(tx, who, id)?;
            not_held(tx, &record.shown.incident)?;
            let role = role(who, roles, &record, yes.role)?;
            let approver = Approver { name: who.name.clone(), role, channel: fit(&clean(yes.channel), 40) };
            let event = RequestEvent::Approve { approver, shown: yes.shown, permit: new_permit.clone() };
            record.state = record.state.step(&record.shown, &event, tx.now())?;
            record.note(&who.name, tx.now());
            tx.update(&record)?;
            if let RequestState::Approved { permit, .. } = &record.state {
                let claims = claims(&record)?;
                tx.keep_token(permit, &self.config.keys.sign(&claims)?)?;
            }
            record.view(tx.now())
        })?;
        let permit = match &view.state {
            RequestState::Approved { permit, .. } => Some(permit.as_str()),
            _ => None,
        };
        tracing::info!(
            target: "midwatch::audit", request = %id, by = who.name, channel = yes.channel, permit,
            state = view.state.as_str(), "request approved"
        );
        Ok(view)
    }

    /// Takes a person's no.
    pub fn decline(&self, who: &Principal, id: &RequestId, reason: &str) -> Result<RequestView, DeskError> {
        who.roles()?;
        let reason = said(reason)?;
        let event = RequestEvent::Decline { by: who.name.clone(), reason: reason.clone() };
        let view = self.step(who, id, &event)?;
        tracing::info!(target: "midwatch::audit", request = %id, by = who.name, reason, "request declined");
        Ok(view)
    }

    /// Takes a request back, or a permit that was not used: by who filed it, the server, or a person.
    pub fn withdraw(&self, who: &Principal, id: &RequestId, why: &str) -> Result<RequestView, DeskError> {
        let why = said(why)?;
        // An asker withdraws what is its own to use; what a server filed for it is so, too.
        let view = self.step(who, id, &RequestEvent::Withdraw { why: why.clone() })?;
        tracing::info!(target: "midwatch::audit", request = %id, by = who.name, why, "request withdrawn");
        Ok(view)
    }

    /// Takes a permit back before it was used.
    pub fn revoke(&self, who: &Principal, permit: &PermitId, reason: &str) -> Result<RequestView, DeskError> {
        who.roles()?;
        let reason = said(reason)?;
        let event = RequestEvent::Revoke { by: who.name.clone(), reason: reason.clone() };
        let view = self.change(|tx| {
            let record = tx.request_of(permit)?.ok_or_else(|| no_permit(permit))?;
            stepped(tx, record, &event)
        })?;
        tracing::info!(target: "midwatch::audit", %permit, by = who.name, reason, "permit revoked");
        Ok(view)
    }

    fn step(&self, who: &Principal, id: &RequestId, event: &RequestEvent) -> Result<RequestView, DeskError> {
        self.change(|tx| {
            let record = self.find(tx, who, id)?;
            stepped(tx, record, event)
        })
    }
}

/// One step, written down.
pub(super) fn stepped(
    tx: &Tx<'_>,
    mut record: Record,
    event: &RequestEvent,
) -> Result<RequestView, DeskError> {
    record.state = record.state.step(&record.shown, event, tx.now())?;
    tx.update(&record)?;
    record.view(tx.now())
}

pub(super) fn no_permit(permit: &PermitId) -> DeskError {
    DeskError::new(
        Trouble::NotFound,
        format!("there is no permit `{permit}`"),
        "`midwatch approvals` shows requests with their permits",
    )
}

/// What somebody says for the record: one line, and not nothing.
pub(super) fn said(text: &str) -> Result<String, DeskError> {
    let text = fit(&clean(&midwatch_policy::redact(text).text), REASON);
    if text.is_empty() {
        return Err(DeskError::new(Trouble::Invalid, "a reason is wanted", "say why, in a few words"));
    }
    Ok(text)
}

fn role(
    who: &Principal,
    roles: &[String],
    record: &Record,
    wanted: Option<&str>,
) -> Result<String, DeskError> {
    if let Some(role) = wanted {
        let has = roles.iter().any(|known| known == role);
        return has
            .then(|| role.to_owned())
            .ok_or_else(|| who.may_not(&format!("only a `{role}` approves as such")));
    }
    let before = match &record.state {
        RequestState::Open { approvers } => approvers.as_slice(),
        _ => &[],
    };
    let asked = unmet(&record.shown.asks, before);
    let fits = asked.iter().find(|ask| roles.contains(&ask.role)).map(|ask| ask.role.clone());
    Ok(fits.or_else(|| roles.first().cloned()).unwrap_or_default())
}

/// What the permit says: what was shown, and who approved it.
fn claims(record: &Record) -> Result<Claims, DeskError> {
    let RequestState::Approved { permit, approvers, at, until } = &record.state else {
        return Err(DeskError::internal("only an approved request has a permit"));
    };
    let undigested = |_| DeskError::internal("the request cannot be digested");
    let shown = &record.shown;
    let action = &shown.plan.action;
    Ok(Claims {
        permit: permit.clone(),
        request: shown.request.clone(),
        incident: shown.incident.clone(),
        subject: shown.subject.clone(),
        audience: shown.audience.clone(),
        tool: action.kind(),
        schema: Action::schema_digest().map_err(undigested)?,
        arguments: action.digest().map_err(undigested)?,
        terms: shown.plan.terms.clone(),
        approvers: approvers.clone(),
        policies: shown.rules.clone(),
        shown: shown.digest().map_err(undigested)?,
        runbook: shown.runbook.clone(),
        held_to: shown.held_to(),
        claimed: shown.claimed.clone(),
        not_before: at.saturating_sub(BEHIND).unwrap_or(*at).max(shown.filed_at),
        expires: *until,
    })
}
