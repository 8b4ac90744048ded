//! The command line.

mod desk;
mod notify;
mod serve;
mod store;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::civil::Date;
use midwatch_policy::IncidentId;

pub(super) use desk::{
    ApprovalsArgs, ApprovalsCommand, ApproveArgs, ApproversArgs, ApproversCommand, AtDesk, DeclineArgs,
    DeskArgs, DeskDir, HoldArgs, KeysArgs, KeysCommand, KillSwitchArgs, KillSwitchCommand, PermitsArgs,
    PermitsCommand, RaiseArgs,
};
pub(super) use notify::{NotifyArgs, NotifyCommand};

pub(super) use serve::ServeArgs;
pub(super) use store::{StoreArgs, StoreCommand};

use super::{
    catalog::CatalogArgs, mcp::McpArgs, models::ModelsArgs, policy::PolicyArgs, probe::ProbeArgs,
    runbook::RunbookArgs,
};
use crate::ledger::By;

pub(super) use crate::models::ModelChoice;

const EXAMPLES: &str = "\
Examples:
  midwatch demo                          play an incident and be asked, nothing to set up
  midwatch demo --approve                the same, answered
  midwatch triage alarm.json             look at a real alarm with your AWS credentials
  midwatch serve --config midwatch.toml  take alarms day and night; --check only reads the file
  aws sqs receive-message … | midwatch triage -
  midwatch catalog discover              a service catalog for review, from what the account has
  midwatch doctor                        what is set up, what is missing, how to mend it
  midwatch incidents show ID             what happened, from the journal
  midwatch spend --by model              what it cost
  midwatch policy explain TOOL ARGS…     which rule decides, why, who would be asked
  midwatch runbook lint DIR              what nobody could follow at 3 AM

Environment:
  AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL*   as for every AWS tool
  MIDWATCH_CATALOG    the service catalog (TOML)
  MIDWATCH_RUNBOOKS   a directory of Markdown runbooks
  MIDWATCH_MCP_SERVERS  third-party MCP servers (JSON); see docs/third-party.md
  MIDWATCH_STORE      where incidents are kept; the ledger of what they cost lies beside it
  MIDWATCH_MONEY      ceilings, circuit breakers and chains of models (TOML); see docs/money.md
  MIDWATCH_MODELS_OFF while it is set no model is asked: rules reason
  MIDWATCH_LOG        what to log to stderr, such as debug

Exit status of demo and triage:
  0  it is over: resolved, recovered, or closed as transient
  1  a person should look
  2  it could not be done

Midwatch reads. It changes something only where a desk and a remediation server are set up, or in
the demo's own world: on a permit that is signed for exactly the action a person approved.";

/// Takes the middle watch: an alarm comes in, the evidence is gathered, what is known and what is
/// guessed is kept apart, and the one safe action is proposed, where there is one.
#[derive(Debug, Parser)]
#[command(name = "midwatch", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What to log to stderr, as `tracing` directives
    #[arg(long, global = true, value_name = "FILTER", env = "MIDWATCH_LOG", default_value = "error")]
    pub log: String,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Play an incident from start to end, in a world of its own
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
    /// Look at one alarm and report; never changes anything
    Triage(TriageArgs),
    /// Take alarms from queues and over HTTP, day and night
    Serve(ServeArgs),
    /// Play every scenario below a directory and check what came of it
    #[cfg(feature = "demo")]
    Eval(EvalArgs),
    /// List incidents, or show one, from the journal
    Incidents(IncidentsArgs),
    /// Copy everything that is kept, put a copy in place, take away what is old
    Store(StoreArgs),
    /// The service catalog: written from what an account has, or compared with it
    Catalog(CatalogArgs),
    /// Say what is configured, reachable and permitted, and how to mend what is not
    Doctor(DoctorArgs),
    /// Check a policy, and say what it decides and why
    Policy(PolicyArgs),
    /// Say what a careful junior at 3 AM could not follow in a runbook
    Runbook(RunbookArgs),
    /// Requests for approval: what is open, or one of them in full
    Approvals(ApprovalsArgs),
    /// Look at a request and approve exactly that
    Approve(ApproveArgs),
    /// Decline a request
    Decline(DeclineArgs),
    /// Have a request that ended planned and asked anew; `serve` goes on with its incident
    Raise(RaiseArgs),
    /// Take a permit back
    Permits(PermitsArgs),
    /// Keep requests, approvers and the signing key, as a process of its own
    Desk(DeskArgs),
    /// Who is known to the desk: people, supervisors, remediation servers
    Approvers(ApproversArgs),
    /// The desk's keys
    Keys(KeysArgs),
    /// Try how people are reached, and see what did not reach them
    Notify(NotifyArgs),
    /// Stop every change at once, whatever was approved; or, with --models, all use of models
    KillSwitch(KillSwitchArgs),
    /// Serve an MCP server out of this binary: logs, metrics, deployments, runbooks or remediation
    #[command(disable_help_flag = true)]
    Mcp(McpArgs),
    /// Ask an address of this machine whether it is well: for health checks
    Probe(ProbeArgs),
    /// Which models are asked; hold their circuit breakers open, or close them
    Models(ModelsArgs),
    /// What models and queries cost: by day, service, model, specialist or incident
    Spend(SpendArgs),
}

