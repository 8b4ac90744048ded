//! Why a model did not answer, classed by what the caller may do about it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The classes of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelErrorKind {
    /// Too many requests.
    Throttled,
    /// No answer in time. The provider may have worked and charged.
    Timeout,
    /// The provider or the way to it is broken.
    Unavailable,
    /// Our credentials may not use the model, or are no longer valid.
    AccessDenied,
    /// No such model, profile or guardrail in this region.
    NotFound,
    /// The request is not acceptable.
    Validation,
    /// An account quota is used up.
    Quota,
    /// The conversation does not fit.
    ContextTooLong,
    /// Cancelled by us while it was under way.
    Cancelled,
    /// Anything else.
    Other,
}

impl ModelErrorKind {
    /// Whether the same request may succeed a little later.
    pub const fn retryable(self) -> bool {
        matches!(self, Self::Throttled | Self::Timeout | Self::Unavailable)
    }

    /// Whether tokens may have been used that nobody reported: such a call is settled at its full
    /// reservation.
    pub const fn usage_unknown(self) -> bool {
        matches!(self, Self::Timeout | Self::Unavailable | Self::Cancelled | Self::Other)
    }

    /// As it is written in events and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::AccessDenied => "access_denied",
            Self::NotFound => "not_found",
            Self::Validation => "validation",
            Self::Quota => "quota",
            Self::ContextTooLong => "context_too_long",
            Self::Cancelled => "cancelled",
            Self::Other => "other",
        }
    }
}

/// Whether tokens may have been used that nobody reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charged {
    /// The provider did no work.
    Nothing,
    /// It may have worked: the call is settled at its full reservation.
    Unknown,
}

/// A model that did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("model `{model}` did not answer ({}): {message}", .kind.as_str())]
pub struct ModelError {
    /// What class of failure.
    pub kind: ModelErrorKind,
    /// The model asked.
    pub model: String,
    /// What the provider said, for the operator.
    pub message: String,
    /// How long to wait, where the provider said so.
    pub retry_after: Option<Duration>,
    /// Whether it may have been charged.
    pub charged: Charged,
}

impl ModelError {
    /// An error of a class.
    pub fn new(kind: ModelErrorKind, model: impl Into<String>, message: impl Into<String>) -> Self {
        let charged = if kind.usage_unknown() { Charged::Unknown } else { Charged::Nothing };
        Self { kind, model: model.into(), message: message.into(), retry_after: None, charged }
    }

    /// The same, where more is known about the charge than the class says.
    #[must_use]
    pub const fn charged(mut self, charged: Charged) -> Self {
        self.charged = charged;
        self
    }

    /// Whether the same request may succeed a little later.
    pub const fn retryable(&self) -> bool {
        self.kind.retryable()
    }

    /// Whether tokens may have been used that nobody reported.
    pub const fn usage_unknown(&self) -> bool {
        matches!(self.charged, Charged::Unknown)
    }
}
