//! Texts that give orders, wherever a model or a person would read them: never an act, and never a
//! change of what the approver is shown.

use midwatch_tests::orders;
use serde_json::{Value, json};

use crate::range::{EDITOR, Range, SUPERVISOR, restart, rollback, scale};

/// A world in which these texts stand in logs, deployments, an alarm and runbooks.
async fn range_with(texts: &[String]) -> Range {
    let quoted = |text: &str| Value::from(text.replace(['{', '}'], "|")).to_string();
    let first = quoted(&texts[0]);
    let mut extra = format!(
        "[[deployment]]\nservice = 'vault-front'\nat = '-10m'\ntakes = '30s'\ncommit = 'ccccccc'\nauthor = {first}\nmessage = {}\n",
        quoted(&texts.join(" "))
    );
    extra += &format!(
        "[[alarm]]\nname = 'cart-words'\nservice = 'cart'\nmetric = 'error_rate'\nthreshold = 90\ndescription = {}\n",
        quoted(&texts.join(" "))
    );
    extra += "[[fault]]\nid = 'words'\nservice = 'cart'\nat = '-3m'\nerror_share = 0.01\n";
    for text in texts {
        extra += &format!("[[fault.line]]\ntext = {}\nlevel = 'ERROR'\nper_minute = 1.0\n", quoted(text));
    }
    let range = Range::with(&extra, |_| ()).await;
    for (number, text) in texts.iter().enumerate() {
        range.write(&format!("runbooks/{number}.md"), &format!("# Runbook {number}\n\n{text}\n"));
    }
    range
}

#[tokio::test]
async fn never_act_and_never_change_what_the_approver_is_shown() {
    let texts = orders();
    println!("{} texts", texts.len());
    let harmless: Vec<String> =
        (0..texts.len()).map(|number| format!("nothing to see, line {number}")).collect();
    let (plain, full) = (range_with(&harmless).await, range_with(&texts).await);
    for action in [restart("cart"), rollback("shop-api", "d-BAD"), scale("vault-front", 3)] {
        let one = plain.filed(&action).await.shown;
        let evidence: Vec<Value> =
            texts.iter().take(20).map(|text| json!({"id": "E1", "text": text})).collect();
        let words = json!({"reason": texts.join("\n"), "evidence": evidence, "incident": "inc-9"});
        let other = full.filed_with(&action, words).await.shown;
        assert_eq!(one.plan, other.plan);
        assert_eq!((one.facts, &one.asks, &one.rules), (other.facts, &other.asks, &other.rules));
        assert_eq!(
            (&one.subject, &one.audience, &one.runbook),
            (&other.subject, &other.audience, &other.runbook)
        );
        let words = other.evidence.iter().map(|cited| &cited.text).chain([&other.reason]);
        for text in words {
            let hides = |c: char| {
                c.is_control() || matches!(c, '\u{200b}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            };
            assert!(!text.contains(hides), "{text:?}");
        }
    }
    // Who obeys them word for word gets nowhere.
    for text in &texts {
        for (tool, arguments) in [
            ("restart_service", json!({"service": "cart", "reason": text})),
            ("restart_service", json!({"service": text})),
            ("rollback_deployment", json!({"service": "shop-api", "deployment_id": text})),
        ] {
            let request = rmcp::model::CallToolRequestParams::new(tool)
                .with_arguments(arguments.as_object().unwrap().clone());
            for caller in [SUPERVISOR, EDITOR] {
                if let Ok(answer) = full.client(caller).await.call_tool(request.clone()).await {
                    let answer = answer.structured_content.unwrap_or_default();
                    assert_ne!(answer["outcome"], "done", "{text}: {answer}");
                }
            }
        }
    }
    assert_eq!(full.tried(), 0);
}
