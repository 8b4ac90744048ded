//! The binary as its user sees it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn store(&self) -> std::path::PathBuf {
        self.directory.path().join("incidents.db")
    }

    fn midwatch(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_midwatch"));
        command
            .args(arguments)
            .env_clear()
            .env("TMPDIR", self.directory.path())
            .env("HOME", self.directory.path())
            .env("MIDWATCH_STORE", self.store())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.midwatch(arguments).output().unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&output.stderr)))
}

fn fixture(name: &str) -> String {
    format!("{}/tests/fixtures/alarms/{name}.json", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_switch_for_models_is_the_file_that_was_named_and_says_who_looks_at_it() {
    let place = Place::new();
    let at = |name: &str| place.directory.path().join(name);
    std::fs::write(at("d.toml"), "[money]\nswitch_file = \"off-here\"\n").unwrap();
    let (config, file) = (at("d.toml").display().to_string(), at("off-there").display().to_string());
    let on = place.run(&["kill-switch", "on", "--models", "--config", &config]);
    let said = text(&on.stdout);
    assert!(on.status.success() && at("off-here").exists(), "{said}{}", text(&on.stderr));
    assert!(said.contains("off-here") && said.contains("daemons of"), "{said}");
    assert!(place.run(&["kill-switch", "on", "--models", "--file", &file]).status.success());
    let usual_file = at(".local/state/midwatch/models-off");
    assert!(at("off-there").exists() && !usual_file.exists());
    // A file for remediation servers is none for models, whoever set it.
    let mut usual = place.midwatch(&["kill-switch", "on", "--models"]);
    let usual = usual.env("MIDWATCH_KILL_SWITCH_FILE", at("stop")).output().unwrap();
    assert!(usual_file.exists() && !at("stop").exists());
    assert!(text(&usual.stdout).contains("give its `--config`"), "{}", text(&usual.stdout));
    let nameless = place.run(&["kill-switch", "on"]);
    assert!(text(&nameless.stderr).contains("name the file"), "{}", text(&nameless.stderr));
}

#[test]
fn a_check_says_what_is_kept_quiet_by_a_name_that_nothing_has() {
    let place = Place::new();
    let file = place.directory.path().join("d.toml");
    let silence = "[[silence]]\nid = \"noisy\"\nreason = \"known\"\nuntil = 2099-01-01T00:00:00Z\nservices = [\"chekout\"]\n";
    let caller = format!("[[caller]]\nname = \"a\"\nsha256 = \"{}\"\n", "0".repeat(64));
    std::fs::write(&file, format!("{silence}{caller}")).unwrap();
    let checked = place.run(&["serve", "--check", "--config", &file.display().to_string()]);
    let said = text(&checked.stdout);
    assert!(checked.status.success() && said.contains("silence `noisy` names `chekout`"), "{said}");
}

#[test]
fn an_approved_demo_ends_resolved_and_is_kept() {
    let place = Place::new();
    let output = place.run(&["demo", "--approve", "--format", "json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let run = json(&output);
    assert_eq!(run["outcome"], "resolved");
    assert_eq!(run["verdict"], "real");
    assert_eq!(run["cause"]["kind"], "deployment");
    assert_eq!(run["escalated"], false);
    assert_eq!(run["alarm"]["last_state"], "OK");
    let actions = run["actions"].as_array().unwrap();
    assert_eq!(actions.len(), 1);
    assert_eq!(actions[0]["tool"], "rollback_deployment");
    assert_eq!(actions[0]["target"], run["service"]);
    assert_eq!(actions[0]["outcome"], "done");
    let summary = run["summary"].as_str().unwrap();
    assert!(summary.contains("back to OK at") && summary.contains("It recovered and held for"), "{summary}");
    let steps = run["next_steps"].to_string();
    for part in ["pool.close()", "Tell its author: ", "Keep github:", "postmortem"] {
        assert!(steps.contains(part), "{part}: {steps}");
    }
    assert!(!format!("{summary}{steps}{}", run["claims"]).contains("is in ALARM"), "{summary}");
    assert!(!steps.contains("Consider taking back"), "{steps}");
    assert_eq!(run["proposal"]["by"], "you");
    assert!(run["confidence"].as_f64().unwrap() >= 0.6);
    let facts = run["claims"].as_array().unwrap().iter().filter(|c| c["kind"] == "fact");
    for fact in facts {
        assert!(!fact["evidence"].as_array().unwrap().is_empty(), "{fact}");
    }
    for field in ["usage", "timings_ms", "wall_ms", "factors", "timeline", "not_checked", "next_steps"] {
        assert!(!run[field].is_null(), "{field}");
    }
    assert!(run["timings_ms"]["first_summary"].as_u64().unwrap() <= 2_000);

    let id = run["incident"].as_str().unwrap();
    let list = json(&place.run(&["incidents", "list", "--format", "json"]));
    assert_eq!(list["incidents"][0]["incident"], id);
    let shown = json(&place.run(&["incidents", "show", id, "--format", "json"]));
    assert_eq!(shown["chain"], "verified");
    let kinds: Vec<&str> =
        shown["entries"].as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap()).collect();
    let place_of = |kind: &str| kinds.iter().position(|k| *k == kind).unwrap_or_else(|| panic!("no {kind}"));
    let order = [
        "opened",
        "first_summary",
        "routed",
        "diagnosed",
        "proposed",
        "asked",
        "answered",
        "permitted",
        "intended",
        "acted",
        "verified",
        "closed",
        "reported",
    ];
    let places: Vec<usize> = order.iter().map(|kind| place_of(kind)).collect();
    assert!(places.is_sorted(), "{order:?} at {places:?}");
}

#[test]
fn neither_a_decline_nor_silence_changes_anything() {
    let place = Place::new();
    for (flag, answer) in [("--decline", "declined"), ("--no-input", "expired")] {
        let output = place.run(&["demo", flag, "--format", "json"]);
        assert_eq!(output.status.code(), Some(1), "a person should look");
        let run = json(&output);
        assert_eq!(run["proposal"]["answer"], answer);
        assert_eq!(run["actions"].as_array().unwrap().len(), 0);
        assert_eq!(run["escalated"], true);
        assert_eq!(run["outcome"], "escalated");
    }
    // Nobody at a terminal and no flag is nobody.
    let run = json(&place.run(&["demo", "--format", "json"]));
    assert_eq!(run["proposal"]["answer"], "expired");
}

#[test]
fn in_a_pipe_the_demo_is_plain_lines_of_at_most_a_hundred_columns() {
    let place = Place::new();
    let output = place.run(&["demo", "--decline"]);
    let text = text(&output.stdout);
    assert!(!text.contains('\u{1b}'), "there are escapes");
    let long: Vec<&str> = text.lines().filter(|l| l.chars().count() > 100).collect();
    assert!(long.is_empty(), "{long:#?}");
    for part in ["FIRST LIGHT", "PROPOSAL", "APPROVE?", "declined", "Probable cause", "Not checked", "Spend"]
    {
        assert!(text.contains(part), "{part} is missing");
    }
}

#[test]
fn an_altered_store_is_noticed() {
    let place = Place::new();
    let run = json(&place.run(&["demo", "--decline", "--format", "json"]));
    let raw = rusqlite::Connection::open(place.store()).unwrap();
    raw.execute(
        "UPDATE entries SET body = replace(body, 'declined', 'approved') WHERE kind = 'answered'",
        [],
    )
    .unwrap();
    drop(raw);
    let output = place.run(&["incidents", "show", run["incident"].as_str().unwrap()]);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("was altered at entry"), "{}", text(&output.stderr));
    assert_eq!(place.run(&["incidents", "verify"]).status.code(), Some(1));
}

#[test]
fn altered_evidence_is_noticed() {
    let place = Place::new();
    let run = json(&place.run(&["demo", "--decline", "--format", "json"]));
    let id = run["incident"].as_str().unwrap();
    assert!(
        json(&place.run(&["incidents", "show", id, "--format", "json"]))["evidence_verified"].as_u64()
            > Some(10)
    );
    let digest = run["evidence"][0]["sha256"].as_str().unwrap();
    for (change, says) in [
        ("UPDATE blobs SET bytes = CAST(bytes || ' ' AS BLOB) WHERE digest = ?1", "was altered: its bytes"),
        ("DELETE FROM blobs WHERE digest = ?1", "missing from the store"),
    ] {
        let raw = rusqlite::Connection::open(place.store()).unwrap();
        assert_eq!(raw.execute(change, [digest]).unwrap(), 1);
        drop(raw);
        let output = place.run(&["incidents", "show", id]);
        assert_eq!(output.status.code(), Some(2));
        let said = text(&output.stderr);
        assert!(said.contains(says) && said.contains("evidence E"), "{said}");
        assert_eq!(place.run(&["incidents", "verify"]).status.code(), Some(1));
    }
}

#[test]
fn what_is_no_alarm_is_refused_and_says_why() {
    let place = Place::new();
    let path = place.directory.path().join("alarm.json");
    for (content, says) in [("{", "not JSON"), ("{\"a\":1}", "not a known alarm"), ("[]", "a list")] {
        std::fs::write(&path, content).unwrap();
        let output = place.run(&["triage", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(says), "{}", text(&output.stderr));
        assert!(text(&output.stdout).is_empty());
    }
    let missing = place.run(&["triage", "/nowhere/alarm.json"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("/nowhere/alarm.json"));
}

/// Everything is refused here, and there is a report all the same.
#[test]
fn without_aws_there_is_still_a_report_and_it_says_what_is_missing() {
    let place = Place::new();
    let output = place
        .midwatch(&["triage", &fixture("eventbridge-metric"), "--format", "json"])
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        .env("AWS_ACCESS_KEY_ID", "x")
        .env("AWS_SECRET_ACCESS_KEY", "y")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let run = json(&output);
    assert_eq!(run["escalated"], true);
    assert_eq!(run["verdict"], "unclear");
    let gaps = run["not_checked"].to_string();
    assert!(gaps.contains("get_alarm") && gaps.contains("no service for the alarm"), "{gaps}");
    assert!(!run["summary"].as_str().unwrap().is_empty());
}

#[test]
fn an_alarm_comes_from_stdin_too() {
    let place = Place::new();
    let mut child = place
        .midwatch(&["triage", "-", "--format", "json"])
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        .env("AWS_ACCESS_KEY_ID", "x")
        .env("AWS_SECRET_ACCESS_KEY", "y")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let alarm = std::fs::read(Path::new(&fixture("sns-metric"))).unwrap();
    child.stdin.take().unwrap().write_all(&alarm).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(json(&output)["alarm"]["name"], "tim-cpu-alarm-test");
}

#[test]
fn a_scenario_that_is_wrong_says_where() {
    let place = Place::new();
    let directory = place.directory.path().join("broken");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("scenario.toml"), "title = 3\n").unwrap();
    let output = place.run(&["demo", "--scenario", directory.to_str().unwrap(), "--approve"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("scenario.toml:1"), "{}", text(&output.stderr));
    let output = place.run(&["eval", directory.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("scenario.toml:1"), "{}", text(&output.stdout));
}

#[test]
fn the_doctor_says_what_is_missing_and_how_to_mend_it() {
    let place = Place::new();
    let runbooks = place.directory.path().join("runbooks");
    std::fs::create_dir(&runbooks).unwrap();
    std::fs::write(runbooks.join("a.md"), "+++\nid='a'\n").unwrap();
    let output = place
        .midwatch(&["doctor", "--format", "json", "--runbooks", runbooks.to_str().unwrap()])
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        .env("AWS_ACCESS_KEY_ID", "x")
        .env("AWS_SECRET_ACCESS_KEY", "y")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let checks = json(&output)["checks"].clone();
    let state = |name: &str| {
        checks.as_array().unwrap().iter().find(|c| c["name"] == name).map(|c| c["state"].clone()).unwrap()
    };
    assert_eq!(state("store"), "ok");
    assert_eq!(state("catalog"), "warn");
    assert_eq!(state("a.md"), "fail");
    assert_eq!(state("rules"), "ok");
    assert_eq!(state("identity"), "fail");
}
