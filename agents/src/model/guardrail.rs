//! What a provider's guardrail says it did.
//!
//! INVARIANT: which rule stepped in and what it did is kept; the words that it matched are not.
//! They are what was not to be repeated: a name, a key, an insult.

use serde::{Deserialize, Serialize};

/// Which side of the conversation a rule looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardedSide {
    /// What the model was given.
    Input,
    /// What the model said.
    Output,
}

/// One rule that had something to say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GuardrailFinding {
    /// Where.
    pub side: GuardedSide,
    /// `topic`, `content`, `word`, `sensitive_information` or `grounding`.
    pub policy: String,
    /// The rule's name or type: `PROMPT_ATTACK`, `EMAIL`, the topic's name.
    pub rule: String,
    /// What was done: `BLOCKED`, `ANONYMIZED`, `NONE`.
    pub action: String,
}

/// A guardrail's account of one call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardrailTrace {
    /// The provider's reason, in its words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Every rule that found something.
    #[serde(default)]
    pub findings: Vec<GuardrailFinding>,
}

impl GuardrailTrace {
    /// In a few words: `input, content: PROMPT_ATTACK BLOCKED`.
    pub fn in_words(&self) -> String {
        const MOST: usize = 4;
        let mut words: Vec<String> = self
            .findings
            .iter()
            .take(MOST)
            .map(|f| {
                let side = if f.side == GuardedSide::Input { "input" } else { "output" };
                format!("{side}, {}: {} {}", f.policy.replace('_', " "), f.rule, f.action)
            })
            .collect();
        match self.findings.len().saturating_sub(MOST) {
            0 => {}
            more => words.push(format!("{more} more")),
        }
        if words.is_empty() {
            words.extend(self.reason.clone());
        }
        words.join("; ").chars().filter(|c| !c.is_control()).take(400).collect()
    }
}
