//! How long calls waited for a turn, for Prometheus: at AWS, within the rates that are kept for an account, and at the
//! servers, where so many are under way at once.

use std::fmt;

use midwatch_mcp::Turns;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter},
};

/// The waits of a process.
#[derive(Debug)]
pub(super) struct Waits {
    /// By API.
    pub(super) aws: Turns,
    /// By server.
    pub(super) servers: Turns,
}

impl Collector for Waits {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let quota = "calls to AWS waited for a turn within the rates that are kept for the account";
        encode(&mut encoder, &self.aws, ("quota_wait", "api"), quota)?;
        let server = "reads waited for a turn at a server";
        encode(&mut encoder, &self.servers, ("server_wait", "server"), server)
    }
}

fn encode(
    encoder: &mut DescriptorEncoder<'_>,
    turns: &Turns,
    (name, by): (&str, &str),
    what: &str,
) -> Result<(), fmt::Error> {
    let all = turns.all();
    let (seconds, help) = (format!("{name}_seconds"), format!("Seconds that {what}"));
    let mut family = encoder.encode_descriptor(&seconds, &help, None, MetricType::Counter)?;
    for (of, waited) in &all {
        let label = [(by, of.as_str())];
        ConstCounter::new(waited.time.as_secs_f64()).encode(family.encode_family(&label)?)?;
    }
    let (count, help) = (format!("{name}s"), format!("How many {what}"));
    let mut family = encoder.encode_descriptor(&count, &help, None, MetricType::Counter)?;
    for (of, waited) in &all {
        let label = [(by, of.as_str())];
        ConstCounter::new(waited.calls).encode(family.encode_family(&label)?)?;
    }
    Ok(())
}
