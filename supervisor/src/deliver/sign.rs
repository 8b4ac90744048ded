//! The signature of the generic webhook: HMAC-SHA256 over version, time and body.
//!
//! `Midwatch-Signature: v1=HEX` is over `v1.TIMESTAMP.BODY`, with the value of
//! `Midwatch-Timestamp` in seconds and the body's bytes as they came. The time is within what is
//! signed, so that a receiver can refuse what is old: a caught message cannot be played again.

use ring::hmac;

/// Header with the seconds since 1970 when it was signed.
pub const TIMESTAMP: &str = "midwatch-timestamp";
/// Header with the signature.
pub const SIGNATURE: &str = "midwatch-signature";
/// Header with the key of the notice: the same on every attempt.
pub const NOTICE: &str = "midwatch-notice";
/// How old a message may be, in seconds: what is older is refused by whoever verifies.
pub const WINDOW_S: i64 = 300;

/// Why a message is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No signature of a known version.
    #[error("there is no `v1=` signature")]
    Missing,
    /// Signed too long ago, or in the future.
    #[error(
        "it was signed more than {WINDOW_S} s from now: an old message is played again, or a clock is wrong"
    )]
    Old,
    /// Not by this secret, or not this body.
    #[error("the signature does not match the body")]
    Wrong,
}

/// The value of the signature header.
pub fn sign(secret: &[u8], timestamp_s: i64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
    context.update(format!("v1.{timestamp_s}.").as_bytes());
    context.update(body);
    format!("v1={}", hex::encode(context.sign()))
}

/// Checks a message, as its receiver does. Several signatures may stand in the header, separated
/// by commas, while a secret is changed.
pub fn verify(
    secret: &[u8],
    timestamp_s: i64,
    now_s: i64,
    header: &str,
    body: &[u8],
) -> Result<(), SignatureError> {
    let mut signatures = header.split(',').filter_map(|part| part.trim().strip_prefix("v1=")).peekable();
    if signatures.peek().is_none() {
        return Err(SignatureError::Missing);
    }
    if now_s.saturating_sub(timestamp_s).saturating_abs() > WINDOW_S {
        return Err(SignatureError::Old);
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let mut message = format!("v1.{timestamp_s}.").into_bytes();
    message.extend_from_slice(body);
    let known =
        |signature: &str| hex::decode(signature).is_ok_and(|tag| hmac::verify(&key, &message, &tag).is_ok());
    if signatures.any(known) { Ok(()) } else { Err(SignatureError::Wrong) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_believed_once_and_only_as_it_was_signed() {
        let header = sign(b"secret", 1_795_000_000, b"{}");
        assert_eq!(verify(b"secret", 1_795_000_000, 1_795_000_299, &header, b"{}"), Ok(()));
        let both = format!("v1=00ff, {header}");
        assert_eq!(verify(b"secret", 1_795_000_000, 1_795_000_000, &both, b"{}"), Ok(()));
        let wrong = Err(SignatureError::Wrong);
        assert_eq!(verify(b"other", 1_795_000_000, 1_795_000_000, &header, b"{}"), wrong);
        assert_eq!(verify(b"secret", 1_795_000_001, 1_795_000_001, &header, b"{}"), wrong);
        assert_eq!(verify(b"secret", 1_795_000_000, 1_795_000_000, &header, b"{ }"), wrong);
        let old = verify(b"secret", 1_795_000_000, 1_795_000_301, &header, b"{}");
        assert_eq!(old, Err(SignatureError::Old));
        assert_eq!(verify(b"secret", 0, 0, "v0=12", b"{}"), Err(SignatureError::Missing));
    }

    /// The value that docs/notify.md gives, computed with Python's `hmac`.
    #[test]
    fn it_is_what_others_compute() {
        let header = sign(b"a-secret", 1_795_000_000, b"{\"kind\":\"test\"}");
        assert_eq!(header, "v1=079730ff1f1f1ff090e0d570a841c8bb2421a8822507a46abda8a3b53828ba39");
    }
}
