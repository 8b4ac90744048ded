//! SNS over HTTPS: notifications that AWS signs.
//!
//! INVARIANTS:
//! - nothing of a message is believed before its signature holds, and a signature is checked with
//!   a certificate from `https://sns.<region>.amazonaws.com` only;
//! - a message for a topic that is not configured is refused, and no subscription to it confirmed;
//! - a message that is older than an hour is refused: AWS does not deliver one so late, somebody
//!   who kept one might.

mod certificate;
mod signature;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use midwatch_policy::{Clock, SignedDuration, Timestamp};
use serde::Deserialize;

pub use certificate::{Certificates, Fetch, Fetched, OverHttps};

/// How old a message may be; AWS gives up on a delivery within that time by default.
const OLDEST: SignedDuration = SignedDuration::from_hours(1);
/// How far ahead its clock may be.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    arn: String,
    region: String,
}

impl Topic {
    /// From its ARN.
    pub fn parse(arn: &str) -> Option<Self> {
        let parts: Vec<&str> = arn.split(':').collect();
        let ["arn", partition, "sns", region, account, name] = parts.as_slice() else { return None };
        let good = partition.starts_with("aws")
            && !region.is_empty()
            && account.len() == 12
            && account.bytes().all(|b| b.is_ascii_digit())
            && !name.is_empty();
        good.then(|| Self { arn: arn.to_owned(), region: (*region).to_owned() })
    }

    /// Its ARN.
    pub fn arn(&self) -> &str {
        &self.arn
    }
}

/// A message as SNS posts it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope {
    #[serde(rename = "Type")]
    kind: String,
    message_id: String,
    topic_arn: String,
    message: String,
    timestamp: String,
    signature_version: String,
    signature: String,
    #[serde(rename = "SigningCertURL")]
    certificate: String,
    subject: Option<String>,
    token: Option<String>,
    #[serde(rename = "SubscribeURL")]
    subscribe: Option<String>,
}

/// What a message asks for, now that it is known to be from AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// A notification.
    Notification {
        /// Its id.
        id: String,
        /// What was published.
        message: String,
        /// The topic's ARN.
        topic: String,
    },
    /// The subscription was confirmed.
    Confirmed {
        /// The topic's ARN.
        topic: String,
    },
    /// Somebody unsubscribed us.
    Unsubscribed {
        /// The topic's ARN.
        topic: String,
    },
}

/// Why a message is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnsError {
    /// Not what SNS posts.
    #[error("not a message of SNS: {0}")]
    Malformed(String),
    /// Of a topic that is not configured.
    #[error("the topic is not configured: name it under [sns] topics")]
    Topic,
    /// Too old, or from the future.
    #[error("the message is not from now: it may have been kept and sent again")]
    Time,
    /// Its signature does not hold.
    #[error("the signature does not hold: {0}")]
    Signature(&'static str),
    /// The certificate cannot be fetched now.
    #[error("the certificate cannot be fetched: {0}")]
    Unreachable(String),
    /// The subscription cannot be confirmed now.
    #[error("the subscription cannot be confirmed: {0}")]
    Unconfirmed(String),
}

impl SnsError {
    /// Whether the same message may be taken later.
    pub const fn is_ours(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Unconfirmed(_))
    }
}

/// Takes messages of some topics.
#[derive(Debug)]
pub struct Sns {
    topics: Vec<Topic>,
    certificates: Certificates,
    clock: Arc<dyn Clock>,
}

impl Sns {
    /// For these topics; what AWS serves is fetched by `fetch`.
    pub fn new(topics: Vec<Topic>, fetch: Arc<dyn Fetch>, clock: Arc<dyn Clock>) -> Self {
        Self { topics, certificates: Certificates::new(fetch), clock }
    }

    /// Whether there is any topic.
    pub fn is_configured(&self) -> bool {
        !self.topics.is_empty()
    }

    /// Checks a message, and confirms a subscription where it asks for that.
    pub async fn take(&self, body: &[u8]) -> Result<Verified, SnsError> {
        let envelope: Envelope =
            serde_json::from_slice(body).map_err(|error| SnsError::Malformed(error.to_string()))?;
        let topic =
            self.topics.iter().find(|topic| topic.arn == envelope.topic_arn).ok_or(SnsError::Topic)?;
        let now = self.clock.now();
        Self::timely(&envelope, now)?;
        let certificate = self.certificates.get(&envelope.certificate, &topic.region, now).await?;
        signature::check(&envelope, &certificate, now)?;
        let topic_arn = envelope.topic_arn.clone();
        match envelope.kind.as_str() {
            "Notification" => Ok(Verified::Notification {
                id: envelope.message_id,
                message: envelope.message,
                topic: topic_arn,
            }),
            "SubscriptionConfirmation" => {
                let url = envelope.subscribe.as_deref().unwrap_or_default();
                self.certificates.confirm(url, &topic.region).await?;
                Ok(Verified::Confirmed { topic: topic_arn })
            }
            "UnsubscribeConfirmation" => Ok(Verified::Unsubscribed { topic: topic_arn }),
            kind => Err(SnsError::Malformed(format!("its type is `{}`", midwatch_mcp::clip(kind, 40)))),
        }
    }

    fn timely(envelope: &Envelope, now: Timestamp) -> Result<(), SnsError> {
        let at: Timestamp = envelope.timestamp.parse().map_err(|_| SnsError::Time)?;
        let age = now.duration_since(at);
        if age > OLDEST || age < -AHEAD { Err(SnsError::Time) } else { Ok(()) }
    }
}
