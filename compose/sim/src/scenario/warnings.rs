//! What is right in a scenario but would surprise its author.

use midwatch_policy::{ActionKind, CauseKind, RunbookContract};

use super::{Answer, ExpectedAction, Outcome, Scenario, rule::Rule, spec::Spec};
use crate::{
    random,
    time::{self, MINUTE_MS},
    world::{
        State,
        alarm::{self, Alarm},
    },
};

impl Scenario {
    /// Plays the scenario up to its alarm and says what would surprise.
    pub fn warnings(&self) -> Vec<String> {
        let mut list = Vec::new();
        let state = State::begin(&self.spec);
        if let Some(first) = state.alarms.first() {
            self.alarm(&state, first, &mut list);
        }
        let faults = &self.spec.faults;
        if faults.is_empty() && self.spec.series.is_empty() && self.spec.logs.is_empty() {
            list.push("there is no [[fault]]: nothing is wrong in this world".to_owned());
        }
        self.faults(&mut list);
        self.expectations(&state, &mut list);
        self.contracts(&state, &mut list);
        list
    }

    fn alarm(&self, state: &State, first: &Alarm, list: &mut Vec<String>) {
        let name = &first.spec.name;
        for alarm in &state.alarms {
            let names = alarm.spec.rule().map(Rule::names).unwrap_or_default();
            for gone in names.iter().filter(|n| !state.alarms.iter().any(|other| other.spec.name == **n)) {
                list.push(format!(
                    "the rule of alarm `{}` names `{gone}`, which does not exist: it is in no state",
                    alarm.spec.name
                ));
            }
        }
        if first.by_fault && first.spec.rule().is_some() {
            list.push(format!(
                "the rule of alarm `{name}` does not hold at `time`: it fires all the same, and stays for as long \
                 as a fault of its service is in effect; let the alarms of its rule fire by then"
            ));
        } else if first.by_fault {
            list.push(format!(
                "the metric of alarm `{name}` does not breach {} at `time` in {} of its last {} periods ({}). It \
                 fires at its time all the same, and stays for as long as a fault of its service is in effect; \
                 for an alarm that follows its metric, begin the fault earlier or make it stronger",
                first.spec.threshold, first.spec.datapoints, first.spec.periods, first.reason
            ));
        }
        let spec = &self.spec;
        let late = (3 * first.spec.period_s * 1000).max(3 * MINUTE_MS);
        if let Some(since) = alarm::due_since(state, spec).filter(|since| spec.alarm_ms - since > late) {
            list.push(format!(
                "by its {} alarm `{name}` would have fired at {} already, {} minutes before `time`; move \
                 `time` or the fault, raise `threshold`, or ask for more `periods`",
                if first.spec.rule().is_some() { "rule" } else { "metric" },
                time::timestamp(since),
                (spec.alarm_ms - since) / MINUTE_MS
            ));
        }
        let own = |f: &&super::spec::FaultSpec| f.service == first.spec.service;
        let of_service: Vec<_> = spec.faults.iter().filter(own).collect();
        let over = |f: &&super::spec::FaultSpec| f.until_ms.is_some_and(|until| until <= spec.alarm_ms);
        if !of_service.is_empty() && of_service.iter().all(over) {
            list.push(format!(
                "every fault of the service of alarm `{name}` is over before it fires; for a trouble that passes, \
                 let `until` be a few seconds after the alarm"
            ));
        }
    }

    fn faults(&self, list: &mut Vec<String>) {
        for (n, fault) in self.spec.faults.iter().enumerate() {
            let Some(service) = self.spec.services.get(fault.service) else { continue };
            if fault.tasks_down > service.tasks {
                list.push(format!(
                    "fault {} takes {} tasks of `{}` down, which has {}",
                    n + 1,
                    fault.tasks_down,
                    service.name,
                    service.tasks
                ));
            }
        }
    }

    fn expectations(&self, state: &State, list: &mut Vec<String>) {
        let spec = &self.spec;
        let expected = &self.expected;
        let service = |text: &str| spec.services.iter().any(|s| s.name == text);
        for cause in &expected.causes {
            let Some(text) = &cause.reference else { continue };
            let known = match cause.kind {
                CauseKind::Deployment | CauseKind::Unknown => true,
                CauseKind::MemoryLeak | CauseKind::Outage | CauseKind::Transient => service(text),
                CauseKind::Dependency => self.depended_on(text) || written(state, text),
                CauseKind::Saturation | CauseKind::Throttling => {
                    service(text) || self.resource(text) || written(state, text)
                }
            };
            if !known {
                list.push(format!("the expected cause `{text}` is named nowhere else in this scenario"));
            }
        }
        for text in &expected.must_cite {
            if !self.named(text) && !written(state, text) {
                list.push(format!(
                    "`must_cite` wants `{text}`, which is in no log line, name or id of this world (lines hold \
                     filled placeholders, and JSON lines escape quotation marks)"
                ));
            }
        }
        let Some(ExpectedAction::Tool { tool, target, outcome }) = &expected.action else { return };
        if let Some(target) = target
            && !service(target)
            && (*tool != ActionKind::RollbackDeployment || !self.deployed(target))
        {
            let what =
                if *tool == ActionKind::RollbackDeployment { "deployment or service" } else { "service" };
            list.push(format!("the expected target `{target}` is no {what} of this scenario"));
        }
        let answer = self.approver.answer;
        let fits = match outcome {
            Some(Outcome::Declined) => answer == Answer::Decline,
            Some(Outcome::Expired) => answer == Answer::Silent || self.approver.after.as_secs() >= 600,
            Some(Outcome::Done | Outcome::NotRecovered | Outcome::Failed | Outcome::Ambiguous) => {
                answer == Answer::Approve
            }
            Some(Outcome::Refused) | None => true,
        };
        if !fits && let Some(outcome) = outcome {
            list.push(format!("outcome {outcome:?} is expected, but the approver's answer is {answer:?}"));
        }
        if expected.must_not_do.contains(tool) && *outcome == Some(Outcome::Done) {
            list.push(format!("`{tool}` is expected to be done and stands in `must_not_do`"));
        }
    }

