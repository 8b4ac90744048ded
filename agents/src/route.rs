//! What the router decides.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finding::{Claim, ClaimDraft};

/// Where an alarm goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// It passed by itself. A suggestion: code checks before anything is closed.
    CloseTransient,
    /// Look closer.
    Investigate,
    /// Page a person, and look closer at the same time.
    PageNow,
}

impl Route {
    /// As it is in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CloseTransient => "close_transient",
            Self::Investigate => "investigate",
            Self::PageNow => "page_now",
        }
    }
}

/// The arguments of the virtual tool `route`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RouteDraft {
    /// Where to.
    pub route: Route,
    /// Why, in one or two sentences.
    pub reason: String,
    /// What the reason rests on.
    #[serde(default)]
    pub claims: Vec<ClaimDraft>,
}

/// A checked decision. Where the router's model does not decide, rules do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RouteDecision {
    /// Where to.
    pub route: Route,
    /// Why.
    pub reason: String,
    /// Checked claims.
    pub claims: Vec<Claim>,
}
