//! What the board does with one alarm after another.

use midwatch_policy::{Fields, Problem};

use super::*;
use crate::alarm::{Watch, WatchedMetric};

const CATALOG: &str = "
[[service]]
name = 'web'
tier = 0
environment = 'production'
account = '123456789012'
depends_on = ['cart', 'auth']
[[service]]
name = 'cart'
tier = 1
environment = 'production'
depends_on = ['stock']
[[service]]
name = 'stock'
tier = 1
environment = 'production'
[[service]]
name = 'auth'
tier = 1
environment = 'production'
[[service]]
name = 'mail'
tier = 3
environment = 'production'
";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn alarm(service: &str, family: &str, state: AlarmState, second: i64) -> Alarm {
    let dimensions = BTreeMap::from([("service".to_owned(), service.to_owned())]);
    let metric =
        WatchedMetric { namespace: "N".into(), name: family.into(), stat: None, period_s: None, dimensions };
    Alarm {
        name: format!("{service}-{family}"),
        arn: None,
        account: Some("123456789012".to_owned()),
        region: Some("us-east-1".to_owned()),
        state,
        previous: None,
        at: at(second),
        reason: String::new(),
        description: None,
        threshold: None,
        watch: Watch::Metric { metric },
        suppressed: None,
        suppressed_until: None,
        severity: None,
        mark: None,
    }
}

fn fires(service: &str, family: &str, second: i64) -> Alarm {
    alarm(service, family, AlarmState::Alarm, second)
}

fn ok(service: &str, family: &str, second: i64) -> Alarm {
    alarm(service, family, AlarmState::Ok, second)
}

struct Stage {
    board: Board,
    orders: Orders,
    salt: u32,
    log: Vec<(Alarm, Ruling, Timestamp)>,
}

impl Stage {
    fn new() -> Self {
        Self::quiet("")
    }

    fn quiet(text: &str) -> Self {
        let mut problems = Vec::new();
        let quiet = Quiet::read(&mut Fields::parse(text, &mut problems).unwrap(), &mut problems);
        assert_eq!(Problem::lines(&problems), "");
        let catalog = Arc::new(Catalog::parse(CATALOG).unwrap());
        let orders = Orders::new(catalog, quiet, Grouping::default());
        Self { board: Board::default(), orders, salt: 0, log: Vec::new() }
    }

    /// An alarm comes in when it happens.
    fn comes(&mut self, alarm: Alarm) -> Decision {
        let now = alarm.at;
        self.comes_at(alarm, now)
    }

    fn comes_at(&mut self, alarm: Alarm, now: Timestamp) -> Decision {
        self.salt += 1;
        let ruling = self.board.decide(&alarm, &self.orders, now, self.salt).unwrap();
        self.board.apply(&alarm, &ruling, &self.orders.grouping, now);
        self.log.push((alarm, ruling.clone(), now));
        ruling.decision
    }

    fn opens(&mut self, alarm: Alarm) -> IncidentId {
        match self.comes(alarm) {
            Decision::Opened { incident, .. } => incident,
            other => panic!("{other:?}"),
        }
    }
}

