//! The shipped binary as a daemon: against a world in real time, against a queue, and killed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    missing_debug_implementations,
    reason = "a test"
)]
#![cfg(feature = "demo")]

#[path = "serve/queue.rs"]
mod queue;

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use midwatch::{
    intake::inbox::Inbox,
    journal::{Journal as _, SqliteJournal},
    run::Run,
};
use midwatch_mcp::{
    Remote, SystemClock,
    reqwest::{Method, Response},
};
use midwatch_policy::{Clock as _, IncidentId};
use midwatch_sim::{Scenario, World};
use serde_json::Value;

const TOKEN: &str = "a-token-of-a-test-and-of-nothing-else";
/// Longest that an incident may take here.
const LONGEST: Duration = Duration::from_mins(4);

/// A daemon that is killed with the value.
struct Daemon {
    child: Child,
    remote: Remote,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Daemon {
    fn start(dir: &Path, endpoint: &str, more: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_midwatch"));
        command.args(["serve", "--config"]).arg(dir.join("midwatch.toml"));
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|n| n.starts_with("AWS_") || n.starts_with("MIDWATCH_")) {
                command.env_remove(name);
            }
        }
        let nowhere = "/dev/null";
        for (name, value) in [
            ("AWS_ENDPOINT_URL", endpoint),
            ("AWS_ACCESS_KEY_ID", "AKIDLOCAL"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_CONFIG_FILE", nowhere),
            ("AWS_SHARED_CREDENTIALS_FILE", nowhere),
        ]
        .iter()
        .chain(more)
        {
            command.env(name, value);
        }
        let log = std::fs::File::create(dir.join("serve.log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().last().unwrap_or_else(|| {
            panic!("it did not start: {}", std::fs::read_to_string(dir.join("serve.log")).unwrap())
        });
        Self { remote: Remote::new(url, TOKEN).unwrap(), child }
    }

    async fn bring(&self, alarm: &str) -> Response {
        self.remote.request(Method::POST, "/v1/alarms").body(alarm.to_owned()).send().await.unwrap()
    }

    async fn get(&self, path: &str) -> String {
        let answer = self.remote.request(Method::GET, path).send().await.unwrap();
        answer.text().await.unwrap()
    }

    /// SIGTERM, and how it ended.
    fn stop(mut self) -> std::process::ExitStatus {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(told.success());
        self.child.wait().unwrap()
    }
}

fn configure(dir: &Path, more: &str) {
    use sha2::Digest as _;
    let sha256 = hex::encode(sha2::Sha256::digest(TOKEN.as_bytes()));
    let text = format!(
        "store = 'incidents.db'\n{more}\n[http]\nlisten = '127.0.0.1:0'\n[work]\ngrace = '1s'\n\
         [[caller]]\nname = 'test'\nsha256 = '{sha256}'\n"
    );
    std::fs::write(dir.join("midwatch.toml"), text).unwrap();
}

