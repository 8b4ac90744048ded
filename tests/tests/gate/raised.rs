//! What people give back after an incident has ended, and what the daemon makes of it: a request
//! that is raised again is seen through once, whatever breaks off; an incident that is handed back
//! is looked at anew while its alarm fires.

use std::{path::Path, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use midwatch::{
    desk::Desk as _,
    event::NoView,
    incident::{has_ended, resume},
    intake::inbox::{Inbox, Noted, Row},
    journal::{Draft, Entry, Journal, SqliteJournal},
    run::{Answer, Outcome, Run},
    serve::{Config, Maker, Over, SiteError, Start, run},
    site::Site,
};
use midwatch_mcp::{Aws, AwsSettings, Remote, SystemClock, Turns, reqwest::Method};
use midwatch_policy::{Clock as _, IncidentId, RequestId, RequestView};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::stage::{Manner, Stage, build, scenario};

const TOKEN: &str = "a-token-of-a-test-and-of-nothing-else";
/// A free port, and a caller of that token.
const CONFIG: &str = "[http]\nlisten = '127.0.0.1:0'\n[[caller]]\nname = 'test'\n\
    sha256 = '698913d88062b63db980d4868dd2d6c63552db4d7a65ee4e5d1a358dceb5c455'\n";
const WHO: &str = "first-on-call";
/// Only against hanging.
const LONGEST: Duration = Duration::from_mins(4);
/// Longer than the daemon takes to ask the desk once more.
const A_LOOK: Duration = Duration::from_secs(7);

/// Nobody answers where the incident waits; people are at the desk.
const SILENT: Manner = |_, _| None;

#[derive(Debug)]
struct Same(Site);

impl Maker for Same {
    fn make<'a>(&'a self, _: &'a Config) -> BoxFuture<'a, Result<Site, SiteError>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}

/// The daemon in this process, over a world that stands still while nobody waits in it.
struct House {
    stage: Stage,
    inbox: Inbox,
    directory: tempfile::TempDir,
}

/// One life of it.
struct Daemon {
    task: JoinHandle<()>,
    remote: Remote,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl House {
    async fn new() -> Self {
        let scenario = scenario("pool-exhaustion-after-deploy").beginning_at(SystemClock.now()).unwrap();
        let stage = Box::pin(build(scenario, None, SILENT)).await;
        Self { stage, inbox: Inbox::in_memory().unwrap(), directory: tempfile::tempdir().unwrap() }
    }

    async fn start(&self) -> Daemon {
        let (told, listening) = tokio::sync::oneshot::channel();
        let start = Start {
            config: Config::parse(CONFIG, Path::new("/")).unwrap(),
            file: None,
            over: Over::default(),
            inbox: self.inbox.clone(),
            maker: Arc::new(Same(self.stage.site.clone())),
            clock: Arc::new(SystemClock),
            aws: Aws::new(AwsSettings::local(self.stage.world.endpoint(), "us-east-1")),
            turns: Turns::default(),
            outbox: self.directory.path().join("outbox.db"),
        };
        let task = tokio::spawn(async move {
            Box::pin(run(start, |addr| told.send(addr).unwrap())).await.unwrap();
        });
        let addr = listening.await.unwrap();
        Daemon { task, remote: Remote::new(&format!("http://{addr}"), TOKEN).unwrap() }
    }

    fn journal(&self) -> &dyn Journal {
        self.stage.site.journal.as_ref()
    }

    async fn entries(&self, incident: &IncidentId) -> Vec<Entry> {
        self.journal().read(incident).await.unwrap()
    }

    /// What it came to, once it has this many reports and counts as ended.
    async fn ended(&self, incident: &IncidentId, reports: usize) -> Run {
        for _ in 0..LONGEST.as_millis() / 100 {
            let entries = self.entries(incident).await;
            let reported: Vec<&Entry> = of(&entries, "reported");
            let ended = self.inbox.ended_among(vec![incident.clone()]).await.unwrap();
            if reported.len() >= reports && has_ended(&entries) && !ended.is_empty() {
                assert_eq!(reported.len(), reports);
                return serde_json::from_value(reported[reports - 1].body["run"].clone()).unwrap();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{incident} does not end: {:?}", kinds(&self.entries(incident).await));
    }

    /// An incident whose request nobody answered.
    async fn unanswered(&self, daemon: &Daemon) -> (IncidentId, RequestId) {
        let incident = daemon.bring(&self.stage.world.alarm_event()).await;
        let run = self.ended(&incident, 1).await;
        assert_eq!(run.outcome, Outcome::Escalated, "{run:#?}");
        assert_eq!(run.proposal.as_ref().unwrap().answer, Answer::Expired);
        let entries = self.entries(&incident).await;
        let asked = of(&entries, "asked")[0].body["request"].as_str().unwrap().to_owned();
        assert_eq!(self.stage.world.mutations(), []);
        (incident, RequestId::parse(asked).unwrap())
    }

    /// Raised by a person, and shown to them.
    async fn raised(&self, request: &RequestId) -> RequestView {
        let person = self.stage.desk.as_person(WHO, ["oncall"]);
        person.raise(request).await.unwrap()
    }

    fn approved(&self, view: &RequestView) {
        let person = self.stage.desk.as_person(WHO, ["oncall"]);
        let view = person.approve(&view.shown.request, view.digest, "test").unwrap();
        assert_eq!(view.state.as_str(), "approved");
    }

    /// It was done, once, and helped.
    async fn resolved(&self, incident: &IncidentId, view: &RequestView) {
        let run = self.ended(incident, 2).await;
        assert_eq!(run.outcome, Outcome::Resolved, "{run:#?}");
        assert_eq!((run.actions.len(), run.actions[0].outcome.as_str()), (1, "done"));
        assert!(!run.escalated, "{:?}", run.escalation);
        let proposal = run.proposal.as_ref().unwrap();
        assert_eq!((proposal.answer, proposal.by.as_deref()), (Answer::Approved, Some(WHO)));
        // Both halves are told.
        assert_eq!(run.raised.len(), 1);
        assert_eq!(run.raised[0].request, view.shown.request.as_str());
        let said: Vec<&str> = run.timeline.iter().map(|moment| moment.text.as_str()).collect();
        for part in ["expired", "escalated to a person", "raised the request again", "approved by", ": done"]
        {
            assert!(said.iter().any(|text| text.contains(part)), "{part}: {said:#?}");
        }
        assert!(run.timeline.is_sorted_by_key(|moment| moment.at), "{said:#?}");
        assert!(run.summary.contains(WHO) && !run.claims.is_empty(), "{}", run.summary);
        let entries = self.entries(incident).await;
        for (kind, count) in [("reopened", 1), ("intended", 1), ("acted", 1), ("found", 0), ("routed", 1)] {
            let found = of(&entries, kind).len();
            assert!(found == count || count == 0, "{kind}: {:?}", kinds(&entries));
        }
        let last = entries.iter().rposition(|entry| entry.kind == "reported").unwrap();
        assert!(entries[last..].iter().any(|entry| entry.kind == "sealed"), "{:?}", kinds(&entries[last..]));
        assert_eq!(self.rollbacks(), 1);
        assert_eq!(self.inbox.unfinished().await.unwrap(), []);
    }

    fn rollbacks(&self) -> usize {
        let changes = self.stage.world.mutations();
        changes.iter().filter(|change| format!("{change:?}").contains("CreateDeployment")).count()
    }
}

impl Daemon {
    async fn bring(&self, alarm: &Value) -> IncidentId {
        let answer = self.remote.request(Method::POST, "/v1/alarms").body(alarm.to_string()).send().await;
        let said: Value = serde_json::from_str(&answer.unwrap().text().await.unwrap()).unwrap();
        IncidentId::parse(said["alarms"][0]["incident"].as_str().unwrap_or_else(|| panic!("{said}"))).unwrap()
    }
}

fn of<'a>(entries: &'a [Entry], kind: &str) -> Vec<&'a Entry> {
    entries.iter().filter(|entry| entry.kind == kind).collect()
}

fn kinds(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.kind.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_raised_and_approved_is_done_once_verified_and_reported_again() {
    let house = House::new().await;
    let daemon = house.start().await;
    let (incident, request) = house.unanswered(&daemon).await;
    let view = house.raised(&request).await;
    house.approved(&view);
    house.resolved(&incident, &view).await;
    // Looked at again, by this life of the daemon and the next, nothing more comes of it.
    tokio::time::sleep(A_LOOK).await;
    drop(daemon);
    let daemon = house.start().await;
    tokio::time::sleep(A_LOOK).await;
    house.resolved(&incident, &view).await;
    drop(daemon);
    Box::pin(cut_anywhere(&house, &incident)).await;
}

/// The journal breaks off after what happened since the request was raised, whatever came last: one
/// act, one more report.
async fn cut_anywhere(house: &House, incident: &IncidentId) {
    let entries = house.entries(incident).await;
    let reopened = entries.iter().position(|entry| entry.kind == "reopened").unwrap();
    let last = ["reopened", "answered", "permitted", "intended", "acted", "verified", "closed"];
    for last in last {
        let cut = reopened + 1 + kinds(&entries[reopened..]).iter().position(|kind| *kind == last).unwrap();
        let journal = SqliteJournal::in_memory().unwrap();
        for entry in of(&entries[..cut], "evidence_kept") {
            let piece = house.journal().kept(entry.body["sha256"].as_str().unwrap()).await.unwrap().unwrap();
            journal.keep(vec![piece]).await.unwrap();
        }
        let drafts = entries[..cut].iter().cloned();
        let drafts = drafts.map(|Entry { at, kind, body, .. }| Draft { at, kind, body }).collect();
        journal.append(incident, 0, drafts).await.unwrap();
        let site = Site { journal: Arc::new(journal), ..house.stage.site.clone() };
        let after = kinds(&entries[reopened..cut]);
        let run = resume(incident, &site, Box::new(NoView)).await.unwrap().run(&site).await.run;
        assert_eq!(run.raised.len(), 1, "{after:?}");
        assert_eq!(run.actions.len(), 1, "{after:?}");
        // What was begun is never begun again; what was not is refused, for its permit is used.
        assert_eq!(house.rollbacks(), 1, "{after:?}");
        let begun = after.contains(&"intended");
        assert_eq!(run.outcome == Outcome::Resolved, begun, "{after:?}: {run:#?}");
        let again = site.journal.read(incident).await.unwrap();
        assert!(has_ended(&again) && of(&again, "reported").len() == 2, "{after:?}: {:?}", kinds(&again));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_raised_and_declined_is_not_done_and_reported_again() {
    let house = House::new().await;
    let daemon = house.start().await;
    let (incident, request) = house.unanswered(&daemon).await;
    let view = house.raised(&request).await;
    house.stage.desk.as_person("second-on-call", ["oncall"]).decline(&view.shown.request, "not now").unwrap();
    let run = house.ended(&incident, 2).await;
    assert_eq!((run.outcome, run.escalated), (Outcome::Escalated, true));
    let proposal = run.proposal.unwrap();
    assert_eq!((proposal.answer, proposal.by.as_deref()), (Answer::Declined, Some("second-on-call")));
    assert_eq!((run.actions, house.stage.world.mutations()), (vec![], vec![]));
    // And once more, with another answer.
    let again = house.raised(&view.shown.request).await;
    house.approved(&again);
    let run = house.ended(&incident, 3).await;
    assert_eq!((run.outcome, run.raised.len(), run.actions.len()), (Outcome::Resolved, 2, 1), "{run:#?}");
    assert_eq!(house.rollbacks(), 1);
}

/// The process dies after it is durable that the incident goes on, and before that stands in its
/// journal.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_raised_is_seen_through_though_the_daemon_dies() {
    let house = House::new().await;
    let daemon = house.start().await;
    let (incident, request) = house.unanswered(&daemon).await;
    drop(daemon);
    let view = house.raised(&request).await;
    let noted = Noted::Reopened {
        incident: incident.clone(),
        request: view.shown.request.clone(),
        by: WHO.to_owned(),
    };
    let row = Row { at: SystemClock.now(), source: "desk".to_owned(), message: None, noted };
    house.inbox.append(vec![row]).await.unwrap();
    assert_eq!(house.inbox.unfinished().await.unwrap().len(), 1);
    house.approved(&view);
    let daemon = house.start().await;
    house.resolved(&incident, &view).await;
    drop(daemon);
}

/// Taken over while it is at work, and ended so.
async fn taken_over(house: &House, daemon: &Daemon) -> IncidentId {
    let incident = daemon.bring(&house.stage.world.alarm_event()).await;
    house.stage.desk.as_person(WHO, ["oncall"]).take(&incident, "mine").unwrap();
    assert_eq!(house.ended(&incident, 1).await.outcome, Outcome::TakenOver);
    incident
}

/// What its journal says of the handing back.
async fn handed_back(house: &House, incident: &IncidentId) -> String {
    for _ in 0..LONGEST.as_millis() / 100 {
        if let Some(entry) = of(&house.entries(incident).await, "handed_back").first() {
            assert_eq!(entry.body["by"], json!(WHO));
            return entry.body["text"].as_str().unwrap().to_owned();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nothing is said of it: {:?}", kinds(&house.entries(incident).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_that_is_handed_back_goes_on_as_a_new_one_while_its_alarm_fires() {
    let house = House::new().await;
    let daemon = house.start().await;
    let incident = taken_over(&house, &daemon).await;
    let person = house.stage.desk.as_person(WHO, ["oncall"]);
    person.hand_back(&incident, "yours").unwrap();
    let said = handed_back(&house, &incident).await;
    let next = said.rsplit(' ').next().and_then(|id| IncidentId::parse(id).ok()).unwrap();
    assert!(said.contains("still fires") && next != incident, "{said}");
    let run = house.ended(&next, 1).await;
    assert_eq!(run.proposal.unwrap().answer, Answer::Expired, "it was looked at and asked about anew");
    assert!(handed_back(&house, &next).await.contains(incident.as_str()), "it names the one before");
    // Once, whoever looks.
    drop(daemon);
    let daemon = house.start().await;
    tokio::time::sleep(A_LOOK).await;
    assert_eq!(house.inbox.newest(&["opened"], 10).await.unwrap().len(), 2);
    assert_eq!(of(&house.entries(&incident).await, "handed_back").len(), 1);
    assert_eq!(of(&house.entries(&incident).await, "reported").len(), 1);
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_that_is_handed_back_after_its_alarm_cleared_needs_nothing() {
    let house = House::new().await;
    let daemon = house.start().await;
    let incident = taken_over(&house, &daemon).await;
    let mut ok = house.stage.world.alarm_event();
    ok["detail"]["state"]["value"] = json!("OK");
    ok["detail"]["state"]["timestamp"] =
        json!(SystemClock.now().strftime("%Y-%m-%dT%H:%M:%S.000+0000").to_string());
    assert_eq!(daemon.bring(&ok).await, incident);
    house.stage.desk.as_person(WHO, ["oncall"]).hand_back(&incident, "").unwrap();
    let said = handed_back(&house, &incident).await;
    assert!(said.contains("nothing to be done"), "{said}");
    assert_eq!(house.inbox.newest(&["opened"], 10).await.unwrap().len(), 1);
    assert_eq!(of(&house.entries(&incident).await, "reported").len(), 1);
    // What was stopped is not handed back at all.
    let given = house.stage.desk.given_back().await.unwrap();
    assert_eq!(given.returned.len(), 1, "{given:?}");
}
