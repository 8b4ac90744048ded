//! The API over real HTTP, in front of a desk with a double for the remediation server.

use std::collections::BTreeMap;

use midwatch_mcp::Network;
use midwatch_mcp::reqwest::{Client, Method, RequestBuilder, StatusCode};
use midwatch_policy::{Asking, RequestState, Seal};
use serde_json::{Value, json};

use super::*;
use crate::desk::{
    DeskOverHttp, MemberKind, Trouble,
    bench::{Bench, asking, at, for_subject, incident, of, restart},
    port::Desk as _,
};

struct Served {
    bench: Bench,
    url: String,
    http: Client,
    tokens: BTreeMap<&'static str, String>,
    roster: Roster,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<Result<(), ApiError>>,
    _directory: tempfile::TempDir,
}

impl Served {
    async fn new() -> Self {
        let bench = Bench::new(1);
        let directory = tempfile::tempdir().unwrap();
        let roster = Roster::new(directory.path());
        let oncall = || vec!["oncall".to_owned()];
        let mut tokens = BTreeMap::new();
        for (name, kind, roles) in [
            ("first-on-call", MemberKind::Person, oncall()),
            ("second-on-call", MemberKind::Person, oncall()),
            ("midwatch", MemberKind::Asker, Vec::new()),
            ("another", MemberKind::Asker, Vec::new()),
            ("remediation", MemberKind::Server, Vec::new()),
        ] {
            tokens.insert(name, roster.add(name, kind, roles, at(0)).unwrap());
        }
        let settings = ApiSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            hosts: vec!["desk.example.com".to_owned()],
            behind_tls: false,
            network: Network::Open,
        };
        let bound = bind(Arc::clone(&bench.office), roster.clone(), settings).await.unwrap();
        let url = format!("http://{}", bound.local_addr());
        let stop = CancellationToken::new();
        let serving = tokio::spawn(bound.run(Arc::clone(&bench.clock) as Arc<_>, stop.clone()));
        // Any client: the desk's own sets the provider of TLS.
        drop(DeskOverHttp::new(&url, "x").unwrap());
        let http = Client::builder().no_proxy().build().unwrap();
        Self { bench, url, http, tokens, roster, stop, serving, _directory: directory }
    }

    fn call(&self, who: &str, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.tokens[who])
    }

    fn desk(&self, who: &str) -> DeskOverHttp {
        DeskOverHttp::new(&self.url, &self.tokens[who]).unwrap()
    }
}

async fn kind_of(call: RequestBuilder) -> (StatusCode, String) {
    let answer = call.send().await.unwrap();
    let status = answer.status();
    let body: Value = answer.json().await.unwrap();
    (status, body["error"]["kind"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn from_asking_to_the_seal_over_http() {
    let served = Served::new().await;
    let (asker, person) = (served.desk("midwatch"), served.desk("first-on-call"));
    assert_eq!(person.me().await.unwrap().roles, ["oncall"]);
    let filed = served.call("midwatch", Method::POST, "/v1/requests").json(&asking()).send().await.unwrap();
    assert_eq!(filed.status(), StatusCode::CREATED);
    let again = served.call("midwatch", Method::POST, "/v1/requests").json(&asking()).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::OK);
    let view = asker.file(asking()).await.unwrap();
    let id = view.shown.request.clone();
    assert_eq!(person.list(Some("open")).await.unwrap(), std::slice::from_ref(&view));

    let waiting = {
        let (asker, id, seen) = (asker.clone(), id.clone(), view.state.clone());
        tokio::spawn(async move { asker.wait(&id, &seen).await })
    };
    let approved = person.approve(&id, view.digest, None).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), approved);
    let RequestState::Approved { permit, .. } = &approved.state else { panic!("{approved:?}") };

    let wanted = json!({ "subject": "midwatch", "action": restart() });
    let fetch = || served.call("remediation", Method::POST, "/v1/permits/fetch").json(&wanted);
    let fetched: Value = fetch().send().await.unwrap().json().await.unwrap();
    assert_eq!(fetched["request"], id.as_str());
    assert!(fetched["token"].as_str().unwrap().starts_with("v4.public."));
    let check = served.call("remediation", Method::POST, &format!("/v1/permits/{permit}/check"));
    let check = check.json(&json!({ "store": "s-1" }));
    assert_eq!(check.send().await.unwrap().json::<Value>().await.unwrap(), json!({ "good": true }));
    let used = served.call("remediation", Method::POST, &format!("/v1/permits/{permit}/used"));
    let used: Value = used.json(&json!({ "outcome": "done" })).send().await.unwrap().json().await.unwrap();
    assert_eq!(used["state"]["state"], "used");
    assert_eq!(kind_of(fetch()).await, (StatusCode::NOT_FOUND, "not_found".to_owned()));

    let head = midwatch_policy::Digest::of(b"head");
    let signature = asker.seal(&incident(), 4, head).await.unwrap();
    let keys = person.keys().await.unwrap().accepted();
    assert_eq!(Seal::open(&signature, &keys).unwrap().entries, 4);
    let hold = person.set_hold(&incident(), "take", "mine").await.unwrap();
    assert_eq!(asker.hold(&incident()).await.unwrap(), hold);
    assert!(asker.file(asking()).await.unwrap_err().is(Trouble::Held));
    person.set_hold(&incident(), "return", "").await.unwrap();
    let again = asker.file(asking()).await.unwrap();
    person.decline(&again.shown.request, "no").await.unwrap();
    assert!(asker.file(asking()).await.unwrap_err().is(Trouble::DeclinedBefore));
    let raised = person.raise(&again.shown.request).await.unwrap();
    let withdrawn = asker.withdraw(&raised.shown.request, "cleared").await.unwrap();
    assert_eq!(withdrawn.state.as_str(), "withdrawn");
}

