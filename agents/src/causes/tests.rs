//! Each kind of cause from evidence made by hand: other words, other numbers than anywhere else.

use midwatch_policy::{CauseKind, Verdict};

use super::{RankedCause, rank, verdict};
use crate::{
    fixture::{Incident, SERVICE},
    signals::{Scene, Signals},
};

fn judge(incident: &Incident) -> (Vec<RankedCause>, Verdict) {
    let signals = Signals::read(&Scene::from(&incident.task("x")), &incident.sweep().observations());
    let ranked = rank(&signals);
    let verdict = verdict(&signals, &ranked);
    (ranked, verdict)
}

#[track_caller]
fn expect(incident: &Incident, kind: CauseKind, reference: Option<&str>, told: Verdict, least: f64) {
    let (ranked, verdict) = judge(incident);
    let top = &ranked[0];
    assert_eq!((top.kind, top.reference.as_deref()), (kind, reference), "{ranked:#?}");
    assert_eq!(verdict, told, "{ranked:#?}");
    assert!(top.confidence >= least, "confidence {} {ranked:#?}", top.confidence);
}

const NPE: (&str, u64, u64, &str, &str) =
    ("java.lang.NullPointerException: Cannot invoke \"Voucher.rate()\"", 220, 0, "02:04:10", "02:11:50");
const POOL: (&str, u64, u64, &str, &str) =
    ("PoolTimeoutError: could not acquire connection from pool within <*> ms", 90, 0, "02:03:20", "02:11:50");
const NOISE: (&str, u64, u64, &str, &str) = ("retrying webhook <*>", 11, 12, "01:43:00", "02:11:10");

fn firing() -> Incident {
    Incident::new().alarm("ALARM", "02:10").history(1, false).tasks(SERVICE, 4, 4, &[]).traffic(1.02, "none")
}

#[test]
fn a_deployment_with_new_errors_right_after_it() {
    let base = || {
        firing()
            .errors(SERVICE, &[NPE, NOISE])
            .deployments("02:04:10", &[("d-9", "02:01", Some("02:03"), "succeeded")])
    };
    expect(&base(), CauseKind::Deployment, Some("d-9"), Verdict::Real, 0.6);
    let known = base().changed("d-9", "commit", "a1", "voucher rounding").runbook(
        "rb",
        "Voucher.rate",
        "deployment",
        Some("rollback_deployment"),
    );
    expect(&known, CauseKind::Deployment, Some("d-9"), Verdict::Real, 0.85);
}

#[test]
fn a_deployment_in_progress_and_a_pool_that_it_broke() {
    let incident = firing().errors(SERVICE, &[POOL, NOISE]).deployments(
        "02:03:20",
        &[("d-9", "02:02", None, "in_progress"), ("d-3", "01:44", Some("01:46"), "succeeded")],
    );
    expect(&incident, CauseKind::Deployment, Some("d-9"), Verdict::Real, 0.6);
}

#[test]
fn a_deployment_beside_a_failing_dependency_is_innocent() {
    let refused = (
        "POST http://prices-api.internal:8080/quote failed: connection refused",
        300,
        0,
        "02:04:10",
        "02:11:55",
    );
    let deployed = |i: Incident| i.deployments("02:04:10", &[("d-9", "02:01", Some("02:03"), "succeeded")]);
    let known = deployed(firing().errors(SERVICE, &[refused, NOISE]))
        .errors("prices-api", &[("OutOfDisk: cannot write wal", 50, 0, "02:03:50", "02:11:50")])
        .tasks("prices-api", 1, 3, &[])
        .alarms_of("prices-api", "ALARM", "02:06");
    expect(&known, CauseKind::Dependency, Some("prices-api"), Verdict::Real, 0.7);
    // Nothing is known of it: still not the deployment, less sure.
    let blind = deployed(firing().errors(SERVICE, &[refused, NOISE]));
    expect(&blind, CauseKind::Dependency, Some("prices-api"), Verdict::Real, 0.4);
    let outside = (
        "GET https://rates.bank.example.com/latest: 503 Service Unavailable",
        300,
        0,
        "02:04:10",
        "02:11:55",
    );
    expect(
        &deployed(firing().errors(SERVICE, &[outside])),
        CauseKind::Dependency,
        Some("rates.bank.example.com"),
        Verdict::Real,
        0.35,
    );
    let dns = ("getaddrinfo ENOTFOUND basket-store.prod.internal", 300, 0, "02:04:10", "02:11:55");
    expect(
        &deployed(firing().errors(SERVICE, &[dns])),
        CauseKind::Dependency,
        Some("basket-store"),
        Verdict::Real,
        0.35,
    );
}

