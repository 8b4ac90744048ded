//! The scenario format as its page describes it, and its errors.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::path::Path;

use midwatch_sim::{Scenario, World};

const RUNBOOK: &str = "+++\nid = \"r\"\ntitle = \"R\"\naction = \"rollback_deployment\"\n+++\n# R\n";

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
    assert_eq!(examples.len(), 2);
    for text in examples {
        let scenario = load(&text).unwrap();
        let warnings: Vec<String> =
            scenario.warnings().into_iter().filter(|w| !w.starts_with("no runbook allows")).collect();
        assert_eq!(warnings, Vec::<String>::new(), "{text}");
    }
}

#[test]
fn every_key_of_the_format_stands_on_the_page() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/README.md");
    let page = std::fs::read_to_string(page).unwrap();
    // What serde would accept, read from its own error about an unknown key.
    for section in [
        "",
        "[[service]]",
        "[[deployment]]",
        "[[fault]]",
        "[[alarm]]",
        "[[inject]]",
        "[[series]]",
        "[[task_stop]]",
        "[[log]]",
        "[approver]",
        "[expected]",
    ] {
        let text = format!("time = 2026-01-01T00:00:00Z\n{section}\nno_such_key = 1\n");
        let text = if section.is_empty() { "no_such_key = 1".to_owned() } else { text };
        let error = load(&text).unwrap_err();
        let known = error.split("expected one of ").nth(1).unwrap_or_else(|| panic!("{section}: {error}"));
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
fn what_toml_finds_names_its_line_and_what_would_be_right() {
    let unknown = "time = 2026-11-21T02:04:00Z\n[[service]]\nname = \"a\"\ncolour = \"red\"\n";
    let error = load(unknown).unwrap_err();
    assert!(error.starts_with("DIR/scenario.toml:4: unknown field `colour`, expected one of"), "{error}");
    let error =
        load("time = 2026-11-21T02:04:00Z\n[[service]]\nname = \"a\"\nnoise = \"loud\"\n").unwrap_err();
    assert!(error.contains(":4: ") && error.contains("`none`"), "{error}");
    let error = load("[[service]]\nname = \"a\"\n").unwrap_err();
    assert!(error.contains("missing field `time`"), "{error}");
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
