//! kill -9 between every two steps of an act: whatever was begun is never done a second time, and
//! what was not begun is still good.
//!
//! The server is this test binary run once more as a process of its own, with the same gate, store,
//! HTTP and desk client as the product. What it talks to (desk and AWS) stands in this process and
//! holds still at the chosen step; that is when it is killed, from outside.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use midwatch_mcp::{
    Aws, AwsSettings, Ctx, KeyEntry, KeyFile, KeyState, Principals, Remote, Standing, SystemClock,
    http::{self, Access, HttpSettings},
    reqwest,
};
use midwatch_policy::{Catalog, Clock as _, Plan, Service, SigningKey, sign};
use midwatch_remediation::{DeskOverHttp, RemediationConfig, RemediationServer, SpendStore};
use midwatch_sim::World;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    bench::{claims_at, scale, scenario},
    house::{AUDIENCE, CALLER, CALLERS, call, let_in},
};

/// Where it stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Fetch,
    Read,
    Check,
    /// The change has arrived, and has no effect yet.
    Sent,
    /// The change took effect; the answer is under way.
    Answered,
    /// It is on record; the desk is told.
    Used,
}

/// What desk and AWS share: where to stand still, how long a change is under way, what the desk offers and
/// what it was told of.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    still: Mutex<Option<Step>>,
    reached: Notify,
    /// Told when a change has come to the wire.
    pub(crate) under_way: Notify,
    /// How long a change is under way, to AWS and back.
    pub(crate) slow: Mutex<Duration>,
    pub(crate) offer: Mutex<Value>,
    pub(crate) aws: Mutex<String>,
    /// The paths and outcomes of what the desk was told.
    pub(crate) told: Mutex<Vec<(String, Value)>>,
}

impl Stage {
    async fn pass(&self, step: Step) {
        if *self.still.lock().unwrap() == Some(step) {
            self.reached.notify_one();
            std::future::pending::<()>().await;
        }
    }

    fn stand_still(&self, at: Option<Step>) {
        *self.still.lock().unwrap() = at;
    }
}

/// A desk that offers the same permit for ever and always stands by it.
pub(crate) async fn desk(State(stage): State<Arc<Stage>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let body = to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let answer = if path.ends_with("/fetch") {
        stage.pass(Step::Fetch).await;
        stage.offer.lock().unwrap().clone()
    } else if path.ends_with("/check") {
        stage.pass(Step::Check).await;
        json!({"good": true})
    } else if path.ends_with("/used") {
        stage.pass(Step::Used).await;
        let said: Value = serde_json::from_slice(&body).unwrap();
        stage.told.lock().unwrap().push((path, said["outcome"].clone()));
        json!({})
    } else {
        return StatusCode::NOT_FOUND.into_response();
    };
    Json(answer).into_response()
}

/// The world, with a place to stand still before it and behind it.
pub(crate) async fn aws(State(stage): State<Arc<Stage>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let changes =
        head.headers.get("x-amz-target").is_some_and(|t| t.to_str().unwrap().ends_with("UpdateService"));
    stage.pass(if changes { Step::Sent } else { Step::Read }).await;
    let slow = *stage.slow.lock().unwrap();
    if changes {
        stage.under_way.notify_one();
        tokio::time::sleep(slow).await;
    }
    let to = format!("{}{}", stage.aws.lock().unwrap(), head.uri);
    let mut forward = reqwest::Client::builder().no_proxy().build().unwrap().request(head.method, to);
    for (name, value) in head.headers.iter().filter(|(name, _)| *name != "host" && *name != "content-length")
    {
        forward = forward.header(name, value);
    }
    let answer = forward.body(body.to_vec()).send().await.unwrap();
    if changes {
        stage.pass(Step::Answered).await;
        tokio::time::sleep(slow).await;
    }
    let mut response = Response::builder().status(answer.status());
    for (name, value) in
        answer.headers().iter().filter(|(name, _)| *name != "content-length" && *name != "transfer-encoding")
    {
        response = response.header(name, value);
    }
    response.body(Body::from(answer.bytes().await.unwrap())).unwrap()
}

pub(crate) async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{addr}")
}

/// Not a test of its own: the process that is killed. Run by the test below.
#[test]
#[ignore = "the process that the test of this module kills"]
fn the_server() {
    let Some(home) = std::env::var_os("MIDWATCH_KILLED").map(PathBuf::from) else { return };
    let read = |name: &str| std::fs::read_to_string(home.join(name)).unwrap();
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
        let remote = Remote::new(&read("desk"), "token-of-this-server").unwrap();
        let services: Vec<Service> = serde_json::from_str(&read("catalog")).unwrap();
        let config = RemediationConfig {
            audience: AUDIENCE.to_owned(),
            local_caller: None,
            source: Some(Arc::new(DeskOverHttp::new(remote))),
            keys: Standing::keys_in(home.join("keys.toml")),
            ..RemediationConfig::planning_only(SpendStore::open(&home.join("spent.db")).unwrap())
        };
        let aws = Aws::new(AwsSettings::local(read("aws"), "us-east-1"));
        let ctx = Ctx::new(aws, Arc::new(Catalog::new(services).unwrap()), Arc::new(SystemClock));
        let access = Access::Principals(Principals::load(&home.join("callers.toml")).unwrap());
        let settings = HttpSettings { access, ..HttpSettings::on("127.0.0.1:0".parse().unwrap()) };
        let bound = http::bind(RemediationServer::new(ctx, config), settings).await.unwrap();
        std::fs::write(home.join("addr.new"), format!("http://{}{}", bound.local_addr(), http::PATH))
            .unwrap();
        std::fs::rename(home.join("addr.new"), home.join("addr")).unwrap();
        bound.run(CancellationToken::new()).await.unwrap();
    });
}

