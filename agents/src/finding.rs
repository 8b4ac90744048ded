//! What a specialist concludes: drafts as the model wrote them, findings as code checked them.

use midwatch_policy::{CauseKind, EvidenceId, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A pointer from a claim to the bytes that bear it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Citation {
    /// Id of the evidence, such as `E7`.
    pub evidence: String,
    /// Text or number that stands in that evidence, copied exactly.
    #[serde(default, deserialize_with = "text_or_number")]
    pub quote: String,
}

impl Citation {
    /// A citation.
    pub fn new(evidence: impl Into<String>, quote: impl Into<String>) -> Self {
        Self { evidence: evidence.into(), quote: quote.into() }
    }
}

/// Models like to quote numbers as numbers.
fn text_or_number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(text) => text,
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    })
}

/// A claim as a model wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimDraft {
    /// One sentence.
    pub text: String,
    /// What bears it out. Without any it is shown as a guess.
    #[serde(default)]
    pub citations: Vec<Citation>,
}

/// A possible cause as a model wrote it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CauseDraft {
    /// What kind of thing.
    pub kind: CauseKind,
    /// Which one: the deployment id, the dependency, the service, the throttled resource.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// How sure, 0 to 1.
    pub confidence: f64,
    /// Why, in one sentence.
    #[serde(default)]
    pub why: String,
}

/// The arguments of the virtual tool `conclude` for an analyst.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FindingDraft {
    /// Two or three sentences for the person on call.
    pub summary: String,
    /// Whether something is or was really wrong.
    pub verdict: Verdict,
    /// Probable causes, best first; empty when the evidence names none.
    #[serde(default)]
    pub causes: Vec<CauseDraft>,
    /// What the conclusion rests on, one claim each.
    #[serde(default)]
    pub claims: Vec<ClaimDraft>,
    /// What a person should do or look at next.
    #[serde(default)]
    pub next_steps: Vec<String>,
    /// What was not looked at, and why.
    #[serde(default)]
    pub not_checked: Vec<String>,
}

/// Whether a claim is borne out by what it cites.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Standing {
    /// Every citation resolved, and every number in the text occurs in what is cited.
    Fact,
    /// It may be right, but nothing here shows it.
    Guess {
        /// Why it is not a fact.
        why: String,
    },
}

/// A claim that code has checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Claim {
    /// One sentence.
    pub text: String,
    /// Fact or guess.
    pub standing: Standing,
    /// The citations that resolved.
    #[serde(default)]
    pub citations: Vec<Citation>,
    /// The evidence they point to, each once.
    #[serde(default)]
    pub evidence: Vec<EvidenceId>,
    /// Who made it.
    #[serde(default)]
    pub by: String,
}

impl Claim {
    /// Whether it is a fact.
    pub fn is_fact(&self) -> bool {
        self.standing == Standing::Fact
    }
}

/// What a specialist found, after its claims were checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Which specialist.
    pub specialist: String,
    /// Two or three sentences; a model's words, so shown as such.
    pub summary: String,
    /// Whether something is or was really wrong.
    pub verdict: Verdict,
    /// Probable causes, best first.
    pub causes: Vec<CauseDraft>,
    /// Checked claims.
    pub claims: Vec<Claim>,
    /// What a person should do or look at next.
    pub next_steps: Vec<String>,
    /// What was not looked at, and why.
    pub not_checked: Vec<String>,
}