fn joins(decision: Decision) -> (IncidentId, How, bool, Vec<IncidentId>) {
    match decision {
        Decision::Joined { incident, how, leads, absorbs } => (incident, how, leads, absorbs),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_that_comes_twice_changes_nothing() {
    let mut stage = Stage::new();
    let incident = stage.opens(fires("mail", "errors", 0));
    let twice = stage.comes_at(fires("mail", "errors", 0), at(300));
    assert_eq!(twice, Decision::Duplicate { incident: Some(incident) });
}

#[test]
fn what_one_service_and_those_that_call_it_say_is_one_incident_and_strangers_are_not() {
    let mut stage = Stage::new();
    let incident = stage.opens(fires("web", "5xx", 0));
    assert_eq!(
        joins(stage.comes(fires("web", "latency", 60))),
        (incident.clone(), How::Service, false, vec![])
    );
    let stranger = stage.opens(fires("mail", "errors", 61));
    assert_ne!(stranger, incident);
    let (into, how, leads, _) = joins(stage.comes(fires("stock", "cpu", 90)));
    assert_eq!((into, how, leads), (incident.clone(), How::Kin(Kinship::Dependency), true));
    // Half a day later it is another trouble.
    assert_ne!(stage.opens(fires("cart", "errors", 40_000)), incident);
}

#[test]
fn another_accounts_alarm_of_the_same_name_is_another_trouble() {
    let mut stage = Stage::new();
    let incident = stage.opens(fires("web", "5xx", 0));
    let rehearsal = Alarm { account: Some("999999999999".to_owned()), ..fires("web", "5xx", 5) };
    assert_ne!(stage.opens(rehearsal), incident);
}

#[test]
fn two_incidents_become_one_when_what_both_call_fails() {
    let mut stage = Stage::new();
    let catalog =
        format!("{CATALOG}[[service]]\nname='shop'\ntier=1\nenvironment='production'\ndepends_on=['auth']\n");
    let catalog = Catalog::parse(&catalog).unwrap();
    stage.orders = Orders { catalog: Arc::new(catalog.clone()), ..stage.orders };
    stage.orders.relations = Arc::new(Relations::of(&catalog));
    let first = stage.opens(fires("web", "5xx", 0));
    let second = stage.opens(fires("shop", "5xx", 240));
    let (into, how, leads, absorbs) = joins(stage.comes(fires("auth", "errors", 300)));
    assert_eq!((&into, how, leads), (&first, How::Kin(Kinship::Dependency), true));
    assert_eq!(absorbs, [second]);
    assert_eq!(stage.board.group(&first).unwrap().members.len(), 3);
    // What was the other's is this one's now.
    assert_eq!(joins(stage.comes(fires("shop", "5xx", 360))).0, first);
}

#[test]
fn states_are_ordered_by_their_own_time() {
    let mut stage = Stage::new();
    let incident = stage.opens(fires("mail", "errors", 0));
    stage.comes(fires("mail", "depth", 10));
    let late = stage.comes_at(ok("mail", "errors", -60), at(100));
    assert_eq!(
        late,
        Decision::Updated {
            incident: incident.clone(),
            state: AlarmState::Alarm,
            all_clear: false,
            told_at: None
        }
    );
    assert!(matches!(stage.comes(ok("mail", "errors", 200)), Decision::Updated { all_clear: false, .. }));
    assert!(matches!(stage.comes(ok("mail", "depth", 210)), Decision::Updated { all_clear: true, .. }));
    let none = alarm("mail", "depth", AlarmState::InsufficientData, 220);
    assert!(
        matches!(stage.comes(none), Decision::Updated { all_clear: false, .. }),
        "never to be read as OK"
    );
    // It fired and was over before we heard of it: still somebody looks.
    stage.comes(ok("auth", "errors", 500));
    assert_ne!(stage.opens(fires("auth", "errors", 400)), incident);
}

#[test]
fn nothing_is_clear_while_an_alarm_has_no_data() {
    let mut stage = Stage::new();
    let no_data = |family: &str, second| alarm("mail", family, AlarmState::InsufficientData, second);
    let incident = stage.opens(fires("mail", "latency", 0));
    stage.comes(fires("mail", "errors", 10));
    stage.board.finish(&incident, true, at(60));
    stage.comes(no_data("latency", 100));
    let over = stage.comes(ok("mail", "errors", 110));
    assert!(matches!(over, Decision::Updated { all_clear: false, .. }), "{over:?}");
    assert!(!stage.board.group(&incident).unwrap().is_clear());
    // Nor is it by what flapped and is quiet.
    for second in [200, 220, 240, 260] {
        stage.comes(fires("mail", "errors", second));
        stage.comes(ok("mail", "errors", second + 10));
    }
    assert_eq!(stage.board.calmed(at(5_000)), []);
    // What fires again is known not to be over, and is news: nothing fired.
    assert!(stage.board.group(&incident).unwrap().news(&fires("mail", "latency", 5_000)).is_some());
    stage.comes(fires("mail", "latency", 5_000));
    stage.comes(no_data("latency", 5_100));
    let over = stage.comes(ok("mail", "latency", 5_200));
    assert!(matches!(over, Decision::Updated { all_clear: true, .. }), "{over:?}");
    assert!(stage.board.group(&incident).unwrap().is_clear());
}

#[test]
fn an_alarm_that_was_deleted_holds_nothing_back() {
    let mut stage = Stage::new();
    let of = |state| move |family: &str, second| alarm("mail", family, state, second);
    let (no_data, deleted) = (of(AlarmState::InsufficientData), of(AlarmState::Deleted));
    let incident = stage.opens(fires("mail", "latency", 0));
    stage.comes(fires("mail", "errors", 10));
    stage.comes(fires("mail", "depth", 20));
    stage.board.finish(&incident, true, at(60));
    stage.comes(no_data("latency", 100));
    let still = stage.comes(deleted("depth", 105));
    assert!(
        matches!(still, Decision::Updated { all_clear: false, state: AlarmState::Deleted, .. }),
        "{still:?}"
    );
    let still = stage.comes(ok("mail", "errors", 110));
    assert!(matches!(still, Decision::Updated { all_clear: false, .. }), "{still:?}");
    let over = stage.comes(deleted("latency", 120));
    assert!(
        matches!(over, Decision::Updated { all_clear: true, state: AlarmState::Deleted, .. }),
        "{over:?}"
    );
    assert!(stage.board.group(&incident).unwrap().is_clear());
    // What happened before and comes late does not bring it back, and is no second all clear.
    let late = stage.comes_at(no_data("latency", 115), at(130));
    assert!(
        matches!(late, Decision::Updated { all_clear: false, state: AlarmState::Deleted, .. }),
        "{late:?}"
    );
    // One of the same name that is made anew and fires is another trouble.
    assert_ne!(stage.opens(fires("mail", "latency", 5_000)), incident);
    // Nothing is opened for one that belongs to nothing.
    let nothing = stage.comes(alarm("auth", "errors", AlarmState::Deleted, 6_000));
    assert!(matches!(&nothing, Decision::Noted { why } if why.contains("was deleted")), "{nothing:?}");
}

#[test]
fn what_opens_without_data_is_not_clear_either() {
    let mut stage = Stage::new();
    let no_data = |service: &str, second| alarm(service, "errors", AlarmState::InsufficientData, second);
    let incident = stage.opens(no_data("mail", 0));
    stage.comes(fires("mail", "depth", 10));
    let over = stage.comes(ok("mail", "depth", 20));
    assert!(matches!(over, Decision::Updated { all_clear: false, .. }), "{over:?}");
    let over = stage.comes(ok("mail", "errors", 30));
    assert!(matches!(over, Decision::Updated { all_clear: true, .. }), "{over:?}");
    assert!(stage.board.group(&incident).unwrap().is_clear());
}

#[test]
fn what_was_closed_takes_nothing_that_fired_later_and_what_is_with_a_person_does() {
    let mut stage = Stage::new();
    let closed = stage.opens(fires("mail", "errors", 0));
    stage.comes(ok("mail", "errors", 100));
    stage.board.finish(&closed, false, at(300));
    let decision = stage.comes(fires("mail", "errors", 400));
    let Decision::Opened { incident, after, .. } = decision else { panic!("{decision:?}") };
    assert_eq!(after, Some(closed));
    stage.board.finish(&incident, true, at(900));
    assert!(stage.board.group(&incident).unwrap().news(&fires("mail", "depth", 1000)).is_some());
    assert_eq!(joins(stage.comes(fires("mail", "depth", 1000))).0, incident);
    assert_eq!(
        stage.board.group(&incident).unwrap().news(&fires("mail", "depth", 1000)),
        None,
        "they know of it"
    );
    // What fires after nothing did is news again, whoever it is.
    assert!(matches!(stage.comes(ok("mail", "errors", 1_010)), Decision::Updated { all_clear: false, .. }));
    assert!(matches!(stage.comes(ok("mail", "depth", 1_020)), Decision::Updated { all_clear: true, .. }));
    assert!(stage.board.group(&incident).unwrap().news(&fires("mail", "depth", 1_030)).is_some());
    assert_eq!(joins(stage.comes(fires("mail", "depth", 1_030))).0, incident);
    assert_eq!(stage.board.group(&incident).unwrap().news(&fires("mail", "depth", 1_040)), None);
}

#[test]
fn what_fires_after_all_was_over_is_news_to_who_has_it() {
    let mut stage = Stage::new();
    let incident = stage.opens(fires("mail", "errors", 0));
    stage.comes(ok("mail", "errors", 100));
    stage.board.finish(&incident, true, at(300));
    let again = fires("mail", "errors", 400);
    assert!(stage.board.group(&incident).unwrap().news(&again).is_some());
    assert_eq!(joins(stage.comes(again)).0, incident);
}

#[test]
fn what_flaps_is_counted_and_looked_at_again_once_it_stays() {
    let mut stage = Stage::new();
    let incident = stage.opens(fires("mail", "errors", 0));
    stage.board.finish(&incident, false, at(30));
    for n in 1..3 {
        stage.comes(ok("mail", "errors", n * 300 - 100));
        stage.comes(fires("mail", "errors", n * 300));
    }
    stage.comes(ok("mail", "errors", 800));
    let (known, how, ..) = joins(stage.comes(fires("mail", "errors", 900)));
    assert_eq!(how, How::Flapping);
    stage.board.finish(&known, false, at(950));
    assert!(stage.board.due(&stage.orders, at(1_400)).is_empty());
    let due = stage.board.due(&stage.orders, at(1_500));
    assert_eq!(due.len(), 1, "it fires for ten minutes without a break");
    assert!(matches!(
        stage.comes_at(due[0].clone(), at(1_500)),
        Decision::Joined { .. } | Decision::Opened { .. }
    ));
    assert!(stage.board.due(&stage.orders, at(9_000)).is_empty());
}

#[test]
fn an_alarm_that_fires_on_after_its_incident_is_over_is_looked_at_again() {
    let mut stage = Stage::new();
    let incident = stage.opens(fires("cart", "errors", 0));
    assert_eq!(joins(stage.comes(fires("cart", "latency", 60))).0, incident);
    stage.comes(ok("cart", "errors", 200));
    stage.board.finish(&incident, false, at(300));
    assert!(stage.board.due(&stage.orders, at(599)).is_empty());
    let due = stage.board.due(&stage.orders, at(600));
    assert_eq!(due.iter().map(|alarm| alarm.name.as_str()).collect::<Vec<_>>(), ["cart-latency"]);
    let again = stage.comes_at(due[0].clone(), at(600));
    let Decision::Opened { incident: another, after, .. } = again else { panic!("{again:?}") };
    assert_ne!(another, incident);
    assert_eq!(after, Some(incident));
    assert!(stage.board.due(&stage.orders, at(9_000)).is_empty());
}

#[test]
fn a_stranger_that_comes_late_is_no_part_of_what_is_over() {
    let mut stage = Stage::new();
    let incident = stage.opens(fires("cart", "errors", 0));
    stage.comes(ok("cart", "errors", 200));
    stage.board.finish(&incident, false, at(300));
    let late = stage.comes_at(fires("cart", "latency", 60), at(310));
    assert!(matches!(late, Decision::Opened { .. }), "{late:?}");
    // What it was about is no stranger.
    let again = stage.comes_at(fires("cart", "errors", 20), at(320));
    assert_eq!(joins(again).0, incident);
}

#[test]
fn maintenance_says_why_and_is_over_when_it_is_over() {
    let mut stage = Stage::quiet(
        "[[maintenance]]\nid='db'\nreason='upgrade'\nfrom=2027-01-15T07:00:00Z\nto=2027-01-15T09:00:00Z\n\
         services=['stock']\n[[silence]]\nid='noisy'\nreason='known'\nuntil=2027-01-15T08:30:00Z\nalarms=['mail-*']",
    );
    let decision = stage.comes(fires("stock", "cpu", 0));
    let Decision::Suppressed { hush } = decision else { panic!("{decision:?}") };
    assert_eq!((hush.by.as_str(), hush.reason.as_str()), ("maintenance `db`", "upgrade"));
    assert!(matches!(stage.comes(fires("mail", "errors", 0)), Decision::Suppressed { .. }));
    stage.comes(ok("mail", "errors", 60));
    let end = hush.until.unwrap();
    let due = stage.board.due(&stage.orders, end);
    assert_eq!(due.len(), 1, "mail is over, stock still fires");
    assert!(matches!(stage.comes_at(due[0].clone(), end), Decision::Opened { .. }));
    assert!(stage.board.due(&stage.orders, end).is_empty());
}

fn suppressed(alarm: Alarm, until: Option<Timestamp>) -> Alarm {
    Alarm { suppressed: Some("deploying".to_owned()), suppressed_until: until, ..alarm }
}

#[test]
fn what_cloudwatch_suppressed_is_no_duplicate_of_what_it_does_not() {
    let mut stage = Stage::new();
    let alarm = fires("mail", "errors", 0);
    let hushed = stage.comes(suppressed(alarm.clone(), None));
    assert!(matches!(&hushed, Decision::Suppressed { hush } if hush.until.is_some()), "{hushed:?}");
    let again = stage.comes_at(suppressed(alarm.clone(), None), at(30));
    assert_eq!(again, Decision::Duplicate { incident: None });
    let opened = stage.comes_at(alarm.clone(), at(60));
    let Decision::Opened { incident, .. } = opened else { panic!("{opened:?}") };
    let known = Decision::Duplicate { incident: Some(incident) };
    assert_eq!(stage.comes_at(alarm.clone(), at(90)), known);
    assert_eq!(stage.comes_at(suppressed(alarm, None), at(95)), known);
    assert!(stage.board.due(&stage.orders, at(90_000)).is_empty(), "it is looked at");
}

#[test]
fn what_cloudwatch_suppresses_is_looked_at_when_that_ends_or_nothing_more_is_heard_for_hours() {
    let mut stage = Stage::new();
    let muted = suppressed(fires("mail", "errors", 0), Some(at(600)));
    assert!(matches!(stage.comes(muted), Decision::Suppressed { .. }));
    let other = suppressed(fires("stock", "cpu", 0), None);
    assert!(matches!(stage.comes(other), Decision::Suppressed { .. }));
    assert!(stage.board.due(&stage.orders, at(599)).is_empty());
    for (second, name) in [(600, "mail-errors"), (4 * 3600, "stock-cpu")] {
        let due = stage.board.due(&stage.orders, at(second));
        assert_eq!(due.iter().map(|alarm| alarm.name.as_str()).collect::<Vec<_>>(), [name]);
        assert!(matches!(stage.comes_at(due[0].clone(), at(second)), Decision::Opened { .. }));
    }
    assert!(stage.board.due(&stage.orders, at(90_000)).is_empty());
    // A window that was over when the message came suppresses nothing.
    let late = suppressed(fires("cart", "errors", 40_000), Some(at(40_100)));
    assert!(matches!(stage.comes_at(late, at(40_100)), Decision::Opened { .. }));
}

#[test]
fn a_silence_that_is_ended_early_is_over() {
    let silence = "[[silence]]\nid='noisy'\nreason='known'\nuntil=2099-01-01T00:00:00Z\nalarms=['mail-*']";
    let mut stage = Stage::quiet(silence);
    let resent = fires("mail", "depth", 5);
    assert!(matches!(stage.comes(resent.clone()), Decision::Suppressed { .. }));
    assert!(matches!(stage.comes(fires("mail", "errors", 0)), Decision::Suppressed { .. }));
    assert!(stage.board.due(&stage.orders, at(600)).is_empty());
    // Shortened, then taken out altogether: also where nobody ran meanwhile.
    stage.orders.quiet = Stage::quiet(&silence.replace("2099-01-01", "2027-01-16")).orders.quiet;
    assert!(stage.board.due(&stage.orders, at(600)).is_empty());
    stage.orders.quiet = Quiet::default();
    let mut again = Board::default();
    for (alarm, ruling, now) in &stage.log {
        again.apply(alarm, ruling, &stage.orders.grouping, *now);
    }
    assert_eq!(again.due(&stage.orders, at(600)).len(), 2);
    let Decision::Opened { incident, .. } = stage.comes_at(resent.clone(), at(600)) else { panic!() };
    let due = stage.board.due(&stage.orders, at(605));
    assert_eq!(due.iter().map(|alarm| alarm.name.as_str()).collect::<Vec<_>>(), ["mail-errors"]);
    assert_eq!(joins(stage.comes_at(due[0].clone(), at(605))).0, incident);
    assert!(stage.board.due(&stage.orders, at(90_000)).is_empty());
    assert!(matches!(stage.comes_at(resent, at(700)), Decision::Duplicate { .. }));
}

#[test]
fn a_storm_is_one_incident() {
    let mut stage = Stage::new();
    let each = |n| format!("[[service]]\nname='s{n}'\ntier=1\nenvironment='production'");
    let text = (0..30).map(each).collect::<Vec<_>>().join("\n");
    stage.orders =
        Orders::new(Arc::new(Catalog::parse(&text).unwrap()), Quiet::default(), Grouping::default());
    for n in 0..12 {
        stage.opens(fires(&format!("s{n}"), "errors", n));
    }
    let (into, how, _, absorbs) = joins(stage.comes(fires("s12", "errors", 12)));
    assert_eq!((how, absorbs.len()), (How::Storm, 11));
    assert_eq!(joins(stage.comes(fires("s13", "errors", 13))).0, into);
    // More of a storm that a person has is news to them, until it is over.
    stage.board.finish(&into, true, at(14));
    assert!(stage.board.group(&into).unwrap().news(&fires("s15", "errors", 15)).is_some());
    assert_eq!(joins(stage.comes(fires("s15", "errors", 15))).0, into);
    let elsewhere = Alarm { region: Some("eu-west-1".to_owned()), ..fires("s14", "errors", 14) };
    assert_ne!(stage.opens(elsewhere), into);
}

#[test]
fn a_storm_takes_no_incident_that_has_ended_and_is_none_by_such() {
    let mut stage = Stage::new();
    let each = |n| format!("[[service]]\nname='s{n}'\ntier=1\nenvironment='production'");
    let text = (0..40).map(each).collect::<Vec<_>>().join("\n");
    stage.orders =
        Orders::new(Arc::new(Catalog::parse(&text).unwrap()), Quiet::default(), Grouping::default());
    let first = stage.opens(fires("s0", "errors", 0));
    stage.board.finish(&first, true, at(1));
    let mut opened = Vec::new();
    for n in 1..=12 {
        opened.push(stage.opens(fires(&format!("s{n}"), "errors", n)));
    }
    let (into, how, _, absorbs) = joins(stage.comes(fires("s13", "errors", 13)));
    assert_eq!(how, How::Storm);
    assert!(opened.contains(&into), "somebody looks at it");
    assert!(!absorbs.contains(&first));
}

#[test]
fn a_board_that_is_made_again_from_what_was_decided_decides_the_same() {
    let mut stage = Stage::new();
    for n in 0..200_i64 {
        let service = ["web", "cart", "stock", "auth", "mail"][usize::try_from(n % 5).unwrap()];
        let state = if n % 3 == 0 { AlarmState::Ok } else { AlarmState::Alarm };
        stage.comes(alarm(service, "errors", state, n * 97 % 5000));
    }
    let mut again = Board::default();
    for (alarm, ruling, now) in &stage.log {
        again.apply(alarm, ruling, &stage.orders.grouping, *now);
    }
    for service in ["web", "cart", "stock", "auth", "mail"] {
        let next = fires(service, "errors", 5100);
        let decide = |board: &Board| board.decide(&next, &stage.orders, at(5100), 7).unwrap();
        assert_eq!(decide(&stage.board), decide(&again));
    }
    let held = stage.board.alarms();
    again.prune(at(400_000));
    assert!(again.alarms() <= held);
}

#[test]
fn all_that_fires_of_an_incident_goes_on_in_one_with_what_it_was_about_first() {
    let orders =
        Orders::new(Arc::new(Catalog::parse(CATALOG).unwrap()), Quiet::default(), Grouping::default());
    let mut board = Board::default();
    let bring = |board: &mut Board, alarm: Alarm| {
        let ruling = board.decide(&alarm, &orders, alarm.at, 7).unwrap();
        board.apply(&alarm, &ruling, &orders.grouping, alarm.at);
        ruling.decision.incident().unwrap().clone()
    };
    let before = bring(&mut board, fires("cart", "z", 0));
    for alarm in [fires("cart", "a", 10), fires("cart", "b", 20), ok("cart", "b", 30)] {
        assert_eq!(bring(&mut board, alarm), before);
    }
    board.finish(&before, true, at(60));
    let Firing::Still(alarms) = board.firing(&before) else { panic!("{:?}", board.firing(&before)) };
    assert_eq!(alarms.iter().map(|a| a.name.as_str()).collect::<Vec<_>>(), ["cart-z", "cart-a"]);
    let mut opened = None;
    for alarm in &alarms {
        let ruling = board.anew(alarm, &orders, (&before, "first-on-call"), opened.as_ref(), 9).unwrap();
        board.apply(alarm, &ruling, &orders.grouping, at(70));
        opened = opened.or_else(|| ruling.decision.incident().cloned());
    }
    let next = opened.unwrap();
    assert_ne!(next, before);
    assert_eq!(board.firing(&before), Firing::Elsewhere(next.clone()));
    assert_eq!(board.group(&next).unwrap().members.len(), 2);
    assert_eq!(bring(&mut board, fires("cart", "c", 80)), next);
}
