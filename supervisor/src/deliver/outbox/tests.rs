use std::time::Duration;

use midwatch_policy::Clock as _;

use super::*;
use crate::deliver::{
    chain::{Perhaps, Try},
    double::{TestClock, about, alarm, escalation},
};

fn id(text: &str) -> IncidentId {
    IncidentId::parse(text).unwrap()
}

fn leg(channels: &[&str], ack: Option<u64>) -> Vec<Leg> {
    let link = |channel: &&str| Link {
        channel: (*channel).to_owned(),
        ack_within: ack.map(Duration::from_secs),
        attempts: 3,
    };
    vec![("all".to_owned(), channels.iter().map(link).collect())]
}

struct Place {
    outbox: Outbox,
    clock: TestClock,
    _directory: tempfile::TempDir,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(&directory.path().join("outbox.db")).unwrap();
    Place { outbox, clock: TestClock::at("2026-11-21T02:00:00.000400Z"), _directory: directory }
}

impl Place {
    async fn claim(&self, channel: &str) -> Vec<Claimed> {
        self.outbox.claim(channel, 10, self.clock.now()).await.unwrap()
    }

    async fn take(&self, claimed: &Claimed) {
        self.outbox.result(claimed.seq, Input::Taken(claimed.attempt), self.clock.now()).await.unwrap();
    }

    async fn put(&self, notice: Notice, legs: Vec<Leg>) -> usize {
        self.outbox.put(notice, legs, self.clock.now()).await.unwrap()
    }

