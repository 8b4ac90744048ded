use std::{path::PathBuf, sync::Barrier};

use futures::executor::block_on;
use midwatch_agents::{
    budget::{Charge, Reservation, SpendError},
    model::Usage,
};
use midwatch_policy::SignedDuration;
use proptest::prelude::*;

use super::*;

const HAIKU: &str = "global.anthropic.claude-haiku-4-5-20251001-v1:0";

fn at(time: &str) -> Timestamp {
    format!("2026-03-09T{time}:00Z").parse().unwrap()
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn path(&self) -> PathBuf {
        self.0.path().join("deep/incidents.ledger.db")
    }
    fn open(&self, ceilings: Ceilings) -> Ledger {
        Ledger::open(&self.path(), ceilings).unwrap()
    }
    fn total(&self) -> Line {
        Books::open(&self.path()).unwrap().total(Period::ALL).unwrap()
    }
}

fn prices() -> Arc<Prices> {
    Arc::new(Prices::embedded().unwrap())
}

fn purse(ledger: &Ledger, incident: &str) -> Spend {
    ledger.purse(prices(), incident, Some("basket"))
}

/// 1,750 micro-dollars at worst.
fn reserve(spend: &Spend, time: &str) -> Result<Reservation, SpendError> {
    block_on(spend.reserve(at(time), HAIKU, "log_analyst", u64::MAX, (1_000, 100)))
}

#[test]
fn a_reservation_is_durable_before_the_call_and_settled_in_full_after_a_crash() {
    let place = Place::new();
    let ledger = place.open(Ceilings::default());
    let spend = purse(&ledger, "inc-1");
    let held = reserve(&spend, "02:00").unwrap();
    // Whoever looks now sees it, from outside.
    let seen = place.total();
    assert_eq!((seen.calls, seen.reserved_micro_usd, seen.cost_micro_usd), (1, 1_750, 0));
    // A crash: nothing of the process is left but the file.
    let copy = place.0.path().join("copy.db");
    for end in ["", "-wal"] {
        let from = format!("{}{end}", place.path().display());
        std::fs::copy(&from, format!("{}{end}", copy.display())).unwrap();
    }
    let after = Ledger::open(&copy, Ceilings { hour_micro_usd: 3_499, ..Ceilings::default() }).unwrap();
    let books = Books::open(&copy).unwrap();
    let line = books.total(Period::ALL).unwrap();
    assert_eq!((line.cost_micro_usd, line.assumed_micro_usd, line.left_open), (1_750, 1_750, 1));
    // It counts under the ceilings, in the report of its incident, and against its specialist.
    assert_eq!(purse(&after, "inc-1").total().cost_micro_usd, 1_750);
    let refused = reserve(&purse(&after, "inc-2"), "02:30").unwrap_err();
    assert!(matches!(refused, SpendError::Ceiling { of, left: 1_749, .. } if of == "this hour"));
    let spend = purse(&after, "inc-1");
    let tokens = block_on(spend.reserve(at("03:00"), HAIKU, "log_analyst", 2_199, (1_000, 100))).unwrap_err();
    assert!(matches!(tokens, SpendError::Tokens { left: 1_099, .. }), "{tokens}");
    held.release();
}

#[test]
fn rows_carry_what_a_call_was_and_what_free_calls_do_is_not_written() {
    let place = Place::new();
    let ledger = place.open(Ceilings::default());
    let spend = purse(&ledger, "inc-1");
    let usage =
        Usage { input_tokens: 100, output_tokens: 20, cache_read_tokens: 800, cache_write_tokens: 80 };
    reserve(&spend, "02:00").unwrap().settle(Some(&usage));
    block_on(spend.reserve(at("02:01"), "playbook", "router", 1, (9_000, 900))).unwrap().settle(Some(&usage));
    let bytes = block_on(spend.reserve_charge(at("02:02"), Charge::LogsInsights, 1_000_000_000)).unwrap();
    bytes.settle_units(Some(1_000));
    let total = spend.total();
    ledger.over(Over {
        incident: "inc-1".into(),
        at: at("02:03"),
        service: None,
        total,
        outcome: "escalated".into(),
    });
    block_on(ledger.flush());
    let books = Books::open(&place.path()).unwrap();
    let keys = |by| books.lines(by, Period::ALL).unwrap().into_iter().map(|l| l.key).collect::<Vec<_>>();
    assert_eq!(keys(By::Model), [HAIKU, "logs_insights"]);
    assert_eq!(keys(By::Specialist), ["log_analyst", "logs_insights"]);
    assert_eq!(
        (keys(By::Day), keys(By::Service), keys(By::Incident)),
        (vec!["2026-03-09".into()], vec!["basket".into()], vec!["inc-1".into()])
    );
    let line = books.total(Period::ALL).unwrap();
    // 100 in, 20 out, 800 read at a tenth, 80 written at five fourths; and a query.
    assert_eq!((line.calls, line.cost_micro_usd, line.units), (2, 100 + 100 + 80 + 100 + 1, 1_000));
    assert_eq!((line.input_tokens, line.cache_read_tokens, line.cache_write_tokens), (100, 800, 80));
    let later = Period { from: at("02:02"), to: Timestamp::MAX };
    assert_eq!(books.total(later).unwrap().calls, 1);
    assert_eq!(
        books.total(Period { from: at("05:00"), ..later }).unwrap(),
        Line { key: "total".into(), ..Line::default() }
    );
    let savings = books.savings(Period::ALL).unwrap();
    assert_eq!(savings.caching_micro_usd, 980 + 100 - 380);
    assert_eq!((savings.cache_hit_percent, savings.investigated), (81, 1));
}

