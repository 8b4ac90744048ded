//! Alarms on their way to an event bus, as CloudWatch sends them to EventBridge.
//!
//! EventBridge takes no events of `aws.*` sources from others than AWS, and the emulators keep to
//! that. So the event that CloudWatch would send is the `Detail` of an event of ours, and the rule
//! takes it out again with `InputPath = "$.detail"`: what arrives in the queue is what arrives from
//! CloudWatch, byte for byte in its fields.
//!
//! Requests are not signed: this speaks to emulators on the same host, which check no signature.

use std::{sync::Arc, time::Duration};

use reqwest::Client;
use serde_json::{Value, json};

use super::{kept::Kept, play::Playing};
use crate::world::event;

/// Where the bus is, whatever region an alarm is in: teams forward their regions to one.
const REGION: &str = "us-east-1";
/// The source of its events.
const SOURCE: &str = "midwatch.sim";
const LOOK: Duration = Duration::from_millis(500);
const AGAIN: Duration = Duration::from_secs(2);
const DEADLINE: Duration = Duration::from_secs(5);

/// Why the bus cannot be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// Not an endpoint.
    #[error("`{0}` is no http URL of an event bus")]
    Endpoint(String),
    /// The client.
    #[error("the HTTP client cannot be set up")]
    Client(#[from] reqwest::Error),
}

/// The bus.
#[derive(Debug, Clone)]
pub(super) struct Bus {
    endpoint: String,
    http: Client,
}

impl Bus {
    pub(super) fn new(endpoint: &str) -> Result<Self, BusError> {
        if !endpoint.starts_with("http://") {
            return Err(BusError::Endpoint(endpoint.to_owned()));
        }
        // Whoever was first has set the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().no_proxy().timeout(DEADLINE).build()?;
        Ok(Self { endpoint: endpoint.trim_end_matches('/').to_owned(), http })
    }

    /// Sends every change of an alarm for as long as this world is played.
    pub(super) fn follow(&self, playing: &Arc<Playing>, kept: Kept) {
        let (bus, world) = (self.clone(), Arc::downgrade(playing));
        let mut sent = playing.began().sent;
        let follow = async move {
            let mut away = false;
            while let Some(playing) = world.upgrade() {
                let next = playing.shared().with(|state| event::changes(state).into_iter().nth(sent));
                let Some((_, event)) = next else {
                    drop(playing);
                    tokio::time::sleep(LOOK).await;
                    continue;
                };
                match bus.put(&event).await {
                    Ok(()) => {
                        sent += 1;
                        away = false;
                        let text = |at: &str| event.pointer(at).and_then(Value::as_str).unwrap_or_default();
                        tracing::info!(
                            alarm = text("/detail/alarmName"),
                            state = text("/detail/state/value"),
                            "sent"
                        );
                        if let Err(error) = kept.sent(&playing, sent) {
                            tracing::error!(%error, "a restart will send it once more");
                        }
                    }
                    Err(why) => {
                        if !std::mem::replace(&mut away, true) {
                            tracing::warn!(why, "the event bus takes nothing; tried until it does");
                        }
                        drop(playing);
                        tokio::time::sleep(AGAIN).await;
                    }
                }
            }
        };
        tokio::spawn(playing.ended().run_until_cancelled_owned(follow));
    }

    async fn put(&self, event: &Value) -> Result<(), String> {
        let part = |name: &str| event.get(name).cloned().unwrap_or_default();
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDLOCAL/20260101/{REGION}/events/aws4_request, SignedHeaders=host, Signature=0"
        );
        let entry = json!({
            "Source": SOURCE,
            "DetailType": part("detail-type"),
            "Detail": event.to_string(),
            "Resources": part("resources"),
        });
        let asked = self
            .http
            .post(&self.endpoint)
            .header("x-amz-target", "AWSEvents.PutEvents")
            .header("content-type", "application/x-amz-json-1.1")
            .header("authorization", scope)
            .body(json!({ "Entries": [entry] }).to_string())
            .send();
        let answer = asked.await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = answer.text().await.map_err(|error| error.to_string())?;
        let body: Value = serde_json::from_str(&body).unwrap_or_default();
        if status.is_success() && body.get("FailedEntryCount").and_then(Value::as_u64) == Some(0) {
            return Ok(());
        }
        Err(format!("{status}: {body}"))
    }
}