#[test]
fn a_deployment_that_pointed_to_the_wrong_host_is_not_innocent() {
    let dns = ("getaddrinfo ENOTFOUND prices-api.prd.internal", 300, 0, "02:04:10", "02:11:55");
    let incident = firing()
        .errors(SERVICE, &[dns])
        .errors("prices-api", &[NOISE])
        .tasks("prices-api", 3, 3, &[])
        .alarms_of("prices-api", "OK", "01:00")
        .deployments("02:04:10", &[("d-9", "02:01", Some("02:03"), "succeeded")])
        .changed(
            "d-9",
            "environment.PRICES_URL",
            "http://prices-api.prod.internal",
            "http://prices-api.prd.internal",
        );
    expect(&incident, CauseKind::Deployment, Some("d-9"), Verdict::Real, 0.6);
}

#[test]
fn what_the_author_of_a_deployment_wrote_weighs_nothing() {
    let dns = ("getaddrinfo ENOTFOUND prices-api.prd.internal", 300, 0, "02:04:10", "02:11:55");
    for errors in [NPE, POOL, dns] {
        let incident = firing()
            .errors(SERVICE, &[errors])
            .deployments("02:04:10", &[("d-9", "02:01", Some("02:03"), "succeeded")]);
        let mut signals = Signals::read(&Scene::from(&incident.task("x")), &incident.sweep().observations());
        let silent = format!("{:?}", rank(&signals));
        signals.deployments[0].deployment.description =
            Some(format!("Another way to call prices-api: {}", errors.0));
        assert_eq!(format!("{:?}", rank(&signals)), silent);
    }
}

#[test]
fn a_deployment_after_the_onset_is_never_the_cause() {
    let incident = firing()
        .errors(SERVICE, &[NPE, NOISE])
        .deployments("02:04:10", &[("d-9", "02:06", Some("02:08"), "succeeded")]);
    let (ranked, _) = judge(&incident);
    assert!(ranked.iter().all(|c| c.kind != CauseKind::Deployment), "{ranked:#?}");
    expect(&incident, CauseKind::Unknown, None, Verdict::Real, 0.0);
    assert!(ranked[0].confidence < 0.5);
}

#[test]
fn a_memory_leak_that_kills_tasks() {
    let oom = ("java.lang.OutOfMemoryError: Java heap space", 14, 0, "01:58:00", "02:10:30");
    let incident = Incident::new()
        .alarm("ALARM", "02:10")
        .tasks(SERVICE, 3, 4, &[("oom", "01:59"), ("oom", "02:05"), ("oom", "02:10:40")])
        .errors(SERVICE, &[oom, NOISE])
        .traffic(1.0, "none")
        .deployments("01:58", &[("d-1", "00:10", Some("00:12"), "succeeded")]);
    expect(&incident, CauseKind::MemoryLeak, Some(SERVICE), Verdict::Real, 0.6);
}

#[test]
fn saturation_without_a_deployment() {
    let full = ("RejectedExecutionException: worker queue is full", 400, 3, "02:04:00", "02:11:58");
    let slow = ("request timed out after <*> ms", 200, 2, "02:04:30", "02:11:58");
    let incident = Incident::new()
        .alarm("ALARM", "02:10")
        .tasks(SERVICE, 4, 4, &[])
        .traffic(2.6, "up")
        .errors(SERVICE, &[full, slow, NOISE])
        .deployments("02:04", &[]);
    expect(&incident, CauseKind::Saturation, Some(SERVICE), Verdict::Real, 0.6);
}

