//! Messages that openssl signed, and what was changed in them.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::BoxFuture;
use midwatch_policy::FixedClock;
use serde_json::Value;

use super::*;

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/sns/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[derive(Debug, Default)]
struct Aws {
    asked: AtomicUsize,
    certificate: Vec<u8>,
}

impl Fetch for Aws {
    fn get<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Fetched> {
        assert!(url.starts_with("https://sns.us-east-1.amazonaws.com/"), "{url}");
        self.asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(self.certificate.clone()) })
    }
}

fn sns(certificate: &str, now: &str) -> (Sns, Arc<Aws>) {
    let aws = Arc::new(Aws { certificate: fixture(certificate), ..Aws::default() });
    let topics = vec![Topic::parse("arn:aws:sns:us-east-1:123456789012:alarms").unwrap()];
    (Sns::new(topics, Arc::clone(&aws) as Arc<_>, Arc::new(FixedClock(now.parse().unwrap()))), aws)
}

const NOW: &str = "2036-11-21T02:05:00Z";

fn changed(name: &str, field: &str, value: &str) -> Vec<u8> {
    let mut message: Value = serde_json::from_slice(&fixture(name)).unwrap();
    message[field] = value.into();
    message.to_string().into_bytes()
}

#[tokio::test]
async fn both_versions_of_the_signature_hold_and_the_certificate_is_fetched_once() {
    let (sns, aws) = sns("certificate.pem", NOW);
    for name in ["notification-v1.json", "notification-v2.json", "notification-v2.json"] {
        let Verified::Notification { message, .. } = sns.take(&fixture(name)).await.unwrap() else {
            panic!("{name}")
        };
        assert_eq!(crate::alarm::parse(&message).unwrap().name, "tim-cpu-alarm-test");
    }
    assert_eq!(aws.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_subscription_is_confirmed_for_a_topic_that_is_configured_only() {
    let (ours, aws) = sns("certificate.pem", NOW);
    assert!(matches!(ours.take(&fixture("subscription.json")).await, Ok(Verified::Confirmed { .. })));
    assert_eq!(aws.asked.load(Ordering::Relaxed), 2, "the certificate, and the confirmation");
    let foreign = changed("subscription.json", "TopicArn", "arn:aws:sns:us-east-1:123456789012:other");
    assert_eq!(ours.take(&foreign).await, Err(SnsError::Topic));
    let elsewhere =
        changed("subscription.json", "SubscribeURL", "https://example.com/?Action=ConfirmSubscription");
    assert!(matches!(ours.take(&elsewhere).await, Err(SnsError::Signature(_))));
    assert_eq!(aws.asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn whatever_is_changed_in_a_message_breaks_it() {
    let (ours, _) = sns("certificate.pem", NOW);
    for (field, value) in [
        ("Message", "{}"),
        ("MessageId", "another"),
        ("Subject", "added"),
        ("Timestamp", "2036-11-21T02:04:06.000Z"),
        ("Signature", "AAAA"),
        ("Signature", "not base64!"),
        ("SignatureVersion", "1"),
        ("SignatureVersion", "3"),
        ("Type", "UnsubscribeConfirmation"),
        ("SigningCertURL", "https://sns.us-east-1.amazonaws.com.example.com/x.pem"),
        ("SigningCertURL", "http://sns.us-east-1.amazonaws.com/x.pem"),
        ("SigningCertURL", "https://sns.us-east-1.amazonaws.com/x.pem?redirect=1"),
    ] {
        let taken = ours.take(&changed("notification-v2.json", field, value)).await;
        assert!(matches!(taken, Err(SnsError::Signature(_))), "{field} {value}: {taken:?}");
    }
    let (another, _) = sns("other.pem", NOW);
    assert!(matches!(another.take(&fixture("notification-v2.json")).await, Err(SnsError::Signature(_))));
}

#[tokio::test]
async fn a_message_that_was_kept_is_refused() {
    for now in ["2036-11-21T03:05:00Z", "2036-11-21T01:55:00Z", "2037-11-21T02:05:00Z"] {
        let (sns, _) = sns("certificate.pem", now);
        assert_eq!(sns.take(&fixture("notification-v2.json")).await, Err(SnsError::Time), "{now}");
    }
    let (sns, _) = sns("certificate.pem", NOW);
    assert!(matches!(sns.take(b"[]").await, Err(SnsError::Malformed(_))));
}