    async fn phases(&self, incident: &str) -> Vec<(String, String)> {
        let views = self.outbox.views(Some(&id(incident)), 100).await.unwrap();
        views.into_iter().rev().map(|v| (v.kind, v.phase)).collect()
    }
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[tokio::test]
async fn a_notice_is_kept_once_and_claimed_once() {
    let place = place();
    let page = escalation("inc-1", &place.clock);
    assert_eq!(place.put(page.clone(), leg(&["pager"], None)).await, 1);
    assert_eq!(place.put(page, leg(&["pager"], None)).await, 0);
    let claimed = place.claim("pager").await;
    assert_eq!(claimed[0].key, "inc-1/escalation/@all#0");
    assert!(place.claim("pager").await.is_empty() && place.claim("topic").await.is_empty());
    place.take(&claimed[0]).await;
    assert_eq!(place.phases("inc-1").await, pairs(&[("escalation", "delivered")]));
    assert_eq!(place.outbox.pending(place.clock.now()).await.unwrap(), (0, 0));
}

#[tokio::test]
async fn the_most_urgent_leave_first() {
    let place = place();
    let report = Notice { kind: Kind::Report, ..escalation("inc-1", &place.clock) };
    place.put(report, leg(&["pager"], None)).await;
    place.put(escalation("inc-2", &place.clock), leg(&["pager"], None)).await;
    let raw = Notice::raw_alarm(about("inc-3"), &alarm(), "late", place.clock.now());
    place.put(raw, leg(&["pager"], None)).await;
    let order: Vec<Kind> = place.claim("pager").await.iter().map(|c| c.notice.kind).collect();
    assert_eq!(order, [Kind::RawAlarm, Kind::Escalation, Kind::Report]);
}

#[tokio::test]
async fn an_all_clear_waits_for_the_page_that_is_on_its_way_and_goes_only_to_those_who_heard() {
    let place = place();
    let clear = |id: &str| Notice::all_clear(about(id), "recovered", place.clock.now());
    assert_eq!(place.put(clear("inc-9"), leg(&["pager"], None)).await, 0, "nobody heard of it");
    place.put(escalation("inc-1", &place.clock), leg(&["pager", "topic"], Some(60))).await;
    let page = place.claim("pager").await.remove(0);
    assert_eq!(place.put(clear("inc-1"), Vec::new()).await, 1);
    assert!(place.claim("pager").await.is_empty(), "the page is still on its way");
    assert_eq!(place.phases("inc-1").await, pairs(&[("escalation", "cancelled"), ("all_clear", "trying")]));
    place.take(&page).await;
    let clear = place.claim("pager").await.remove(0);
    assert_eq!(clear.notice.kind, Kind::AllClear);
    place.take(&clear).await;
    place.clock.step(3600);
    place.outbox.pass(place.clock.now()).await.unwrap();
    assert!(place.claim("topic").await.is_empty(), "the second link never heard of it");
    assert_eq!(
        place.phases("inc-1").await,
        pairs(&[("escalation", "cancelled"), ("all_clear", "delivered")])
    );
}

#[tokio::test]
async fn an_acknowledgement_ends_the_chain_and_is_passed_on() {
    let place = place();
    place.put(escalation("inc-1", &place.clock), leg(&["pager", "lead"], Some(300))).await;
    let page = place.claim("pager").await.remove(0);
    place.take(&page).await;
    place.clock.step(301);
    place.outbox.pass(place.clock.now()).await.unwrap();
    let page = place.claim("lead").await.remove(0);
    place.take(&page).await;
    assert_eq!(place.outbox.acknowledge(&id("inc-1"), "first-on-call", place.clock.now()).await.unwrap(), 1);
    assert_eq!(place.claim("pager").await[0].notice.kind, Kind::Acknowledged);
    assert_eq!(place.claim("lead").await[0].notice.kind, Kind::Acknowledged);
    place.clock.step(3600);
    place.outbox.pass(place.clock.now()).await.unwrap();
    assert!(place.outbox.failed().await.unwrap().is_empty());
    assert_eq!(place.outbox.acknowledge(&id("inc-1"), "second", place.clock.now()).await.unwrap(), 0);
}

#[tokio::test]
async fn an_answered_request_is_not_asked_about_and_the_page_stays() {
    let place = place();
    let asked =
        Notice { kind: Kind::Approval, subject: "req-1".to_owned(), ..escalation("inc-1", &place.clock) };
    place.put(asked, leg(&["team", "pager"], Some(60))).await;
    place.put(escalation("inc-1", &place.clock), leg(&["team", "pager"], Some(60))).await;
    let scope = || Scope::Request("req-1".to_owned());
    assert_eq!(place.outbox.cancel(&id("inc-1"), scope(), place.clock.now()).await.unwrap(), 1);
    assert_eq!(place.outbox.cancel(&id("inc-1"), scope(), place.clock.now()).await.unwrap(), 0);
    assert_eq!(place.phases("inc-1").await, pairs(&[("approval", "cancelled"), ("escalation", "trying")]));
}

#[tokio::test]
async fn what_nobody_got_stays_red_until_somebody_has_it() {
    let place = place();
    place.put(escalation("inc-1", &place.clock), leg(&["pager"], None)).await;
    let page = place.claim("pager").await.remove(0);
    let never = Input::Never { attempt: page.attempt, problem: "HTTP 400".to_owned() };
    let effects = place.outbox.result(page.seq, never, place.clock.now()).await.unwrap();
    assert!(matches!(effects.last(), Some(Effect::Exhausted { .. })));
    let failed = place.outbox.failed().await.unwrap();
    assert_eq!(failed[0].problem.as_deref(), Some("pager: HTTP 400"));
    assert_eq!(failed[0].headline, "checkout-api: a person has to look");
    place.outbox.cancel(&id("inc-1"), Scope::Incident, place.clock.now()).await.unwrap();
    assert_eq!(place.outbox.failed().await.unwrap().len(), 1, "cancelling does not hide it");
    place.outbox.acknowledge(&id("inc-1"), "first-on-call", place.clock.now()).await.unwrap();
    assert!(place.outbox.failed().await.unwrap().is_empty());
}

#[tokio::test]
async fn after_a_crash_it_is_sent_again_under_the_same_key_and_cancelled_stays_cancelled() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox.db");
    let clock = TestClock::at("2026-11-21T02:00:00Z");
    let outbox = Outbox::open(&path).unwrap();
    for id in ["inc-1", "inc-2"] {
        outbox.put(escalation(id, &clock), leg(&["pager"], None), clock.now()).await.unwrap();
    }
    let before = outbox.claim("pager", 10, clock.now()).await.unwrap();
    outbox.cancel(&id("inc-2"), Scope::Incident, clock.now()).await.unwrap();
    assert!(matches!(Outbox::open(&path), Err(OutboxError::Held(_))), "one process sends");
    drop(outbox);
    let outbox = Outbox::open(&path).unwrap();
    outbox.restart(clock.now()).await.unwrap();
    let after = outbox.claim("pager", 10, clock.now()).await.unwrap();
    assert_eq!(after.len(), 1);
    assert_eq!((after[0].key.as_str(), after[0].attempt), (before[0].key.as_str(), before[0].attempt));
}

