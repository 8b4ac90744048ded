use std::{collections::HashMap, sync::Barrier};

use futures::FutureExt as _;
use proptest::prelude::*;

use super::*;
use crate::fixture::at;

const HAIKU: &str = "global.anthropic.claude-haiku-4-5-20251001-v1:0";

fn prices() -> Arc<Prices> {
    Arc::new(Prices::embedded().unwrap())
}

fn purse(ceiling: u64) -> Spend {
    Spend::new(prices(), ceiling)
}

/// What is kept in memory is there at once.
fn reserve(
    spend: &Spend,
    model: &str,
    who: &str,
    budget: u64,
    tokens: (u64, u64),
) -> Result<Reservation, SpendError> {
    spend.reserve(at("02:12"), model, who, budget, tokens).now_or_never().unwrap()
}

#[test]
fn a_call_is_reserved_at_its_worst_and_settled_at_its_usage() {
    let spend = purse(10_000);
    let held = reserve(&spend, HAIKU, "router", 10_000, (2_000, 500)).unwrap();
    assert_eq!(spend.total().reserved_micro_usd, 2_000 * 5 / 4 + 500 * 5);
    let cost = held.settle(Some(&Usage { input_tokens: 400, output_tokens: 80, ..Usage::default() }));
    assert_eq!(cost, 800);
    let total = spend.total();
    assert_eq!((total.cost_micro_usd, total.reserved_micro_usd, total.model_calls), (800, 0, 1));
}

#[test]
fn unknown_usage_and_dropped_reservations_are_settled_in_full() {
    let spend = purse(10_000);
    assert_eq!(reserve(&spend, HAIKU, "a", 10_000, (1_000, 100)).unwrap().settle(None), 1_750);
    drop(reserve(&spend, HAIKU, "a", 10_000, (1_000, 100)).unwrap());
    assert_eq!(spend.total().cost_micro_usd, 3_500);
    assert_eq!(spend.total().assumed_micro_usd, 3_500);
}

#[test]
fn ceilings_budgets_and_unknown_models_refuse() {
    let spend = purse(2_000);
    let ask = |model, budget, tokens| reserve(&spend, model, "a", budget, tokens);
    assert!(matches!(ask("nobody", 1, (1, 1)), Err(SpendError::NoPrice { .. })));
    assert!(
        matches!(ask(HAIKU, 99_999, (2_000, 1)), Err(SpendError::Ceiling { of, .. }) if of == "the incident")
    );
    assert!(matches!(ask(HAIKU, 500, (500, 1)), Err(SpendError::Tokens { .. })));
    assert!(ask("playbook", 0, (1_000_000, 4_000)).is_ok());
    let total = spend.total();
    assert_eq!((total.reserved_micro_usd, total.free_calls, total.model_calls), (0, 1, 1));
}

#[test]
fn usage_beyond_the_reservation_is_booked_and_shown() {
    let spend = purse(10_000);
    let held = reserve(&spend, HAIKU, "a", 10_000, (100, 10)).unwrap();
    let cost = held.settle(Some(&Usage { input_tokens: 1_000, output_tokens: 10, ..Usage::default() }));
    let total = spend.total();
    assert_eq!((cost, total.cost_micro_usd, total.beyond_micro_usd), (1_050, 1_050, 1_050 - 175));
}

#[test]
fn bytes_and_queries_count_against_the_same_ceiling() {
    let spend = purse(6_000);
    let charge =
        |units| spend.reserve_charge(at("02:12"), Charge::LogsInsights, units).now_or_never().unwrap();
    let held = charge(1_000_000_000).unwrap();
    assert_eq!(held.settle_units(Some(200_000_000)), 1_000);
    assert_eq!(charge(800_000_000).unwrap().settle_units(None), 4_000);
    assert!(matches!(charge(300_000_000), Err(SpendError::Ceiling { left: 1_000, .. })));
    assert_eq!(spend.total().charges_micro_usd, 5_000);
}

