//! `[[state_machine]]`, and what a fault does to its executions.

use midwatch_policy::AwsName;
use toml::Spanned;

use super::{
    raw::{RawScenario, RawStateFault, RawStateMachine, Text},
    reader::Reader,
    spec::{Called, MachineSpec, Spec, StateFaultSpec, StateSpec},
};
use crate::template::Template;

pub(super) fn machines(r: &mut Reader<'_>, raw: &RawScenario, spec: &mut Spec) {
    for written in &raw.state_machine {
        let machine = written.get_ref();
        let name = machine.name.get_ref();
        let Some(service) = r.service(&machine.service) else { continue };
        if let Err(why) = AwsName::parse(name.clone()) {
            r.problem(machine.name.span(), why.to_string(), "choose a name such as `settlement`");
        }
        if spec.machines.iter().any(|other| &other.name == name) {
            r.problem(
                machine.name.span(),
                format!("state machine `{name}` stands there twice"),
                "rename one",
            );
        }
        if spec.machines.iter().any(|other| other.service == service) {
            r.problem(
                machine.service.span(),
                format!("service `{}` has a state machine already", machine.service.get_ref()),
                "the catalog names one for each service: give this one to another",
            );
        }
        if machine.state.is_empty() {
            r.problem(
                written.span(),
                format!("state machine `{name}` has no states"),
                "add a [[state_machine.state]] with a `name` below it",
            );
        }
        let revisions = revisions(r, machine);
        spec.machines.push(MachineSpec {
            name: name.clone(),
            service,
            starts_per_minute: machine.starts_per_minute.unwrap_or(6.0).clamp(0.0, 600.0),
            revisions,
        });
    }
}

/// The definitions: the first, and one after each change.
fn revisions(r: &mut Reader<'_>, machine: &RawStateMachine) -> Vec<(i64, Vec<StateSpec>)> {
    let mut states: Vec<StateSpec> = Vec::new();
    for written in &machine.state {
        let state = written.get_ref();
        let name = state.name.get_ref().clone();
        if states.iter().any(|other| other.name == name) {
            r.problem(state.name.span(), format!("state `{name}` stands there twice"), "rename one");
        }
        states.push(StateSpec {
            name,
            calls: state.calls.as_ref().and_then(|text| called(r, text)),
            takes_ms: r.span_or(state.takes.as_ref(), 400).max(1),
            retries: state.retries.unwrap_or(0).min(10),
        });
    }
    let mut changes: Vec<_> = machine.change.iter().map(|c| (r.when(&c.get_ref().at), c)).collect();
    changes.sort_by_key(|(at, _)| *at);
    let mut revisions = vec![(i64::MIN, states.clone())];
    for (at_ms, written) in changes {
        let change = written.get_ref();
        let calls = change.calls.as_ref().and_then(|text| called(r, text));
        let Some(state) = states.iter_mut().find(|state| &state.name == change.state.get_ref()) else {
            unknown_state(r, &change.state, &states);
            continue;
        };
        state.calls = calls.or(state.calls.take());
        state.retries = change.retries.unwrap_or(state.retries).min(10);
        revisions.push((at_ms, states.clone()));
    }
    revisions
}

fn unknown_state(r: &mut Reader<'_>, name: &Text, states: &[StateSpec]) {
    let known: Vec<&str> = states.iter().map(|state| state.name.as_str()).collect();
    r.problem(
        name.span(),
        format!("there is no state `{}`", name.get_ref()),
        format!("states of this machine are `{}`", known.join("`, `")),
    );
}

fn called(r: &mut Reader<'_>, text: &Text) -> Option<Called> {
    let (kind, name) = text.get_ref().split_once(':').unwrap_or((text.get_ref(), ""));
    let named = AwsName::parse(name).is_ok();
    let called = match kind {
        "lambda" if named => Some(Called::Lambda(name.to_owned())),
        "ecs" if named => Some(Called::Ecs(name.to_owned())),
        "http" if named => Some(Called::Http(name.to_owned())),
        "dynamodb" if named => Some(Called::Table(name.to_owned())),
        _ => None,
    };
    if called.is_none() {
        r.problem(
            text.span(),
            format!("`{}` is nothing that a state can call", text.get_ref()),
            "write `lambda:FUNCTION`, `ecs:TASK-FAMILY`, `http:HOST` or `dynamodb:TABLE`",
        );
    }
    called
}

/// What a fault of a service does to executions.
pub(super) fn state_fault(
    r: &mut Reader<'_>,
    written: &Spanned<RawStateFault>,
    service: usize,
    spec: &Spec,
) -> Option<StateFaultSpec> {
    let fault = written.get_ref();
    let found = spec.machines.iter().position(|machine| match &fault.machine {
        Some(name) => &machine.name == name.get_ref(),
        None => machine.service == service,
    });
    let Some((index, machine)) = found.and_then(|index| Some((index, spec.machines.get(index)?))) else {
        let at = fault.machine.as_ref().map_or(written.span(), Spanned::span);
        r.problem(
            at,
            "there is no such state machine",
            "add a [[state_machine]] of this service, or name another with `machine = \"…\"`",
        );
        return None;
    };
    let states: &[StateSpec] = machine.revisions.first().map_or(&[], |(_, states)| states.as_slice());
    if !states.iter().any(|state| &state.name == fault.name.get_ref()) {
        unknown_state(r, &fault.name, states);
    }
    Some(StateFaultSpec {
        machine: index,
        state: fault.name.get_ref().clone(),
        error: fault.error.clone().unwrap_or_else(|| "States.TaskFailed".to_owned()),
        cause: fault.cause.as_ref().map_or_else(|| Template::literal(""), |text| r.template(text)),
        share: r.share(fault.share.as_ref(), 1.0),
        input_bytes: fault.input_bytes.map(|n| usize::try_from(n.min(262_144)).unwrap_or(0)),
    })
}

impl Spec {
    /// The ARN of a state machine.
    pub(crate) fn machine_arn(&self, machine: &MachineSpec) -> String {
        format!("arn:aws:states:{}:{}:stateMachine:{}", self.region, self.account, machine.name)
    }
}
