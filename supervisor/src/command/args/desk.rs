//! Arguments of the commands around the desk.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Subcommand};
use midwatch_policy::IncidentId;

use super::Format;
use crate::desk::MemberKind;

/// Where the desk is, and how to write what it says.
#[derive(Debug, Args)]
pub struct AtDesk {
    /// The desk. Your token is read from MIDWATCH_APPROVER_TOKEN, or the file that
    /// MIDWATCH_APPROVER_TOKEN_FILE names
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "MIDWATCH_DESK",
        default_value = "http://127.0.0.1:8720"
    )]
    pub desk: String,
    /// How to write the result
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// The desk's directory.
#[derive(Debug, Args)]
pub struct DeskDir {
    /// Directory of the desk: its store, its keys, who is known to it
    /// [default: $XDG_STATE_HOME/midwatch/desk]
    #[arg(long, value_name = "DIR", env = "MIDWATCH_DESK_DIR")]
    pub dir: Option<PathBuf>,
    /// How to write the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Arguments of `desk`.
#[derive(Debug, Args)]
pub struct DeskArgs {
    /// Directory of the desk: its store, its keys, who is known to it
    /// [default: $XDG_STATE_HOME/midwatch/desk]
    #[arg(long, value_name = "DIR", env = "MIDWATCH_DESK_DIR")]
    pub dir: Option<PathBuf>,
    /// Where to listen; port 0 picks one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8720")]
    pub listen: SocketAddr,
    /// TLS ends in front of the desk: listen on an address that is not loopback
    #[arg(long)]
    pub behind_tls: bool,
    /// Nobody else listens on the network around the desk, such as between containers of one host:
    /// listen there without TLS, and call the remediation server over plain HTTP
    #[arg(long)]
    pub private_network: bool,
    /// A further host name under which the desk may be called
    #[arg(long, value_name = "NAME")]
    pub allow_host: Vec<String>,
    /// The remediation server's MCP endpoint, such as http://127.0.0.1:8710/mcp. The desk's token
    /// for it is read from MIDWATCH_REMEDIATION_TOKEN, or the file that
    /// MIDWATCH_REMEDIATION_TOKEN_FILE names
    #[arg(long, value_name = "URL", env = "MIDWATCH_REMEDIATION")]
    pub remediation: String,
    /// Name of the remediation server, as it calls itself and as permits are for it
    #[arg(long, value_name = "NAME", default_value = "midwatch-remediation")]
    pub audience: String,
    /// Service catalog (TOML), the same that the remediation server has
    #[arg(long, value_name = "FILE", env = "MIDWATCH_CATALOG")]
    pub catalog: PathBuf,
    /// Policy (Cedar) in place of the shipped one, the same that the remediation server has
    #[arg(long, value_name = "FILE", env = "MIDWATCH_POLICY")]
    pub policy: Option<PathBuf>,
    /// Change freezes and business hours (TOML), the same that the remediation server has
    #[arg(long, value_name = "FILE", env = "MIDWATCH_CALENDAR")]
    pub calendar: Option<PathBuf>,
    /// Directory of runbooks, the same that the remediation server has
    #[arg(long, value_name = "DIR", env = "MIDWATCH_RUNBOOKS")]
    pub runbooks: Option<PathBuf>,
}

/// Arguments of `approvals`.
#[derive(Debug, Args)]
pub struct ApprovalsArgs {
    /// What to show; without it, what is open.
    #[command(subcommand)]
    pub what: Option<ApprovalsCommand>,
    #[command(flatten)]
    pub at: AtDesk,
}

/// What to show of requests.
#[derive(Debug, Subcommand)]
pub enum ApprovalsCommand {
    /// The newest, newest first
    List {
        /// Only those in this state: open, approved, used, declined, expired, withdrawn or revoked
        #[arg(long, value_name = "STATE")]
        state: Option<String>,
    },
    /// One of them: everything that is signed when it is approved
    Show {
        /// Its id, or the beginning of it
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// Arguments of `approve`.
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// The request's id, or the beginning of it
    #[arg(value_name = "ID")]
    pub id: String,
    /// Approve in this role; otherwise in the first of yours that is asked
    #[arg(long, value_name = "ROLE")]
    pub role: Option<String>,
    /// Do not ask: for scripts
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub at: AtDesk,
}

/// Arguments of `decline`.
#[derive(Debug, Args)]
pub struct DeclineArgs {
    /// The request's id, or the beginning of it
    #[arg(value_name = "ID")]
    pub id: String,
    /// Why; the asker and the next person read it
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    #[command(flatten)]
    pub at: AtDesk,
}

/// Arguments of `raise`.
#[derive(Debug, Args)]
pub struct RaiseArgs {
    /// The ended request's id, or the beginning of it
    #[arg(value_name = "ID")]
    pub id: String,
    #[command(flatten)]
    pub at: AtDesk,
}

/// Arguments of `permits`.
#[derive(Debug, Args)]
pub struct PermitsArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub what: PermitsCommand,
}

/// What to do with permits.
#[derive(Debug, Subcommand)]
pub enum PermitsCommand {
    /// Take one back before it is used
    Revoke {
        /// The permit's id, `mwp-…`, as `midwatch approvals` shows it
        #[arg(value_name = "PERMIT")]
        permit: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        at: AtDesk,
    },
}

/// Whose an incident is to be.
#[derive(Debug, Args)]
pub struct HoldArgs {
    /// The incident's id
    #[arg(value_name = "ID")]
    pub incident: IncidentId,
    /// What others should know
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub note: String,
    /// Who you are, where there is no desk: what you say goes to `midwatch serve` by its store
    #[arg(long, value_name = "NAME", value_parser = who)]
    pub by: Option<String>,
    /// The desk; your token is read from MIDWATCH_APPROVER_TOKEN, or the file that
    /// MIDWATCH_APPROVER_TOKEN_FILE names
    #[arg(long, value_name = "URL", env = "MIDWATCH_DESK", default_value = "http://127.0.0.1:8720")]
    pub desk: String,
}

/// Arguments of `approvers`.
#[derive(Debug, Args)]
pub struct ApproversArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub what: ApproversCommand,
}

