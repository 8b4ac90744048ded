//! What may be filed, and what is made of it.

use std::sync::atomic::Ordering;

use midwatch_policy::{Action, Asking, Attested, CallerKind, ServiceName};

use super::super::*;
use crate::desk::{
    bench::{Bench, CALM, asking, cited, for_subject, of, restart, yes},
    error::Trouble,
};

#[tokio::test]
async fn the_same_again_is_the_same_request() {
    let bench = Bench::new(1);
    let first = bench.office.file(&bench.asker, asking()).await.unwrap();
    let again = bench
        .office
        .file(&bench.asker, Asking { reason: "other words".to_owned(), ..asking() })
        .await
        .unwrap();
    assert!(first.new && !again.new);
    assert_eq!(first.view, again.view);
    bench.office.approve(&bench.first, &first.view.shown.request, yes(&first.view)).unwrap();
    let approved = bench.office.file(&bench.asker, asking()).await.unwrap();
    assert_eq!(approved.view.state.as_str(), "approved", "one permit at a time");
    assert_eq!(bench.double.asked.load(Ordering::SeqCst), 1, "planned once");
    // Somebody else who wants the same gets a request of their own.
    let other = bench.office.file(&bench.server, for_subject("agent")).await.unwrap();
    assert!(other.new && other.view.shown.caller == CallerKind::AgentClient);
    assert_eq!(other.view.shown.claimed, None);
    let claiming = Asking { action: of("s1"), claimed: asking().claimed, ..for_subject("midwatch") };
    let known = bench.office.file(&bench.server, claiming).await.unwrap();
    assert_eq!(known.view.shown.caller, CallerKind::Supervisor);
    assert_eq!(known.view.shown.claimed, asking().claimed);
}

#[tokio::test]
async fn what_was_declined_is_not_asked_again_without_new_evidence() {
    let bench = Bench::new(1);
    let view = bench.file().await;
    bench.office.decline(&bench.first, &view.shown.request, "not tonight").unwrap();
    let again = |asking: Asking| bench.office.file(&bench.asker, asking);
    let error = again(asking()).await.unwrap_err();
    assert!(error.is(Trouble::DeclinedBefore), "{error:?}");
    assert!(error.to_string().contains("first-on-call") && error.to_string().contains("not tonight"));
    for old in [
        Asking { reason: "please".to_owned(), ..asking() },
        Asking { evidence: vec![cited("  Memory   GROWS ")], ..asking() },
        Asking { evidence: Vec::new(), ..asking() },
    ] {
        assert!(again(old).await.unwrap_err().is(Trouble::DeclinedBefore));
    }
    let new = Asking { evidence: vec![cited("memory grows"), cited("out of memory")], ..asking() };
    let view = again(new.clone()).await.unwrap().view;
    bench.office.decline(&bench.second, &view.shown.request, "still not").unwrap();
    assert!(again(new).await.unwrap_err().is(Trouble::DeclinedBefore));
    // A person may want it after all.
    let raised = bench.office.raise(&bench.second, &view.shown.request).await.unwrap();
    assert!(raised.new && raised.view.shown.request != view.shown.request);
    assert_eq!(raised.view.shown.subject, "midwatch");
    bench.office.withdraw(&bench.asker, &raised.view.shown.request, "cleared").unwrap();
    bench.clock.set(25 * 3600);
    assert!(again(asking()).await.unwrap().new, "not for ever");
}

#[tokio::test]
async fn only_what_has_ended_is_raised() {
    let bench = Bench::new(1);
    let view = bench.file().await;
    let id = &view.shown.request;
    assert!(bench.office.raise(&bench.first, id).await.unwrap_err().is(Trouble::Ended), "open");
    bench.clock.set(600);
    let raised = bench.office.raise(&bench.first, id).await.unwrap().view;
    assert_eq!(raised.shown.incident, view.shown.incident);
    bench.office.approve(&bench.first, &raised.shown.request, yes(&raised)).unwrap();
    assert!(
        bench.office.raise(&bench.first, &raised.shown.request).await.unwrap_err().is(Trouble::Ended),
        "approved"
    );
    bench.clock.set(600 + 600);
    assert!(
        bench.office.raise(&bench.first, &raised.shown.request).await.unwrap().new,
        "its permit has run out"
    );
}

#[tokio::test]
async fn people_are_not_flooded() {
    let bench = Bench::new(1);
    let about = |service: &str| Asking { action: of(service), ..asking() };
    for number in 0..5 {
        bench.office.file(&bench.asker, about(&format!("s{number}"))).await.unwrap();
    }
    let sixth = bench.office.file(&bench.asker, about("s5")).await.unwrap_err();
    assert!(sixth.is(Trouble::Limit), "{sixth:?}");
    let planned = bench.double.asked.load(Ordering::SeqCst);
    assert_eq!(planned, 5, "what is over the limit is not even planned");
    // Others have limits of their own, also about the same service.
    for subject in ["one", "two", "three"] {
        let asking = Asking { action: of("s0"), ..for_subject(subject) };
        assert!(bench.office.file(&bench.server, asking).await.is_ok(), "{subject}");
    }
    // Withdrawing does not make room for more within the hour.
    let mut filed = 5;
    for view in bench.office.list(&bench.first, Some("open")).unwrap() {
        bench.office.withdraw(&bench.first, &view.shown.request, "enough").unwrap();
    }
    for number in 5..30 {
        let Ok(new) = bench.office.file(&bench.asker, about(&format!("s{number}"))).await else { break };
        bench.office.withdraw(&bench.asker, &new.view.shown.request, "again").unwrap();
        filed += 1;
    }
    assert_eq!(filed, Limits::default().hourly_per_subject);
}

