//! Where alarms come from.

pub mod sns;
pub mod sqs;