#[test]
fn every_ceiling_above_a_call_is_held() {
    let ceilings = Ceilings {
        incident_micro_usd: 4_000,
        service_hour_micro_usd: 5_000,
        hour_micro_usd: 6_000,
        day_micro_usd: 7_000,
    };
    let keeper: Arc<dyn Keeper> = Arc::new(InMemory::new(ceilings));
    let ask = |incident: &str, service: &str, time: &str| {
        let spend = Spend::kept_by(Arc::clone(&keeper), prices(), incident, Some(service), Total::default());
        // 1,750 micro-dollars each.
        let held = spend.reserve(at(time), HAIKU, "a", u64::MAX, (1_000, 100)).now_or_never().unwrap();
        match held {
            Ok(held) => {
                held.settle(None);
                "yes".to_owned()
            }
            Err(SpendError::Ceiling { of, .. }) => of,
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(ask("i1", "s", "02:01"), "yes");
    assert_eq!(ask("i1", "s", "02:02"), "yes");
    assert_eq!(ask("i1", "s", "02:03"), "the incident");
    assert_eq!(ask("i2", "s", "02:04"), "`s` for this hour");
    assert_eq!(ask("i2", "t", "02:05"), "yes");
    assert_eq!(ask("i3", "u", "02:59"), "this hour");
    assert_eq!(ask("i3", "s", "03:00"), "yes");
    assert_eq!(ask("i4", "v", "03:01"), "this day");
}

#[test]
fn threads_at_once_do_not_pass_a_ceiling() {
    let ceilings = Ceilings {
        incident_micro_usd: 30_000,
        service_hour_micro_usd: 50_000,
        hour_micro_usd: 70_001,
        day_micro_usd: 90_000,
    };
    let keeper = Arc::new(InMemory::new(ceilings));
    let start = Barrier::new(8);
    std::thread::scope(|scope| {
        for thread in 0..8u64 {
            let (keeper, start) = (Arc::clone(&keeper), &start);
            scope.spawn(move || {
                let (incident, service) = (format!("i{}", thread % 4), format!("s{}", thread % 2));
                let keeper = Arc::clone(&keeper) as Arc<dyn Keeper>;
                let spend = Spend::kept_by(keeper, prices(), &incident, Some(&service), Total::default());
                start.wait();
                for n in 0..200 {
                    let tokens = (1 + (n * 37 + thread * 11) % 900, 1 + n % 60);
                    if let Ok(held) = reserve(&spend, HAIKU, "a", u64::MAX, tokens) {
                        match n % 3 {
                            0 => drop(held),
                            1 => held.release(),
                            _ => {
                                let usage = Usage { input_tokens: tokens.0, ..Usage::default() };
                                held.settle(Some(&usage));
                            }
                        }
                    }
                }
            });
        }
    });
    let state = keeper.state.lock().unwrap();
    for (scope, account) in state.0.all() {
        assert_eq!(account.reserved, 0, "{scope:?}");
        let ceiling = match scope {
            Scope::Incident(_) => 30_000,
            Scope::ServiceHour(..) => 50_000,
            Scope::Hour(_) => 70_001,
            Scope::Day(_) => 90_000,
            Scope::Specialist(..) => continue,
        };
        assert!(account.settled <= ceiling, "{scope:?} {account:?}");
    }
}

proptest! {
    #[test]
    fn no_order_of_things_passes_a_ceiling_by_a_micro_dollar(
        ceilings in (1u64..20_000, 1u64..30_000, 1u64..40_000, 1u64..60_000),
        steps in prop::collection::vec(
            (0usize..3, 0usize..2, 0i64..50, 0u64..3_000, 1u64..500, 0u8..4, 0u64..=100), 1..60)
    ) {
        let ceilings = Ceilings {
            incident_micro_usd: ceilings.0, service_hour_micro_usd: ceilings.1,
            hour_micro_usd: ceilings.2, day_micro_usd: ceilings.3,
        };
        let keeper = Arc::new(InMemory::new(ceilings));
        let mut held = Vec::new();
        let mut paid = 0u64;
        for (incident, service, hours, input, output, what, share) in steps {
            let keeper_dyn = Arc::clone(&keeper) as Arc<dyn Keeper>;
            let (i, s) = (format!("i{incident}"), format!("s{service}"));
            let spend = Spend::kept_by(keeper_dyn, prices(), &i, Some(&s), Total::default());
            let now = at("02:12") + midwatch_policy::SignedDuration::from_hours(hours);
            let got = spend.reserve(now, HAIKU, "a", u64::MAX, (input, output)).now_or_never().unwrap();
            if let Ok(r) = got {
                match what {
                    0 => held.push(r),
                    1 => paid += r.settle(None),
                    2 => r.release(),
                    _ => {
                        let input_tokens = input * share / 100;
                        paid += r.settle(Some(&Usage { input_tokens, output_tokens: output, ..Usage::default() }));
                    }
                }
            } else if !held.is_empty() {
                paid += held.swap_remove(usize::try_from(share).unwrap() % held.len()).settle(None);
            }
            let state = keeper.state.lock().unwrap();
            let mut days: HashMap<bool, u64> = HashMap::new();
            for (scope, account) in state.0.all() {
                let sum = account.settled + account.reserved;
                let ceiling = match scope {
                    Scope::Specialist(..) => u64::MAX,
                    Scope::Incident(_) => ceilings.incident_micro_usd,
                    Scope::ServiceHour(..) => ceilings.service_hour_micro_usd,
                    Scope::Hour(_) => ceilings.hour_micro_usd,
                    Scope::Day(_) => ceilings.day_micro_usd,
                };
                prop_assert!(sum <= ceiling, "{:?} {:?}", scope, account);
                *days.entry(matches!(scope, Scope::Day(_))).or_default() += account.settled;
            }
            // Every day's sum is everything that was paid: nothing is lost between scopes.
            prop_assert_eq!(days.get(&true).copied().unwrap_or(0), paid);
        }
    }
}
