//! The channels that notices leave by, at the wire.
//!
//! INVARIANT: a channel says one of three things of an attempt: taken, not now, never. Nothing
//! that it or its counterpart does (hanging, answering without end, redirecting, echoing a secret)
//! gets further than that: calls have a deadline, answers are read to a bound, secrets are taken
//! out of what is quoted.

mod http;
mod pagerduty;
mod slack;
mod sns;
mod webhook;

use std::time::Duration;

use midwatch_policy::Timestamp;

pub(super) use http::Http;
pub use pagerduty::answer::{SIGNATURES, Taken};
pub(super) use pagerduty::{EVENTS, PagerDuty, answer};
pub(super) use slack::Slack;
pub(super) use sns::Sns;
pub(super) use webhook::Webhook;

use super::{chain::Perhaps, notice::Notice};

/// How long one attempt may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

/// What is sent in one attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parcel<'a> {
    /// The notice.
    pub(super) notice: &'a Notice,
    /// The same on every attempt at the same link, after a restart as well.
    pub(super) key: &'a str,
    /// Now, for signatures.
    pub(super) now: Timestamp,
}

/// What a channel said to an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// It took it.
    Taken,
    /// It did not, and may later.
    NotNow {
        /// Whether it may have it all the same.
        perhaps: Perhaps,
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
        /// In a line, without secrets.
        problem: String,
    },
    /// It will not.
    Never {
        /// In a line, without secrets.
        problem: String,
    },
}

impl Said {
    fn not_now(perhaps: Perhaps, problem: impl Into<String>) -> Self {
        Self::NotNow { perhaps, retry_after: None, problem: problem.into() }
    }

    fn never(problem: impl Into<String>) -> Self {
        Self::Never { problem: problem.into() }
    }
}

/// A way out.
#[derive(Debug)]
pub(super) enum Channel {
    /// PagerDuty, Events API v2.
    PagerDuty(PagerDuty),
    /// An incoming webhook of Slack.
    Slack(Slack),
    /// A signed webhook.
    Webhook(Webhook),
    /// A topic of SNS.
    Sns(Sns),
}

impl Channel {
    /// Tries once.
    pub(super) async fn send(&self, http: &Http, parcel: Parcel<'_>) -> Said {
        match self {
            Self::PagerDuty(channel) => channel.send(http, parcel).await,
            Self::Slack(channel) => channel.send(http, parcel).await,
            Self::Webhook(channel) => channel.send(http, parcel).await,
            Self::Sns(channel) => channel.send(parcel).await,
        }
    }

    /// What kind of channel it is and where it leads, without secrets.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::PagerDuty(channel) => format!("pagerduty at {}", channel.place.shown()),
            Self::Slack(channel) => format!("slack at {}", channel.place.shown()),
            Self::Webhook(channel) => format!("webhook at {}", channel.place.shown()),
            Self::Sns(channel) => format!("sns {}", channel.topic),
        }
    }
}