/// Starts the process; where it is.
#[allow(clippy::zombie_processes, reason = "it is waited for where it is killed")]
async fn start(home: &Path) -> (Child, String) {
    let _ = std::fs::remove_file(home.join("addr"));
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::the_server", "--ignored", "--nocapture"])
        .env("MIDWATCH_KILLED", home)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..600 {
        if let Ok(addr) = std::fs::read_to_string(home.join("addr")) {
            return (child, addr);
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the server did not start");
}

pub(crate) fn kill(mut child: Child) {
    // SIGKILL.
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Waits until the desk was told so of the permit, and of nothing else.
pub(crate) async fn told(stage: &Stage, outcome: &str) {
    for _ in 0..400 {
        let told = stage.told.lock().unwrap().clone();
        let path = "/v1/permits/permit-1/used";
        assert!(told.iter().all(|(of, said)| of == path && said == outcome), "{outcome}: {told:?}");
        if !told.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the desk was not told that it was {outcome}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_any_two_steps_it_acts_once_or_not_at_all() {
    for (step, changes, recorded) in [
        (Step::Fetch, 1, "done"),
        (Step::Read, 1, "done"),
        (Step::Check, 1, "done"),
        (Step::Sent, 0, "ambiguous"),
        (Step::Answered, 1, "ambiguous"),
        (Step::Used, 1, "done"),
    ] {
        let world = World::start(scenario("")).await.unwrap();
        let home = tempfile::tempdir().unwrap();
        let stage = Arc::new(Stage::default());
        *stage.aws.lock().unwrap() = world.endpoint().trim_end_matches('/').to_owned();
        let write = |name: &str, text: &str| std::fs::write(home.path().join(name), text).unwrap();
        write("desk", &serve(Router::new().fallback(desk).with_state(Arc::clone(&stage))).await);
        write("aws", &serve(Router::new().fallback(aws).with_state(Arc::clone(&stage))).await);
        let services: Vec<&Service> = world.catalog().services().collect();
        write("catalog", &serde_json::to_string(&services).unwrap());
        let (tokens, callers) = let_in(&CALLERS);
        write("callers.toml", &callers);
        let key = SigningKey::generate().unwrap();
        let public = key.public().unwrap().to_string();
        let entry = KeyEntry { public, state: KeyState::Active, created_at: None, revoked_at: None };
        write("keys.toml", &KeyFile { key: vec![entry] }.render().unwrap());

        let (child, addr) = start(home.path()).await;
        let client = Remote::new(&addr, &tokens[CALLER]).unwrap().connect().await.unwrap();
        let wanted = scale("cart", 6);
        let arguments = Value::Object(wanted.arguments());
        let mut asked = wanted.arguments();
        asked.insert("action".to_owned(), json!(wanted.kind()));
        let planned = call(&client, "plan", &Value::Object(asked)).await;
        let plan: Plan = serde_json::from_value(planned["plan"].clone()).unwrap();
        let offer = |plan: &Plan, permit: &str| {
            let claims = claims_at(plan, permit, SystemClock.now());
            let token = sign(&claims, &key).unwrap().into_string();
            *stage.offer.lock().unwrap() = json!({"request": "request-1", "token": token});
        };
        offer(&plan, "permit-1");

        stage.stand_still(Some(step));
        let sent = arguments.clone();
        let calling = tokio::spawn(async move {
            let request = rmcp::model::CallToolRequestParams::new("scale_service")
                .with_arguments(sent.as_object().unwrap().clone());
            let _ = client.call_tool(request).await;
        });
        tokio::time::timeout(Duration::from_mins(1), stage.reached.notified()).await.unwrap();
        kill(child);
        calling.abort();
        stage.stand_still(None);

        // The same store, the same desk, the same permit: tried again and again. What is in doubt the desk
        // is told before anybody calls.
        for round in 0..2 {
            let (child, addr) = start(home.path()).await;
            if recorded == "ambiguous" && round == 0 {
                told(&stage, "ambiguous").await;
            }
            let client = Remote::new(&addr, &tokens[CALLER]).unwrap().connect().await.unwrap();
            for _ in 0..2 {
                let receipt = call(&client, "scale_service", &arguments).await;
                let allowed = if receipt["outcome"] == "done" { "done" } else { "refused" };
                assert_eq!(receipt["outcome"], allowed, "{step:?}: {receipt}");
            }
            kill(child);
        }
        let accepted = world.mutations().into_iter().filter(|m| m.accepted).count();
        assert_eq!(accepted, changes, "{step:?}");
        let store = SpendStore::open(&home.path().join("spent.db")).unwrap();
        assert_eq!(store.state_of("permit-1").unwrap().as_deref(), Some(recorded), "{step:?}");
        told(&stage, recorded).await;
    }
}
