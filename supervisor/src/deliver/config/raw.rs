//! `[notify]` as it is written.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::deliver::{
    notice::{Kind, Severity},
    route::Hours,
    secret::RawSecret,
};

/// The table as it is written. [`NotifyConfig::new`](super::NotifyConfig::new) checks it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawNotify {
    #[serde(default)]
    pub(super) raw_alarm_after: Option<String>,
    #[serde(default)]
    pub(super) remind_every: Option<String>,
    #[serde(default)]
    pub(super) channel: BTreeMap<String, RawChannel>,
    #[serde(default)]
    pub(super) route: Vec<RawRoute>,
    #[serde(default)]
    pub(super) heartbeat: Option<RawHeartbeat>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum RawChannel {
    Pagerduty {
        routing_key: RawSecret,
        #[serde(default)]
        webhook_secret: Option<RawSecret>,
        #[serde(default)]
        url: Option<String>,
        #[serde(default)]
        at_a_time: Option<u32>,
    },
    Slack {
        url: RawSecret,
        #[serde(default)]
        at_a_time: Option<u32>,
    },
    Webhook {
        url: String,
        secret: RawSecret,
        #[serde(default)]
        at_a_time: Option<u32>,
    },
    Sns {
        topic_arn: String,
        #[serde(default)]
        role_arn: Option<String>,
        #[serde(default)]
        region: Option<String>,
        #[serde(default)]
        at_a_time: Option<u32>,
    },
}

impl RawChannel {
    pub(super) const fn at_a_time(&self) -> Option<u32> {
        match self {
            Self::Pagerduty { at_a_time, .. }
            | Self::Slack { at_a_time, .. }
            | Self::Webhook { at_a_time, .. }
            | Self::Sns { at_a_time, .. } => *at_a_time,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRoute {
    pub(super) name: String,
    #[serde(default)]
    pub(super) services: Option<Vec<String>>,
    #[serde(default)]
    pub(super) tiers: Option<Vec<u8>>,
    #[serde(default)]
    pub(super) severities: Option<Vec<Severity>>,
    #[serde(default)]
    pub(super) kinds: Option<Vec<Kind>>,
    #[serde(default)]
    pub(super) hours: Option<Hours>,
    #[serde(default)]
    pub(super) also: bool,
    #[serde(default)]
    pub(super) steps: Vec<RawStep>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStep {
    pub(super) channel: String,
    #[serde(default)]
    pub(super) ack_within: Option<String>,
    #[serde(default)]
    pub(super) attempts: Option<u32>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHeartbeat {
    #[serde(default)]
    pub(super) every: Option<String>,
    #[serde(default)]
    pub(super) url: Option<RawSecret>,
    #[serde(default)]
    pub(super) post: bool,
    #[serde(default)]
    pub(super) metric: Option<RawMetric>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMetric {
    pub(super) namespace: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) region: Option<String>,
    #[serde(default)]
    pub(super) role_arn: Option<String>,
}
