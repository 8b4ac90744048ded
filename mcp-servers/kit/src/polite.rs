//! Politeness towards an account: each operation of each AWS service has a rate of its own, kept on
//! our side. An incident is when an account's people need its quotas most.
//!
//! It stands below the SDKs, so that no client can be forgotten; a wait counts against the time
//! that the SDK allows an attempt. What has no quota to share (queues, topics, tokens), and models,
//! which have gates of their own, pass freely.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::Turns;

/// Calls of one operation that may come at once.
const AT_ONCE: NonZeroU32 = NonZeroU32::new(20).unwrap();
/// Longest wait; then the caller is told that there was no answer in time.
const LONGEST: Duration = Duration::from_secs(6);
/// A wait from which on it is told.
const WORTH_TELLING: Duration = Duration::from_millis(250);
/// Services that are not limited here.
const FREE: [&str; 5] = ["bedrock", "bedrock-runtime", "sns", "sqs", "sts"];
/// Services that allow less than is asked of the others, a second.
const SLOW: [(&str, NonZeroU32); 1] = [("cloudtrail", NonZeroU32::new(2).unwrap())];
/// Places that are remembered: credentials change by the hour.
const PLACES: usize = 1_000;

/// An HTTP client that waits its turn.
#[derive(Clone)]
pub(crate) struct Polite {
    inner: SharedHttpClient,
    rates: Rates,
    turns: Turns,
}

/// By place; with those of the services that allow less.
#[derive(Clone)]
struct Rates {
    most: Arc<DefaultKeyedRateLimiter<String>>,
    slow: Arc<[(&'static str, DefaultKeyedRateLimiter<String>)]>,
}

impl Rates {
    fn of(&self, place: &str) -> &DefaultKeyedRateLimiter<String> {
        let service = place.split(' ').nth(2);
        self.slow.iter().find(|(slow, _)| Some(*slow) == service).map_or(&*self.most, |(_, rates)| rates)
    }
}

impl std::fmt::Debug for Polite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Polite").field("places", &self.rates.most.len()).finish_non_exhaustive()
    }
}

impl Polite {
    /// In front of a client: so many calls of one operation a second.
    pub(crate) fn new(inner: SharedHttpClient, rate: NonZeroU32, turns: Turns) -> Self {
        let quota = Quota::per_second(rate).allow_burst(AT_ONCE.max(rate));
        let slow =
            SLOW.map(|(service, most)| (service, RateLimiter::keyed(Quota::per_second(most.min(rate)))));
        let rates = Rates { most: Arc::new(RateLimiter::keyed(quota)), slow: Arc::new(slow) };
        Self { inner, rates, turns }
    }
}

impl HttpClient for Polite {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let connector = self.inner.http_connector(settings, components);
        let (rates, turns) = (self.rates.clone(), self.turns.clone());
        SharedHttpConnector::new(Turn { connector, rates, turns })
    }
}

struct Turn {
    connector: SharedHttpConnector,
    rates: Rates,
    turns: Turns,
}

impl std::fmt::Debug for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turn").finish_non_exhaustive()
    }
}

impl HttpConnector for Turn {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let place = place(&request);
        let Some(place) = place.filter(|place| self.rates.of(place).check_key(place).is_err()) else {
            return self.connector.call(request);
        };
        let (connector, rates) = (self.connector.clone(), self.rates.clone());
        let (turns, api) = (self.turns.clone(), api(&request, &place));
        HttpConnectorFuture::new(async move {
            let rates = rates.of(&place);
            if rates.len() > PLACES {
                rates.retain_recent();
            }
            let begun = tokio::time::Instant::now();
            let had = tokio::time::timeout(LONGEST, rates.until_key_ready(&place)).await;
            turns.waited(&api, begun.elapsed());
            if had.is_err() {
                tracing::warn!(place, "no turn within the rate that is kept for the account");
                return Err(ConnectorError::timeout("no turn within the account's rate".into()));
            }
            let waited = begun.elapsed();
            if waited > WORTH_TELLING {
                tracing::info!(place, ms = waited.as_millis(), "waited for a turn at AWS");
            }
            connector.call(request).await
        })
    }
}

