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
        ("the same person twice", |_, _| Some(reply(true, "person", "oncall"))),
        ("the same person in another case", |_, before| {
            Some(reply(true, ["person", "PERSON ", " Person"][before.min(2)], "oncall"))
        }),
        ("the wrong role", |_, before| Some(reply(true, &format!("person-{before}"), "intern"))),
        ("the supervisor itself", |_, before| {
            Some(reply(true, if before == 0 { "supervisor" } else { "person" }, "oncall"))
        }),
        ("nobody by name", |_, before| Some(reply(true, &" ".repeat(before), "oncall"))),
        ("one yes, one no", |_, before| Some(reply(before == 0, &format!("p{before}"), "oncall"))),
        ("one yes, then silence", |_, before| (before == 0).then(|| reply(true, "person", "oncall"))),
    ];
    for (what, manner) in manners {
        declined(&answered(manner).await, what);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_and_silence() {
    declined(&answered(|_, _| Some(reply(false, "person", "oncall"))).await, "no");
    declined(&answered(|_, _| None).await, "silence");
}
