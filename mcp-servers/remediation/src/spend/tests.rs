use midwatch_policy::{
    Action, Approver, AwsName, Claims, Demand, Digest, EndState, Environment, ExpectedState, IncidentId,
    PermitId, PublicKeys, RequestId, SigningKey, sign, verify,
};

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_226_400 + second).unwrap()
}

/// An authorised action can only be had by way of a signed permit, also in tests.
fn authorised(permit: &str, service: &str) -> Authorised {
    let key = SigningKey::generate().unwrap();
    let keys: PublicKeys = [key.public().unwrap()].into_iter().collect();
    let action = Action::ScaleService { service: ServiceName::parse(service).unwrap(), desired_count: 3 };
    let aws = |text: &str| AwsName::parse(text).unwrap();
    let terms = midwatch_policy::Terms {
        place: midwatch_policy::Place {
            account: None,
            region: None,
            environment: Environment::Production,
            tier: 1.try_into().unwrap(),
        },
        expected: ExpectedState::EcsDesiredCount {
            cluster: aws("prod"),
            ecs_service: aws(service),
            desired_count: 2,
        },
        result: EndState::DesiredCount { desired_count: 3 },
    };
    let claims = Claims {
        permit: PermitId::parse(permit).unwrap(),
        request: RequestId::parse("r-1").unwrap(),
        incident: IncidentId::parse("inc-1").unwrap(),
        subject: "supervisor".to_owned(),
        audience: "remediation".to_owned(),
        tool: action.kind(),
        schema: Action::schema_digest().unwrap(),
        arguments: action.digest().unwrap(),
        terms: terms.clone(),
        approvers: vec![Approver {
            name: "a".to_owned(),
            role: "oncall".to_owned(),
            channel: "t".to_owned(),
        }],
        policies: vec!["p".to_owned()],
        shown: Digest::of(b"shown"),
        runbook: None,
        held_to: Vec::new(),
        claimed: None,
        not_before: at(0),
        expires: at(600),
    };
    let token = sign(&claims, &key).unwrap().into_string();
    let demand = Demand {
        subject: "supervisor",
        audience: "remediation",
        request: &claims.request,
        incident: None,
        action: &action,
        now: at(1),
    };
    verify(&token, &keys, &demand).unwrap().against(&terms).unwrap()
}

fn spend(store: &SpendStore, permit: &str, service: &str, second: i64) -> Result<(), SpendError> {
    store.spend(&authorised(permit, service), at(second), Limits::default())
}

#[test]
fn a_permit_is_spent_once_whatever_became_of_it() {
    for ending in [Some(Ending::Done), Some(Ending::Failed), Some(Ending::Ambiguous), None] {
        let store = SpendStore::in_memory().unwrap();
        spend(&store, "p-1", "api", 1).unwrap();
        if let Some(ending) = ending {
            store.finish("p-1", ending, "", at(2)).unwrap();
        }
        assert!(matches!(spend(&store, "p-1", "api", 3), Err(SpendError::Spent { .. })), "{ending:?}");
        assert!(matches!(spend(&store, "p-1", "other", 3), Err(SpendError::Spent { .. })), "{ending:?}");
    }
}

#[test]
fn an_earlier_clock_is_refused_and_time_seen_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spent.db");
    let store = SpendStore::open(&path).unwrap();
    store.see(at(100)).unwrap();
    store.see(at(50)).unwrap();
    drop(store);
    let store = SpendStore::open(&path).unwrap();
    assert!(matches!(spend(&store, "p-1", "api", 99), Err(SpendError::Clock { .. })));
    spend(&store, "p-1", "api", 100).unwrap();
}

