use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{
    evidence::{EvidenceBook, Origin},
    finding::{Citation, ClaimDraft, Standing},
};

fn book(result: &Value) -> EvidenceBook {
    let book = EvidenceBook::new();
    let mut args = Map::new();
    args.insert("service".into(), "checkout-2".into());
    let at = "2026-11-21T02:05:00Z".parse().unwrap();
    book.admit(&Origin { server: "logs".into(), tool: "t".into(), args, at }, result);
    book
}

fn case() -> EvidenceBook {
    book(&json!({
        "patterns": [
            {"ref": "p1", "template": "connection pool exhausted after <*> ms", "count": 73, "baseline_count": 0,
             "first_seen": "2026-11-21T02:01:03Z", "status": "ongoing"},
            {"ref": "p2", "template": "slow query", "count": 12, "baseline_count": 11}
        ],
        "deployment": {"ref": "d", "deployment_id": "d-7XQ", "created_at": "2026-11-21T02:00:00Z", "ratio": 1.9287},
        "none": {"ref": "n", "deployments": [], "quiet": true}
    }))
}

fn check(text: &str, citations: &[(&str, &str)]) -> Standing {
    let citations = citations.iter().map(|(e, q)| Citation::new(*e, *q)).collect();
    case().check(&ClaimDraft { text: text.into(), citations }, "test").standing
}

fn is_fact(text: &str, citations: &[(&str, &str)]) -> bool {
    check(text, citations) == Standing::Fact
}

// E1 the result, E2 deployment, E3 none, E4 and E5 the patterns, or in the map's own order.
fn id(reference: &str) -> String {
    case().all().iter().find(|e| e.reference == reference).unwrap().id.to_string()
}

#[test]
fn what_is_quoted_exactly_and_counted_right_is_a_fact() {
    let (p1, p2, d, n) = (id("p1"), id("p2"), id("d"), id("n"));
    let facts: [(&str, Vec<(&str, &str)>); 13] = [
        ("73 lines since 02:01, 0 before.", vec![(&p1, "count=73"), (&p1, "baseline_count=0")]),
        ("The pattern is ongoing since 02:01:03.", vec![(&p1, "\"status\": \"ongoing\"")]),
        ("The log says connection pool exhausted.", vec![(&p1, "connection pool exhausted")]),
        ("73 times.", vec![(&p1, "73")]),
        ("Deployment d-7XQ began at 02:00.", vec![(&d, "d-7XQ")]),
        (
            "The errors began 63 seconds after it.",
            vec![(&d, "created_at=2026-11-21T02:00:00Z"), (&p1, "2026-11-21T02:01:03Z")],
        ),
        ("Both patterns together have 85 lines.", vec![(&p1, "count=73"), (&p2, "count=12")]),
        ("Two patterns.", vec![(&p1, "73"), (&p2, "12")]),
        ("The ratio is 1.93.", vec![(&d, "1.9287")]),
        ("Traffic is at 193 % of its baseline.", vec![(&d, "ratio=1.9287")]),
        ("Traffic is at 192.9% of its baseline.", vec![(&d, "\"ratio\": 1.9287")]),
        ("There were 0 deployments for checkout-2.", vec![(&n, "deployments=0")]),
        ("It is quiet.", vec![(&n, "quiet=true")]),
    ];
    for (text, citations) in facts {
        assert_eq!(check(text, &citations), Standing::Fact, "{text}");
    }
}

#[test]
fn what_does_not_stand_there_is_a_guess() {
    let (p1, d, n) = (id("p1"), id("d"), id("n"));
    let guesses: [(&str, Vec<(&str, &str)>); 18] = [
        ("74 lines.", vec![(&p1, "count=73")]),
        ("73 lines.", vec![(&p1, "count=74")]),
        ("73 lines.", vec![]),
        ("73 lines.", vec![("E99", "73")]),
        ("73 lines.", vec![(&p1, "")]),
        ("The pool is exhausted.", vec![(&p1, "pool was exhausted")]),
        ("It began at 02:02.", vec![(&p1, "count=73")]),
        ("Deployment d-8 began.", vec![(&d, "d-7XQ")]),
        ("Deployment began.", vec![(&d, "d-7X")]),
        ("The deployment caused 73 errors.", vec![(&p1, "73")]),
        ("It is probably the pool.", vec![(&p1, "pool exhausted")]),
        ("7 lines.", vec![(&p1, "7")]),
        ("It is not quiet.", vec![(&n, "quiet=false")]),
        ("checkout-3 is fine.", vec![(&n, "quiet=true")]),
        ("Traffic is at 192 % of its baseline.", vec![(&d, "ratio=1.9287")]),
        ("There were 193 errors.", vec![(&d, "ratio=1.9287")]),
        ("Traffic is at 193 % of its baseline.", vec![(&d, "d-7XQ")]),
        ("73 lines are 7300 %.", vec![(&p1, "count=73")]),
    ];
    for (text, citations) in guesses {
        assert!(!is_fact(text, &citations), "{text} {citations:?}");
    }
}

