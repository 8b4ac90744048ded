//! Reading members of an input.

use serde_json::Value;

use super::WireError;

/// A text member that may be absent.
pub(crate) fn text<'a>(input: &'a Value, name: &str) -> Option<&'a str> {
    input.get(name).and_then(Value::as_str)
}

/// A text member that has to be there.
pub(crate) fn needed<'a>(input: &'a Value, name: &str, code: &str) -> Result<&'a str, WireError> {
    text(input, name)
        .filter(|text| !text.is_empty())
        .ok_or_else(|| WireError::client(code, format!("{name} is needed")))
}

/// A list of texts; absent is empty.
pub(crate) fn texts<'a>(input: &'a Value, name: &str) -> Vec<&'a str> {
    input.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A list of anything; absent is empty.
pub(crate) fn list<'a>(input: &'a Value, name: &str) -> &'a [Value] {
    input.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A time in seconds as Unix milliseconds.
pub(crate) fn time_ms(input: &Value, name: &str) -> Option<i64> {
    let seconds = input.get(name)?.as_f64()?;
    #[expect(clippy::cast_possible_truncation, reason = "times are far below 2^53 ms")]
    let ms = (seconds * 1000.0).round() as i64;
    Some(ms)
}

/// One page of a list, and the token of the next.
pub(crate) fn page<T>(
    list: Vec<T>,
    token: Option<&str>,
    size: Option<u64>,
    most: usize,
) -> Result<(Vec<T>, Option<String>), ()> {
    let start = token.map_or(Ok(0), str::parse::<usize>).map_err(|_| ())?;
    let size = size.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0).unwrap_or(most).min(most);
    let more = list.len() > start + size;
    let page = list.into_iter().skip(start).take(size).collect();
    Ok((page, more.then(|| (start + size).to_string())))
}
