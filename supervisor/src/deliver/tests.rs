//! The whole of it against doubles at the wire.

use std::{collections::BTreeSet, path::PathBuf};

use midwatch_mcp::{AwsSettings, SystemClock};

use super::{
    double::{Came, Does, Double, TestClock, about, alarm, escalation},
    *,
};

const KEY: &str = "0123456789abcdef";

fn ok() -> Does {
    Does::Answers(200, "", "ok".to_owned())
}

fn refuses(status: u16) -> Does {
    Does::Answers(status, "", String::new())
}

fn config(channels: &[(&str, &Double)], routes: &str) -> NotifyConfig {
    use std::fmt::Write as _;
    let mut text = "[notify]\n".to_owned();
    for (name, double) in channels {
        let url = &double.url;
        let _ = write!(text, "[notify.channel.{name}]\nkind='webhook'\nurl='{url}'\nsecret={{env='KEY'}}\n");
    }
    text.push_str(routes);
    NotifyConfig::parse(&text, &AwsSettings::default(), &|_| Some(KEY.to_owned())).unwrap()
}

struct Place {
    directory: tempfile::TempDir,
    clock: TestClock,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), clock: TestClock::at("2026-11-21T02:00:00Z") }
    }

    fn outbox(&self) -> PathBuf {
        self.directory.path().join("incidents.outbox.db")
    }

    async fn start(&self, config: NotifyConfig) -> Deliver {
        let http = Http::within(Duration::from_millis(500)).unwrap();
        let clock = Arc::new(self.clock.clone());
        let opened = Deliver::open_with(config, &self.outbox(), clock, Arc::default(), http).await;
        let deliver = opened.unwrap();
        deliver.begin().await.unwrap();
        deliver
    }

    /// Moves the clock until it holds, in steps that a real one would take as well.
    async fn until(
        &self,
        deliver: &Deliver,
        what: &str,
        holds: impl Fn(&[NoticeView]) -> bool,
    ) -> Vec<NoticeView> {
        for _ in 0..600 {
            let views = deliver.notices(&id("inc-1")).await.unwrap();
            if holds(&views) {
                return views;
            }
            self.clock.step(1);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never {what}: {:?}", deliver.notices(&id("inc-1")).await);
    }
}

fn id(text: &str) -> IncidentId {
    IncidentId::parse(text).unwrap()
}

fn kinds(came: &[Came]) -> Vec<String> {
    came.iter().filter_map(|c| c.json()["kind"].as_str().map(str::to_owned)).collect()
}

fn phase(views: &[NoticeView], kind: &str) -> Option<String> {
    views.iter().find(|v| v.kind == kind).map(|v| v.phase.clone())
}

const CHAIN: &str = "[[notify.route]]\nname='all'\n\
    steps=[{channel='pager', ack_within='60s', attempts=2}, {channel='lead', ack_within='60s', attempts=2}]";