#[test]
fn throttling_names_the_resource() {
    let throttled = (
        "ProvisionedThroughputExceededException: The level of configured provisioned throughput for the table was exceeded. Table: basket-items",
        500,
        0,
        "02:04:00",
        "02:11:58",
    );
    let incident = firing()
        .errors(SERVICE, &[throttled, NOISE])
        .deployments("02:04", &[("d-1", "01:50", Some("01:52"), "succeeded")]);
    expect(&incident, CauseKind::Throttling, Some("basket-items"), Verdict::Real, 0.55);
}

#[test]
fn a_dead_service_is_an_outage_and_never_over() {
    for state in ["ALARM", "INSUFFICIENT_DATA", "OK"] {
        let incident = Incident::new()
            .alarm(state, "02:10")
            .history(1, false)
            .quiet("02:03:40")
            .tasks(SERVICE, 0, 4, &[("other", "02:03")])
            .traffic(0.0, "stopped")
            .deployments("02:03", &[]);
        expect(&incident, CauseKind::Outage, Some(SERVICE), Verdict::Real, 0.7);
        let unknown_tasks = Incident::new()
            .alarm(state, "02:10")
            .quiet("02:03:40")
            .traffic(0.0, "stopped")
            .deployments("02:03", &[]);
        expect(&unknown_tasks, CauseKind::Outage, Some(SERVICE), Verdict::Real, 0.5);
    }
}

#[test]
fn a_blip_that_passed_is_transient_only_with_signs_of_life() {
    let blip = ("upstream read timeout while calling prices-api", 25, 0, "02:04:00", "02:05:10");
    let over = |i: Incident| i.alarm("OK", "02:07").errors(SERVICE, &[blip, NOISE]);
    let alive = over(Incident::new())
        .history(1, false)
        .traffic(0.97, "none")
        .tasks(SERVICE, 4, 4, &[])
        .deployments("02:04", &[]);
    expect(&alive, CauseKind::Transient, Some(SERVICE), Verdict::Transient, 0.7);
    // No sign of life was read: not over.
    let (_, told) = judge(&over(Incident::new()).history(1, false).deployments("02:04", &[]));
    assert_ne!(told, Verdict::Transient);
    // Flapping: not over.
    let (ranked, told) = judge(
        &over(Incident::new())
            .history(5, true)
            .traffic(0.97, "none")
            .tasks(SERVICE, 4, 4, &[])
            .deployments("02:04", &[]),
    );
    assert_ne!(told, Verdict::Transient, "{ranked:#?}");
    // Insufficient data is not OK.
    let (_, told) = judge(
        &Incident::new()
            .alarm("INSUFFICIENT_DATA", "02:07")
            .errors(SERVICE, &[blip])
            .traffic(0.97, "none")
            .tasks(SERVICE, 4, 4, &[]),
    );
    assert_ne!(told, Verdict::Transient);
    // Still erring: not over.
    let still = ("upstream read timeout while calling prices-api", 25, 0, "02:04:00", "02:11:50");
    let (_, told) =
        judge(&Incident::new().alarm("OK", "02:07").errors(SERVICE, &[still]).traffic(0.97, "none").tasks(
            SERVICE,
            4,
            4,
            &[],
        ));
    assert_ne!(told, Verdict::Transient);
}

#[test]
fn without_evidence_nothing_is_claimed() {
    let (ranked, told) = judge(&Incident::new());
    assert_eq!((ranked[0].kind, told), (CauseKind::Unknown, Verdict::Unclear));
    assert!(ranked[0].confidence <= 0.2);
    // A deployment alone, with no errors, is no cause to be sure of.
    let lonely = Incident::new()
        .alarm("ALARM", "02:10")
        .errors(SERVICE, &[NOISE])
        .deployments("02:10", &[("d-9", "02:08", Some("02:09"), "succeeded")]);
    let (ranked, _) = judge(&lonely);
    assert!(ranked[0].confidence < 0.5, "{ranked:#?}");
}

