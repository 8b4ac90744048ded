//! What is counted, for Prometheus.
//!
//! Names begin with `midwatch_`; docs/serve.md lists them. Labels are from closed sets: sources,
//! decisions, outcomes; never an alarm's name or an incident.

use std::sync::{Mutex, PoisonError};

use midwatch_policy::Timestamp;
use prometheus_client::{
    collector::Collector,
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::intake::{
    board::Ruling,
    door::{Door, Refusal},
    sources::sqs::{Count, Polled},
};

type Labels<const N: usize> = [(&'static str, String); N];

/// The counters. All of them are shared, so that counting needs no lock.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    alarms: Family<Labels<2>, Counter>,
    refused: Family<Labels<2>, Counter>,
    unread: Family<Labels<1>, Counter>,
    messages: Family<Labels<2>, Counter>,
    ended: Family<Labels<1>, Counter>,
    reloads: Family<Labels<1>, Counter>,
    notices: Family<Labels<1>, Gauge>,
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
            unread: Family::default(),
            messages: Family::default(),
            ended: Family::default(),
            reloads: Family::default(),
            notices: Family::default(),
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
            "alarms_unread",
            "Alarms that could not be read, of messages whose others were taken",
            metrics.unread.clone(),
        );
        registry.register(
            "queue_messages",
            "Messages of queues: taken, poison, left, failed (looks)",
            metrics.messages.clone(),
        );
        registry.register("incidents_ended", "Incidents that ended, by outcome", metrics.ended.clone());
        registry.register("reloads", "Reloads, by result", metrics.reloads.clone());
        registry.register(
            "notices",
            "Notices of the last 30 days in the outbox, by state: waiting, delivered, cancelled, failed",
            metrics.notices.clone(),
        );
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

    /// Shows what somebody else counts as well: what models and queries cost, how long calls waited.
    pub fn show(&self, collector: impl Collector) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register_collector(Box::new(collector));
    }

    /// Notices in the outbox, by state.
    pub fn set_notices(&self, counts: &[(&'static str, u64)]) {
        for (state, count) in counts {
            let gauge = self.notices.get_or_create(&[("state", (*state).to_owned())]);
            gauge.set(i64::try_from(*count).unwrap_or(i64::MAX));
        }
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

    /// Alarms that could not be read, of a message whose others were taken.
    pub fn unread(&self, source: &str, count: usize) {
        self.unread.get_or_create(&[("source", source.to_owned())]).inc_by(count as u64);
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
            Ok(Polled { taken, poison, left, unread }) => {
                broken.remove(queue);
                if *unread > 0 {
                    self.unread(queue, *unread);
                }
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

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc, time::Duration};

    use midwatch_agents::{
        breaker::BreakerSettings,
        budget::Ceilings,
        gate::{Gates, Limits, Wanted},
    };
    use midwatch_mcp::{SystemClock, Turns};

    use super::*;
    use crate::{ledger::Ledger, serve::money::Purse, serve::turns::Waits};

    /// Every one of them stands on the page, and nothing else does.
    #[test]
    fn the_page_lists_what_is_shown() {
        let metrics = Metrics::new(Timestamp::UNIX_EPOCH);
        let gates = Arc::new(Gates::default());
        let mut wanted = Wanted::default();
        gates.want(&mut wanted, "us-east-1 m", BreakerSettings::default(), Limits::default());
        gates.take(&wanted);
        metrics.show(Purse::new(gates, Ledger::in_memory(Ceilings::default()), Arc::new(SystemClock)));
        let turns = Turns::default();
        turns.waited("logs:StartQuery", Duration::from_millis(1_500));
        turns.waited("logs:StartQuery", Duration::from_millis(750));
        let servers = Turns::default();
        servers.waited("logs", Duration::from_millis(500));
        metrics.show(Waits { aws: turns, servers });
        metrics.brought("t", &Err(Refusal::Full));
        metrics.alarms.get_or_create(&[("source", "t".to_owned()), ("decision", "opened".to_owned())]).inc();
        metrics.ended("resolved", 1.0);
        metrics.reloaded("good");
        metrics.set_notices(&[("waiting", 2), ("failed", 0)]);
        metrics.polled("q", &Ok(Polled { taken: 1, poison: 0, left: 0, unread: 1 }));
        let mut text = String::new();
        encode(&mut text, &metrics.registry.lock().unwrap()).unwrap();
        for line in [
            "midwatch_quota_wait_seconds_total{api=\"logs:StartQuery\"} 2.25",
            "midwatch_quota_waits_total{api=\"logs:StartQuery\"} 2",
            "midwatch_server_wait_seconds_total{server=\"logs\"} 0.5",
            "midwatch_notices{state=\"waiting\"} 2",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        let shown: BTreeSet<String> = text
            .lines()
            .filter_map(|line| {
                let mut words = line.strip_prefix("# TYPE ")?.split(' ');
                let (name, kind) = (words.next()?, words.next()?);
                Some(if kind == "counter" { format!("{name}_total") } else { name.to_owned() })
            })
            .collect();
        let page = include_str!("../../../docs/serve.md");
        let listed: BTreeSet<String> = page
            .split('`')
            .filter(|code| code.starts_with("midwatch_"))
            .filter_map(|code| code.split('{').next().map(str::to_owned))
            .collect();
        assert_eq!(shown, listed);
    }
}
