//! The agent loop, specialists, evidence, budgets and models of Midwatch.
//!
//! Nothing here opens a socket, except the clients of providers behind the [`model::Model`] trait,
//! and nothing here changes the world: agents are shown tools that look, never tools that do.

pub mod bedrock;
pub mod breaker;
pub mod brief;
pub mod budget;
pub mod causes;
pub mod chain;
pub mod events;
pub mod evidence;
pub mod finding;
pub mod gate;
pub mod json;
pub mod model;
pub mod openai;
pub mod playbook;
pub mod prices;
pub mod route;
pub mod run;
pub mod signals;
pub mod specialist;
pub mod sweep;
pub mod switch;
pub mod task;
pub mod tools;
pub mod view;

#[cfg(test)]
mod fixture;
