//! Where the attacks are tried: a world, the remediation server and the desk, each over HTTP, with
//! every caller by a token of its own.

mod calls;
mod words;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use midwatch::desk::{
    self, ApiSettings, KeyRing, Known, Limits, McpPlanner, MemberKind, Office, OfficeConfig, Roster, Sources,
};
use midwatch_mcp::{
    Aws, AwsSettings, Client, Ctx, KeyEntry, KeyFile, KeyState, NewPrincipal, Principal, PrincipalKind,
    Principals, Remote, Standing,
    http::{self, Access, HttpSettings},
};
use midwatch_policy::{Clock as _, Rules, SigningKey};
use midwatch_remediation::{
    DeskOverHttp, KillSwitch, Limits as Acting, RemediationConfig, RemediationServer, SpendStore,
};
use midwatch_sim::{Scenario, World};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{hand::Hand, wire::Wire};

pub(crate) use calls::read;
pub(crate) use words::{asking, catalog, restart, rollback, scale, update};

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

const HISTORY: &str = include_str!("range.toml");

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
        std::fs::write(home.path().join("catalog.toml"), catalog(world.catalog())).unwrap();

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
                    catalog: Standing::catalog_in(file("catalog.toml")),
                    rules: Standing::reading(move || rules_in(&policy)),
                    calendar: Standing::calendar_in(file("calendar.toml")),
                    contracts: Standing::runbooks_in(file("runbooks")),
                },
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
            catalog: Some(Standing::catalog_in(self.path("catalog.toml"))),
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

/// Limits that nothing here reaches.
pub(crate) const fn unlimited(config: &mut RemediationConfig) {
    config.limits =
        Acting { per_service_and_hour: 1000, per_hour: 1000, asks_per_caller_and_hour: 1_000_000 };
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
