//! One guest at a time, against what it may do to whoever asks it.

use std::{path::Path, time::Duration};

use midwatch::{
    guests::{Guest, Standing},
    tools::{Mutations, Toolbox},
};
use midwatch_agents::{
    model::CallLimits,
    tools::{FailureKind, ToolCall, ToolClass, Tools as _},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::rude;

/// Longest that anything here may take: a call has two seconds.
const LONGEST: Duration = Duration::from_secs(12);

pub fn call(tool: &str) -> ToolCall {
    let args = json!({"query": "pool"}).as_object().cloned().unwrap();
    ToolCall { server: "tickets".to_owned(), tool: tool.to_owned(), args }
}

fn limits() -> CallLimits {
    CallLimits::within(Duration::from_secs(30))
}

async fn met(manners: &str) -> (TempDir, Guest) {
    met_with(manners, &json!({})).await
}

async fn met_with(manners: &str, ours: &Value) -> (TempDir, Guest) {
    let dir = tempfile::tempdir().unwrap();
    let guest = rude::guest(dir.path(), manners, ours);
    guest.settle().await;
    (dir, guest)
}

fn pid(dir: &Path, name: &str) -> u32 {
    std::fs::read_to_string(dir.join(name)).unwrap().parse().unwrap()
}

/// Gone, and no zombie of ours either. What a child of it left behind is its new parent's to reap.
async fn gone(pid: u32) -> bool {
    for _ in 0..100 {
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return true };
        let after: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        if after[0] == "Z" && after[1] != std::process::id().to_string() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_is_offered_under_its_servers_name_and_what_it_answers_can_be_cited() {
    let (_dir, guest) = met("good").await;
    assert_eq!(guest.missing(), Vec::<String>::new());
    let [def] = &guest.list()[..] else { panic!("{:?}", guest.list()) };
    assert_eq!(
        (def.server.as_str(), def.spec.name.as_str(), def.class),
        ("tickets", "tickets__search", ToolClass::Read)
    );
    assert!(def.spec.description.contains("third-party server `tickets`"), "{}", def.spec.description);
    let answer = guest.call(&call("tickets__search"), &limits()).await.unwrap();
    assert_eq!(answer["third_party_server"], "tickets");
    assert_eq!(answer["items"][0]["ref"], "tickets:1");
    assert!(answer["items"][0]["message"].as_str().unwrap().contains("TICKET-4711"), "{answer}");
    // What is not named as a read is not called, also by its own name.
    for other in ["tickets__comment", "comment", "search", "tickets__none"] {
        let refused = guest.call(&call(other), &limits()).await.unwrap_err();
        assert_eq!(refused.kind, FailureKind::Refused, "{other}");
    }
    let (all, whole) = guest.everything();
    assert!(whole);
    let comment = all.iter().find(|tool| tool.tool == "comment").unwrap();
    assert!(matches!(&comment.standing, Standing::Forbidden { rule, .. } if rule == "unknown-tool"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_it_does_a_call_ends_in_time_and_says_why() {
    for (manners, kind, said) in [
        ("silent", FailureKind::Timeout, "no answer within 2 s"),
        ("dies", FailureKind::Unavailable, "out of memory"),
        ("endless", FailureKind::Unavailable, "KiB at once"),
        ("progress", FailureKind::Unavailable, "KiB at once"),
        ("other ids", FailureKind::Timeout, "no answer within 2 s"),
        ("fails", FailureKind::Internal, "says: the index is being rebuilt"),
        ("promises", FailureKind::Internal, "did not answer what it promises"),
    ] {
        let (dir, guest) = met(manners).await;
        assert_eq!(guest.missing(), Vec::<String>::new(), "{manners}");
        let begun = Instant::now();
        let failure = guest.call(&call("tickets__search"), &limits()).await.unwrap_err();
        assert!(begun.elapsed() < LONGEST, "{manners}: {:?}", begun.elapsed());
        // On a slow machine a flood of small things takes longer than the call may.
        let slow = manners == "progress" && failure.kind == FailureKind::Timeout;
        assert!(slow || failure.kind == kind, "{manners}: {failure}");
        assert!(slow || failure.message.contains(said), "{manners}: {failure}");
        assert!(failure.message.contains("`tickets`"), "{manners}: {failure}");
        let process = pid(dir.path(), "pid");
        drop(guest);
        assert!(gone(process).await, "{manners}: {process} is still there");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_keeps_it_from_coming_is_said_and_waited_for_no_longer_than_the_file_allows() {
    for (manners, said) in [
        ("dead", "cannot reach the database"),
        ("mute", "it is still starting"),
        ("huge description", "KiB at once"),
        ("thousands", "does not offer `search`"),
    ] {
        let begun = Instant::now();
        let (_dir, guest) = met(manners).await;
        assert!(begun.elapsed() < LONGEST, "{manners}: {:?}", begun.elapsed());
        let missing = guest.missing().join("\n");
        assert!(missing.contains(said), "{manners}: {missing}");
        assert!(guest.list().is_empty(), "{manners}");
        let failure = guest.call(&call("tickets__search"), &limits()).await.unwrap_err();
        assert!(begun.elapsed() < LONGEST, "{manners}: {:?}", begun.elapsed());
        assert!(failure.message.contains("tickets"), "{manners}: {failure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_beside_the_answers_harms_nobody() {
    // Notifications without end: cut off, whoever asks.
    let (_dir, guest) = met("storm").await;
    let begun = Instant::now();
    let failure = guest.call(&call("tickets__search"), &limits()).await.unwrap_err();
    assert!(begun.elapsed() < LONGEST && failure.message.contains("could not be asked"), "{failure}");
    // A quarter of a megabyte on stderr before each answer: read slowly, and the answer comes.
    let (_dir, guest) = met_with("stderr", &json!({"timeout_seconds": 30, "start_seconds": 30})).await;
    let answer = guest.call(&call("tickets__search"), &CallLimits::within(Duration::from_mins(1))).await;
    assert!(answer.unwrap().to_string().contains("TICKET-4711"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_says_of_a_tool_cannot_be_changed_once_it_was_seen() {
    let (_dir, guest) = met("rug").await;
    let before = guest.list();
    guest.call(&call("tickets__search"), &limits()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let refused = guest.call(&call("tickets__search"), &limits()).await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::Refused);
    assert!(refused.message.contains("changed what it says of it"), "{refused}");
    assert!(guest.list().is_empty());
    assert!(guest.missing()[0].contains("changed what it says of it"), "{:?}", guest.missing());
    assert!(before[0].spec.description.contains("Looks for tickets by words"));
    // Nor from one start to the next, where the file pins it.
    let digest = guest.everything().0.iter().find(|tool| tool.tool == "search").unwrap().digest.clone();
    let (_dir, pinned) = met_with("good", &json!({"pins": {"search": digest}})).await;
    assert_eq!(pinned.list().len(), 1);
    let (_dir, other) = met_with("orders", &json!({"pins": {"search": digest}})).await;
    assert!(other.list().is_empty() && other.missing()[0].contains("pins it to"), "{:?}", other.missing());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_ours_is_shadowed_and_orders_in_a_description_are_not_passed_on() {
    let all = json!({"tools": ["search", "error_patterns", "restart_service", "conclude"]});
    let (_dir, guest) = met_with("shadows", &all).await;
    let names: Vec<String> = guest.list().into_iter().map(|def| def.spec.name).collect();
    assert_eq!(
        names,
        ["tickets__conclude", "tickets__error_patterns", "tickets__restart_service", "tickets__search"]
    );
    let mut toolbox = Toolbox::new();
    toolbox.attach_guests(vec![guest]);
    let refused = Mutations(&toolbox).call(&call("restart_service"), &limits()).await.unwrap_err();
    assert!(refused.message.contains("gated by the supervisor only"), "{refused}");
    let unknown =
        toolbox.call(&ToolCall { server: "logs".to_owned(), ..call("tickets__search") }, &limits()).await;
    assert_eq!(unknown.unwrap_err().kind, FailureKind::Refused);

    let (_dir, guest) = met("orders").await;
    let [def] = &guest.list()[..] else { panic!() };
    assert!(!def.spec.description.contains("restart_service"), "{}", def.spec.description);
    let (all, _) = guest.everything();
    assert!(all[0].notes[0].contains("gives orders to its reader"), "{:?}", all[0].notes);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_redacted_screened_bounded_and_gives_no_ids_of_its_own() {
    let (_dir, guest) = met("secrets").await;
    let answer = guest.call(&call("tickets__search"), &limits()).await.unwrap();
    let text = answer.to_string();
    assert!(!text.contains("hunter2") && answer["notes"][0].as_str().unwrap().contains("redacted"), "{text}");
    let item = &answer["items"][0];
    assert_eq!((&item["their_ref"], &item["their_evidence"]), (&json!("pat:1"), &json!("E1")));
    assert_eq!(item["rows"][1]["ref"], "tickets:2");

    let (_dir, guest) = met("instructs").await;
    let answer = guest.call(&call("tickets__search"), &limits()).await.unwrap();
    assert!(!answer["screened"].as_array().unwrap().is_empty(), "{answer}");

    let (_dir, guest) = met_with("long", &json!({"max_bytes": 1024})).await;
    let answer = guest.call(&call("tickets__search"), &limits()).await.unwrap();
    assert!(answer.to_string().len() < 6_000, "{}", answer.to_string().len());
    let notes = answer["notes"].to_string();
    assert!(notes.contains("left out: the answer is longer") && notes.contains("no text"), "{notes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_has_no_environment_of_ours_and_ends_with_everything_it_started() {
    let (_dir, guest) = met("environment").await;
    let answer = guest.call(&call("tickets__search"), &limits()).await.unwrap();
    let mut names: Vec<&str> = answer["items"][0]["message"].as_str().unwrap().split(' ').collect();
    names.sort_unstable();
    // The test harness of the server sets one more for itself, on some versions.
    names.retain(|name| !name.starts_with("__"));
    assert_eq!(names, ["PATH", "RUDE", "RUDE_DIR"]);

    let (dir, guest) = met("stays").await;
    let (own, child) = (pid(dir.path(), "pid"), pid(dir.path(), "child"));
    assert!(Path::new(&format!("/proc/{child}")).exists());
    drop(guest);
    assert!(gone(own).await && gone(child).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_died_is_started_again_and_one_that_keeps_dying_is_given_a_rest() {
    let (dir, guest) = met("dies").await;
    let first = pid(dir.path(), "pid");
    guest.call(&call("tickets__search"), &limits()).await.unwrap_err();
    guest.call(&call("tickets__search"), &limits()).await.unwrap_err();
    let second = pid(dir.path(), "pid");
    assert_ne!(first, second);
    let begun = Instant::now();
    guest.call(&call("tickets__search"), &limits()).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(pid(dir.path(), "pid"), second);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_says_how_each_tool_is_decided_and_leaves_no_process_behind() {
    let dir = tempfile::tempdir().unwrap();
    let file = rude::file(dir.path(), "stays", &json!({"changes": ["comment"]}));
    let policy = dir.path().join("rules.cedar");
    let ours = "@id(\"comment-asks\")\n@reason(\"customers read it\")\n@ask(\"1 oncall\")\n\
        permit (principal, action == Action::\"mutate\", resource)\n\
        when { context.server == \"tickets\" && context.tool == \"comment\" };\n";
    std::fs::write(&policy, format!("{}\n{ours}", midwatch_policy::Rules::embedded_text())).unwrap();
    let mut doctor = tokio::process::Command::new(env!("CARGO_BIN_EXE_midwatch"));
    doctor.args(["doctor", "--format", "json", "--mcp-servers"]).arg(&file).arg("--policy").arg(&policy);
    doctor.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", dir.path());
    doctor.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9").env("AWS_REGION", "us-east-1");
    doctor.env("AWS_ACCESS_KEY_ID", "AKIDLOCAL").env("AWS_SECRET_ACCESS_KEY", "local");
    let output = doctor.output().await.unwrap();
    let said: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let detail = |name: &str| {
        let checks = said["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["name"] == name);
        check.map(|check| check["detail"].as_str().unwrap().to_owned()).unwrap_or_default()
    };
    assert!(detail("tickets").contains("of which 1 are offered to log_analyst"), "{said}");
    assert!(detail("tickets search").contains("allowed by `reads`"), "{said}");
    let comment = detail("tickets comment");
    assert!(comment.contains("1 oncall") && comment.contains("gated by the supervisor only"), "{comment}");
    assert!(gone(pid(dir.path(), "pid")).await && gone(pid(dir.path(), "child")).await);
}
