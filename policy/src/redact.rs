//! Takes secrets and personal data out of text from outside, before it goes anywhere.
//!
//! INVARIANT: what [`redact`] returns holds none of the shapes it knows; redacting twice changes
//! nothing; text without such shapes comes back byte for byte. Identifiers that an investigation
//! lives on (request ids, hashes, ARNs, deployment ids, account ids) are not secrets and stay.
//!
//! A match marks only the secret itself, so that the key or the header that names it stays
//! readable. Entropy scoring was rejected: it eats hashes and trace ids, which are evidence.
//!
//! An operator's own patterns ([`Redactor`]) are looked for in the same text at the same time: after the
//! built-in ones they would not see what those took out, before them they would hide it from them.

mod commands;
mod encoded;
mod folded;
mod own;
mod prose;
mod providers;
mod rules;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt, ops::Range, sync::Arc};

use own::Own;
pub use own::{PatternError, Redactor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What kind of thing was taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecretKind {
    /// The id of an AWS access key (`AKIA…`, `ASIA…`).
    AwsKeyId,
    /// An AWS secret access key or session token.
    AwsSecret,
    /// The credential of an `Authorization`, `Cookie` or similar header.
    Bearer,
    /// A JSON web token or a PASETO.
    Token,
    /// A password or another secret that its key names, also within a URL.
    Password,
    /// A private key in PEM form.
    PrivateKey,
    /// A key with the prefix of a known provider.
    ApiKey,
    /// An e-mail address.
    Email,
    /// A payment card number.
    Card,
}

impl SecretKind {
    /// As it stands in the placeholder and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AwsKeyId => "aws_key_id",
            Self::AwsSecret => "aws_secret",
            Self::Bearer => "bearer",
            Self::Token => "token",
            Self::Password => "password",
            Self::PrivateKey => "private_key",
            Self::ApiKey => "api_key",
            Self::Email => "email",
            Self::Card => "card",
        }
    }
}

impl fmt::Display for SecretKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text without its secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redacted {
    /// The text; each secret is replaced by `[redacted:kind]`.
    pub text: String,
    /// How many were taken out, by kind.
    pub counts: BTreeMap<SecretKind, usize>,
    /// The same of an operator's own patterns, by their names.
    pub own: BTreeMap<Arc<str>, usize>,
}

impl Redacted {
    /// How many secrets were taken out altogether.
    pub fn total(&self) -> usize {
        self.counts.values().chain(self.own.values()).sum()
    }
}

/// What a secret was found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Known(SecretKind),
    /// An operator's own pattern, by its place.
    Own(usize),
}

/// One secret found in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    at: Range<usize>,
    kind: Kind,
}

/// A replacement can uncover another match beside it (a boundary appears where a secret was), so
/// the text is read again until nothing is found. Two passes are the rule; the bound keeps the
/// work linear on text that was built to chain.
const MOST_PASSES: usize = 16;

/// Takes out every secret whose shape is known. Linear in the length of the text.
pub fn redact(text: &str) -> Redacted {
    redact_with(text, &[])
}

fn redact_with(text: &str, own: &[Own]) -> Redacted {
    let mut redacted = Redacted { text: text.to_owned(), ..Redacted::default() };
    for _ in 0..MOST_PASSES {
        let mut found = rules::find(&redacted.text);
        encoded::find(&redacted.text, &mut found);
        folded::find(&redacted.text, &mut found);
        own::find(&redacted.text, own, &mut found);
        let found = keep_placeholders(&redacted.text, found);
        if found.is_empty() {
            break;
        }
        redacted.text = replace(&redacted.text, &found, own);
        for Found { kind, .. } in found {
            match kind {
                Kind::Known(kind) => *redacted.counts.entry(kind).or_default() += 1,
                Kind::Own(_) => *redacted.own.entry(Arc::from(name(kind, own))).or_default() += 1,
            }
        }
    }
    redacted
}

fn name(kind: Kind, own: &[Own]) -> &str {
    match kind {
        Kind::Known(kind) => kind.as_str(),
        Kind::Own(at) => own.get(at).map_or("own", Own::name),
    }
}

/// Sorts what was found, joins what overlaps (the kind of the first stays) and cuts placeholders
/// of an earlier pass out of it. Text beside a placeholder is still redacted, so a placeholder in
/// the input hides nothing.
fn keep_placeholders(text: &str, mut found: Vec<Found>) -> Vec<Found> {
    if found.is_empty() {
        return found;
    }
    let (own, known): (Vec<Found>, Vec<Found>) =
        found.drain(..).partition(|found| matches!(found.kind, Kind::Own(_)));
    // `user:password@host` looks like an address from its password on: the other reading wins.
    let (addresses, others): (Vec<Found>, Vec<Found>) =
        known.into_iter().partition(|found| found.kind == Kind::Known(SecretKind::Email));
    let mut joined = join(others);
    let free: Vec<Found> = addresses
        .into_iter()
        .filter(|address| {
            let next = joined.partition_point(|other| other.at.end <= address.at.start);
            joined.get(next).is_none_or(|other| other.at.start >= address.at.end)
        })
        .collect();
    joined.extend(free);
    joined.extend(own);
    let joined = join(joined);
    let placeholders = rules::placeholders(text);
    let mut kept = Vec::with_capacity(joined.len());
    let mut first = 0;
    for Found { at, kind } in joined {
        while placeholders.get(first).is_some_and(|p| p.end <= at.start) {
            first += 1;
        }
        let mut start = at.start;
        for placeholder in placeholders.iter().skip(first).take_while(|p| p.start < at.end) {
            if placeholder.start > start {
                kept.push(Found { at: start..placeholder.start, kind });
            }
            start = start.max(placeholder.end);
        }
        if start < at.end {
            kept.push(Found { at: start..at.end, kind });
        }
    }
    kept
}

/// Sorted and without overlaps; where two overlap, the kind of the first stays.
fn join(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by_key(|found| (found.at.start, std::cmp::Reverse(found.at.end)));
    let mut joined: Vec<Found> = Vec::with_capacity(found.len());
    for next in found {
        match joined.last_mut() {
            Some(last) if next.at.start < last.at.end => last.at.end = last.at.end.max(next.at.end),
            _ => joined.push(next),
        }
    }
    joined
}

/// Writes `[redacted:kind]` in place of each; `found` is sorted and free of overlaps.
fn replace(text: &str, found: &[Found], own: &[Own]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for Found { at: span, kind } in found {
        out.push_str(text.get(at..span.start).unwrap_or_default());
        out.push_str("[redacted:");
        out.push_str(name(*kind, own));
        out.push(']');
        at = span.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}
