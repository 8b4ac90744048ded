//! The signature of a message: RSA over its fields in AWS's order, with SHA-1 (version 1) or
//! SHA-256 (version 2).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use midwatch_policy::Timestamp;
use ring::signature::{
    RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};

use super::{Envelope, SnsError};

pub(super) fn check(envelope: &Envelope, der: &[u8], now: Timestamp) -> Result<(), SnsError> {
    let no_certificate = SnsError::Signature("its certificate cannot be read");
    let (_, certificate) = x509_parser::parse_x509_certificate(der).map_err(|_| no_certificate.clone())?;
    let validity = certificate.validity();
    if now.as_second() < validity.not_before.timestamp() || now.as_second() > validity.not_after.timestamp() {
        return Err(SnsError::Signature("its certificate is not valid now"));
    }
    let algorithm: &dyn VerificationAlgorithm = match envelope.signature_version.as_str() {
        "1" => &RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
        "2" => &RSA_PKCS1_2048_8192_SHA256,
        _ => return Err(SnsError::Signature("its version is not 1 or 2")),
    };
    let signature =
        STANDARD.decode(&envelope.signature).map_err(|_| SnsError::Signature("it is not base64"))?;
    let key = certificate.public_key().subject_public_key.data.as_ref();
    UnparsedPublicKey::new(algorithm, key)
        .verify(signed(envelope).as_bytes(), &signature)
        .map_err(|_| SnsError::Signature("it does not match the message"))
}

/// What AWS signs: names and values by the message's type, each on a line of its own.
pub(super) fn signed(envelope: &Envelope) -> String {
    let Envelope { message, message_id, subject, subscribe, timestamp, token, topic_arn, kind, .. } =
        envelope;
    let confirmation = kind != "Notification";
    let fields = [
        ("Message", Some(message)),
        ("MessageId", Some(message_id)),
        ("Subject", subject.as_ref().filter(|_| !confirmation)),
        ("SubscribeURL", subscribe.as_ref().filter(|_| confirmation)),
        ("Timestamp", Some(timestamp)),
        ("Token", token.as_ref().filter(|_| confirmation)),
        ("TopicArn", Some(topic_arn)),
        ("Type", Some(kind)),
    ];
    fields.into_iter().filter_map(|(name, value)| value.map(|value| format!("{name}\n{value}\n"))).collect()
}
