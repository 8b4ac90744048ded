mod back;
mod filing;
mod permits;

use midwatch_policy::{Asking, Outcome, RequestState};

use super::*;
use crate::desk::{
    bench::{self, Bench, asking, at, incident, restart, yes},
    error::Trouble,
};

#[tokio::test]
async fn one_yes_makes_one_permit_for_what_was_shown() {
    let bench = Bench::new(1);
    let view = bench.file().await;
    assert_eq!(view.shown.plan.action, restart());
    assert_eq!(view.digest, view.shown.digest().unwrap());
    assert_eq!(view.shown.expires_at, at(600));
    assert!(bench.fetch().is_none(), "nothing is permitted yet");

    let approved = bench.office.approve(&bench.first, &view.shown.request, yes(&view)).unwrap();
    let RequestState::Approved { permit, approvers, .. } = &approved.state else { panic!("{approved:?}") };
    assert_eq!(approvers[0].name, "first-on-call");
    let verified = bench.verified().unwrap();
    assert_eq!(verified.claims().permit, *permit);
    assert_eq!(verified.claims().shown, view.digest);
    assert_eq!(verified.claims().subject, "midwatch");
    assert_eq!(verified.claims().audience, "remediation");
    assert_eq!(verified.claims().terms, view.shown.plan.terms);
    assert!(bench.office.check(&bench.server, permit, "s-1").unwrap());

    let used = bench.office.used(&bench.server, permit, Outcome::Done).unwrap();
    assert_eq!(used.state.as_str(), "used");
    assert!(bench.fetch().is_none(), "a used permit is not handed out again");
    assert!(!bench.office.check(&bench.server, permit, "s-1").unwrap());
    assert_eq!(
        bench.office.used(&bench.server, permit, Outcome::Done).unwrap(),
        used,
        "said twice, written once"
    );
    let other = bench.office.used(&bench.server, permit, Outcome::Failed).unwrap_err();
    assert!(other.is(Trouble::Ended));
}

#[tokio::test]
async fn two_people_are_two_people() {
    let bench = Bench::new(0);
    let view = bench.file().await;
    let id = &view.shown.request;
    let once = bench.office.approve(&bench.first, id, yes(&view)).unwrap();
    assert!(once.state.is_open());
    assert_eq!(once.wanted[0].people, 1);
    assert!(bench.fetch().is_none());
    let twice = bench.office.approve(&bench.first, id, yes(&view)).unwrap_err();
    assert!(twice.is(Trouble::NotAllowed), "{twice:?}");
    let shouted = Principal::person("FIRST-on-call", ["oncall"]);
    assert!(bench.office.approve(&shouted, id, yes(&view)).unwrap_err().is(Trouble::NotAllowed));
    let both = bench.office.approve(&bench.second, id, yes(&view)).unwrap();
    assert_eq!(both.state.as_str(), "approved");
    assert!(bench.fetch().is_some());
}

#[tokio::test]
async fn a_yes_that_is_none() {
    let bench = Bench::new(1);
    let view = bench.file().await;
    let id = &view.shown.request;
    let says = |who: &Principal, yes: Yes<'_>| bench.office.approve(who, id, yes).unwrap_err();
    assert!(says(&Principal::person("intern", ["intern"]), yes(&view)).is(Trouble::NotAllowed));
    assert!(says(&Principal::person("midwatch", ["oncall"]), yes(&view)).is(Trouble::NotAllowed));
    assert!(says(&bench.first, Yes { role: Some("owner"), ..yes(&view) }).is(Trouble::NotAllowed));
    let other = Yes { shown: midwatch_policy::Digest::of(b"another"), ..yes(&view) };
    assert!(says(&bench.first, other).is(Trouble::Invalid));
    bench.clock.set(600);
    assert!(says(&bench.first, yes(&view)).is(Trouble::Ended));
    assert_eq!(bench.office.view(&bench.first, id).unwrap().state.as_str(), "expired");
    assert!(bench.fetch().is_none());
}

