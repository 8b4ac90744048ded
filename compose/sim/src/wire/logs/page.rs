//! Pages of an answer and the opaque tokens between them.

use super::{WireError, invalid};

/// Bytes of messages in one answer.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// A page of `items`, and the token of the next one.
pub(super) fn page<T>(
    items: Vec<T>,
    token: Option<&str>,
    limit: Option<usize>,
    most: usize,
) -> Result<(Vec<T>, Option<String>), WireError> {
    let limit = bounded(limit, most)?;
    let start = token.map_or(Ok(0), |token| position("n", token))?;
    let total = items.len();
    let page: Vec<T> = items.into_iter().skip(start).take(limit).collect();
    let end = start + page.len();
    Ok((page, (end < total).then(|| token_at("n", end))))
}

/// A limit within its range; `most` where none is given.
pub(super) fn bounded(limit: Option<usize>, most: usize) -> Result<usize, WireError> {
    match limit {
        None => Ok(most),
        Some(limit) if (1..=most).contains(&limit) => Ok(limit),
        Some(limit) => Err(invalid(format!("limit {limit} is not between 1 and {most}"))),
    }
}

/// A token that stands for a position.
pub(super) fn token_at(kind: &str, position: usize) -> String {
    format!("{kind}/{}", hex::encode(format!("position:{position:012}")))
}

/// The position in a token of that kind.
pub(super) fn position(kind: &str, token: &str) -> Result<usize, WireError> {
    token
        .strip_prefix(kind)
        .and_then(|rest| rest.strip_prefix('/'))
        .and_then(|digits| String::from_utf8(hex::decode(digits).ok()?).ok())
        .and_then(|text| text.strip_prefix("position:")?.parse().ok())
        .ok_or_else(|| invalid("The specified nextToken is invalid."))
}
