//! Evidence: what tools answered, kept as bytes, so that code can check what a model claims.

mod book;

pub use book::{Admitted, Evidence, EvidenceBook, Origin};