async fn reported(dir: &Path, incident: &IncidentId) -> Run {
    let journal = SqliteJournal::open(&dir.join("incidents.db")).unwrap();
    let clock = SystemClock;
    let end = clock.now().checked_add(midwatch_policy::SignedDuration::try_from(LONGEST).unwrap()).unwrap();
    while clock.now() < end {
        let entries = journal.read(incident).await.unwrap();
        if let Some(entry) = entries.iter().find(|entry| entry.kind == "reported") {
            return serde_json::from_value(entry.body["run"].clone()).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let log = std::fs::read_to_string(dir.join("serve.log")).unwrap();
    panic!("no report of {incident}: {log}");
}

async fn opened(answer: Response) -> IncidentId {
    assert_eq!(answer.status().as_u16(), 202);
    let said: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(said["alarms"][0]["decision"], "opened", "{said}");
    IncidentId::parse(said["alarms"][0]["incident"].as_str().unwrap()).unwrap()
}

async fn world(dir: &Path) -> World {
    let scenario =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/scenarios/pool-exhaustion-after-deploy");
    let scenario = Scenario::load(&scenario).unwrap().beginning_at(SystemClock.now()).unwrap();
    let world = World::start(scenario).await.unwrap();
    let services: Vec<_> = world
        .catalog()
        .services()
        .cloned()
        .map(|mut service| {
            service.role_arn = None;
            service
        })
        .collect();
    std::fs::write(
        dir.join("catalog.toml"),
        toml::to_string(&BTreeMap::from([("service", services)])).unwrap(),
    )
    .unwrap();
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_becomes_a_report_though_the_daemon_is_killed_and_its_repeat_joins() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let world = world(at).await;
    let _pace = world.run_at_real_time();
    configure(at, &format!("catalog = 'catalog.toml'\nrunbooks = '{}'", world.runbooks().display()));
    let alarm = world.alarm_event().to_string();
    let incident = {
        let daemon = Daemon::start(at, world.endpoint(), &[]);
        // Killed as soon as it has answered: what was answered is not lost.
        opened(daemon.bring(&alarm).await).await
    };
    let daemon = Daemon::start(at, world.endpoint(), &[]);
    let again = daemon.bring(&alarm).await.text().await.unwrap();
    assert!(again.contains("duplicate") && again.contains(incident.as_str()), "{again}");
    // The same trouble, a minute later.
    let mut later: Value = serde_json::from_str(&alarm).unwrap();
    later["detail"]["state"]["timestamp"] =
        Value::String(SystemClock.now().strftime("%Y-%m-%dT%H:%M:%S.000+0000").to_string());
    let joined = daemon.bring(&later.to_string()).await.text().await.unwrap();
    assert!(joined.contains("joined") && joined.contains(incident.as_str()), "{joined}");
    let run = reported(at, &incident).await;
    assert!(!run.claims.is_empty() && !run.summary.is_empty(), "{run:?}");
    let metrics = daemon.get("/metrics").await;
    assert!(
        metrics.contains("midwatch_alarms_total{source=\"webhook test\",decision=\"joined\"} 1"),
        "{metrics}"
    );
    assert!(daemon.stop().success());
    let inbox = Inbox::open(&at.join("incidents.inbox.db")).unwrap();
    assert_eq!(inbox.unfinished().await.unwrap(), []);
    let kinds: Vec<String> = SqliteJournal::open(&at.join("incidents.db"))
        .unwrap()
        .read(&incident)
        .await
        .unwrap()
        .into_iter()
        .map(|entry| entry.kind)
        .collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "opened").count(), 1);
    assert_eq!(kinds.iter().filter(|kind| *kind == "reported").count(), 1);
    assert!(kinds.iter().any(|kind| kind == "joined"), "{kinds:?}");
}