#[test]
fn savings_are_measured_against_incidents_that_were_investigated() {
    let place = Place::new();
    let ledger = place.open(Ceilings::default());
    let over = |incident: &str, outcome: &str, who: &[&str]| {
        let spend = purse(&ledger, incident);
        for specialist in who {
            block_on(spend.reserve(at("02:00"), HAIKU, specialist, u64::MAX, (1_000, 100)))
                .unwrap()
                .settle(None);
        }
        let (incident, outcome) = (incident.to_owned(), outcome.to_owned());
        ledger.over(Over { incident, at: at("02:09"), service: None, total: spend.total(), outcome });
    };
    over("a", "closed_transient", &[]);
    over("b", "escalated", &[]);
    over("c", "closed_transient", &["router"]);
    over("d", "escalated", &["router"]);
    block_on(ledger.flush());
    let savings = || Books::open(&place.path()).unwrap().savings(Period::ALL).unwrap();
    assert_eq!((savings().closed_by_first_light, savings().first_light_micro_usd), (1, None));
    over("e", "resolved", &["router", "log_analyst", "remediator"]);
    block_on(ledger.flush());
    let found = savings();
    assert_eq!((found.incidents, found.investigated, found.investigated_mean_micro_usd), (5, 1, Some(5_250)));
    assert_eq!((found.closed_by_first_light, found.first_light_micro_usd), (1, Some(5_250)));
    assert_eq!((found.closed_by_routing, found.routing_micro_usd), (1, Some(3_500)));
}

#[test]
fn one_process_writes_a_ledger_and_sums_outlive_memory() {
    let place = Place::new();
    let ceilings = Ceilings { incident_micro_usd: 3_500, ..Ceilings::default() };
    let ledger = place.open(ceilings);
    assert!(matches!(Ledger::open(&place.path(), ceilings), Err(LedgerError::InUse { .. })));
    let spend = purse(&ledger, "inc-1");
    reserve(&spend, "02:00").unwrap().settle(None);
    let total = spend.total();
    ledger.over(Over {
        incident: "inc-1".into(),
        at: at("02:00"),
        service: None,
        total,
        outcome: "escalated".into(),
    });
    block_on(ledger.flush());
    // It was closed, and is opened again: what it cost counts on.
    reserve(&purse(&ledger, "inc-1"), "02:10").unwrap().settle(None);
    assert!(matches!(reserve(&purse(&ledger, "inc-1"), "02:20"), Err(SpendError::Ceiling { left: 0, .. })));
    drop((ledger, spend));
    let ledger = place.open(ceilings);
    assert!(matches!(reserve(&purse(&ledger, "inc-1"), "02:30"), Err(SpendError::Ceiling { left: 0, .. })));
    ledger.set_ceilings(Ceilings::default());
    reserve(&purse(&ledger, "inc-1"), "02:30").unwrap().release();
    assert!(matches!(Books::open(std::path::Path::new("/nowhere/x.db")), Err(LedgerError::Absent { .. })));
    assert!(
        ledger
            .levels()
            .iter()
            .any(|level| level.scope.starts_with("day/") && level.settled_micro_usd == 3_500)
    );
}

