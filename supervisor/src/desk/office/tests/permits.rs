//! Permits that are taken back, incidents that people hold, and seals.

use midwatch_policy::{Asking, Digest, HoldState, Outcome, PermitId, RequestState, RequestView, Seal};

use super::super::*;
use crate::desk::{
    KeyDirectory,
    bench::{Bench, asking, incident, of, yes},
    error::Trouble,
    id_of,
};

async fn permitted(bench: &Bench) -> (RequestView, PermitId) {
    let view = bench.file().await;
    let view = bench.office.approve(&bench.first, &view.shown.request, yes(&view)).unwrap();
    let RequestState::Approved { permit, .. } = view.state.clone() else { panic!("{view:?}") };
    (view, permit)
}

fn void(bench: &Bench, permit: &PermitId, what: &str) {
    assert!(bench.fetch().is_none(), "{what}");
    assert!(!bench.office.check(&bench.server, permit, "s-1").unwrap(), "{what}");
}

#[tokio::test]
async fn a_permit_is_void_once_it_was_taken_back() {
    let bench = Bench::new(1);
    let (_, permit) = permitted(&bench).await;
    let revoked = bench.office.revoke(&bench.second, &permit, "wait").unwrap();
    assert_eq!(revoked.state.as_str(), "revoked");
    void(&bench, &permit, "revoked");

    let bench = Bench::new(1);
    let (view, permit) = permitted(&bench).await;
    bench.office.withdraw(&bench.asker, &view.shown.request, "the alarm cleared").unwrap();
    void(&bench, &permit, "withdrawn");

    let bench = Bench::new(1);
    let (_, permit) = permitted(&bench).await;
    bench.clock.set(600);
    void(&bench, &permit, "run out");
}

#[tokio::test]
async fn a_permit_goes_to_its_server_for_its_caller_and_its_action_only() {
    let bench = Bench::new(1);
    let (view, permit) = permitted(&bench).await;
    let fetch = |who: &Principal, subject: &str, service: &str| {
        bench.office.fetch_permit(who, subject, &of(service)).unwrap().map(|fetched| fetched.request)
    };
    let elsewhere = Principal::server("another");
    assert_eq!(fetch(&elsewhere, "midwatch", "a"), None);
    assert_eq!(fetch(&bench.server, "another", "a"), None);
    assert_eq!(fetch(&bench.server, "midwatch", "s1"), None);
    assert_eq!(fetch(&bench.server, "midwatch", "a"), Some(view.shown.request));
    assert!(!bench.office.check(&elsewhere, &permit, "s-1").unwrap());
    assert!(bench.office.used(&elsewhere, &permit, Outcome::Done).unwrap_err().is(Trouble::NotFound));
}

#[tokio::test]
async fn whoever_takes_an_incident_over_has_it() {
    for stop in [false, true] {
        let bench = Bench::new(1);
        let (view, permit) = permitted(&bench).await;
        let open = Asking { action: of("s1"), ..asking() };
        let open = bench.office.file(&bench.asker, open).await.unwrap().view.shown.request;
        let hold = if stop {
            bench.office.stop(&bench.second, &incident(), "enough")
        } else {
            bench.office.take(&bench.second, &incident(), "I've got it")
        };
        let hold = hold.unwrap();
        assert_eq!(hold.state, if stop { HoldState::Stopped } else { HoldState::Taken });
        assert_eq!(bench.office.hold(&incident()).unwrap(), hold);
        void(&bench, &permit, "held");
        for id in [&view.shown.request, &open] {
            assert_eq!(bench.office.view(&bench.first, id).unwrap().state.as_str(), "withdrawn");
        }
        assert!(bench.office.file(&bench.asker, asking()).await.unwrap_err().is(Trouble::Held));
        assert!(bench.office.raise(&bench.first, &open).await.unwrap_err().is(Trouble::Held));
        if stop {
            continue;
        }
        let back = bench.office.hand_back(&bench.second, &incident(), "").unwrap();
        assert_eq!(back.state, HoldState::Working);
        void(&bench, &permit, "what was void stays void");
        assert!(bench.office.file(&bench.asker, asking()).await.unwrap().new);
    }
}

