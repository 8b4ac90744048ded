//! Arguments of `store`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Format;

/// Arguments of `store`.
#[derive(Debug, Args)]
pub struct StoreArgs {
    /// What to do.
    #[command(subcommand)]
    pub what: StoreCommand,
    /// Where incidents are kept [default: $XDG_STATE_HOME/midwatch/incidents.db]
    #[arg(long, global = true, value_name = "FILE", env = "MIDWATCH_STORE")]
    pub store: Option<PathBuf>,
    /// How to write the result
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// What to do with the store.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Copy journal, inbox, outbox and ledger, also while they are used
    Backup {
        /// An empty directory, or one that is made
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Put a copy in place, where no store is and no daemon runs
    Restore {
        /// The directory of the copy
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Take away incidents that ended long ago, also while the daemon runs
    Prune {
        /// How many days ago
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: u32,
    },
}
