//! How a call comes on at AWS: each answer is a step of its progress.
//!
//! It stands below the SDKs, so that no call of any server can be forgotten. Names in an address, such as that of a
//! function, are not told: what is told is the service and, where the request says it in a header, the operation.

use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    runtime_components::RuntimeComponents,
};

use crate::progress::Progress;

/// Credentials are nothing that a caller waits for; of a query the logs server tells more itself.
const UNTOLD: [&str; 2] = ["sts", "logs GetQueryResults"];

/// An HTTP client whose answers are told to the caller of the tool that asked.
#[derive(Debug, Clone)]
pub(crate) struct Pace(pub(crate) SharedHttpClient);

impl HttpClient for Pace {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Step(self.0.http_connector(settings, components)))
    }
}

#[derive(Debug)]
struct Step(SharedHttpConnector);

impl HttpConnector for Step {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let progress = Progress::current();
        let asked = progress.is_told().then(|| asked(&request)).flatten();
        let Some(asked) = asked else { return self.0.call(request) };
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let answer = answer.await;
            progress.step(|| format!("{asked} answered")).await;
            answer
        })
    }
}

/// The service that a signed request is for, and its operation where a header says it.
fn asked(request: &HttpRequest) -> Option<String> {
    let scope = request.headers().get("authorization")?.split("Credential=").nth(1)?.split(',').next()?;
    let service = scope.split('/').nth(3)?;
    let operation = request.headers().get("x-amz-target").and_then(|target| target.rsplit('.').next());
    let asked = operation.map_or_else(|| service.to_owned(), |operation| format!("{service} {operation}"));
    (!UNTOLD.contains(&asked.as_str())).then_some(asked)
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::body::SdkBody;

    use super::*;

    #[test]
    fn the_service_and_the_operation_are_told_and_no_name_in_an_address() {
        let of = |service: &str, target: Option<&'static str>| {
            let scope = format!(
                "AWS4-HMAC-SHA256 Credential=AKID/20261121/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
            );
            let mut request = HttpRequest::new(SdkBody::empty());
            request.set_uri("http://127.0.0.1:1/2015-03-31/functions/secret-name").unwrap();
            request.headers_mut().insert("authorization", scope);
            if let Some(target) = target {
                request.headers_mut().insert("x-amz-target", target);
            }
            asked(&request)
        };
        assert_eq!(of("lambda", None).as_deref(), Some("lambda"));
        let told = of("states", Some("AWSStepFunctions.ListExecutions"));
        assert_eq!(told.as_deref(), Some("states ListExecutions"));
        assert_eq!(of("logs", Some("Logs_20140328.GetQueryResults")), None);
        assert_eq!(of("sts", None), None);
        assert_eq!(asked(&HttpRequest::new(SdkBody::empty())), None, "what is not signed");
    }
}
