//! AWS is not as it should be: the report says what could be had and what could not, somebody is
//! told to look, and nothing hangs.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bench::{Bench, Ended, sound};

/// A report came, it is sound, nothing is called over, and somebody is told to look.
fn reported(ended: &Ended) -> Value {
    let run = ended.run();
    sound(&run);
    assert_eq!(run["escalated"], true, "{run:#}");
    assert_ne!(run["verdict"], "transient", "silence is not health: {run:#}");
    assert_eq!(ended.code, 1, "{ended:#?}");
    run
}

fn unchecked(run: &Value) -> String {
    run["not_checked"].to_string().to_lowercase()
}

#[tokio::test(flavor = "multi_thread")]
async fn unreachable_aws() {
    let bench = Bench::new().await;
    #[expect(clippy::disallowed_methods, reason = "how long a person waits is real time")]
    let begun = Instant::now();
    let ended = bench.midwatch_with(&bench.triage(), &[("AWS_ENDPOINT_URL", "http://127.0.0.1:9")]).await;
    let run = reported(&ended);
    assert_eq!(run["verdict"], "unclear", "{run:#}");
    assert!(begun.elapsed() < Duration::from_secs(90), "{:?}", begun.elapsed());
    assert!(!unchecked(&run).is_empty() && run["not_checked"] != serde_json::json!([]), "{run:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_credentials() {
    let bench = Bench::new().await;
    bench.world.fail("*", "ExpiredTokenException", 400, None);
    let run = reported(&bench.midwatch(&bench.triage()).await);
    assert_eq!(run["verdict"], "unclear", "{run:#}");
    assert!(unchecked(&run).contains("expired"), "says that they are expired: {run:#}");
    bench.untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_credentials() {
    let bench = Bench::new().await;
    let none = [("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")];
    let ended = bench.midwatch_with(&bench.triage(), &none).await;
    let run = reported(&ended);
    assert!(ended.said().contains("credential"), "says what is missing: {run:#}");
    bench.untouched();
}

/// Without one API the others still speak; what is missing is named, and what it would have shown
/// is not made up.
#[tokio::test(flavor = "multi_thread")]
async fn one_api_denied() {
    for (api, what, without) in [
        ("codedeploy:*", "deployment", Some("deployment")),
        ("logs:*", "log", None),
        ("cloudwatch:*", "alarm", None),
    ] {
        let bench = Bench::new().await;
        bench.world.fail(api, "AccessDeniedException", 403, None);
        let ended = bench.midwatch(&bench.triage()).await;
        let run = reported(&ended);
        assert!(unchecked(&run).contains(what), "{api}: `{what}` is not in {}\n{run:#}", run["not_checked"]);
        if let Some(kind) = without {
            assert_ne!(run["cause"]["kind"], kind, "{api}: a cause that nobody could see: {run:#}");
        }
        bench.untouched();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_api_is_waited_for_or_named() {
    let bench = Bench::new().await;
    bench.world.fail("logs:*", "ThrottlingException", 400, Some(3));
    let run = bench.midwatch(&bench.triage()).await.run();
    sound(&run);
    assert_eq!(run["verdict"], "real", "{run:#}");
    bench.untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn bedrock_refuses_and_the_playbook_takes_over() {
    for (code, status) in
        [("AccessDeniedException", 403), ("ThrottlingException", 429), ("InternalServerException", 500)]
    {
        let bench = Bench::new().await;
        bench.world.fail("bedrock*:*", code, status, None);
        let mut arguments = bench.triage();
        arguments.extend(["--model".to_owned(), "bedrock".to_owned()]);
        let run = reported(&bench.midwatch(&arguments).await);
        assert_eq!(run["cause"]["kind"], "deployment", "{code}: {run:#}");
        bench.untouched();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_cannot_be_kept() {
    let bench = Bench::new().await;
    let mut arguments = bench.triage();
    arguments.extend(["--store".to_owned(), "/proc/no/such/store.db".to_owned()]);
    let run = reported(&bench.midwatch(&arguments).await);
    assert_eq!(run["verdict"], "real", "an alarm is more important than its journal: {run:#}");
}