#[test]
fn a_number_that_could_be_computed_from_unquoted_values_is_a_guess() {
    let p1 = id("p1");
    // 73 + 12: both stand in the evidence of the whole, but only one is quoted.
    let whole = case().all().first().unwrap().id.to_string();
    assert!(!is_fact("85 lines.", &[(&whole, "73")]));
    assert!(!is_fact("85 lines.", &[(&p1, "73")]));
}

proptest! {
    #[test]
    fn only_numbers_of_the_evidence_resolve(n in 0u64..2000, text in "[a-z ]{1,30}") {
        let book = book(&json!({"ref": "r", "count": n, "message": text.clone()}));
        let resolve = |quote: String| book.resolve(&Citation::new("E1", quote));
        prop_assert!(resolve(n.to_string()).is_ok());
        let (right, wrong) = (format!("count={n}"), format!("count={}", n + 1));
        prop_assert!(resolve(right).is_ok());
        prop_assert!(resolve((n + 1).to_string()).is_err());
        prop_assert!(resolve(wrong).is_err());
    }

    #[test]
    fn every_string_of_the_evidence_can_be_quoted(text in "\\PC{5,60}") {
        prop_assume!(!text.trim().trim_matches('`').trim().is_empty());
        let book = book(&json!({"ref": "r", "inner": [{"message": text.clone()}]}));
        prop_assert!(book.resolve(&Citation::new("E1", text)).is_ok());
    }

    #[test]
    fn checking_never_panics_and_no_number_slips_through(text in "\\PC{0,80}", quote in "\\PC{0,20}", n in 2001u64..1_000_000) {
        let book = case();
        let draft = ClaimDraft { text: format!("{text} {n}"), citations: vec![Citation::new("E1", quote)] };
        prop_assert!(!book.check(&draft, "x").is_fact());
    }

    #[test]
    fn admitting_gives_every_ref_an_id_that_leads_back_to_it(refs in prop::collection::vec("[a-z]{1,6}", 0..8), depth in 0usize..3) {
        let mut value = json!({"list": refs.iter().enumerate().map(|(n, r)| json!({"ref": r, "n": n})).collect::<Vec<_>>()});
        for _ in 0..depth {
            value = json!({"ref": "outer", "child": value});
        }
        let book = EvidenceBook::new();
        let at = "2026-11-21T02:05:00Z".parse().unwrap();
        let origin = Origin { server: "s".into(), tool: "t".into(), args: Map::new(), at };
        let admitted = book.admit(&origin, &value);
        prop_assert_eq!(admitted.evidence.len(), refs.len() + depth.max(1));
        for id in &admitted.evidence {
            prop_assert!(book.get(id.as_str()).is_some());
        }
        prop_assert_eq!(book.admit(&origin, &value).evidence, admitted.evidence);
    }
}

#[test]
fn a_quoted_line_may_say_because_and_the_sentence_around_it_may_not() {
    let book = book(&json!({"ref": "p", "count": 498,
        "template": "Cannot invoke \"rate()\" because \"rate\" is null, invoice <num>"}));
    let standing = |text: &str| {
        let draft = ClaimDraft { text: text.into(), citations: vec![Citation::new("E1", "count=498")] };
        book.check(&draft, "test").standing
    };
    let line = "Cannot invoke \"rate()\" because \"rate\" is null, invoice <num>";
    assert_eq!(standing(&format!("`{line}` was logged 498 times.")), Standing::Fact);
    for inferred in [
        format!("`{line}` was logged 498 times because of a release."),
        format!("{line} was logged 498 times."),
        "It failed `because` 498 lines say so.".to_owned(),
        "498 lines failed `because of the new release of yesterday` alone.".to_owned(),
    ] {
        assert!(matches!(standing(&inferred), Standing::Guess { .. }), "{inferred}");
    }
}
