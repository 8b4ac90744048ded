//! The scenario format as its page describes it, and its errors.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::path::Path;

use midwatch_sim::{ExpectedAction, Scenario, World};

const RUNBOOK: &str = "+++\nid = \"r\"\ntitle = \"R\"\nsignatures = [\"NullPointer\"]\naction = \"rollback_deployment\"\n+++\n# R\n";

fn load(text: &str) -> Result<Scenario, String> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("runbooks")).unwrap();
    std::fs::write(dir.path().join("runbooks/r.md"), RUNBOOK).unwrap();
    std::fs::write(dir.path().join("scenario.toml"), text).unwrap();
    Scenario::load(dir.path())
        .map_err(|error| error.to_string().replace(&dir.path().display().to_string(), "DIR"))
}

/// The TOML blocks of the page that are whole scenarios.
fn examples() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/README.md");
    let text = std::fs::read_to_string(page).unwrap();
    text.split("```toml\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap().to_owned())
        .filter(|block| block.contains("[[service]]"))
        .collect()
}

#[test]
fn the_examples_of_the_page_are_scenarios() {
    let examples = examples();
    assert_eq!(examples.len(), 3);
    for text in examples {
        let scenario = load(&text).unwrap();
        assert_eq!(scenario.warnings(), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn every_key_of_the_format_stands_on_the_page() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/README.md");
    let page = std::fs::read_to_string(page).unwrap();
    for section in [
        "",
        "[[service]]",
        "[[deployment]]",
        "[[state_machine]]",
        "[[state_machine]]\n[[state_machine.state]]",
        "[[state_machine]]\n[[state_machine.change]]",
        "[[fault]]",
        "[[fault]]\n[fault.state]",
        "[[alarm]]",
        "[[inject]]",
        "[[series]]",
        "[[metric_filter]]",
        "[[task_stop]]",
        "[[log]]",
        "[approver]",
        "[expected]",
    ] {
        let text = format!("time = 2026-01-01T00:00:00Z\n{section}\nno_such_key = 1\n");
        let error = load(&text).unwrap_err();
        let known = error.split("keys are ").nth(1).unwrap_or_else(|| panic!("{section}: {error}"));
        let known = known.lines().next().unwrap();
        for key in known.split('`').skip(1).step_by(2) {
            assert!(
                page.contains(&format!("`{key}`")) || page.contains(&format!("{key}]")),
                "{section}: {key}"
            );
        }
    }
}

#[test]
fn problems_come_together_with_line_and_remedy() {
    let text = r#"
time = 2026-11-21T02:04:00Z

[[service]]
name = "a"

[[deployment]]
service = "b"
at = "-5m"

[[fault]]
service = "a"
deployment = "d-nowhere"
at = "five minutes ago"
error_share = 18
[[fault.line]]
text = "{integer:1-5}"

[expected]
outcome = "done"
"#;
    insta::assert_snapshot!(load(text).unwrap_err());
}

#[test]
fn keys_and_types_are_reported_together_in_words_to_act_on() {
    let text = r#"
time = 2026-11-21T02:04:00Z
[[service]]
name = "a"
colour = "red"
noise = "laud"
[[deployment]]
service = "a"
at = 2026-11-21T02:00:00Z
mesage = "Release"
[fault]
service = "a"
[[alarm]]
threshold = "5"
[expected]
cause = "deployment"
must_cite = "x"
must_not_do = ["rollback"]
seed = 4
"#;
    insta::assert_snapshot!(load(text).unwrap_err());
}

#[test]
fn a_key_below_the_lines_of_a_fault_is_sent_above_them() {
    let text = "time = 2026-11-21T02:04:00Z\n[[service]]\nname = \"a\"\n[[fault]]\nservice = \"a\"\n\
        [[fault.line]]\ntext = \"x\"\nerror_share = 0.2\n";
    let error = load(text).unwrap_err();
    assert!(error.contains(":8: ") && error.contains("is a key of [[fault]]"), "{error}");
}

#[test]
fn what_is_no_toml_says_what_was_meant() {
    let head = "time = 2026-11-21T02:04:00Z\n[[service]]\nname = \"a\"\n";
    let error = load(&format!("{head}[[fault]]\nservice = \"a\"\nat = -3m\n")).unwrap_err();
    assert!(error.contains(":6: `-3m` is not in quotation marks"), "{error}");
    let error = load("[[service]]\nname = \"a\"\n").unwrap_err();
    assert!(error.contains("key `time` is missing"), "{error}");
}

#[test]
fn of_two_deployments_one_has_to_be_named() {
    let text = "time = 2026-11-21T02:04:00Z\n[[service]]\nname = \"a\"\n[[deployment]]\nservice = \"a\"\nid = \"r-1\"\n\
        at = \"-2h\"\n[[deployment]]\nservice = \"a\"\nid = \"r-2\"\nat = \"-1h\"\n[[fault]]\nservice = \"a\"\ndeployment = \"a\"\n";
    let error = load(text).unwrap_err();
    assert!(
        error.contains(":14: service `a` has several deployments; say which by its `id`: `r-1`, `r-2`"),
        "{error}"
    );
    let error = load("time = 2026-11-21T02:04:00Z\n[[service]]\nname = \"a b\"\n").unwrap_err();
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn what_is_wrong_with_a_workflow_is_said_where_it_stands() {
    let text = r#"
time = 2026-11-21T02:04:00Z
[[service]]
name = "a"
[[service]]
name = "b"
[[state_machine]]
name = "orders"
service = "a"
[[state_machine.state]]
name = "Charge"
calls = "lambda"
[[state_machine.change]]
at = "-3m"
state = "Charge card"
retries = 1
[[state_machine]]
name = "more orders"
service = "a"
[[fault]]
service = "a"
state = { name = "Ship", share = 40 }
[[fault]]
service = "b"
state = { name = "Charge" }
[[alarm]]
service = "b"
metric = "executions_failed"
"#;
    insta::assert_snapshot!(load(text).unwrap_err());
}

#[test]
fn a_runbook_names_the_line_that_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("runbooks")).unwrap();
    let runbook = "+++\nid = \"r\"\ntitle = \"R\"\nacton = \"restart_service\"\n+++\n";
    std::fs::write(dir.path().join("runbooks/r.md"), runbook).unwrap();
    let text = "time = 2026-11-21T02:04:00Z\n[[service]]\nname = \"a\"\n";
    std::fs::write(dir.path().join("scenario.toml"), text).unwrap();
    let error = Scenario::load(dir.path()).unwrap_err().to_string();
    assert!(error.contains("r.md:4: unknown field `acton`"), "{error}");
}

#[test]
fn the_target_of_a_restart_is_the_service_and_of_a_rollback_the_deployment() {
    let world = "time = 2026-11-21T02:04:00Z\n[[service]]\nname = \"a\"\n[[deployment]]\nservice = \"a\"\n\
        id = \"r-1\"\nat = \"-2h\"\n[[fault]]\nservice = \"a\"\n";
    let target = |expected: &str| {
        let scenario = load(&format!("{world}[expected]\n{expected}")).unwrap();
        match &scenario.expected().action {
            Some(ExpectedAction::Tool { target, .. }) => target.clone().unwrap(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(target("action = \"restart_service\"\ntarget = \"a\"\n"), "a");
    assert_eq!(target("action = \"scale_service\"\ntarget = \"a\"\n"), "a");
    let arn = target("action = \"rollback_deployment\"\ntarget = \"r-1\"\n");
    assert!(arn.ends_with(":service-deployment/production/a/r-1"), "{arn}");
    assert_eq!(target("action = \"rollback_deployment\"\ntarget = \"a\"\n"), arn);
}

#[test]
fn what_would_never_hold_is_warned_of() {
    let text = "time = 2026-11-21T02:04:00Z\n[[service]]\nname = \"a\"\n[[fault]]\nservice = \"a\"\nat = \"-40m\"\n\
        tasks_down = 9\nerror_share = 0.3\n[[fault.line]]\ntext = \"it \\\"broke\\\"\"\n[approver]\nanswer = \"decline\"\n\
        [expected]\ncause = { kind = \"dependency\", ref = \"nowhere\" }\naction = \"restart_service\"\n\
        target = \"b\"\noutcome = \"done\"\nmust_cite = [\"never said\", \"it \\\"broke\\\"\"]\n";
    let warnings = load(text).unwrap().warnings().join("\n");
    for wanted in [
        "would have fired at 2026-11-21T01:2",
        "takes 9 tasks of `a` down, which has 3",
        "`nowhere` is named nowhere",
        "target `b` is no service",
        "wants `never said`",
        "Done is expected, but the approver's answer is Decline",
    ] {
        assert!(warnings.contains(wanted), "{wanted}:\n{warnings}");
    }
    assert!(!warnings.contains("broke"), "{warnings}");
}

#[test]
fn what_is_wrong_with_a_rule_or_a_metric_filter_is_said_where_it_stands() {
    let world = "time = 2026-11-21T02:04:00Z\n[[service]]\nname = \"a\"\n";
    let alarm = |more: &str| format!("[[alarm]]\nservice = \"a\"\nname = \"x\"\n{more}\n");
    for (part, what) in [
        (alarm("rule = 'ALARM(b'"), ":7: this is no rule: `)` is missing at its end"),
        (alarm("rule = 'ALARM(b)'\nthreshold = 5"), ":7: `threshold` says nothing of an alarm with a `rule`"),
        (alarm("rule = 'NOT OK(\"x\")'"), ":7: this alarm is computed from itself"),
        (
            format!("{}[[alarm]]\nname = \"y\"\nrule = 'OK(x)'\n", alarm("rule = 'OK(y)'")),
            ":10: this alarm is computed from itself",
        ),
        (alarm("filter = \"f\""), ":7: there is no metric filter `f`"),
        (
            alarm(
                "filter = \"F\"\n[[metric_filter]]\nmetric = \"F\"\nservice = \"a\"\ndimensions = { L = \"$.l\" }",
            ),
            ":7: metric filter `F` makes a metric for each value",
        ),
        ("[[metric_filter]]\nmetric = \"F\"\n".to_owned(), ":4: this metric filter has no log group"),
        ("[[metric_filter]]\nmetric = \"F\"\ngroup = \"/g\"\npattern = '{ $.a }'\n".to_owned(), ":7: "),
        (
            "[[metric_filter]]\nmetric = \"F\"\ngroup = \"/g\"\nvalue = \"one\"\n".to_owned(),
            ":7: `one` is no value of a metric",
        ),
        (
            "[[metric_filter]]\nmetric = \"F\"\ngroup = \"/g\"\ndefault = 0\ndimensions = { L = \"$.l\" }\n"
                .to_owned(),
            "`default` does not go with `dimensions`",
        ),
        (
            "[[metric_filter]]\nmetric = \"F\"\ngroup = \"/g\"\ndimensions = { L = \"l\" }\n".to_owned(),
            "dimension `L` is `l`, which is no field",
        ),
    ] {
        let error = load(&format!("{world}{part}")).unwrap_err();
        assert!(error.contains(what), "{what}: {error}");
        assert!(error.contains("; "), "no remedy: {error}");
    }
    let gone = format!("{world}{}", alarm("rule = 'ALARM(\"gone\")'"));
    let warnings = load(&gone).unwrap().warnings().join("\n");
    assert!(warnings.contains("names `gone`, which does not exist"), "{warnings}");
    assert!(warnings.contains("the rule of alarm `x` does not hold at `time`"), "{warnings}");
}

#[test]
fn impossible_times_are_refused() {
    let world = "time = 2026-11-21T02:04:00Z\n[[service]]\nname = \"a\"\n";
    for (part, what) in [
        ("[[fault]]\nservice = \"a\"\nat = \"-3m\"\nuntil = \"-4m\"\n", "ends before it begins"),
        ("[[deployment]]\nservice = \"a\"\nat = \"+3m\"\n", "in the future"),
        ("[[deployment]]\nservice = \"a\"\nat = \"-10s\"\n", "still running"),
        ("[[deployment]]\nservice = \"a\"\nat = \"-2h\"\nstatus = \"in_progress\"\n", "in progress has to"),
        ("[[alarm]]\nhistory = [{ at = \"+1m\", state = \"OK\" }]\n", "after the alarm"),
        ("[[alarm]]\nperiod = \"30s\"\n", "whole number of minutes"),
        (
            "[[deployment]]\nservice = \"a\"\nid = \"d-1\"\nat = \"-3m\"\n[[fault]]\nservice = \"a\"\n\
             deployment = \"d-1\"\nat = \"-9m\"\n",
            "begins before the deployment",
        ),
        ("[[fault]]\nservice = \"a\"\ncured_by = \"rollback\"\n", "names no deployment"),
    ] {
        let error = load(&format!("{world}{part}")).unwrap_err();
        assert!(error.contains(what), "{error}");
        assert!(error.contains("; "), "no remedy: {error}");
    }
}

#[tokio::test]
async fn a_variant_brings_its_own_runbooks_and_takes_them_away() {
    let scenario = load(&examples()[0]).unwrap();
    let variant = scenario.variant(1).unwrap();
    let world = World::start(variant).await.unwrap();
    let dir = world.runbooks().to_owned();
    assert!(std::fs::read_to_string(dir.join("r.md")).unwrap().contains("rollback_deployment"));
    drop(world);
    assert!(!dir.exists());
}

#[test]
fn every_scenario_has_variants_that_say_nothing_of_its_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let mut seen = 0;
    for entry in std::fs::read_dir(root).unwrap() {
        let dir = entry.unwrap().path();
        if !dir.join("scenario.toml").is_file() {
            continue;
        }
        seen += 1;
        let scenario = Scenario::load(&dir).unwrap();
        for seed in 0..8 {
            let variant = scenario.variant(seed).unwrap_or_else(|e| panic!("{} {seed}: {e}", scenario.id()));
            for service in scenario.catalog().services() {
                assert!(variant.catalog().get(&service.name).is_none(), "{}: {}", variant.id(), service.name);
            }
            let causes = &variant.expected().causes;
            assert!(variant.id().ends_with("-swapped") || causes.len() == scenario.expected().causes.len());
        }
    }
    assert!(seen >= 12, "{seen} scenarios");
}
