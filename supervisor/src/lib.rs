//! The supervisor of Midwatch: from an alarm to a verified, reported outcome.
//!
//! The stages of an incident are the files `intake`, `sweep`, `route`, `investigate`, `decide`,
//! `approve`, `act`, `verify` and `report`, in that order; `incident` goes through them.

pub mod act;
pub mod alarm;
pub mod approve;
pub mod calls;
pub mod case;
pub mod command;
pub mod decide;
pub mod deliver;
pub mod desk;
pub mod event;
pub mod guests;
pub mod incident;
pub mod intake;
pub mod investigate;
pub mod journal;
pub mod ledger;
pub mod memory;
pub mod models;
pub mod others;
mod passed;
pub mod record;
pub mod replay;
pub mod report;
pub mod route;
pub mod run;
pub mod serve;
pub mod servers;
pub mod signs;
pub mod site;
pub mod sweep;
pub mod terminal;
pub mod tools;
pub mod verify;
