//! Why an action cannot be planned. Each says what is there and what can be done instead.

use midwatch_mcp::{ErrorKind, ToolError};

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such deployment of this service.
    #[error("`{service}` has no deployment `{deployment}`")]
    UnknownDeployment {
        /// The service.
        service: String,
        /// What was asked for.
        deployment: String,
    },
    /// Something newer decides what runs.
    #[error("`{deployment}` is not the newest deployment: `{newest}` came after it")]
    NotNewest {
        /// What was asked for.
        deployment: String,
        /// What came after.
        newest: String,
    },
    /// It is done.
    #[error("`{deployment}` was already taken back by `{by}`")]
    AlreadyRolledBack {
        /// What was asked for.
        deployment: String,
        /// What took it back.
        by: String,
    },
    /// It is being done.
    #[error("`{deployment}` is being taken back already, by `{by}`")]
    RollingBack {
        /// What was asked for.
        deployment: String,
        /// What takes it back.
        by: String,
    },
    /// Taking it back would bring the trouble back that it took away.
    #[error("`{deployment}` is itself a rollback, of `{of}`")]
    IsRollback {
        /// What was asked for.
        deployment: String,
        /// What it takes back.
        of: String,
    },
    /// There is nothing good to go back to.
    #[error("there is nothing earlier to go back to: {why}")]
    NothingEarlier {
        /// Why not.
        why: String,
    },
    /// It changed nothing that a rollback would change.
    #[error("`{deployment}` deployed `{revision}` over itself, so taking it back changes nothing")]
    ChangedNothing {
        /// What was asked for.
        deployment: String,
        /// What it deployed.
        revision: String,
    },
    /// AWS tried to take it back and failed.
    #[error("the rollback of `{deployment}` by ECS itself has failed")]
    RollbackFailed {
        /// What was asked for.
        deployment: String,
    },
    /// Not while something else is under way.
    #[error("a deployment is in progress: `{deployment}`")]
    DeploymentInProgress {
        /// Which one.
        deployment: String,
    },
    /// The catalog does not say what to act on.
    #[error("{why}")]
    NoTarget {
        /// What is missing.
        why: String,
    },
    /// Something other than ECS deploys it.
    #[error("another controller than ECS deploys `{service}`, so ECS cannot do this")]
    OtherController {
        /// The service.
        service: String,
    },
    /// The wish lies outside of what the catalog allows.
    #[error("{why}")]
    Bounds {
        /// Which bound.
        why: String,
    },
    /// It is so already.
    #[error("{what}: nothing to do")]
    NothingToDo {
        /// What is so.
        what: String,
    },
}

impl Refusal {
    /// What can be done instead.
    pub(crate) fn mend(&self) -> &'static str {
        match self {
            Self::UnknownDeployment { .. } => "list_deployments names the deployments of a service",
            Self::NotNewest { .. } => {
                "look at the newest deployment; taking back an older one would undo it, too"
            }
            Self::AlreadyRolledBack { .. } => {
                "if the trouble goes on, this deployment is not its cause, or not the only one"
            }
            Self::RollingBack { .. } => "wait for it and watch the alarm",
            Self::IsRollback { .. } => "a person decides whether to deploy the newer revision once more",
            Self::NothingEarlier { .. } | Self::RollbackFailed { .. } => {
                "a person has to deploy a good revision"
            }
            Self::ChangedNothing { .. } => "look for the deployment that brought this revision",
            Self::DeploymentInProgress { .. } => {
                "wait until it has ended, or take that deployment back if it is the cause"
            }
            Self::NoTarget { .. } => "add the target to the service in the catalog",
            Self::OtherController { .. } => {
                "use the controller that deploys it; for CodeDeploy that is a rollback"
            }
            Self::Bounds { .. } => {
                "ask for a count within the bounds, or have the catalog's owner widen them"
            }
            Self::NothingToDo { .. } => "look for another cause",
        }
    }
}

impl From<Refusal> for ToolError {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal {
            Refusal::UnknownDeployment { .. } => ErrorKind::NotFound,
            Refusal::Bounds { .. } => ErrorKind::Invalid,
            _ => ErrorKind::Refused,
        };
        Self::new(kind, refusal.to_string(), refusal.mend())
    }
}
