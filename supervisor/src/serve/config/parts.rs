//! The tables of the configuration.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use midwatch_mcp::{AwsSettings, Network};
use midwatch_policy::{Fields, Problem, Redactor, SignedDuration};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::{
    deliver::NotifyConfig,
    intake::{board::Grouping, sources::sns::Topic},
    models::ModelChoice,
    servers::Reader,
};

use super::Config;

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Bring alarms.
    Alarms,
    /// Read the metrics.
    Metrics,
    /// Acknowledge incidents and add notes to them, in its own name.
    Incidents,
    /// Have catalog, policy, prices and routes read anew.
    Reload,
}

/// Somebody who may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who: stands in the inbox as where an alarm came from.
    pub name: String,
    /// What they may do.
    pub may: Vec<Right>,
    /// SHA-256 of their token.
    sha256: [u8; 32],
}

impl Caller {
    /// A caller with this token.
    pub fn new(name: impl Into<String>, token: &str, may: Vec<Right>) -> Self {
        Self { name: name.into(), may, sha256: Sha256::digest(token.as_bytes()).into() }
    }

    /// Whether this is their token; takes as long whether it is or not.
    pub fn knows(&self, token: &str) -> bool {
        let given: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        bool::from(given.ct_eq(&self.sha256))
    }

    pub(super) fn read(mut table: Fields<'_>, p: &mut Vec<Problem>) -> Option<Self> {
        let name = table.text("name", "say who calls: `name = \"grafana\"`", p);
        let remedy =
            "write what `printf %s \"$TOKEN\" | sha256sum` prints; a token has 32 random bytes or more";
        let sha256 = table.text("sha256", remedy, p);
        let digest = sha256.and_then(|text| {
            let digest = hex::decode(&text).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
            if digest.is_none() {
                p.push(table.wrong("`sha256` is not 64 hexadecimal digits", remedy));
            }
            digest
        });
        let may = table.take("may", "[\"alarms\", \"incidents\", \"metrics\", \"reload\"]", p);
        table.finish("name, sha256, may", p);
        Some(Self { name: name?, sha256: digest?, may: may.unwrap_or_else(|| vec![Right::Alarms]) })
    }
}

pub(super) fn twice(callers: &[Caller], p: &mut Vec<Problem>) {
    for (n, caller) in callers.iter().enumerate() {
        if callers.iter().take(n).any(|before| before.name == caller.name) {
            let message = format!("the caller `{}` stands there twice", caller.name);
            p.push(Problem::new(None, message, "give every caller a name of its own"));
        }
    }
}

/// A queue that is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSource {
    /// Its URL.
    pub url: String,
    /// Its name, for people.
    pub name: String,
    /// Its region, where it is not the ordinary one.
    pub region: Option<String>,
    /// The role to read it with.
    pub role_arn: Option<String>,
    /// Where messages go that are no alarm; without it they are left to the queue's redrive policy.
    pub dead_letter: Option<String>,
}

impl QueueSource {
    pub(super) fn read(mut table: Fields<'_>, p: &mut Vec<Problem>) -> Option<Self> {
        let remedy = "write `url = \"https://sqs.REGION.amazonaws.com/ACCOUNT/NAME\"`";
        let url = table.text("url", remedy, p);
        let region = table.take("region", "\"us-east-1\"", p);
        let role_arn = table.take("role_arn", "\"arn:aws:iam::123456789012:role/read-alarms\"", p);
        let dead_letter: Option<String> = table.take("dead_letter", "\"https://sqs.…/alarms-dead\"", p);
        for given in url.iter().chain(&dead_letter) {
            if !(given.starts_with("https://") || given.starts_with("http://")) {
                p.push(table.wrong(&format!("`{given}` is no URL"), remedy));
            }
        }
        if url.is_some() && url == dead_letter {
            p.push(table.wrong("the dead-letter queue is the queue itself", "name another queue"));
        }
        table.finish("url, region, role_arn, dead_letter", p);
        let url = url?;
        let name = url.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
        Some(Self { url, name, region, role_arn, dead_letter })
    }
}

/// A process elsewhere, and the file of the token for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where.
    pub url: String,
    /// The file of the token.
    pub token_file: PathBuf,
    /// What lies between here and there.
    pub network: Network,
}

