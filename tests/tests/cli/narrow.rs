//! A narrow terminal, another region, an alarm that came in as no alarm, a guardrail that steps in.

use midwatch_sim::{Mind, Prank};
use serde_json::Value;

use crate::bench::{Bench, scenario, sound};

#[tokio::test(flavor = "multi_thread")]
async fn everything_fits_a_narrow_terminal() {
    let bench = Bench::new().await;
    for columns in [40, 60] {
        let demo = ["demo", "--approve"].map(str::to_owned);
        let ended = bench.midwatch_with(&demo, &[("COLUMNS", &columns.to_string())]).await;
        assert_eq!(ended.code, 0, "{ended:#?}");
        let wide: Vec<&str> = ended.out.lines().filter(|l| l.chars().count() > columns).collect();
        assert_eq!(wide, Vec::<&str>::new(), "wider than {columns}");
    }
}

/// Nothing of this incident is in the region that is looked at.
#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_region_is_named_with_the_remedy() {
    let bench = Bench::new().await;
    let elsewhere = Bench::of(scenario("transient-blip")).await;
    let event = bench.world.alarm_event();
    let home = event["region"].as_str().unwrap().to_owned();
    let mut arguments = bench.triage();
    // The catalog of the other region's services would name their region itself.
    arguments.drain(2..4);
    let environment = [
        ("AWS_ENDPOINT_URL", elsewhere.world.endpoint().to_owned()),
        ("AWS_REGION", "eu-central-1".to_owned()),
    ];
    let environment: Vec<(&str, &str)> = environment.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let ended = bench.midwatch_with(&arguments, &environment).await;
    let run = ended.run();
    sound(&run);
    assert_eq!((ended.code, &run["escalated"]), (1, &Value::Bool(true)), "{run:#}");
    let gaps = run["not_checked"].to_string();
    assert!(gaps.contains("in eu-central-1"), "where was looked: {gaps}");
    assert!(
        gaps.contains(&format!("came from {home}")) && gaps.contains(&format!("AWS_REGION={home}")),
        "{gaps}"
    );
    assert!(run["probable_cause"].as_str().unwrap().starts_with("Nothing could be read"), "{run:#}");
    assert!(run["escalation"]["why"].as_str().unwrap().starts_with("nothing could be read"), "{run:#}");
}

/// The alarm event of a world with another state.
fn arrived_as(bench: &Bench, state: &str) -> String {
    let mut event = bench.world.alarm_event();
    event["detail"]["state"]["value"] = state.into();
    bench.write("arrived.json", &event.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_on_is_investigated_however_its_alarm_came_in() {
    for name in ["dead-and-quiet", "pool-exhaustion-after-deploy"] {
        let bench = Bench::of(scenario(name)).await;
        let mut arguments = bench.triage();
        arguments[1] = arrived_as(&bench, "INSUFFICIENT_DATA");
        let run = bench.midwatch(&arguments).await.run();
        sound(&run);
        assert_eq!(
            (&run["escalated"], &run["verdict"]),
            (&Value::Bool(true), &"real".into()),
            "{name}: {run:#}"
        );
        assert!(run["usage"]["model_calls"].as_u64().unwrap() > 0, "{name}: {run:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guardrail_that_steps_in_is_in_the_report_and_in_the_journal() {
    let bench = Bench::new().await;
    bench.world.set_mind(Mind::Hostile(vec![Prank::GuardrailIntervened]));
    let store = bench.path("store.db");
    let mut arguments = bench.triage();
    arguments.extend(["--model", "bedrock", "--store", &store].map(str::to_owned));
    let run = bench.midwatch_with(&arguments, &[("MIDWATCH_GUARDRAIL", "gr-night")]).await.run();
    sound(&run);
    let gaps = run["not_checked"].to_string();
    for who in ["router", "log analyst", "deploy correlator"] {
        let said = format!(
            "{who}: the guardrail or content filter stepped in (input, content: PROMPT_ATTACK BLOCKED)"
        );
        assert!(gaps.contains(&said), "{who}: {gaps}");
    }
    assert_eq!(run["cause"]["kind"], "deployment", "rules conclude: {run:#}");
    let id = run["incident"].as_str().unwrap();
    let show = ["incidents", "show", id, "--store", &store, "--format", "json"].map(str::to_owned);
    let kept = bench.midwatch(&show).await.out;
    assert!(kept.contains("\"guarded\"") && kept.contains("PROMPT_ATTACK"), "{kept}");
    bench.untouched();
}
