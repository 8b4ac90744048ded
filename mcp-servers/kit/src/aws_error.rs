//! From an error of the AWS SDK to what the model is told.
//!
//! The operator gets everything on stderr. The model gets a kind, the operation and what would
//! mend it: AWS's own texts name users, roles and accounts, and some echo what was sent.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::{display::DisplayErrorContext, metadata::ProvideErrorMetadata};

use crate::error::{ErrorKind, ToolError};

/// Turns the result of an SDK call into one with a [`ToolError`].
pub trait AwsResult<T> {
    /// Names the operation as IAM does, such as `logs:StartQuery`; the message and the mend say it.
    fn aws(self, api: &str) -> Result<T, ToolError>;
}

impl<T, E> AwsResult<T> for Result<T, SdkError<E, HttpResponse>>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    fn aws(self, api: &str) -> Result<T, ToolError> {
        self.map_err(|error| tell(&error, api))
    }
}

impl<E> From<SdkError<E, HttpResponse>> for ToolError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        tell(&error, "an AWS operation")
    }
}

fn tell<E>(error: &SdkError<E, HttpResponse>, api: &str) -> ToolError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    tracing::warn!(api, code = error.code(), error = %DisplayErrorContext(error), "an AWS call failed");
    match error {
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            let code = service.err().code().unwrap_or_default();
            explain(classify(code, status), api, code, service.err().message())
        }
        SdkError::TimeoutError(_) => explain(ErrorKind::Timeout, api, "", None),
        SdkError::ResponseError(response) => {
            let kind = classify("", response.raw().status().as_u16());
            explain(kind, api, "", None)
        }
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            explain(ErrorKind::Timeout, api, "", None)
        }
        other => local(other, api),
    }
}

/// Which kind an error code is; the HTTP status decides where the code says nothing.
fn classify(code: &str, status: u16) -> ErrorKind {
    let has = |needles: &[&str]| needles.iter().any(|needle| code.contains(needle));
    if has(&[
        "ExpiredToken",
        "RequestExpired",
        "TokenRefreshRequired",
        "UnrecognizedClient",
        "InvalidClientTokenId",
    ]) || has(&[
        "InvalidSignature",
        "SignatureDoesNotMatch",
        "IncompleteSignature",
        "MissingAuthenticationToken",
    ]) || has(&["InvalidAccessKeyId", "AuthFailure", "NotAuthorizedException", "InvalidToken"])
    {
        ErrorKind::ExpiredCredentials
    } else if has(&["AccessDenied", "Unauthorized", "AuthorizationError", "Forbidden", "OptInRequired"]) {
        ErrorKind::AccessDenied
    } else if has(&[
        "Throttl",
        "TooManyRequests",
        "LimitExceeded",
        "QuotaExceeded",
        "SlowDown",
        "ThroughputExceeded",
    ]) {
        ErrorKind::Throttled
    } else if has(&["NotFound", "DoesNotExist", "NoSuch", "NotActive"]) {
        ErrorKind::NotFound
    } else if has(&["Timeout", "TimedOut"]) {
        ErrorKind::Timeout
    } else if has(&[
        "UnknownOperation",
        "NotImplemented",
        "Unavailable",
        "InternalFailure",
        "InternalError",
        "InternalServer",
        "ServerException",
    ]) {
        ErrorKind::Unavailable
    } else {
        match status {
            401 => ErrorKind::ExpiredCredentials,
            403 => ErrorKind::AccessDenied,
            404 if code.is_empty() => ErrorKind::Unavailable,
            404 => ErrorKind::NotFound,
            408 | 504 => ErrorKind::Timeout,
            429 => ErrorKind::Throttled,
            400..=499 => ErrorKind::Invalid,
            _ => ErrorKind::Unavailable,
        }
    }
}

/// The texts for each kind. AWS's message is passed on only where it is about the arguments.
fn explain(kind: ErrorKind, api: &str, code: &str, message: Option<&str>) -> ToolError {
    let code = if code.is_empty() { String::new() } else { format!(" ({code})") };
    let (what, mend) = match kind {
        ErrorKind::AccessDenied => (
            format!("`{api}` is not permitted{code}"),
            format!(
                "go on without it and say so; an operator grants `{api}` (--iam-policy prints the least policy)"
            ),
        ),
        ErrorKind::ExpiredCredentials => (
            format!("AWS does not accept our credentials for `{api}`{code}"),
            "an operator renews the credentials; nothing in this account can be read until then".to_owned(),
        ),
        ErrorKind::Throttled => {
            (format!("AWS throttles `{api}`{code}"), "wait a little, then ask once more for less".to_owned())
        }
        ErrorKind::NotFound => (
            format!("`{api}` found nothing of that name{code}"),
            "check the name, the region and the account".to_owned(),
        ),
        ErrorKind::Timeout => (
            format!("`{api}` did not answer in time{code}"),
            "ask once more, or for less; if it stays, go on without it and say so".to_owned(),
        ),
        ErrorKind::Invalid => {
            let said = message.map(|text| format!(": {}", crate::clip(text, 300))).unwrap_or_default();
            (format!("AWS refused the request to `{api}`{code}{said}"), "correct the arguments".to_owned())
        }
        ErrorKind::Unavailable | ErrorKind::Refused | ErrorKind::Internal => (
            format!("`{api}` is not working{code}"),
            "ask once more; if it stays, go on without it and say so".to_owned(),
        ),
    };
    ToolError::new(kind, what, mend)
}