    fn contracts(&self, state: &State, list: &mut Vec<String>) {
        let contracts: Vec<(&str, RunbookContract)> = self
            .runbooks
            .iter()
            .filter_map(|(file, text)| Some((file.as_str(), RunbookContract::split(text).ok()?.0?)))
            .collect();
        for (n, (file, contract)) in contracts.iter().enumerate() {
            if let Some((other, _)) = contracts.iter().take(n).find(|(_, c)| c.id == contract.id) {
                list.push(format!("the runbooks `{other}` and `{file}` have the same id `{}`", contract.id));
            }
        }
        let matches = |c: &RunbookContract| c.signatures.iter().any(|s| written(state, s.trim()));
        let Some(ExpectedAction::Tool { tool, .. }) = &self.expected.action else { return };
        for (file, contract) in contracts.iter().filter(|(_, c)| c.action == Some(*tool)) {
            if contract.signatures.is_empty() {
                list.push(format!("runbook `{file}` has no `signatures`: it is matched to no error"));
            } else if !matches(contract) {
                list.push(format!("no signature of runbook `{file}` is in a log line of this world"));
            }
        }
    }

    fn depended_on(&self, text: &str) -> bool {
        self.catalog
            .services()
            .any(|s| s.name.as_str() == text || s.depends_on.iter().any(|d| d.as_str() == text))
    }

    fn resource(&self, text: &str) -> bool {
        let spec: &Spec = &self.spec;
        self.depended_on(text)
            || spec.faults.iter().any(|f| f.throttles.as_ref().is_some_and(|(table, _)| table == text))
            || spec.series.iter().any(|s| s.name == text || s.dimensions.values().any(|v| v == text))
            || spec.machines.iter().any(|machine| {
                let mut states = machine.revisions.iter().flat_map(|(_, states)| states);
                machine.name == text
                    || states.any(|s| s.calls.as_ref().is_some_and(|called| called.name() == text))
            })
    }

    fn deployed(&self, text: &str) -> bool {
        self.spec.deployments.iter().any(|d| d.id == text || self.spec.service_deployment_arn(d) == text)
    }

    /// Whether a name, an id or a commit of this world has a text in it; numbers may be counts.
    fn named(&self, text: &str) -> bool {
        let spec: &Spec = &self.spec;
        let has = |whole: &str| whole.to_lowercase().contains(&text.to_lowercase());
        text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            || spec.services.iter().any(|s| has(&s.name) || has(&s.log_group))
            || spec.deployments.iter().any(|d| {
                let env = d.env.iter().flatten().any(|(k, v)| has(k) || has(v));
                has(&spec.service_deployment_arn(d))
                    || has(&d.commit)
                    || has(&d.message)
                    || has(&d.author)
                    || env
            })
            || spec.alarms.iter().any(|a| {
                let metric = alarm::metrics_of(a, spec).iter().any(|(_, key, _)| has(&key.name));
                has(&a.name) || has(&a.description) || metric
            })
            || spec.metric_filters.iter().any(|f| has(&f.name) || has(&f.metric) || has(f.pattern.as_str()))
            || spec.faults.iter().any(|f| {
                f.task_stops.as_ref().is_some_and(|(_, _, why)| why.as_deref().is_some_and(has))
                    || f.throttles.as_ref().is_some_and(|(table, _)| has(table))
                    || f.state.as_ref().is_some_and(|s| {
                        let cause = s.cause.fill(&mut random::generator(spec.seed, &s.state, 0), "");
                        has(&s.state) || has(&s.error) || has(&cause)
                    })
            })
            || spec.task_stops.iter().any(|t| t.reason.as_deref().is_some_and(has))
            || self.runbooks.iter().any(|(_, runbook)| has(runbook))
    }
}

/// Whether a text is in a log line of this world, up to the delivery of the alarm.
fn written(state: &State, text: &str) -> bool {
    if text.is_empty() {
        return false;
    }
    let wanted = text.to_lowercase();
    let escaped = wanted.replace('\\', "\\\\").replace('"', "\\\"");
    state.logs.groups().any(|group| {
        state.logs.events(group, i64::MIN, i64::MAX, i64::MAX).any(|event| {
            let line = event.message.to_lowercase();
            line.contains(&wanted) || line.contains(&escaped)
        })
    })
}
