//! What models and queries cost and what stands before them, for Prometheus: read when it is asked,
//! so that nothing has to be counted twice.

use std::{fmt, sync::Arc};

use midwatch_agents::{
    breaker::Phase,
    gate::{Gate, GateCounts, Gates},
};
use midwatch_policy::Clock;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use crate::ledger::Ledger;

/// The gates and the ledger of a process.
#[derive(Debug)]
pub struct Purse {
    gates: Arc<Gates>,
    ledger: Ledger,
    clock: Arc<dyn Clock>,
}

impl Purse {
    /// Of these.
    pub fn new(gates: Arc<Gates>, ledger: Ledger, clock: Arc<dyn Clock>) -> Self {
        Self { gates, ledger, clock }
    }
}

/// What is counted at each gate: name, help, and where it stands.
type Counted = (&'static str, &'static str, fn(&GateCounts) -> u64);

const COUNTED: [Counted; 5] = [
    ("model_calls_admitted", "Model calls let through", |counts| counts.admitted),
    ("model_calls_refused", "Model calls stopped by the switch or the breaker", |counts| counts.refused),
    ("model_calls_waited", "Model calls that waited for the account's quota", |counts| counts.waited),
    ("model_waited_milliseconds", "How long they waited", |counts| counts.waited_ms),
    ("breaker_transitions", "Changes of the circuit breaker's phase", |counts| counts.transitions),
];

const fn number(phase: Phase) -> i64 {
    match phase {
        Phase::Closed => 0,
        Phase::HalfOpen => 1,
        Phase::Open => 2,
    }
}

impl Collector for Purse {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let gates = self.gates.all();
        let now = self.clock.now();
        for gate in &gates {
            // What a person ordered shows at once, whether anybody is asked or not.
            gate.obey(now);
        }
        let label = |gate: &Gate| [("model", gate.name().to_owned())];
        for (name, help, read) in COUNTED {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for gate in &gates {
                ConstCounter::new(read(&gate.counts())).encode(family.encode_family(&label(gate))?)?;
            }
        }
        let help = "Circuit breaker: 0 closed, 1 half-open, 2 open";
        let mut family = encoder.encode_descriptor("breaker_phase", help, None, MetricType::Gauge)?;
        for gate in &gates {
            ConstGauge::new(number(gate.phase())).encode(family.encode_family(&label(gate))?)?;
        }
        let off = i64::from(self.gates.switch().off().is_some());
        let help = "1 while the kill switch for all models is on";
        ConstGauge::new(off).encode(encoder.encode_descriptor(
            "models_off",
            help,
            None,
            MetricType::Gauge,
        )?)?;
        self.ledger(&mut encoder)
    }
}

impl Purse {
    /// The sums of this hour and this day; those before are in the ledger.
    fn ledger(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let levels = self.ledger.levels();
        let current = ["hour", "day"].map(|of| {
            let level = levels.iter().rfind(|level| level.scope.starts_with(&format!("{of}/")));
            (of, level)
        });
        let whole = |micro: u64| i64::try_from(micro).unwrap_or(i64::MAX);
        let mut gauges = |name, help, read: fn(&crate::ledger::Level) -> u64| {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (of, level) in current {
                ConstGauge::new(whole(level.map_or(0, read))).encode(family.encode_family(&[("of", of)])?)?;
            }
            Ok::<(), fmt::Error>(())
        };
        gauges("spent_micro_usd", "Spent in the last hour and day in which anything was", |level| {
            level.settled_micro_usd
        })?;
        gauges("reserved_micro_usd", "Set aside for calls under way", |level| level.reserved_micro_usd)?;
        let trouble = i64::from(self.ledger.trouble().is_some());
        let help = "1 while the ledger cannot be written: no paid model is asked";
        ConstGauge::new(trouble).encode(encoder.encode_descriptor(
            "ledger_trouble",
            help,
            None,
            MetricType::Gauge,
        )?)
    }
}

#[cfg(test)]
mod tests {
    use midwatch_agents::{
        breaker::{BreakerSettings, Seen},
        budget::Ceilings,
        gate::{Limits, Wanted},
    };
    use midwatch_policy::FixedClock;
    use prometheus_client::{encoding::text::encode, registry::Registry};

    use super::*;

    #[test]
    fn gates_breakers_and_sums_are_shown() {
        let gates = Arc::new(Gates::default());
        let mut wanted = Wanted::default();
        let settings = BreakerSettings { min_calls: 1, ..BreakerSettings::default() };
        let gate = gates.want(&mut wanted, "us-east-1 m", settings, Limits::default());
        gates.take(&wanted);
        let clock = Arc::new(FixedClock("2026-11-21T02:04:00Z".parse().unwrap()));
        gate.admit(clock.now()).0.unwrap().report(clock.now(), Seen::Failed, 7);
        let mut registry = Registry::with_prefix("midwatch");
        let ledger = Ledger::in_memory(Ceilings::default());
        registry.register_collector(Box::new(Purse::new(Arc::clone(&gates), ledger, clock)));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "midwatch_model_calls_admitted_total{model=\"us-east-1 m\"} 1",
            "midwatch_breaker_transitions_total{model=\"us-east-1 m\"} 1",
            "midwatch_breaker_phase{model=\"us-east-1 m\"} 2",
            "midwatch_models_off 0",
            "midwatch_spent_micro_usd{of=\"day\"} 0",
            "midwatch_ledger_trouble 0",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
