//! The desk as a process of its own, with the commands that people use, and killed between any two
//! of its answers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a test"
)]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use midwatch::desk::{Desk as _, DeskOverHttp};
use midwatch_mcp::{
    Remote, ToolError,
    http::{HttpSettings, bind},
    server_info,
};
use midwatch_policy::{
    Action, Asking, Attested, AwsName, BlastRadius, Catalog, Cited, Claimed, Demand, EndState, EvidenceId,
    ExpectedState, IncidentId, Inverse, Outcome, Plan, PublicKeys, RequestId, RequestState, Risk,
    ServiceName, Timestamp, verify,
};
use midwatch_remediation::{DeskOverHttp as ServersDesk, PermitSource as _, PlanArgs, PlanResult};
use rmcp::{
    Json, ServerHandler,
    handler::server::{router::tool::ToolRouter, wrapper::Parameters},
    model::ServerConfig,
    tool, tool_handler, tool_router,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

const CATALOG: &str = "[[service]]\nname='a'\ntier=0\nenvironment='production'\nautonomy='ask'\n";

/// A remediation server that plans from memory.
#[derive(Debug, Clone)]
struct Double {
    tool_router: ToolRouter<Self>,
}

#[tool_router]
impl Double {
    #[tool(description = "Plans.")]
    async fn plan(&self, Parameters(args): Parameters<PlanArgs>) -> Result<Json<PlanResult>, ToolError> {
        let name = |text: &str| AwsName::parse(text).unwrap();
        let plan = Plan {
            action: Action::try_from(args)?,
            steps: Vec::new(),
            terms: midwatch_policy::Terms {
                place: midwatch_policy::Place::of(
                    Catalog::parse(CATALOG).unwrap().services().next().unwrap(),
                    Some("us-east-1"),
                ),
                expected: ExpectedState::EcsDesiredCount {
                    cluster: name("c"),
                    ecs_service: name("a"),
                    desired_count: 2,
                },
                result: EndState::DesiredCount { desired_count: 2 },
            },
            blast_radius: BlastRadius {
                tasks_affected: 2,
                tasks_running: 2,
                dependents: Vec::new(),
                summary: "all \u{1b}[2Jtasks".to_owned(),
            },
            risk: Risk::Medium,
            inverse: Inverse { summary: "none".to_owned(), action: None },
            warnings: Vec::new(),
        };
        let facts = Attested {
            change_freeze: false,
            business_hours: false,
            deployments_in_progress: 0,
            tasks_running: 2,
            tasks_affected: 2,
            actions_last_hour: 0,
        };
        Ok(Json(PlanResult { reference: "plan:1".to_owned(), plan, facts }))
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Double {
    fn get_info(&self) -> ServerConfig {
        server_info("double", "0", "plans")
    }
}

struct Place {
    directory: tempfile::TempDir,
    planner: String,
    stop: CancellationToken,
}

/// A desk that is killed with the value.
struct Running {
    child: Child,
    url: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        // SIGKILL: nothing is tidied up.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Place {
    async fn new() -> Self {
        let double = Double { tool_router: Double::tool_router() };
        let bound = bind(double, HttpSettings::on("127.0.0.1:0".parse().unwrap())).await.unwrap();
        let planner = format!("http://{}/mcp", bound.local_addr());
        let stop = CancellationToken::new();
        tokio::spawn(bound.run(stop.clone()));
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("catalog.toml"), CATALOG).unwrap();
        Self { directory, planner, stop }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn midwatch(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_midwatch"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.directory.path())
            .env("MIDWATCH_DESK_DIR", self.path("desk"))
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.midwatch(arguments).output().unwrap()
    }

    /// Makes somebody known, and returns the token.
    fn add(&self, arguments: &[&str]) -> String {
        let output = self.run(&[&["approvers", "add"], arguments].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).trim().to_owned()
    }

    fn desk(&self) -> Command {
        self.desk_on("127.0.0.1:0")
    }

    fn desk_on(&self, listen: &str) -> Command {
        let catalog = self.path("catalog.toml");
        let mut command = self.midwatch(&["desk", "--listen", listen, "--remediation", &self.planner]);
        command.arg("--catalog").arg(catalog).env("MIDWATCH_REMEDIATION_TOKEN", "0123456789abcdef");
        command
    }

    fn start(&self) -> Running {
        let mut child = self.desk().stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().last().unwrap_or_default().to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "{line}");
        Running { child, url }
    }

    fn answer(&self, desk: &Running, token: &str, arguments: &[&str]) -> Output {
        self.midwatch(arguments)
            .env("MIDWATCH_DESK", &desk.url)
            .env("MIDWATCH_APPROVER_TOKEN", token)
            .output()
            .unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&output.stderr)))
}

