//! `midwatch policy explain`: rules and runbooks, for one call.

use serde_json::{Value, json};

use crate::bench::{Bench, Ended};

const POOL: &str = "+++\nid = 'pool'\ntitle = 'Pool'\nservices = ['checkout-api']\naction = 'restart_service'\napprovers = 'owner'\npreconditions = ['the pool is the cause']\nrequires = ['no_action_in_last_hour']\n[bounds]\nmax_tasks_affected = 4\nmax_risk = 'medium'\n+++\n# Pool\n";
const NEVER: &str = "+++\nid = 'never'\ntitle = 'Never'\nservices = ['cart-service']\nnever_actions = ['restart_service']\n+++\n# Never\n";

async fn explain(bench: &Bench, line: &str) -> Ended {
    let runbooks = bench.path("contracts");
    std::fs::create_dir_all(&runbooks).unwrap();
    bench.write("contracts/pool.md", POOL);
    bench.write("contracts/never.md", NEVER);
    let catalog = bench.path("catalog.toml");
    let words = ["policy", "explain", "--runbooks", &runbooks, "--catalog", &catalog].into_iter();
    let words: Vec<String> = words.chain(line.split_whitespace()).map(str::to_owned).collect();
    bench.midwatch(&words).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_runbooks_say_is_said_with_the_rules() {
    let bench = Bench::new().await;
    let fine = explain(&bench, "restart_service service=checkout-api").await;
    assert_eq!(fine.code, 0, "{fine:#?}");
    for part in [
        "asks 1 oncall within 10 min",
        "`pool` (pool.md): nothing against it; it holds, followed or not, and also asks 1 owner",
        "max tasks affected: 4",
        "nothing was done", // the precondition for code, in words
        "the pool is the cause",
        "the risk, which the plan says",
    ] {
        assert!(fine.out.contains(part), "{part}: {}", fine.out);
    }
    let wide = "restart_service service=checkout-api --tasks-running 9 --actions-last-hour 1";
    let wide = explain(&bench, wide).await;
    for part in ["objects whether it is followed or not", "9 tasks affected, at most 4", "against"] {
        assert!(wide.out.contains(part), "{part}: {}", wide.out);
    }
    let never = explain(&bench, "restart_service service=cart-service").await;
    assert!(never.out.contains("forbidden by the runbook `never`"), "{}", never.out);
    // Another action is none of theirs.
    let other = explain(&bench, "rollback_deployment service=checkout-api deployment_id=d-1").await;
    assert!(other.code == 0 && !other.out.contains("runbook"), "{}", other.out);

    let found = explain(&bench, "restart_service service=cart-service --format json").await.run();
    assert_eq!(found["runbooks"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&found["runbooks"][0]["id"], &found["runbooks"][0]["never"]),
        (&json!("never"), &json!(true))
    );
    let found: Value = explain(&bench, "restart_service service=checkout-api --format json").await.run();
    assert_eq!(found["runbooks"][0]["requires"].as_array().unwrap().len(), 1);
    bench.untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_said_with_its_remedy() {
    let bench = Bench::new().await;
    for (line, says) in [
        (
            "scale_service service=checkout-api desired_count=many",
            "`many` is none: write it like desired_count=4",
        ),
        ("scale_service service=checkout-api desired_count=4.5", "`4.5` is none"),
        ("scale_service service=checkout-api desired_count=-1", "`-1` is none"),
        ("scale_service service=checkout-api", "missing field `desired_count`"),
        ("restart_service service=checkout-api desired_count=4", "unknown field `desired_count`"),
    ] {
        let ended = explain(&bench, line).await;
        assert!(ended.code == 2 && ended.err.contains(says), "{line}: {ended:#?}");
    }
    let words = ["policy", "explain", "restart_service", "service=checkout-api", "--runbooks", "/nowhere"];
    let catalog = bench.path("catalog.toml");
    let words: Vec<String> = words.into_iter().chain(["--catalog", &catalog]).map(str::to_owned).collect();
    let ended = bench.midwatch(&words).await;
    assert!(ended.code == 2 && ended.err.contains("/nowhere"), "{ended:#?}");
}

/// A supervisor that keeps quiet about how certain it is, and another client that cannot know.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_caller_says_of_itself_is_looked_at() {
    let bench = Bench::new().await;
    let restart = "restart_service service=checkout-api";
    for (more, says) in [
        ("", "asks 1 oncall"),
        ("--no-claims", "forbidden by `claims-missing`"),
        ("--confidence 20", "forbidden by `low-confidence`"),
        ("--caller agent_client", "asks 1 oncall"),
    ] {
        let ended = explain(&bench, &format!("{restart} {more}")).await;
        assert!(ended.out.contains(says), "{more}: {ended:#?}");
    }
}