/// A server that only reads and runs elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderPlace {
    /// Which.
    pub reader: Reader,
    /// Where.
    pub place: Place,
}

impl Place {
    pub(super) fn read(mut table: Fields<'_>, base: &Path, p: &mut Vec<Problem>) -> Option<Self> {
        let url = table.text("url", "say where it is: `url = \"https://desk.example.com\"`", p);
        let token_file = table.text("token_file", "name the file that holds the token for it", p);
        let private = table.take("private_network", "true", p).unwrap_or_default();
        table.finish("url, token_file, private_network", p);
        let network = Network::private_if(private);
        Some(Self { url: url?, token_file: base.join(token_file?), network })
    }
}

/// Each is named once.
pub(super) fn readers(tables: Vec<Fields<'_>>, base: &Path, p: &mut Vec<Problem>) -> Vec<ReaderPlace> {
    let mut all: Vec<ReaderPlace> = Vec::new();
    for mut table in tables {
        let remedy =
            "write `name = \"logs\"`, or \"metrics\", \"deployments\", \"runbooks\" or \"workflows\"";
        let named = table.text("name", remedy, p);
        let reader = named.and_then(|name| {
            let reader = Reader::ALL.into_iter().find(|reader| reader.name() == name);
            if reader.is_none() {
                p.push(table.wrong(&format!("there is no server `{name}` that only reads"), remedy));
            } else if all.iter().any(|known| Some(known.reader) == reader) {
                p.push(table.wrong(&format!("the server `{name}` stands there twice"), "remove one"));
            }
            reader
        });
        let place = Place::read(table, base, p);
        all.extend(reader.zip(place).map(|(reader, place)| ReaderPlace { reader, place }));
    }
    all
}

pub(super) fn model(file: &mut Fields<'_>, p: &mut Vec<Problem>) -> Option<ModelChoice> {
    let remedy = "write `model = \"playbook\"` or `model = \"bedrock\"`";
    if !file.has("model") {
        return None;
    }
    let name = file.text("model", remedy, p)?;
    let model = <ModelChoice as clap::ValueEnum>::from_str(&name, false).ok();
    if model.is_none() {
        p.push(file.wrong(&format!("there is no model `{name}`"), remedy));
    }
    model
}

/// How long incidents are kept.
pub(super) fn keep_days(file: &mut Fields<'_>, p: &mut Vec<Problem>) -> Option<u32> {
    let days: u32 = file.take("keep_days", "400", p)?;
    if days == 0 {
        p.push(file.wrong("`keep_days` is 0", "write how many days, or leave it out to keep them always"));
    }
    Some(days)
}

/// What the logs server takes out, besides what is built in: names and regular expressions.
pub(super) fn redact(file: &mut Fields<'_>, logs_elsewhere: bool, p: &mut Vec<Problem>) -> Redactor {
    let form = "{ customer = 'C-[0-9]{8}' }";
    let Some(patterns) = file.take::<BTreeMap<String, String>>("redact", form, p) else {
        return Redactor::default();
    };
    if logs_elsewhere {
        p.push(Problem::new(
            None,
            "there is a table [redact], and the logs server runs elsewhere",
            "write it into the configuration of that server: what it answers was redacted there",
        ));
    }
    let pairs = patterns.iter().map(|(name, pattern)| (name.as_str(), pattern.as_str()));
    Redactor::new(pairs).unwrap_or_else(|wrong| {
        let problem = |error: &midwatch_policy::PatternError| {
            Problem::new(
                None,
                format!("[redact]: {error}"),
                "docs/servers/logs.md says what a pattern may be",
            )
        };
        p.extend(wrong.iter().map(problem));
        Redactor::default()
    })
}

/// Who is told, from the same text: it has a reader of its own.
pub(super) fn notify(text: &str, p: &mut Vec<Problem>) -> Option<NotifyConfig> {
    let variable = |name: &str| std::env::var(name).ok();
    NotifyConfig::parse(text, &AwsSettings::default(), &variable)
        .map_err(|error| p.push(Problem::new(None, error.to_string(), "see docs/notify.md")))
        .ok()
}

