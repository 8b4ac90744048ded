mod examples;
mod golden;
mod properties;

use serde_json::{Map, Value, json};

use super::*;
use crate::{
    action::ActionKind,
    catalog::{Autonomy, Environment, Service},
};

fn service(tier: u8, environment: Environment, autonomy: Autonomy, protected: bool) -> Service {
    serde_json::from_value(json!({
        "name": "checkout-api", "tier": tier, "environment": environment, "autonomy": autonomy,
        "protected": protected, "owners": ["payments"], "scale": {"min": 2, "max": 8},
    }))
    .unwrap()
}

fn attested() -> Attested {
    Attested {
        change_freeze: false,
        business_hours: false,
        deployments_in_progress: 0,
        tasks_running: 3,
        tasks_affected: 3,
        actions_last_hour: 0,
    }
}

fn call<'a>(tool: &'a str, arguments: &'a Map<String, Value>, service: Option<&'a Service>) -> ToolCall<'a> {
    ToolCall {
        caller: Caller { kind: CallerKind::Supervisor, name: "supervisor" },
        server: "remediation",
        tool,
        class: ToolClass::Mutate,
        arguments,
        service,
        attested: attested(),
        claimed: None,
    }
}

fn claimed(confidence_percent: u8, evidence: &[&str]) -> Claimed {
    Claimed {
        confidence_percent,
        phase: "decide".into(),
        severity: "high".into(),
        evidence: evidence.iter().map(|kind| (*kind).to_owned()).collect(),
    }
}

fn problems(text: &str) -> String {
    Rules::parse(text).expect_err("rules are wrong").to_string()
}

#[test]
fn the_shipped_rules_load_and_keep_their_examples() {
    let rules = Rules::embedded().unwrap();
    assert_eq!(rules.check_examples(include_str!("../../policies/default.examples.toml")), Ok(27));
    assert_eq!(rules.ids().first(), Some(&"reads"));
}

#[test]
fn every_shipped_rule_has_an_example_that_needs_it() {
    // Without its rule, some example has to fail: else nothing says what the rule is for.
    let text = Rules::embedded_text();
    let examples = include_str!("../../policies/default.examples.toml");
    for id in Rules::embedded().unwrap().ids() {
        let start = text.find(&format!("@id(\"{id}\")")).unwrap();
        let end = start
            + text
                .get(start..)
                .unwrap()
                .find("};\n")
                .map_or(usize::MAX, |end| end + 3)
                .min(text.get(start..).unwrap().find(");\n").map_or(usize::MAX, |end| end + 3));
        let without = format!("{}{}", text.get(..start).unwrap(), text.get(end..).unwrap());
        let rules = Rules::parse(&without).unwrap_or_else(|error| panic!("{id}: {error}"));
        assert!(rules.check_examples(examples).is_err(), "no example needs `{id}`");
    }
}

#[test]
fn load_errors_name_line_and_remedy() {
    let permit = r#"permit (principal, action == Action::"mutate", resource) when { context.tool == "x" };"#;
    let read = r#"permit (principal, action == Action::"read", resource)"#;
    for (text, expected) in [
        ("", "there are no rules"),
        ("permit (principal, action, resource)\n\n", "line 1: unexpected end"),
        ("\n\npermit principal;", "line 3"),
        (&format!("@reason(\"r\")\n{permit}"), "line 1: a rule has no name"),
        (
            &format!("// c\n\n@id(\"a\")@reason(\"r\")\n{permit}"),
            "line 3: `a` permits a change and asks nobody; say who",
        ),
        (&format!("@id(\"a\")@reason(\"r\")@ask(\"many\")\n{permit}"), "`@ask` of `a` is not readable"),
        (&format!("@id(\"a\")@reason(\"r\")@ask(\"0 oncall\")\n{permit}"), "not readable"),
        (
            &format!("@id(\"a\")@reason(\"r\")@ask(\"1 oncall\")@within(\"3 weeks\")\n{permit}"),
            "`@within` of `a`",
        ),
        (&format!("@id(\"a\")@ask(\"1 oncall\")\n{permit}"), "`a` has no reason"),
        (&format!("@id(\"a\")@reason(\"r\")@asks(\"1 oncall\")\n{permit}"), "annotation `@asks`"),
        (&format!("@id(\"a\")@reason(\"r\")@ask(\"1 oncall\")\n{read};"), "asks before reading"),
        (
            "@id(\"a\")@reason(\"r\")\npermit (principal, action, resource) when { context.tool == \"x\" };",
            "reading and more at once",
        ),
        (
            "@id(\"a\")@reason(\"r\")@ask(\"1 oncall\")\npermit (principal, action == Action::\"mutate\", resource);",
            "by any tool",
        ),
        (
            &format!(
                "@id(\"a\")@reason(\"r\")\n{read} when {{ context has claimed && context.claimed.phase == \"x\" }};"
            ),
            "by what the caller claims",
        ),
        (
            &format!("@id(\"a\")@reason(\"r\")\n{read} unless {{ context has claimed }};"),
            "by what the caller claims",
        ),
        (
            &format!("@id(\"a\")@reason(\"r\")\n{read} when {{ context[\"claimed\"].phase == \"x\" }};"),
            "by what the caller claims",
        ),
        (&format!("@id(\"a\")@reason(\"r\")\n{read} when {{ resource.teir == 1 }};"), "line 1: "),
        (&format!("@id(\"a\")@reason(\"r\")\n{read} when {{ resource.tier == \"one\" }};"), "line 1: "),
        (&format!("@id(\"a\")@reason(\"r\")\n{read} when {{ context.desired_count > 1 }};"), "desired_count"),
        (
            &format!("@id(\"a\")@reason(\"r\")\n{read};\n@id(\"a\")@reason(\"r\")\n{read};"),
            "line 3: the name `a` is taken",
        ),
        ("@id(\"a\")@reason(\"r\")\npermit (principal == ?principal, action, resource);", "template"),
        (
            "@id(\"a\")@reason(\"r\")@ask(\"1 oncall\")\nforbid (principal, action, resource);",
            "forbids and asks",
        ),
    ] {
        let found = problems(text);
        assert!(found.contains(expected), "{text}\n→ {found}");
    }
    let both = format!("@reason(\"r\")\n{permit}\n@id(\"b\")@ask(\"x\")\n{permit}");
    assert!(problems(&both).lines().count() >= 4, "every problem at once: {}", problems(&both));
}

