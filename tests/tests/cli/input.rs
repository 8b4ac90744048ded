//! What it is given is wrong: the message names the file, what is wrong with it, and the code is 2.

use crate::bench::{Bench, sound};

/// Arguments, words the message has to contain.
type Case = (&'static str, Vec<String>, Vec<&'static str>);

fn strings<const N: usize>(all: [&str; N]) -> Vec<String> {
    all.map(str::to_owned).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_input_is_named_and_ends_with_two() {
    let bench = Bench::new().await;
    let alarm = bench.path("alarm.json");
    let empty = bench.write("empty.json", "");
    let cut = bench.write("cut.json", r#"{"source":"aws.cloudwatch","detail-type":"CloudWatch Alarm St"#);
    let foreign = bench.write(
        "foreign.json",
        r#"{"receiver":"team","status":"firing","alerts":[{"labels":{"alertname":"HighErrors"}}]}"#,
    );
    let other = bench.write(
        "other.json",
        r#"{"version":"0","detail-type":"EC2 Instance State-change Notification","source":"aws.ec2","detail":{"state":"stopped"}}"#,
    );
    let huge = bench.write("huge.json", &format!("{{\"a\":\"{}\"}}", "x".repeat(3 << 20)));
    let deep = bench.write("deep.json", &"[".repeat(200_000));
    let binary = bench.path("binary.json");
    std::fs::write(&binary, [0xff, 0xfe, 0x00, 0x9f]).unwrap();
    let bad_catalog =
        bench.write("bad.toml", "[[service]]\nname = \"a\"\ntier = 9\nenvironment = \"production\"\n");
    let unknown_field = bench
        .write("field.toml", "[[service]]\nname = \"a\"\ntier = 1\nenvironment = \"production\"\nteir = 2\n");
    let cases: Vec<Case> = vec![
        (
            "no such alarm",
            strings(["triage", "/no/such/alarm.json"]),
            vec!["/no/such/alarm.json", "cannot read"],
        ),
        ("an empty alarm", strings(["triage", &empty]), vec!["empty.json"]),
        ("a cut alarm", strings(["triage", &cut]), vec!["cut.json"]),
        ("an alarm without its state", strings(["triage", &foreign]), vec!["foreign.json", "`status`"]),
        ("another event", strings(["triage", &other]), vec!["other.json", "eventbridge"]),
        ("an alarm beyond all size", strings(["triage", &huge]), vec!["huge.json"]),
        ("an endless nesting", strings(["triage", &deep]), vec!["deep.json"]),
        ("bytes that are no text", strings(["triage", &binary]), vec!["binary.json"]),
        ("a directory", strings(["triage", "/"]), vec!["cannot read"]),
        ("nothing on stdin", strings(["triage", "-"]), vec!["stdin"]),
        (
            "no such catalog",
            strings(["triage", &alarm, "--catalog", "/no/catalog.toml"]),
            vec!["/no/catalog.toml", "cannot read"],
        ),
        (
            "a wrong catalog",
            strings(["triage", &alarm, "--catalog", &bad_catalog]),
            vec!["bad.toml", "tier is 9"],
        ),
        (
            "an unknown field",
            strings(["triage", &alarm, "--catalog", &unknown_field]),
            vec!["field.toml", "teir"],
        ),
        ("no such runbooks", strings(["triage", &alarm, "--runbooks", "/no/runbooks"]), vec!["/no/runbooks"]),
        ("no such incident", strings(["incidents", "show", "inc-none"]), vec!["incidents.db", "--store"]),
        (
            "no such scenario",
            strings(["demo", "--no-input", "--scenario", "/no/scenario"]),
            vec!["/no/scenario"],
        ),
        (
            "nothing to evaluate",
            strings(["eval", &bench.dir.path().display().to_string()]),
            vec!["scenario.toml"],
        ),
        ("an unknown command", strings(["fix-it"]), vec!["fix-it"]),
        ("both answers", strings(["demo", "--approve", "--decline"]), vec!["--decline"]),
    ];
    for (what, arguments, words) in cases {
        let ended = bench.midwatch(&arguments).await;
        assert_eq!(ended.code, 2, "{what}: {ended:#?}");
        assert_eq!(ended.out, "", "{what}: nothing that could be taken for a result");
        for word in words {
            assert!(ended.said().contains(word), "{what}: `{word}` is not in {}", ended.err);
        }
        assert!(ended.err.lines().count() < 25, "{what}: short enough to read\n{}", ended.err);
        assert!(!ended.err.contains("panicked"), "{what}: {}", ended.err);
    }
    bench.untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_of_no_known_service_is_still_reported() {
    let bench = Bench::new().await;
    let text = bench.world.alarm_event().to_string().replace("checkout-api", "warehouse-sync");
    let alarm = bench.write("unknown.json", &text);
    for catalog in [true, false] {
        let mut arguments = bench.triage();
        arguments[1].clone_from(&alarm);
        if !catalog {
            arguments.drain(2..4);
        }
        let ended = bench.midwatch(&arguments).await;
        let run = ended.run();
        sound(&run);
        assert_eq!(ended.code, 1, "somebody has to look: {ended:#?}");
        assert_eq!(run["escalated"], true);
        assert!(run["verdict"] != "transient", "what nobody could look at is not over: {run:#}");
    }
    bench.untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_triage_reports_and_changes_nothing() {
    let bench = Bench::new().await;
    let ended = bench.midwatch(&bench.triage()).await;
    let run = ended.run();
    sound(&run);
    assert_eq!(run["verdict"], "real", "{run:#}");
    assert_eq!(run["cause"]["kind"], "deployment", "{run:#}");
    assert_eq!(ended.code, 1, "a real incident needs a person: triage does not act");
    bench.untouched();
}
