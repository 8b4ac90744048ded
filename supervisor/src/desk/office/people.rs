//! Who the desk knows, and whose approval still counts.
//!
//! INVARIANT: an approval counts while its giver is known as a person in the role in which they gave
//! it. Who was removed, and added again since, has to approve again: the token that approved may be
//! why they were removed.

use midwatch_policy::{Approver, RequestEvent, Timestamp};

use super::Office;
use crate::desk::{
    error::DeskError,
    roster::{Member, MemberKind, Roster},
    store::Record,
};

/// Who the desk knows.
#[derive(Debug, Clone)]
pub enum Known {
    /// These supervisors, and whoever answers in this process, which nobody leaves.
    Here {
        /// Their names.
        askers: Vec<String>,
    },
    /// Those in the roster, read anew each time.
    Roster(Roster),
}

impl Known {
    /// Whether it is a supervisor, so that what a server files for it is judged as a supervisor's.
    pub(super) fn is_asker(&self, name: &str) -> Result<bool, DeskError> {
        match self {
            Self::Here { askers } => Ok(askers.iter().any(|known| known == name)),
            Self::Roster(roster) => roster.is_asker(name),
        }
    }
}

/// The people who are known at one moment; nothing where nobody leaves.
#[derive(Debug)]
pub(super) struct People(Option<Vec<Member>>);

impl Office {
    /// The people who are known now.
    pub(super) fn people(&self) -> Result<People, DeskError> {
        match &self.config.known {
            Known::Here { .. } => Ok(People(None)),
            Known::Roster(roster) => Ok(People(Some(roster.trusted()?))),
        }
    }
}

impl People {
    /// A request with the approvals that still count. A permit that stood on one that does not is
    /// void; what was used was used.
    pub(super) fn settled(&self, mut record: Record, now: Timestamp) -> Result<Record, DeskError> {
        let gone = |approver: &&Approver| !self.stands(approver, record.approved_at(&approver.name));
        let gone: Vec<String> =
            record.state.approvers().iter().filter(gone).map(|approver| approver.name.clone()).collect();
        for name in gone {
            record.state = record.state.step(&record.shown, &RequestEvent::Leave { name }, now)?;
        }
        Ok(record)
    }

    fn stands(&self, approver: &Approver, approved_at: Option<Timestamp>) -> bool {
        let Some(members) = &self.0 else { return true };
        members.iter().any(|member| {
            member.kind == MemberKind::Person
                && member.name == approver.name
                && member.roles.contains(&approver.role)
                && approved_at.is_none_or(|at| member.added_at <= at)
        })
    }
}
