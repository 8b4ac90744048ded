use clap::Parser;
use midwatch_policy::{Ask, Calendar, Catalog, Timestamp};

use super::*;
use crate::command::{Arguments, Command};

const CATALOG: &str = "[[service]]\nname='shop'\ntier=0\nenvironment='production'\nautonomy='ask'\n";
const FREEZE: &str =
    "[[freeze]]\nid='sale'\nreason='the sale'\nfrom=2026-11-27T00:00:00Z\nto=2026-11-28T00:00:00Z\n";

fn now() -> Timestamp {
    "2026-11-27T03:00:00Z".parse().unwrap()
}

fn explain(line: &str) -> anyhow::Result<explain::Question> {
    let words = ["midwatch", "policy", "explain"].into_iter().chain(line.split_whitespace());
    let Command::Policy(PolicyArgs { what: PolicyCommand::Explain(arguments), .. }) =
        Arguments::try_parse_from(words)?.command
    else {
        panic!("not an explanation")
    };
    let (catalog, calendar) = (Catalog::parse(CATALOG).unwrap(), Calendar::parse(FREEZE).unwrap());
    explain::question(&arguments, &catalog, &calendar, now())
}

#[test]
fn what_the_operator_says_of_a_third_partys_tool_is_its_class() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mcp.json");
    let server = r#"{"mcpServers": {"tickets": {"command": "x", "midwatch":
        {"specialists": ["log_analyst"], "tools": ["search"], "changes": ["comment"]}}}}"#;
    std::fs::write(&file, server).unwrap();
    let of = |call: &str| explain(&format!("{call} --mcp-servers {}", file.display()));
    let read = format!("{:?}", of("search --server tickets").unwrap());
    assert!(read.contains("class: Read") && read.contains("third_party: None"), "{read}");
    for (tool, class) in [("comment", "class: Mutate"), ("delete", "class: Unknown")] {
        let said = format!("{:?}", of(&format!("{tool} --server tickets")).unwrap());
        assert!(said.contains(class) && said.contains("gated by the supervisor only"), "{said}");
    }
    let error = of("search --server other").unwrap_err().to_string();
    assert!(error.contains("has no server `other`; it has tickets"), "{error}");
    assert!(
        format!("{:?}", of("restart_service service=shop --catalog c").unwrap())
            .contains("third_party: None")
    );
}

#[test]
fn what_makes_no_sense_is_said_with_its_remedy() {
    for (line, expected) in [
        (
            "destroy_service service=shop --catalog c",
            "there is no tool `destroy_service`; known are error_patterns",
        ),
        ("rollback_deployment service=shop --catalog c", "missing field `deployment_id`"),
        ("restart_service service=shop force=yes --catalog c", "unknown field `force`"),
        (
            "scale_service service=shop desired_count=many --catalog c",
            "`desired_count` is a number of tasks, and `many` is none: write it like desired_count=4",
        ),
        ("scale_service service=shop desired_count=-1 --catalog c", "`-1` is none"),
        ("restart_service service=shop service=shop --catalog c", "`service` is given twice"),
        ("restart_service service=shop", "give the service catalog with --catalog"),
        ("restart_service service=shopp --catalog c", "has no service `shopp`; it has shop"),
        ("restart_service shop --catalog c", "write it as NAME=VALUE"),
        ("restart_service service=shop --at yesterday", "write it like 2026-12-24T03:00:00Z"),
        ("restart_service service=shop --confidence 101", "101"),
    ] {
        let error = format!("{:#}", explain(line).expect_err(line));
        assert!(error.contains(expected), "{line}\n→ {error}");
    }
}

#[test]
fn the_calendar_and_the_class_are_looked_up() {
    let question = format!("{:?}", explain("restart_service service=shop --catalog c").unwrap());
    assert!(question.contains("change_freeze: true") && question.contains("class: Mutate"), "{question}");
    assert!(question.contains("`sale` till 2026-11-28T00:00:00Z: the sale"), "{question}");
    let foreign = format!("{:?}", explain("restart_service --server else").unwrap());
    assert!(
        foreign.contains("class: Unknown") && foreign.contains("gated by the supervisor only"),
        "{foreign}"
    );
    assert!(format!("{:?}", explain("error_patterns").unwrap()).contains("class: Read"));
}

#[test]
fn every_problem_of_rules_and_examples_is_named_with_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("night.cedar");
    let rule = "@id(\"a\")\n@reason(\"r\")\n@ask(\"1 oncall\")\npermit (principal, action == Action::\"mutate\", resource)\nwhen { context.tool == \"restart_service\" };\n";
    std::fs::write(&file, rule).unwrap();
    let (rules, kept, problems) = examine(Some(&file), &[]).unwrap();
    assert_eq!((rules.len(), kept, problems.len()), (1, 0, 0));

    let beside = directory.path().join("night.examples.toml");
    std::fs::write(&beside, "[[example]]\ntool='restart_service'\nexpect='allow'\n\n[[example]]\ntool='x'\n")
        .unwrap();
    let (_, _, problems) = examine(Some(&file), &[]).unwrap();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems.iter().all(|(path, _)| path.ends_with("night.examples.toml")), "{problems:?}");
    assert!(loaded(Some(&file)).unwrap_err().to_string().contains("cannot be used"));

    std::fs::write(&file, rule.replace("@ask(\"1 oncall\")\n", "").replace("(\"r\")", "(\"\")")).unwrap();
    let (_, _, problems) = examine(Some(&file), &[]).unwrap();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(examine(Some(&directory.path().join("no.cedar")), &[]).is_err());
}

#[test]
fn the_shipped_rules_keep_their_examples() {
    let (rules, kept, problems) = examine(None, &[]).unwrap();
    assert!(rules.len() > 10 && kept > 20 && problems.is_empty(), "{problems:?}");
}

#[test]
fn spans_read_as_people_say_them() {
    let ask = [Ask { role: "oncall".to_owned(), people: 2 }];
    assert_eq!(explain::asked(&ask, 600), "2 oncall within 10 min");
    assert_eq!(explain::asked(&ask, 7200), "2 oncall within 2 h");
    assert_eq!(explain::asked(&ask, 90), "2 oncall within 90 s");
}

#[test]
fn the_commands_of_the_page_can_be_given() {
    let page = include_str!("../../../../docs/policy.md");
    let commands: Vec<&str> = page.lines().filter(|line| line.starts_with("midwatch ")).collect();
    assert!(commands.len() >= 6, "{commands:?}");
    for command in commands {
        let parsed = Arguments::try_parse_from(command.split_whitespace());
        assert!(parsed.is_ok(), "{command}: {:?}", parsed.err());
    }
}
