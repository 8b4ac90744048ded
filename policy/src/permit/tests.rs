use proptest::prelude::*;

use super::*;
use crate::{
    catalog::Environment,
    id::{AwsName, ServiceName},
    terms::{EndState, ExpectedState, Place},
};

const T0: &str = "2026-11-21T02:10:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn aws(text: &str) -> AwsName {
    AwsName::parse(text).unwrap()
}

fn rollback(service: &str, deployment: &str) -> Action {
    Action::RollbackDeployment {
        service: ServiceName::parse(service).unwrap(),
        deployment_id: aws(deployment),
    }
}

fn terms() -> Terms {
    Terms {
        place: Place {
            account: Some("123456789012".to_owned()),
            region: Some("us-east-1".to_owned()),
            environment: Environment::Production,
            tier: 1.try_into().unwrap(),
        },
        expected: ExpectedState::CodeDeployDeployment {
            application: aws("shop"),
            deployment_group: aws("checkout"),
            deployment_id: aws("d-1"),
            revision: "s3://builds/checkout-41.zip".to_owned(),
        },
        result: EndState::Revision { revision: "s3://builds/checkout-40.zip".to_owned() },
    }
}

fn approver(name: &str) -> Approver {
    Approver { name: name.to_owned(), role: "oncall".to_owned(), channel: "terminal".to_owned() }
}

fn claims() -> Claims {
    let action = rollback("checkout-api", "d-1");
    Claims {
        permit: PermitId::parse("p-1").unwrap(),
        request: RequestId::parse("r-1").unwrap(),
        incident: IncidentId::parse("inc-1").unwrap(),
        subject: "supervisor".to_owned(),
        audience: "remediation".to_owned(),
        tool: action.kind(),
        schema: Action::schema_digest().unwrap(),
        arguments: action.digest().unwrap(),
        terms: terms(),
        approvers: vec![approver("first-on-call")],
        policies: vec!["rollback-asks-oncall".to_owned()],
        shown: Digest::of(b"what was shown"),
        runbook: None,
        held_to: Vec::new(),
        claimed: None,
        not_before: at(T0),
        expires: at("2026-11-21T02:20:00Z"),
    }
}

type Change = Box<dyn Fn(&mut Claims)>;
type Is = fn(&PermitError) -> bool;

struct Bench {
    key: SigningKey,
    keys: PublicKeys,
}

impl Bench {
    fn new() -> Self {
        let key = SigningKey::generate().unwrap();
        let keys = [key.public().unwrap()].into_iter().collect();
        Self { key, keys }
    }

    fn check_at(&self, token: &str, now: &str) -> Result<VerifiedPermit, PermitError> {
        let (request, incident) = (RequestId::parse("r-1").unwrap(), IncidentId::parse("inc-1").unwrap());
        let demand = Demand {
            subject: "supervisor",
            audience: "remediation",
            request: &request,
            incident: Some(&incident),
            action: &rollback("checkout-api", "d-1"),
            now: at(now),
        };
        verify(token, &self.keys, &demand)
    }

    fn check(&self, token: &str) -> Result<VerifiedPermit, PermitError> {
        self.check_at(token, "2026-11-21T02:12:00Z")
    }

    /// Signs any payload at all with the good key.
    fn sign_raw(&self, payload: &[u8]) -> String {
        self.key.sign(payload, PURPOSE).unwrap()
    }
}

#[test]
fn a_good_permit_carries_the_action() {
    let bench = Bench::new();
    let token = sign(&claims(), &bench.key).unwrap();
    let authorised = bench.check(token.expose()).unwrap().against(&terms()).unwrap();
    assert_eq!(*authorised.action(), rollback("checkout-api", "d-1"));
    assert_eq!(authorised.permit().as_str(), "p-1");
    assert!(bench.check_at(token.expose(), T0).is_ok(), "valid from its first instant");
}

