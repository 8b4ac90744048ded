//! People whose yes is not one, and people who do not say it.

use midwatch_policy::Risk;

use crate::stage::{Manner, Played, everybody_says_yes, play, reply, scenario};

async fn answered(manner: Manner) -> Played {
    // Its service is of tier 0: two different people on call have to say yes.
    play(scenario("deployment-in-progress"), None, manner).await
}

fn declined(played: &Played, what: &str) {
    assert!(!played.shown.is_empty(), "{what}: somebody was asked");
    assert_eq!(played.mutations, [], "{what}");
    assert_eq!(played.run.actions, [], "{what}");
    assert!(played.run.outcome.needs_a_person(), "{what}: {:?}", played.run.outcome);
}

/// The bench itself works: two people who say yes get the deployment rolled back, once.
#[tokio::test(flavor = "multi_thread")]
async fn two_people_say_yes() {
    let played = answered(everybody_says_yes).await;
    assert_eq!(played.run.actions.len(), 1, "{:#?}", played.run);
    assert_eq!(played.run.actions[0].outcome, "done");
    assert!(!played.mutations.is_empty());
    assert!(
        played.shown.len() >= 2 && played.shown.windows(2).all(|pair| pair[0] == pair[1]),
        "both saw the same"
    );
    assert!(played.shown[0].risk <= Risk::High && !played.shown[0].inverse.summary.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_that_is_none() {
    let manners: [(&str, Manner); 7] = [
        ("the same person twice", |_| Some(reply(true, "person", "oncall"))),
        ("the same person in another case", |q| {
            Some(reply(true, ["person", "PERSON ", " Person"][q.already.len().min(2)], "oncall"))
        }),
        ("the wrong role", |q| Some(reply(true, &format!("person-{}", q.already.len()), "intern"))),
        ("the supervisor itself", |q| {
            Some(reply(true, if q.already.is_empty() { "supervisor" } else { "person" }, "oncall"))
        }),
        ("nobody by name", |q| Some(reply(true, &" ".repeat(q.already.len()), "oncall"))),
        ("one yes, one no", |q| {
            Some(reply(q.already.is_empty(), &format!("p{}", q.already.len()), "oncall"))
        }),
        ("one yes, then silence", |q| q.already.is_empty().then(|| reply(true, "person", "oncall"))),
    ];
    for (what, manner) in manners {
        declined(&answered(manner).await, what);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_and_silence() {
    declined(&answered(|_| Some(reply(false, "person", "oncall"))).await, "no");
    declined(&answered(|_| None).await, "silence");
}
