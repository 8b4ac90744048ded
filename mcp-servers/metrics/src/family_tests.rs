use aws_sdk_cloudwatch::types::StateValue;

use super::*;

#[test]
fn a_rule_names_its_children_in_every_way_to_write_them() {
    let rule = r#"ALARM("api (5xx)") OR (ok ( cart-backlog ) AND NOT ALARM(arn:aws:cloudwatch:us-east-1:123456789012:alarm:db))
        AND INSUFFICIENT_DATA("api (5xx)") OR TRUE"#;
    assert_eq!(names_in(rule), ["api (5xx)", "cart-backlog", "db"]);
    for none in ["", "TRUE", "((", "ALARM(", "ALARM(\"", "MAXIMUM(a)"] {
        assert_eq!(names_in(none), Vec::<String>::new(), "{none}");
    }
}

fn composite(name: &str, rule: &str) -> Child {
    let alarm = CompositeAlarm::builder().alarm_name(name).alarm_rule(rule).state_value(StateValue::Alarm);
    Child::Composite(Box::new(alarm.build()))
}

fn metric(name: &str, state: StateValue) -> Child {
    Child::Metric(Box::new(MetricAlarm::builder().alarm_name(name).state_value(state).build()))
}

/// Names, and between which composite alarm and the first they stand.
fn members(family: Family) -> (Vec<(String, Option<String>)>, Vec<String>) {
    let (members, notes) = family.told();
    let of = |member: &Member| (member.child.name().to_owned(), member.of.clone());
    (members.iter().map(of).collect(), notes)
}

#[test]
fn a_level_is_asked_for_at_once_and_those_that_fire_come_first() {
    let mut family = Family::new("top", "ALARM(a) OR ALARM(b) OR OK(fine)");
    assert_eq!(family.wanted(), ["a", "b", "fine"]);
    family.take(vec![
        composite("a", "ALARM(leaf) OR ALARM(gone)"),
        composite("b", "ALARM(leaf) OR ALARM(other)"),
        metric("fine", StateValue::Ok),
    ]);
    // Both rules name one of them: it is asked for once.
    assert_eq!(family.wanted(), ["leaf", "gone", "other"]);
    family.take(vec![metric("other", StateValue::Ok), metric("leaf", StateValue::Alarm)]);
    assert_eq!(family.wanted(), Vec::<String>::new());
    let (members, notes) = members(family);
    let of = |name: &str, of: Option<&str>| (name.to_owned(), of.map(str::to_owned));
    assert_eq!(
        members,
        [of("a", None), of("b", None), of("leaf", Some("a")), of("fine", None), of("other", Some("b"))]
    );
    assert_eq!(notes, ["the rule of `a` names `gone`, but that alarm does not exist"]);
}

#[test]
fn alarms_that_are_computed_from_each_other_end() {
    let mut family = Family::new("top", "ALARM(a)");
    family.take(vec![composite("a", "ALARM(b) OR ALARM(top)")]);
    assert_eq!(family.wanted(), ["b"]);
    family.take(vec![composite("b", "ALARM(a) OR ALARM(b) OR ALARM(leaf)")]);
    assert_eq!(family.wanted(), ["leaf"]);
    family.take(vec![metric("leaf", StateValue::Alarm), composite("top", "ALARM(a)")]);
    assert_eq!(family.wanted(), Vec::<String>::new());
    let (members, notes) = members(family);
    assert_eq!(members.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b", "leaf"]);
    assert_eq!(notes, ["the rule of `a` leads back to this alarm"]);
}

#[test]
fn what_is_too_deep_too_many_or_cannot_be_read_is_said() {
    let mut family = Family::new("top", "ALARM(l1)");
    for (name, below) in [("l1", "l2"), ("l2", "l3"), ("l3", "l4")] {
        assert_eq!(family.wanted(), [name]);
        family.take(vec![composite(name, &format!("ALARM({below})"))]);
    }
    assert_eq!(family.wanted(), Vec::<String>::new());
    let (_, notes) = members(family);
    assert_eq!(notes, ["children are followed 3 levels down: what the rule of `l3` names was not read"]);

    let many = |at: usize| (0..90).map(|n| format!("ALARM(n{at}-{n})")).collect::<Vec<_>>().join(" OR ");
    let mut family = Family::new("top", "ALARM(a) OR ALARM(b)");
    family.take(vec![composite("a", &many(1)), composite("b", &many(2))]);
    assert_eq!(family.wanted().len(), MAX_NAMES);
    family.lose("denied");
    assert_eq!(family.wanted(), Vec::<String>::new());
    let (_, notes) = members(family);
    assert_eq!(notes[0], "80 further alarms below it were not read");
    assert!(
        notes[1].starts_with("the rule of `a` names `n1-0`, `n1-1`") && notes[1].ends_with(": denied"),
        "{notes:?}"
    );
    assert_eq!(notes.len(), 3, "{notes:?}");
}
