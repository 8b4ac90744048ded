//! Calls without a permit: a request is filed, and nothing else happens.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use midwatch_mcp::{ErrorKind, Principal, PrincipalKind, Remote, RemoteError, ToolError, reqwest::Method};
use midwatch_policy::{Outcome, RequestState, Timestamp, WireError};
use midwatch_remediation::{RemediationServer, SourceError, SpendStore};
use rmcp::{
    ClientHandler, ErrorData, RoleClient, ServiceExt,
    model::{
        CallToolRequestParams, ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult,
        ElicitationAction,
    },
    service::RequestContext,
};
use serde_json::{Value, json};

use crate::{
    bench::{Bench, restart, scale},
    house::{CALLER, DESK, FOREIGN, call},
};

fn said(kind: &str) -> SourceError {
    let (kind, message, mend) = (kind.to_owned(), "a reason".to_owned(), "a remedy".to_owned());
    SourceError::Desk(WireError { kind, message, mend })
}

#[tokio::test]
async fn a_foreign_client_is_answered_with_the_plan_and_the_request_and_acts_once_it_is_approved() {
    let bench = Bench::new("").await;
    let plan = bench.plan(&restart("cart")).await.unwrap();
    let open = bench.view(&plan, FOREIGN, RequestState::filed());
    *bench.desk.answer.lock().unwrap() = Some(Ok(open.clone()));
    let client = bench.house.client(FOREIGN).await;
    let arguments = json!({"service": "cart"});
    let asked = call(&client, "restart_service", &arguments).await;
    assert_eq!(asked["outcome"], "refused", "{asked}");
    assert_eq!(asked["reason"]["kind"], "no_permit");
    assert_eq!(asked["request"]["id"], "request-1");
    assert_eq!(asked["request"]["state"], "open");
    assert_eq!(asked["request"]["whom"], "1 oncall");
    let expires: Timestamp = asked["request"]["expires"].as_str().unwrap().parse().unwrap();
    assert_eq!(expires.as_second(), open.shown.expires_at.as_second());
    assert_eq!(asked["plan"], serde_json::to_value(&plan).unwrap());
    assert_eq!(*bench.desk.asked.lock().unwrap(), [(FOREIGN.to_owned(), restart("cart"))]);
    assert_eq!(bench.world.mutations(), []);

    // A person approves; the same client calls again with the same arguments.
    let mut claims = bench.claims(&plan, "permit-1");
    claims.subject = FOREIGN.to_owned();
    bench.offer(&claims);
    let supervisor = bench.act(&restart("cart")).await;
    assert_eq!(supervisor["reason"]["kind"], "bad_permit", "another caller: {supervisor}");
    let done = call(&client, "restart_service", &arguments).await;
    assert_eq!(done["outcome"], "done", "{done}");
    assert_eq!(bench.desk.used.lock().unwrap().get("permit-1"), Some(&Outcome::Done));
    assert_eq!(bench.changes().len(), 1);
}

#[tokio::test]
async fn what_the_desk_refuses_is_said_as_it_is() {
    let bench = Bench::new("").await;
    let plan = bench.plan(&restart("cart")).await.unwrap();
    let at = bench.world.clock().now();
    let declined =
        RequestState::Declined { by: "first-on-call".to_owned(), reason: "not now".to_owned(), at };
    for (answer, kind, says, mend) in [
        (Err(said("forbidden")), "policy", "a reason", "a remedy"),
        (Err(said("declined_before")), "declined", "a reason", "a remedy"),
        (Err(said("limit")), "limit", "a reason", "a remedy"),
        (Err(said("held")), "withdrawn", "a reason", "a remedy"),
        (
            Ok(bench.view(&plan, CALLER, declined)),
            "declined",
            "`first-on-call` declined request `request-1`: not now",
            "a person decides",
        ),
        (
            Ok(bench.view(&plan, CALLER, RequestState::Expired { at })),
            "no_permit",
            "raise it again",
            "call again",
        ),
        // A desk that answers about another caller's request is not believed.
        (
            Ok(bench.view(&plan, FOREIGN, RequestState::filed())),
            "no_desk",
            "something else",
            "looks at the desk",
        ),
    ] {
        *bench.desk.answer.lock().unwrap() = Some(answer);
        let receipt = bench.act(&restart("cart")).await;
        assert_eq!(
            (receipt["outcome"].as_str(), receipt["reason"]["kind"].as_str()),
            (Some("refused"), Some(kind))
        );
        assert!(receipt["reason"]["message"].as_str().unwrap().contains(says), "{receipt}");
        assert!(receipt["reason"]["mend"].as_str().unwrap().contains(mend), "{receipt}");
    }
    // What nobody could approve is not asked at all.
    let before = bench.desk.asked.lock().unwrap().len();
    assert_eq!(bench.act(&scale("ledger", 5)).await["reason"]["kind"], "policy");
    bench.kill_switch.engage();
    assert_eq!(bench.act(&restart("cart")).await["reason"]["kind"], "kill_switch");
    assert_eq!(bench.desk.asked.lock().unwrap().len(), before);
    assert_eq!(bench.world.mutations(), []);
}

