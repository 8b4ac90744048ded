//! Executions of state machines as they run.
//!
//! An execution is written down whole when it begins, with the times at which its steps happen;
//! what is seen of it is a function of the time. Faults strike it by their strength at the moment
//! in which it enters the state.

use std::collections::BTreeMap;

use rand::RngExt;

use super::{State, metrics::MetricKey, traffic::TICK_MS};
use crate::{
    random::{self, Rng},
    scenario::spec::{MachineSpec, Spec, StateFaultSpec},
};

/// Wait before the first attempt after an error; it doubles with each.
pub(crate) const BACKOFF_S: i64 = 2;

/// Executions of each state machine, in the order in which they began.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    pub(crate) executions: Vec<Vec<Execution>>,
}

/// One execution.
#[derive(Debug, Clone)]
pub(crate) struct Execution {
    pub(crate) name: String,
    pub(crate) started_ms: i64,
    pub(crate) ends_ms: i64,
    /// The definition it runs by.
    pub(crate) revision: usize,
    input_bytes: usize,
    pub(crate) steps: Vec<Step>,
}

/// A state on its way.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// Its place in the definition.
    pub(crate) state: usize,
    /// Attempts; the last one decides.
    pub(crate) attempts: Vec<Attempt>,
}

/// One attempt at a state.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) starts_ms: i64,
    pub(crate) ends_ms: i64,
    /// Error and cause.
    pub(crate) failure: Option<(String, String)>,
}

impl Execution {
    /// Error and cause with which it ends, if it fails.
    pub(crate) fn failure(&self) -> Option<&(String, String)> {
        self.steps.last()?.attempts.last()?.failure.as_ref()
    }

    /// Status as the API writes it.
    pub(crate) fn status(&self, now_ms: i64) -> &'static str {
        match (now_ms < self.ends_ms, self.failure()) {
            (true, _) => "RUNNING",
            (false, None) => "SUCCEEDED",
            (false, Some(_)) => "FAILED",
        }
    }

    /// Its input: an order with a customer in it, as long as it should be.
    pub(crate) fn input(&self) -> String {
        let id = self.name.get(..8).unwrap_or(&self.name);
        let head = format!("{{\"id\":\"{id}\",\"customer\":\"pat.{id}@example.com\",\"items\":\"");
        let rest = self.input_bytes.saturating_sub(head.len() + 2);
        format!("{head}{}\"}}", "x".repeat(rest))
    }
}

impl Flows {
    pub(crate) fn new(spec: &Spec) -> Self {
        Self { executions: vec![Vec::new(); spec.machines.len()] }
    }
}

/// A metric of a state machine.
pub(crate) fn metric(spec: &Spec, machine: &MachineSpec, name: &str) -> MetricKey {
    MetricKey {
        namespace: "AWS/States".to_owned(),
        name: name.to_owned(),
        dimensions: BTreeMap::from([("StateMachineArn".to_owned(), spec.machine_arn(machine))]),
    }
}

/// Begins the executions of a tick.
pub(crate) fn tick(state: &mut State, spec: &Spec, from_ms: i64) {
    for (index, machine) in spec.machines.iter().enumerate() {
        let Some(service) = spec.services.get(machine.service) else { continue };
        let mut rng = random::generator(spec.seed, &machine.name, from_ms / TICK_MS);
        let traffic = state.faults.effects(machine.service, service, from_ms + TICK_MS / 2).traffic;
        let per_tick = machine.starts_per_minute * traffic * TICK_MS as f64 / 60_000.0;
        let mut begun: Vec<i64> =
            (0..random::round(&mut rng, per_tick)).map(|_| from_ms + rng.random_range(0..TICK_MS)).collect();
        begun.sort_unstable();
        for at_ms in begun {
            let execution = run(state, spec, index, machine, at_ms, &mut rng);
            let mut count = |name: &str, at: i64| {
                state.metrics.record_many(&metric(spec, machine, name), at, 1.0, 1.0, 1.0);
            };
            count("ExecutionsStarted", execution.started_ms);
            let ended =
                if execution.failure().is_some() { "ExecutionsFailed" } else { "ExecutionsSucceeded" };
            count(ended, execution.ends_ms);
            let took = (execution.ends_ms - execution.started_ms) as f64;
            state.metrics.record(&metric(spec, machine, "ExecutionTime"), execution.ends_ms, took);
            if let Some(all) = state.flows.executions.get_mut(index) {
                all.push(execution);
            }
        }
    }
}

fn run(
    state: &State,
    spec: &Spec,
    index: usize,
    machine: &MachineSpec,
    at_ms: i64,
    rng: &mut Rng,
) -> Execution {
    let (revision, states) = machine.revision(at_ms);
    let mut execution = Execution {
        name: random::uuid(rng),
        started_ms: at_ms,
        ends_ms: at_ms,
        revision,
        input_bytes: rng.random_range(600..1400),
        steps: Vec::new(),
    };
    let mut now_ms = at_ms + 20;
    for (place, planned) in states.iter().enumerate() {
        let mut step = Step { state: place, attempts: Vec::new() };
        // One throw for each execution: what strikes it strikes every attempt.
        let struck = strike(state, spec, index, &planned.name, now_ms, rng);
        if let Some(bytes) = struck.and_then(|fault| fault.input_bytes) {
            execution.input_bytes = bytes;
        }
        for attempt in 0..=planned.retries {
            let took = (planned.takes_ms as f64 * rng.random_range(0.7..1.4)).max(20.0);
            #[expect(clippy::cast_possible_truncation, reason = "milliseconds of a step")]
            let ends_ms = now_ms + took as i64;
            let service = spec.services.get(machine.service).map_or("", |s| s.name.as_str());
            let failure = struck.map(|fault| (fault.error.clone(), fault.cause.fill(rng, service)));
            let failed = failure.is_some();
            step.attempts.push(Attempt { starts_ms: now_ms, ends_ms, failure });
            now_ms = ends_ms;
            if !failed {
                break;
            }
            if attempt < planned.retries {
                now_ms += (BACKOFF_S * 1000) << attempt;
            }
        }
        execution.steps.push(step);
        if struck.is_some() {
            break;
        }
        now_ms += 15;
    }
    execution.ends_ms = now_ms + 10;
    execution
}

/// The fault that an execution runs into when it enters a state.
fn strike<'a>(
    state: &State,
    spec: &'a Spec,
    machine: usize,
    name: &str,
    at_ms: i64,
    rng: &mut Rng,
) -> Option<&'a StateFaultSpec> {
    spec.faults.iter().enumerate().find_map(|(f, fault)| {
        let found = fault.state.as_ref().filter(|s| s.machine == machine && s.state == name)?;
        let share = state.faults.strength(f, at_ms) * found.share;
        (share > 0.0 && rng.random_bool(share.clamp(0.0, 1.0))).then_some(found)
    })
}
