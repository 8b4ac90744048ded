//! The shared nouns of Midwatch, and the rules about acting on them.
//!
//! Pure and synchronous: nothing here opens a socket, reads a clock of its own or awaits.
//! Everything that may be trusted to *decide* (policy, permits) lives here, so that the code
//! that decides can be read on its own. The alternative, a `core` crate for whatever two crates
//! share, was rejected: types that only one crate owns stay with their owner.

mod action;
mod approval;
mod calendar;
mod catalog;
mod cause;
mod clock;
mod fields;
mod id;
mod permit;
mod problem;
mod redact;
mod rules;
mod runbook;
mod screen;
mod terms;

pub use action::{Action, ActionKind, BlastRadius, Inverse, Plan, PlanStep, Risk};
pub use approval::{
    Applicable, Asking, Cited, Fetched, GivenBack, Held, Hold, HoldState, Outcome, Raised, RequestEvent,
    RequestState, RequestView, RunbookRef, Shown, StepError, Void, WireError,
};
pub use calendar::{Calendar, CalendarError, Freeze};
pub use catalog::{
    Autonomy, Catalog, CatalogError, CodeDeployTarget, EcsTarget, Environment, MetricRef, ScaleBounds,
    Service, Tier, Whence, glob, state_machine_name,
};
pub use cause::{CauseKind, Verdict};
pub use clock::{Clock, FixedClock};
pub use fields::Fields;
pub use id::{AwsName, EvidenceId, IdError, IncidentId, PermitId, RequestId, ServiceName};
pub use jiff::{SignedDuration, Timestamp};
pub use permit::{
    Approver, Authorised, Claims, Demand, Digest, DigestError, KeyError, PermitError, PermitToken, PublicKey,
    PublicKeys, Seal, SignError, SigningKey, VerifiedPermit, sign, verify,
};
pub use problem::Problem;
pub use redact::{PatternError, Redacted, Redactor, SecretKind, redact};
pub use rules::{
    Ask, Attested, Caller, CallerKind, Claimed, Decision, Explanation, RuleSummary, Rules, RulesError,
    RulesFileError, ToolCall, ToolClass, unmet,
};
pub use runbook::{Bounds, ContractError, Precondition, RunbookContract, Scope, Verification, Words};
pub use screen::{Mark, MarkKind, screen, without_colours};
pub use terms::{EndState, ExpectedState, Place, Terms};