/// Who asks for what: credentials, region, service and operation, as the signature and the request
/// say. Nothing for what is not limited.
fn place(request: &HttpRequest) -> Option<String> {
    let scope = request.headers().get("authorization")?.split("Credential=").nth(1)?.split(',').next()?;
    let mut parts = scope.split('/');
    let (key, _day, region, service) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if FREE.contains(&service) {
        return None;
    }
    let path = request.uri().rsplit('/').next().unwrap_or_default();
    let operation = request.headers().get("x-amz-target").unwrap_or(path);
    Some(format!("{key} {region} {service} {operation}"))
}

/// The service and, where its protocol names one, the operation. Never part of a path that may name a thing: what is
/// counted by it has to stay few.
fn api(request: &HttpRequest, place: &str) -> String {
    let service = place.split(' ').nth(2).unwrap_or_default();
    let target = request.headers().get("x-amz-target").and_then(|target| target.rsplit('.').next());
    let operation = target.or_else(|| request.uri().split("/operation/").nth(1));
    operation.map_or_else(|| service.to_owned(), |operation| format!("{service}:{operation}"))
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn request(service: &str, target: Option<&str>) -> HttpRequest {
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential=AKID/20261121/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
        );
        let mut request = HttpRequest::new(SdkBody::empty());
        request.set_uri("http://127.0.0.1:1/service/Granite/operation/DescribeAlarms").unwrap();
        request.headers_mut().insert("authorization", scope);
        if let Some(target) = target {
            request.headers_mut().insert("x-amz-target", target.to_owned());
        }
        request
    }

    #[test]
    fn every_operation_has_a_rate_of_its_own_and_queues_and_models_have_none() {
        let of = |service, target| place(&request(service, target));
        assert_eq!(of("monitoring", None).unwrap(), "AKID us-east-1 monitoring DescribeAlarms");
        let target = Some("Logs_20140328.FilterLogEvents");
        assert_eq!(of("logs", target).unwrap(), "AKID us-east-1 logs Logs_20140328.FilterLogEvents");
        for free in FREE {
            assert_eq!(of(free, None), None);
        }
        let called = |service, target| {
            let request = request(service, target);
            api(&request, &place(&request).unwrap())
        };
        assert_eq!(called("monitoring", None), "monitoring:DescribeAlarms");
        assert_eq!(called("logs", target), "logs:FilterLogEvents");
        let mut named = request("lambda", None);
        named.set_uri("http://127.0.0.1:1/2015-03-31/functions/payroll").unwrap();
        assert_eq!(api(&named, &place(&named).unwrap()), "lambda", "no function's name");
        assert_eq!(place(&HttpRequest::new(SdkBody::empty())), None, "what is not signed");
    }

    #[derive(Debug)]
    struct Answers;

    impl HttpConnector for Answers {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            HttpConnectorFuture::ready(Err(ConnectorError::user("answered".into())))
        }
    }

    #[tokio::test]
    async fn who_asks_too_much_at_once_waits_its_turn() {
        let n = |n| NonZeroU32::new(n).unwrap();
        let most = Arc::new(RateLimiter::keyed(Quota::per_second(n(20)).allow_burst(n(2))));
        let slow = Arc::new([("cloudtrail", RateLimiter::keyed(Quota::per_second(n(10))))]);
        let rates = Rates { most, slow };
        let turns = Turns::default();
        let turn = Turn { connector: SharedHttpConnector::new(Answers), rates, turns: turns.clone() };
        let begun = tokio::time::Instant::now();
        for _ in 0..2 {
            assert!(turn.call(request("ecs", None)).await.unwrap_err().is_user());
        }
        assert!(turn.call(request("ecs", None)).await.unwrap_err().is_user());
        assert!(begun.elapsed() >= Duration::from_millis(40), "{:?}", begun.elapsed());
        let begun = tokio::time::Instant::now();
        for _ in 0..12 {
            assert!(turn.call(request("cloudtrail", None)).await.unwrap_err().is_user());
        }
        assert!(begun.elapsed() >= Duration::from_millis(150), "its own rate: {:?}", begun.elapsed());
        let waited = turns.all();
        let [(fast, once), (slow, often)] = waited.as_slice() else { panic!("{waited:?}") };
        // Ten of the twelve go at once.
        assert_eq!((fast.as_str(), once.calls), ("cloudtrail:DescribeAlarms", 2));
        assert_eq!((slow.as_str(), often.calls), ("ecs:DescribeAlarms", 1));
        assert!(once.time > Duration::ZERO && often.time > Duration::ZERO, "{waited:?}");
    }
}