pub(super) fn http(mut table: Fields<'_>, config: &mut Config, p: &mut Vec<Problem>) {
    if let Some(listen) = table.take::<SocketAddr>("listen", "\"127.0.0.1:8484\"", p) {
        (config.listen, config.listen_in_file) = (listen, listen);
    }
    config.behind_tls = table.take("behind_tls", "true", p).unwrap_or_default();
    config.network = Network::private_if(table.take("private_network", "true", p).unwrap_or_default());
    config.hosts = table.take("hosts", "[\"midwatch.example.com\"]", p).unwrap_or_default();
    table.finish("listen, behind_tls, private_network, hosts", p);
}

pub(super) fn topics(mut table: Fields<'_>, p: &mut Vec<Problem>) -> Vec<Topic> {
    let form = "[\"arn:aws:sns:us-east-1:123456789012:alarms\"]";
    let named: Vec<String> = table.take("topics", form, p).unwrap_or_default();
    if named.is_empty() {
        p.push(table.wrong("`topics` is missing or empty", &format!("write `topics = {form}`")));
    }
    let topics = named.iter().filter_map(|arn| {
        let topic = Topic::parse(arn);
        if topic.is_none() {
            p.push(table.wrong(&format!("`{arn}` is no topic's ARN"), &format!("write it like {form}")));
        }
        topic
    });
    let topics = topics.collect();
    table.finish("topics", p);
    topics
}

pub(super) fn work(mut table: Fields<'_>, config: &mut Config, p: &mut Vec<Problem>) {
    let mut count = |key: &str, most: usize, p: &mut Vec<Problem>| {
        let given: usize = table.take(key, "8", p)?;
        if given == 0 || given > most {
            let message = format!("`{key}` is {given}, allowed are 1 to {most}");
            p.push(table.wrong(&message, "write a number between them"));
        }
        Some(given)
    };
    if let Some(at_once) = count("at_once", 10_000, p) {
        config.at_once = at_once;
    }
    if let Some(waiting) = count("waiting", 100_000, p) {
        config.waiting = waiting;
    }
    if let Some(grace) = span(&mut table, "grace", p).and_then(|grace| Duration::try_from(grace).ok()) {
        config.grace = grace;
    }
    if let Some(calls) = table.take("aws_calls_per_second", "9", p) {
        config.aws_calls_per_second = calls;
    }
    table.finish("at_once, waiting, grace, aws_calls_per_second", p);
}

pub(super) fn grouping(mut table: Fields<'_>, p: &mut Vec<Problem>) -> Grouping {
    let usual = Grouping::default();
    let mut long =
        |key: &str, usual: SignedDuration, p: &mut Vec<Problem>| span(&mut table, key, p).unwrap_or(usual);
    let same_service = long("same_service", usual.same_service, p);
    let related = long("related", usual.related, p);
    let sibling = long("sibling", usual.sibling, p);
    let flap_window = long("flap_window", usual.flap_window, p);
    let flap_hold = long("flap_hold", usual.flap_hold, p);
    let storm_window = long("storm_window", usual.storm_window, p);
    let mut many = |key: &str, usual: usize, p: &mut Vec<Problem>| {
        let given = table.take(key, "4", p).unwrap_or(usual);
        if given < 2 {
            p.push(table.wrong(&format!("`{key}` is {given}"), "write 2 or more"));
        }
        given
    };
    let flaps = many("flaps", usual.flaps, p);
    let storm = many("storm", usual.storm, p);
    table.finish("same_service, related, sibling, flaps, flap_window, flap_hold, storm, storm_window", p);
    Grouping { same_service, related, sibling, flaps, flap_window, flap_hold, storm, storm_window }
}

/// A span such as `90s`, `10m` or `2h`, up to a week.
fn span(table: &mut Fields<'_>, key: &str, p: &mut Vec<Problem>) -> Option<SignedDuration> {
    let text: String = table.take(key, "\"10m\"", p)?;
    let read = || {
        let unit = text.chars().next_back()?;
        let number: u32 = text.strip_suffix(unit)?.trim().parse().ok()?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return None,
        };
        let span = SignedDuration::from_secs(i64::from(number) * seconds);
        (span <= SignedDuration::from_hours(24 * 7)).then_some(span)
    };
    let span = read();
    if span.is_none() {
        let message = format!("`{key}` is `{text}`, which is no span of up to a week");
        p.push(table.wrong(&message, &format!("write it like `{key} = \"10m\"`, with s, m, h or d")));
    }
    span
}
