use proptest::prelude::*;

use super::*;
use crate::deployment::Kind;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_226_400 + seconds).unwrap()
}

fn name(text: &str) -> ServiceName {
    ServiceName::parse(text).unwrap()
}

/// A deployment of `api` that began and ended this many seconds from the onset.
fn deployment(id: &str, begun: i64, ended: Option<i64>) -> Deployment {
    let status = if ended.is_some() { Status::Succeeded } else { Status::InProgress };
    Deployment {
        completed_at: ended.map(at),
        revision: format!("rev-{id}"),
        previous_revision: Some("rev-0".to_owned()),
        ..Deployment::new(Kind::CodeDeploy, id, &name("api"), status, at(begun))
    }
}

fn onset() -> Onset {
    Onset { at: at(0), earliest: at(0) }
}

fn score_of(deployment: Deployment) -> Candidate {
    correlate(&[deployment], &name("api"), onset()).remove(0)
}

/// The score of the last of several.
fn score_of_last(list: &[Deployment]) -> f64 {
    let found = correlate(list, &name("api"), onset());
    found.iter().find(|c| c.deployment_id == list.last().unwrap().deployment_id).unwrap().score
}

#[test]
fn time_decides_first() {
    let table = [
        ("finished as it began", -90, Some(-30), 0.9..=0.95),
        ("under way", -120, None, 0.9..=0.95),
        ("under way for three hours", -10_800, None, 0.5..=0.65),
        ("ten minutes before", -700, Some(-600), 0.85..=0.92),
        ("an hour before", -3700, Some(-3600), 0.65..=0.8),
        ("six hours before", -21_700, Some(-21_600), 0.2..=0.3),
        ("a day before", -86_300, Some(-86_200), 0.02..=0.06),
        ("right after", 30, Some(60), 0.01..=0.1),
        ("after", 120, Some(180), 0.0..=0.0),
    ];
    for (what, begun, ended, expected) in table {
        let found = score_of(deployment("d-1", begun, ended));
        assert!(expected.contains(&found.score), "{what}: {found:#?}");
        assert_eq!(found.seconds_before_onset, -begun, "{what}");
    }
    // Two clocks: it ended before it began.
    assert!(score_of(deployment("d-1", -90, Some(-95))).score > 0.9);
    assert_eq!(
        score_of(deployment("d-1", 150, None)).reasons[0].reason,
        "started 2 min 30 s after the onset"
    );
}

#[test]
fn two_that_are_equally_near_share_the_blame() {
    let mut other = deployment("d-2", -90, Some(-30));
    other.service = name("db-proxy");
    let alone = score_of(deployment("d-1", -90, Some(-30))).score;
    let list = [deployment("d-1", -90, Some(-30)), deployment("d-2", -90, Some(-30))];
    let twins = correlate(&list, &name("api"), onset());
    assert!(twins.iter().all(|c| (0.4..=0.5).contains(&c.score)), "{twins:#?}");
    assert_eq!(twins[0].reasons.last().unwrap().reason, "it is not the only suspect: `d-2`");
    // A dependency's is the lesser suspect, but one.
    let found = correlate(&[deployment("d-1", -90, Some(-30)), other], &name("api"), onset());
    assert!(found[0].score < alone - 0.1 && found[0].score > 0.7, "{found:#?}");
    assert!((0.1..0.25).contains(&found[1].score), "{found:#?}");
    let sum = |found: &[Candidate]| found.iter().map(|c| c.score).sum::<f64>();
    assert!(sum(&twins) <= CEILING + 0.01 && sum(&found) <= CEILING + 0.01);
    // What cannot have done it takes no blame from it.
    let late = [deployment("d-1", -90, Some(-30)), deployment("d-3", 300, None)];
    let found = correlate(&late, &name("api"), onset());
    assert_eq!((found[0].score, found[0].reasons.len()), (alone, 1), "{found:#?}");
}

#[test]
fn what_else_is_known_moves_the_score() {
    let plain = score_of(deployment("d-1", -90, Some(-30))).score;
    let change = |f: fn(&mut Deployment)| {
        let mut changed = deployment("d-1", -90, Some(-30));
        f(&mut changed);
        score_of(changed).score
    };
    // It was the only deployment of the day, and ended half a minute before: that weighs more than any of these.
    assert!((0.5..plain - 0.2).contains(&change(|d| d.previous_revision = Some(d.revision.clone()))));
    assert!((0.5..plain - 0.2).contains(&change(|d| d.rollback_of = Some("d-0".to_owned()))));
    assert!((0.5..plain - 0.03).contains(&change(|d| d.status = Status::Failed)), "failed before the onset");
    assert!((0.5..plain - 0.01).contains(&change(|d| d.service = name("db-proxy"))));
    // Ten minutes before, each is enough to clear it; and a failure after the onset speaks against it.
    let earlier = |f: fn(&mut Deployment)| {
        let mut list: Vec<Deployment> =
            (1..8).map(|i| deployment(&format!("x-{i}"), -1400 - i * 7200, Some(-1300 - i * 7200))).collect();
        list.push(deployment("d-1", -1400, Some(-600)));
        f(&mut list[7]);
        let found = correlate(&list, &name("api"), onset());
        found.into_iter().find(|c| c.deployment_id == "d-1").unwrap().score
    };
    assert!(earlier(|_| ()) > 0.4);
    for cleared in [
        earlier(|d| d.previous_revision = Some(d.revision.clone())),
        earlier(|d| d.rollback_of = Some("d-0".to_owned())),
        earlier(|d| d.status = Status::Failed),
        earlier(|d| d.service = name("db-proxy")) / 5.0,
    ] {
        assert!(cleared < 0.15, "{cleared}");
    }
    let ends_after = |status| score_of(Deployment { status, ..deployment("d-1", -1400, Some(60)) }).score;
    assert!(ends_after(Status::Failed) > ends_after(Status::Succeeded), "failed after the onset");
}

