//! A world that plays incident scenarios behind the wire protocols of AWS.
//!
//! [`Scenario`] is an incident in a directory; [`World`] plays it on a loopback port, with a clock
//! of its own, and reacts to what is done to it. Nothing here knows how incidents are handled.

mod background;
pub mod insights;
pub mod logs;
mod random;
mod scenario;
pub mod standing;
mod template;
mod time;
mod wire;
mod world;

pub use scenario::{
    Answer, Approver, Expected, ExpectedAction, ExpectedCause, Outcome, Problem, Scenario, ScenarioError,
};
pub use wire::{Mind, Prank};
pub use world::{Mutation, RealTime, World, WorldError, thread_name};
