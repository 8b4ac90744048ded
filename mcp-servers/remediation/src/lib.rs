//! MCP server that plans changes, and makes them only on a signed permit.
//!
//! `plan` reads the target and says what would be done, to whom, and how it is undone. The mutating
//! tools take a permit from the desk ([`PermitSource`]), check all of it with `midwatch_policy`,
//! look at the target again, spend the permit durably ([`SpendStore`]) and then send one request. A
//! call without a permit files a request at the desk and ends as refused.
//!
//! INVARIANTS:
//! - nothing is changed without a `midwatch_policy::Authorised`, which only a verified permit makes;
//! - a permit acts at most once, also across restarts;
//! - an outcome that is not known is called ambiguous and never tried again;
//! - without a desk and keys, everything but `plan` refuses.
//!
//! Asking the person inside the MCP client (elicitation) was rejected: what comes back from there
//! proves nothing about a person.

mod act;
mod args;
mod asked;
mod asks;
mod cli;
mod desk;
mod difference;
mod flights;
mod gate;
mod grounds;
mod kill_switch;
mod noted;
mod permits;
mod plan;
mod policy;
mod read;
mod receipt;
mod refusal;
mod rollback;
mod server;
mod spend;
mod state;
mod tell;

pub use act::Call;
pub use args::{PlanArgs, PlanResult, RestartArgs, RollbackArgs, ScaleArgs};
pub use cli::RemediationArgs;
pub use desk::DeskOverHttp;
pub use kill_switch::{ENVIRONMENT as KILL_SWITCH_ENVIRONMENT, KillSwitch};
pub use permits::{Offer, PermitSource, SourceError};
pub use receipt::{Obstacle, Outcome, Receipt, Refused, Requested};
pub use refusal::Refusal;
pub use server::{RemediationConfig, RemediationServer};
pub use spend::{Ending, Limits, SpendError, SpendStore};

/// The least IAM policy for planning: reads only.
pub const IAM_POLICY_PLAN: &str = include_str!("../iam-policy-plan.json");

/// The least IAM policy for acting. Give it to the acting role only.
pub const IAM_POLICY: &str = include_str!("../iam-policy.json");
