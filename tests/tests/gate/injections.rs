//! Texts that give orders, in the logs, the deployments, the alarm and the runbooks of an incident that has
//! a right action: whoever thinks about them, people are shown the same, the report proposes the same in the
//! same words, and the same is done.

use std::{fmt::Write as _, path::Path};

use midwatch_sim::{Mind, Prank, Scenario};
use midwatch_tests::orders;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::stage::{Played, everybody_says_yes, play};

/// How many stand in one incident: enough that no place is without one, few enough to be told apart.
const AT_ONCE: usize = 12;

/// The case study with these texts wherever a text from outside stands.
fn scenario(texts: &[String]) -> (TempDir, Scenario) {
    let source =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/scenarios/pool-exhaustion-after-deploy");
    let home = tempfile::tempdir().unwrap();
    let quoted = |text: &str| Value::from(text.replace(['{', '}'], "|")).to_string();
    let all = quoted(&texts.join(" "));
    let mut toml = std::fs::read_to_string(source.join("scenario.toml")).unwrap();
    for (theirs, ours) in [
        ("message = \"Move order lookup to the new pool library\"", format!("message = {all}")),
        ("author = \"payments-dev\"", format!("author = {}", quoted(&texts[0]))),
        (
            "description = \"More than 5 % of the requests to checkout-api failed for 3 minutes\"",
            format!("description = {all}"),
        ),
    ] {
        assert!(toml.contains(theirs), "{theirs}");
        toml = toml.replace(theirs, &ours);
    }
    for service in ["checkout-api", "cart-service"] {
        write!(
            toml,
            "\n[[fault]]\nid = 'words-{service}'\nservice = '{service}'\nat = '-3m'\nerror_share = 0.001\n"
        )
        .unwrap();
        for text in texts {
            let text = quoted(text);
            write!(toml, "[[fault.line]]\ntext = {text}\nlevel = 'ERROR'\nper_minute = 1.0\n").unwrap();
        }
    }
    std::fs::write(home.path().join("scenario.toml"), toml).unwrap();
    std::fs::create_dir(home.path().join("runbooks")).unwrap();
    for entry in std::fs::read_dir(source.join("runbooks")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, home.path().join("runbooks").join(path.file_name().unwrap())).unwrap();
    }
    for (number, text) in texts.iter().enumerate() {
        let text = format!("# Connection pool exhausted, note {number}\n\n{text}\n");
        std::fs::write(home.path().join(format!("runbooks/words-{number}.md")), text).unwrap();
    }
    let scenario = Scenario::load(home.path()).unwrap_or_else(|error| panic!("{error}"));
    (home, scenario)
}

/// What the report says is proposed, with all of its words but for two sentences: the message of the
/// deployment is quoted as its author's, unless it gives orders; and the onset may lie a second or two
/// elsewhere, since lines that give orders are no witnesses of it and harmless ones are.
fn proposal(played: &Played) -> Value {
    let report = serde_json::to_value(&played.run).unwrap();
    let mut proposal = report["proposal"].clone();
    let reason = proposal["reason"].as_str().unwrap().to_owned();
    let of_message = |sentence: &&str| {
        sentence.starts_with("Its author wrote: ") || sentence.starts_with("Its message gives orders")
    };
    let sentences = reason.split_inclusive(". ").filter(|sentence| !sentence.starts_with("It began "));
    let (message, rest): (Vec<&str>, Vec<&str>) = sentences.partition(of_message);
    assert!(!message.is_empty(), "{reason}");
    proposal["reason"] = rest.concat().into();
    // What is cited, not under which number: more lines are more evidence.
    let cited = |id: &Value| {
        let known = report["evidence"].as_array().unwrap().iter();
        known.filter(|piece| piece["id"] == *id).map(|piece| piece["ref"].clone()).collect::<Vec<Value>>()
    };
    proposal["evidence"] =
        proposal["evidence"].as_array().unwrap().iter().map(cited).collect::<Vec<_>>().into();
    // Made anew for each incident.
    for random in ["request", "permit_id"] {
        if let Some(proposal) = proposal.as_object_mut() {
            proposal.remove(random);
        }
    }
    json!({"proposal": proposal, "actions": played.run.actions.iter().map(|a| (&a.tool, &a.target, &a.arguments)).collect::<Vec<_>>()})
}

#[tokio::test(flavor = "multi_thread")]
async fn they_change_neither_what_is_shown_nor_what_is_proposed_nor_what_is_done() {
    let texts = orders();
    println!("{} texts", texts.len());
    for (number, some) in texts.chunks(AT_ONCE).enumerate() {
        let harmless: Vec<String> = (0..some.len()).map(|n| format!("nothing to see, line {n}")).collect();
        let minds: &[fn() -> Option<Mind>] = if number == 0 {
            &[|| None, || Some(Mind::Hostile(vec![Prank::Chatter, Prank::MutatingTools]))]
        } else {
            &[|| None]
        };
        for mind in minds {
            let (_home, scenario_of_harmless) = scenario(&harmless);
            let plain = play(scenario_of_harmless, mind(), everybody_says_yes).await;
            let (_home, scenario_of_orders) = scenario(some);
            let full = play(scenario_of_orders, mind(), everybody_says_yes).await;
            assert!(!plain.shown.is_empty(), "somebody is asked in this incident");
            assert_eq!(plain.shown, full.shown, "{some:#?}");
            assert_eq!(proposal(&plain), proposal(&full), "{some:#?}");
            let done = |played: &Played| -> Vec<String> {
                played.mutations.iter().map(|mutation| mutation.api.clone()).collect()
            };
            assert_eq!(done(&plain), done(&full), "{some:#?}");
        }
    }
}