/// What to do with those who are known to the desk.
#[derive(Debug, Subcommand)]
pub enum ApproversCommand {
    /// Make somebody known and print their token, once
    Add {
        /// Name, such as first-on-call
        #[arg(value_name = "NAME")]
        name: String,
        /// Role of a person, as policies ask for it; several times for several
        #[arg(long, value_name = "ROLE")]
        role: Vec<String>,
        /// What it is
        #[arg(long, value_enum, default_value_t = MemberKind::Person)]
        kind: MemberKind,
        #[command(flatten)]
        dir: DeskDir,
    },
    /// Who is known
    List {
        #[command(flatten)]
        dir: DeskDir,
    },
    /// Let somebody in no longer, at once
    Remove {
        /// The name
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        dir: DeskDir,
    },
}

/// Arguments of `keys`.
#[derive(Debug, Args)]
pub struct KeysArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub what: KeysCommand,
}

/// What to do with the desk's keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make the first key
    Create {
        #[command(flatten)]
        dir: DeskDir,
    },
    /// Make a new key to sign with; the one before stays accepted until it is revoked
    Rotate {
        #[command(flatten)]
        dir: DeskDir,
    },
    /// Accept a key no longer
    Revoke {
        /// The key's id, `k4.pid.…`
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        dir: DeskDir,
    },
    /// All keys, public halves only
    List {
        #[command(flatten)]
        dir: DeskDir,
    },
}

/// Whoever says something has a name, which stands in journals and notices.
pub(super) fn who(text: &str) -> Result<String, &'static str> {
    let name = text.trim();
    if name.is_empty() { Err("say who you are") } else { Ok(name.to_owned()) }
}

/// Arguments of `kill-switch`.
#[derive(Debug, Args)]
pub struct KillSwitchArgs {
    /// What to do.
    #[arg(value_enum)]
    pub what: KillSwitchCommand,
    /// The file that remediation servers look at (their --kill-switch) [env: MIDWATCH_KILL_SWITCH_FILE]; with
    /// --models, the file that those who ask models look at
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Switch the use of models off instead, and nothing else: rules reason meanwhile
    #[arg(long)]
    pub models: bool,
    /// The configuration of the daemon that is to ask no model: its `[money]` may name another file
    #[arg(long, value_name = "FILE", requires = "models", conflicts_with = "file")]
    pub config: Option<PathBuf>,
    /// How to write the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// What to do with the kill switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum KillSwitchCommand {
    /// Nothing is changed from now on, whatever was approved
    On,
    /// Permits count again
    Off,
    /// Whether it is on
    Status,
}
