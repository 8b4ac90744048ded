//! Filing a request: everything is looked up by the desk itself, and nothing is believed.

use midwatch_policy::{
    Asking, CallerKind, Cited, IncidentId, Raised, RequestId, RequestState, RequestView, Shown,
    SignedDuration, redact,
};

use super::{
    Office,
    admit::{Wish, admit},
    grounds::Grounds,
};
use crate::{
    desk::{
        error::{DeskError, Trouble},
        principal::{Principal, PrincipalKind},
        store::Record,
    },
    terminal::text::{clean, fit},
};

/// Longest reason and longest line of evidence, in characters; what is longer is cut.
const REASON: usize = 2_000;
const EVIDENCE: usize = 400;
/// Most lines of evidence; the rest is left out.
const LINES: usize = 20;
/// Longest word of a claim.
const WORD: usize = 64;
/// Longest name of a subject.
const NAME: usize = 128;

/// A request that was filed, or the one that stood already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filed {
    /// The request.
    pub view: RequestView,
    /// Whether it was filed now.
    pub new: bool,
}

struct Draft {
    /// The principal that files.
    asker: String,
    /// Who may then act.
    subject: String,
    caller: CallerKind,
    asking: Asking,
    raised: Option<Raised>,
}

impl Office {
    /// Takes a request: fetches the plan, asks policy and the runbook, and holds it open.
    pub async fn file(&self, who: &Principal, asking: Asking) -> Result<Filed, DeskError> {
        let (subject, caller) = self.subject(who, asking.subject.as_deref())?;
        let asking = tidy(asking)?;
        self.put(Draft { asker: who.name.clone(), subject, caller, asking, raised: None }).await
    }

    /// Files an ended request once more, planned anew, for a person who wants it after all.
    pub async fn raise(&self, who: &Principal, id: &RequestId) -> Result<Filed, DeskError> {
        who.roles()?;
        let before = self.look(|tx| {
            let record = self.find(tx, who, id)?;
            let state = record.state_at(tx.now());
            let over = match &state {
                RequestState::Expired { .. }
                | RequestState::Declined { .. }
                | RequestState::Withdrawn { .. }
                | RequestState::Revoked { .. } => true,
                RequestState::Approved { .. } => record.standing_permit(tx.now()).is_none(),
                RequestState::Open { .. } | RequestState::Used { .. } => false,
            };
            if over {
                return Ok(record);
            }
            Err(DeskError::new(
                Trouble::Ended,
                format!(
                    "the request is {}: only what has ended without an act can be raised again",
                    state.as_str()
                ),
                "`midwatch approvals show ID` says what became of it",
            ))
        })?;
        let raised = Some(Raised { from: id.clone(), by: who.name.clone() });
        let Record { shown, asker, mut asking, .. } = before;
        asking.incident = Some(shown.incident);
        self.put(Draft { asker, subject: shown.subject, caller: shown.caller, asking, raised }).await
    }

    async fn put(&self, draft: Draft) -> Result<Filed, DeskError> {
        let Draft { asker, subject, caller, asking, raised } = draft;
        let evidence: Vec<String> = asking.evidence.iter().map(|cited| cited.text.clone()).collect();
        let wish = Wish {
            subject: &subject,
            incident: asking.incident.as_ref(),
            action: &asking.action,
            evidence: &evidence,
            by_person: raised.is_some(),
        };
        let limits = self.config.limits;
        let standing = self.look(|tx| match admit(tx, &wish, limits, &self.people()?)? {
            Some(record) => record.view(tx.now()).map(Some),
            None => Ok(None),
        })?;
        if let Some(view) = standing {
            return Ok(Filed { view, new: false });
        }
        let Grounds { planned, asks, rules, within, runbook, contracts } =
            self.grounds((caller, &subject), &asking).await?;
        let within = self.config.ask_for.map_or(within, |asked| asked.min(within));
        let incident = match &asking.incident {
            Some(incident) => incident.clone(),
            None => random_id("own-", IncidentId::parse)?,
        };
        let request = random_id("req-", RequestId::parse)?;
        let filed = self.change(|tx| {
            // Planning took time: all of it once more.
            if let Some(record) = admit(tx, &wish, limits, &self.people()?)? {
                return Ok(Filed { view: record.view(tx.now())?, new: false });
            }
            let filed_at = tx.now();
            let shown = Shown {
                request: request.clone(),
                incident: incident.clone(),
                subject: subject.clone(),
                caller,
                audience: self.config.audience.clone(),
                plan: planned.plan.clone(),
                facts: planned.facts,
                reason: asking.reason.clone(),
                evidence: asking.evidence.clone(),
                claimed: asking.claimed.clone(),
                runbook: runbook.clone(),
                contracts: contracts.clone(),
                asks: asks.clone(),
                rules: rules.clone(),
                filed_at,
                expires_at: filed_at.saturating_add(within.max(SignedDuration::ZERO)).unwrap_or(filed_at),
            };
            let record = Record {
                shown,
                state: RequestState::filed(),
                asker: asker.clone(),
                asking: asking.clone(),
                raised: raised.clone(),
                given: Vec::new(),
                spender: None,
            };
            tx.insert(&record)?;
            Ok(Filed { view: record.view(filed_at)?, new: true })
        })?;
        if filed.new {
            let shown = &filed.view.shown;
            let by = raised.as_ref().map_or(asker.as_str(), |raised| raised.by.as_str());
            tracing::info!(
                target: "midwatch::audit", request = %shown.request, incident = %shown.incident, by, subject,
                action = %shown.plan.action, whom = shown.whom(), expires_at = %shown.expires_at,
                raised_from = raised.as_ref().map(|raised| raised.from.as_str()), "request filed"
            );
        }
        Ok(filed)
    }

