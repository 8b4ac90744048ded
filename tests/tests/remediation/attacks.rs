//! Permits that are no leave, each tried against the real server: no act, or exactly one.

use midwatch_policy::{Action, Claims, IncidentId, RequestId, SignedDuration, SigningKey};
use midwatch_remediation::SpendStore;
use serde_json::Value;

use crate::bench::{Bench, restart, rollback, scale};

const HISTORY: &str = "
[[deployment]]
service = 'shop-api'
id = 'd-GOOD'
at = '-5h'
commit = 'aaaaaaa'

[[deployment]]
service = 'shop-api'
id = 'd-BAD'
at = '-4m'
takes = '50s'
commit = 'bbbbbbb'
";

fn action() -> Action {
    rollback("shop-api", "d-BAD")
}

fn reason(receipt: &Value) -> (&str, &str) {
    let reason = &receipt["reason"];
    (reason["kind"].as_str().unwrap_or_else(|| panic!("{receipt}")), reason["message"].as_str().unwrap())
}

type Twist = fn(&mut Claims);

#[tokio::test]
async fn a_permit_for_anything_else_is_no_leave() {
    let bench = Bench::new(HISTORY).await;
    let plan = bench.plan(&action()).await.unwrap();
    let twists: [(&str, Twist); 14] = [
        ("another caller", |c| c.subject = "somebody".to_owned()),
        ("another server", |c| c.audience = "remediation-of-others".to_owned()),
        ("another request", |c| c.request = RequestId::parse("request-2").unwrap()),
        ("another tool", |c| c.tool = restart("shop-api").kind()),
        ("another deployment", |c| c.arguments = rollback("shop-api", "d-GOOD").digest().unwrap()),
        ("another service", |c| c.arguments = rollback("cart", "d-BAD").digest().unwrap()),
        ("another schema", |c| c.schema = restart("shop-api").digest().unwrap()),
        ("expired", |c| {
            c.not_before = c.not_before.checked_sub(SignedDuration::from_mins(20)).unwrap();
            c.expires = c.not_before.checked_add(SignedDuration::from_mins(10)).unwrap();
        }),
        ("not yet", |c| {
            c.not_before = c.not_before.checked_add(SignedDuration::from_mins(9)).unwrap();
        }),
        ("for ever", |c| c.expires = c.not_before.checked_add(SignedDuration::from_hours(200)).unwrap()),
        ("approved by nobody", |c| c.approvers.clear()),
        ("approved by the caller", |c| c.approvers[0].name.clone_from(&c.subject)),
        ("approved twice by one", |c| c.approvers.push(c.approvers[0].clone())),
        ("without a policy", |c| c.policies.clear()),
    ];
    for (what, twist) in twists {
        let mut claims = bench.claims(&plan, "permit-1");
        twist(&mut claims);
        bench.offer(&claims);
        let receipt = bench.act(&action()).await;
        assert_eq!(reason(&receipt).0, "bad_permit", "{what}: {receipt}");
        assert_eq!(receipt["calls"], serde_json::json!([]), "{what}");
    }
    bench.offer_signed(&bench.claims(&plan, "permit-1"), &SigningKey::generate().unwrap());
    assert_eq!(reason(&bench.act(&action()).await).0, "bad_permit", "a forged signature");
    assert_eq!(bench.world.mutations(), []);
    // The incident is recorded, not compared: the caller names none.
    let mut claims = bench.claims(&plan, "permit-1");
    claims.incident = IncidentId::parse("inc-2").unwrap();
    bench.offer(&claims);
    assert_eq!(bench.act(&action()).await["outcome"], "done", "nothing was wrong with the rest");
}

#[tokio::test]
async fn altered_arguments_find_no_leave() {
    let bench = Bench::new("").await;
    let plan = bench.plan(&scale("cart", 6)).await.unwrap();
    bench.offer(&bench.claims(&plan, "permit-1"));
    assert_eq!(reason(&bench.act(&scale("cart", 7)).await).0, "bad_permit");
    assert_eq!(reason(&bench.act(&restart("cart")).await).0, "bad_permit");
    assert_eq!(bench.world.mutations(), []);
}

#[tokio::test]
async fn a_permit_acts_once_and_also_once_across_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spent.db");
    let bench = Bench::with_store("", SpendStore::open(&path).unwrap()).await;
    assert!(SpendStore::open(&path).is_err(), "two processes hold the store");
    let plan = bench.plan(&scale("cart", 6)).await.unwrap();
    let claims = bench.claims(&plan, "permit-1");
    bench.offer(&claims);
    assert_eq!(bench.act(&scale("cart", 6)).await["outcome"], "done");
    let replayed = bench.act(&scale("cart", 6)).await;
    assert_eq!(replayed["outcome"], "refused", "{replayed}");
    let bench = bench.restarted(&path).await;
    // Back to the count it was approved at: only the record of spent permits stands in the way.
    assert_eq!(bench.approved(&scale("cart", 4), "permit-2").await["outcome"], "done");
    bench.offer(&claims);
    let replayed = bench.act(&scale("cart", 6)).await;
    assert_eq!(reason(&replayed).0, "spent", "{replayed}");
    assert!(reason(&replayed).1.contains("done"), "{replayed}");
    assert_eq!(bench.changes().len(), 2);
}

