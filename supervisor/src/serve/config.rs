//! What `midwatch serve` is told: one TOML file, read once into what cannot be wrong.
//!
//! INVARIANT: every problem is reported at once, with its line and what to do about it. Secrets do
//! not stand in the file: it names files of tokens, or holds their SHA-256.

mod parts;
#[cfg(test)]
mod tests;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use midwatch_mcp::Network;
use midwatch_policy::{Fields, Problem, Redactor};

use crate::{
    deliver::NotifyConfig,
    intake::{board::Grouping, quiet::Quiet, sources::sns::Topic},
    models::{ModelChoice, MoneyConfig},
    servers::Reader,
};

pub use parts::{Caller, Place, QueueSource, ReaderPlace, Right};

/// Where it listens unless it is told otherwise.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8484);

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there, or not readable.
    #[error("cannot read the configuration `{path}`: {source}")]
    Read {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Everything that is wrong with it.
    #[error("the configuration is wrong:\n  {}", Problem::lines(.0))]
    Wrong(Vec<Problem>),
}

/// What `serve` is told.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where incidents are kept; other stores lie beside it.
    pub store: Option<PathBuf>,
    /// The services.
    pub catalog: Option<PathBuf>,
    /// The directory of runbooks.
    pub runbooks: Option<PathBuf>,
    /// Business hours, for whom to tell when.
    pub calendar: Option<PathBuf>,
    /// Which model reasons.
    pub model: ModelChoice,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where the file says to listen, which a flag may have overruled.
    pub listen_in_file: SocketAddr,
    /// TLS ends in front of it.
    pub behind_tls: bool,
    /// What lies between it and its callers.
    pub network: Network,
    /// Names it may be addressed by, besides loopback and `listen`.
    pub hosts: Vec<String>,
    /// Who may call.
    pub callers: Vec<Caller>,
    /// Topics whose notifications are taken over HTTPS.
    pub topics: Vec<Topic>,
    /// Queues that are read.
    pub queues: Vec<QueueSource>,
    /// Incidents that are worked on at once.
    pub at_once: usize,
    /// Incidents that may wait.
    pub waiting: usize,
    /// Calls of one AWS operation a second; 0 is as many as come.
    pub aws_calls_per_second: u32,
    /// How many days an incident is kept after its report. Without it, always.
    pub keep_days: Option<u32>,
    /// How long work may take to come to a good place once it is told to stop.
    pub grace: Duration,
    /// How alarms are put together.
    pub grouping: Grouping,
    /// Maintenance and silences.
    pub quiet: Quiet,
    /// Who is told, and how. Without it, nobody is.
    pub notify: Option<NotifyConfig>,
    /// Servers that only read and run elsewhere; the others run in this process.
    pub readers: Vec<ReaderPlace>,
    /// What the logs server in this process takes out of every text, besides what is built in.
    pub redact: Redactor,
    /// Third-party MCP servers, in the `mcpServers` form.
    pub mcp_servers: Option<PathBuf>,
    /// The policy that decides about their tools. Without it, the shipped rules.
    pub policy: Option<PathBuf>,
    /// What models may cost, and which are asked. Without it, what `MIDWATCH_MONEY` names.
    pub money: Option<MoneyConfig>,
    /// Where requests are answered and permits signed. Without it, nothing is ever done.
    pub desk: Option<Place>,
    /// Where it is done.
    pub remediation: Option<Place>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store: None,
            catalog: None,
            runbooks: None,
            calendar: None,
            model: ModelChoice::Playbook,
            listen: LISTEN,
            listen_in_file: LISTEN,
            behind_tls: false,
            network: Network::Open,
            hosts: Vec::new(),
            callers: Vec::new(),
            topics: Vec::new(),
            queues: Vec::new(),
            at_once: 8,
            waiting: 500,
            aws_calls_per_second: midwatch_mcp::CALLS_PER_SECOND,
            keep_days: None,
            grace: Duration::from_secs(30),
            grouping: Grouping::default(),
            quiet: Quiet::default(),
            notify: None,
            readers: Vec::new(),
            redact: Redactor::default(),
            mcp_servers: None,
            policy: None,
            money: None,
            desk: None,
            remediation: None,
        }
    }
}

/// What flags and environment say: it goes over the file at the start and at every reload.
#[derive(Debug, Clone, Default)]
pub struct Over {
    /// Where to listen.
    pub listen: Option<SocketAddr>,
    /// Where incidents are kept.
    pub store: Option<PathBuf>,
    /// The services.
    pub catalog: Option<PathBuf>,
    /// The directory of runbooks.
    pub runbooks: Option<PathBuf>,
    /// Third-party MCP servers.
    pub mcp_servers: Option<PathBuf>,
    /// The policy.
    pub policy: Option<PathBuf>,
    /// Which model reasons.
    pub model: Option<ModelChoice>,
}

impl Config {
    /// With what flags and environment say over it.
    #[must_use]
    pub fn under(mut self, over: &Over) -> Self {
        self.listen = over.listen.unwrap_or(self.listen);
        self.model = over.model.unwrap_or(self.model);
        for (said, place) in [
            (&over.store, &mut self.store),
            (&over.catalog, &mut self.catalog),
            (&over.runbooks, &mut self.runbooks),
            (&over.mcp_servers, &mut self.mcp_servers),
            (&over.policy, &mut self.policy),
        ] {
            if said.is_some() {
                place.clone_from(said);
            }
        }
        self
    }

