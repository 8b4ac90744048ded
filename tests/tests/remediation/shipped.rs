//! kill -9 of the binary that is shipped, at moments that nobody chose: whatever it was doing, the
//! world shows at most one change, the same permit never makes another, and what is in doubt the desk is
//! told of.
//!
//! A change is under way for a while at the wire to AWS. Half of the seeded moments are counted from the
//! call, half from when the change comes to the wire, so that they fall before it, into it and after it,
//! however busy the machine is. The desk is the worst there is: it offers the same permit for ever and stands by it.
//! `MIDWATCH_SEED` says where the seeds begin, `MIDWATCH_SEEDS` how many there are.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use midwatch_mcp::{Client, KeyEntry, KeyFile, KeyState, Remote, SystemClock};
use midwatch_policy::{Action, Clock as _, Plan, Service, SigningKey, sign};
use midwatch_remediation::SpendStore;
use midwatch_sim::World;
use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};

use crate::{
    bench::{claims_at, scale, scenario},
    house::{AUDIENCE, CALLER, CALLERS, call, let_in},
    killed::{Stage, aws, desk, kill, serve, told},
};

/// How long a change is under way, in each direction.
const SLOW: Duration = Duration::from_millis(120);
/// How long after the call, or after the change came to the wire, it is killed at the latest.
const WINDOW_MS: u64 = 400;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// `SplitMix64`.
const fn mixed(seed: u64) -> u64 {
    let z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The binary that was built with this test.
fn binary() -> PathBuf {
    let beside = std::env::var_os("MIDWATCH_BIN").map_or_else(
        || std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned(),
        PathBuf::from,
    );
    let binary = beside.join("midwatch-remediation");
    assert!(binary.exists(), "`{}` is missing: cargo build --workspace --bins", binary.display());
    binary
}

/// Starts it; where it listens.
#[allow(clippy::zombie_processes, reason = "it is waited for where it is killed")]
async fn start(home: &Path, desk: &str, aws: &str) -> (Child, String) {
    let log = home.join("log");
    let child = Command::new(binary())
        .args(["--http", "127.0.0.1:0", "--audience", AUDIENCE, "--desk", desk, "--log", "info"])
        .arg("--callers")
        .arg(home.join("callers.toml"))
        .arg("--catalog")
        .arg(home.join("catalog.toml"))
        .arg("--keys")
        .arg(home.join("keys.toml"))
        .arg("--spend")
        .arg(home.join("spent.db"))
        .env_clear()
        .env("MIDWATCH_DESK_TOKEN", "token-of-this-server")
        .env("AWS_ENDPOINT_URL", aws)
        .env("AWS_ACCESS_KEY_ID", "AKIDLOCAL")
        .env("AWS_SECRET_ACCESS_KEY", "local")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    for _ in 0..1200 {
        let said = std::fs::read_to_string(&log).unwrap();
        if let Some((_, rest)) = said.split_once("addr=") {
            let addr = rest.split_whitespace().next().unwrap();
            return (child, format!("http://{addr}/mcp"));
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the server did not start: {}", std::fs::read_to_string(&log).unwrap());
}

/// A world, a desk and a home for the binary, with a permit that is good.
struct Ready {
    world: World,
    home: tempfile::TempDir,
    stage: Arc<Stage>,
    desk: String,
    aws: String,
    token: String,
}

/// What is permitted.
fn wanted() -> Action {
    scale("cart", 6)
}

impl Ready {
    async fn new(slow: Duration) -> Self {
        let world = World::start(scenario("")).await.unwrap();
        let home = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(home.path().join(name), text).unwrap();
        let stage = Arc::new(Stage::default());
        world.endpoint().trim_end_matches('/').clone_into(&mut stage.aws.lock().unwrap());
        *stage.slow.lock().unwrap() = slow;
        let desk = serve(Router::new().fallback(desk).with_state(Arc::clone(&stage))).await;
        let aws = serve(Router::new().fallback(aws).with_state(Arc::clone(&stage))).await;
        let services: Vec<Service> = world.catalog().services().cloned().collect();
        let services: Vec<Service> =
            services.into_iter().map(|service| Service { role_arn: None, ..service }).collect();
        write("catalog.toml", &toml::to_string(&BTreeMap::from([("service", services)])).unwrap());
        let (tokens, callers) = let_in(&CALLERS);
        write("callers.toml", &callers);
        let token = tokens[CALLER].clone();
        Self { world, home, stage, desk, aws, token }
    }

    fn accepted(&self) -> usize {
        self.world.mutations().into_iter().filter(|m| m.accepted).count()
    }

    async fn start(&self) -> (Child, Client) {
        let (child, url) = start(self.home.path(), &self.desk, &self.aws).await;
        (child, Remote::new(&url, &self.token).unwrap().connect().await.unwrap())
    }

    /// Has the desk offer a permit for what is wanted, as it is planned now.
    async fn permit(&self, client: &Client) {
        let key = SigningKey::generate().unwrap();
        let public = key.public().unwrap().to_string();
        let entry = KeyEntry { public, state: KeyState::Active, created_at: None, revoked_at: None };
        let keys = KeyFile { key: vec![entry] }.render().unwrap();
        std::fs::write(self.home.path().join("keys.toml"), keys).unwrap();
        let mut asked = wanted().arguments();
        asked.insert("action".to_owned(), json!(wanted().kind()));
        let planned = call(client, "plan", &Value::Object(asked)).await;
        let plan: Plan = serde_json::from_value(planned["plan"].clone()).unwrap();
        let token = sign(&claims_at(&plan, "permit-1", SystemClock.now()), &key).unwrap().into_string();
        *self.stage.offer.lock().unwrap() = json!({"request": "request-1", "token": token});
    }

    fn recorded(&self) -> String {
        let store = SpendStore::open(&self.home.path().join("spent.db")).unwrap();
        store.state_of("permit-1").unwrap().unwrap_or_default()
    }
}

fn request() -> CallToolRequestParams {
    CallToolRequestParams::new("scale_service").with_arguments(wanted().arguments())
}

/// What became of one seed: when it was killed, how many changes there were then, and what the record says.
async fn killed_at(seed: u64) -> (u64, usize, String) {
    let ready = Ready::new(SLOW).await;
    let (child, client) = ready.start().await;
    ready.permit(&client).await;
    let stage = &ready.stage;

    let calling = tokio::spawn(async move { drop(client.call_tool(request()).await) });
    let moment = mixed(seed) % WINDOW_MS;
    if seed % 2 == 1 {
        let under_way = stage.under_way.notified();
        tokio::time::timeout(Duration::from_mins(1), under_way).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(moment)).await;
    kill(child);
    // What was under way arrives, or never does.
    tokio::time::sleep(2 * SLOW).await;
    calling.abort();
    let then = ready.accepted();
    let before = if stage.told.lock().unwrap().is_empty() { "nothing" } else { "done" };

    let arguments = Value::Object(wanted().arguments());
    let mut recorded = String::new();
    for round in 0..2 {
        let (child, client) = ready.start().await;
        for _ in 0..2 {
            let receipt = call(&client, "scale_service", &arguments).await;
            // Only what had not begun is done now, and once.
            let fresh = then == 0 && receipt["outcome"] == "done";
            assert!(fresh || receipt["outcome"] == "refused", "seed {seed}, {moment} ms: {receipt}");
            assert!(ready.accepted() <= 1, "seed {seed}, {moment} ms: {:?}", ready.world.mutations());
        }
        kill(child);
        recorded = ready.recorded();
        told(stage, &recorded).await;
        let changes = ready.accepted();
        let sound = match recorded.as_str() {
            "done" => changes == 1,
            // Begun, and cut off: it may have arrived or not, and is never sent again.
            "ambiguous" => changes == then,
            _ => false,
        };
        assert!(sound, "seed {seed}, {moment} ms, round {round}: {recorded}, {changes} changes, {then} then");
    }
    let tale = match (recorded.as_str(), then, before) {
        ("ambiguous", 0, _) => "cut off before AWS took it",
        ("ambiguous", _, _) => "cut off after AWS took it",
        (_, 0, _) => "not begun, done later",
        (_, _, "done") => "done and told",
        _ => "done, told later",
    };
    (moment, ready.accepted(), tale.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_it_acts_once_or_not_at_all() {
    let (first, count) = (number("MIDWATCH_SEED", 1), number("MIDWATCH_SEEDS", 6));
    let mut tales: BTreeMap<String, u32> = BTreeMap::new();
    for seed in first..first + count {
        let (moment, changes, tale) = killed_at(seed).await;
        println!("seed {seed}: killed after {moment} ms: {tale}, {changes} changes");
        *tales.entry(tale).or_default() += 1;
    }
    println!("{tales:?}");
    assert!(count < 6 || tales.len() > 1, "every seed fell into the same moment: {tales:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asked_to_end_while_it_acts_it_brings_the_act_to_its_record() {
    let ready = Ready::new(Duration::from_secs(1)).await;
    let (mut child, client) = ready.start().await;
    ready.permit(&client).await;
    let calling = tokio::spawn(async move { client.call_tool(request()).await });
    tokio::time::timeout(Duration::from_mins(1), ready.stage.under_way.notified()).await.unwrap();
    let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(asked.success());
    let receipt = calling.await.unwrap().unwrap().structured_content.unwrap();
    assert_eq!(receipt["outcome"], "done", "{receipt}");
    let ended = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    assert_eq!(ended.code(), Some(0), "{ended}");
    assert_eq!((ready.accepted(), ready.recorded().as_str()), (1, "done"));
    told(&ready.stage, "done").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asked_to_end_it_brings_an_act_to_its_record_whose_caller_has_gone() {
    let ready = Ready::new(Duration::from_secs(1)).await;
    let (mut child, client) = ready.start().await;
    ready.permit(&client).await;
    let calling = tokio::spawn(async move { client.call_tool(request()).await });
    tokio::time::timeout(Duration::from_mins(1), ready.stage.under_way.notified()).await.unwrap();
    calling.abort();
    let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(asked.success());
    let ended = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    assert_eq!(ended.code(), Some(0), "{ended}");
    assert_eq!((ready.accepted(), ready.recorded().as_str()), (1, "done"));
    told(&ready.stage, "done").await;
}
