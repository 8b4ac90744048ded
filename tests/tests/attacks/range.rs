//! Where the attacks are tried: a world, the remediation server and the desk, each over HTTP, with
//! every caller by a token of its own.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use midwatch::desk::{
    self, ApiSettings, KeyRing, Known, Limits, McpPlanner, MemberKind, Office, OfficeConfig, Roster, Sources,
};
use midwatch_mcp::{
    Aws, AwsSettings, Client, Ctx, KeyEntry, KeyFile, KeyState, NewPrincipal, Principal, PrincipalKind,
    Principals, Remote, Standing,
    http::{self, Access, HttpSettings},
    reqwest::Method,
};
use midwatch_policy::{
    Action, AwsName, Claims, Clock as _, RequestView, Rules, ServiceName, SigningKey, sign,
};
use midwatch_remediation::{
    DeskOverHttp, KillSwitch, Limits as Acting, RemediationConfig, RemediationServer, SpendStore,
};
use midwatch_sim::{Scenario, World};
use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    hand::Hand,
    wire::{Wire, http},
};

/// Name under which permits address the server.
pub(crate) const AUDIENCE: &str = "remediation-of-tests";
/// A supervisor, known to both sides.
pub(crate) const SUPERVISOR: &str = "supervisor";
/// Another agent client of the server.
pub(crate) const EDITOR: &str = "editor-7";
/// The desk, as the server knows it.
pub(crate) const DESK: &str = "desk";
/// People at the desk.
pub(crate) const FIRST: &str = "first-on-call";
pub(crate) const SECOND: &str = "second-on-call";

const HISTORY: &str = r#"
title = "Attacks"
time = 2026-11-21T02:04:00Z
seed = 7
history = "15m"

[[service]]
name = "shop-api"
tier = 1
deploys_with = "codedeploy"
depends_on = ["cart"]
tasks = 3

[[service]]
name = "cart"
tier = 2
deploys_with = "ecs"
tasks = 4
scale = { min = 2, max = 8 }

[[service]]
name = "vault-front"
tier = 0
deploys_with = "ecs"
tasks = 2

[[service]]
name = "ledger"
tier = 0
deploys_with = "ecs"
protected = true
scale = { min = 1, max = 8 }

[[service]]
name = "watched"
tier = 2
deploys_with = "ecs"
autonomy = "advise"

[[deployment]]
service = 'shop-api'
id = 'd-GOOD'
at = '-5h'
commit = 'aaaaaaa'

[[deployment]]
service = 'shop-api'
id = 'd-BAD'
at = '-4m'
takes = '50s'
commit = 'bbbbbbb'

[[fault]]
id = "errors"
service = "shop-api"
at = "-3m"
error_share = 0.2

[[alarm]]
name = "shop-api-errors"
service = "shop-api"
metric = "error_rate"
threshold = 5

[expected]
verdict = "real"
"#;

pub(crate) const POLICY: &str = include_str!("../../../policy/policies/default.cedar");

pub(crate) struct Range {
    pub(crate) world: World,
    pub(crate) clock: Arc<Hand>,
    /// From the server to the desk.
    pub(crate) wire: Arc<Wire>,
    pub(crate) kill_switch: KillSwitch,
    home: TempDir,
    key: SigningKey,
    callers: BTreeMap<String, String>,
    callers_file: String,
    principals: BTreeMap<String, String>,
    desk: String,
    /// From the desk to the server.
    pub(crate) back: Arc<Wire>,
    wire_url: String,
    server: Option<Server>,
    office: Arc<Office>,
    stop: CancellationToken,
}

