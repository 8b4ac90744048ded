//! Counting tokens, and the prompt cache.
//!
//! A token is taken for four bytes of a block's JSON, rounded up for each block. That is close to
//! what tokenizers make of English and of JSON, and it is the same everywhere.
//!
//! The cache follows Bedrock: the order is tools, system, messages; a prefix can be read back up to
//! 20 blocks before a cache point; prefixes below 1,024 tokens are not kept; an entry lives five
//! minutes or an hour from its last use.

use std::collections::HashMap;

use midwatch_agents::model::{Content, Usage};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Bytes that are counted as one token.
pub(super) const BYTES_PER_TOKEN: u64 = 4;
const LEAST_CACHED: u64 = 1024;
const LOOK_BACK: usize = 20;
const MINUTE_MS: i64 = 60_000;

/// Tokens of a conversation as it is on the wire.
pub(super) fn count(input: &Value) -> u64 {
    blocks(input).iter().map(|block| block.tokens).sum()
}

/// Tokens of what a model said.
pub(super) fn of_content(content: &[Content]) -> u64 {
    content
        .iter()
        .map(|block| match block {
            Content::Text(text) => of_bytes(text.len()),
            other => serde_json::to_vec(other).map_or(0, |bytes| of_bytes(bytes.len())),
        })
        .sum()
}

fn of_bytes(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(BYTES_PER_TOKEN)
}

/// A block that is read, and for how long the prefix that ends with it is kept.
struct Block {
    text: String,
    tokens: u64,
    keep_ms: Option<i64>,
}

fn blocks(input: &Value) -> Vec<Block> {
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let mut parts: Vec<(String, Value)> = Vec::new();
    parts.extend(list(input.pointer("/toolConfig/tools")).into_iter().map(|tool| ("tool".to_owned(), tool)));
    parts.extend(list(input.get("system")).into_iter().map(|block| ("system".to_owned(), block)));
    for message in list(input.get("messages")) {
        let role = message.get("role").and_then(Value::as_str).unwrap_or_default().to_owned();
        parts.extend(list(message.get("content")).into_iter().map(|block| (role.clone(), block)));
    }
    let mut blocks: Vec<Block> = Vec::new();
    for (role, part) in parts {
        if let Some(point) = part.get("cachePoint") {
            let minutes = if point.get("ttl").and_then(Value::as_str) == Some("1h") { 60 } else { 5 };
            if let Some(block) = blocks.last_mut() {
                block.keep_ms = Some(minutes * MINUTE_MS);
            }
            continue;
        }
        let json = part.to_string();
        let read = part.get("text").and_then(Value::as_str).map_or(json.len(), str::len);
        blocks.push(Block { text: format!("{role}:{json}"), tokens: of_bytes(read), keep_ms: None });
    }
    blocks
}

/// Prefixes that are kept, with the time until which they are.
#[derive(Debug, Default)]
pub(super) struct Cache {
    kept: HashMap<[u8; 32], Kept>,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    until_ms: i64,
    keep_ms: i64,
}

impl Cache {
    /// Reads a conversation: how much came from the cache, was written to it, and was neither.
    pub(super) fn read(&mut self, model: &str, input: &Value, now_ms: i64) -> Usage {
        self.kept.retain(|_, kept| kept.until_ms > now_ms);
        let blocks = blocks(input);
        let mut hash = Sha256::new();
        hash.update(model);
        let mut total = 0;
        let prefixes: Vec<([u8; 32], u64)> = blocks
            .iter()
            .map(|block| {
                hash.update((block.text.len() as u64).to_be_bytes());
                hash.update(&block.text);
                total += block.tokens;
                (hash.clone().finalize().into(), total)
            })
            .collect();

        let points: Vec<usize> = (0..blocks.len())
            .filter(|at| blocks.get(*at).is_some_and(|block| block.keep_ms.is_some()))
            .filter(|at| prefixes.get(*at).is_some_and(|(_, tokens)| *tokens >= LEAST_CACHED))
            .collect();
        let near = |at: usize| points.iter().any(|point| at <= *point && point - at <= LOOK_BACK);
        let hit = (0..prefixes.len())
            .rev()
            .filter(|at| near(*at))
            .find_map(|at| prefixes.get(at).filter(|(prefix, _)| self.kept.contains_key(prefix)));
        let read = hit.map_or(0, |(prefix, tokens)| {
            if let Some(kept) = self.kept.get_mut(prefix) {
                kept.until_ms = now_ms.saturating_add(kept.keep_ms);
            }
            *tokens
        });
        let mut end = read;
        for at in points {
            let (Some((prefix, tokens)), Some(keep_ms)) =
                (prefixes.get(at), blocks.get(at).and_then(|block| block.keep_ms))
            else {
                continue;
            };
            end = end.max(*tokens);
            self.kept.insert(*prefix, Kept { until_ms: now_ms.saturating_add(keep_ms), keep_ms });
        }
        Usage {
            input_tokens: total - end,
            output_tokens: 0,
            cache_read_tokens: read,
            cache_write_tokens: end - read,
        }
    }
}