    /// Settings that are not as they were and that only a start can change, as they are written. Of where
    /// it listens, what the file says: a flag over it stays.
    pub fn needs_a_restart(&self, began: &Self) -> Vec<&'static str> {
        [
            ("`store`", self.store != began.store),
            ("`http.listen`", self.listen_in_file != began.listen_in_file),
            ("`http.behind_tls`", self.behind_tls != began.behind_tls),
            ("`private_network`", self.network != began.network),
            ("`http.hosts`", self.hosts != began.hosts),
            ("`[[caller]]`", self.callers != began.callers),
            ("`[sns]`", self.topics != began.topics),
            ("`[[sqs]]`", self.queues != began.queues),
            ("`work.at_once`", self.at_once != began.at_once),
            ("`work.waiting`", self.waiting != began.waiting),
            ("`keep_days`", self.keep_days != began.keep_days),
            ("`work.grace`", self.grace != began.grace),
            ("`work.aws_calls_per_second`", self.aws_calls_per_second != began.aws_calls_per_second),
            ("`[notify]` came or went, or", self.notify.is_some() != began.notify.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, changed)| changed.then_some(name))
        .collect()
    }

    /// Reads a file; paths in it are relative to where it lies.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.display().to_string(), source })?;
        Self::parse(&text, path.parent().unwrap_or(Path::new("")))
    }

    /// Parses a file's text; paths in it are relative to `base`.
    pub fn parse(text: &str, base: &Path) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let mut config = Self::default();
        if let Some(mut file) = Fields::parse(text, &mut problems) {
            let p = &mut problems;
            let mut path = |key: &str, p: &mut Vec<Problem>| {
                file.take::<PathBuf>(key, "\"…\"", p).map(|given| base.join(given))
            };
            config.store = path("store", p);
            config.catalog = path("catalog", p);
            config.runbooks = path("runbooks", p);
            config.calendar = path("calendar", p);
            config.mcp_servers = path("mcp_servers", p);
            config.policy = path("policy", p);
            if let Some(model) = parts::model(&mut file, p) {
                config.model = model;
            }
            if let Some(table) = file.table("http", p) {
                parts::http(table, &mut config, p);
            }
            config.callers =
                file.tables("caller", p).into_iter().filter_map(|table| Caller::read(table, p)).collect();
            parts::twice(&config.callers, p);
            if let Some(table) = file.table("sns", p) {
                config.topics = parts::topics(table, p);
            }
            config.queues =
                file.tables("sqs", p).into_iter().filter_map(|table| QueueSource::read(table, p)).collect();
            config.keep_days = parts::keep_days(&mut file, p);
            if let Some(table) = file.table("work", p) {
                parts::work(table, &mut config, p);
            }
            if let Some(table) = file.table("grouping", p) {
                config.grouping = parts::grouping(table, p);
            }
            config.quiet = Quiet::read(&mut file, p);
            if file.raw("notify").is_some() {
                config.notify = parts::notify(text, p);
            }
            config.readers = parts::readers(file.tables("server", p), base, p);
            let logs_elsewhere = config.readers.iter().any(|reader| reader.reader == Reader::Logs);
            config.redact = parts::redact(&mut file, logs_elsewhere, p);
            config.money = file.table("money", p).map(|table| MoneyConfig::read(table, p).under(base));
            config.desk = file.table("desk", p).and_then(|table| Place::read(table, base, p));
            config.remediation = file.table("remediation", p).and_then(|table| Place::read(table, base, p));
            if config.desk.is_some() && config.remediation.is_none() {
                p.push(Problem::new(
                    None,
                    "there is a desk and no remediation server",
                    "add `[remediation]`: what is approved has to be done somewhere",
                ));
            }
            file.finish(
                "store, keep_days, catalog, runbooks, calendar, model, mcp_servers, policy, [notify], [money], [http], [[caller]], [sns], [[sqs]], [work], [grouping], \
                 [[maintenance]], [[silence]], [[server]], [redact], [desk], [remediation]",
                p,
            );
        }
        problems.sort_by_key(|problem| problem.line);
        if problems.is_empty() { Ok(config) } else { Err(ConfigError::Wrong(problems)) }
    }

    /// What is wrong with it as a whole, once flags and environment are over it.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        let mut wrong = |message: &str, remedy: &str| problems.push(Problem::new(None, message, remedy));
        if !self.listen.ip().is_loopback() && !self.behind_tls && self.network == Network::Open {
            let message = format!("{} is not a loopback address", self.listen);
            let remedy = "put TLS in front of it and say so: `behind_tls = true` in [http]; or, where nobody else \
                          listens, `private_network = true`";
            wrong(&message, remedy);
        }
        if !self.listen.ip().is_loopback() && self.callers.is_empty() && self.topics.is_empty() {
            wrong(
                "it listens for others, and nobody is known who may call",
                "add a `[[caller]]` with the SHA-256 of its token, or `[sns]` topics",
            );
        }
        if self.queues.is_empty() && self.callers.is_empty() && self.topics.is_empty() {
            wrong("no alarm can come in", "add `[[sqs]]`, `[[caller]]` or `[sns]`; docs/serve.md shows each");
        }
        if problems.is_empty() { Ok(()) } else { Err(ConfigError::Wrong(problems)) }
    }
}