#[test]
fn usage_beyond_its_reservation_is_in_the_books() {
    let place = Place::new();
    let ledger = place.open(Ceilings::default());
    let usage = Usage { input_tokens: 5_000, ..Usage::default() };
    reserve(&purse(&ledger, "inc-1"), "02:00").unwrap().settle(Some(&usage));
    block_on(ledger.flush());
    assert_eq!((place.total().cost_micro_usd, place.total().beyond_micro_usd), (5_000, 3_250));
}

#[test]
fn a_store_that_cannot_be_written_refuses_calls_and_keeps_what_is_settled() {
    let place = Place::new();
    let ledger = place.open(Ceilings::default());
    let spend = purse(&ledger, "inc-1");
    let held = reserve(&spend, "02:00").unwrap();
    // Somebody else holds the database for longer than the writer waits for it.
    let other = rusqlite::Connection::open(place.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = reserve(&spend, "02:01").unwrap_err();
    assert!(matches!(refused, SpendError::Ledger { .. }), "{refused}");
    assert!(ledger.trouble().is_some());
    held.settle(Some(&Usage { input_tokens: 10, ..Usage::default() }));
    other.execute_batch("ROLLBACK").unwrap();
    block_on(ledger.flush());
    reserve(&spend, "02:02").unwrap().release();
    block_on(ledger.flush());
    assert_eq!(
        (ledger.trouble(), place.total().cost_micro_usd, place.total().reserved_micro_usd),
        (None, 10, 0)
    );
    assert_eq!(spend.total().reserved_micro_usd, 0);
}

#[test]
fn threads_at_once_do_not_pass_a_ceiling_and_the_books_agree() {
    let place = Place::new();
    let ceilings = Ceilings {
        incident_micro_usd: 60_000,
        service_hour_micro_usd: 150_000,
        hour_micro_usd: 170_001,
        day_micro_usd: 300_000,
    };
    let ledger = place.open(ceilings);
    let start = Barrier::new(6);
    let paid: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6u64)
            .map(|thread| {
                let (ledger, start) = (&ledger, &start);
                scope.spawn(move || {
                    let spend = purse(ledger, &format!("inc-{}", thread % 4));
                    start.wait();
                    let mut paid = 0;
                    for n in 0..60 {
                        let tokens = (1 + (n * 37 + thread * 11) % 3_000, 1 + n % 200);
                        let held = block_on(spend.reserve(at("02:00"), HAIKU, "a", u64::MAX, tokens));
                        let Ok(held) = held else { continue };
                        paid += match n % 3 {
                            0 => held.settle(None),
                            1 => {
                                held.release();
                                0
                            }
                            _ => held.settle(Some(&Usage { input_tokens: tokens.0, ..Usage::default() })),
                        };
                    }
                    paid
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    block_on(ledger.flush());
    let line = place.total();
    assert!(line.cost_micro_usd <= 150_000, "{line:?}");
    assert_eq!((line.cost_micro_usd, line.reserved_micro_usd, line.beyond_micro_usd), (paid, 0, 0));
    for incident in Books::open(&place.path()).unwrap().lines(By::Incident, Period::ALL).unwrap() {
        assert!(incident.cost_micro_usd <= 60_000, "{incident:?}");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Reserve(usize, u64, u64, i64),
    Settle(usize, u64),
    Release(usize),
    Drop(usize),
    /// The process is gone; what it held is open.
    Crash,
    Over(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0usize..3, 0u64..3_000, 1u64..400, 0i64..30).prop_map(|(i, a, b, h)| Step::Reserve(i, a, b, h)),
        3 => (0usize..9, 0u64..=100).prop_map(|(n, share)| Step::Settle(n, share)),
        1 => (0usize..9).prop_map(Step::Release),
        1 => (0usize..9).prop_map(Step::Drop),
        1 => Just(Step::Crash),
        1 => (0usize..3).prop_map(Step::Over),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn no_order_of_calls_and_crashes_passes_a_ceiling(
        limits in (1_000u64..20_000, 1_000u64..30_000, 1_000u64..40_000, 1_000u64..60_000),
        steps in prop::collection::vec(step(), 1..40)
    ) {
        let ceilings = Ceilings {
            incident_micro_usd: limits.0, service_hour_micro_usd: limits.1,
            hour_micro_usd: limits.2, day_micro_usd: limits.3,
        };
        let place = Place::new();
        let mut ledger = Some(place.open(ceilings));
        let mut held: Vec<(Reservation, u64, u64)> = Vec::new();
        for step in steps {
            let open = ledger.as_ref().unwrap();
            match step {
                Step::Reserve(i, input, output, hours) => {
                    let now = at("00:00") + SignedDuration::from_hours(hours);
                    let spend = purse(open, &format!("inc-{i}"));
                    if let Ok(r) = block_on(spend.reserve(now, HAIKU, "a", u64::MAX, (input, output))) {
                        held.push((r, input, output));
                    }
                }
                Step::Settle(n, share) if n < held.len() => {
                    let (r, input, output) = held.swap_remove(n);
                    let usage = Usage { input_tokens: input * share / 100, output_tokens: output, ..Usage::default() };
                    r.settle(Some(&usage));
                }
                Step::Release(n) if n < held.len() => held.swap_remove(n).0.release(),
                Step::Drop(n) if n < held.len() => drop(held.swap_remove(n)),
                Step::Over(i) => {
                    let (incident, total) = (format!("inc-{i}"), Total::default());
                    open.over(Over { incident, at: at("00:00"), service: None, total, outcome: "escalated".into() });
                }
                Step::Crash => {
                    // Reservations that nobody ever settles: their owner is gone.
                    held.drain(..).for_each(std::mem::forget);
                    block_on(open.flush());
                    drop(ledger.take());
                    // Forgotten reservations keep the keeper alive; the lock is per open file.
                    let moved = place.0.path().join("moved");
                    std::fs::create_dir_all(&moved).unwrap();
                    for end in ["", "-wal"] {
                        let from = format!("{}{end}", place.path().display());
                        if std::fs::exists(&from).unwrap() {
                            std::fs::copy(&from, moved.join(format!("l{end}"))).unwrap();
                        }
                    }
                    std::fs::remove_dir_all(place.path().parent().unwrap()).unwrap();
                    std::fs::create_dir_all(place.path().parent().unwrap()).unwrap();
                    for end in ["", "-wal"] {
                        let from = moved.join(format!("l{end}"));
                        if from.exists() {
                            std::fs::rename(from, format!("{}{end}", place.path().display())).unwrap();
                        }
                    }
                    ledger = Some(place.open(ceilings));
                }
                _ => {}
            }
            block_on(ledger.as_ref().unwrap().flush());
            let books = Books::open(&place.path()).unwrap();
            for (by, ceiling) in [(By::Day, limits.3), (By::Incident, limits.0)] {
                for line in books.lines(by, Period::ALL).unwrap() {
                    prop_assert!(line.cost_micro_usd + line.reserved_micro_usd <= ceiling, "{:?} {:?}", by, line);
                }
            }
            for hour in 0..31 {
                let from = at("00:00") + SignedDuration::from_hours(hour);
                let line = books.total(Period { from, to: from + SignedDuration::from_hours(1) }).unwrap();
                prop_assert!(line.cost_micro_usd + line.reserved_micro_usd <= limits.2.min(limits.1));
            }
        }
    }
}

/// A ledger with an incident of each day in March, each with one call of 1,750 micro-dollars at 02:00.
fn a_month(place: &Place, ceilings: Ceilings) -> Ledger {
    let ledger = place.open(ceilings);
    for day in 1..=30 {
        let spend = purse(&ledger, &format!("inc-{day}"));
        spent_on(&ledger, &spend, day, "escalated");
    }
    block_on(ledger.flush());
    ledger
}

fn on_day(day: i64) -> Timestamp {
    at("02:00") + SignedDuration::from_hours(24 * (day - 9))
}

fn spent_on(ledger: &Ledger, spend: &Spend, day: i64, outcome: &str) {
    let held = block_on(spend.reserve(on_day(day), HAIKU, "log_analyst", u64::MAX, (1_000, 100))).unwrap();
    held.settle(None);
    if !outcome.is_empty() {
        let (incident, outcome) = (format!("inc-{day}"), outcome.to_owned());
        ledger.over(Over { incident, at: on_day(day), service: None, total: spend.total(), outcome });
    }
}

fn rows(place: &Place, table: &str) -> i64 {
    let connection = rusqlite::Connection::open(place.path()).unwrap();
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn what_is_old_goes_a_little_at_a_time_and_no_ceiling_becomes_wider() {
    let place = Place::new();
    let ceilings = Ceilings { day_micro_usd: 4_000, incident_micro_usd: 3_000, ..Ceilings::default() };
    let ledger = a_month(&place, ceilings);
    // One that never ended, one that is worked on anew, and one of which a call is under way.
    spent_on(&ledger, &purse(&ledger, "inc-open"), 2, "");
    let again = purse(&ledger, "inc-3");
    let under_way = purse(&ledger, "inc-4");
    let held = block_on(under_way.reserve(on_day(26), HAIKU, "log_analyst", u64::MAX, (500, 50))).unwrap();
    block_on(ledger.flush());
    // Afternoon of the 20th: of that day everything stays.
    let before = on_day(20) + SignedDuration::from_hours(12);
    let mut lots = Vec::new();
    loop {
        lots.push(block_on(ledger.forget(before, 5)).unwrap());
        if lots.last() < Some(&5) {
            break;
        }
    }
    assert_eq!((lots.iter().max(), lots.len()), (Some(&5), 4), "{lots:?}");
    // 19 days, less the two that stay; eleven days after; and the one that never ended.
    assert_eq!(rows(&place, "incidents"), 30 - 17);
    assert_eq!(rows(&place, "calls"), 30 - 17 + 1 + 1);
    let of = |like: &str| rows(&place, &format!("sums WHERE scope LIKE '{like}/%'"));
    assert_eq!((of("day"), of("hour"), of("service-hour")), (30, 11, 11));
    assert_eq!((of("incident"), of("specialist")), (14, 14));
    // An incident that is not over may not spend again what it had spent, nor may one that is
    // worked on anew, whoever asks, before and after a start.
    let incident = |spend: &Spend, day| {
        block_on(spend.reserve(on_day(day), HAIKU, "log_analyst", u64::MAX, (1_000, 100))).unwrap_err()
    };
    held.settle(None);
    let tried = |ledger: &Ledger, again: &Spend| {
        for spend in [again, &purse(ledger, "inc-open")] {
            let refused = incident(spend, 25);
            assert!(
                matches!(&refused, SpendError::Ceiling { of, left: 1_250, .. } if of == "the incident"),
                "{refused}"
            );
        }
        // Nor is a day that is past wider, such as after a step of the clock.
        let late = purse(ledger, "inc-late");
        let small = block_on(late.reserve(on_day(5), HAIKU, "log_analyst", u64::MAX, (1_000, 100))).unwrap();
        let refused = incident(&late, 5);
        assert!(matches!(&refused, SpendError::Ceiling { .. }), "{refused}");
        let other = incident(&purse(ledger, "inc-other"), 5);
        assert!(matches!(&other, SpendError::Ceiling { of, left: 500, .. } if of == "this day"), "{other}");
        small.release();
    };
    tried(&ledger, &again);
    block_on(ledger.flush());
    drop((under_way, again, ledger));
    let ledger = place.open(ceilings);
    tried(&ledger, &purse(&ledger, "inc-3"));
}

#[test]
fn who_asks_for_days_that_are_gone_is_told_from_when_on_calls_are_there() {
    let place = Place::new();
    let ledger = a_month(&place, Ceilings::default());
    let books = || Books::open(&place.path()).unwrap();
    assert_eq!(books().earlier(Period::ALL).unwrap(), None);
    assert_eq!(block_on(ledger.forget(on_day(1), 100)).unwrap(), 0);
    assert_eq!(books().earlier(Period::ALL).unwrap(), None, "nothing was taken away");
    assert_eq!(block_on(ledger.forget(on_day(11), 100)).unwrap(), 10);
    let earlier = books().earlier(Period::ALL).unwrap().unwrap();
    assert_eq!(earlier.complete_from.to_string(), "2026-03-11T00:00:00Z");
    assert_eq!((earlier.days.len(), earlier.cost_micro_usd), (10, 17_500));
    assert_eq!(earlier.days[0], read::Day { day: "2026-03-01".into(), cost_micro_usd: 1_750 });
    let asked = Period { from: on_day(9), to: on_day(12) };
    assert_eq!(books().earlier(asked).unwrap().unwrap().days.len(), 2);
    let after = Period { from: "2026-03-11T00:00:00Z".parse().unwrap(), ..Period::ALL };
    assert_eq!(books().earlier(after).unwrap(), None);
    assert_eq!(books().total(after).unwrap().cost_micro_usd, 20 * 1_750);
}

#[test]
fn a_ledger_of_the_first_schema_is_taken_on() {
    let place = Place::new();
    drop(a_month(&place, Ceilings::default()));
    let connection = rusqlite::Connection::open(place.path()).unwrap();
    connection.execute_batch("DROP TABLE forgotten; PRAGMA user_version = 1;").unwrap();
    assert_eq!(Books::open(&place.path()).unwrap().earlier(Period::ALL).unwrap(), None);
    drop(connection);
    let ledger = place.open(Ceilings::default());
    assert_eq!(block_on(ledger.forget(on_day(31), 100)).unwrap(), 30);
    assert_eq!(rows(&place, "calls"), 0);
}
