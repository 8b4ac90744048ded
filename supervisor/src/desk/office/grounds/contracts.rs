//! The contracts that a request is held to: the one that its asker cites, and those that the desk finds
//! to be about this.
//!
//! INVARIANT: what an asker cites or leaves out makes nothing easier. Whoever cites no runbook, or a
//! laxer one, is held to every contract that names the service and the action all the same.

use midwatch_mcp::{Contract, Contracts};
use midwatch_policy::{Applicable, Ask, Asking, Held, RunbookRef, Scope, Words};

use super::forbidden;
use crate::{
    desk::{
        error::{DeskError, Trouble},
        planner::Planned,
    },
    terminal::text::{clean, fit},
};

/// Longest line of a contract that is shown, in characters.
const LINE: usize = 200;
/// Most lines of each contract; what code checks stands first.
const LINES: usize = 20;

/// What the contracts want.
pub(super) struct Contracted {
    /// The one that is cited.
    pub(super) cited: Option<RunbookRef>,
    /// The others that are about it, those that it is held to first.
    pub(super) others: Vec<Applicable>,
    /// Who has to approve because of them.
    pub(super) asks: Vec<Ask>,
}

/// The contract that a request cites.
pub(super) fn cited<'a>(
    contracts: &'a Contracts,
    id: Option<&str>,
) -> Result<Option<&'a Contract>, DeskError> {
    let Some(id) = id else { return Ok(None) };
    contracts.get(id).map(Some).ok_or_else(|| {
        DeskError::new(
            Trouble::Invalid,
            format!("there is no runbook `{}` with a contract", fit(&clean(id), 80)),
            "start the desk with the runbooks that the supervisor has (--runbooks DIR)",
        )
    })
}

/// Holds a request to every contract that is about it, or says which one forbids it.
pub(super) fn hold(
    all: &Contracts,
    cited: Option<&Contract>,
    asking: &Asking,
    planned: &Planned,
) -> Result<Contracted, DeskError> {
    let action = &asking.action;
    let words = words(asking);
    let mut held = Contracted { cited: None, others: Vec::new(), asks: Vec::new() };
    if let Some(cited) = cited {
        held.asks.push(met(cited, planned)?);
        held.cited = Some(reference(cited));
    }
    for known in all.iter() {
        let followed = cited.is_some_and(|cited| cited.contract.id == known.contract.id);
        match known.contract.scope(action, &words) {
            Some(Scope::Forbids) => {
                let why =
                    format!("`{}` is never done automatically to `{}`", action.kind(), action.service());
                return Err(forbidden(&format!("runbook {}", known.contract.id), &why));
            }
            _ if followed => {}
            Some(Scope::Binds) => {
                held.asks.push(met(known, planned)?);
                held.others.push(shown(known, Held::To, planned));
            }
            Some(Scope::Beside) => held.others.push(shown(known, Held::Beside, planned)),
            None => {}
        }
    }
    held.others.sort_by_key(|other| other.held != Held::To);
    Ok(held)
}

/// What the asker says of the trouble. It can only bring contracts to bear.
fn words(asking: &Asking) -> Words {
    let evidence = asking.evidence.iter().map(|cited| cited.text.as_str());
    Words::of(evidence.chain([asking.reason.as_str()]))
}

/// Who is asked because of a contract that has nothing against the plan.
fn met(known: &Contract, planned: &Planned) -> Result<Ask, DeskError> {
    let objections = known.contract.objections(&planned.plan, &planned.facts);
    if objections.is_empty() {
        return Ok(known.contract.ask());
    }
    Err(forbidden(&format!("runbook {}", known.contract.id), &objections.join("; ")))
}

fn reference(known: &Contract) -> RunbookRef {
    RunbookRef { id: known.contract.id.clone(), digest: known.digest }
}

fn shown(known: &Contract, held: Held, planned: &Planned) -> Applicable {
    let lines = |all: Vec<String>| all.iter().take(LINES).map(|line| fit(&clean(line), LINE)).collect();
    let against = match held {
        Held::To => Vec::new(),
        Held::Beside => lines(known.contract.objections(&planned.plan, &planned.facts)),
    };
    Applicable {
        runbook: reference(known),
        held,
        demands: lines(known.contract.demands(&planned.plan.action)),
        against,
    }
}
