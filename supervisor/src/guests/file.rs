//! The operator's file: `mcpServers`, in the form that agent clients share, with a key of ours.
//!
//! INVARIANT: every problem is reported at once, says what, where and how to mend it, and never
//! shows a value that may be a secret: of `env` and `headers` only names are said.

mod server;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use midwatch_mcp::reqwest::Url;
use midwatch_policy::Problem;
use serde_json::{Map, Value};

use super::{name::GuestName, strict};
use server::Reader;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is not there, or not readable.
    #[error("cannot read the MCP servers `{path}`: {source}")]
    Read {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Everything that is wrong with it.
    #[error("the MCP servers `{path}` cannot be used:\n  {}", Problem::lines(.problems))]
    Wrong {
        /// Which file.
        path: String,
        /// What.
        problems: Vec<Problem>,
    },
}

/// What the file says.
#[derive(Debug, Clone, Default)]
pub struct GuestsFile {
    /// Servers that belong to a specialist.
    pub guests: Vec<GuestConfig>,
    /// Servers that belong to none: they are left alone, but for `midwatch doctor`.
    pub strangers: Vec<GuestConfig>,
    /// Servers that are switched off in the file.
    pub disabled: Vec<String>,
}

/// One server.
#[derive(Debug, Clone)]
pub struct GuestConfig {
    /// Its name.
    pub name: GuestName,
    /// How it is reached.
    pub reach: Reach,
    /// Who is offered its tools.
    pub specialists: Vec<String>,
    /// Tools that only read: the operator says so.
    pub reads: BTreeSet<String>,
    /// Tools that change something: the operator says so.
    pub changes: BTreeSet<String>,
    /// Digests that tools have to have.
    pub pins: BTreeMap<String, String>,
    /// What it may take.
    pub limits: Limits,
}

/// What a guest may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Time of one call.
    pub timeout: Duration,
    /// How long an incident waits for it to be there.
    pub start: Duration,
    /// Bytes of one result, as it is kept and shown.
    pub max_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10), start: Duration::from_secs(10), max_bytes: 32 * 1024 }
    }
}

/// How a guest is reached.
#[derive(Clone)]
pub enum Reach {
    /// A process of its own, over stdin and stdout.
    Process {
        /// The program: a path, or a name to be found in `PATH`.
        program: String,
        /// Its arguments.
        args: Vec<String>,
        /// Its whole environment, besides `PATH`.
        env: BTreeMap<String, String>,
        /// Where it runs.
        cwd: PathBuf,
    },
    /// Streamable HTTP.
    Http {
        /// Where.
        url: Url,
        /// What is sent with every request.
        headers: Vec<(String, String)>,
    },
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Without arguments, environment, headers or query: secrets stand there.
impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { program, args, .. } => write!(f, "`{program}` with {} arguments", args.len()),
            Self::Http { url, .. } => {
                write!(f, "{}://{}", url.scheme(), url.host_str().unwrap_or_default())?;
                url.port().map_or(Ok(()), |port| write!(f, ":{port}"))
            }
        }
    }
}

impl GuestsFile {
    /// Reads a file; relative paths in it are relative to where it lies. `specialists` are those
    /// that a server can belong to.
    pub fn read(path: &Path, specialists: &[&str]) -> Result<Self, FileError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| FileError::Read { path: shown.clone(), source })?;
        let base = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let base = base.canonicalize().unwrap_or_else(|_| base.to_owned());
        Self::parse(&text, &base, specialists, &|name| std::env::var(name).ok())
            .map_err(|problems| FileError::Wrong { path: shown, problems })
    }

    /// Parses a file's text, with `set` for the environment.
    pub fn parse(
        text: &str,
        base: &Path,
        specialists: &[&str],
        set: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Vec<Problem>> {
        let one = |message: String, remedy: &str| vec![Problem::new(None, message, remedy)];
        let whole = strict::parse(text).map_err(|error| {
            let said = error.to_string();
            let said = said.split_once(" at line ").map_or(said.as_str(), |(what, _)| what);
            vec![Problem::new(Some(error.line()), said, "")]
        })?;
        let Some(servers) = whole.get("mcpServers") else {
            let there: Vec<String> = whole
                .as_object()
                .into_iter()
                .flat_map(Map::keys)
                .take(8)
                .map(|key| format!("`{key}`"))
                .collect();
            let there = if there.is_empty() { "nothing".to_owned() } else { there.join(", ") };
            let remedy = "write {\"mcpServers\": {\"NAME\": {\"command\": \"…\"}}}";
            return Err(one(format!("there is no `mcpServers`, only {there}"), remedy));
        };
        let Some(servers) = servers.as_object() else {
            let remedy = "write {\"mcpServers\": {\"NAME\": {…}}}";
            return Err(one("`mcpServers` is no object".to_owned(), remedy));
        };
        let mut problems = Vec::new();
        let mut file = Self::default();
        for (key, server) in servers {
            let mut reader = Reader { key, base, set, problems: &mut problems };
            let Some(config) = reader.server(server, specialists) else { continue };
            if server.get("disabled") == Some(&Value::Bool(true)) {
                file.disabled.push(key.clone());
            } else if let Some(same) = file.all().find(|known| known.name == config.name) {
                let message = format!("`{key}` and another server are both called `{}` here", same.name);
                problems.push(Problem::new(
                    None,
                    message,
                    "rename one: other characters than letters and digits count as `-`",
                ));
            } else if config.specialists.is_empty() {
                file.strangers.push(config);
            } else {
                file.guests.push(config);
            }
        }
        if problems.is_empty() { Ok(file) } else { Err(problems) }
    }

    /// Every server that is not switched off.
    pub fn all(&self) -> impl Iterator<Item = &GuestConfig> {
        self.guests.iter().chain(&self.strangers)
    }
}