fn restart() -> Action {
    Action::RestartService { service: ServiceName::parse("a").unwrap() }
}

fn asking() -> Asking {
    Asking {
        subject: None,
        incident: Some(IncidentId::parse("inc-1").unwrap()),
        action: restart(),
        claimed: Some(Claimed {
            confidence_percent: 90,
            phase: "decide".to_owned(),
            severity: "alarm".to_owned(),
            evidence: vec!["E1".to_owned()],
        }),
        reason: "it leaks".to_owned(),
        evidence: vec![Cited { id: EvidenceId::parse("E1").unwrap(), text: "memory grows".to_owned() }],
        runbook: None,
    }
}

fn keys(path: &Path) -> PublicKeys {
    midwatch_mcp::KeyFile::parse(&std::fs::read_to_string(path).unwrap()).unwrap().accepted()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desk_that_is_killed_between_any_two_answers_has_lost_nothing() {
    let place = Place::new().await;
    assert!(place.run(&["keys", "create"]).status.success());
    let first = place.add(&["first-on-call", "--role", "oncall"]);
    let second = place.add(&["second-on-call", "--role", "oncall"]);
    let asker = place.add(&["midwatch", "--kind", "asker"]);
    let server = place.add(&["midwatch-remediation", "--kind", "server"]);

    let desk = place.start();
    let filed = DeskOverHttp::new(&desk.url, &asker).unwrap().file(asking()).await.unwrap();
    let id: RequestId = filed.shown.request.clone();
    drop(desk);

    let desk = place.start();
    let seen = DeskOverHttp::new(&desk.url, &asker).unwrap().view(&id).await.unwrap();
    assert_eq!(seen, filed, "the same request with its original deadline");
    let shown = place.answer(&desk, &first, &["approvals", "show", id.as_str()]);
    let page = text(&shown.stdout);
    for part in ["restart a", "it leaks", "memory grows", "2 oncall", &filed.digest.to_string()[..40]] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains('\u{1b}'), "nothing moves the cursor: {page:?}");
    let unasked = place.answer(&desk, &first, &["approve", id.as_str()]);
    assert!(!unasked.status.success() && text(&unasked.stderr).contains("--yes"), "no terminal is no yes");
    let once = place.answer(&desk, &first, &["approve", id.as_str(), "--yes", "--format", "json"]);
    assert_eq!(json(&once)["state"]["state"], "open", "{}", text(&once.stderr));
    drop(desk);

    let desk = place.start();
    let twice = place.answer(&desk, &first, &["approve", id.as_str(), "--yes"]);
    assert!(text(&twice.stderr).contains("has approved this already"), "{}", text(&twice.stderr));
    let both = place.answer(&desk, &second, &["approve", &id.as_str()[4..9], "--yes", "--format", "json"]);
    let state: RequestState = serde_json::from_value(json(&both)["state"].clone()).unwrap();
    let RequestState::Approved { permit, .. } = state else { panic!("{state:?}") };
    drop(desk);

    let desk = place.start();
    let source = ServersDesk::new(Remote::new(&desk.url, &server).unwrap());
    let fetched = source.permit_for("midwatch", &restart()).await.unwrap().unwrap();
    let now: Timestamp = filed.shown.filed_at;
    let action = restart();
    let demand = Demand {
        subject: "midwatch",
        audience: "midwatch-remediation",
        request: &id,
        incident: None,
        action: &action,
        now: now.checked_add(jiff::SignedDuration::from_secs(60)).unwrap(),
    };
    let verified = verify(&fetched.token, &keys(&place.path("desk/keys/public-keys.toml")), &demand).unwrap();
    assert_eq!(verified.claims().shown, filed.digest);
    assert_eq!(verified.claims().approvers.len(), 2);
    assert!(source.stands(&permit, "s-1").await.unwrap());
    drop(desk);

    let desk = place.start();
    let source = ServersDesk::new(Remote::new(&desk.url, &server).unwrap());
    assert!(source.stands(&permit, "s-1").await.unwrap());
    source.used(&permit, Outcome::Done).await.unwrap();
    drop(desk);

    let desk = place.start();
    let source = ServersDesk::new(Remote::new(&desk.url, &server).unwrap());
    assert!(source.permit_for("midwatch", &restart()).await.unwrap().is_none());
    assert!(!source.stands(&permit, "s-1").await.unwrap());
    let listed = place.answer(&desk, &first, &["approvals", "list", "--format", "json"]);
    assert_eq!(json(&listed)[0]["state"]["state"], "used");
    let held =
        place.answer(&desk, &first, &["incidents", "take", "inc-1", "--note", "mine", "--format", "json"]);
    assert_eq!(json(&held)["state"], "taken", "{}", text(&held.stderr));
    drop(desk);

    let desk = place.start();
    let refused = DeskOverHttp::new(&desk.url, &asker).unwrap().file(asking()).await.unwrap_err();
    assert_eq!(refused.kind(), "held");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_said() {
    let place = Place::new().await;
    let said = |output: &Output| text(&output.stderr);
    let without = place.desk().output().unwrap();
    assert_eq!(without.status.code(), Some(2));
    assert!(said(&without).contains("midwatch keys create"), "{}", said(&without));

    let made = place.run(&["keys", "create", "--format", "json"]);
    assert!(json(&made)["key"]["id"].as_str().unwrap().starts_with("k4.pid."));
    assert!(!text(&made.stdout).contains("secret"));
    let again = place.run(&["keys", "create"]);
    assert!(!again.status.success() && said(&again).contains("rotate"));
    let private = place.path("desk/keys/signing-key");
    assert_eq!(std::fs::metadata(&private).unwrap().permissions().mode() & 0o777, 0o600);

    let token = place.add(&["first-on-call", "--role", "oncall"]);
    assert!(
        said(&place.run(&["approvers", "add", "First-On-Call", "--role", "oncall"]))
            .contains("there already")
    );
    assert!(said(&place.run(&["approvers", "add", "x"])).contains("--role"));
    assert!(!text(&place.run(&["approvers", "list"]).stdout).contains(&token));

    let nowhere = place
        .midwatch(&["approvals", "--desk", "http://127.0.0.1:9"])
        .env("MIDWATCH_APPROVER_TOKEN", &token)
        .output()
        .unwrap();
    assert!(said(&nowhere).contains("cannot be reached"), "{}", said(&nowhere));
    assert!(said(&place.run(&["approvals"])).contains("MIDWATCH_APPROVER_TOKEN"));
    let file = place.path("token");
    std::fs::write(&file, &token).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let desk = place.start();
    let read = |mode| {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let mut command = place.midwatch(&["approvals"]);
        command.env("MIDWATCH_DESK", &desk.url).env("MIDWATCH_APPROVER_TOKEN_FILE", &file).output().unwrap()
    };
    assert!(said(&read(0o644)).contains("others can read"));
    let good = read(0o600);
    assert!(good.status.success(), "{}", said(&good));
    let second = place.desk().output().unwrap();
    assert!(said(&second).contains("another desk holds"), "{}", said(&second));

    std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o644)).unwrap();
    drop(desk);
    assert!(said(&place.desk().output().unwrap()).contains("others can read"));
    std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o600)).unwrap();
    let wide = place.desk_on("0.0.0.0:0").output().unwrap();
    assert!(said(&wide).contains("--behind-tls"), "{}", said(&wide));
}