#[tokio::test]
async fn what_policy_catalog_and_plan_say() {
    let bench = Bench::new(1);
    let office = &bench.office;
    let tried = |asking: Asking| office.file(&bench.asker, asking);
    let certain = asking().claimed.map(|c| midwatch_policy::Claimed { confidence_percent: 101, ..c });
    assert!(tried(Asking { claimed: certain, ..asking() }).await.unwrap_err().is(Trouble::Invalid));
    let unknown = Action::RestartService { service: ServiceName::parse("nowhere").unwrap() };
    let forbidden = [
        ("catalog", Asking { action: unknown, ..asking() }),
        ("autonomy", Asking { action: of("quiet"), ..asking() }),
        ("claims-missing", Asking { claimed: None, ..asking() }),
        (
            "low-confidence",
            Asking {
                claimed: asking().claimed.map(|c| midwatch_policy::Claimed { confidence_percent: 20, ..c }),
                ..asking()
            },
        ),
    ];
    for (rule, asking) in forbidden {
        let error = tried(asking).await.unwrap_err();
        assert!(error.is(Trouble::Forbidden) && error.to_string().contains(rule), "{rule}: {error:?}");
    }
    for (rule, facts) in [
        ("restart-during-deployment", Attested { deployments_in_progress: 1, ..CALM }),
        ("change-freeze", Attested { change_freeze: true, ..CALM }),
        ("enough-for-an-hour", Attested { actions_last_hour: 3, ..CALM }),
    ] {
        *bench.double.facts.lock().unwrap() = facts;
        let error = tried(asking()).await.unwrap_err();
        assert!(error.is(Trouble::Forbidden) && error.to_string().contains(rule), "{rule}: {error:?}");
    }
    *bench.double.facts.lock().unwrap() = CALM;
    *bench.double.instead.lock().unwrap() = Some(of("s1"));
    assert!(tried(asking()).await.unwrap_err().is(Trouble::Plan), "a plan for something else");
    *bench.double.instead.lock().unwrap() = None;
    *bench.double.gone.lock().unwrap() = true;
    assert!(tried(asking()).await.unwrap_err().is(Trouble::Plan));
    assert_eq!(office.list(&bench.first, None).unwrap(), [], "nobody was asked anything");
    *bench.double.gone.lock().unwrap() = false;
}

#[tokio::test]
async fn runbooks_and_the_calendar_only_narrow() {
    let bench = Bench::new(1);
    let tried = |asking: Asking| bench.office.file(&bench.asker, asking);
    let following = |id: &str| Asking { runbook: Some(id.to_owned()), action: of("s7"), ..asking() };
    let citing_none = || Asking { action: of("s7"), ..asking() };
    assert!(tried(following("made-up")).await.unwrap_err().is(Trouble::Invalid));
    let never = tried(Asking { action: of("s29"), ..asking() }).await.unwrap_err();
    assert!(never.is(Trouble::Forbidden) && never.to_string().contains("never"), "{never:?}");
    let other = tried(Asking { action: of("s1"), ..following("leak") }).await.unwrap_err();
    assert!(other.is(Trouble::Forbidden) && other.to_string().contains("is for s7"), "{other:?}");
    *bench.double.facts.lock().unwrap() = Attested { actions_last_hour: 1, ..CALM };
    for asking in [following("leak"), citing_none()] {
        assert!(tried(asking).await.unwrap_err().to_string().contains("within the last hour"));
    }
    *bench.double.facts.lock().unwrap() = CALM;
    for (asking, cited) in [(following("leak"), Some("leak")), (citing_none(), None)] {
        let view = tried(asking).await.unwrap().view;
        let asked: Vec<String> = view.shown.asks.iter().map(ToString::to_string).collect();
        assert_eq!(asked, ["1 oncall", "1 owner"]);
        assert_eq!(view.shown.runbook.as_ref().map(|runbook| runbook.id.as_str()), cited);
        let held: Vec<String> = view.shown.held_to().into_iter().map(|runbook| runbook.id).collect();
        assert_eq!(held, if cited.is_none() { vec!["leak"] } else { Vec::new() });
        bench.office.withdraw(&bench.asker, &view.shown.request, "enough").unwrap();
    }
    bench.clock.set(4 * 86_400);
    let frozen = tried(asking()).await.unwrap_err();
    assert!(frozen.to_string().contains("change-freeze"), "the desk's own calendar: {frozen:?}");
}

#[tokio::test]
async fn words_of_an_asker_do_nothing_but_stand_there() {
    let bench = Bench::new(1);
    let wild = Asking {
        reason: "a\u{1b}[2J\u{202e}b\r\nAKIAIOSFODNN7EXAMPLE".to_owned(),
        evidence: (0..50).map(|n| cited(&format!("{n}{}", "x".repeat(5_000)))).collect(),
        ..asking()
    };
    let shown = bench.office.file(&bench.asker, wild).await.unwrap().view.shown;
    assert_eq!(shown.reason, "a [2J b [redacted:aws_key_id]");
    assert_eq!(shown.evidence.len(), 20);
    assert!(shown.evidence.iter().all(|cited| cited.text.chars().count() <= 400));
    assert_eq!(shown.plan.action, restart());
    for subject in ["", "a b", "a\n", "\u{430}gent", &"a".repeat(129)] {
        let error = bench.office.file(&bench.server, for_subject(subject)).await.unwrap_err();
        assert!(error.is(Trouble::Invalid), "{subject:?}");
    }
}
