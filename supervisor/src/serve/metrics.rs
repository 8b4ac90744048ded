//! What is counted, for Prometheus.
//!
//! Names begin with `midwatch_`; docs/serve.md lists them. Labels are from closed sets: sources,
//! decisions, outcomes; never an alarm's name or an incident.

use std::sync::{Mutex, PoisonError};

use midwatch_policy::Timestamp;
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::intake::{
    board::Ruling,
    door::{Door, Refusal},
    sources::sqs::{Count, Polled},
};

use super::money::Purse;

type Labels<const N: usize> = [(&'static str, String); N];

/// The counters. All of them are shared, so that counting needs no lock.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    alarms: Family<Labels<2>, Counter>,
    refused: Family<Labels<2>, Counter>,
    messages: Family<Labels<2>, Counter>,
    ended: Family<Labels<1>, Counter>,
    reloads: Family<Labels<1>, Counter>,
    seconds: Histogram,
    waiting: Gauge,
    working: Gauge,
    asking: Gauge,
    at_the_door: Gauge,
    ready: Gauge,
    started: Gauge,
    /// Queues whose last look failed.
    broken: Mutex<std::collections::BTreeMap<String, String>>,
}

impl Metrics {
    /// All at nothing, from now.
    pub fn new(now: Timestamp) -> Self {
        let metrics = Self {
            registry: Mutex::default(),
            alarms: Family::default(),
            refused: Family::default(),
            messages: Family::default(),
            ended: Family::default(),
            reloads: Family::default(),
            seconds: Histogram::new([1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0]),
            waiting: Gauge::default(),
            working: Gauge::default(),
            asking: Gauge::default(),
            at_the_door: Gauge::default(),
            ready: Gauge::default(),
            started: Gauge::default(),
            broken: Mutex::default(),
        };
        metrics.started.set(now.as_second());
        let mut registry = Registry::with_prefix("midwatch");
        registry.register("alarms", "Alarms taken, by source and decision", metrics.alarms.clone());
        registry.register("refused", "Messages not taken, by source and reason", metrics.refused.clone());
        registry.register(
            "queue_messages",
            "Messages of queues: taken, poison, left, failed (looks)",
            metrics.messages.clone(),
        );
        registry.register("incidents_ended", "Incidents that ended, by outcome", metrics.ended.clone());
        registry.register("reloads", "Reloads, by result", metrics.reloads.clone());
        registry.register(
            "incident_seconds",
            "Seconds from the first alarm's arrival to the report",
            metrics.seconds.clone(),
        );
        registry.register("incidents_waiting", "Incidents that wait for work", metrics.waiting.clone());
        registry.register("incidents_working", "Incidents at work", metrics.working.clone());
        registry.register("incidents_asking", "Incidents that have asked people", metrics.asking.clone());
        registry.register(
            "door_waiting",
            "Messages that wait to be decided about",
            metrics.at_the_door.clone(),
        );
        registry.register("ready", "1 if /ready says so", metrics.ready.clone());
        registry.register("start_time_seconds", "When it was started", metrics.started.clone());
        *metrics.registry.lock().unwrap_or_else(PoisonError::into_inner) = registry;
        metrics
    }

    /// Shows what models and queries cost as well.
    pub fn show(&self, purse: Purse) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register_collector(Box::new(purse));
    }

    /// An answer of the door.
    pub fn brought(&self, source: &str, answer: &Result<Vec<Ruling>, Refusal>) {
        match answer {
            Ok(rulings) => {
                for ruling in rulings {
                    let labels =
                        [("source", source.to_owned()), ("decision", ruling.decision.kind().to_owned())];
                    self.alarms.get_or_create(&labels).inc();
                }
            }
            Err(refusal) => {
                let why = match refusal {
                    Refusal::Full => "full",
                    Refusal::Unwritten => "unwritten",
                    Refusal::Stopping => "stopping",
                };
                self.refuse(source, why);
            }
        }
    }

    /// A message that was not taken.
    pub fn refuse(&self, source: &str, why: &'static str) {
        self.refused.get_or_create(&[("source", source.to_owned()), ("reason", why.to_owned())]).inc();
    }

    /// An incident that ended.
    pub fn ended(&self, outcome: &'static str, seconds: f64) {
        self.ended.get_or_create(&[("outcome", outcome.to_owned())]).inc();
        self.seconds.observe(seconds);
    }

    /// A reload.
    pub fn reloaded(&self, result: &'static str) {
        self.reloads.get_or_create(&[("result", result.to_owned())]).inc();
    }

    /// Whether it is ready.
    pub fn set_ready(&self, ready: bool) {
        self.ready.set(i64::from(ready));
    }

    /// Queues that could not be read at the last look, with the reason.
    pub fn broken_queues(&self) -> Vec<String> {
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.iter().map(|(queue, why)| format!("{queue} cannot be read: {why}")).collect()
    }

    /// All of it, as Prometheus reads it.
    pub fn text(&self, door: &Door) -> String {
        let (waiting, working, asking) =
            door.queue(|queue| (queue.waiting(), queue.working(), queue.parked()));
        for (gauge, value) in [
            (&self.waiting, waiting),
            (&self.working, working),
            (&self.asking, asking),
            (&self.at_the_door, door.waiting()),
        ] {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        if encode(&mut text, &registry).is_err() {
            tracing::error!("metrics cannot be written");
        }
        text
    }
}

impl Count for Metrics {
    fn polled(&self, queue: &str, result: &Result<Polled, String>) {
        let count = |what: &str, number: usize| {
            let labels = [("source", queue.to_owned()), ("what", what.to_owned())];
            self.messages.get_or_create(&labels).inc_by(number as u64);
        };
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(Polled { taken, poison, left }) => {
                broken.remove(queue);
                count("taken", *taken);
                count("poison", *poison);
                count("left", *left);
            }
            Err(error) => {
                broken.insert(queue.to_owned(), midwatch_mcp::clip(error, 200).into_owned());
                count("failed", 1);
            }
        }
    }
}
