//! How long calls to AWS waited for a turn, for Prometheus.

use std::fmt;

use midwatch_mcp::Turns;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter},
};

/// The waits of a process.
#[derive(Debug)]
pub(super) struct Waits(pub(super) Turns);

impl Collector for Waits {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let all = self.0.all();
        let label = |api: &String| [("api", api.clone())];
        let help =
            "Seconds that calls to AWS waited for a turn within the rates that are kept for the account";
        let mut family = encoder.encode_descriptor("quota_wait_seconds", help, None, MetricType::Counter)?;
        for (api, waited) in &all {
            ConstCounter::new(waited.time.as_secs_f64()).encode(family.encode_family(&label(api))?)?;
        }
        let help = "Calls to AWS that waited";
        let mut family = encoder.encode_descriptor("quota_waits", help, None, MetricType::Counter)?;
        for (api, waited) in &all {
            ConstCounter::new(waited.calls).encode(family.encode_family(&label(api))?)?;
        }
        Ok(())
    }
}