#[test]
fn further_rules_stand_beside_the_shipped_ones() {
    let more = "\n@id(\"night\")@reason(\"no restarts at night\")\nforbid (principal, action == Action::\"mutate\", resource)\nwhen { !context.attested.business_hours && context.tool == \"restart_service\" };";
    let rules = Rules::embedded_and(more).unwrap();
    let (arguments, service) = (Map::new(), service(1, Environment::Production, Autonomy::Ask, false));
    let sure = claimed(90, &["pattern"]);
    let call = ToolCall { claimed: Some(&sure), ..call("restart_service", &arguments, Some(&service)) };
    assert_eq!(rules.decide(&call).rule(), "night");
    let error = Rules::embedded_and("\n@id(\"reads\")@reason(\"r\")\nforbid (principal, action, resource);")
        .unwrap_err();
    assert!(error.to_string().contains("line 2: the name `reads` is taken"), "{error}");
}

#[test]
fn an_evaluation_error_forbids() {
    // Validated, and still an error at run time: the sum overflows.
    let rules = Rules::embedded_and(
        "@id(\"sum\")@reason(\"r\")\nforbid (principal, action == Action::\"read\", resource)\nwhen { context.attested.tasks_running + 9223372036854775807 == 0 };",
    )
    .unwrap();
    let (arguments, service) = (Map::new(), service(1, Environment::Production, Autonomy::Ask, false));
    let read = ToolCall { class: ToolClass::Read, ..call("error_patterns", &arguments, Some(&service)) };
    assert!(
        matches!(rules.decide(&read), Decision::Forbid { rule, reason } if rule == "sum" && reason.contains("overflow"))
    );
    let none = Attested { tasks_running: 0, ..attested() };
    assert!(matches!(rules.decide(&ToolCall { attested: none, ..read }), Decision::Allow { .. }));
}

#[test]
fn every_ask_has_to_be_met_by_different_people() {
    let person =
        |name: &str, role: &str| Approver { name: name.into(), role: role.into(), channel: "page".into() };
    let asks = [Ask { role: "oncall".into(), people: 2 }, Ask { role: "owner".into(), people: 1 }];
    let (a, b, o) = (person("a", "oncall"), person("b", "oncall"), person("o", "owner"));
    assert!(unmet(&asks, &[a.clone(), b.clone(), o.clone()]).is_empty());
    for short in [
        vec![],
        vec![a.clone(), b.clone()],
        vec![a.clone(), a.clone(), o.clone()],
        vec![a.clone(), person(" A ", "oncall"), o],
        vec![a.clone(), b, person("a", "owner")],
    ] {
        assert!(!unmet(&asks, &short).is_empty(), "{short:?}");
    }
}

#[test]
fn the_actions_of_this_build_are_the_tools_the_rules_name() {
    for kind in ActionKind::ALL {
        assert!(Rules::embedded_text().contains(&format!("context.tool == \"{}\"", kind.tool())), "{kind}");
    }
}
