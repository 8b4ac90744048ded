//! What a request stands on: plan, facts, policy, and the contracts of runbooks.

mod contracts;

use midwatch_policy::{
    Applicable, Ask, Asking, Attested, Autonomy, Caller, CallerKind, Decision, Place, RunbookRef, Service,
    SignedDuration, ToolCall, ToolClass,
};

use super::Office;
use crate::desk::{
    error::{DeskError, Trouble},
    planner::Planned,
};

/// The server's name in policies.
const SERVER: &str = "remediation";

/// What a request stands on.
pub(super) struct Grounds {
    /// The plan and the facts that the desk fetched.
    pub(super) planned: Planned,
    /// Who has to approve: all of it.
    pub(super) asks: Vec<Ask>,
    /// The rules that ask.
    pub(super) rules: Vec<String>,
    /// For how long people are asked.
    pub(super) within: SignedDuration,
    /// The runbook that its asker follows.
    pub(super) runbook: Option<RunbookRef>,
    /// Other contracts that are about it.
    pub(super) contracts: Vec<Applicable>,
}

impl Office {
    /// Looks everything up that a request stands on, and asks policy and runbooks.
    pub(super) async fn grounds(
        &self,
        (caller, subject): (CallerKind, &str),
        asking: &Asking,
    ) -> Result<Grounds, DeskError> {
        let action = &asking.action;
        let catalog = self.config.sources.catalog()?;
        let service = catalog.get(action.service()).ok_or_else(|| {
            forbidden("catalog", &format!("`{}` is not in the desk's catalog", action.service()))
        })?;
        // The ladder is no rule that a policy could leave out.
        if service.autonomy < Autonomy::Ask {
            let why = "the catalog lets nobody be asked about it (autonomy is below `ask`)";
            return Err(forbidden("autonomy", &format!("`{}`: {why}", service.name)));
        }
        let contracts = self.config.sources.contracts()?;
        let cited = contracts::cited(&contracts, asking.runbook.as_deref())?;
        let planned = self.config.planner.plan(action).await?;
        if planned.plan.action != *action {
            return Err(DeskError::new(
                Trouble::Plan,
                format!("the plan is to {} instead", planned.plan.action),
                "nobody was asked",
            ));
        }
        let place = &planned.plan.terms.place;
        let known = Place::of(service, place.region.as_deref());
        if *place != known {
            return Err(DeskError::new(
                Trouble::Plan,
                format!(
                    "the remediation server would act in another place ({place}) than the desk knows ({known})"
                ),
                "nobody was asked; give both the same catalog",
            ));
        }
        let planned = Planned { facts: self.facts(service, planned.facts)?, plan: planned.plan };
        let (mut asks, rules, within_s) = self.decide((caller, subject), asking, service, planned.facts)?;
        let held = contracts::hold(&contracts, cited, asking, &planned)?;
        for ask in held.asks {
            also(&mut asks, ask);
        }
        let (runbook, contracts) = (held.cited, held.others);
        Ok(Grounds { planned, asks, rules, within: SignedDuration::from_secs(within_s), runbook, contracts })
    }

    /// The server's facts, with the desk's own calendar: a freeze is on if either says so.
    fn facts(&self, service: &Service, read: Attested) -> Result<Attested, DeskError> {
        let (calendar, now) = (self.config.sources.calendar()?, self.now());
        Ok(Attested {
            change_freeze: read.change_freeze || calendar.freeze(now, service).is_some(),
            business_hours: calendar.business_hours(now, service),
            ..read
        })
    }

    fn decide(
        &self,
        (kind, name): (CallerKind, &str),
        asking: &Asking,
        service: &Service,
        attested: Attested,
    ) -> Result<(Vec<Ask>, Vec<String>, i64), DeskError> {
        let arguments = asking.action.arguments();
        let call = ToolCall {
            caller: Caller { kind, name },
            server: SERVER,
            tool: asking.action.kind().tool(),
            class: ToolClass::Mutate,
            arguments: &arguments,
            service: Some(service),
            attested,
            claimed: asking.claimed.as_ref(),
        };
        match self.config.sources.rules()?.decide(&call) {
            Decision::Ask { asks, rules, within_s } => Ok((asks, rules, within_s)),
            Decision::Forbid { rule, reason } => Err(forbidden(&rule, &reason)),
            Decision::Allow { rule } => Err(forbidden(&rule, "an action has to be asked of a person")),
        }
    }
}

/// One more ask: of a role that is asked already, the larger number.
fn also(asks: &mut Vec<Ask>, more: Ask) {
    match asks.iter_mut().find(|ask| ask.role == more.role) {
        Some(ask) => ask.people = ask.people.max(more.people),
        None => asks.push(more),
    }
    asks.sort();
}

/// Forbidden by a rule, whoever would approve.
fn forbidden(rule: &str, reason: &str) -> DeskError {
    DeskError::new(
        Trouble::Forbidden,
        format!("forbidden by `{rule}`: {reason}"),
        "nobody was asked; a person can do it by hand, or change the rule (`midwatch policy explain`)",
    )
}