/// Takes connections and never answers.
fn silent() -> (std::thread::JoinHandle<()>, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let hold = move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            held.push(stream);
        }
    };
    (std::thread::spawn(hold), url)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_ends_the_work_where_there_is_no_desk_and_the_report_has_the_other_alarms() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let (_held, endpoint) = silent();
    let service = |name: &str| {
        format!("[[service]]\nname='{name}'\ntier=1\nenvironment='production'\nalarms=['{name}-*']\n")
    };
    std::fs::write(at.join("catalog.toml"), service("web") + &service("mail")).unwrap();
    configure(at, "catalog = 'catalog.toml'");
    let text = std::fs::read_to_string(at.join("midwatch.toml")).unwrap();
    std::fs::write(at.join("midwatch.toml"), format!("{text}may = ['alarms', 'incidents']\n")).unwrap();
    let daemon = Daemon::start(at, &endpoint, &[]);
    let alarm = |name: &str| format!(r#"{{"name":"{name}","state":"firing","at":"{}"}}"#, SystemClock.now());
    let stopped = opened(daemon.bring(&alarm("web-5xx")).await).await;
    let taken = opened(daemon.bring(&alarm("mail-down")).await).await;
    let joined = daemon.bring(&alarm("web-slow")).await.text().await.unwrap();
    assert!(joined.contains("joined") && joined.contains(stopped.as_str()), "{joined}");
    let journal = SqliteJournal::open(&at.join("incidents.db")).unwrap();
    for _ in 0..100 {
        let entries = journal.read(&stopped).await.unwrap();
        if entries.iter().any(|entry| entry.kind == "joined") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Over HTTP, and by command.
    let path = format!("/v1/incidents/{stopped}/stop");
    let body = r#"{"note":"it is the deploy of today"}"#;
    let answer = daemon.remote.request(Method::POST, &path).body(body).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 202);
    let store = at.join("incidents.db");
    let command = Command::new(env!("CARGO_BIN_EXE_midwatch"))
        .args(["incidents", "take", taken.as_str(), "--by", "first-on-call", "--store"])
        .arg(&store)
        .output()
        .unwrap();
    assert!(command.status.success(), "{}", String::from_utf8_lossy(&command.stderr));
    let run = reported(at, &stopped).await;
    assert_eq!(run.outcome, midwatch::run::Outcome::TakenOver, "{}", run.summary);
    assert!(
        run.summary.contains("test stopped Midwatch's work on it: it is the deploy of today"),
        "{}",
        run.summary
    );
    assert!(run.summary.contains("And 1 more alarm: `web-slow` (web)."), "{}", run.summary);
    assert_eq!((run.others.count, run.others.first.len()), (1, 1));
    let run = reported(at, &taken).await;
    assert_eq!(run.outcome, midwatch::run::Outcome::TakenOver, "{}", run.summary);
    assert!(run.summary.contains("first-on-call took the incident over"), "{}", run.summary);
    assert!(run.others.is_none(), "{:?}", run.others);
    for incident in [&stopped, &taken] {
        let kinds: Vec<String> =
            journal.read(incident).await.unwrap().into_iter().map(|entry| entry.kind).collect();
        assert_eq!(kinds.iter().filter(|kind| *kind == "held").count(), 1, "{kinds:?}");
    }
    assert!(daemon.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_hang_keep_neither_alarms_out_nor_the_end_nor_a_reload() {
    /// What two of them may take to answer, and the machine.
    const SOON: Duration = Duration::from_secs(40);
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let (_held, endpoint) = silent();
    std::fs::write(at.join("token"), TOKEN).unwrap();
    std::fs::set_permissions(at.join("token"), std::fs::Permissions::from_mode(0o600)).unwrap();
    configure(at, "");
    let text = std::fs::read_to_string(at.join("midwatch.toml")).unwrap();
    let server =
        |name| format!("[[server]]\nname = '{name}'\nurl = '{endpoint}/mcp'\ntoken_file = 'token'\n");
    let servers: String = ["logs", "metrics", "deployments", "runbooks", "workflows"].map(server).concat();
    let text = format!("{text}may = ['alarms', 'reload']\n{servers}");
    std::fs::write(at.join("midwatch.toml"), &text).unwrap();

    let began = SystemClock.running();
    let daemon = Daemon::start(at, &endpoint, &[]);
    let alarm = format!(r#"{{"name":"web-5xx","state":"firing","at":"{}"}}"#, SystemClock.now());
    opened(daemon.bring(&alarm).await).await;
    let ready = daemon.get("/ready").await;
    assert!(ready.contains("\"ready\":true") && ready.contains("server `logs`"), "{ready}");
    let reload = || async {
        let answer = daemon.remote.request(Method::POST, "/v1/reload").send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(reload().await.0, 200);
    // What is not done is said.
    for (line, names) in [
        ("grace = '1s'\naws_calls_per_second = 1", "`work.aws_calls_per_second` changed"),
        ("grace = '2s'", "`work.grace` changed"),
    ] {
        std::fs::write(at.join("midwatch.toml"), text.replace("grace = '1s'", line)).unwrap();
        let (status, said) = reload().await;
        assert!(status == 422 && said.contains(names), "{status} {said}");
    }
    std::fs::write(at.join("midwatch.toml"), format!("catalog = 'nowhere.toml'\n{text}")).unwrap();
    let (status, said) = reload().await;
    assert!(status == 422 && said.contains("nowhere.toml"), "{status} {said}");
    assert!(daemon.stop().success());
    assert!(SystemClock.running().saturating_sub(began) < SOON);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_is_read_and_what_is_no_alarm_is_buried_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let queues = queue::Queues::start().await;
    let fixture = |name: &str| {
        let path = format!("{}/tests/fixtures/alarms/{name}.json", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap()
    };
    queues.put("alarms", &fixture("eventbridge-metric"));
    queues.put("alarms", &fixture("sns-metric"));
    queues.put("alarms", "this is no alarm");
    // Of two records in one message, one is an alarm.
    let record = |body: String| serde_json::json!({ "body": body });
    let half = serde_json::json!({ "Records": [record("{}".to_owned()), record(fixture("sns-composite"))] });
    queues.put("alarms", &half.to_string());
    let url = |name: &str| format!("{}/123456789012/{name}", queues.endpoint());
    configure(at, "");
    let text = std::fs::read_to_string(at.join("midwatch.toml")).unwrap();
    let text = format!("{text}[[sqs]]\nurl = '{}'\ndead_letter = '{}'\n", url("alarms"), url("dead"));
    std::fs::write(at.join("midwatch.toml"), text).unwrap();
    // Nothing else of AWS is there.
    let daemon = Daemon::start(at, "http://127.0.0.1:9", &[("AWS_ENDPOINT_URL_SQS", queues.endpoint())]);
    let inbox = Inbox::open(&at.join("incidents.inbox.db")).unwrap();
    for _ in 0..300 {
        if queues.left("alarms") == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(queues.left("alarms"), 0, "{}", std::fs::read_to_string(at.join("serve.log")).unwrap());
    let dead = queues.bodies("dead");
    assert_eq!(dead.len(), 2);
    for (body, why) in [("this is no alarm", "not JSON"), (&half.to_string(), "1 of 2 alarms")] {
        let reason = dead.iter().find(|(buried, _)| buried == body).map(|(_, reason)| reason).unwrap();
        assert!(reason.contains(why), "{reason}");
    }
    let rows = inbox.newest(&["opened", "noted", "updated", "joined"], 10).await.unwrap();
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows.iter().all(|row| row.source == "sqs alarms" && row.message.is_some()));
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_is_discovered_and_compared_with_the_account() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let world = world(at).await;
    let midwatch = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_midwatch"));
        for (name, value) in [
            ("AWS_ENDPOINT_URL", world.endpoint()),
            ("AWS_ACCESS_KEY_ID", "AKIDLOCAL"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ] {
            command.env(name, value);
        }
        let output = command.current_dir(at).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), said + &String::from_utf8_lossy(&output.stderr))
    };
    let found = at.join("found.toml");
    let (code, said) = midwatch(&["catalog", "discover", "--output", "found.toml"]);
    assert_eq!(code, Some(0), "{said}");
    let text = std::fs::read_to_string(&found).unwrap();
    let catalog = midwatch_policy::Catalog::parse(&text).unwrap();
    let ours = world.catalog().services().filter_map(|service| service.ecs.clone());
    for ecs in ours {
        let service = catalog.services().find(|service| service.ecs.as_ref() == Some(&ecs));
        assert!(
            !service.unwrap_or_else(|| panic!("{ecs:?} is not in {text}")).log_groups.is_empty(),
            "{text}"
        );
    }
    let (code, said) = midwatch(&["catalog", "discover", "--output", "found.toml"]);
    assert!(code == Some(2) && said.contains("is there already"), "{said}");
    // What is changed is found.
    let changed = text.replace("log_groups = [\"", "log_groups = [\"/gone\", \"");
    std::fs::write(&found, changed).unwrap();
    let (code, said) = midwatch(&["catalog", "check", "found.toml"]);
    assert!(code == Some(1) && said.contains("there is no log group `/gone`"), "{said}");
}