/// Every call, with everyone who may not make it, and with nobody.
#[tokio::test]
async fn every_call_is_for_its_principals() {
    let served = Served::new().await;
    let view = served.desk("midwatch").file(asking()).await.unwrap();
    let id = &view.shown.request;
    let (get, post) = (Method::GET, Method::POST);
    let shown = json!({ "shown": view.digest });
    let wanted = json!({ "subject": "midwatch", "action": restart() });
    let seal = json!({ "entries": 1, "head": view.digest });
    let (person, asker, server) = ("first-on-call", "midwatch", "remediation");
    let all = [
        (&get, "/v1/me".to_owned(), json!(null), vec![]),
        (&get, "/v1/requests".to_owned(), json!(null), vec![]),
        (&get, format!("/v1/requests/{id}"), json!(null), vec![]),
        (&get, "/v1/given-back".to_owned(), json!(null), vec![person, server]),
        (&get, "/v1/incidents/inc-1".to_owned(), json!(null), vec![]),
        (&post, "/v1/requests".to_owned(), json!(asking()), vec![person]),
        (&post, "/v1/requests".to_owned(), json!(for_subject("agent")), vec![person, asker]),
        (&post, format!("/v1/requests/{id}/approve"), shown, vec![asker, server]),
        (&post, format!("/v1/requests/{id}/decline"), json!({ "reason": "no" }), vec![asker, server]),
        (&post, format!("/v1/requests/{id}/raise"), json!({}), vec![asker, server]),
        (&post, format!("/v1/requests/{id}/withdraw"), json!({ "why": "no" }), vec![]),
        (&post, "/v1/permits/fetch".to_owned(), wanted, vec![person, asker]),
        (&post, "/v1/permits/mwp-1/check".to_owned(), json!({ "store": "s-1" }), vec![person, asker]),
        (&post, "/v1/permits/mwp-1/used".to_owned(), json!({ "outcome": "done" }), vec![person, asker]),
        (&post, "/v1/permits/mwp-1/revoke".to_owned(), json!({ "reason": "no" }), vec![asker, server]),
        (&post, "/v1/incidents/inc-1/take".to_owned(), json!({ "note": "" }), vec![asker, server]),
        (&post, "/v1/incidents/inc-1/stop".to_owned(), json!({ "note": "" }), vec![asker, server]),
        (&post, "/v1/incidents/inc-1/return".to_owned(), json!({ "note": "" }), vec![asker, server]),
        (&post, "/v1/incidents/inc-1/seal".to_owned(), seal, vec![person, server]),
    ];
    for (method, path, body, refused) in &all {
        let send = |call: RequestBuilder| if body.is_null() { call } else { call.json(body) };
        for who in refused {
            let answer = kind_of(send(served.call(who, (*method).clone(), path))).await;
            assert_eq!(answer, (StatusCode::FORBIDDEN, "not_allowed".to_owned()), "{who} {method} {path}");
        }
        let bare = || served.http.request((*method).clone(), format!("{}{path}", served.url));
        let wrong = "0".repeat(64);
        let twice = format!("Bearer {}", served.tokens[person]);
        let nobody = [
            bare(),
            bare().bearer_auth(&wrong),
            bare().bearer_auth(""),
            bare().header("authorization", format!("Basic {}", served.tokens[person])),
            bare().header("authorization", &twice).header("authorization", &twice),
        ];
        for call in nobody {
            let answer = kind_of(send(call)).await;
            assert_eq!(answer, (StatusCode::UNAUTHORIZED, "unauthenticated".to_owned()), "{method} {path}");
        }
    }
    assert_eq!(served.bench.office.view(&served.bench.first, id).unwrap(), view, "nothing was changed");
    // Another supervisor does not see it, and cannot touch it.
    for (method, path) in
        [(&get, format!("/v1/requests/{id}")), (&post, format!("/v1/requests/{id}/withdraw"))]
    {
        let call = served.call("another", method.clone(), &path).json(&json!({ "why": "no" }));
        assert_eq!(kind_of(call).await.0, StatusCode::NOT_FOUND);
    }
    // Who was removed is out at once.
    served.roster.remove("first-on-call").unwrap();
    assert_eq!(kind_of(served.call(person, get.clone(), "/v1/me")).await.0, StatusCode::UNAUTHORIZED);
    let open = ["/healthz", "/v1/keys"].map(|path| served.http.get(format!("{}{path}", served.url)));
    for call in open {
        assert_eq!(call.send().await.unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn bodies_are_read_strictly() {
    let served = Served::new().await;
    let file = || served.call("midwatch", Method::POST, "/v1/requests");
    let good = serde_json::to_string(&asking()).unwrap();
    let with = |more: &str| format!("{{{more},{}", good.strip_prefix('{').unwrap());
    let bad = [
        ("nothing", String::new()),
        ("no JSON", "{".to_owned()),
        ("an unknown field", with("\"force\":true")),
        ("a repeated field", with("\"reason\":\"another\"")),
        ("an unknown argument", good.replace("\"service\":\"a\"", "\"service\":\"a\",\"force\":true")),
        ("a look-alike", good.replace("\"service\":\"a\"", "\"service\":\"\u{430}\"")),
        ("two values", format!("{good}{good}")),
        ("too long", with(&format!("\"reason\":\"{}\"", "x".repeat(70_000)))),
    ];
    for (what, body) in bad {
        let call = file().header("content-type", "application/json").body(body);
        assert_eq!(kind_of(call).await, (StatusCode::BAD_REQUEST, "invalid".to_owned()), "{what}");
    }
    let form = file().header("content-type", "text/plain").body(good.clone());
    assert_eq!(kind_of(form).await.0, StatusCode::BAD_REQUEST);
    for path in ["/v1/requests?state=open&x=1", "/v1/requests/req-1?wait=-1", "/v1/requests/req-1?wait=1"] {
        assert_eq!(
            kind_of(served.call("midwatch", Method::GET, path)).await.0,
            StatusCode::BAD_REQUEST,
            "{path}"
        );
    }
    for path in ["/v1/requests/..%2f", "/v1/requests/req%0a", "/v1/nothing", "/v1/permits/a%20b/check"] {
        let call = if path.ends_with("check") {
            served.call("remediation", Method::POST, path).json(&json!({ "store": "s-1" }))
        } else {
            served.call("remediation", Method::GET, path)
        };
        assert_eq!(kind_of(call).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(served.bench.office.list(&served.bench.first, None).unwrap(), []);
    let call = file().header("content-type", "application/json").body(good);
    assert_eq!(call.send().await.unwrap().status(), StatusCode::CREATED, "the good one was good");
}

#[tokio::test]
async fn no_browser_and_no_other_host() {
    let served = Served::new().await;
    let me = || served.call("first-on-call", Method::GET, "/v1/me");
    for origin in ["https://evil.example", "null", served.url.as_str()] {
        assert_eq!(kind_of(me().header("origin", origin)).await.0, StatusCode::FORBIDDEN, "{origin}");
    }
    for (host, good) in [
        ("localhost", true),
        ("127.0.0.1:1", true),
        ("[::1]:8720", true),
        ("DESK.example.com", true),
        ("evil.example", false),
        ("127.0.0.1.evil.example", false),
        ("localhost@evil.example", false),
        ("user@localhost", false),
    ] {
        let status = me().header("host", host).send().await.unwrap().status();
        assert_eq!(status.is_success(), good, "{host}: {status}");
    }
}

#[tokio::test]
async fn an_address_that_is_not_loopback_wants_tls_in_front() {
    let bench = Bench::new(1);
    let directory = tempfile::tempdir().unwrap();
    let roster = Roster::new(directory.path());
    let listen = "0.0.0.0:0".parse().unwrap();
    let settings = ApiSettings { listen, hosts: Vec::new(), behind_tls: false, network: Network::Open };
    let refused = bind(Arc::clone(&bench.office), roster, settings).await;
    assert!(matches!(refused, Err(ApiError::Plain(_))), "{refused:?}");
}

#[tokio::test]
async fn a_desk_that_stops_answers_who_waits() {
    let served = Served::new().await;
    let view = served.desk("midwatch").file(asking()).await.unwrap();
    let path = format!("/v1/requests/{}?wait=30&seen=open", view.shown.request);
    let waiting = tokio::spawn(served.call("midwatch", Method::GET, &path).send());
    tokio::time::sleep(Duration::from_millis(100)).await;
    served.stop.cancel();
    let answer = tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    tokio::time::timeout(Duration::from_secs(5), served.serving).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn many_approvals_at_once_over_http_make_one_permit() {
    let served = Served::new().await;
    let view = served.desk("midwatch").file(asking()).await.unwrap();
    let calls = ["first-on-call", "second-on-call"].into_iter().cycle().take(12).map(|who| {
        let (desk, id, digest) = (served.desk(who), view.shown.request.clone(), view.digest);
        tokio::spawn(async move { desk.approve(&id, digest, None).await })
    });
    let mut permits = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        if let Ok(view) = call.await.unwrap() {
            permits.push(view.state);
        }
    }
    assert_eq!(permits.len(), 1, "{permits:?}");
    let other = for_subject("agent");
    let other =
        served.call("remediation", Method::POST, "/v1/requests").json(&Asking { action: of("s1"), ..other });
    assert_eq!(other.send().await.unwrap().status(), StatusCode::CREATED);
}