/// How to write the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Arguments of `demo`.
#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Play this scenario instead of the embedded one
    #[arg(long, value_name = "DIR")]
    pub scenario: Option<PathBuf>,
    /// Approve what is proposed
    #[arg(long, conflicts_with_all = ["decline", "no_input"])]
    pub approve: bool,
    /// Decline what is proposed
    #[arg(long, conflicts_with = "no_input")]
    pub decline: bool,
    /// Let nobody answer: the request expires, which counts as declined
    #[arg(long)]
    pub no_input: bool,
    /// Run the desk and the remediation server as processes of their own, and the world in real
    /// time: it takes as long as it would take for real. Needs `midwatch-remediation` beside this
    /// binary
    #[arg(long, conflicts_with = "timeout")]
    pub processes: bool,
    /// How to write the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Which model reasons; bedrock means the world's own Converse endpoint
    #[arg(long, value_enum, default_value_t = ModelChoice::Playbook)]
    pub model: ModelChoice,
    /// Seconds until an unanswered request counts as declined
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(5..=3600))]
    pub timeout: u32,
    /// Keep the incident in this store
    #[arg(long, value_name = "FILE", env = "MIDWATCH_STORE")]
    pub store: Option<PathBuf>,
}

/// Arguments of `triage`.
#[derive(Debug, Args)]
pub struct TriageArgs {
    /// The alarm as AWS delivered it (EventBridge, SNS, Lambda), or - for stdin
    #[arg(value_name = "ALARM.json")]
    pub alarm: PathBuf,
    /// Service catalog; without it only what the alarm names can be read
    #[arg(long, value_name = "FILE", env = "MIDWATCH_CATALOG")]
    pub catalog: Option<PathBuf>,
    /// Directory of Markdown runbooks
    #[arg(long, value_name = "DIR", env = "MIDWATCH_RUNBOOKS")]
    pub runbooks: Option<PathBuf>,
    /// Third-party MCP servers, in the `mcpServers` form; docs/third-party.md
    #[arg(long, value_name = "FILE", env = "MIDWATCH_MCP_SERVERS")]
    pub mcp_servers: Option<PathBuf>,
    /// The policy (Cedar) that decides about their tools; without it the shipped rules
    #[arg(long, value_name = "FILE", env = "MIDWATCH_POLICY")]
    pub policy: Option<PathBuf>,
    /// Which model reasons
    #[arg(long, value_enum, default_value_t = ModelChoice::Playbook, env = "MIDWATCH_MODEL")]
    pub model: ModelChoice,
    /// How to write the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Keep the incident in this store
    #[arg(long, value_name = "FILE", env = "MIDWATCH_STORE")]
    pub store: Option<PathBuf>,
}

/// Arguments of `eval`.
#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// Directory; every scenario.toml below it is played
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Also play this many generated variants of each scenario
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub variants: u32,
    /// Also interrupt each this many times, at moments spread over its journal, and go on from
    /// there: the outcome has to be the same
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub interruptions: u32,
    /// Which model reasons; bedrock means each world's own Converse endpoint
    #[arg(long, value_enum, default_value_t = ModelChoice::Playbook)]
    pub model: ModelChoice,
    /// Write what each scenario's models read to DIR/tokens.toml, instead of holding it against that
    #[arg(long)]
    pub record_tokens: bool,
    /// How to write the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Scenarios that are played at the same time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub jobs: u32,
}

