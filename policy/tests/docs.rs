//! Every snippet of docs/policy.md is what it says it is.

use midwatch_policy::{Calendar, Catalog, Precondition, Rules, RunbookContract};

const PAGE: &str = include_str!("../../docs/policy.md");

/// The snippets of a page: what stands behind the three backticks, and the text.
fn snippets() -> Vec<(&'static str, &'static str)> {
    let mut parts = PAGE.split("\n```").skip(1);
    let mut all = Vec::new();
    while let (Some(snippet), Some(_)) = (parts.next(), parts.next()) {
        all.extend(snippet.split_once('\n'));
    }
    all
}

#[test]
fn every_snippet_holds() {
    let snippets = snippets();
    let of = |kind: &str| -> Vec<&str> {
        snippets.iter().filter(|(found, _)| *found == kind).map(|(_, text)| *text).collect()
    };
    let known = ["console", "cedar", "toml examples", "toml catalog", "toml calendar", "markdown runbook"];
    for kind in known {
        assert!(!of(kind).is_empty(), "no snippet of the kind `{kind}`");
    }
    for (kind, text) in &snippets {
        assert!(known.contains(kind), "a snippet of an unknown kind `{kind}`:\n{text}");
    }
    let further = of("cedar");
    for rule in &further {
        assert!(rule.contains("@example") && rule.contains("@counterexample"), "{rule}");
        Rules::parse(rule).unwrap_or_else(|error| panic!("{error}\n{rule}"));
    }
    Rules::embedded_and(&further.join("\n")).unwrap();
    for text in of("toml examples") {
        assert_eq!(Rules::embedded().unwrap().check_examples(text), Ok(2));
    }
    for text in of("toml catalog") {
        assert_eq!(Catalog::parse(text).unwrap().services().count(), 1);
    }
    for text in of("toml calendar") {
        assert_eq!(Calendar::parse(text).unwrap().freezes().len(), 2);
    }
    for text in of("markdown runbook") {
        assert!(RunbookContract::split(text).unwrap().0.unwrap().action.is_some());
    }
}

#[test]
fn every_precondition_and_bound_is_on_the_page() {
    let schema = serde_json::to_value(schemars::schema_for!(RunbookContract)).unwrap();
    let bounds = schema.pointer("/$defs/Bounds/properties").unwrap().as_object().unwrap();
    for name in bounds.keys() {
        assert!(PAGE.contains(&format!("`{name}`")), "{name}");
    }
    for wanted in [
        Precondition::NoDeploymentInProgress,
        Precondition::DeploymentInProgress,
        Precondition::BusinessHours,
        Precondition::OutsideBusinessHours,
        Precondition::NoChangeFreeze,
        Precondition::NoActionInLastHour,
        Precondition::SeveralTasksRunning,
        Precondition::Reversible,
    ] {
        let name = serde_json::to_value(wanted).unwrap();
        assert!(PAGE.contains(&format!("`{}`", name.as_str().unwrap())), "{name}");
    }
}
