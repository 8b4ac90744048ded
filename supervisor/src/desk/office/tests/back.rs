//! What a supervisor is told that people gave back.

use midwatch_policy::{GivenBack, HoldState, RequestId, RequestView};

use super::*;
use crate::desk::bench::{for_subject, of};

fn ids(given: &GivenBack) -> (Vec<&RequestId>, Vec<&str>) {
    let raised = given.raised.iter().map(|view| &view.shown.request).collect();
    (raised, given.returned.iter().map(|hold| hold.incident.as_str()).collect())
}

async fn raised(bench: &Bench, id: &RequestId) -> RequestView {
    bench.office.raise(&bench.first, id).await.unwrap().view
}

#[tokio::test]
async fn an_asker_is_told_of_its_own_requests_that_were_raised_and_nobody_else_is() {
    let bench = Bench::new(1);
    let office = &bench.office;
    let view = bench.file().await;
    assert_eq!(view.raised, None);
    assert_eq!(office.given_back(&bench.asker).unwrap(), GivenBack::default(), "nothing was raised");
    office.decline(&bench.first, &view.shown.request, "no").unwrap();
    bench.clock.set(60);
    let one = raised(&bench, &view.shown.request).await;
    let from = one.raised.as_ref().unwrap();
    assert_eq!((&from.from, from.by.as_str()), (&view.shown.request, "first-on-call"));
    // What a server filed for its caller is not for the supervisor to go on with.
    let other = Asking { action: of("s1"), ..for_subject("agent") };
    let other = office.file(&bench.server, other).await.unwrap().view.shown.request;
    office.decline(&bench.first, &other, "no").unwrap();
    raised(&bench, &other).await;
    let given = office.given_back(&bench.asker).unwrap();
    assert_eq!(given.raised, std::slice::from_ref(&one));
    let another = Principal::asker("another-supervisor");
    assert_eq!(office.given_back(&another).unwrap(), GivenBack::default());
    for who in [&bench.first, &bench.server] {
        assert!(office.given_back(who).unwrap_err().is(Trouble::NotAllowed), "{who:?}");
    }
    // With its answer, in order, and not for ever.
    office.approve(&bench.first, &one.shown.request, yes(&one)).unwrap();
    let given = office.given_back(&bench.asker).unwrap();
    assert_eq!(given.raised[0].state.as_str(), "approved");
    bench.clock.set(2_000);
    let two = raised(&bench, &one.shown.request).await;
    let given = office.given_back(&bench.asker).unwrap();
    assert_eq!(ids(&given).0, [&one.shown.request, &two.shown.request]);
    bench.clock.set(60 + 24 * 3600);
    assert_eq!(ids(&office.given_back(&bench.asker).unwrap()).0, [&two.shown.request]);
}

#[tokio::test]
async fn an_asker_is_told_which_of_its_incidents_were_handed_back() {
    let bench = Bench::new(1);
    let office = &bench.office;
    bench.file().await;
    let sealed = midwatch_policy::IncidentId::parse("inc-sealed").unwrap();
    let foreign = midwatch_policy::IncidentId::parse("inc-foreign").unwrap();
    let (another, head) = (Principal::asker("another-supervisor"), midwatch_policy::Digest::of(b"head"));
    office.seal(&bench.asker, &sealed, 1, head).unwrap();
    office.seal(&another, &foreign, 1, head).unwrap();
    for incident in [&incident(), &sealed, &foreign] {
        office.take(&bench.first, incident, "mine").unwrap();
    }
    assert_eq!(office.given_back(&bench.asker).unwrap(), GivenBack::default(), "they are held");
    for (second, incident) in (10..).zip([&sealed, &foreign, &incident()]) {
        bench.clock.set(second);
        office.hand_back(&bench.second, incident, "yours").unwrap();
    }
    let given = office.given_back(&bench.asker).unwrap();
    assert_eq!(ids(&given).1, ["inc-sealed", "inc-1"]);
    assert_eq!(given.returned[0].by.as_deref(), Some("second-on-call"));
    assert_eq!(ids(&office.given_back(&another).unwrap()).1, ["inc-foreign"]);
    office.take(&bench.first, &sealed, "mine again").unwrap();
    assert_eq!(ids(&office.given_back(&bench.asker).unwrap()).1, ["inc-1"]);
    bench.clock.set(12 + 24 * 3600);
    assert_eq!(office.given_back(&bench.asker).unwrap(), GivenBack::default());
}

#[tokio::test]
async fn what_was_stopped_stays_so() {
    let bench = Bench::new(1);
    let office = &bench.office;
    let view = bench.file().await;
    office.stop(&bench.first, &incident(), "enough").unwrap();
    for refused in
        [office.hand_back(&bench.second, &incident(), ""), office.take(&bench.second, &incident(), "")]
    {
        let error = refused.unwrap_err();
        assert!(error.is(Trouble::Ended) && error.to_string().contains("final"), "{error}");
    }
    assert_eq!(office.stop(&bench.second, &incident(), "").unwrap().state, HoldState::Stopped);
    assert!(office.raise(&bench.first, &view.shown.request).await.unwrap_err().is(Trouble::Held));
}