#[tokio::test]
async fn a_desk_that_is_away_or_took_it_back_stops_a_good_permit() {
    let bench = Bench::new("").await;
    let plan = bench.plan(&restart("cart")).await.unwrap();
    bench.offer(&bench.claims(&plan, "permit-1"));
    bench.desk.set(&bench.desk.took_back);
    assert_eq!(bench.act(&restart("cart")).await["reason"]["kind"], "withdrawn");
    bench.desk.set(&bench.desk.silent);
    assert_eq!(bench.act(&restart("cart")).await["reason"]["kind"], "no_desk");
    assert_eq!(bench.world.mutations(), []);
    // It was not spent: the same permit acts once the desk stands by it.
    bench.desk.took_back.store(false, Ordering::SeqCst);
    bench.desk.silent.store(false, Ordering::SeqCst);
    assert_eq!(bench.act(&restart("cart")).await["outcome"], "done");
}

#[tokio::test]
async fn a_desk_only_plans_and_whoever_has_no_token_does_nothing() {
    let bench = Bench::new("").await;
    let desk = bench.house.client(DESK).await;
    let planned = call(&desk, "plan", &json!({"action": "restart_service", "service": "cart"})).await;
    assert_eq!(planned["plan"]["action"]["tool"], "restart_service", "{planned}");
    assert_eq!(planned["facts"]["tasks_running"], 4, "{planned}");
    let plan = bench.plan(&restart("cart")).await.unwrap();
    let mut claims = bench.claims(&plan, "permit-1");
    claims.subject = DESK.to_owned();
    bench.offer(&claims);
    let refused = call(&desk, "restart_service", &json!({"service": "cart"})).await;
    let error = ToolError::from_structured(&refused).unwrap();
    assert_eq!(error.kind, ErrorKind::Refused, "{refused}");
    for token in ["", "nobody", "mwt_0000000000000000000000000000000000000000000000000000000000000000"] {
        let stranger = Remote::new(&bench.house.url(), token).unwrap();
        let status = stranger.request(Method::POST, "").body("{}").send().await.unwrap().status();
        assert_eq!(status.as_u16(), 401, "{token}");
        assert!(stranger.connect().await.is_err());
    }
    assert!(matches!(Remote::new("http://192.0.2.1/mcp", "t"), Err(RemoteError::Plain { .. })));
    assert_eq!(bench.world.mutations(), []);
}

/// A client that says yes to whatever it is asked.
#[derive(Debug, Clone, Default)]
struct Obliging(Arc<AtomicUsize>);

impl ClientHandler for Obliging {
    fn get_info(&self) -> ClientConfig {
        let mut info = ClientConfig::default();
        info.capabilities = ClientCapabilities::builder().enable_elicitation().build();
        info
    }

    async fn create_elicitation(
        &self,
        _: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(json!({"approve": true})))
    }
}

#[tokio::test]
async fn a_client_that_offers_to_ask_its_person_is_not_asked_and_nothing_changes() {
    let bench = Bench::new("").await;
    let mut config = midwatch_remediation::RemediationConfig {
        source: Some(Arc::clone(&bench.desk) as Arc<_>),
        keys: [bench.key.public().unwrap()].into_iter().collect::<midwatch_policy::PublicKeys>().into(),
        ..midwatch_remediation::RemediationConfig::planning_only(SpendStore::in_memory().unwrap())
    };
    config.local_caller = Some(Principal::new(FOREIGN, PrincipalKind::AgentClient).unwrap());
    let aws = midwatch_mcp::Aws::new(midwatch_mcp::AwsSettings::local(bench.world.endpoint(), "us-east-1"));
    let ctx = midwatch_mcp::Ctx::new(aws, Arc::new(bench.world.catalog().clone()), bench.world.clock());
    let server = RemediationServer::new(ctx, config);
    let (theirs, ours) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        let running = midwatch_mcp::Guarded::new(server).serve(theirs).await.unwrap();
        running.waiting().await.unwrap();
    });
    let person = Obliging::default();
    let client = person.clone().serve(ours).await.unwrap();
    for (tool, arguments) in [
        ("restart_service", json!({"service": "cart"})),
        ("scale_service", json!({"service": "cart", "desired_count": 6})),
    ] {
        let request = CallToolRequestParams::new(tool).with_arguments(arguments.as_object().unwrap().clone());
        let answer: Value = client.call_tool(request).await.unwrap().structured_content.unwrap();
        assert_eq!(answer["outcome"], "refused", "{answer}");
    }
    assert_eq!(person.0.load(Ordering::SeqCst), 0, "the client's person was asked");
    assert_eq!(bench.world.mutations(), []);
}
