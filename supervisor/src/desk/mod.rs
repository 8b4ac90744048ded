//! The desk: where requests for approval lie, and the only place that signs a permit.
//!
//! [`Office`] is the desk itself. The supervisor sees it as a [`Desk`], which asks and waits: in
//! this process for the world ([`EmbeddedDesk`]), and over HTTP for everything else
//! ([`DeskOverHttp`]). A remediation server fetches permits from it; people answer.
//!
//! INVARIANT: the desk fetches the plan itself from the remediation server, asks policy with facts
//! it did not get from the asker, and signs exactly what people were shown. A permit leaves only
//! towards the server that asks for exactly this action, and enters no tool argument, no model and
//! no log.
//!
//! Holding requests in the supervisor was rejected: whoever takes the supervisor over could then
//! sign.

mod api;
#[cfg(test)]
mod bench;
mod embedded;
mod error;
mod office;
mod planner;
mod port;
mod principal;
mod remote;
mod ring;
mod roster;
mod sources;
mod store;

pub use api::{ApiError, ApiSettings, BoundApi, bind};
pub use embedded::{AtTheDesk, EmbeddedConfig, EmbeddedDesk};
pub use error::{DeskError, Trouble};
pub use office::{Filed, Known, Limits, Office, OfficeConfig, Yes};
pub use planner::{McpPlanner, Planned, Planner};
pub use port::Desk;
pub use principal::{Me, Principal, PrincipalKind};
pub use remote::DeskOverHttp;
pub use ring::{KeyDirectory, KeyRing, KeysError, id_of};
pub use roster::{Member, MemberKind, Roster, RosterError};
pub use sources::Sources;
pub use store::StoreError;

pub(crate) use ring::directory::{make_private_dir, read_secret};
