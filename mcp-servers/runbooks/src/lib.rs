//! MCP server for runbook retrieval: BM25 over Markdown or Bedrock Knowledge Bases.

pub mod chunk;
pub mod index;
pub mod shelf;
