//! A world, the remediation server over HTTP in front of it, and a desk that gives whatever it was told to.

use std::{path::Path, sync::Arc};

use midwatch_mcp::Client;
use midwatch_policy::{
    Action, Approver, Ask, Attested, AwsName, CallerKind, Claimed, Claims, Digest, IncidentId, PermitId,
    Plan, PublicKeys, RequestId, RequestState, RequestView, ServiceName, Shown, SignedDuration, SigningKey,
    Timestamp, sign,
};
use midwatch_remediation::{KillSwitch, Offer, PermitSource, RemediationConfig, SpendStore};
use midwatch_sim::{Scenario, World};
use serde_json::{Value, json};

use crate::{
    desk::Desk,
    house::{AUDIENCE, CALLER, CALLERS, House, call},
};

const BASE: &str = r#"
title = "Changes"
time = 2026-11-21T02:04:00Z
seed = 7

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
name = "ledger"
tier = 0
deploys_with = "ecs"
protected = true
scale = { min = 1, max = 8 }

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

pub(crate) struct Bench {
    pub(crate) world: World,
    pub(crate) house: House,
    /// The supervisor's connection.
    pub(crate) client: Client,
    pub(crate) desk: Arc<Desk>,
    pub(crate) key: SigningKey,
    pub(crate) kill_switch: KillSwitch,
}

pub(crate) fn scenario(extra: &str) -> Scenario {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("scenario.toml"), format!("{BASE}\n{extra}")).unwrap();
    Scenario::load(directory.path()).unwrap_or_else(|error| panic!("{error}"))
}

impl Bench {
    pub(crate) async fn new(extra: &str) -> Self {
        Self::with_store(extra, SpendStore::in_memory().unwrap()).await
    }

    pub(crate) async fn with_store(extra: &str, spend: SpendStore) -> Self {
        Self::with(extra, spend, |_| ()).await
    }

    pub(crate) async fn with(
        extra: &str,
        spend: SpendStore,
        change: impl FnOnce(&mut RemediationConfig),
    ) -> Self {
        let world = World::start(scenario(extra)).await.unwrap();
        let key = SigningKey::generate().unwrap();
        let (desk, kill_switch) = (Arc::new(Desk::default()), KillSwitch::default());
        let (house, client) = open(&world, &key, &desk, &kill_switch, spend, change).await;
        Self { world, house, client, desk, key, kill_switch }
    }

