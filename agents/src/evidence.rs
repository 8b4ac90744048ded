//! Evidence: what tools answered, kept as bytes, so that code can check what a model claims.

mod book;
mod claim;
mod quote;
mod token;

pub use book::{Admitted, Evidence, EvidenceBook, Origin};
pub use quote::{Matched, Resolved, WhyNot};