#[tokio::test]
async fn a_clock_that_jumps_loses_nothing_and_makes_nobody_wait() {
    let place = place();
    place.put(escalation("inc-1", &place.clock), leg(&["pager", "lead"], Some(300))).await;
    let page = place.claim("pager").await.remove(0);
    place.take(&page).await;
    let watch = Watch {
        about: about("inc-2"),
        alarm: alarm(),
        since: place.clock.now(),
        due: place.clock.now() + midwatch_policy::SignedDuration::from_mins(15),
        nth: 0,
    };
    place.outbox.arm(watch).await.unwrap();
    place.clock.step(-7 * 86_400);
    place.outbox.pass(place.clock.now()).await.unwrap();
    place.clock.step(301);
    place.outbox.pass(place.clock.now()).await.unwrap();
    assert_eq!(place.claim("lead").await.len(), 1);
    place.clock.step(601);
    assert_eq!(place.outbox.overdue(place.clock.now()).await.unwrap().len(), 1);
    // And a notice that was put before a step back is not stuck in the future.
    let place = self::place();
    place.put(escalation("inc-1", &place.clock), leg(&["pager"], None)).await;
    place.clock.step(-86_400);
    place.outbox.pass(place.clock.now()).await.unwrap();
    assert_eq!(place.claim("pager").await.len(), 1);
    // Forwards by a year: everything is due at once, nothing is gone.
    place.put(escalation("inc-3", &place.clock), leg(&["pager"], None)).await;
    place.clock.step(365 * 86_400);
    assert_eq!(place.claim("pager").await.len(), 1);
}

#[tokio::test]
async fn an_overdue_alarm_is_told_once_each_time_and_not_after_an_outcome() {
    let place = place();
    let watch = Watch {
        about: about("inc-1"),
        alarm: alarm(),
        since: place.clock.now(),
        due: place.clock.now(),
        nth: 0,
    };
    place.outbox.arm(watch.clone()).await.unwrap();
    let raw = Notice::raw_alarm(about("inc-1"), &alarm(), "late", place.clock.now());
    let hour = Duration::from_hours(1);
    for _ in 0..2 {
        let fired =
            place.outbox.fire(watch.clone(), raw.clone(), leg(&["pager"], None), hour, place.clock.now());
        fired.await.unwrap();
    }
    assert_eq!(place.phases("inc-1").await.len(), 1);
    assert!(place.outbox.overdue(place.clock.now()).await.unwrap().is_empty());
    place.clock.step(3601);
    assert_eq!(place.outbox.overdue(place.clock.now()).await.unwrap()[0].nth, 1);
    place.outbox.settle(&id("inc-1")).await.unwrap();
    assert!(place.outbox.overdue(place.clock.now()).await.unwrap().is_empty());
    let late = place.outbox.fire(watch, raw.again(9), leg(&["pager"], None), hour, place.clock.now());
    late.await.unwrap();
    assert_eq!(place.phases("inc-1").await.len(), 1, "it had an outcome meanwhile");
}

#[tokio::test]
async fn a_damaged_row_is_red_and_holds_nothing_up() {
    let place = place();
    place.put(escalation("inc-1", &place.clock), leg(&["pager"], None)).await;
    place.put(escalation("inc-2", &place.clock), leg(&["pager"], None)).await;
    let damage = |tx: &Transaction<'_>| {
        Ok(tx.execute("UPDATE deliveries SET delivery = '{' , notice = 'x' WHERE incident = 'inc-1'", [])?)
    };
    place.outbox.write(damage).await.unwrap();
    assert_eq!(place.claim("pager").await.len(), 1);
    assert_eq!(place.outbox.failed().await.unwrap()[0].incident, "inc-1");
}

#[tokio::test]
async fn one_that_fails_for_now_comes_again_after_its_wait() {
    let place = place();
    place.put(escalation("inc-1", &place.clock), leg(&["pager"], None)).await;
    let page = place.claim("pager").await.remove(0);
    let not_now = Input::NotNow {
        attempt: page.attempt,
        perhaps: Perhaps::Has,
        retry_after: Some(Duration::from_secs(20)),
        jitter: 0,
        problem: "HTTP 429".to_owned(),
    };
    place.outbox.result(page.seq, not_now, place.clock.now()).await.unwrap();
    place.clock.step(19);
    assert!(place.claim("pager").await.is_empty());
    assert!(place.outbox.next_due().await.unwrap().is_some());
    place.clock.step(1);
    assert_eq!(place.claim("pager").await[0].attempt, Try { link: 0, failed: 1 });
}
