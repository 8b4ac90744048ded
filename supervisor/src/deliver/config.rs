//! The `[notify]` table: what was written → channels and routes that cannot be wrong, with every
//! error said at once.

mod raw;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use midwatch_mcp::AwsSettings;
use midwatch_policy::SignedDuration;

pub use raw::RawNotify;
use raw::{RawChannel, RawHeartbeat, RawMetric, RawRoute, RawStep};

use super::{
    account::Account,
    chain::Link,
    channel::{Channel, EVENTS, PagerDuty, Slack, Sns, Webhook},
    heartbeat::{Beats, Metric, Ping},
    route::{Hours, Route, Routes, Wanted},
    secret::{Place, Secret},
};

/// Attempts at a link that has another behind it: half a minute.
const ATTEMPTS: u32 = 5;
/// Attempts at the last link: about half an hour.
const LAST_ATTEMPTS: u32 = 30;
/// How many notices leave by one channel at a time, unless it says otherwise.
const AT_A_TIME: u32 = 4;
/// How long an incident may go without an outcome, unless it is said.
const RAW_ALARM_AFTER: Duration = Duration::from_mins(15);
/// How long until people are reminded, unless it is said.
const REMIND_EVERY: Duration = Duration::from_hours(1);

/// Everything about reaching people, checked.
#[derive(Debug, Clone)]
pub struct NotifyConfig {
    pub(super) channels: BTreeMap<String, Arc<Way>>,
    pub(super) routes: Routes,
    pub(super) raw_alarm_after: Duration,
    pub(super) remind_every: Duration,
    pub(super) heartbeat: Option<Beats>,
}

/// A channel, and how many notices leave by it at a time.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) channel: Channel,
    pub(super) at_a_time: usize,
}

/// Why nobody could be reached by this configuration: everything that is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// Not TOML, or not the shape of it. The source names line and column.
    #[error("the configuration is not readable")]
    Toml(#[from] toml::de::Error),
    /// There is no `[notify]`.
    #[error("the configuration has no `[notify]`: nobody would be told of anything; see docs/notify.md")]
    Absent,
    /// Readable, but wrong; one line for each problem.
    #[error("`[notify]` is wrong:\n  {}", .0.join("\n  "))]
    Wrong(Vec<String>),
}

impl NotifyConfig {
    /// From a configuration file that has a `[notify]`; the rest of the file is not looked at.
    /// `variable` looks up environment variables, for secrets.
    pub fn parse(
        file: &str,
        aws: &AwsSettings,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, NotifyError> {
        #[derive(serde::Deserialize)]
        struct File {
            notify: Option<RawNotify>,
        }
        let raw = toml::from_str::<File>(file)?.notify.ok_or(NotifyError::Absent)?;
        Self::new(raw, aws, variable)
    }

    /// Checks what was written.
    pub fn new(
        raw: RawNotify,
        aws: &AwsSettings,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, NotifyError> {
        let mut check = Check { aws, variable, problems: Vec::new() };
        let raw_alarm_after = check
            .span("raw_alarm_after", raw.raw_alarm_after.as_deref(), 60..=86_400)
            .unwrap_or(RAW_ALARM_AFTER);
        let remind_every =
            check.span("remind_every", raw.remind_every.as_deref(), 300..=604_800).unwrap_or(REMIND_EVERY);
        let named: BTreeSet<String> = raw.channel.keys().cloned().collect();
        if named.is_empty() {
            check.wrong("there is no `[notify.channel.NAME]`: give at least one");
        }
        let mut channels = BTreeMap::new();
        for (name, channel) in raw.channel {
            if let Some(way) = check.channel(&name, channel) {
                channels.insert(name, Arc::new(way));
            }
        }
        let routes = check.routes(raw.route, &named);
        let heartbeat = raw.heartbeat.and_then(|raw| check.heartbeat(raw));
        if check.problems.is_empty() {
            Ok(Self { channels, routes: Routes::new(routes), raw_alarm_after, remind_every, heartbeat })
        } else {
            Err(NotifyError::Wrong(check.problems))
        }
    }

    /// Names of the routes, in their order.
    pub fn route_names(&self) -> Vec<String> {
        self.routes.names()
    }

    /// What PagerDuty signs its webhooks with, by the channels that hear it.
    pub(super) fn pagerduty_secrets(&self) -> impl Iterator<Item = &Secret> {
        self.channels.values().filter_map(|way| match &way.channel {
            Channel::PagerDuty(pager) => pager.webhook_secret.as_ref(),
            _ => None,
        })
    }

    /// Channels by name, with what they are and where they lead; without secrets.
    pub fn channels_shown(&self) -> BTreeMap<String, String> {
        self.channels.iter().map(|(name, way)| (name.clone(), way.channel.shown())).collect()
    }
}

struct Check<'a> {
    aws: &'a AwsSettings,
    variable: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<String>,
}

impl Check<'_> {
    fn wrong(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    fn kept<T>(&mut self, place: &str, read: Result<T, String>) -> Option<T> {
        read.map_err(|problem| self.wrong(format!("{place}: {problem}"))).ok()
    }

    fn span(
        &mut self,
        place: &str,
        text: Option<&str>,
        seconds: std::ops::RangeInclusive<u64>,
    ) -> Option<Duration> {
        let text = text?;
        let read = text.parse::<SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok());
        let fits = read.filter(|span| seconds.contains(&span.as_secs()));
        if fits.is_none() {
            let (from, to) = (seconds.start(), seconds.end());
            self.wrong(format!(
                "{place}: `{text}` is no time between {from} s and {to} s; write it like `30s`, `10m` or `2h`"
            ));
        }
        fits
    }