#[test]
fn tasks_that_fail_to_start_after_a_deployment_point_to_it() {
    let crash = ("Error: Cannot find module './pricing'", 30, 0, "02:03:30", "02:11:50");
    let incident = Incident::new()
        .alarm("ALARM", "02:10")
        .tasks(SERVICE, 0, 4, &[("crash", "02:03:40"), ("crash", "02:06")])
        .traffic(0.0, "stopped")
        .errors(SERVICE, &[crash])
        .deployments("02:03:30", &[("d-9", "02:02", None, "in_progress")]);
    expect(&incident, CauseKind::Deployment, Some("d-9"), Verdict::Real, 0.4);
}

#[test]
fn every_fact_that_a_factor_carries_holds() {
    let incident = firing()
        .errors(SERVICE, &[NPE, NOISE])
        .deployments(
            "02:04:10",
            &[("d-9", "02:01", Some("02:03"), "succeeded"), ("d-10", "02:07", None, "in_progress")],
        )
        .changed("d-9", "image", "v1", "v2-voucher")
        .runbook("voucher-npe", "Voucher.rate", "deployment", Some("rollback_deployment"))
        .tasks("prices-api", 1, 3, &[("oom", "02:02")])
        .alarms_of("prices-api", "ALARM", "02:06");
    let (ranked, _) = judge(&incident);
    let facts: Vec<_> = ranked.iter().flat_map(|c| &c.factors).filter_map(|f| f.fact.clone()).collect();
    assert!(facts.len() >= 5, "{facts:#?}");
    for fact in facts {
        let checked = incident.book.check(&fact, "x");
        assert!(checked.is_fact(), "{checked:#?}");
    }
}

#[test]
fn a_workflow_that_is_refused_over_a_limit_names_who_refuses() {
    let throttled = ("throttling", "Post", "Lambda.TooManyRequestsException", "ledger-post");
    // The service itself logs nothing unusual, and a release of half an hour before is innocent.
    let base =
        || firing().errors(SERVICE, &[NOISE]).deployments("02:05", &[("d-9", "01:36", None, "succeeded")]);
    let refused = base().workflow(40, 0, throttled);
    expect(&refused, CauseKind::Throttling, Some("ledger-post"), Verdict::Real, 0.5);
    // As often as ever: the workflow is not the incident.
    let (ranked, _) = judge(&base().workflow(4, 4, throttled));
    assert!(ranked.iter().all(|c| c.kind != CauseKind::Throttling), "{ranked:#?}");
}

#[test]
fn a_state_that_calls_the_service_speaks_for_its_release_and_one_that_calls_another_for_that() {
    let base = || {
        firing()
            .errors(SERVICE, &[NPE])
            .deployments("02:04:10", &[("d-9", "02:01", Some("02:03"), "succeeded")])
    };
    let of = |callee: &str, class: &str| {
        base().workflow(40, 0, (class, "Sum", "States.Http.StatusCode.500", callee))
    };
    let score = |incident: &Incident| {
        let (ranked, _) = judge(incident);
        ranked.iter().find(|c| c.kind == CauseKind::Deployment).unwrap().score
    };
    expect(&of(SERVICE, "callee"), CauseKind::Deployment, Some("d-9"), Verdict::Real, 0.6);
    assert!(score(&of(SERVICE, "callee")) > score(&base()));
    assert!(score(&of(SERVICE, "definition")) < score(&base()));
    let elsewhere = firing().errors(SERVICE, &[NOISE]).workflow(
        40,
        0,
        ("timeout", "Price", "States.Timeout", "prices-api"),
    );
    expect(&elsewhere, CauseKind::Dependency, Some("prices-api"), Verdict::Real, 0.4);
}

#[test]
fn what_a_workflow_says_is_a_claim_that_the_book_bears_out() {
    let incident = firing().workflow(40, 0, ("callee", "Sum", "KeyError", "prices-api"));
    let signals = Signals::read(&Scene::from(&incident.task("x")), &incident.sweep().observations());
    for fact in [
        super::fact::executions(&signals),
        signals.workflow_failure.as_ref().and_then(super::fact::workflow_failure),
    ] {
        let claim = incident.book.check(&fact.unwrap(), "x");
        assert!(claim.is_fact(), "{claim:?}");
    }
}
