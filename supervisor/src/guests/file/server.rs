//! One server of the file, from what was written to what cannot be wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use midwatch_mcp::{Network, is_this_machine, reqwest::Url};
use midwatch_policy::Problem;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{GuestConfig, Limits, Reach};
use crate::guests::{expand::expand, name::GuestName};

/// Fields that other clients write and that change nothing here.
const FOR_OTHERS: [&str; 8] =
    ["description", "name", "alwaysAllow", "autoApprove", "timeout", "icon", "gallery", "version"];
const KNOWN: &str = "command, args, env, cwd; url, type, headers; disabled, midwatch";
const OURS: &str = "\"midwatch\": {\"specialists\": [\"log_analyst\"], \"tools\": [\"search\"]}";

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Ours {
    specialists: Vec<String>,
    tools: BTreeSet<String>,
    changes: BTreeSet<String>,
    pins: BTreeMap<String, String>,
    timeout_seconds: Option<u64>,
    start_seconds: Option<u64>,
    max_bytes: Option<usize>,
    private_network: bool,
}

/// Reads one server, and notes what is wrong with it.
pub(super) struct Reader<'a> {
    pub(super) key: &'a str,
    pub(super) base: &'a Path,
    pub(super) set: &'a dyn Fn(&str) -> Option<String>,
    pub(super) problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn wrong(&mut self, message: &str, remedy: &str) {
        let key = midwatch_mcp::clip(self.key, 60).into_owned();
        self.problems.push(Problem::new(None, format!("`{key}`: {message}"), remedy));
    }

    pub(super) fn server(&mut self, value: &Value, specialists: &[&str]) -> Option<GuestConfig> {
        let before = self.problems.len();
        let Some(fields) = value.as_object() else {
            self.wrong("it is no object", "write {\"command\": \"…\"} or {\"url\": \"https://…\"}");
            return None;
        };
        let name = GuestName::parse(self.key)
            .map_err(|error| {
                let said = error.to_string();
                let (what, remedy) = said.rsplit_once(": ").unwrap_or((&said, ""));
                self.problems.push(Problem::new(None, what, remedy));
            })
            .ok();
        let ours = match fields.get("midwatch") {
            None => Ours::default(),
            Some(ours) => match serde_json::from_value::<Ours>(ours.clone()) {
                Ok(ours) => ours,
                Err(error) => {
                    self.wrong(
                        &format!("`midwatch`: {error}"),
                        &format!("write {OURS}; docs/third-party.md has all of it"),
                    );
                    return None;
                }
            },
        };
        self.fields(fields);
        let reach = match (fields.contains_key("command"), fields.contains_key("url")) {
            (true, false) => self.process(fields),
            (false, true) => self.http(fields, ours.private_network),
            (true, true) => {
                self.wrong("it has both `command` and `url`", "keep one of them");
                None
            }
            (false, false) => {
                self.wrong("it has neither `command` nor `url`", "say how it is reached");
                None
            }
        };
        let limits = self.ours(&ours, fields.contains_key("midwatch"), specialists);
        if self.problems.len() > before {
            return None;
        }
        Some(GuestConfig {
            name: name?,
            reach: reach?,
            specialists: ours.specialists,
            reads: ours.tools,
            changes: ours.changes,
            pins: ours.pins,
            limits,
        })
    }

    fn fields(&mut self, fields: &Map<String, Value>) {
        let process = ["command", "args", "env", "cwd"];
        let http = ["url", "headers"];
        let kind = fields.get("type").map(|kind| kind.as_str().unwrap_or_default().to_owned());
        let url = fields.contains_key("url");
        match kind.as_deref() {
            None | Some("stdio") if !url => {}
            None | Some("http" | "streamable-http" | "streamableHttp" | "streamable_http") if url => {}
            Some("sse") => self.wrong(
                "`type` is `sse`, the transport that MCP gave up",
                "use its streamable HTTP address, and `\"type\": \"http\"`",
            ),
            _ => self.wrong(
                "`type` does not fit",
                "write \"stdio\" with `command`, or \"http\" with `url`; it can be left out",
            ),
        }
        for field in fields.keys().map(String::as_str) {
            let of_other = if url { process.contains(&field) } else { http.contains(&field) };
            let known = ["type", "disabled", "midwatch"].contains(&field)
                || FOR_OTHERS.contains(&field)
                || process.contains(&field)
                || http.contains(&field);
            let shown = midwatch_mcp::clip(field, 40).into_owned();
            if !known {
                self.wrong(&format!("there is no field `{shown}`"), &format!("known are {KNOWN}"));
            } else if of_other && !(fields.contains_key("command") && url) {
                let with = if url { "command" } else { "url" };
                self.wrong(&format!("`{shown}` stands without `{with}`"), "remove it");
            }
        }
        if fields.get("disabled").is_some_and(|disabled| !disabled.is_boolean()) {
            self.wrong("`disabled` is neither true nor false", "write \"disabled\": true");
        }
    }

    fn process(&mut self, fields: &Map<String, Value>) -> Option<Reach> {
        let command = fields.get("command").and_then(Value::as_str).filter(|text| !text.is_empty());
        if command.is_none() {
            self.wrong("`command` is no text", "write \"command\": \"uvx\"");
        }
        let program = self.expanded("command", command?)?;
        let args = match fields.get("args") {
            None => Vec::new(),
            Some(args) => {
                let texts = args
                    .as_array()
                    .and_then(|list| list.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
                if texts.is_none() {
                    self.wrong("`args` is no list of texts", "write \"args\": [\"--flag\", \"value\"]");
                }
                texts?.into_iter().filter_map(|text| self.expanded("args", text)).collect()
            }
        };
        let env = self.pairs(fields, "env")?.into_iter().collect();
        let cwd = match fields.get("cwd").map(Value::as_str) {
            None => self.base.to_owned(),
            Some(Some(text)) => self.base.join(self.expanded("cwd", text)?),
            Some(None) => {
                self.wrong("`cwd` is no text", "write \"cwd\": \"/srv/server\"");
                return None;
            }
        };
        // A path is one from where the file lies; a bare name is looked for in PATH.
        let program = if program.contains('/') {
            self.base.join(&program).to_string_lossy().into_owned()
        } else {
            program
        };
        Some(Reach::Process { program, args, env, cwd })
    }

    fn http(&mut self, fields: &Map<String, Value>, private: bool) -> Option<Reach> {
        let remedy = "write \"url\": \"https://mcp.example.com/mcp\"";
        let Some(text) = fields.get("url").and_then(Value::as_str) else {
            self.wrong("`url` is no text", remedy);
            return None;
        };
        let text = self.expanded("url", text)?;
        let headers = self.pairs(fields, "headers")?;
        for (name, value) in &headers {
            let good = http::HeaderName::from_bytes(name.as_bytes()).is_ok()
                && http::HeaderValue::from_str(value).is_ok();
            if !good {
                let shown = midwatch_mcp::clip(name, 40).into_owned();
                self.wrong(
                    &format!("`{shown}` in `headers` is no header"),
                    "write \"Authorization\": \"Bearer ${TOKEN}\"",
                );
            }
        }
        let Some(url) = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https")) else {
            self.wrong("`url` is no http or https URL", remedy);
            return None;
        };
        if !url.username().is_empty() || url.password().is_some() {
            self.wrong(
                "`url` holds a user or password",
                "put it into `headers`, as ${NAME} of the environment",
            );
        }
        let network = Network::private_if(private);
        if url.scheme() == "http" && network == Network::Open && !is_this_machine(&url) {
            self.wrong(
                "`url` is plain HTTP: anybody on the way could read and change what it says",
                "use https; or, where nobody else listens, \"midwatch\": {\"private_network\": true}",
            );
        }
        Some(Reach::Http { url, headers })
    }

    /// An object of texts, its values expanded.
    fn pairs(&mut self, fields: &Map<String, Value>, field: &str) -> Option<Vec<(String, String)>> {
        let Some(value) = fields.get(field) else { return Some(Vec::new()) };
        let Some(object) = value.as_object() else {
            self.wrong(
                &format!("`{field}` is no object"),
                &format!("write \"{field}\": {{\"NAME\": \"value\"}}"),
            );
            return None;
        };
        let mut all = Vec::new();
        for (name, value) in object {
            let at = format!("{field}.{name}");
            match value.as_str() {
                Some(text) => all.push((name.clone(), self.expanded(&at, text)?)),
                None => self.wrong(&format!("`{at}` is no text"), "put it in quotes"),
            }
        }
        Some(all)
    }

    fn expanded(&mut self, field: &str, text: &str) -> Option<String> {
        match expand(text, self.set) {
            Ok(text) => Some(text),
            Err(name) => {
                let field = midwatch_mcp::clip(field, 60).into_owned();
                self.wrong(
                    &format!("`{field}` refers to `{name}`, which the environment does not have"),
                    "set it, or write ${NAME:-instead}",
                );
                None
            }
        }
    }

    fn ours(&mut self, ours: &Ours, said: bool, specialists: &[&str]) -> Limits {
        for name in &ours.specialists {
            if !specialists.contains(&name.as_str()) {
                let shown = midwatch_mcp::clip(name, 40).into_owned();
                let known = specialists.join(", ");
                self.wrong(
                    &format!("no specialist `{shown}` can be given tools"),
                    &format!("there are {known}"),
                );
            }
        }
        if said && ours.specialists.is_empty() {
            self.wrong("`midwatch` names no specialist", &format!("write {OURS}"));
        }
        for tool in ours.tools.intersection(&ours.changes) {
            let tool = midwatch_mcp::clip(tool, 60).into_owned();
            self.wrong(
                &format!("`{tool}` is in `tools` and in `changes`"),
                "a tool only reads, or it does not",
            );
        }
        for (tool, digest) in &ours.pins {
            if digest.len() != 64 || !digest.chars().all(|c| c.is_ascii_hexdigit()) {
                let tool = midwatch_mcp::clip(tool, 60).into_owned();
                self.wrong(&format!("the pin of `{tool}` is no SHA-256"), "copy it from `midwatch doctor`");
            }
        }
        let usual = Limits::default();
        let mut within = |name: &str, given: Option<u64>, usual: u64, (least, most): (u64, u64)| {
            let given = given.unwrap_or(usual);
            if !(least..=most).contains(&given) {
                self.wrong(&format!("`{name}` is {given}"), &format!("write {least} to {most}"));
            }
            given
        };
        let bytes = u64::try_from(ours.max_bytes.unwrap_or(usual.max_bytes)).unwrap_or(u64::MAX);
        Limits {
            timeout: Duration::from_secs(within(
                "timeout_seconds",
                ours.timeout_seconds,
                usual.timeout.as_secs(),
                (1, 40),
            )),
            start: Duration::from_secs(within(
                "start_seconds",
                ours.start_seconds,
                usual.start.as_secs(),
                (1, 30),
            )),
            max_bytes: usize::try_from(within("max_bytes", Some(bytes), bytes, (1024, 256 * 1024)))
                .unwrap_or(usual.max_bytes),
        }
    }
}