/// Signed by the right key, but for something else: each claim in turn.
#[test]
fn every_claim_is_held_to_what_is_done() {
    let bench = Bench::new();
    let other_action = rollback("checkout-api", "d-2").digest().unwrap();
    let table: Vec<(&str, Change, Is)> = vec![
        ("request", Box::new(|c| c.request = RequestId::parse("r-2").unwrap()), |e| {
            matches!(e, PermitError::Request(_))
        }),
        ("incident", Box::new(|c| c.incident = IncidentId::parse("inc-2").unwrap()), |e| {
            matches!(e, PermitError::Incident(_))
        }),
        ("subject", Box::new(|c| c.subject = "agent-x".into()), |e| matches!(e, PermitError::Subject(_))),
        ("subject, look-alike", Box::new(|c| c.subject = "supervis\u{43e}r".into()), |e| {
            matches!(e, PermitError::Subject(_))
        }),
        ("audience", Box::new(|c| c.audience = "sim".into()), |e| matches!(e, PermitError::Audience(_))),
        ("tool", Box::new(|c| c.tool = ActionKind::RestartService), |e| matches!(e, PermitError::Tool(_))),
        ("schema", Box::new(|c| c.schema = Digest::of(b"old")), |e| matches!(e, PermitError::Schema)),
        ("arguments", Box::new(move |c| c.arguments = other_action), |e| matches!(e, PermitError::Arguments)),
        ("no approver", Box::new(|c| c.approvers.clear()), |e| matches!(e, PermitError::NoApprover)),
        ("approver twice", Box::new(|c| c.approvers.push(approver("first-on-call"))), |e| {
            matches!(e, PermitError::RepeatedApprover(_))
        }),
        ("own approval", Box::new(|c| c.approvers.push(approver("supervisor"))), |e| {
            matches!(e, PermitError::SelfApproval(_))
        }),
        ("no policy", Box::new(|c| c.policies.clear()), |e| matches!(e, PermitError::NoPolicy)),
        ("not yet", Box::new(|c| c.not_before = at("2026-11-21T02:12:01Z")), |e| {
            matches!(e, PermitError::NotYetValid(_))
        }),
        ("expired", Box::new(|c| c.expires = at("2026-11-21T02:12:00Z")), |e| {
            matches!(e, PermitError::Expired(_))
        }),
        ("for ever", Box::new(|c| c.expires = at("2030-01-01T00:00:00Z")), |e| {
            matches!(e, PermitError::Lifetime)
        }),
        ("no time", Box::new(|c| c.expires = c.not_before), |e| matches!(e, PermitError::Lifetime)),
    ];
    for (what, change, is) in table {
        let mut altered = claims();
        change(&mut altered);
        assert_ne!(altered, claims(), "{what} changes nothing");
        let token = sign(&altered, &bench.key).unwrap();
        let error = bench.check(token.expose()).expect_err(what);
        assert!(is(&error), "{what}: {error:?}");
    }
}

#[test]
fn every_argument_is_part_of_what_was_approved() {
    let scale = |service: &str, desired_count| Action::ScaleService {
        service: ServiceName::parse(service).unwrap(),
        desired_count,
    };
    let all = [
        rollback("checkout-api", "d-1"),
        rollback("checkout-ap1", "d-1"),
        rollback("checkout-api", "d-2"),
        Action::RestartService { service: ServiceName::parse("checkout-api").unwrap() },
        scale("checkout-api", 4),
        scale("checkout-api", 5),
        scale("cart-api", 4),
    ];
    let digests: std::collections::BTreeSet<Digest> = all.iter().map(|a| a.digest().unwrap()).collect();
    assert_eq!(digests.len(), all.len());
    // Pinned: another build has to come to the same digest, whatever the order of its fields.
    let canonical = br#"{"deployment_id":"d-1","service":"checkout-api","tool":"rollback_deployment"}"#;
    assert_eq!(all[0].digest().unwrap(), Digest::of(canonical));
}

type Alter = fn(&mut Terms);

#[test]
fn a_changed_target_makes_it_stale() {
    let bench = Bench::new();
    let token = sign(&claims(), &bench.key).unwrap();
    let changes: [(&str, Alter); 6] = [
        ("a newer deployment", |terms| {
            let ExpectedState::CodeDeployDeployment { deployment_id, .. } = &mut terms.expected else {
                panic!()
            };
            *deployment_id = aws("d-2");
        }),
        ("another account", |terms| terms.place.account = Some("210987654321".to_owned())),
        ("no account", |terms| terms.place.account = None),
        ("another region", |terms| terms.place.region = Some("eu-west-1".to_owned())),
        ("another tier", |terms| terms.place.tier = 0.try_into().unwrap()),
        ("another outcome", |terms| {
            terms.result = EndState::Revision { revision: "s3://builds/checkout-39.zip".to_owned() };
        }),
    ];
    for (what, change) in changes {
        let mut live = terms();
        change(&mut live);
        let stale = bench.check(token.expose()).unwrap().against(&live);
        assert!(matches!(stale, Err(PermitError::Stale { .. })), "{what}");
    }
    assert!(bench.check(token.expose()).unwrap().against(&terms()).is_ok());
}

#[test]
fn other_keys_versions_and_purposes_are_refused() {
    let bench = Bench::new();
    let token = sign(&claims(), &bench.key).unwrap().into_string();
    let stranger = SigningKey::generate().unwrap();
    let forged = sign(&claims(), &stranger).unwrap();
    assert!(matches!(bench.check(forged.expose()), Err(PermitError::UnknownKey(_))));
    // The stranger's signature under the good key's id.
    let footer = token.rsplit('.').next().unwrap();
    let body = forged.expose().rsplit_once('.').unwrap().0;
    assert_eq!(bench.check(&format!("{body}.{footer}")).unwrap_err(), PermitError::Signature);
    // The good key, for another purpose.
    let payload = serde_json_canonicalizer::to_vec(&claims()).unwrap();
    let journal = bench.key.sign(&payload, b"journal head").unwrap();
    assert_eq!(bench.check(&journal).unwrap_err(), PermitError::Signature);
    for wrong in ["v4.local.", "v3.public.", "v2.public.", "V4.public.", "v4.public.."] {
        assert_eq!(
            bench.check(&token.replacen("v4.public.", wrong, 1)).unwrap_err(),
            PermitError::Form,
            "{wrong}"
        );
    }
    for junk in ["", "v4.public.", "v4.public.AAAA", "{}", "\u{202e}v4.public.AAAA", "v4.public.é"] {
        assert_eq!(bench.check(junk).unwrap_err(), PermitError::Form, "{junk}");
    }
    assert_eq!(bench.check(body.split_once('é').map_or(body, |b| b.0)).unwrap_err(), PermitError::Footer);
    assert_eq!(bench.check(&"A".repeat(1 << 24)).unwrap_err(), PermitError::TooLong);
    let none = PublicKeys::default();
    assert!(none.is_empty() && matches!(none.open(&token, PURPOSE), Err(PermitError::UnknownKey(_))));
}

