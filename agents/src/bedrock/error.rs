//! Errors of the SDK, classed.

use aws_sdk_bedrockruntime::{
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    operation::converse::ConverseError,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::model::{Charged, ModelError, ModelErrorKind};

pub(super) fn classify(model: &str, error: &SdkError<ConverseError, HttpResponse>) -> ModelError {
    use ModelErrorKind as Kind;
    let chain = || DisplayErrorContext(error).to_string();
    match error {
        SdkError::ServiceError(context) => service(model, context.err(), context.raw()),
        SdkError::TimeoutError(_) => ModelError::new(Kind::Timeout, model, chain()),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            ModelError::new(Kind::Timeout, model, chain())
        }
        // Nothing was sent: no credentials, no way to the endpoint.
        SdkError::DispatchFailure(failure) if failure.is_user() => {
            ModelError::new(Kind::AccessDenied, model, chain())
        }
        SdkError::DispatchFailure(failure) => {
            let text = chain();
            let unsent = failure.is_io() && is_connect(&text);
            let error = ModelError::new(Kind::Unavailable, model, text);
            if unsent { error.charged(Charged::Nothing) } else { error }
        }
        SdkError::ConstructionFailure(_) => {
            let text = chain();
            let lower = text.to_lowercase();
            let kind = if lower.contains("credential") || lower.contains("identity") {
                Kind::AccessDenied
            } else {
                Kind::Validation
            };
            ModelError::new(kind, model, text)
        }
        _ => ModelError::new(Kind::Other, model, chain()),
    }
}

/// Whether the connection was never made, by what the connector says of it.
fn is_connect(text: &str) -> bool {
    let lower = text.to_lowercase();
    ["connection refused", "dns error", "tcp connect", "failed to lookup", "certificate"]
        .iter()
        .any(|said| lower.contains(said))
}

fn service(model: &str, error: &ConverseError, raw: &HttpResponse) -> ModelError {
    use ModelErrorKind as Kind;
    let message = error.message().unwrap_or_default();
    let code = error.code().unwrap_or_default();
    let status = raw.status().as_u16();
    // An answer with an error is not charged, unless the model may have worked on it.
    let (kind, charged) = match error {
        ConverseError::ThrottlingException(_) | ConverseError::ModelNotReadyException(_) => {
            (Kind::Throttled, Charged::Nothing)
        }
        ConverseError::ServiceUnavailableException(_) => (Kind::Unavailable, Charged::Nothing),
        ConverseError::InternalServerException(_) => (Kind::Unavailable, Charged::Unknown),
        ConverseError::ModelTimeoutException(_) => (Kind::Timeout, Charged::Unknown),
        ConverseError::ModelErrorException(_) => (Kind::Other, Charged::Unknown),
        ConverseError::AccessDeniedException(_) => (Kind::AccessDenied, Charged::Nothing),
        ConverseError::ResourceNotFoundException(_) => (Kind::NotFound, Charged::Nothing),
        ConverseError::ValidationException(_) if is_too_long(message) => {
            (Kind::ContextTooLong, Charged::Nothing)
        }
        ConverseError::ValidationException(_) => (Kind::Validation, Charged::Nothing),
        // Not in Converse's model, but sent.
        _ => by_code(code, status),
    };
    let said =
        if message.is_empty() { format!("HTTP {status} {code}") } else { format!("{code}: {message}") };
    let mut found = ModelError::new(kind, model, said).charged(charged);
    found.retry_after =
        raw.headers().get("retry-after").and_then(|s| s.parse().ok()).map(std::time::Duration::from_secs);
    found
}

fn by_code(code: &str, status: u16) -> (ModelErrorKind, Charged) {
    use ModelErrorKind as Kind;
    match (code, status) {
        ("ServiceQuotaExceededException", _) => (Kind::Quota, Charged::Nothing),
        ("ThrottlingException" | "TooManyRequestsException" | "RequestLimitExceeded", _) | (_, 429) => {
            (Kind::Throttled, Charged::Nothing)
        }
        (
            "ExpiredToken"
            | "ExpiredTokenException"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "InvalidClientTokenId"
            | "AccessDenied"
            | "AccessDeniedException",
            _,
        )
        | (_, 401 | 403) => (Kind::AccessDenied, Charged::Nothing),
        (_, 404) => (Kind::NotFound, Charged::Nothing),
        (_, 408) => (Kind::Timeout, Charged::Unknown),
        (_, 400..=499) => (Kind::Validation, Charged::Nothing),
        (_, 500..=599) => (Kind::Unavailable, Charged::Unknown),
        _ => (Kind::Other, Charged::Unknown),
    }
}

/// A validation error about length reads differently for each model.
fn is_too_long(message: &str) -> bool {
    let lower = message.to_lowercase();
    [
        "too long",
        "context length",
        "context window",
        "maximum context",
        "too many tokens",
        "input length",
        "input tokens",
        "token limit",
    ]
    .iter()
    .any(|said| lower.contains(said))
}
