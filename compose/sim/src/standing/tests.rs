//! A standing world: told what to play, asked by roles, gone on with after a restart.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinHandle};

use super::*;
use crate::scenario::Scenario;

const CASE: &str = "pool-exhaustion-after-deploy";

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

/// A standing world of its own, and a bus that takes what it sends.
struct Bench {
    wire: String,
    control: String,
    http: reqwest::Client,
    stop: CancellationToken,
    serving: JoinHandle<Result<(), StandingError>>,
}

impl Bench {
    async fn start(bus: Option<String>, roles: Option<PathBuf>, kept: &Path) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let kept = Some(kept.join("playing.json"));
        let settings = Settings { scenarios: scenarios(), listen: any, control: any, bus, roles, kept };
        let stop = CancellationToken::new();
        let (tell, told) = tokio::sync::oneshot::channel();
        let serving = tokio::spawn(stand(settings, stop.clone(), |at, control| {
            let _ = tell.send((at, control));
        }));
        let (at, control) = told.await.unwrap();
        let (wire, control) = (format!("http://{at}"), format!("http://{control}"));
        Self { wire, control, http: reqwest::Client::builder().no_proxy().build().unwrap(), stop, serving }
    }

    async fn end(self) {
        self.stop.cancel();
        drop(self.http);
        self.serving.await.unwrap().unwrap();
    }

    async fn fire(&self, scenario: &str) -> (u16, Value) {
        let told = Told { scenario: scenario.to_owned() };
        let answer = self.http.post(format!("{}/playing", self.control)).json(&told).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn playing(&self) -> Value {
        self.http.get(format!("{}/playing", self.control)).send().await.unwrap().json().await.unwrap()
    }

    async fn call(&self, key: &str, target: &str, input: Value) -> (u16, Value) {
        let signed =
            format!("AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/x/aws4_request, Signature=0");
        let call = self.http.post(&self.wire).header("x-amz-target", target).header("authorization", signed);
        let answer = call.body(input.to_string()).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

/// Takes events as an EventBridge does; refuses the first few.
async fn bus(refuse: usize) -> (String, mpsc::UnboundedReceiver<Value>) {
    let (sender, events) = mpsc::unbounded_channel();
    let refused = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let app = Router::new().fallback(move |body: Bytes| {
        let (sender, refused) = (sender.clone(), Arc::clone(&refused));
        async move {
            if refused.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < refuse {
                return axum::Json(
                    json!({"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]}),
                );
            }
            let entries: Value = serde_json::from_slice(&body).unwrap();
            let detail = entries["Entries"][0]["Detail"].as_str().unwrap();
            sender.send(serde_json::from_str(detail).unwrap()).unwrap();
            axum::Json(json!({"FailedEntryCount": 0}))
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, events)
}

async fn next(events: &mut mpsc::UnboundedReceiver<Value>) -> Value {
    tokio::time::timeout(Duration::from_secs(20), events.recv()).await.unwrap().unwrap()
}

#[tokio::test]
async fn what_is_told_is_played_and_its_alarm_reaches_the_bus_however_often_that_refuses() {
    let kept = tempfile::tempdir().unwrap();
    let (url, mut events) = bus(1).await;
    let bench = Bench::start(Some(url), None, kept.path()).await;
    let (status, nothing) = bench.call("AKIA1", "CodeDeploy_20141006.ListDeployments", json!({})).await;
    assert_eq!(status, 503);
    assert!(nothing["message"].as_str().unwrap().contains("fire"), "{nothing}");
    assert_eq!(bench.fire("no-such-thing").await.0, 404);
    let (status, played) = bench.fire(CASE).await;
    assert_eq!((status, played["scenario"].as_str()), (200, Some(CASE)));
    let event = next(&mut events).await;
    assert_eq!(event["source"], "aws.cloudwatch");
    assert_eq!(event["detail"]["alarmName"], "checkout-api-5xx-error-rate");
    assert_eq!(event["detail"]["state"]["value"], "ALARM");
    let age = wall().duration_since(event["time"].as_str().unwrap().parse().unwrap());
    assert!(age.as_secs().abs() < 300, "it is played now, and not when the scenario says: {age:?}");
    bench.end().await;
}

#[tokio::test]
async fn after_a_restart_it_is_the_same_world_and_nothing_is_sent_twice() {
    let kept = tempfile::tempdir().unwrap();
    let (url, mut events) = bus(0).await;
    let bench = Bench::start(Some(url.clone()), None, kept.path()).await;
    bench.fire(CASE).await;
    next(&mut events).await;
    let input = json!({"cluster": "production", "service": "cart-service", "desiredCount": 5});
    let listed = bench.call("AKIA1", "AmazonEC2ContainerServiceV20141113.ListServices", json!({})).await;
    let (status, updated) =
        bench.call("AKIA1", "AmazonEC2ContainerServiceV20141113.UpdateService", input).await;
    assert_eq!(status, 200, "{updated} {listed:?}");
    let before = bench.playing().await;
    assert_eq!(before["mutations"].as_array().unwrap().len(), 1);
    bench.end().await;

    let bench = Bench::start(Some(url), None, kept.path()).await;
    let after = bench.playing().await;
    assert_eq!((&before["scenario"], &before["began"]), (&after["scenario"], &after["began"]));
    assert_eq!(before["mutations"], after["mutations"]);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(events.try_recv().is_err(), "the alarm was sent before");
    // What is told now takes the place of what was kept.
    bench.fire("transient-blip").await;
    assert_eq!(next(&mut events).await["detail"]["state"]["value"], "ALARM");
    bench.end().await;
}

#[tokio::test]
async fn a_role_does_what_its_policy_allows_and_only_its_own_key_assumes_it() {
    let kept = tempfile::tempdir().unwrap();
    let file = kept.path().join("roles.toml");
    let policy = |actions: &str| format!(r#"{{"Statement":[{{"Effect":"Allow","Action":{actions}}}]}}"#);
    std::fs::write(kept.path().join("read.json"), policy(r#"["codedeploy:List*"]"#)).unwrap();
    std::fs::write(kept.path().join("act.json"), policy(r#""ecs:UpdateService""#)).unwrap();
    let text = "account = \"123456789012\"\n[role.reader]\nkey = \"AKIAREAD\"\npolicy = \"read.json\"\n\
                [role.actor]\nkey = \"AKIAACT\"\npolicy = \"act.json\"\n";
    std::fs::write(&file, text).unwrap();
    let bench = Bench::start(None, Some(file), kept.path()).await;
    bench.fire(CASE).await;
    let assume = async |key: &str, role: &str| {
        let signed =
            format!("AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/sts/aws4_request, Signature=0");
        let form = format!(
            "Action=AssumeRole&RoleSessionName=s&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2F{role}"
        );
        let call = bench.http.post(format!("{}/", bench.wire)).header("authorization", signed).body(form);
        let answer = call.send().await.unwrap();
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        let key =
            text.split_once("<AccessKeyId>").map(|(_, rest)| rest.split('<').next().unwrap().to_owned());
        (status, key.unwrap_or(text))
    };
    let (status, reader) = assume("AKIAREAD", "reader").await;
    assert_eq!(status, 200, "{reader}");
    assert_eq!(assume("AKIAREAD", "actor").await.0, 403, "another's role");
    let (_, actor) = assume("AKIAACT", "actor").await;
    let update = json!({"cluster": "production", "service": "cart-service", "desiredCount": 5});
    let (list, change) =
        ("CodeDeploy_20141006.ListDeployments", "AmazonEC2ContainerServiceV20141113.UpdateService");
    assert_eq!(bench.call(&reader, list, json!({})).await.0, 200);
    let (status, refused) = bench.call(&reader, change, update.clone()).await;
    assert_eq!((status, refused["__type"].as_str()), (403, Some("AccessDeniedException")), "{refused}");
    assert_eq!(bench.call(&actor, list, json!({})).await.0, 403, "acting is not reading");
    assert_eq!(bench.call("AKIAACT", change, update.clone()).await.0, 403, "a key is not its role");
    assert!(bench.playing().await["mutations"].as_array().unwrap().is_empty());
    assert_eq!(bench.call(&actor, change, update).await.0, 200);
    bench.end().await;
}

#[test]
fn all_scenarios_are_one_account() {
    let out = tempfile::tempdir().unwrap();
    let shelf = Shelf::open(&scenarios()).unwrap();
    shelf.write(out.path()).unwrap();
    let text = std::fs::read_to_string(out.path().join("catalog.toml")).unwrap();
    let catalog = midwatch_policy::Catalog::parse(&text).unwrap();
    assert_eq!(catalog.services().count(), shelf.catalog().len());
    let mut ids = std::collections::BTreeSet::new();
    for (name, _) in shelf.titles() {
        let scenario = Scenario::load(&scenarios().join(&name)).unwrap();
        for service in scenario.catalog().services() {
            assert!(catalog.get(&service.name).is_some(), "{name}: {}", service.name);
        }
        let lead = scenario.spec().services[0].name.parse().unwrap();
        assert_eq!(catalog.get(&lead).unwrap().tier, scenario.catalog().get(&lead).unwrap().tier, "{name}");
        for (file, text) in scenario.runbooks() {
            // A supervisor refuses runbooks of which two have one id.
            if let Ok((Some(contract), _)) = midwatch_policy::RunbookContract::split(text) {
                assert!(ids.insert(contract.id.clone()), "{name}/{file}: the id `{}` is taken", contract.id);
            }
            assert!(out.path().join("runbooks").join(&name).join(file).is_file());
        }
    }
}
