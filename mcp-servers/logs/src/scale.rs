//! The scales that loggers write a level on. Pure.

use serde_json::Value;

use crate::{
    line::{Level, Rank, number},
    words,
};

/// The level that a field for it says, as a word or as pino counts.
pub(crate) fn level_of(value: &Value) -> Option<Rank> {
    match value {
        Value::String(text) => {
            words::level_of(text.trim()).or_else(|| level_number(text.trim().parse().ok()?))
        }
        Value::Number(number) => level_number(number.as_u64()?),
        _ => None,
    }
}

/// The level of a number on a scale that goes up to `most`: OpenTelemetry's `SeverityNumber`, Python's `levelno`.
pub(crate) fn scaled(value: &Value, [warn, error, fatal]: [u64; 3], most: u64) -> Option<Rank> {
    Some(match number(value)? {
        n if n == 0 || n > most => return None,
        n if n >= fatal => Rank::Loud(Level::Fatal),
        n if n >= error => Rank::Loud(Level::Error),
        n if n >= warn => Rank::Loud(Level::Warn),
        _ => Rank::Quiet,
    })
}

/// Syslog counts down, from 7 (debug) to 0 (emergency).
pub(crate) const fn syslog(number: u64) -> Option<Rank> {
    match number {
        0..=2 => Some(Rank::Loud(Level::Fatal)),
        3 => Some(Rank::Loud(Level::Error)),
        4 => Some(Rank::Loud(Level::Warn)),
        5..=7 => Some(Rank::Quiet),
        _ => None,
    }
}

/// Pino and bunyan count 10 (trace) to 60 (fatal).
const fn level_number(number: u64) -> Option<Rank> {
    match number {
        60 => Some(Rank::Loud(Level::Fatal)),
        50 => Some(Rank::Loud(Level::Error)),
        40 => Some(Rank::Loud(Level::Warn)),
        10 | 20 | 30 => Some(Rank::Quiet),
        _ => None,
    }
}
