//! Arguments of `notify`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use midwatch_policy::IncidentId;

use super::Format;

/// Arguments of `notify`.
#[derive(Debug, Args)]
pub struct NotifyArgs {
    /// What to do.
    #[command(subcommand)]
    pub what: NotifyCommand,
    /// How to write the result
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// What to do about notices.
#[derive(Debug, Subcommand)]
pub enum NotifyCommand {
    /// Send a notice that says that nothing is wrong, by every channel of one route or of all.
    /// A page at PagerDuty is closed again at once, but it may wake somebody
    Test {
        /// Try this route only
        #[arg(long, value_name = "NAME")]
        route: Option<String>,
        /// The configuration of `midwatch serve`; its `[notify]` is read
        #[arg(long, value_name = "FILE", env = "MIDWATCH_CONFIG")]
        config: PathBuf,
    },
    /// What failed and what is pending
    List {
        /// Also what has ended
        #[arg(long)]
        all: bool,
        /// Where incidents are kept [default: $XDG_STATE_HOME/midwatch/incidents.db]
        #[arg(long, value_name = "FILE", env = "MIDWATCH_STORE")]
        store: Option<PathBuf>,
    },
    /// Say that a person has an incident: nobody else is woken for it
    Ack {
        /// The incident
        #[arg(value_name = "INCIDENT")]
        incident: IncidentId,
        /// Who has it
        #[arg(long, value_name = "NAME")]
        by: String,
        /// Where incidents are kept [default: $XDG_STATE_HOME/midwatch/incidents.db]
        #[arg(long, value_name = "FILE", env = "MIDWATCH_STORE")]
        store: Option<PathBuf>,
    },
}
