//! The heartbeat: others see that Midwatch is awake, and hear it stop.
//!
//! INVARIANT: a beat leaves only if every organ has shown signs of life lately. Signs of life are
//! shown by doing the work, not by a flag that somebody once set: what hangs stops the heartbeat.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_sdk_cloudwatch::{
    Client,
    config::retry::RetryConfig,
    primitives::DateTime,
    types::{MetricDatum, StandardUnit},
};
use futures::FutureExt as _;
use midwatch_policy::{Clock, Timestamp};
use serde_json::json;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::{
    account::Account,
    channel::{DEADLINE, Http},
    secret::Place,
};

/// How long a sign of life counts, at least. A long poll of a queue takes 20 s.
const FRESH: Duration = Duration::from_mins(2);

/// What has to be alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Organ {
    /// Alarms come in: the queue was polled, the listener answers.
    Intake,
    /// The journal can be written.
    Journal,
    /// The outbox can be read and written.
    Outbox,
}

impl Organ {
    const ALL: [Self; 3] = [Self::Intake, Self::Journal, Self::Outbox];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Intake => "intake",
            Self::Journal => "journal",
            Self::Outbox => "outbox",
        }
    }
}

/// Where organs show that they are alive. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pulse {
    clock: Arc<dyn Clock>,
    /// When each organ was last seen, in milliseconds that the clock had been running: a clock that is set neither
    /// silences an organ nor revives it. 0 for never.
    seen: Arc<[AtomicU64; 3]>,
}

impl Pulse {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, seen: Arc::new([const { AtomicU64::new(0) }; 3]) }
    }

    /// An organ did its work just now.
    pub fn beat(&self, organ: Organ) {
        if let Some(seen) = self.seen.get(organ as usize) {
            seen.store(self.now(), Ordering::Relaxed);
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.clock.running().as_millis()).unwrap_or(u64::MAX)
    }

    /// Organs that have shown no sign of life lately.
    pub fn silent(&self) -> Vec<&'static str> {
        let now = self.now();
        let is_silent = |organ: &Organ| {
            let seen = self.seen.get(*organ as usize).map_or(0, |seen| seen.load(Ordering::Relaxed));
            Duration::from_millis(now.saturating_sub(seen)) > FRESH
        };
        Organ::ALL.into_iter().filter(is_silent).map(Organ::as_str).collect()
    }
}

/// How the heartbeat leaves.
#[derive(Debug, Clone)]
pub(super) struct Beats {
    pub(super) every: Duration,
    pub(super) ping: Option<Ping>,
    pub(super) metric: Option<Arc<Metric>>,
}

/// A URL that is called: GET, or POST with a little JSON.
#[derive(Debug, Clone)]
pub(super) struct Ping {
    pub(super) place: Place,
    pub(super) post: bool,
}

/// A metric of CloudWatch that is 1 at every beat, and missing otherwise.
#[derive(Debug)]
pub(super) struct Metric {
    namespace: String,
    name: String,
    account: Account,
    client: OnceCell<Client>,
}

impl Metric {
    pub(super) fn new(namespace: String, name: String, account: Account) -> Self {
        Self { namespace, name, account, client: OnceCell::new() }
    }

    async fn put(&self, now: Timestamp) -> Result<(), String> {
        let client = self
            .client
            .get_or_try_init(|| async {
                let config = self.account.config().await?;
                let config = aws_sdk_cloudwatch::config::Builder::from(&config)
                    .retry_config(RetryConfig::standard().with_max_attempts(2))
                    .build();
                Ok::<_, String>(Client::from_conf(config))
            })
            .await?;
        let datum = MetricDatum::builder()
            .metric_name(&self.name)
            .value(1.0)
            .unit(StandardUnit::Count)
            .timestamp(DateTime::from_millis(now.as_millisecond()))
            .build();
        let put = client.put_metric_data().namespace(&self.namespace).metric_data(datum).send();
        match tokio::time::timeout(DEADLINE, put).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(match error.as_service_error() {
                Some(service) => {
                    use aws_sdk_cloudwatch::error::ProvideErrorMetadata as _;
                    format!("CloudWatch says {}", service.code().unwrap_or("an unnamed error"))
                }
                None => "CloudWatch cannot be reached".to_owned(),
            }),
            Err(_) => Err("CloudWatch does not answer in time".to_owned()),
        }
    }
}

/// Beats until it is told to end.
pub(super) async fn run(beats: Beats, http: Http, pulse: Pulse, end: CancellationToken) {
    let clock = Arc::clone(&pulse.clock);
    loop {
        if AssertUnwindSafe(beat(&beats, &http, &pulse, clock.now())).catch_unwind().await.is_err() {
            tracing::error!("a defect in Midwatch: a heartbeat broke off");
        }
        tokio::select! {
            () = end.cancelled() => return,
            () = clock.sleep(beats.every) => {}
        }
    }
}

async fn beat(beats: &Beats, http: &Http, pulse: &Pulse, now: Timestamp) {
    let silent = pulse.silent();
    if !silent.is_empty() {
        tracing::error!(?silent, "no heartbeat");
        return;
    }
    if let Some(Ping { place, post }) = &beats.ping {
        let body = post.then(|| json!({ "from": "midwatch", "at": now }).to_string().into_bytes());
        if let Err(problem) = http.ping(body, place, now).await {
            tracing::warn!(problem, "the heartbeat did not arrive");
        }
    }
    if let Some(metric) = &beats.metric
        && let Err(problem) = metric.put(now).await
    {
        tracing::warn!(problem, "the heartbeat did not arrive");
    }
}

#[cfg(test)]
mod tests;