#[test]
fn what_had_ended_is_not_said_to_be_under_way_and_what_changes_nothing_is_no_reason() {
    let onset = Onset { at: at(0), earliest: at(-12) };
    let found = correlate(&[deployment("d-1", -62, Some(-7))], &name("api"), onset).remove(0);
    assert_eq!(
        found.reasons[0].reason,
        "finished 7 s before the onset, when the trouble may have begun already"
    );
    let mut old = deployment("d-2", -170_000, Some(-169_900));
    let found = score_of(old.clone());
    assert_eq!((found.score, found.reasons.len()), (0.02, 1), "{found:#?}");
    old.previous_revision = Some(old.revision.clone());
    old.service = name("db-proxy");
    let found = score_of(old);
    assert_eq!((found.score, found.reasons.len()), (0.0, 2), "what is 0 is not lowered: {found:#?}");
}

#[test]
fn an_unsure_onset_does_not_clear_a_deployment_within_it() {
    // The first error was seen at 0, but nothing is known of the four minutes before.
    let onset = Onset { at: at(0), earliest: at(-240) };
    let found = correlate(&[deployment("d-1", -200, Some(-100))], &name("api"), onset).remove(0);
    assert!(found.score > 0.8, "{found:#?}");
}

#[test]
fn a_later_deployment_shields_an_earlier_one() {
    let list = [deployment("old", -900, Some(-800)), deployment("new", -300, Some(-200))];
    let found = correlate(&list, &name("api"), onset());
    assert_eq!(found[0].deployment_id, "new");
    assert!(found[1].score < 0.35, "{found:#?}");
}

#[test]
fn a_deployment_taken_back_before_the_onset_is_hardly_a_suspect() {
    let mut back = deployment("back", -400, Some(-300));
    back.rollback_of = Some("bad".to_owned());
    let mut bad = deployment("bad", -900, Some(-800));
    bad.status = Status::RolledBack;
    let found = correlate(&[bad, back], &name("api"), onset());
    assert!(found.iter().all(|c| c.score < 0.4), "{found:#?}");
    assert_eq!(found[1].deployment_id, "bad");
    assert!(found[1].score < 0.2, "{found:#?}");
}

#[test]
fn who_deploys_all_day_proves_less_by_having_deployed() {
    let alone = score_of(deployment("d-1", -180, Some(-120))).score;
    let mut list: Vec<Deployment> =
        (1..48).map(|i| deployment(&format!("x-{i}"), -180 - i * 1800, Some(-120 - i * 1800))).collect();
    list.push(deployment("d-1", -180, Some(-120)));
    let busy = correlate(&list, &name("api"), onset());
    assert_eq!(busy[0].deployment_id, "d-1", "still the best of them");
    assert!(busy[0].score < alone - 0.08, "{:?} against {alone}", busy[0]);
    assert!(busy[0].reasons.iter().any(|r| r.reason.starts_with("47 other deployments")), "{:?}", busy[0]);
    // The more, the less; not only from three on.
    let scores: Vec<f64> =
        [1, 3, 5, 9, 20].map(|count| score_of_last(list.get(list.len() - count..).unwrap())).to_vec();
    assert!(scores.is_sorted_by(|more, fewer| more > fewer), "{scores:?}");
}

fn any_deployment() -> impl Strategy<Value = Deployment> {
    (-90_000_i64..4000, proptest::option::of(0_i64..4000), 0..5_u8, any::<[bool; 3]>(), 0..1000_u32).prop_map(
        |(begun, length, status, [rollback, same, other], id)| {
            let mut d = deployment(&format!("d-{id}"), begun, length.map(|l| begun + l));
            d.status =
                [Status::InProgress, Status::Succeeded, Status::Failed, Status::Stopped, Status::RolledBack]
                    [usize::from(status)];
            d.rollback_of = rollback.then(|| "d-0".to_owned());
            if same {
                d.previous_revision = Some(d.revision.clone());
            }
            if other {
                d.service = name("other");
            }
            d
        },
    )
}

proptest! {
    #[test]
    fn weights_add_up_and_scores_stay_in_range(list in proptest::collection::vec(any_deployment(), 0..12)) {
        let found = correlate(&list, &name("api"), onset());
        prop_assert_eq!(found.len(), list.len());
        for c in &found {
            let sum: f64 = c.reasons.iter().map(|r| r.weight).sum();
            prop_assert!((sum - c.score).abs() < 1e-9, "{:?}", c);
            prop_assert!((0.0..=1.0).contains(&c.score));
            prop_assert!(c.seconds_before_onset >= 0 || c.score <= 0.1, "{:?}", c);
        }
        prop_assert!(found.is_sorted_by(|a, b| a.score >= b.score));
    }
}
