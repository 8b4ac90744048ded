use super::*;

const GOOD_HEAD: &str = "+++
id = \"pool\"
title = \"Pool\"
services = [\"shop\"]
signatures = [\"pool exhausted\"]
cause = \"deployment\"
action = \"rollback_deployment\"
requires = [\"no_action_in_last_hour\"]
never = [\"Restart the database\"]
never_actions = [\"restart_service\"]
escalate_to = \"database-team\"

[bounds]
max_actions_per_hour = 1

[verify]
stability_window_s = 120
+++
";

fn said(text: &str) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("there.md"), "x").unwrap();
    let path = directory.path().join("book.md");
    std::fs::write(&path, text).unwrap();
    let catalog = Catalog::parse("[[service]]\nname='shop'\ntier=1\nenvironment='production'\n").unwrap();
    let found = lint(&[path], Some(&catalog));
    let word = |severity| if severity == Severity::Error { "error" } else { "warn" };
    found.iter().map(|f| format!("{}: {}: {}; {}", f.line, word(f.severity), f.message, f.remedy)).collect()
}

fn body(text: &str) -> Vec<String> {
    said(&format!("{GOOD_HEAD}{text}"))
}

#[test]
fn a_good_runbook_is_left_alone() {
    let text = "# Pool\n\n1. Look at the deployments: `aws deploy list-deployments`.\n2. Traffic is as usual: see [this](there.md#x) and [that](https://example.com).\n\n```\naws ecs describe-services --cluster <cluster>\necho $HOME\n```\n\nThe `<cluster>` is in the catalog. Done as neededless.\n";
    assert_eq!(body(text), Vec::<String>::new());
}

#[test]
fn what_a_contract_lacks_is_named_with_its_line() {
    let without = |line: &str| {
        let text = GOOD_HEAD.replace(&format!("{line}\n"), "");
        assert_ne!(text, GOOD_HEAD);
        said(&format!("{text}# Pool\n"))
    };
    let one = |all: Vec<String>| {
        assert_eq!(all.len(), 1, "{all:?}");
        all.into_iter().next().unwrap()
    };
    assert!(
        one(without("signatures = [\"pool exhausted\"]"))
            .starts_with("6: error: `rollback_deployment` for no")
    );
    assert!(one(without("cause = \"deployment\"")).contains("warn: `rollback_deployment` without the cause"));
    assert!(one(without("escalate_to = \"database-team\"")).contains("warn: no escalation"));
    assert!(one(without("[bounds]\nmax_actions_per_hour = 1")).starts_with("7: warn: nothing bounds"));
    assert!(
        one(without("[verify]\nstability_window_s = 120"))
            .starts_with("7: error: nothing says how it is ver")
    );
    assert!(
        one(without("never_actions = [\"restart_service\"]"))
            .starts_with("9: warn: code does not read `never`")
    );
}

#[test]
fn what_a_contract_says_wrong_is_named_with_its_line() {
    let changed = |from: &str, to: &str| said(&format!("{}# Pool\n", GOOD_HEAD.replace(from, to)));
    assert!(changed("\"shop\"", "\"shopp\"")[0].starts_with("4: error: the catalog has no service `shopp`"));
    let all = changed(
        "requires = [\"no_action_in_last_hour\"]",
        "preconditions = [\"No deployment is in progress\"]",
    );
    assert!(
        all[0].starts_with("8: warn: code does not read") && all[0].contains("no_deployment_in_progress"),
        "{all:?}"
    );
    let all = changed(
        "requires = [\"no_action_in_last_hour\"]",
        "preconditions = [\"The queue is drained as needed\"]",
    );
    assert!(all[0].starts_with("8: error: a precondition that nobody can check"), "{all:?}");
    let all = changed("action = \"rollback_deployment\"", "action = \"scale_service\"");
    assert!(all[0].starts_with("7: error: nothing bounds how far"), "{all:?}");
    let all = changed("stability_window_s = 120", "stability_window_s = 0");
    assert!(all[0].starts_with("17: error: `rollback_deployment` is verified for no time"), "{all:?}");
    let all = changed("cause = \"deployment\"", "couse = \"deployment\"");
    assert!(all[0].starts_with("6: error: unknown field `couse`"), "{all:?}");
    assert!(said("# Only prose\n")[0].starts_with("1: warn: no contract"));
    assert!(said("+++\nid='a'\ntitle='a'\nescalate_to='b'\n+++\n# A\n")[0].contains("no signature"));
}

#[test]
fn prose_that_cannot_be_followed_is_named_with_its_line() {
    for (text, expected) in [
        ("\n\n", "19: error: there is no text"),
        ("# A\nRestart it if necessary.", "20: warn: `if necessary` leaves open"),
        ("# A\nTODO", "20: warn: `todo`"),
        ("# A\nContact the team.", "`contact the team`"),
        ("# A\nSee [x](gone.md).", "20: error: the link to `gone.md` leads nowhere"),
        ("# A\n```\naws x --cluster <your cluster>\n```\n", "21: error: nobody can fill `your cluster` in"),
        ("# A\nRun `kubectl delete {{pod}} now`.", "nobody can fill `pod` in"),
        ("# A\n```\ncurl $QUEUE_URL\n```\n", "nobody can fill `$QUEUE_URL` in"),
        ("# A\n```\nx", "does not end"),
        (
            &format!("# A\n1. {}\n   {}\n", "a ".repeat(150), "b ".repeat(80)),
            "20: warn: a step of more than 400",
        ),
    ] {
        let all = body(text);
        assert!(all.len() == 1 && all[0].contains(expected), "{text}\n→ {all:?}");
    }
    for fine in [
        "# A\n```\nQUEUE_URL=x\ncurl $QUEUE_URL\n```\n",
        "# A\nThe code says `if necessary` and `todo`.",
        "# A\nMethodology, mastodon.",
        "# A\nif x < 3 and y > 2 then `a < b` holds\n",
        "# A\n[a](#b) [c](mailto:x@y) [d](/e)",
    ] {
        assert_eq!(body(fine), Vec::<String>::new(), "{fine}");
    }
}

#[test]
fn two_runbooks_of_one_id_are_found() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["a.md", "b.md"] {
        std::fs::write(directory.path().join(name), format!("{GOOD_HEAD}# Pool\n")).unwrap();
    }
    let found = lint(&markdown(directory.path()).unwrap(), None);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].line == 2 && found[0].file.ends_with("b.md"), "{found:?}");
    assert!(found[0].message.contains("a.md"), "{found:?}");
    assert!(markdown(Path::new("no-such")).is_err());
}

#[test]
fn the_runbooks_of_the_scenarios_can_be_followed() {
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/scenarios");
    let mut books = 0;
    for scenario in std::fs::read_dir(scenarios).unwrap() {
        let directory = scenario.unwrap().path().join("runbooks");
        if directory.is_dir() {
            let files = markdown(&directory).unwrap();
            books += files.len();
            let found = lint(&files, None);
            let errors: Vec<_> = found.iter().filter(|f| f.severity == Severity::Error).collect();
            assert!(errors.is_empty(), "{errors:#?}");
        }
    }
    assert!(books > 20, "{books}");
}
