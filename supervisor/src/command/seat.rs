//! Where the people of a world sit: at its desk, in this process or in another, as themselves.

use midwatch_policy::{RequestView, StepError};

use crate::desk::{DeskError, DeskOverHttp, EmbeddedDesk};

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Yes {
    /// Approve.
    Approve,
    /// Decline.
    Decline,
}

/// What somebody answers.
#[derive(Debug, Clone)]
pub(super) struct Said {
    /// Who.
    pub(super) by: String,
    /// The roles they have.
    pub(super) roles: Vec<String>,
    /// The way it came.
    pub(super) channel: &'static str,
    /// What.
    pub(super) yes: Yes,
    /// Why.
    pub(super) note: String,
}

/// A place at the desk.
#[derive(Debug, Clone)]
pub(super) enum Seat {
    /// The desk is in this process.
    Here(EmbeddedDesk),
    /// The desk is a process of its own, which knows these people by their tokens.
    There(Vec<DeskOverHttp>),
}

impl Seat {
    /// Answers what was shown. Returns only where nobody can answer here; what became of an answer
    /// that was taken, the desk tells whoever waits for it.
    pub(super) async fn answer(&self, request: &RequestView, said: &Said) -> String {
        match self.try_answer(request, said).await {
            Ok(()) => std::future::pending().await,
            Err(error) => format!("the desk did not take the answer of `{}`: {error}", said.by),
        }
    }

    async fn try_answer(&self, request: &RequestView, said: &Said) -> Result<(), DeskError> {
        let id = &request.shown.request;
        match self {
            Self::Here(desk) => {
                let person = desk.as_person(&said.by, said.roles.iter().cloned());
                match said.yes {
                    Yes::Approve => person.approve(id, request.digest, said.channel)?,
                    Yes::Decline => person.decline(id, &said.note)?,
                };
                Ok(())
            }
            Self::There(people) => {
                let nobody = || DeskError::from(StepError::Nameless);
                let person = people.get(request.state.approvers().len()).ok_or_else(nobody)?;
                match said.yes {
                    Yes::Approve => person.approve(id, request.digest, None).await?,
                    Yes::Decline => person.decline(id, &said.note).await?,
                };
                Ok(())
            }
        }
    }
}
