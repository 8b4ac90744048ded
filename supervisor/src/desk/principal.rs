//! Who is at the desk.

use serde::{Deserialize, Serialize};

use super::error::{DeskError, Trouble};

/// Somebody whose token was checked, or who is in this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Unique at the desk.
    pub name: String,
    /// What kind it is, which says what it may do.
    pub kind: PrincipalKind,
}

/// What kind of principal it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrincipalKind {
    /// A person, who approves in one of these roles.
    Person {
        /// Such as `oncall`.
        roles: Vec<String>,
    },
    /// A supervisor: it files requests and waits.
    Asker,
    /// A remediation server; its name is the audience of its permits.
    Server,
}

/// A principal, as `GET /v1/me` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Me {
    /// Its name.
    pub name: String,
    /// `person`, `asker` or `server`.
    pub kind: String,
    /// Roles of a person.
    pub roles: Vec<String>,
}

impl Principal {
    /// A person.
    pub fn person(name: impl Into<String>, roles: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let roles = roles.into_iter().map(Into::into).collect();
        Self { name: name.into(), kind: PrincipalKind::Person { roles } }
    }

    /// A supervisor.
    pub fn asker(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: PrincipalKind::Asker }
    }

    /// A remediation server.
    pub fn server(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: PrincipalKind::Server }
    }

    /// What others may know of it.
    pub fn me(&self) -> Me {
        let roles = match &self.kind {
            PrincipalKind::Person { roles } => roles.clone(),
            PrincipalKind::Asker | PrincipalKind::Server => Vec::new(),
        };
        Me { name: self.name.clone(), kind: self.kind.as_str().to_owned(), roles }
    }

    /// The roles of a person; nobody else gets further.
    pub(super) fn roles(&self) -> Result<&[String], DeskError> {
        match &self.kind {
            PrincipalKind::Person { roles } => Ok(roles),
            PrincipalKind::Asker | PrincipalKind::Server => Err(self.may_not("only a person may do this")),
        }
    }

    /// A remediation server; nobody else gets further.
    pub(super) fn is_server(&self) -> Result<(), DeskError> {
        match self.kind {
            PrincipalKind::Server => Ok(()),
            _ => Err(self.may_not("only a remediation server may do this")),
        }
    }

    /// A supervisor; nobody else gets further.
    pub(super) fn is_asker(&self) -> Result<(), DeskError> {
        match self.kind {
            PrincipalKind::Asker => Ok(()),
            _ => Err(self.may_not("only a supervisor may do this")),
        }
    }

    pub(super) fn may_not(&self, why: &str) -> DeskError {
        let message = format!("{why}, and `{}` is {}", self.name, self.kind.in_words());
        DeskError::new(Trouble::NotAllowed, message, "use the token of a principal that may")
    }
}

impl PrincipalKind {
    /// As it is written.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Person { .. } => "person",
            Self::Asker => "asker",
            Self::Server => "server",
        }
    }

    const fn in_words(&self) -> &'static str {
        match self {
            Self::Person { .. } => "a person",
            Self::Asker => "a supervisor, which asks and does not answer",
            Self::Server => "a remediation server",
        }
    }
}