    fn channel(&mut self, name: &str, raw: RawChannel) -> Option<Way> {
        let place = format!("channel `{name}`");
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
            self.wrong(format!("{place}: its name has other signs than letters, digits and `-_.`"));
        }
        let at_a_time = raw.at_a_time().unwrap_or(AT_A_TIME);
        if !(1..=64).contains(&at_a_time) {
            self.wrong(format!("{place}: `at_a_time` is {at_a_time}; allowed are 1 to 64"));
        }
        let channel = match raw {
            RawChannel::Pagerduty { routing_key, webhook_secret, url, .. } => {
                let url = url.as_deref().unwrap_or(EVENTS);
                let at = self.kept(&place, Place::parse(url));
                let key = self.kept(&place, routing_key.read(self.variable));
                let webhook_secret =
                    webhook_secret.and_then(|secret| self.kept(&place, secret.read(self.variable)));
                let built =
                    at.zip(key).map(|(place, routing_key)| PagerDuty { place, routing_key, webhook_secret });
                built.map(Channel::PagerDuty)
            }
            RawChannel::Slack { url, .. } => {
                let secret = self.kept(&place, url.read(self.variable))?;
                let at = self.kept(&place, Place::parse(secret.reveal()));
                at.map(|place| Channel::Slack(Slack { place, secret }))
            }
            RawChannel::Webhook { url, secret, .. } => {
                let at = self.kept(&place, Place::parse(&url));
                let secret = self.kept(&place, secret.read(self.variable));
                if secret.as_ref().is_some_and(|secret| secret.reveal().len() < 16) {
                    self.wrong(format!(
                        "{place}: its secret has fewer than 16 signs: `openssl rand -hex 32` makes one"
                    ));
                }
                at.zip(secret).map(|(place, secret)| Channel::Webhook(Webhook { place, secret }))
            }
            RawChannel::Sns { topic_arn, role_arn, region, .. } => {
                let parts: Vec<&str> = topic_arn.split(':').collect();
                let home = match parts.as_slice() {
                    ["arn", _, "sns", region, account, topic]
                        if !region.is_empty() && account.len() == 12 && !topic.is_empty() =>
                    {
                        Some((*region).to_owned())
                    }
                    _ => None,
                };
                if home.is_none() {
                    self.wrong(format!("{place}: `topic_arn` is no ARN of a topic; it looks like `arn:aws:sns:eu-west-1:123456789012:oncall`"));
                }
                self.role(&place, role_arn.as_deref());
                let account = Account { settings: self.aws.clone(), region: region.or(home), role_arn };
                Some(Channel::Sns(Sns::new(topic_arn, account)))
            }
        };
        Some(Way { channel: channel?, at_a_time: usize::try_from(at_a_time).unwrap_or(1) })
    }

    fn role(&mut self, place: &str, role: Option<&str>) {
        if role.is_some_and(|role| !role.starts_with("arn:") || !role.contains(":role/")) {
            self.wrong(format!("{place}: `role_arn` is no ARN of a role"));
        }
    }

    fn routes(&mut self, raw: Vec<RawRoute>, channels: &BTreeSet<String>) -> Vec<Route> {
        let mut names = BTreeSet::new();
        let mut last: Option<String> = None;
        let mut routes = Vec::new();
        for raw in raw {
            let place = format!("route `{}`", raw.name);
            if raw.name.trim().is_empty() || raw.name.chars().any(char::is_control) {
                self.wrong("a route has no name: give it one");
            }
            if !names.insert(raw.name.clone()) {
                self.wrong(format!("{place} stands there twice: give each its own name"));
            }
            if let Some(last) = &last {
                self.wrong(format!(
                    "{place} is never reached: `{last}` before it catches all; put that one last"
                ));
            }
            let links = self.links(&place, &raw.steps, channels);
            let wanted = Wanted {
                services: raw.services,
                tiers: raw.tiers,
                severities: raw.severities,
                kinds: raw.kinds,
                hours: raw.hours.unwrap_or(Hours::Any),
            };
            if wanted.tiers.iter().flatten().any(|tier| *tier > 4) {
                self.wrong(format!("{place}: tiers are 0 (most critical) to 4"));
            }
            if wanted.is_empty_anywhere() {
                self.wrong(format!(
                    "{place}: an empty list matches nothing; leave the field out to match all"
                ));
            }
            if wanted.is_everything() && !raw.also {
                last = Some(raw.name.clone());
            }
            routes.push(Route { name: raw.name, wanted, also: raw.also, links });
        }
        if last.is_none() {
            self.wrong(
                "no route catches all: end with a `[[notify.route]]` that has only `name` and `steps`, so that nothing is told to nobody",
            );
        }
        routes
    }

    fn links(&mut self, place: &str, steps: &[RawStep], channels: &BTreeSet<String>) -> Vec<Link> {
        if steps.is_empty() || steps.len() > 10 {
            self.wrong(format!("{place}: it has {} `steps`; give it 1 to 10", steps.len()));
        }
        let mut links = Vec::new();
        for (n, step) in steps.iter().enumerate() {
            let is_last = n + 1 == steps.len();
            if !channels.contains(&step.channel) {
                self.wrong(format!("{place}, step {}: there is no channel `{}`", n + 1, step.channel));
            }
            let attempts = step.attempts.unwrap_or(if is_last { LAST_ATTEMPTS } else { ATTEMPTS });
            if !(1..=100).contains(&attempts) {
                self.wrong(format!(
                    "{place}, step {}: `attempts` is {attempts}; allowed are 1 to 100",
                    n + 1
                ));
            }
            let within = format!("{place}, step {}: ack_within", n + 1);
            let ack_within = self.span(&within, step.ack_within.as_deref(), 30..=86_400);
            links.push(Link { channel: step.channel.clone(), ack_within, attempts });
        }
        links
    }

    fn heartbeat(&mut self, raw: RawHeartbeat) -> Option<Beats> {
        let RawHeartbeat { every, url, post, metric } = raw;
        let every =
            self.span("heartbeat: every", every.as_deref(), 10..=3600).unwrap_or(Duration::from_mins(1));
        let ping = match url {
            Some(raw) => {
                let secret = self.kept("heartbeat", raw.read(self.variable));
                let place = secret.and_then(|s| self.kept("heartbeat", Place::parse(s.reveal())));
                Some(Ping { place: place?, post })
            }
            None => None,
        };
        let metric = metric.map(|RawMetric { namespace, name, region, role_arn }| {
            self.role("heartbeat: metric", role_arn.as_deref());
            let account = Account { settings: self.aws.clone(), region, role_arn };
            Metric::new(namespace, name, account)
        });
        if ping.is_none() && metric.is_none() {
            self.wrong("`[notify.heartbeat]` has neither `url` nor `metric`: give one, or leave it out");
        }
        Some(Beats { every, ping, metric: metric.map(Arc::new) })
    }
}
