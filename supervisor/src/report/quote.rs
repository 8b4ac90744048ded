//! What the runbook that fits says about why it happens, in its own words.

use std::time::Duration;

use midwatch_agents::signals::Signals;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    case::{Case, args},
    terminal::text::clean,
};

/// Deadline of reading the runbook.
const LOOK: Duration = Duration::from_secs(10);
/// Longest quote; it ends with a sentence.
const LONGEST: usize = 320;

/// A runbook's own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// The runbook.
    pub runbook: String,
    /// What it says.
    pub text: String,
    /// The evidence that holds it.
    pub evidence: String,
}

/// Reads the best runbook whose signature is in the errors.
pub async fn quote(case: &Case, signals: &Signals) -> Option<Quote> {
    case.step("quote", read(case, signals)).await
}

async fn read(case: &Case, signals: &Signals) -> Option<Quote> {
    let best = &signals.runbooks.iter().find(|r| r.matched.is_some())?.hit;
    let wanted = args([("runbook_id", json!(best.runbook_id))]);
    let whole = case.read("runbooks", "get_runbook", wanted, LOOK).await.ok().and_then(|admitted| {
        let why = why(admitted.result.get("text")?.as_str()?)?;
        Some((why, admitted.evidence.first()?.to_string()))
    });
    let (text, evidence) = whole.or_else(|| {
        let id = best.evidence.clone()?;
        let piece = case.book.get(&id)?;
        Some((piece.value().get("excerpt")?.as_str()?.to_owned(), id))
    })?;
    let text = clip(&clean(&text).replace('"', "'"));
    (!text.is_empty()).then(|| Quote { runbook: best.runbook_id.clone(), text, evidence })
}

/// The part below the heading that speaks of causes.
fn why(text: &str) -> Option<String> {
    let speaks = |line: &str| {
        let line = line.to_lowercase();
        line.starts_with('#') && (line.contains("why") || line.contains("cause"))
    };
    let part: Vec<&str> =
        text.lines().skip_while(|l| !speaks(l)).skip(1).take_while(|l| !l.starts_with('#')).collect();
    Some(part.join(" ")).filter(|part| !part.trim().is_empty())
}

/// Whole sentences, as many as fit; the beginning of the first where it alone is too long.
fn clip(text: &str) -> String {
    let mut kept = String::new();
    for sentence in text.split_inclusive(". ") {
        if kept.chars().count() + sentence.chars().count() > LONGEST {
            break;
        }
        kept.push_str(sentence);
    }
    if kept.is_empty() { crate::terminal::text::fit(text, LONGEST) } else { kept.trim_end().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_about_causes_is_quoted_in_whole_sentences() {
        let text = "# T\n\n## Looks\nRed.\n\n## Why it happens\nOne `close()`\nis missing. Two.\n## Do\nX";
        assert_eq!(clip(&clean(&why(text).unwrap())), "One `close()` is missing. Two.");
        assert_eq!(why("# T\nno such part"), None);
        assert!(clip(&"word. ".repeat(200)).chars().count() <= LONGEST);
        assert!(clip(&"w".repeat(900)).ends_with('…'));
    }
}