/// Arguments of `incidents`.
#[derive(Debug, Args)]
pub struct IncidentsArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub what: IncidentsCommand,
    /// Where incidents are kept [default: $XDG_STATE_HOME/midwatch/incidents.db]
    #[arg(long, global = true, value_name = "FILE", env = "MIDWATCH_STORE")]
    pub store: Option<PathBuf>,
    /// How to write the result
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// What to do with incidents.
#[derive(Debug, Subcommand)]
pub enum IncidentsCommand {
    /// The newest, at a glance
    List {
        /// How many
        #[arg(long, value_name = "N", default_value_t = 100)]
        most: u32,
    },
    /// Verify the chain and the evidence of all of them
    Verify,
    /// Write journals with their evidence, a line of JSON each: these, or all
    Export {
        /// Their ids, or the beginnings of them
        #[arg(value_name = "ID")]
        ids: Vec<String>,
        /// A file that is made [default: standard output]
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Add exported journals that are not there, each verified; also while the daemon runs
    Import {
        /// What `export` wrote
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Say that you look after one: nobody else is woken for it
    Acknowledge {
        /// Its id
        #[arg(value_name = "ID")]
        id: IncidentId,
        /// Who you are
        #[arg(long, value_name = "NAME", value_parser = desk::who)]
        by: String,
    },
    /// Add a note to one's journal
    Note {
        /// Its id
        #[arg(value_name = "ID")]
        id: IncidentId,
        /// What there is to say
        #[arg(value_name = "TEXT")]
        text: String,
        /// Who you are
        #[arg(long, value_name = "NAME", value_parser = desk::who)]
        by: String,
    },
    /// One of them: what happened when, and the report
    Show {
        /// Its id, or the beginning of it
        #[arg(value_name = "ID")]
        id: String,
        /// The desk's public keys, which its seals are verified with
        /// [default: keys/public-keys.toml in the desk's directory]
        #[arg(long, value_name = "FILE", env = "MIDWATCH_KEYS")]
        keys: Option<PathBuf>,
    },
    /// Take one over: Midwatch withdraws its requests and only reads and notes
    Take(HoldArgs),
    /// Stop Midwatch's work on one, for good
    Stop(HoldArgs),
    /// Hand one back that was taken over; where it has ended, `serve` looks at what still fires anew
    Return(HoldArgs),
}

/// Arguments of `spend`.
#[derive(Debug, Args)]
pub struct SpendArgs {
    /// What lines stand for
    #[arg(long, value_enum, default_value_t = By::Day)]
    pub by: By,
    /// The first day, in UTC
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub from: Option<Date>,
    /// The last day, in UTC
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub to: Option<Date>,
    /// The store whose ledger is read
    #[arg(long, value_name = "FILE", env = "MIDWATCH_STORE")]
    pub store: Option<PathBuf>,
    /// How to write the result
    #[arg(long, value_enum, default_value_t = SpendFormat::Text)]
    pub format: SpendFormat,
}

/// How to write what was spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SpendFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For spreadsheets.
    Csv,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Service catalog
    #[arg(long, value_name = "FILE", env = "MIDWATCH_CATALOG")]
    pub catalog: Option<PathBuf>,
    /// Directory of Markdown runbooks
    #[arg(long, value_name = "DIR", env = "MIDWATCH_RUNBOOKS")]
    pub runbooks: Option<PathBuf>,
    /// Third-party MCP servers, in the `mcpServers` form; docs/third-party.md
    #[arg(long, value_name = "FILE", env = "MIDWATCH_MCP_SERVERS")]
    pub mcp_servers: Option<PathBuf>,
    /// The policy (Cedar) that decides about their tools; without it the shipped rules
    #[arg(long, value_name = "FILE", env = "MIDWATCH_POLICY")]
    pub policy: Option<PathBuf>,
    /// Where incidents are kept
    #[arg(long, value_name = "FILE", env = "MIDWATCH_STORE")]
    pub store: Option<PathBuf>,
    /// How to write the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn one_cannot_approve_and_decline() {
        assert!(Arguments::try_parse_from(["midwatch", "demo", "--approve", "--decline"]).is_err());
        assert!(Arguments::try_parse_from(["midwatch", "demo", "--approve", "--no-input"]).is_err());
    }
}