/// A person at a terminal: the command in a terminal of its own (`script`, of util-linux).
struct AtTerminal {
    child: Child,
    seen: String,
}

impl AtTerminal {
    fn begin(place: &Place, desk: &Running, token: &str, arguments: &str) -> Self {
        let command = format!("'{}' {arguments}", env!("CARGO_BIN_EXE_midwatch"));
        let child = Command::new("script")
            .args(["-qefc", &command, "/dev/null"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", place.directory.path())
            .env("SHELL", "/bin/sh")
            .env("MIDWATCH_DESK", &desk.url)
            .env("MIDWATCH_APPROVER_TOKEN", token)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("`script` of util-linux is there");
        Self { child, seen: String::new() }
    }

    /// Reads on until this stands on the terminal.
    fn sees(&mut self, wanted: &str) {
        let mut bytes = [0; 256];
        while !self.seen.contains(wanted) {
            let count = self.child.stdout.as_mut().unwrap().read(&mut bytes).unwrap();
            assert_ne!(count, 0, "no `{wanted}` in {}", self.seen);
            self.seen += &text(&bytes[..count]);
        }
    }

    fn types(&mut self, what: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(what.as_bytes()).unwrap();
        input.flush().unwrap();
    }

    /// Its exit code, and everything that stood there.
    fn ends(mut self) -> (i32, String) {
        let mut rest = Vec::new();
        self.child.stdout.as_mut().unwrap().read_to_end(&mut rest).unwrap();
        (self.child.wait().unwrap().code().unwrap(), self.seen + &text(&rest))
    }
}

fn signal(name: &str, child: &Child) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_is_typed_after_the_question_or_it_is_none() {
    let place = Place::new().await;
    assert!(place.run(&["keys", "create"]).status.success());
    let first = place.add(&["first-on-call", "--role", "oncall"]);
    let asker = place.add(&["midwatch", "--kind", "asker"]);
    let desk = place.start();
    let filed = DeskOverHttp::new(&desk.url, &asker).unwrap().file(asking()).await.unwrap();
    let line = format!("approve {}", filed.shown.request);
    let approvers = || {
        let shown = place.answer(
            &desk,
            &first,
            &["approvals", "show", filed.shown.request.as_str(), "--format", "json"],
        );
        json(&shown)["state"]["approvers"].as_array().unwrap().len()
    };
    for answer in ["n\n", "\n", "yess\n"] {
        let mut terminal = AtTerminal::begin(&place, &desk, &first, &line);
        terminal.sees("[y/N]");
        terminal.types(answer);
        let (code, seen) = terminal.ends();
        assert!(code == 1 && seen.contains("nothing was approved"), "{answer:?}: {code} {seen}");
        assert!(seen.contains("it leaks") && seen.contains("90 % of the cause, by E1"), "{seen}");
    }
    // A yes that lies in the terminal when the question comes: the desk stands still until it does.
    signal("-STOP", &desk.child);
    let mut terminal = AtTerminal::begin(&place, &desk, &first, &line);
    terminal.types("y\n");
    terminal.sees("y\r\n");
    signal("-CONT", &desk.child);
    terminal.sees("[y/N]");
    terminal.types("\n");
    assert_eq!(terminal.ends().0, 1);
    assert_eq!(approvers(), 0);

    let mut terminal = AtTerminal::begin(&place, &desk, &first, &line);
    terminal.sees("[y/N]");
    terminal.types("y\n");
    let (code, seen) = terminal.ends();
    assert!(code == 0 && seen.contains("still waits for 1 oncall"), "{code} {seen}");
    assert_eq!(approvers(), 1);
}

#[test]
fn the_kill_switch_is_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("stop");
    let run = |what: &str| {
        let file = file.to_str().unwrap();
        Command::new(env!("CARGO_BIN_EXE_midwatch"))
            .args(["kill-switch", what, "--file", file, "--format", "json"])
            .output()
            .unwrap()
    };
    let switch = midwatch_remediation::KillSwitch::new(Some(file.clone()));
    assert_eq!(json(&run("status"))["on"], false);
    for _ in 0..2 {
        assert_eq!(json(&run("on"))["on"], true);
        assert!(switch.engaged().is_some());
    }
    for _ in 0..2 {
        assert_eq!(json(&run("off"))["on"], false);
        assert!(switch.engaged().is_none());
    }
    std::fs::create_dir(&file).unwrap();
    assert_eq!(json(&run("status"))["on"], true, "whatever is there");
}