    /// Who may act on the permit, and as what kind of caller policy sees it.
    fn subject(&self, who: &Principal, named: Option<&str>) -> Result<(String, CallerKind), DeskError> {
        match (&who.kind, named) {
            (PrincipalKind::Asker, None) => Ok((who.name.clone(), CallerKind::Supervisor)),
            (PrincipalKind::Asker, Some(name)) if name == who.name => {
                Ok((who.name.clone(), CallerKind::Supervisor))
            }
            (PrincipalKind::Asker, Some(_)) => {
                Err(who.may_not("only a remediation server files for another"))
            }
            (PrincipalKind::Person { .. }, _) => Err(who.may_not(
                "requests are filed by supervisors and remediation servers; a person raises one again",
            )),
            (PrincipalKind::Server, _) if who.name != self.config.audience => Err(DeskError::new(
                Trouble::NotAllowed,
                format!("this desk plans at `{}`, not at `{}`", self.config.audience, who.name),
                "start the desk with this server's --remediation URL and --audience",
            )),
            (PrincipalKind::Server, Some(name))
                if !name.is_empty() && name.len() <= NAME && name.bytes().all(|b| b.is_ascii_graphic()) =>
            {
                let known = self.config.known.is_asker(name)?;
                let kind = if known { CallerKind::Supervisor } else { CallerKind::AgentClient };
                Ok((name.to_owned(), kind))
            }
            (PrincipalKind::Server, _) => Err(DeskError::new(
                Trouble::Invalid,
                "a server names its caller as `subject`: up to 128 printable ASCII characters",
                "give each caller of the server a name",
            )),
        }
    }
}

/// The asker's words, fit for any screen: one line each, no secrets, nothing that hides.
fn tidy(mut asking: Asking) -> Result<Asking, DeskError> {
    let tidy = |text: &str, most| fit(&clean(&redact(text).text), most);
    if let Some(claimed) = &mut asking.claimed {
        if claimed.confidence_percent > 100 {
            return Err(DeskError::new(
                Trouble::Invalid,
                "nobody is more than 100 percent certain",
                "`claimed.confidence_percent` is a number from 0 to 100",
            ));
        }
        claimed.phase = tidy(&claimed.phase, WORD);
        claimed.severity = tidy(&claimed.severity, WORD);
        claimed.evidence = claimed.evidence.iter().take(LINES).map(|kind| tidy(kind, WORD)).collect();
    }
    asking.reason = tidy(&asking.reason, REASON);
    asking.evidence = asking
        .evidence
        .iter()
        .take(LINES)
        .map(|cited| Cited { id: cited.id.clone(), text: tidy(&cited.text, EVIDENCE) })
        .collect();
    Ok(asking)
}

/// An id that nobody can guess: 60 bits in letters and digits that are not mistaken for each other.
fn random_id<T, E>(prefix: &str, parse: impl Fn(String) -> Result<T, E>) -> Result<T, DeskError> {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut bits: u64 = rand::random();
    let mut id = prefix.to_owned();
    for _ in 0..12 {
        let at = usize::try_from(bits & 31).unwrap_or_default();
        id.push(char::from(LETTERS.get(at).copied().unwrap_or(b'0')));
        bits >>= 5;
    }
    parse(id).map_err(|_| DeskError::internal("no id could be made"))
}
