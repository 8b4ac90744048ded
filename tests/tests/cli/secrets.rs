//! However much is logged, nothing in it lets anybody sign as this process.

use crate::bench::{Bench, Ended};

/// The secret key that the bench signs with.
fn nothing_signed(what: &str, ended: &Ended) {
    let said = ended.said();
    let secret = "x".repeat(40);
    for word in
        ["aws4-hmac-sha256", "authorization:", "\"authorization\"", "signature=", "credential=akia", &secret]
    {
        let at = said.find(word).map(|at| said.get(at.saturating_sub(200)..at + 200).unwrap_or_default());
        assert_eq!(at, None, "{what}: `{word}` was logged");
    }
    for word in ["sigv4", "string_to_sign", "canonical request", "v4.public."] {
        assert!(!said.contains(word), "{what}: `{word}` was logged");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_of_everything_holds_no_secret() {
    let bench = Bench::new().await;
    let demo = ["demo", "--no-input", "--log", "trace"].map(str::to_owned);
    let ended = bench.midwatch(&demo).await;
    assert_eq!(ended.code, 1, "nobody answered: {}", ended.out);
    assert!(ended.err.contains("TRACE") || ended.err.contains("DEBUG"), "it traces: {}", ended.err.len());
    nothing_signed("demo", &ended);

    let mut triage = bench.triage();
    triage.extend(["--log", "trace"].map(str::to_owned));
    let token = "FwoGZXIvYXdzEXAMPLETOKEN";
    let ended = bench.midwatch_with(&triage, &[("AWS_SESSION_TOKEN", token)]).await;
    assert!(ended.err.contains("TRACE") || ended.err.contains("DEBUG"), "it traces: {}", ended.err.len());
    nothing_signed("triage", &ended);
    assert!(!ended.said().contains(&token.to_lowercase()), "the session token was logged");
}