#[tokio::test]
async fn the_same_permit_many_times_at_once_acts_once() {
    let bench = Bench::new(HISTORY).await;
    let plan = bench.plan(&action()).await.unwrap();
    bench.offer(&bench.claims(&plan, "permit-1"));
    let approved = action();
    let receipts = futures_join((0..8).map(|_| bench.act(&approved)).collect()).await;
    let done = receipts.iter().filter(|r| r["outcome"] == "done").count();
    assert_eq!((done, bench.world.mutations().len()), (1, 1), "{receipts:#?}");
}

async fn futures_join<F: Future<Output = Value>>(calls: Vec<F>) -> Vec<Value> {
    let mut calls: Vec<_> = calls.into_iter().map(Box::pin).collect();
    let mut answers = vec![None; calls.len()];
    std::future::poll_fn(|context| {
        for (call, answer) in calls.iter_mut().zip(&mut answers) {
            if answer.is_none()
                && let std::task::Poll::Ready(value) = call.as_mut().poll(context)
            {
                *answer = Some(value);
            }
        }
        if answers.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    answers.into_iter().flatten().collect()
}

#[tokio::test]
async fn two_permits_for_one_target_act_once() {
    let bench = Bench::new("").await;
    let plan = bench.plan(&restart("cart")).await.unwrap();
    bench.offer(&bench.claims(&plan, "permit-1"));
    assert_eq!(bench.act(&restart("cart")).await["outcome"], "done");
    bench.offer(&bench.claims(&plan, "permit-2"));
    let second = bench.act(&restart("cart")).await;
    assert_eq!(reason(&second).0, "stale", "{second}");
    assert_eq!(bench.changes().len(), 1);
}

#[tokio::test]
async fn a_target_that_changed_makes_the_permit_stale_and_says_what_changed() {
    let bench = Bench::new("").await;
    let up = bench.plan(&scale("cart", 6)).await.unwrap();
    let claims = bench.claims(&up, "permit-1");
    assert_eq!(bench.approved(&scale("cart", 5), "permit-2").await["outcome"], "done");
    bench.offer(&claims);
    let stale = bench.act(&scale("cart", 6)).await;
    assert_eq!(
        reason(&stale),
        ("stale", "the target has changed since it was approved: the desired count was `4`, now it is `5`")
    );
    // A stale permit is not spent: it may be of use when the target is as it was.
    assert_eq!(bench.changes().len(), 1);
}

#[tokio::test]
async fn protection_bounds_kill_switch_and_limits_outrank_every_permit() {
    let bench = Bench::new("").await;
    let plan = bench.plan(&scale("ledger", 5)).await.unwrap();
    assert!(plan.warnings[0].contains("protected"), "{plan:?}");
    bench.offer(&bench.claims(&plan, "permit-1"));
    assert_eq!(reason(&bench.act(&scale("ledger", 5)).await).0, "policy");

    let mut wide = bench.plan(&scale("cart", 6)).await.unwrap();
    wide.action = scale("cart", 60);
    bench.offer(&bench.claims(&wide, "permit-2"));
    assert_eq!(reason(&bench.act(&scale("cart", 60)).await).0, "policy");

    bench.kill_switch.engage();
    let stopped = bench.approved(&scale("cart", 6), "permit-3").await;
    assert_eq!(reason(&stopped).0, "kill_switch");
    bench.kill_switch.release();
    assert_eq!(bench.world.mutations(), []);

    for (n, count) in [5, 6, 7].into_iter().enumerate() {
        let receipt = bench.approved(&scale("cart", count), &format!("permit-1{n}")).await;
        assert_eq!(receipt["outcome"], "done", "{receipt}");
    }
    let more = bench.approved(&scale("cart", 8), "permit-20").await;
    // Policy says so first; the server's own limit stands behind it, whatever policy says.
    assert_eq!(reason(&more).0, "policy", "{more}");
    assert!(reason(&more).1.contains("enough-for-an-hour"), "{more}");
    assert_eq!(bench.changes().len(), 3);
}

#[tokio::test]
async fn policy_is_asked_again_and_outranks_the_permit() {
    let extra = "
[[service]]
name = 'vault-front'
tier = 0
deploys_with = 'ecs'

[[service]]
name = 'watched'
tier = 2
deploys_with = 'ecs'
autonomy = 'advise'
";
    let bench = Bench::new(extra).await;
    // Tier 0 takes two people; this permit names one.
    let one = bench.approved(&restart("vault-front"), "permit-1").await;
    assert_eq!(reason(&one).0, "policy", "{one}");
    assert!(reason(&one).1.contains("1 oncall"), "{one}");
    let watched = bench.approved(&restart("watched"), "permit-2").await;
    assert_eq!(reason(&watched).0, "policy", "{watched}");
    assert_eq!(bench.world.mutations(), []);

    let plan = bench.plan(&restart("vault-front")).await.unwrap();
    let mut claims = bench.claims(&plan, "permit-3");
    let mut second = claims.approvers[0].clone();
    second.name = "second-on-call".to_owned();
    claims.approvers.push(second);
    bench.offer(&claims);
    assert_eq!(bench.act(&restart("vault-front")).await["outcome"], "done");
}
