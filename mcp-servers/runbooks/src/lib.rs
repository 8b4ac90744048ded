//! MCP server for runbook retrieval: BM25 over Markdown, or a Bedrock knowledge base.
//!
//! A directory of Markdown files is cut at its headings ([`chunk`]) and indexed in memory
//! ([`index`]); a knowledge base, where one is configured, is asked first and the directory answers
//! when it cannot. Prose is for people and stays untrusted; only the typed fields of a contract
//! reach a decision.
//!
//! INVARIANT: nothing that is wrong with a file is silent ([`shelf`]), and no query is an error.

pub mod chunk;
mod cli;
pub mod index;
mod knowledge_base;
mod library;
mod outside;
mod rerank;
mod resources;
mod server;
pub mod shelf;

pub use cli::RunbooksArgs;
pub use server::{GetArgs, Hit, Hits, RunbooksConfig, RunbooksServer, SearchArgs, Source, WholeRunbook};

/// The least IAM policy this server works with; none is needed without a knowledge base.
pub const IAM_POLICY: &str = include_str!("../iam-policy.json");
