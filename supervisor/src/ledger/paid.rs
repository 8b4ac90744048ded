//! Tools that cost something beside tokens: reserved at what the server allows one call to cost,
//! settled by what the call says it came to.

use std::sync::Arc;

use futures::future::BoxFuture;
use midwatch_agents::{
    budget::{Charge, Spend},
    model::CallLimits,
    tools::{FailureKind, ToolCall, ToolDef, ToolFailure, Tools},
};
use midwatch_policy::Clock;
use serde_json::Value;

/// Bytes that the logs server lets one query scan unless it is configured otherwise.
const MOST_SCANNED: u64 = 20_000_000_000;

/// Tools, paid from an incident's purse.
#[derive(Debug)]
pub struct Paid {
    tools: Arc<dyn Tools>,
    spend: Spend,
    clock: Arc<dyn Clock>,
}

impl Paid {
    /// The tools of an incident.
    pub fn new(tools: Arc<dyn Tools>, spend: Spend, clock: Arc<dyn Clock>) -> Self {
        Self { tools, spend, clock }
    }
}

/// What a tool's calls are charged as.
fn charged(call: &ToolCall) -> Option<(Charge, u64)> {
    match (call.server.as_str(), call.tool.as_str()) {
        ("logs", "log_query") => Some((Charge::LogsInsights, MOST_SCANNED)),
        _ => None,
    }
}

/// Bytes that a result says were scanned.
fn scanned(result: &Value) -> Option<u64> {
    result.get("statistics")?.get("bytes_scanned")?.as_u64()
}

impl Tools for Paid {
    fn list(&self) -> Vec<ToolDef> {
        self.tools.list()
    }

    fn call<'a>(
        &'a self,
        call: &'a ToolCall,
        limits: &'a CallLimits,
    ) -> BoxFuture<'a, Result<Value, ToolFailure>> {
        Box::pin(async move {
            let Some((what, most)) = charged(call) else { return self.tools.call(call, limits).await };
            let held = self.spend.reserve_charge(self.clock.now(), what, most).await.map_err(|why| {
                let mut refused = ToolFailure::new(FailureKind::Refused, why.to_string());
                refused.mend = Some("use what was read already, or a tool that scans nothing".to_owned());
                refused
            })?;
            let answer = self.tools.call(call, limits).await;
            match &answer {
                Ok(result) => {
                    held.settle_units(scanned(result));
                }
                // It was not run.
                Err(failure) if matches!(failure.kind, FailureKind::Refused | FailureKind::Invalid) => {
                    held.release();
                }
                Err(_) => {
                    held.settle_units(None);
                }
            }
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use midwatch_agents::{budget::Total, prices::Prices};
    use midwatch_policy::FixedClock;
    use serde_json::json;

    use super::*;
    use crate::ledger::Ledger;

    #[derive(Debug)]
    struct Answers(Result<Value, FailureKind>);

    impl Tools for Answers {
        fn list(&self) -> Vec<ToolDef> {
            Vec::new()
        }
        fn call<'a>(
            &'a self,
            _: &'a ToolCall,
            _: &'a CallLimits,
        ) -> BoxFuture<'a, Result<Value, ToolFailure>> {
            let answer = self.0.clone().map_err(|kind| ToolFailure::new(kind, "no"));
            Box::pin(std::future::ready(answer))
        }
    }

    async fn spent(
        tool: &str,
        answer: Result<Value, FailureKind>,
        ceiling: u64,
    ) -> (Total, Option<FailureKind>) {
        let ceilings = midwatch_agents::budget::Ceilings::of_incident(ceiling);
        let spend = Ledger::in_memory(ceilings).purse(Arc::new(Prices::embedded().unwrap()), "inc", None);
        let clock = Arc::new(FixedClock("2026-03-09T02:12:00Z".parse().unwrap()));
        let paid = Paid::new(Arc::new(Answers(answer)), spend.clone(), clock);
        let call = ToolCall { server: "logs".into(), tool: tool.into(), args: serde_json::Map::new() };
        let limits = CallLimits::within(std::time::Duration::from_secs(1));
        let failed = paid.call(&call, &limits).await.err().map(|failure| failure.kind);
        (spend.total(), failed)
    }

    #[tokio::test]
    async fn scanned_bytes_are_paid_and_what_is_not_known_is_paid_in_full() {
        let read = || Ok(json!({"statistics": {"bytes_scanned": 2_000_000_000u64}}));
        let cost = |(total, _): (Total, Option<FailureKind>)| total.cost_micro_usd;
        assert_eq!(cost(spent("log_query", read(), 500_000).await), 10_000);
        assert_eq!(cost(spent("log_query", Ok(json!({})), 500_000).await), 100_000);
        assert_eq!(cost(spent("log_query", Err(FailureKind::Timeout), 500_000).await), 100_000);
        assert_eq!(cost(spent("log_query", Err(FailureKind::Refused), 500_000).await), 0);
        assert_eq!(cost(spent("get_alarm", read(), 0).await), 0);
        let (total, failed) = spent("log_query", read(), 99_999).await;
        assert_eq!((total.cost_micro_usd, failed), (0, Some(FailureKind::Refused)));
    }
}
