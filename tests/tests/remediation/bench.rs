//! A world, the remediation server in front of it, and a desk that gives whatever it was told to.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use futures::future::{BoxFuture, ready};
use midwatch_mcp::{Aws, AwsSettings, Client, Ctx, Principal, PrincipalKind, connect_in_process};
use midwatch_policy::{
    Action, Approver, AwsName, Claims, Digest, IncidentId, Outcome, PermitId, Plan, PublicKeys, RequestId,
    RequestView, ServiceName, SignedDuration, SigningKey, sign,
};
use midwatch_remediation::{
    KillSwitch, Offer, PermitSource, RemediationConfig, RemediationServer, SourceError, SpendStore,
};
use midwatch_sim::{Scenario, World};
use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};

pub(crate) const AUDIENCE: &str = "remediation-of-tests";
pub(crate) const CALLER: &str = "supervisor";

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

/// A desk that offers one permit for whatever is asked, as a compromised one might.
#[derive(Debug, Default)]
pub(crate) struct Desk(Mutex<Option<Offer>>);

impl PermitSource for Desk {
    fn permit_for<'a>(
        &'a self,
        _: &'a str,
        _: &'a Action,
    ) -> BoxFuture<'a, Result<Option<Offer>, SourceError>> {
        Box::pin(ready(Ok(self.0.lock().unwrap().clone())))
    }

    fn ask<'a>(&'a self, _: &'a str, _: &'a Action) -> BoxFuture<'a, Result<RequestView, SourceError>> {
        Box::pin(ready(Err(SourceError::Silent("no requests are taken".to_owned()))))
    }

    fn stands<'a>(&'a self, _: &'a PermitId) -> BoxFuture<'a, Result<bool, SourceError>> {
        Box::pin(ready(Ok(true)))
    }

    fn used<'a>(&'a self, _: &'a PermitId, _: Outcome) -> BoxFuture<'a, Result<(), SourceError>> {
        Box::pin(ready(Ok(())))
    }
}

pub(crate) struct Bench {
    pub(crate) world: World,
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
        let world = World::start(scenario(extra)).await.unwrap();
        let key = SigningKey::generate().unwrap();
        let (desk, kill_switch) = (Arc::new(Desk::default()), KillSwitch::default());
        let client = connect(&world, &key, &desk, &kill_switch, spend).await;
        Self { world, client, desk, key, kill_switch }
    }

    /// Another server process over the same world and desk.
    pub(crate) async fn restarted(self, store: &Path) -> Self {
        drop(self.client);
        // The server ends when its client goes; the store is free once it has.
        for _ in 0..200 {
            if let Ok(spend) = SpendStore::open(store) {
                let client = connect(&self.world, &self.key, &self.desk, &self.kill_switch, spend).await;
                return Self { client, ..self };
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("the store was not let go");
    }

    pub(crate) async fn call(&self, tool: &'static str, arguments: &Value) -> Value {
        let request = CallToolRequestParams::new(tool).with_arguments(arguments.as_object().unwrap().clone());
        self.client.call_tool(request).await.unwrap().structured_content.unwrap()
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
        let now = self.world.clock().now();
        Claims {
            permit: PermitId::parse(permit).unwrap(),
            request: RequestId::parse("request-1").unwrap(),
            incident: IncidentId::parse("inc-1").unwrap(),
            subject: CALLER.to_owned(),
            audience: AUDIENCE.to_owned(),
            tool: plan.action.kind(),
            schema: Action::schema_digest().unwrap(),
            arguments: plan.action.digest().unwrap(),
            expected: plan.expected.clone(),
            approvers: vec![Approver {
                name: "first-on-call".to_owned(),
                role: "oncall".to_owned(),
                channel: "terminal".to_owned(),
            }],
            policies: vec!["changes-ask-oncall".to_owned()],
            shown: Digest::of_json(plan).unwrap(),
            runbook: None,
            not_before: now,
            expires: now.checked_add(SignedDuration::from_mins(10)).unwrap(),
        }
    }

    pub(crate) fn offer(&self, claims: &Claims) {
        self.offer_signed(claims, &self.key);
    }

    pub(crate) fn offer_signed(&self, claims: &Claims, key: &SigningKey) {
        let token = sign(claims, key).unwrap().into_string();
        let request = RequestId::parse("request-1").unwrap();
        *self.desk.0.lock().unwrap() = Some(Offer { request, token });
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

async fn connect(
    world: &World,
    key: &SigningKey,
    desk: &Arc<Desk>,
    switch: &KillSwitch,
    spend: SpendStore,
) -> Client {
    let source: Arc<dyn PermitSource> = Arc::clone(desk) as _;
    let config = RemediationConfig {
        audience: AUDIENCE.to_owned(),
        local_caller: Some(Principal::new(CALLER, PrincipalKind::Supervisor).unwrap()),
        source: Some(source),
        keys: [key.public().unwrap()].into_iter().collect::<PublicKeys>().into(),
        kill_switch: switch.clone(),
        ..RemediationConfig::planning_only(spend)
    };
    let aws = Aws::new(AwsSettings::local(world.endpoint(), "us-east-1"));
    let ctx = Ctx::new(aws, Arc::new(world.catalog().clone()), world.clock());
    connect_in_process(RemediationServer::new(ctx, config)).await.unwrap()
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
