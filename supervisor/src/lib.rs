//! The supervisor of Midwatch: from an alarm to a verified, reported outcome.
//!
//! The stages of an incident are the files `intake`, `sweep`, `route`, `investigate`, `decide`,
//! `approve`, `act`, `verify` and `report`, in that order.

pub mod alarm;
pub mod event;
pub mod journal;
pub mod record;
pub mod run;
pub mod terminal;
