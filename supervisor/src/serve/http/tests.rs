//! Who is let in, and what they are told.

use midwatch_mcp::{
    AwsSettings, SystemClock,
    reqwest::{Client, Response, StatusCode},
};
use midwatch_policy::Clock;
use serde_json::Value;

use super::*;
use crate::{
    deliver::{Deliver, NotifyConfig},
    intake::{
        board::Orders,
        inbox::{Inbox, Noted, Row, Said},
        queue::Queue,
        sources::sns::OverHttps,
    },
    serve::config::Right,
};

const ALARM: &str = r#"{"name":"a","state":"firing","at":"2026-11-21T02:00:00Z"}"#;

#[derive(Debug)]
struct Away;

impl Absent for Away {
    fn absent(&self) -> Vec<String> {
        vec!["server `logs` has not answered yet".to_owned()]
    }
}

struct Stage {
    url: String,
    client: Client,
    reloads: mpsc::Receiver<super::super::daemon::Reload>,
    health: Arc<Health>,
    inbox: Inbox,
    _effects: mpsc::Receiver<crate::intake::door::Effect>,
}

async fn stage(waiting: usize, open: bool) -> Stage {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (sender, effects) = mpsc::channel(64);
    let inbox = Inbox::in_memory().unwrap();
    let queue = Queue::new(1, waiting);
    let (door, mut porter) =
        Door::build(inbox.clone(), Orders::default(), queue, Arc::clone(&clock), sender).await.unwrap();
    tokio::spawn(async move { porter.run(&CancellationToken::new()).await });
    let bound = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let url = format!("http://{}", bound.addr);
    let (reload, reloads) = mpsc::channel(1);
    let health = Arc::new(Health::new(clock.running()));
    health.set_up(true);
    let desk = Desk {
        door,
        inbox: inbox.clone(),
        clock: Arc::clone(&clock),
        sns: Arc::new(Sns::new(Vec::new(), Arc::new(OverHttps::new().unwrap()), Arc::clone(&clock))),
        metrics: Arc::new(Metrics::new(clock.now())),
        health: Arc::clone(&health),
        people: people(&clock).await,
        callers: [
            Caller::new("sender", "alarm-token", vec![Right::Alarms]),
            Caller::new("first-on-call", "person-token", vec![Right::Incidents]),
            Caller::new("operator", "operator-token", vec![Right::Metrics, Right::Reload]),
        ]
        .into(),
        hosts: hosts(&Config::default(), bound.addr),
        long: Arc::new(Semaphore::new(LONG)),
        open,
        tools: Arc::new(Away),
        strangers: Arc::new(Semaphore::new(1)),
        reload,
    };
    tokio::spawn(bound.run(desk, CancellationToken::new()));
    Stage { url, client: Client::new(), reloads, health, inbox, _effects: effects }
}

/// Told by PagerDuty, and told by it who acknowledged.
async fn people(clock: &Arc<dyn Clock>) -> crate::serve::people::People {
    let file = r#"
        [notify.channel.pager]
        kind = "pagerduty"
        url = "http://127.0.0.1:9/v2/enqueue"
        routing_key = { env = "ANY" }
        webhook_secret = { env = "ANY" }
        [[notify.route]]
        name = "all"
        steps = [{ channel = "pager", ack_within = "10m" }]"#;
    let config =
        NotifyConfig::parse(file, &AwsSettings::default(), &|_| Some("any-secret".to_owned())).unwrap();
    let outbox = tempfile::tempdir().unwrap().keep().join("outbox.db");
    let deliver = Deliver::open(config, &outbox, Arc::clone(clock), Arc::default()).await.unwrap();
    crate::serve::people::People::new(Some(deliver), Arc::clone(clock))
}

impl Stage {
    async fn pagerduty(&self, secret: &str, body: &str) -> StatusCode {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
        let signed = format!("v1={}", hex::encode(ring::hmac::sign(&key, body.as_bytes())));
        let asked =
            self.client.post(format!("{}/v1/pagerduty", self.url)).header("x-pagerduty-signature", signed);
        asked.body(body.to_owned()).send().await.unwrap().status()
    }