#[test]
fn what_was_begun_when_the_process_ended_is_ambiguous() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spent.db");
    let store = SpendStore::open(&path).unwrap();
    spend(&store, "p-1", "api", 1).unwrap();
    assert!(matches!(SpendStore::open(&path), Err(SpendError::Held(_))), "two holders");
    drop(store);
    let store = SpendStore::open(&path).unwrap();
    assert_eq!(store.state_of("p-1").unwrap().as_deref(), Some("ambiguous"));
    // A late report does not make it less so.
    store.finish("p-1", Ending::Done, "", at(2)).unwrap();
    assert_eq!(store.state_of("p-1").unwrap().as_deref(), Some("ambiguous"));
    assert!(matches!(spend(&store, "p-1", "api", 3), Err(SpendError::Spent { .. })));
}

#[test]
fn limits_count_an_hour_and_not_what_failed() {
    let store = SpendStore::in_memory().unwrap();
    for n in 0..3 {
        spend(&store, &format!("p-{n}"), "api", n).unwrap();
    }
    assert!(matches!(spend(&store, "p-3", "api", 10), Err(SpendError::Limit(_))));
    spend(&store, "p-4", "web", 10).unwrap();
    store.finish("p-2", Ending::Failed, "", at(11)).unwrap();
    spend(&store, "p-5", "api", 12).unwrap();
    assert_eq!(store.acted(Some(&ServiceName::parse("api").unwrap()), at(12)).unwrap(), 3);
    spend(&store, "p-6", "api", 3700).unwrap();

    let store = SpendStore::in_memory().unwrap();
    for n in 0..12 {
        spend(&store, &format!("p-{n}"), &format!("s-{n}"), n).unwrap();
    }
    assert!(matches!(spend(&store, "p-12", "s-12", 12), Err(SpendError::Limit(_))));
}

#[test]
fn entries_are_never_rewritten_and_a_record_that_was_altered_is_not_opened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spent.db");
    let store = SpendStore::open(&path).unwrap();
    spend(&store, "p-1", "api", 1).unwrap();
    store.finish("p-1", Ending::Done, "done", at(2)).unwrap();
    spend(&store, "p-2", "api", 3).unwrap();
    drop(store);
    let sql = |sql: &str| Connection::open(&path).unwrap().execute_batch(sql);
    for change in
        ["UPDATE entries SET state = 'failed' WHERE seq = 2", "DELETE FROM entries WHERE permit = 'p-1'"]
    {
        let refused = sql(change).unwrap_err().to_string();
        assert!(refused.contains("an entry is never"), "{refused}");
    }
    // The intent of p-2 became ambiguous: a fourth entry, and the third is as it was.
    let store = SpendStore::open(&path).unwrap();
    assert_eq!(store.state_of("p-2").unwrap().as_deref(), Some("ambiguous"));
    drop(store);
    let whole = std::fs::read(&path).unwrap();
    let unguarded = "DROP TRIGGER never_rewritten; DROP TRIGGER never_removed;";
    for (change, at) in [
        ("UPDATE entries SET permit = 'p-9' WHERE permit = 'p-1'", 1),
        ("UPDATE entries SET state = 'failed' WHERE seq = 2", 2),
        ("UPDATE entries SET at_ms = at_ms - 3600000 WHERE seq = 3", 3),
        ("DELETE FROM entries WHERE permit = 'p-1'", 3),
    ] {
        std::fs::write(&path, &whole).unwrap();
        sql(&format!("{unguarded}{change}")).unwrap();
        let error = SpendStore::open(&path).unwrap_err();
        assert!(matches!(error, SpendError::Altered(seq) if seq == at), "{change}: {error}");
    }
}

#[test]
fn the_holder_is_named_and_an_exchanged_file_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spent.db");
    let store = SpendStore::open(&path).unwrap();
    let held = SpendStore::open(&path).unwrap_err().to_string();
    assert!(held.contains(&format!("process {}", std::process::id())), "{held}");
    std::fs::copy(&path, directory.path().join("copy")).unwrap();
    std::fs::rename(directory.path().join("copy"), &path).unwrap();
    assert!(matches!(spend(&store, "p-1", "api", 1), Err(SpendError::Exchanged(_))));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(spend(&store, "p-1", "api", 1), Err(SpendError::Exchanged(_))));
}