/// Failures before AWS had a say: credentials, region, name resolution, connections.
fn local<'e>(error: &'e (dyn Error + 'static), api: &str) -> ToolError {
    let chain: Vec<&'e (dyn Error + 'static)> =
        std::iter::successors(Some(error), |error: &&'e (dyn Error + 'static)| (**error).source()).collect();
    let text = chain.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ").to_ascii_lowercase();
    let credentials = chain.iter().find_map(|error| error.downcast_ref::<CredentialsError>());
    let unavailable = |message: String, mend: &str| ToolError::new(ErrorKind::Unavailable, message, mend);
    if let Some(credentials) = credentials {
        let denied = text.contains("accessdenied") || text.contains("not authorized");
        return match credentials {
            CredentialsError::CredentialsNotLoaded(_) => ToolError::new(
                ErrorKind::ExpiredCredentials,
                "no AWS credentials were found",
                "an operator provides them: a role, a profile (AWS_PROFILE), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            ),
            CredentialsError::ProviderTimedOut(_) => ToolError::new(
                ErrorKind::Timeout,
                "the source of the AWS credentials did not answer in time",
                "ask once more; an operator checks the credential provider",
            ),
            _ if denied => ToolError::new(
                ErrorKind::AccessDenied,
                "the role of this service may not be assumed",
                "an operator permits `sts:AssumeRole` on it and checks the role's trust policy",
            ),
            _ => ToolError::new(
                ErrorKind::ExpiredCredentials,
                "AWS credentials could not be had",
                "an operator renews them (`aws sso login`, or the profile's source); details are in the server's log",
            ),
        };
    }
    if text.contains("region") && text.contains("missing") {
        unavailable(
            format!("no region for `{api}`"),
            "an operator sets `region` in the catalog, or AWS_REGION",
        )
    } else if text.contains("dns") || text.contains("failed to lookup") {
        unavailable(
            format!("the endpoint of `{api}` has no address"),
            "an operator checks the region's spelling, AWS_ENDPOINT_URL and the network's DNS",
        )
    } else if text.contains("refused") {
        unavailable(
            format!("nothing listens at the endpoint of `{api}`"),
            "an operator checks AWS_ENDPOINT_URL and the network",
        )
    } else if text.contains("certificate") || text.contains("tls") {
        unavailable(
            format!("no trusted connection to the endpoint of `{api}`"),
            "an operator installs the system's root certificates, or the proxy's",
        )
    } else {
        unavailable(
            format!("`{api}` could not be reached"),
            "ask once more; if it stays, an operator checks the network",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_classified() {
        for (code, status, kind) in [
            ("AccessDeniedException", 400, ErrorKind::AccessDenied),
            ("ExpiredTokenException", 400, ErrorKind::ExpiredCredentials),
            ("UnrecognizedClientException", 400, ErrorKind::ExpiredCredentials),
            ("InvalidSignatureException", 403, ErrorKind::ExpiredCredentials),
            ("ResourceNotFoundException", 400, ErrorKind::NotFound),
            ("ClusterNotFoundException", 400, ErrorKind::NotFound),
            ("DeploymentDoesNotExistException", 400, ErrorKind::NotFound),
            ("ThrottlingException", 400, ErrorKind::Throttled),
            ("Throttling", 400, ErrorKind::Throttled),
            ("LimitExceededException", 400, ErrorKind::Throttled),
            ("MalformedQueryException", 400, ErrorKind::Invalid),
            ("InvalidParameterException", 400, ErrorKind::Invalid),
            ("", 404, ErrorKind::Unavailable),
            ("", 403, ErrorKind::AccessDenied),
            ("", 500, ErrorKind::Unavailable),
            ("ServiceUnavailableException", 503, ErrorKind::Unavailable),
        ] {
            assert_eq!(classify(code, status), kind, "{code} {status}");
        }
    }

    #[test]
    fn only_what_is_about_arguments_passes_on_the_message() {
        let secret = Some("User: arn:aws:iam::123456789012:user/x is not authorized");
        for kind in [ErrorKind::AccessDenied, ErrorKind::ExpiredCredentials, ErrorKind::Unavailable] {
            let error = explain(kind, "logs:StartQuery", "Code", secret);
            assert!(!error.message.contains("arn:"), "{error}");
            assert!(error.message.contains("logs:StartQuery"), "{error}");
        }
        assert!(
            explain(ErrorKind::Invalid, "a", "", Some("unexpected token")).message.contains("unexpected")
        );
    }
}