#[tokio::test]
async fn nobody_acknowledges_and_every_link_hears_until_it_is_red() {
    let (pager, lead) = (Double::that(ok()).await, Double::that(ok()).await);
    let place = Place::new();
    let deliver = place.start(config(&[("pager", &pager), ("lead", &lead)], CHAIN)).await;
    let page = escalation("inc-1", &place.clock);
    assert_eq!(deliver.notify(page.clone()).await.unwrap(), Accepted::Kept(1));
    assert_eq!(deliver.notify(page).await.unwrap(), Accepted::Known);
    pager.until(1).await;
    assert!(deliver.health().await.ok);
    place.until(&deliver, "failed", |views| phase(views, "escalation").as_deref() == Some("failed")).await;
    assert_eq!((pager.came().len(), lead.came().len()), (1, 1));
    let health = deliver.health().await;
    assert!(!health.ok && health.failed[0].incident == "inc-1", "{health:?}");
    assert_eq!(deliver.acknowledge(&id("inc-1"), "first-on-call").await.unwrap(), 1);
    assert!(deliver.health().await.ok);
    assert_eq!(kinds(&lead.until(2).await), ["escalation", "acknowledged"]);
    deliver.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_channel_that_is_down_is_left_and_one_that_hangs_holds_nothing_up() {
    let (pager, lead) = (Double::that(Does::Hangs).await, Double::that(ok()).await);
    let place = Place::new();
    let routes =
        "[[notify.route]]\nname='reports'\nkinds=['report']\nsteps=[{channel='lead'}]\n".to_owned() + CHAIN;
    let deliver = place.start(config(&[("pager", &pager), ("lead", &lead)], &routes)).await;
    deliver.notify(escalation("inc-1", &place.clock)).await.unwrap();
    pager.until(1).await;
    let report = Notice { kind: Kind::Report, ..escalation("inc-2", &place.clock) };
    deliver.notify(report).await.unwrap();
    assert_eq!(kinds(&lead.until(1).await), ["report"], "while the pager hangs");
    place
        .until(&deliver, "at the lead", |views| views[0].channel == "lead" && views[0].phase == "waiting")
        .await;
    assert_eq!(pager.came().len(), 2, "as often as its attempts");
    let keys: BTreeSet<String> = pager.came().iter().map(|c| c.headers[NOTICE].clone()).collect();
    assert_eq!(keys.len(), 1, "under one key");
    deliver.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_page_that_no_channel_takes_is_failed_at_once() {
    let double = Double::that(refuses(400)).await;
    let place = Place::new();
    let deliver = place.start(config(&[("pager", &double), ("lead", &double)], CHAIN)).await;
    deliver.notify(escalation("inc-1", &place.clock)).await.unwrap();
    let views = place.until(&deliver, "failed", |views| views[0].phase == "failed").await;
    assert_eq!(views[0].problem.as_deref(), Some("lead: HTTP 400"));
    assert_eq!(double.came().len(), 2);
    deliver.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn an_alarm_without_an_outcome_is_passed_on_and_reminded_of_until_there_is_one() {
    let double = Double::that(ok()).await;
    let place = Place::new();
    let routes = "[[notify.route]]\nname='all'\nsteps=[{channel='pager'}]";
    let mut config = config(&[("pager", &double)], routes);
    config.raw_alarm_after = Duration::from_mins(2);
    config.remind_every = Duration::from_mins(2);
    let deliver = place.start(config).await;
    deliver.watch(about("inc-1"), &alarm(), place.clock.now()).await.unwrap();
    deliver.watch(about("inc-2"), &alarm(), place.clock.now()).await.unwrap();
    deliver.settle(&id("inc-2")).await.unwrap();
    place.until(&deliver, "reminded", |views| phase(views, "reminder").as_deref() == Some("delivered")).await;
    let came = double.came();
    assert_eq!(kinds(&came), ["raw_alarm", "reminder"]);
    assert!(came.iter().all(|c| c.json()["incident"] == "inc-1"), "the other had an outcome");
    let raw = came[0].json();
    assert!(raw["lines"][0]["text"].as_str().unwrap().starts_with("no outcome after 2 min"), "{raw}");
    deliver.settle(&id("inc-1")).await.unwrap();
    deliver.notify(Notice::all_clear(about("inc-1"), "recovered", place.clock.now())).await.unwrap();
    assert_eq!(kinds(&double.until(3).await)[2], "all_clear");
    deliver.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_was_left_too_long_is_told_first_after_a_start() {
    let double = Double::that(ok()).await;
    let place = Place::new();
    let routes = "[[notify.route]]\nname='all'\nsteps=[{channel='pager'}]";
    let one_at_a_time = |double: &Double| {
        let mut config = config(&[("pager", double)], routes);
        let way = config.channels.remove("pager").unwrap();
        let way = Arc::try_unwrap(way).unwrap();
        config.channels.insert("pager".to_owned(), Arc::new(Way { at_a_time: 1, ..way }));
        config
    };
    let deliver = place.start(one_at_a_time(&double)).await;
    deliver.drain(Duration::from_secs(5)).await;
    deliver.watch(about("inc-1"), &alarm(), place.clock.now()).await.unwrap();
    deliver.notify(Notice { kind: Kind::Report, ..escalation("inc-2", &place.clock) }).await.unwrap();
    assert_eq!(double.came().len(), 0, "it has ended");
    drop(deliver);
    place.clock.step(3600);
    let deliver = place.start(one_at_a_time(&double)).await;
    let views = deliver.notices(&id("inc-1")).await.unwrap();
    assert_eq!(views[0].kind, "raw_alarm", "durable before start returns");
    assert_eq!(kinds(&double.until(2).await), ["raw_alarm", "report"]);
    assert!(double.came()[0].json().to_string().contains("was not running"));
    deliver.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_store_that_does_not_work_is_red_and_the_page_leaves_all_the_same() {
    let (pager, lead) = (Double::that(refuses(500)).await, Double::that(ok()).await);
    let place = Place::new();
    let deliver = place.start(config(&[("pager", &pager), ("lead", &lead)], CHAIN)).await;
    let breaker = rusqlite::Connection::open(place.outbox()).unwrap();
    breaker.busy_timeout(Duration::from_secs(5)).unwrap();
    breaker.execute_batch("ALTER TABLE deliveries RENAME TO gone").unwrap();
    let error = deliver.notify(escalation("inc-1", &place.clock)).await.unwrap_err();
    assert!(matches!(&error, DeliverError::NotKept { told: Some(told), .. } if told == "lead"), "{error:?}");
    assert!(error.to_string().contains("sent once, by `lead`"));
    let health = deliver.health().await;
    assert!(!health.ok && health.problem.is_some(), "{health:?}");
    breaker.execute_batch("ALTER TABLE gone RENAME TO deliveries").unwrap();
    deliver.notify(escalation("inc-1", &place.clock)).await.unwrap();
    lead.until(1).await;
    deliver.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_cannot_be_kept_reaches_one_of_each_chain_once_and_goes_its_whole_way_later() {
    let (pager, lead, team) = (Double::that(ok()).await, Double::that(ok()).await, Double::that(ok()).await);
    team.first([refuses(500)]);
    let place = Place::new();
    let routes = "[[notify.route]]\nname='team'\nsteps=[{channel='team'}]\nalso=true\n".to_owned() + CHAIN;
    let config = config(&[("pager", &pager), ("lead", &lead), ("team", &team)], &routes);
    let deliver = place.start(config).await;
    let breaker = rusqlite::Connection::open(place.outbox()).unwrap();
    breaker.busy_timeout(Duration::from_secs(5)).unwrap();
    breaker.execute_batch("ALTER TABLE deliveries RENAME TO gone").unwrap();
    for told_by in ["pager", "team`, `pager", "team`, `pager"] {
        let error = deliver.notify(escalation("inc-1", &place.clock)).await.unwrap_err();
        assert!(
            matches!(&error, DeliverError::NotKept { told: Some(told), .. } if told == told_by),
            "{error}"
        );
    }
    assert_eq!((team.came().len(), pager.came().len(), lead.came().len()), (2, 1, 0));
    breaker.execute_batch("ALTER TABLE gone RENAME TO deliveries").unwrap();
    assert_eq!(deliver.notify(escalation("inc-1", &place.clock)).await.unwrap(), Accepted::Kept(2));
    pager.until(2).await;
    team.until(3).await;
    deliver.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn new_routes_count_from_now_on_and_a_channel_that_is_gone_is_left() {
    let (pager, lead) = (Double::that(ok()).await, Double::that(ok()).await);
    let place = Place::new();
    let deliver = place.start(config(&[("pager", &pager), ("lead", &lead)], CHAIN)).await;
    deliver.notify(escalation("inc-1", &place.clock)).await.unwrap();
    pager.until(1).await;
    let routes = "[[notify.route]]\nname='all'\nsteps=[{channel='other'}]";
    deliver.reload(config(&[("other", &pager)], routes), Arc::default());
    place.until(&deliver, "failed", |views| views[0].phase == "failed").await;
    assert_eq!(lead.came().len(), 0, "the configuration has it no more");
    deliver.notify(escalation("inc-3", &place.clock)).await.unwrap();
    pager.until(2).await;
    deliver.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn another_process_acknowledges_and_the_daemon_follows() {
    let (pager, lead) = (Double::that(ok()).await, Double::that(ok()).await);
    let place = Place::new();
    let deliver = place.start(config(&[("pager", &pager), ("lead", &lead)], CHAIN)).await;
    deliver.notify(escalation("inc-1", &place.clock)).await.unwrap();
    place.until(&deliver, "waiting", |views| views[0].phase == "waiting").await;
    let beside = Beside::open(&place.outbox(), Arc::new(place.clock.clone())).unwrap();
    assert_eq!(beside.notices(None).await.unwrap().len(), 1);
    assert_eq!(beside.acknowledge(&id("inc-1"), "first-on-call\n").await.unwrap(), 1);
    place.until(&deliver, "told", |views| phase(views, "acknowledged").as_deref() == Some("delivered")).await;
    for _ in 0..20 {
        place.clock.step(10);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(lead.came().len(), 0);
    assert!(beside.health().await.unwrap().ok);
    deliver.drain(Duration::from_secs(5)).await;
}

/// The half of the next test that is killed.
#[tokio::test]
#[ignore = "run, and killed, by `what_a_killed_process_left_is_sent_by_the_next`"]
async fn killed() {
    let (Ok(url), Ok(path)) = (std::env::var("MIDWATCH_TEST_URL"), std::env::var("MIDWATCH_TEST_OUTBOX"))
    else {
        panic!("it is run by another test")
    };
    let text = format!(
        "[notify]\n[notify.channel.pager]\nkind='webhook'\nurl='{url}'\nsecret={{env='KEY'}}\n\
         [[notify.route]]\nname='all'\nsteps=[{{channel='pager'}}]"
    );
    let config = NotifyConfig::parse(&text, &AwsSettings::default(), &|_| Some(KEY.to_owned())).unwrap();
    let deliver =
        Deliver::open(config, &PathBuf::from(path), Arc::new(SystemClock), Arc::default()).await.unwrap();
    deliver.begin().await.unwrap();
    for number in 0_u32.. {
        deliver.notify(escalation(&format!("inc-{number}"), &SystemClock)).await.unwrap();
        // Said only once it is durable; whoever listens holds us to it.
        println!("kept inc-{number}");
    }
}

#[tokio::test]
async fn what_a_killed_process_left_is_sent_by_the_next() {
    use tokio::io::{AsyncBufReadExt as _, BufReader};

    let double = Double::that(ok()).await;
    double.first([ok(), ok(), refuses(500), Does::Hangs, Does::HangsUp, Does::Hangs, Does::Hangs]);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox.db");
    let mut kept = BTreeSet::new();
    for round in 0..3 {
        let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "deliver::tests::killed", "--ignored", "--nocapture"])
            .env("MIDWATCH_TEST_URL", &double.url)
            .env("MIDWATCH_TEST_OUTBOX", &path)
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut heard = 0;
        while heard < 8 + round * 7 {
            let line = lines.next_line().await.unwrap().expect("the child ended by itself");
            if let Some((_, number)) = line.split_once("kept ") {
                kept.insert(number.trim().to_owned());
                heard += 1;
            }
        }
        child.kill().await.unwrap();
    }
    assert!(kept.len() >= 22, "{}", kept.len());
    let text = format!(
        "[notify]\n[notify.channel.pager]\nkind='webhook'\nurl='{}'\nsecret={{env='KEY'}}\n\
         [[notify.route]]\nname='all'\nsteps=[{{channel='pager'}}]",
        double.url
    );
    let config = NotifyConfig::parse(&text, &AwsSettings::default(), &|_| Some(KEY.to_owned())).unwrap();
    double.then(ok());
    let deliver = Deliver::open(config, &path, Arc::new(SystemClock), Arc::default()).await.unwrap();
    deliver.begin().await.unwrap();
    let heard = |double: &Double| -> BTreeSet<String> {
        double.came().iter().filter_map(|c| c.json()["incident"].as_str().map(str::to_owned)).collect()
    };
    for _ in 0..1_500 {
        if deliver.health().await.pending == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let health = deliver.health().await;
    assert!(health.ok && health.pending == 0, "{health:?}");
    let missing: Vec<&String> = kept.iter().filter(|id| !heard(&double).contains(*id)).collect();
    assert!(missing.is_empty(), "kept and never sent: {missing:?}");
    // At least once: each under one key, however often it came.
    let mut keys: std::collections::BTreeMap<String, BTreeSet<String>> = std::collections::BTreeMap::new();
    for came in double.came() {
        let body = came.json();
        keys.entry(body["incident"].to_string()).or_default().insert(body["notice"].to_string());
    }
    assert!(keys.values().all(|keys| keys.len() == 1), "{keys:?}");
    deliver.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_trial_says_of_each_channel_whether_it_works() {
    let (good, bad) = (Double::that(ok()).await, Double::that(refuses(403)).await);
    let config = config(&[("pager", &good), ("lead", &bad)], CHAIN);
    let clock = TestClock::at("2026-11-21T02:00:00Z");
    let tried = try_route(&config, "all", &id("trial-1"), &clock).await.unwrap().unwrap();
    assert_eq!(tried[0].problem, None);
    assert_eq!(tried[1].problem.as_deref(), Some("HTTP 403"));
    assert_eq!(good.came()[0].json()["kind"], "test");
    assert!(try_route(&config, "none", &id("trial-1"), &clock).await.unwrap().is_none());
}

#[tokio::test]
async fn what_a_person_has_is_not_waited_for_again_and_what_has_ended_is_settled_before_a_start() {
    let double = Double::that(ok()).await;
    let place = Place::new();
    let routes = "[[notify.route]]\nname='all'\nsteps=[{channel='pager'}]";
    let deliver = place.start(config(&[("pager", &double)], routes)).await;
    deliver.watch(about("inc-1"), &alarm(), place.clock.now()).await.unwrap();
    deliver.acknowledge(&id("inc-1"), "first-on-call").await.unwrap();
    // As after a restart, when all that is open is watched.
    deliver.watch(about("inc-1"), &alarm(), place.clock.now()).await.unwrap();
    deliver.acknowledge(&id("inc-2"), "first-on-call").await.unwrap();
    deliver.watch(about("inc-2"), &alarm(), place.clock.now()).await.unwrap();
    assert_eq!(deliver.watched().await.unwrap(), []);
    deliver.watch(about("inc-3"), &alarm(), place.clock.now()).await.unwrap();
    deliver.drain(Duration::from_secs(5)).await;
    drop(deliver);
    place.clock.step(3600);
    let http = Http::within(Duration::from_millis(500)).unwrap();
    let clock = Arc::new(place.clock.clone());
    let config = config(&[("pager", &double)], routes);
    let deliver = Deliver::open_with(config, &place.outbox(), clock, Arc::default(), http).await.unwrap();
    assert_eq!(deliver.watched().await.unwrap(), [id("inc-3")]);
    deliver.settle(&id("inc-3")).await.unwrap();
    deliver.begin().await.unwrap();
    deliver.drain(Duration::from_secs(5)).await;
    assert_eq!(double.came().len(), 0);
}

#[tokio::test]
async fn an_outbox_that_cannot_be_written_gives_no_sign_of_life() {
    let double = Double::that(ok()).await;
    let place = Place::new();
    let routes = "[[notify.route]]\nname='all'\nsteps=[{channel='pager'}]";
    let deliver = place.start(config(&[("pager", &double)], routes)).await;
    let pulse = deliver.pulse();
    for _ in 0..100 {
        if !pulse.silent().contains(&"outbox") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!pulse.silent().contains(&"outbox"));
    let reader = rusqlite::Connection::open(place.outbox()).unwrap();
    reader.execute_batch("DROP TABLE pulse").unwrap();
    for _ in 0..60 {
        place.clock.step(5);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(pulse.silent().contains(&"outbox"), "nothing was due, and nothing can be written");
    assert!(!deliver.health().await.ok);
}

/// Says what else came in, or hangs.
#[derive(Debug)]
struct Says(Option<crate::others::Others>);

impl crate::others::Company for Says {
    fn of<'a>(
        &'a self,
        _: &'a IncidentId,
        _: &'a Alarm,
    ) -> futures::future::BoxFuture<'a, crate::others::Others> {
        Box::pin(async {
            match &self.0 {
                Some(others) => others.clone(),
                None => std::future::pending().await,
            }
        })
    }
}

#[tokio::test]
async fn what_is_passed_on_names_the_other_alarms_and_who_does_not_answer_holds_nothing_up() {
    let other = crate::others::Other { name: "db-full".to_owned(), service: None };
    let others = crate::others::Others { count: 4, first: vec![other] };
    for (company, headline) in [
        (Says(Some(others)), "checkout-api: alarm without an outcome (and 4 more alarms)"),
        (Says(None), "checkout-api: alarm without an outcome"),
    ] {
        let pager = Double::that(ok()).await;
        let place = Place::new();
        let deliver = place
            .start(config(&[("pager", &pager)], "[[notify.route]]\nname='all'\nsteps=[{channel='pager'}]"))
            .await;
        deliver.ask(Arc::new(company));
        let long_ago = "2026-11-20T23:00:00Z".parse().unwrap();
        for incident in ["inc-1", "inc-2"] {
            deliver.watch(about(incident), &alarm(), long_ago).await.unwrap();
        }
        pager.until(2).await;
        for came in pager.came() {
            assert!(came.json().to_string().contains(&format!("\"{headline}\"")), "{}", came.json());
        }
        deliver.drain(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn a_clock_that_is_set_forward_takes_no_notice_away() {
    let pager = Double::that(ok()).await;
    let route = "[[notify.route]]\nname='all'\nsteps=[{channel='pager'}]";
    let place = Place::new();
    let deliver = place.start(config(&[("pager", &pager)], route)).await;
    deliver.notify(escalation("inc-1", &place.clock)).await.unwrap();
    place
        .until(&deliver, "delivered", |views| phase(views, "escalation").as_deref() == Some("delivered"))
        .await;
    place.clock.set_forward(366 * 86_400);
    // Hours pass in fact, and it is looked each hour.
    for _ in 0..3 {
        place.clock.step(3_601);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(deliver.notices(&id("inc-1")).await.unwrap().len(), 1);
    // Nor does a start believe it.
    deliver.drain(Duration::from_secs(5)).await;
    drop(deliver);
    let deliver = place.start(config(&[("pager", &pager)], route)).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(deliver.notices(&id("inc-1")).await.unwrap().len(), 1);
    // A month that passes in fact does.
    place.clock.step(31 * 86_400);
    for _ in 0..300 {
        if deliver.notices(&id("inc-1")).await.unwrap().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it is kept for ever");
}