/// The server had begun when the incident was taken over, or the permit back.
#[tokio::test]
async fn an_act_on_a_permit_that_was_voided_meanwhile_is_on_record() {
    for how in ["take", "revoke", "withdraw"] {
        let bench = Bench::new(1);
        let (view, permit) = permitted(&bench).await;
        let id = &view.shown.request;
        match how {
            "take" => drop(bench.office.take(&bench.second, &incident(), "I've got it").unwrap()),
            "revoke" => drop(bench.office.revoke(&bench.second, &permit, "wait").unwrap()),
            _ => drop(bench.office.withdraw(&bench.asker, id, "the alarm cleared").unwrap()),
        }
        void(&bench, &permit, how);
        for _ in 0..2 {
            let used = bench.office.used(&bench.server, &permit, Outcome::Done).unwrap();
            assert_eq!(used.state.as_str(), "used", "{how}");
            assert!(used.state.acted_though_void().is_some_and(|void| void.since == view.shown.filed_at));
        }
        void(&bench, &permit, how);
        assert_eq!(bench.office.list(&bench.first, Some("used")).unwrap().len(), 1, "{how}");
        drop(bench.office.hand_back(&bench.second, &incident(), "").unwrap());
        let again = bench.office.raise(&bench.first, id).await.unwrap_err();
        assert!(again.is(Trouble::Ended), "{how}: {again}");
    }
}

#[tokio::test]
async fn a_key_that_was_revoked_signs_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let keys = KeyDirectory::new(directory.path());
    let first = keys.create(crate::desk::bench::at(0)).unwrap();
    assert!(keys.create(crate::desk::bench::at(0)).is_err(), "never overwritten");
    let second = keys.rotate(crate::desk::bench::at(1)).unwrap();
    assert_ne!(id_of(&first), id_of(&second));
    assert_eq!(keys.known().unwrap().accepted().ids().count(), 2);
    assert_eq!(keys.signing().unwrap().public().unwrap().id(), id_of(&second));
    keys.revoke(&id_of(&first), crate::desk::bench::at(2)).unwrap();
    assert_eq!(keys.known().unwrap().accepted().ids().collect::<Vec<_>>(), [id_of(&second)]);
    keys.revoke(&id_of(&second), crate::desk::bench::at(3)).unwrap();
    assert!(keys.signing().is_err());
    let ring = KeyRing::Kept(keys.clone());
    assert!(ring.accepted().unwrap().is_empty());
    assert!(keys.create(crate::desk::bench::at(4)).is_ok(), "and a new one can be made");
    let mode = |name: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(directory.path().join(name)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode("signing-key"), 0o600);
}

#[tokio::test]
async fn a_journal_that_was_rewritten_is_not_sealed() {
    let bench = Bench::new(1);
    let head = |text: &[u8]| Digest::of(text);
    let seal = |entries, head| bench.office.seal(&bench.asker, &incident(), entries, head);
    let signature = seal(3, head(b"three")).unwrap();
    let opened = Seal::open(&signature, &bench.office.accepted_keys().unwrap()).unwrap();
    assert_eq!((opened.entries, opened.head), (3, head(b"three")));
    assert!(seal(3, head(b"three")).is_ok(), "the same again");
    assert!(seal(3, head(b"other")).unwrap_err().is(Trouble::Invalid));
    assert!(seal(2, head(b"two")).unwrap_err().is(Trouble::Invalid));
    assert!(seal(9, head(b"nine")).is_ok());
    let stranger = Principal::asker("another");
    assert!(bench.office.seal(&stranger, &incident(), 10, head(b"ten")).unwrap_err().is(Trouble::NotAllowed));
}
