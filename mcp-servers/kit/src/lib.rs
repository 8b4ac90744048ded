//! What every Midwatch MCP server shares: serving, authentication, AWS clients, errors.
//!
//! A server is a `rmcp::ServerHandler` that is cheap to clone. It is built from a [`Ctx`] (AWS
//! clients, catalog, clock) and served three ways by the same code: [`connect_in_process`] over a
//! duplex, [`serve_stdio`], and [`http`] (streamable HTTP, stateless JSON). Whatever way, it runs
//! behind [`Guarded`], so that a panic, an endless call or an oversized result is an answer and
//! never silence.
//!
//! INVARIANT: what a tool tells a model ([`ToolError`]) never holds an AWS message that could carry
//! a secret or an account's layout; the operator finds the full text in the log on stderr.
//!
//! A framework of our own above `rmcp` was rejected: servers use its macros directly, and this
//! crate only holds what five of them would otherwise copy.

mod arguments;
mod aws;
mod aws_error;
mod clean;
mod cli;
mod clock;
mod config_file;
mod connect;
mod connections;
mod contracts;
mod ctx;
mod error;
mod guard;
pub mod http;
mod keyfile;
mod lines;
mod listed;
mod malformed;
mod output;
mod pace;
mod polite;
mod principal;
mod private;
mod progress;
mod recall;
mod remote;
mod spent;
mod standing;
mod text;
mod time;
mod turns;
mod work;

pub use aws::{Aws, AwsSettings, CALLS_PER_SECOND, Roles};
pub use aws_config::SdkConfig;
pub use aws_credential_types::Credentials;
pub use aws_error::AwsResult;
pub use clean::{Clean, Redactions, clean, clean_with, redaction_note};
pub use cli::{ServeArgs, exit_code, start_tracing, stop_on_signal};
pub use clock::SystemClock;
pub use config_file::{arguments, arguments_of};
pub use connect::{Client, ConnectError, connect_in_process, serve_over, serve_stdio};
pub use connections::serve as serve_connections;
pub use contracts::{Contract, Contracts, ContractsError, in_one_line};
pub use ctx::Ctx;
pub use error::{ErrorKind, ToolError};
pub use guard::Guarded;
pub use keyfile::{KeyEntry, KeyFile, KeyFileError, KeyState};
pub use output::{MAX_RESULT_BYTES, clip, fit, limit, named, nearest, no_arn, reference, rounded, within};
pub use principal::{NewPrincipal, Principal, PrincipalError, PrincipalKind, Principals};
pub use private::{Exposed, create_private, open_lock, private_store};
pub use progress::Progress;
pub use remote::{Network, Remote, RemoteError, http_client, is_this_machine};
pub use reqwest;
pub use spent::Spent;
pub use standing::Standing;
pub use text::plain_text;
pub use time::{Time, Window, length};
pub use turns::{Turns, Waited};
pub use work::{GRACE, Work};

use rmcp::model::{Implementation, ServerCapabilities, ServerConfig};

/// What a server of tools says about itself: name, version and one or two sentences for the model. One that has more
/// than tools declares that besides.
///
/// ```ignore
/// fn get_info(&self) -> ServerConfig {
///     midwatch_mcp::server_info("midwatch-logs", env!("CARGO_PKG_VERSION"), "Error patterns …")
/// }
/// ```
pub fn server_info(name: &str, version: &str, instructions: &str) -> ServerConfig {
    // There are no prompts. But `rmcp` answers that list, with nothing in it, and the official conformance suite wants
    // it answered, and declared by who answers it.
    ServerConfig::new(ServerCapabilities::builder().enable_prompts().enable_tools().build())
        .with_server_info(Implementation::new(name, version))
        .with_instructions(instructions)
}
