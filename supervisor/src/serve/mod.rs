//! The daemon: what a team runs for months.
//!
//! It takes up what was interrupted, lets alarms in, works on them in order of urgency, and when
//! it is told to stop it lets go of what it can: whatever is not finished is gone on with at the
//! next start. `config` is what a file says, `site` what an incident is handled with and is made
//! anew by a reload, `crew` works, `tell` says what came in later,
//! `back` goes on with what people gave back, `http` answers, `metrics` counts,
//! `upkeep` starts anew what broke off, and `pulse` looks whether all of it works.

mod back;
mod company;
mod config;
mod crew;
mod daemon;
mod health;
mod http;
mod late;
mod metrics;
mod money;
mod outage;
mod people;
mod pulse;
mod site;
mod tell;
mod turns;
mod upkeep;
mod waits;

pub use config::{Caller, Config, ConfigError, Over, Place, QueueSource, ReaderPlace, Right};
pub use daemon::{ServeError, Start, aws, run};
pub use metrics::Metrics;
pub use money::Purse;
pub use site::{Maker, SiteError, Sites};