    /// Another server process over the same world and desk.
    pub(crate) async fn restarted(self, store: &Path) -> Self {
        let Self { world, house, client, desk, key, kill_switch } = self;
        drop(client);
        house.end().await;
        // What the server was built from goes with its last connection; the store is free then.
        for _ in 0..200 {
            if let Ok(spend) = SpendStore::open(store) {
                let (house, client) = open(&world, &key, &desk, &kill_switch, spend, |_| ()).await;
                return Self { world, house, client, desk, key, kill_switch };
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("the store was not let go");
    }

    pub(crate) async fn call(&self, tool: &'static str, arguments: &Value) -> Value {
        call(&self.client, tool, arguments).await
    }

    /// The plan of an action, or the error in its place.
    pub(crate) async fn plan(&self, action: &Action) -> Result<Plan, Value> {
        let mut arguments = action.arguments();
        arguments.insert("action".to_owned(), json!(action.kind()));
        let answer = self.call("plan", &Value::Object(arguments)).await;
        serde_json::from_value(answer["plan"].clone()).map_err(|_| answer)
    }

    /// What a person who approved this plan now has signed.
    pub(crate) fn claims(&self, plan: &Plan, permit: &str) -> Claims {
        claims_at(plan, permit, self.world.clock().now())
    }

    pub(crate) fn offer(&self, claims: &Claims) {
        self.offer_signed(claims, &self.key);
    }

    pub(crate) fn offer_signed(&self, claims: &Claims, key: &SigningKey) {
        let token = sign(claims, key).unwrap().into_string();
        let request = RequestId::parse("request-1").unwrap();
        *self.desk.offer.lock().unwrap() = Some(Offer { request, token });
    }

    /// A request at the desk for a plan, as it answers the server.
    pub(crate) fn view(&self, plan: &Plan, subject: &str, state: RequestState) -> RequestView {
        let now = self.world.clock().now();
        let asks = vec![Ask { role: "oncall".to_owned(), people: 1 }];
        let shown = Shown {
            request: RequestId::parse("request-1").unwrap(),
            incident: IncidentId::parse("inc-1").unwrap(),
            subject: subject.to_owned(),
            caller: CallerKind::AgentClient,
            audience: AUDIENCE.to_owned(),
            plan: plan.clone(),
            facts: Attested {
                change_freeze: false,
                business_hours: false,
                deployments_in_progress: 0,
                tasks_running: 4,
                tasks_affected: 4,
                actions_last_hour: 0,
            },
            reason: String::new(),
            evidence: Vec::new(),
            claimed: None,
            runbook: None,
            contracts: Vec::new(),
            asks: asks.clone(),
            rules: vec!["restart-asks-oncall".to_owned()],
            filed_at: now,
            expires_at: now.checked_add(SignedDuration::from_mins(10)).unwrap(),
        };
        RequestView { digest: shown.digest().unwrap(), wanted: asks, state, shown, raised: None }
    }

    /// Plans, approves and acts.
    pub(crate) async fn approved(&self, action: &Action, permit: &str) -> Value {
        let plan = self.plan(action).await.unwrap_or_else(|error| panic!("{error}"));
        self.offer(&self.claims(&plan, permit));
        self.act(action).await
    }

    pub(crate) async fn act(&self, action: &Action) -> Value {
        self.call(action.kind().tool(), &Value::Object(action.arguments())).await
    }

    /// The changes that took effect, as `api`.
    pub(crate) fn changes(&self) -> Vec<String> {
        self.world.mutations().into_iter().filter(|m| m.accepted).map(|m| m.api).collect()
    }
}

async fn open(
    world: &World,
    key: &SigningKey,
    desk: &Arc<Desk>,
    switch: &KillSwitch,
    spend: SpendStore,
    change: impl FnOnce(&mut RemediationConfig),
) -> (House, Client) {
    let source: Arc<dyn PermitSource> = Arc::clone(desk) as _;
    let keys: PublicKeys = [key.public().unwrap()].into_iter().collect();
    let house = House::start(world, &CALLERS, keys, source, spend, |config| {
        config.kill_switch = switch.clone();
        change(config);
    })
    .await;
    let client = house.client(CALLER).await;
    (house, client)
}

/// What a person who approved this plan at this time has signed, for the supervisor.
pub(crate) fn claims_at(plan: &Plan, permit: &str, now: Timestamp) -> Claims {
    Claims {
        permit: PermitId::parse(permit).unwrap(),
        request: RequestId::parse("request-1").unwrap(),
        incident: IncidentId::parse("inc-1").unwrap(),
        subject: CALLER.to_owned(),
        audience: AUDIENCE.to_owned(),
        tool: plan.action.kind(),
        schema: Action::schema_digest().unwrap(),
        arguments: plan.action.digest().unwrap(),
        terms: plan.terms.clone(),
        approvers: vec![Approver {
            name: "first-on-call".to_owned(),
            role: "oncall".to_owned(),
            channel: "terminal".to_owned(),
        }],
        policies: vec!["changes-ask-oncall".to_owned()],
        shown: Digest::of_json(plan).unwrap(),
        runbook: None,
        held_to: Vec::new(),
        claimed: Some(sure()),
        not_before: now,
        expires: now.checked_add(SignedDuration::from_mins(10)).unwrap(),
    }
}

/// What a supervisor says that is sure of itself.
pub(crate) fn sure() -> Claimed {
    Claimed {
        confidence_percent: 90,
        phase: "decide".to_owned(),
        severity: "alarm".to_owned(),
        evidence: vec!["pattern".to_owned()],
    }
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
