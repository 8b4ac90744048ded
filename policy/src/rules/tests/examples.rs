//! Examples in the rules themselves, and in a file beside them.

use super::*;

fn rule(annotations: &str) -> String {
    format!(
        "@id(\"a\")\n@reason(\"r\")\n@ask(\"1 oncall\")\n{annotations}\npermit (principal, action == Action::\"mutate\", resource)\nwhen {{ context.tool == \"restart_service\" && resource.tier > 0 && resource.owners.contains(\"web\") }};\n"
    )
}

#[test]
fn rules_that_keep_their_examples_load() {
    let good = "@example(\"restart_service owners=web; restart_service tier=4 owners=web,api caller=person\")\n@counterexample(\"restart_service tier=0 owners=web; restart_service; scale_service owners=web desired_count=3\")";
    Rules::parse(&rule(good)).unwrap();
    Rules::embedded_and(&rule(good)).unwrap();
    // An example is of its own rule, whatever forbids the call besides.
    Rules::embedded_and(&rule("@example(\"restart_service owners=web change_freeze=true\")")).unwrap();
    let forbid = "@id(\"f\")\n@reason(\"r\")\n@example(\"x class=unknown no_claims=true\")\n@counterexample(\"x class=read\")\nforbid (principal, action == Action::\"unknown\", resource);";
    Rules::parse(forbid).unwrap();
}

#[test]
fn rules_that_do_not_keep_their_examples_do_not_load() {
    for (annotations, expected) in [
        ("@example(\"restart_service\")", "line 1: `a` does not match its example `restart_service`; change"),
        ("@counterexample(\"restart_service owners=web\")", "`a` matches its counterexample"),
        ("@example(\"\")", "`@example` of `a` is empty"),
        ("@example(\"restart_service tier\")", "`tier` is no `field=value`"),
        ("@example(\"restart_service teir=0\")", "unknown field `teir`"),
        ("@example(\"restart_service tier=9\")", "tier is 9"),
        ("@example(\"restart_service tier=1 tier=2\")", "`tier` is said twice"),
        ("@example(\"restart_service expect=allow\")", "`expect` cannot be said here"),
        ("@examples(\"restart_service\")", "has an annotation `@examples`; known are"),
    ] {
        let error = Rules::parse(&rule(annotations)).expect_err(annotations).to_string();
        assert!(error.contains(expected), "{annotations}\n→ {error}");
    }
    let two = rule("@example(\"x; y\")");
    assert_eq!(Rules::parse(&two).unwrap_err().0.len(), 2, "every problem at once");
}

#[test]
fn a_file_is_held_to_the_examples_beside_it() {
    let directory = std::env::temp_dir().join(format!("midwatch-rules-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let (file, beside) = (directory.join("own.cedar"), directory.join("own.examples.toml"));
    assert_eq!(Rules::examples_beside(&file), beside);
    assert!(matches!(Rules::read(&file), Err(RulesFileError::Read { .. })));
    std::fs::write(&file, rule("")).unwrap();
    let _ = std::fs::remove_file(&beside);
    Rules::read(&file).unwrap();
    let example = "[[example]]\ntool='restart_service'\nowners=['web']\nexpect='ask'\nask='1 oncall'\n";
    std::fs::write(&beside, example).unwrap();
    Rules::read(&file).unwrap();
    std::fs::write(&beside, example.replace("1 oncall", "2 oncall")).unwrap();
    let error = Rules::read(&file).unwrap_err();
    assert!(error.to_string().contains("own.examples.toml"), "{error}");
    std::fs::write(&beside, "[[example]]\ntool='x'\n").unwrap();
    let why = std::error::Error::source(&Rules::read(&file).unwrap_err()).unwrap().to_string();
    assert!(why.contains("line 1") && why.contains("does not say what it expects; add `expect"), "{why}");
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn rules_are_listed_with_whom_they_ask() {
    let list = Rules::embedded().unwrap().list();
    let of = |id: &str| list.iter().find(|rule| rule.id == id).unwrap();
    assert_eq!((of("reads").effect, of("reads").within_s), ("permit", None));
    assert_eq!(of("tier-0-asks-two").asks, [Ask { role: "oncall".into(), people: 2 }]);
    assert_eq!(of("tier-0-asks-two").within_s, Some(600));
    assert_eq!(of("change-freeze").effect, "forbid");
}
