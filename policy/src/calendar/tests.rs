use serde_json::json;

use super::*;

fn service(name: &str, tier: u8, environment: &str, owners: &[&str]) -> Service {
    serde_json::from_value(json!({"name": name, "tier": tier, "environment": environment, "owners": owners}))
        .unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

const TEXT: &str = r#"
[[freeze]]
id = "year-end"
reason = "the shop's busiest days"
from = 2026-12-18T18:00:00+01:00
to = "2027-01-04T06:00:00Z"

[[freeze]]
id = "ledger-move"
reason = "the ledger moves to another database"
from = 2026-12-20T00:00:00Z
to = 2027-02-01T00:00:00Z
services = ["ledger"]

[[freeze]]
id = "audit"
reason = "the auditors are here"
from = 2026-11-02T00:00:00Z
to = 2026-11-03T00:00:00Z
environments = ["production", "staging"]
tiers = [0]

[hours]
zone = "Europe/Berlin"
days = ["mon", "tue", "wed", "thu", "fri"]
from = "09:00"
to = "17:30"
closed = ["2026-12-25"]

[hours.owner.payments]
zone = "America/New_York"

[hours.owner.search]
days = ["sat"]
to = "24:00"
closed = ["2026-11-28"]
"#;

#[test]
fn a_freeze_is_a_span_of_absolute_time() {
    let calendar = Calendar::parse(TEXT).unwrap();
    let shop = service("shop", 1, "production", &[]);
    let frozen = |now: &str, service| calendar.freeze(at(now), service).map(|freeze| freeze.id.as_str());
    assert_eq!(frozen("2026-12-18T16:59:59Z", &shop), None);
    assert_eq!(frozen("2026-12-18T17:00:00Z", &shop), Some("year-end"));
    assert_eq!(frozen("2027-01-04T05:59:59Z", &shop), Some("year-end"));
    assert_eq!(frozen("2027-01-04T06:00:00Z", &shop), None);
    assert_eq!(calendar.freezes().len(), 3);
}

#[test]
fn a_freeze_covers_production_unless_it_says_more() {
    let calendar = Calendar::parse(TEXT).unwrap();
    let frozen = |now: &str, service: Service| calendar.freeze(at(now), &service).map(|f| f.id.clone());
    let christmas = "2026-12-25T00:00:00Z";
    assert_eq!(frozen(christmas, service("shop", 1, "staging", &[])), None);
    assert_eq!(frozen(christmas, service("shop", 4, "production", &[])).as_deref(), Some("year-end"));
    // A service that is named is frozen wherever it runs, and the longer freeze is the one to name.
    assert_eq!(frozen(christmas, service("ledger", 1, "staging", &[])).as_deref(), Some("ledger-move"));
    assert_eq!(frozen(christmas, service("ledger", 1, "production", &[])).as_deref(), Some("ledger-move"));
    let audit = "2026-11-02T12:00:00Z";
    assert_eq!(frozen(audit, service("shop", 0, "staging", &[])).as_deref(), Some("audit"));
    assert_eq!(frozen(audit, service("shop", 1, "production", &[])), None);
    assert_eq!(frozen(audit, service("shop", 0, "development", &[])), None);
}

#[test]
fn hours_are_local_when_the_clocks_change() {
    let calendar = Calendar::parse(TEXT).unwrap();
    let shop = service("shop", 1, "production", &[]);
    let open = |now: &str| calendar.business_hours(at(now), &shop);
    // Berlin goes back on 25 October 2026: nine o'clock is 07:00 UTC before and 08:00 UTC after.
    assert!(!open("2026-10-23T06:59:59Z") && open("2026-10-23T07:00:00Z"));
    assert!(!open("2026-10-26T07:59:59Z") && open("2026-10-26T08:00:00Z"));
    assert!(open("2026-10-26T16:29:59Z") && !open("2026-10-26T16:30:00Z"));
    // And forward on 29 March 2026.
    assert!(!open("2026-03-27T07:59:59Z") && open("2026-03-27T08:00:00Z"));
    assert!(!open("2026-03-30T06:59:59Z") && open("2026-03-30T07:00:00Z"));
    // A Saturday, and a Friday on which nobody works.
    assert!(!open("2026-10-24T10:00:00Z") && !open("2026-12-25T10:00:00Z"));
}

#[test]
fn hours_within_the_change_itself() {
    let text = "[hours]\nzone='America/New_York'\ndays=['sun']\nfrom='01:00'\nto='03:00'\n";
    let calendar = Calendar::parse(text).unwrap();
    let open = |now: &str| calendar.business_hours(at(now), &service("a", 1, "production", &[]));
    // On 1 November 2026 01:30 comes twice: at 05:30 and 06:30 UTC; 03:00 is 08:00 UTC.
    assert!(!open("2026-11-01T04:59:59Z") && open("2026-11-01T05:30:00Z") && open("2026-11-01T06:30:00Z"));
    assert!(open("2026-11-01T07:59:59Z") && !open("2026-11-01T08:00:00Z"));
    // On 8 March 2026 two o'clock does not come: 01:59 is followed by 03:00.
    assert!(open("2026-03-08T06:59:59Z") && !open("2026-03-08T07:00:00Z"));
}

#[test]
fn everybody_who_owns_the_service_has_to_be_at_work() {
    let calendar = Calendar::parse(TEXT).unwrap();
    let open = |now: &str, owners: &[&str]| {
        calendar.business_hours(at(now), &service("shop", 1, "production", owners))
    };
    // Payments works in New York: from 14:00 UTC on a Monday in November.
    assert!(!open("2026-11-23T13:59:59Z", &["payments"]) && open("2026-11-23T14:00:00Z", &["payments"]));
    assert!(open("2026-11-23T14:00:00Z", &["payments", "billing"]));
    assert!(!open("2026-11-23T20:00:00Z", &["payments", "billing"]), "billing has gone home");
    // Search works on Saturdays, till midnight in Berlin, but not on the 28th.
    assert!(open("2026-11-21T22:59:59Z", &["search"]) && !open("2026-11-21T23:00:00Z", &["search"]));
    assert!(!open("2026-11-28T12:00:00Z", &["search"]));
}

#[test]
fn without_a_calendar_nothing_is_frozen_and_nobody_is_at_work() {
    let shop = service("shop", 1, "production", &["payments"]);
    for calendar in [Calendar::default(), Calendar::parse("").unwrap()] {
        assert_eq!(calendar.freeze(at("2026-12-25T00:00:00Z"), &shop), None);
        assert!(!calendar.business_hours(at("2026-11-23T12:00:00Z"), &shop));
    }
    let only = "[hours.owner.payments]\nzone='UTC'\ndays=['mon']\nfrom='09:00'\nto='17:00'\n";
    let calendar = Calendar::parse(only).unwrap();
    assert!(calendar.business_hours(at("2026-11-23T12:00:00Z"), &shop));
    assert!(!calendar.business_hours(at("2026-11-23T12:00:00Z"), &service("a", 1, "production", &[])));
}

#[test]
fn everything_that_is_wrong_is_said_with_its_line_and_remedy() {
    let wrong = "[[freeze]]
id = \"a\"
from = 2026-12-18T18:00:00
to = 7
teirs = [0]

[[freeze]]
id = \"b\"
reason = \"r\"
from = 2026-12-18T18:00:00Z
to = 2026-12-18T18:00:00+01:00
tiers = [7]
services = []

[hours]
zone = \"Europe/Atlantis\"
days = [\"monday\"]
from = \"9:00\"
to = \"25:00\"
closed = [\"christmas\"]

[hours.owner.x]
zone = \"UTC\"
lunch = true

[holidays]
";
    let error = Calendar::parse(wrong).unwrap_err().to_string();
    for expected in [
        "line 1: [[freeze]] 1: there is no `reason`; say why",
        "line 3: [[freeze]] 1: `from` is `2026-12-18T18:00:00`, which is no time with an offset; write an",
        "line 4: [[freeze]] 1: `to` is of the type integer",
        "line 5: [[freeze]] 1: there is no field `teirs`; known are",
        "it ends before it begins",
        "line 12: [[freeze]] 2: `tiers`: tier is 7",
        "`services` is empty",
        "there is no time zone `Europe/Atlantis`",
        "[hours]: `days`: unknown variant `monday`, expected",
        "`from` is `9:00`, which is no time of day",
        "`to` is `25:00`",
        "`closed` has `christmas`",
        "[hours.owner.x]: there is no field `lunch`",
        "there is no field `holidays`; known are `[[freeze]]`",
    ] {
        assert!(error.contains(expected), "{expected}\nis not in\n{error}");
    }
    for (text, expected) in [
        ("[hours]\nzone = 'UTC'\n", "there is no `days`, no `from`, no `to`"),
        ("[hours]\n", "it says nothing"),
        ("[hours.owner.x]\nzone = 'UTC'\n", "[hours.owner.x]: there is no `days`"),
        ("[hours]\nzone='UTC'\ndays=['mon']\nfrom='17:00'\nto='09:00'", "end before they begin"),
        ("freeze = 3", "line 1: `freeze` is no table"),
        ("[[freeze]\n", "line 1: "),
        (
            "[[freeze]]\nid='a'\nreason=' '\nfrom=2026-01-01T00:00:00Z\nto=2026-01-02T00:00:00Z",
            "`reason` is empty",
        ),
    ] {
        let error = Calendar::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}\n→ {error}");
    }
    let twice =
        "[[freeze]]\nid='a'\nreason='r'\nfrom=2026-01-01T00:00:00Z\nto=2026-01-02T00:00:00Z\n".repeat(2);
    let error = Calendar::parse(&twice).unwrap_err().to_string();
    assert!(error.contains("line 6: the freeze `a` stands there twice"), "{error}");
}

#[test]
fn names_that_the_catalog_does_not_have_are_found() {
    let calendar = Calendar::parse(TEXT).unwrap();
    let catalog = Catalog::new(vec![service("shop", 1, "production", &["payments"])]).unwrap();
    let unknown = calendar.unknown(&catalog);
    assert_eq!(unknown.len(), 2, "{unknown:?}");
    assert!(unknown[0].contains("`ledger`") && unknown[1].contains("`search`"), "{unknown:?}");
}