struct Server {
    addr: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Range {
    pub(crate) async fn new() -> Self {
        Self::with("", |_| ()).await
    }

    /// With more in the scenario, and a last word about the server.
    pub(crate) async fn with(extra: &str, change: impl FnOnce(&mut RemediationConfig)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let played = home.path().join("scenario");
        std::fs::create_dir_all(&played).unwrap();
        std::fs::create_dir_all(home.path().join("runbooks")).unwrap();
        std::fs::write(played.join("scenario.toml"), format!("{HISTORY}\n{extra}")).unwrap();
        let scenario = Scenario::load(&played).unwrap_or_else(|error| panic!("{error}"));
        let world = World::start(scenario).await.unwrap();
        let clock = Arc::new(Hand::on(world.clock()));
        let key = SigningKey::generate().unwrap();
        let (wire, wire_url) = Wire::lay().await;
        let (back, back_url) = Wire::lay().await;
        std::fs::write(home.path().join("policy.cedar"), POLICY).unwrap();
        std::fs::write(home.path().join("calendar.toml"), "").unwrap();

        let (mut callers, mut callers_file) = (BTreeMap::new(), String::new());
        for (name, kind) in [
            (SUPERVISOR, PrincipalKind::Supervisor),
            (EDITOR, PrincipalKind::AgentClient),
            (DESK, PrincipalKind::Desk),
        ] {
            let made = NewPrincipal::make(&Principal::new(name, kind).unwrap()).unwrap();
            callers.insert(name.to_owned(), made.token);
            callers_file += &made.entry;
        }
        let planner = McpPlanner::remote(Remote::new(&format!("{back_url}/mcp"), &callers[DESK]).unwrap());
        let file = |name: &str| home.path().join(name);
        let policy = file("policy.cedar");
        let desk_key = SigningKey::parse(&key.expose_secret()).unwrap();
        let office = Arc::new(
            Office::in_memory(OfficeConfig {
                keys: KeyRing::Own(desk_key),
                sources: Sources {
                    rules: Standing::reading(move || rules_in(&policy)),
                    calendar: Standing::calendar_in(file("calendar.toml")),
                    contracts: Standing::runbooks_in(file("runbooks")),
                },
                catalog: Arc::new(world.catalog().clone()),
                clock: Arc::clone(&clock) as Arc<_>,
                planner: Arc::new(planner),
                audience: AUDIENCE.to_owned(),
                known: Known::Roster(Roster::new(home.path())),
                limits: Limits::default(),
                ask_for: None,
            })
            .unwrap(),
        );
        let roster = Roster::new(home.path());
        let mut principals = BTreeMap::new();
        for (name, kind, roles) in [
            (FIRST, MemberKind::Person, &["oncall"][..]),
            (SECOND, MemberKind::Person, &["oncall", "owner"]),
            ("intern", MemberKind::Person, &["intern"]),
            // The name of an agent client: somebody gave the agent's identity a person's roles.
            ("Editor-7", MemberKind::Person, &["oncall"]),
            (SUPERVISOR, MemberKind::Asker, &[]),
            ("another-supervisor", MemberKind::Asker, &[]),
            (AUDIENCE, MemberKind::Server, &[]),
            ("remediation-of-others", MemberKind::Server, &[]),
        ] {
            let roles = roles.iter().map(|role| (*role).to_owned()).collect();
            principals.insert(name.to_owned(), roster.add(name, kind, roles, clock.now()).unwrap());
        }
        let settings = ApiSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            hosts: Vec::new(),
            behind_tls: false,
            network: midwatch_mcp::Network::Open,
        };
        let bound = desk::bind(Arc::clone(&office), roster, settings).await.unwrap();
        let desk = format!("http://{}", bound.local_addr());
        let stop = CancellationToken::new();
        tokio::spawn(bound.run(Arc::clone(&clock) as Arc<_>, stop.clone()));
        wire.lead_to(&desk);
        let mut range = Self {
            world,
            clock,
            wire,
            kill_switch: KillSwitch::new(Some(home.path().join("stop"))),
            home,
            key,
            callers,
            callers_file,
            principals,
            desk,
            back,
            wire_url,
            server: None,
            office,
            stop,
        };
        range.accept(KeyState::Active);
        range.start(change).await;
        range
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Writes the server's file of keys, the desk's among them in this state.
    pub(crate) fn accept(&self, state: KeyState) {
        let other = SigningKey::generate().unwrap().public().unwrap().to_string();
        let entry = |public: String, state| KeyEntry { public, state, created_at: None, revoked_at: None };
        let ours = entry(self.key.public().unwrap().to_string(), state);
        let file = KeyFile { key: vec![entry(other, KeyState::Retired), ours] };
        self.write("keys.toml", &file.render().unwrap());
    }

    /// The rules of a file, read at each act as the server itself reads them.
    pub(crate) fn rules(&self, name: &str) -> Standing<Rules> {
        let path = self.path(name);
        Standing::reading(move || rules_in(&path))
    }

    async fn start(&mut self, change: impl FnOnce(&mut RemediationConfig)) {
        let mut spend = None;
        for _ in 0..200 {
            match SpendStore::open(&self.path("spent.db")) {
                Ok(store) => spend = Some(store),
                // What the server before was built from goes with its last connection.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
            if spend.is_some() {
                break;
            }
        }
        let remote = Remote::new(&self.wire_url, &self.principals[AUDIENCE]).unwrap();
        let mut config = RemediationConfig {
            audience: AUDIENCE.to_owned(),
            local_caller: None,
            source: Some(Arc::new(DeskOverHttp::new(remote))),
            keys: Standing::keys_in(self.path("keys.toml")),
            kill_switch: self.kill_switch.clone(),
            rules: Some(self.rules("policy.cedar")),
            calendar: Some(Standing::calendar_in(self.path("calendar.toml"))),
            runbooks: Some(Standing::runbooks_in(self.path("runbooks"))),
            change_freeze: Some(self.path("freeze")),
            spend: spend.expect("the store is free"),
            limits: Acting::default(),
            acting_role: None,
        };
        change(&mut config);
        let aws = Aws::new(AwsSettings::local(self.world.endpoint(), "us-east-1"));
        let ctx = Ctx::new(aws, Arc::new(self.world.catalog().clone()), Arc::clone(&self.clock) as Arc<_>);
        let access = Access::Principals(Principals::parse(&self.callers_file).unwrap());
        let settings = HttpSettings { access, ..HttpSettings::on("127.0.0.1:0".parse().unwrap()) };
        let bound = http::bind(RemediationServer::new(ctx, config), settings).await.unwrap();
        let (addr, stop) = (bound.local_addr(), CancellationToken::new());
        let until = stop.clone();
        let serving = tokio::spawn(async move { bound.run(until).await.unwrap() });
        self.back.lead_to(&format!("http://{addr}"));
        self.server = Some(Server { addr, stop, serving });
    }

    /// Ends the server, does something to its files, and starts it again.
    pub(crate) async fn restart(&mut self, meanwhile: impl FnOnce(&Self)) {
        self.restart_with(meanwhile, |_| ()).await;
    }

    pub(crate) async fn restart_with(
        &mut self,
        meanwhile: impl FnOnce(&Self),
        change: impl FnOnce(&mut RemediationConfig),
    ) {
        let Server { stop, serving, .. } = self.server.take().unwrap();
        stop.cancel();
        serving.await.unwrap();
        meanwhile(self);
        self.start(change).await;
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.server.as_ref().unwrap().addr
    }

    pub(crate) fn desk_url(&self) -> &str {
        &self.desk
    }

    /// Who is known at the desk.
    pub(crate) fn roster(&self) -> Roster {
        Roster::new(self.home.path())
    }

    /// A caller's token at the server.
    pub(crate) fn token(&self, caller: &str) -> &str {
        &self.callers[caller]
    }

    /// A principal's token at the desk.
    pub(crate) fn desk_token(&self, principal: &str) -> &str {
        &self.principals[principal]
    }

    pub(crate) async fn client(&self, caller: &str) -> Client {
        let url = format!("http://{}{}", self.addr(), http::PATH);
        Remote::new(&url, self.token(caller)).unwrap().connect().await.unwrap()
    }

    /// A call of a tool; what came back, be it a receipt or an error.
    pub(crate) async fn call(&self, caller: &str, tool: &'static str, arguments: &Value) -> Value {
        let request = CallToolRequestParams::new(tool).with_arguments(arguments.as_object().unwrap().clone());
        self.client(caller).await.call_tool(request).await.unwrap().structured_content.unwrap()
    }

    pub(crate) async fn act_as(&self, caller: &str, action: &Action) -> Value {
        self.call(caller, action.kind().tool(), &Value::Object(action.arguments())).await
    }

    pub(crate) async fn act(&self, action: &Action) -> Value {
        self.act_as(SUPERVISOR, action).await
    }

    /// A call of the desk's API; status and body.
    pub(crate) async fn at_desk(
        &self,
        who: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        self.at_desk_by(self.desk_token(who), method, path, body).await
    }

    pub(crate) async fn at_desk_by(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let mut call = http().request(method, format!("{}{path}", self.desk)).bearer_auth(token);
        if let Some(body) = body {
            call = call.json(body);
        }
        let answer = call.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    pub(crate) async fn post(&self, who: &str, path: &str, body: &Value) -> (u16, Value) {
        self.at_desk(who, Method::POST, path, Some(body)).await
    }

    /// Asked at the desk by the supervisor.
    pub(crate) async fn filed(&self, action: &Action) -> RequestView {
        self.filed_with(action, json!({})).await
    }

    pub(crate) async fn filed_with(&self, action: &Action, more: Value) -> RequestView {
        let (status, view) = self.post(SUPERVISOR, "/v1/requests", &asking(action, more)).await;
        assert!(status == 201 || status == 200, "{status} {view}");
        serde_json::from_value(view).unwrap()
    }

    pub(crate) async fn says(&self, who: &str, view: &RequestView) -> (u16, Value) {
        let path = format!("/v1/requests/{}/approve", view.shown.request);
        self.post(who, &path, &json!({"shown": view.digest})).await
    }

    /// Asked and approved; the permit waits at the desk.
    pub(crate) async fn approved(&self, action: &Action) -> RequestView {
        let view = self.filed(action).await;
        self.approve(&view).await
    }

    pub(crate) async fn approve(&self, view: &RequestView) -> RequestView {
        let mut view = view.clone();
        for who in [FIRST, SECOND] {
            if view.state.is_open() {
                let (status, answer) = self.says(who, &view).await;
                assert_eq!(status, 200, "{answer}");
                view = serde_json::from_value(answer).unwrap();
            }
        }
        assert_eq!(view.state.as_str(), "approved");
        view
    }

    /// What the desk answers the server's question for a permit.
    pub(crate) async fn fetched(&self, subject: &str, action: &Action) -> (u16, Value) {
        self.post(AUDIENCE, "/v1/permits/fetch", &json!({"subject": subject, "action": action})).await
    }

    /// The claims of the permit that waits.
    pub(crate) async fn claims(&self, action: &Action) -> Claims {
        let (status, fetched) = self.fetched(SUPERVISOR, action).await;
        assert_eq!(status, 200, "{fetched}");
        read(fetched["token"].as_str().unwrap())
    }

    /// Puts claims, signed with the desk's own key, in the place of what the desk answers.
    pub(crate) fn offer(&self, claims: &Claims) {
        self.offer_by(claims, &self.key);
    }

    pub(crate) fn offer_by(&self, claims: &Claims, key: &SigningKey) {
        let token = sign(claims, key).unwrap().into_string();
        // A compromised desk names whatever request it likes.
        self.offer_token("request", &token, claims);
    }

    pub(crate) fn offer_token(&self, _: &str, token: &str, claims: &Claims) {
        self.wire.answer("/v1/permits/fetch", json!({"request": claims.request, "token": token}));
        self.wire.answer("/check", json!({"good": true}));
    }

    pub(crate) const fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Everything that reached AWS to change something, taken or not.
    pub(crate) fn tried(&self) -> usize {
        self.world.mutations().len()
    }

    /// Changes something at AWS past everybody, as another operator would.
    pub(crate) async fn elsewhere(&self, target: &str, input: &Value) -> Value {
        let call = http()
            .post(self.world.endpoint())
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", target)
            .header("authorization", "AWS4-HMAC-SHA256 Credential=k/20261121/us-east-1/ecs/aws4_request")
            .body(input.to_string());
        let answer = call.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// How the honest call goes: it acts, and what reached AWS is this one change.
    pub(crate) async fn acts_once(&self, action: &Action) {
        let before = self.tried();
        let receipt = self.act(action).await;
        assert_eq!(receipt["outcome"], "done", "the honest call: {receipt}");
        assert_eq!(self.tried(), before + 1);
    }

    /// The call is refused for this reason, and nothing reached AWS.
    pub(crate) async fn refuses(&self, action: &Action, kind: &str) -> String {
        self.refuses_for(SUPERVISOR, action, kind).await
    }

    /// The supervisor's call without a permit is refused, and nobody is asked: at the server it says nothing
    /// of how certain it is.
    pub(crate) async fn refuses_unasked(&self, action: &Action) {
        let why = self.refuses(action, "policy").await;
        assert!(why.contains("claims-missing"), "{why}");
    }

    pub(crate) async fn refuses_for(&self, caller: &str, action: &Action, kind: &str) -> String {
        let before = self.tried();
        let receipt = self.act_as(caller, action).await;
        assert_eq!(receipt["outcome"], "refused", "{receipt}");
        assert_eq!(receipt["reason"]["kind"], kind, "{receipt}");
        assert_eq!(self.tried(), before, "{receipt}");
        receipt["reason"]["message"].as_str().unwrap().to_owned()
    }
}

impl Drop for Range {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(server) = &self.server {
            server.stop.cancel();
        }
        let _ = &self.office;
    }
}

/// The rules of a file as it is now. The same text is parsed once: that is slow without optimising.
fn rules_in(path: &Path) -> Result<Rules, String> {
    static PARSED: Mutex<BTreeMap<String, Rules>> = Mutex::new(BTreeMap::new());
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    if let Some(rules) = PARSED.lock().unwrap().get(&text) {
        return Ok(rules.clone());
    }
    let rules = Rules::parse(&text).map_err(|error| error.to_string())?;
    PARSED.lock().unwrap().insert(text, rules.clone());
    Ok(rules)
}

/// What a token says, whoever signed it.
pub(crate) fn read(token: &str) -> Claims {
    let body = token.split('.').nth(2).unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(body).unwrap();
    serde_json::from_slice(&bytes[..bytes.len() - 64]).unwrap()
}

#[allow(clippy::needless_pass_by_value, reason = "reads better where it is called")]
pub(crate) fn asking(action: &Action, more: Value) -> Value {
    let mut asking = json!({
        "incident": "inc-1", "action": action, "reason": "it leaks",
        "evidence": [{"id": "E1", "text": "memory grows"}],
        "claimed": {"confidence_percent": 90, "phase": "decide", "severity": "alarm", "evidence": ["E1"]},
    });
    for (key, value) in more.as_object().unwrap() {
        asking[key] = value.clone();
    }
    asking
}

/// Limits that nothing here reaches.
pub(crate) const fn unlimited(config: &mut RemediationConfig) {
    config.limits =
        Acting { per_service_and_hour: 1000, per_hour: 1000, asks_per_caller_and_hour: 1_000_000 };
}

pub(crate) fn rollback(service: &str, deployment: &str) -> Action {
    Action::RollbackDeployment {
        service: ServiceName::parse(service).unwrap(),
        deployment_id: AwsName::parse(deployment).unwrap(),
    }
}

pub(crate) fn restart(service: &str) -> Action {
    Action::RestartService { service: ServiceName::parse(service).unwrap() }
}

pub(crate) fn scale(service: &str, desired_count: u32) -> Action {
    Action::ScaleService { service: ServiceName::parse(service).unwrap(), desired_count }
}

/// Changes an ECS service past everybody.
pub(crate) async fn update(range: &Range, service: &str, more: Value) {
    let found = range.world.catalog().get(&ServiceName::parse(service).unwrap()).unwrap();
    let target = found.ecs.as_ref().unwrap();
    let mut input = json!({"cluster": target.cluster, "service": target.service});
    for (key, value) in more.as_object().unwrap() {
        input[key] = value.clone();
    }
    range.elsewhere("AmazonEC2ContainerServiceV20141113.UpdateService", &input).await;
}