/// Each call with each kind of principal that may not make it.
#[tokio::test]
async fn nobody_does_what_is_not_theirs() {
    let bench = Bench::new(1);
    let view = bench.file().await;
    let id = &view.shown.request;
    let Bench { office, first, asker, server, .. } = &bench;
    let permit = midwatch_policy::PermitId::parse("mwp-1").unwrap();
    let stranger = Principal::asker("another-supervisor");
    let elsewhere = Principal::server("another-server");
    let head = midwatch_policy::Digest::of(b"head");
    let refused = [
        ("a person files", office.file(first, asking()).await.err()),
        ("another server files", office.file(&elsewhere, bench::for_subject("agent")).await.err()),
        ("an asker files for another", office.file(asker, bench::for_subject("agent")).await.err()),
        ("an asker approves", office.approve(asker, id, yes(&view)).err()),
        ("a server approves", office.approve(server, id, yes(&view)).err()),
        ("an asker declines", office.decline(asker, id, "no").err()),
        ("a server declines", office.decline(server, id, "no").err()),
        ("an asker raises", office.raise(asker, id).await.err()),
        ("a server raises", office.raise(server, id).await.err()),
        ("a person fetches", office.fetch_permit(first, "midwatch", &restart()).err()),
        ("an asker fetches", office.fetch_permit(asker, "midwatch", &restart()).err()),
        ("a person checks", office.check(first, &permit, "s-1").err()),
        ("an asker checks", office.check(asker, &permit, "s-1").err()),
        ("a person uses", office.used(first, &permit, Outcome::Done).err()),
        ("an asker uses", office.used(asker, &permit, Outcome::Done).err()),
        ("an asker revokes", office.revoke(asker, &permit, "no").err()),
        ("a server revokes", office.revoke(server, &permit, "no").err()),
        ("an asker takes", office.take(asker, &incident(), "").err()),
        ("a server stops", office.stop(server, &incident(), "").err()),
        ("an asker hands back", office.hand_back(asker, &incident(), "").err()),
        ("a person seals", office.seal(first, &incident(), 1, head).err()),
        ("a server seals", office.seal(server, &incident(), 1, head).err()),
    ];
    for (what, error) in refused {
        assert!(error.as_ref().is_some_and(|e| e.is(Trouble::NotAllowed)), "{what}: {error:?}");
    }
    // What is not theirs to see is not there.
    for who in [&stranger, &elsewhere] {
        assert!(office.view(who, id).unwrap_err().is(Trouble::NotFound));
        assert!(office.withdraw(who, id, "no").unwrap_err().is(Trouble::NotFound));
        assert_eq!(office.list(who, None).unwrap(), []);
    }
    assert!(office.view(asker, id).unwrap().state.is_open(), "nothing of it changed anything");
}

#[tokio::test]
async fn whoever_waits_is_told_of_a_change_and_of_the_end() {
    let bench = Bench::new(0);
    let view = bench.file().await;
    let id = view.shown.request.clone();
    let waiting = |seen: String| {
        let (office, asker, id) = (Arc::clone(&bench.office), bench.asker.clone(), id.clone());
        tokio::spawn(async move { office.wait(&asker, &id, &seen, None).await.unwrap() })
    };
    let one = waiting(mark(&view.state));
    tokio::task::yield_now().await;
    let once = bench.office.approve(&bench.first, &id, yes(&view)).unwrap();
    assert_eq!(one.await.unwrap(), once);
    let end = waiting(mark(&once.state));
    tokio::task::yield_now().await;
    bench.clock.set(600);
    assert_eq!(end.await.unwrap().state, RequestState::Expired { at: at(600) });
    let open = bench.office.wait(&bench.asker, &id, "open", None).await.unwrap();
    assert_eq!(open.state.as_str(), "expired", "what has changed already is said at once");
    let soon = std::time::Duration::from_millis(20);
    let same = bench.office.wait(&bench.asker, &id, "expired", Some(soon)).await.unwrap();
    assert_eq!(same.state.as_str(), "expired");
}

#[tokio::test]
async fn an_open_request_and_a_permit_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("desk.db");
    let first = Bench::at(1, &path);
    let view = first.file().await;
    let second = first.restarted(&path);
    let again = second.office.view(&second.first, &view.shown.request).unwrap();
    assert_eq!(again, view, "with its original deadline");
    second.office.approve(&second.first, &view.shown.request, yes(&view)).unwrap();
    let token = second.fetch().unwrap().token;
    let third = second.restarted(&path);
    assert_eq!(third.fetch().unwrap().token, token);
    third.clock.set(599);
    let permit = third.verified().unwrap().claims().permit.clone();
    third.office.used(&third.server, &permit, Outcome::Done).unwrap();
    for file in std::fs::read_dir(directory.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let left = bytes.windows(64).any(|window| token.as_bytes()[100..164] == *window);
        assert!(!left, "a used token is on disk");
    }
    let fourth = third.restarted(&path);
    assert!(fourth.fetch().is_none());
    fourth.clock.set(0);
    let back = fourth.office.view(&fourth.first, &view.shown.request).unwrap_err();
    assert!(back.is(Trouble::Internal) && back.to_string().contains("clock"), "{back:?}");
}

#[tokio::test]
async fn a_second_desk_does_not_get_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("desk.db");
    let first = Bench::at(1, &path);
    first.file().await;
    let second = Store::open(&path);
    assert!(matches!(second, Err(StoreError::Held(_))), "{second:?}");
}

#[test]
fn two_approvals_at_once_make_one_permit() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for round in 0..20 {
        let bench = Bench::new(1);
        let view = runtime.block_on(bench.file());
        let permits: Vec<_> = std::thread::scope(|scope| {
            let people = [&bench.first, &bench.second, &bench.first, &bench.second];
            let all = people.map(|person| {
                scope.spawn(|| bench.office.approve(person, &view.shown.request, yes(&view)).ok())
            });
            all.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(permits.len(), 1, "round {round}: {permits:?}");
    }
}