    async fn post(&self, path: &str, token: &str, body: impl Into<String>) -> Response {
        let asked = self.client.post(format!("{}{path}", self.url)).bearer_auth(token);
        asked.body(body.into()).send().await.unwrap()
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let answer = self.client.get(format!("{}{path}", self.url)).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }
}

#[tokio::test]
async fn an_alarm_is_taken_from_who_is_known_and_says_what_became_of_it() {
    let stage = stage(10, true).await;
    let answer = stage.post("/v1/alarms", "alarm-token", ALARM).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let said: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(said["alarms"][0]["decision"], "opened");
    let again = stage.post("/v1/alarms", "alarm-token", ALARM).await.text().await.unwrap();
    assert!(again.contains("duplicate"), "{again}");
    for (token, status) in [("", 401), ("alarm-token2", 401), ("operator-token", 403)] {
        assert_eq!(stage.post("/v1/alarms", token, ALARM).await.status().as_u16(), status, "{token}");
    }
    let unknown = stage.post("/v1/alarms", "alarm-token", "{\"a\":1}").await;
    assert_eq!(unknown.status(), StatusCode::BAD_REQUEST);
    assert!(unknown.text().await.unwrap().contains("docs/serve.md"));
    let long = stage.post("/v1/alarms", "alarm-token", "x".repeat(ALARMS + 1)).await;
    assert_eq!(long.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let (_, text) = stage.get("/metrics").await;
    let counted = "midwatch_refused_total{source=\"webhook sender\",reason=\"too_long\"} 1";
    assert!(text.contains(counted), "{text}");
    let sns = stage.post("/v1/sns", "", ALARM).await;
    assert_eq!(sns.status(), StatusCode::NOT_FOUND, "no topic is configured");
}

#[tokio::test]
async fn who_brings_too_much_is_told_to_come_again() {
    let stage = stage(1, true).await;
    assert!(stage.post("/v1/alarms", "alarm-token", ALARM).await.status().is_success());
    let (ready, why) = stage.get("/ready").await;
    assert_eq!(ready, StatusCode::SERVICE_UNAVAILABLE, "{why}");
    let full = stage.post("/v1/alarms", "alarm-token", ALARM.replace("\"a\"", "\"b\"")).await;
    assert_eq!(full.status(), StatusCode::SERVICE_UNAVAILABLE, "Alertmanager gives up at 429");
    assert_eq!(full.headers()["retry-after"], "5");
}

#[tokio::test]
async fn what_can_be_read_of_a_group_is_taken_and_what_cannot_is_named_and_counted() {
    let stage = stage(500, true).await;
    let alert = |label: &str, n: usize| {
        let about = "x".repeat(300);
        serde_json::json!({ "status": "firing", "startsAt": "2026-11-21T02:00:00Z",
            "labels": { label: format!("n{n}") }, "annotations": { "summary": about } })
    };
    let group = |alerts: Vec<Value>| serde_json::json!({ "alerts": alerts }).to_string();
    let mixed = group(vec![alert("alertname", 1), alert("instance", 2), alert("alertname", 3)]);
    let answer = stage.post("/v1/alarms", "alarm-token", mixed).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let said: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(said["alarms"].as_array().unwrap().len(), 2);
    assert_eq!(said["refused"][0]["index"], 1);
    assert!(said["refused"][0]["why"].as_str().unwrap().contains("name is empty"), "{said}");
    let (_, text) = stage.get("/metrics").await;
    let counted = "midwatch_alarms_unread_total{source=\"webhook sender\"} 1";
    assert!(text.contains(counted), "{text}");
    let bad = group(vec![alert("instance", 4), alert("instance", 5)]);
    assert_eq!(stage.post("/v1/alarms", "alarm-token", bad).await.status(), StatusCode::BAD_REQUEST);
    // A storm in one message, longer than a queue would take.
    let storm = group((0..1_000).map(|n| alert("alertname", n)).collect());
    assert!(storm.len() > BODY);
    let answer = stage.post("/v1/alarms", "alarm-token", storm.clone()).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let said: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(said["alarms"].as_array().unwrap().len(), 1_000);
    // Nobody who is not known may send that much.
    let long = stage.post("/v1/pagerduty", "", storm).await;
    assert_eq!(long.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn who_is_slow_with_a_body_keeps_out_only_those_who_are_known_by_one() {
    use tokio::io::AsyncWriteExt as _;
    let stage = stage(10, true).await;
    let mut slow = tokio::net::TcpStream::connect(stage.url.trim_start_matches("http://")).await.unwrap();
    slow.write_all(b"POST /v1/sns HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(stage.post("/v1/sns", "", ALARM).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(stage.post("/v1/alarms", "alarm-token", ALARM).await.status(), StatusCode::ACCEPTED);
    drop(slow);
}

#[tokio::test]
async fn no_browser_and_no_other_host() {
    let stage = stage(1, true).await;
    for (header, value) in [("origin", "https://example.com"), ("host", "example.com")] {
        let asked = stage.client.get(format!("{}/live", stage.url)).header(header, value);
        assert_eq!(asked.send().await.unwrap().status(), StatusCode::FORBIDDEN, "{header}");
    }
    assert_eq!(stage.get("/live").await, (StatusCode::OK, "ok\n".to_owned()));
}

#[tokio::test]
async fn health_and_metrics_say_how_it_goes() {
    let stage = stage(10, true).await;
    stage.post("/v1/alarms", "alarm-token", ALARM).await;
    let (ready, said) = stage.get("/ready").await;
    assert_eq!(ready, StatusCode::OK, "a server that is away keeps no alarm out");
    assert!(said.contains("server `logs` has not answered yet"), "{said}");
    let (_, text) = stage.get("/metrics").await;
    for line in [
        "midwatch_alarms_total{source=\"webhook sender\",decision=\"opened\"} 1",
        "midwatch_incidents_waiting 1",
        "midwatch_ready 1",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    stage.health.set_up(false);
    assert_eq!(stage.get("/ready").await.0, StatusCode::SERVICE_UNAVAILABLE);
    let wide = self::stage(10, false).await;
    assert_eq!(wide.get("/metrics").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_reload_says_what_is_wrong() {
    let mut stage = stage(1, true).await;
    assert_eq!(stage.post("/v1/reload", "alarm-token", "").await.status(), StatusCode::FORBIDDEN);
    let mut reloads = std::mem::replace(&mut stage.reloads, mpsc::channel(1).1);
    tokio::spawn(async move {
        reloads.recv().await.unwrap().send(Err("the catalog is wrong".to_owned())).unwrap();
        reloads.recv().await.unwrap().send(Ok(())).unwrap();
    });
    let bad = stage.post("/v1/reload", "operator-token", "").await;
    assert_eq!(bad.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(bad.text().await.unwrap().contains("the catalog is wrong"));
    assert_eq!(stage.post("/v1/reload", "operator-token", "").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn people_acknowledge_and_add_notes_in_their_own_name() {
    let stage = stage(10, true).await;
    let opened = stage.post("/v1/alarms", "alarm-token", ALARM).await.text().await.unwrap();
    let opened: Value = serde_json::from_str(&opened).unwrap();
    let incident = opened["alarms"][0]["incident"].as_str().unwrap().to_owned();
    let at = |what: &str| format!("/v1/incidents/{incident}/{what}");
    let note = r#"{"text":"it is the cache"}"#;
    assert_eq!(stage.post(&at("note"), "alarm-token", note).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(stage.post(&at("note"), "person-token", note).await.status(), StatusCode::ACCEPTED);
    assert_eq!(stage.post(&at("acknowledge"), "person-token", "").await.status(), StatusCode::ACCEPTED);
    for body in ["", r#"{"text":"  "}"#, r#"{"text":"x","by":"somebody else"}"#] {
        assert_eq!(stage.post(&at("note"), "person-token", body).await.status(), StatusCode::BAD_REQUEST);
    }
    for what in ["take", "stop"] {
        assert_eq!(stage.post(&at(what), "alarm-token", "").await.status(), StatusCode::FORBIDDEN);
        for body in [r#"{"note":1}"#, r#"{"by":"somebody else"}"#] {
            assert_eq!(stage.post(&at(what), "person-token", body).await.status(), StatusCode::BAD_REQUEST);
        }
    }
    assert_eq!(stage.post(&at("take"), "person-token", "").await.status(), StatusCode::ACCEPTED);
    let why = r#"{"note":"the cache is cold"}"#;
    assert_eq!(stage.post(&at("stop"), "person-token", why).await.status(), StatusCode::ACCEPTED);
    let noted = Noted::Finished { incident: incident.parse().unwrap(), outcome: None, why: None };
    let row = Row { at: SystemClock.now(), source: "test".to_owned(), message: None, noted };
    stage.inbox.append(vec![row]).await.unwrap();
    for (what, status) in [("take", 409), ("stop", 409), ("acknowledge", 202)] {
        assert_eq!(stage.post(&at(what), "person-token", "").await.status().as_u16(), status, "{what}");
    }
    let unknown = stage.post("/v1/incidents/inc-9/note", "person-token", note).await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    let said: Vec<Said> = stage.inbox.unheard(9).await.unwrap().into_iter().map(|heard| heard.said).collect();
    let by = || "first-on-call".to_owned();
    assert_eq!(
        said,
        [
            Said::Note { by: by(), text: "it is the cache".to_owned() },
            Said::Acknowledged { by: by() },
            Said::Took { by: by(), note: String::new() },
            Said::Stopped { by: by(), note: "the cache is cold".to_owned() },
            Said::Acknowledged { by: by() },
        ]
    );
}

#[tokio::test]
async fn who_acknowledges_at_pagerduty_has_the_incident_here() {
    let stage = stage(10, true).await;
    let opened = stage.post("/v1/alarms", "alarm-token", ALARM).await.text().await.unwrap();
    let opened: Value = serde_json::from_str(&opened).unwrap();
    let incident = opened["alarms"][0]["incident"].as_str().unwrap();
    let message = |incident: &str| {
        serde_json::json!({"event": {
            "event_type": "incident.acknowledged",
            "agent": {"type": "user_reference", "summary": "first-on-call"},
            "data": {"incident_key": format!("midwatch/{incident}")},
        }})
        .to_string()
    };
    assert_eq!(stage.pagerduty("another-secret", &message(incident)).await, StatusCode::FORBIDDEN);
    assert_eq!(stage.inbox.unheard(9).await.unwrap().len(), 0, "what is not signed changes nothing");
    assert_eq!(stage.pagerduty("any-secret", "{}").await, StatusCode::BAD_REQUEST);
    assert_eq!(stage.pagerduty("any-secret", &message("inc-9")).await, StatusCode::OK, "no incident of ours");
    assert_eq!(stage.pagerduty("any-secret", &message(incident)).await, StatusCode::ACCEPTED);
    let heard: Vec<Said> =
        stage.inbox.unheard(9).await.unwrap().into_iter().map(|heard| heard.said).collect();
    assert_eq!(heard, [Said::Acknowledged { by: "first-on-call (PagerDuty)".to_owned() }]);
}

#[tokio::test]
async fn what_hangs_is_not_alive_and_what_cannot_be_written_is_not_ready() {
    let stage = stage(10, true).await;
    stage.health.seen("the journal", Err("the disk is full".to_owned()));
    let (ready, why) = stage.get("/ready").await;
    assert!(ready == StatusCode::SERVICE_UNAVAILABLE && why.contains("the disk is full"), "{why}");
    assert_eq!(stage.get("/live").await.0, StatusCode::OK, "a restart would not mend it");
    stage.health.looked(SystemClock.running().checked_sub(Duration::from_mins(4)).unwrap());
    assert_eq!(stage.get("/live").await.0, StatusCode::SERVICE_UNAVAILABLE);
}
