//! The evidence of a run, each piece with a line for people.

use std::fmt::Write as _;

use midwatch_agents::evidence::{Evidence, EvidenceBook};
use serde_json::Value;

use crate::run::{RunClaim, RunEvidence};

/// Longest line.
const LONGEST: usize = 240;

/// All evidence; what is cited first.
pub(super) fn list(book: &EvidenceBook, claims: &[RunClaim]) -> Vec<RunEvidence> {
    let (cited, rest): (Vec<_>, Vec<_>) = book
        .all()
        .into_iter()
        .partition(|piece| claims.iter().any(|c| c.evidence.iter().any(|id| id == piece.id.as_str())));
    cited.iter().chain(&rest).map(|piece| entry(piece)).collect()
}

fn entry(piece: &Evidence) -> RunEvidence {
    RunEvidence {
        id: piece.id.to_string(),
        source: format!("{}.{}", piece.origin.server, piece.origin.tool),
        reference: piece.reference.clone(),
        sha256: piece.sha256.clone(),
        line: line(piece),
    }
}

/// The plain fields of the object, most telling first.
pub(super) fn line(piece: &Evidence) -> String {
    const FIRST: [&str; 17] = [
        "change",
        "template",
        "metric",
        "message",
        "title",
        "name",
        "deployment_id",
        "state",
        "status",
        "count",
        "total",
        "reason",
        "score",
        "running",
        "desired",
        "created_at",
        "first_seen",
    ];
    let Value::Object(object) = piece.value() else { return piece.reference.clone() };
    let mut text = format!("{}:", piece.origin.tool);
    for key in FIRST {
        let value = match object.get(key) {
            Some(Value::String(value)) if key == "change" && value == "none" => "unchanged".to_owned(),
            Some(Value::String(value)) => value.clone(),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
            _ => continue,
        };
        let plain =
            matches!(key, "template" | "metric" | "message" | "title" | "name" | "deployment_id" | "change");
        let _ = if plain { write!(text, " {value}") } else { write!(text, " {key} {value}") };
        if text.chars().count() > LONGEST {
            break;
        }
    }
    if text.ends_with(':') {
        text.push(' ');
        text.push_str(&piece.reference);
    }
    text.chars().take(LONGEST).collect()
}