#[test]
fn keys_rotate_and_are_revoked() {
    let mut bench = Bench::new();
    let old = sign(&claims(), &bench.key).unwrap();
    let next = SigningKey::generate().unwrap();
    bench.keys.accept(next.public().unwrap());
    let new = sign(&claims(), &next).unwrap();
    assert!(bench.check(old.expose()).is_ok() && bench.check(new.expose()).is_ok());
    assert!(bench.keys.revoke(&bench.key.public().unwrap().id()));
    assert!(matches!(bench.check(old.expose()), Err(PermitError::UnknownKey(_))));
    assert!(bench.check(new.expose()).is_ok());
}

#[test]
fn signed_claims_read_one_way_only() {
    let bench = Bench::new();
    let good = String::from_utf8(serde_json_canonicalizer::to_vec(&claims()).unwrap()).unwrap();
    assert!(bench.check(&bench.sign_raw(good.as_bytes())).is_ok(), "the bench itself signs what passes");
    let twice = good.replacen(r#""audience":"#, r#""audience":"sim","audience":"#, 1);
    let inner = good.replacen(r#""deployment_id":"#, r#""deployment_id":"d-9","deployment_id":"#, 1);
    let extra = good.replacen('{', r#"{"admin":true,"#, 1);
    let missing = good.replacen(r#""subject":"supervisor","#, "", 1);
    let escaped = good.replacen("supervisor", "superviso\\u0072", 1);
    let spaced = good.replacen(':', ": ", 1);
    let upper = good.replace("rollback_deployment", "ROLLBACK_DEPLOYMENT");
    for payload in
        [twice, inner, extra, missing, escaped, spaced, upper, "[]".into(), "{".into(), "\u{feff}{}".into()]
    {
        let error = bench.check(&bench.sign_raw(payload.as_bytes())).unwrap_err();
        assert!(matches!(error, PermitError::Claims(_)), "{payload}: {error:?}");
    }
}

#[test]
fn secrets_do_not_print() {
    let bench = Bench::new();
    let secret = bench.key.expose_secret();
    let token = sign(&claims(), &bench.key).unwrap();
    let printed = format!("{:?} {:?} {:?}", bench.key, token, bench.keys);
    assert!(
        !printed.contains(secret.trim_start_matches("k4.secret.")) && !printed.contains("v4.public"),
        "{printed}"
    );
    assert_eq!(SigningKey::parse(&secret).unwrap().public().unwrap(), bench.key.public().unwrap());
    let public = bench.key.public().unwrap();
    assert_eq!(PublicKey::parse(&public.to_string()).unwrap(), public);
}

#[test]
fn bad_keys_are_errors() {
    let zeros = format!("k4.secret.{}", "A".repeat(86));
    for text in ["", "k4.secret.", "k4.public.AAAA", "k3.secret.AAAA", "k4.secret.!!!", zeros.as_str()] {
        assert!(SigningKey::parse(text).is_err(), "{text}");
        assert!(PublicKey::parse(text).is_err(), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// One altered character anywhere in the token: refused, and nothing panics.
    #[test]
    fn no_altered_token_passes(place in 0usize..4096, with in "[A-Za-z0-9_.-]|\\PC") {
        let bench = Bench::new();
        let token = sign(&claims(), &bench.key).unwrap().into_string();
        let place = place % token.len();
        let altered = format!("{}{with}{}", token.get(..place).unwrap(), token.get(place + 1..).unwrap());
        prop_assume!(altered != token);
        prop_assert!(bench.check(&altered).is_err());
    }

    /// Any time outside the window is refused, any within is accepted.
    #[test]
    fn time_decides_by_the_window(seconds in -7200i64..7200) {
        let bench = Bench::new();
        let token = sign(&claims(), &bench.key).unwrap();
        let now = (at(T0) + SignedDuration::from_secs(seconds)).to_string();
        prop_assert_eq!(bench.check_at(token.expose(), &now).is_ok(), (0..600).contains(&seconds));
    }

    #[test]
    fn rubbish_is_refused(token in "(v4\\.public\\.)?\\PC{0,300}") {
        prop_assert!(Bench::new().check(&token).is_err());
    }
}
