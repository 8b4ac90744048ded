//! What is right in a scenario but would surprise its author.

use super::{ExpectedAction, Scenario};
use crate::world::State;

impl Scenario {
    /// Plays the scenario up to its alarm and says what would surprise.
    pub fn warnings(&self) -> Vec<String> {
        let mut list = Vec::new();
        let state = State::begin(&self.spec);
        if let Some(alarm) = state.alarms.first() {
            let name = &alarm.spec.name;
            if alarm.by_fault {
                list.push(format!(
                    "the metric of alarm `{name}` does not breach {} for {} periods before the alarm: {} \
                     The alarm fires at its time all the same, and stays for as long as a fault of its \
                     service is in effect; for an alarm that follows its metric, begin the fault \
                     earlier or make it stronger",
                    alarm.spec.threshold, alarm.spec.datapoints, alarm.reason
                ));
            }
        }
        let faults = &self.spec.faults;
        if faults.is_empty() && self.spec.series.is_empty() && self.spec.logs.is_empty() {
            list.push("there is no [[fault]]: nothing is wrong in this world".to_owned());
        }
        if let Some(ExpectedAction::Tool { tool, .. }) = &self.expected.action
            && !self.runbooks.iter().any(|(_, text)| text.contains(tool.tool()))
        {
            list.push(format!("no runbook allows `{tool}`, which is expected"));
        }
        if self.runbooks.is_empty() {
            list.push("there are no runbooks: put Markdown files into `runbooks/`".to_owned());
        }
        list
    }
}
