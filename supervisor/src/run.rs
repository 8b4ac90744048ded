//! What one run of an incident came to: the JSON that scripts, `eval` and the report read.
//!
//! INVARIANT: every claim of kind `fact` cites evidence that is listed here and was checked by
//! code; whatever was not checked is a `guess`. `actions` holds only what was called at the
//! target: a proposal that was declined stands under `proposal`, not there.

use midwatch_agents::finding::{Claim, Standing};
use midwatch_policy::{CauseKind, IncidentId, Plan, ServiceName, Timestamp, Verdict};
use serde::{Deserialize, Serialize};

use crate::{alarm::AlarmState, others::Others};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It had passed by itself, and there are positive signs of life.
    ClosedTransient,
    /// An approved action was taken and recovery was verified.
    Resolved,
    /// It recovered while a person was being asked; nothing was done.
    Recovered,
    /// A person has to look.
    Escalated,
    /// A person took it over, or stopped Midwatch's work on it.
    TakenOver,
}

impl Outcome {
    /// As it is written in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClosedTransient => "closed_transient",
            Self::Resolved => "resolved",
            Self::Recovered => "recovered",
            Self::Escalated => "escalated",
            Self::TakenOver => "taken_over",
        }
    }

    /// Whether a person has to look.
    pub const fn needs_a_person(self) -> bool {
        matches!(self, Self::Escalated | Self::TakenOver)
    }
}

/// The cause that the evidence points to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// What kind of thing.
    pub kind: CauseKind,
    /// Which one.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
}

/// A cause that was weighed, with what speaks for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeighedCause {
    /// The cause.
    #[serde(flatten)]
    pub cause: Cause,
    /// Computed confidence, 0 to 1.
    pub confidence: f64,
    /// Evidence for it.
    pub evidence: Vec<String>,
}

/// One reason for the confidence being what it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Factor {
    /// What was observed.
    pub text: String,
    /// How much it adds, or takes when negative.
    pub weight: f64,
}

/// Whether a claim was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimKind {
    /// Its citations resolve.
    Fact,
    /// They do not, or there are none.
    Guess,
}

/// Something that is said about the incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunClaim {
    /// One sentence.
    pub text: String,
    /// Fact or guess.
    pub kind: ClaimKind,
    /// Ids of the evidence it cites.
    pub evidence: Vec<String>,
    /// Who says so.
    pub by: String,
    /// Why it is a guess.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl From<&Claim> for RunClaim {
    fn from(claim: &Claim) -> Self {
        let (kind, why) = match &claim.standing {
            Standing::Fact => (ClaimKind::Fact, None),
            Standing::Guess { why } => (ClaimKind::Guess, Some(why.clone())),
        };
        let evidence = claim.evidence.iter().map(ToString::to_string).collect();
        Self { text: claim.text.clone(), kind, evidence, by: claim.by.clone(), why }
    }
}

/// A piece of evidence that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEvidence {
    /// Its id, such as `E7`.
    pub id: String,
    /// `server.tool` it came from.
    pub source: String,
    /// Its `ref` in that result.
    #[serde(rename = "ref")]
    pub reference: String,
    /// SHA-256 of its bytes in the journal's store.
    pub sha256: String,
    /// One line of it, for people.
    pub line: String,
}

/// Something that was done to the target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunAction {
    /// The mutating tool.
    pub tool: String,
    /// The service.
    pub target: String,
    /// `done`, `refused`, `failed` or `ambiguous`.
    pub outcome: String,
    /// Its arguments.
    pub arguments: serde_json::Map<String, serde_json::Value>,
    /// The permit it was done on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permit_id: Option<String>,
    /// What the target said, or why not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// What reading the target showed, where the outcome was ambiguous.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Settled>,
}

impl RunAction {
    /// Whether it took effect, as far as is known.
    pub fn took_effect(&self) -> bool {
        self.outcome == "done" || self.settled == Some(Settled::TookEffect)
    }
}

/// What became of a call whose answer did not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settled {
    /// The target shows its effect.
    TookEffect,
    /// The target shows that there was none.
    NoEffect,
    /// The target does not show it.
    Unknown,
}

/// What became of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// A person approved it.
    Approved,
    /// A person declined it.
    Declined,
    /// Nobody answered in time, which counts as declined.
    Expired,
    /// The alarm cleared while it was open.
    Withdrawn,
    /// Policy forbade it, or nobody may be asked; nobody was.
    NotAsked,
}

impl Answer {
    /// As it is written in JSON and prose.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Declined => "declined",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::NotAsked => "not_asked",
        }
    }
}

/// The one action that was proposed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunProposal {
    /// What it would do, made from live state by the remediation server.
    pub plan: Plan,
    /// Why.
    pub reason: String,
    /// Evidence for it.
    pub evidence: Vec<String>,
    /// What policy said, with its rules.
    pub policy: String,
    /// What became of it.
    pub answer: Answer,
    /// Who answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// A request that a person raised again after the incident had ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRaised {
    /// The new request.
    pub request: String,
    /// Who raised it.
    pub by: String,
    /// When the incident went on for it.
    pub at: Timestamp,
}

/// Why a person has to look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalation {
    /// Why.
    pub why: String,
    /// Whom the catalog or the runbook names.
    pub to: Vec<String>,
}

/// Something that happened, on the incident's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// What.
    pub text: String,
}

/// Tokens and money.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunUsage {
    /// Calls of a model that answered.
    pub model_calls: u32,
    /// Input tokens, cached ones included.
    pub input_tokens: u64,
    /// Of those, read from the provider's cache.
    pub cached_input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Cost in micro-dollars.
    pub cost_micro_usd: u64,
}

/// How long the work waited for something that is rationed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunWait {
    /// For what, such as the region and model whose quota it was.
    pub quota: String,
    /// How long, in real time; those who waited side by side count each.
    pub ms: u64,
}

/// Milliseconds from the alarm's arrival.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timings {
    /// To the first useful summary.
    pub first_summary: u64,
    /// To the report.
    pub report: u64,
}

/// The alarm a run was about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunAlarm {
    /// Its name.
    pub name: String,
    /// State it came in.
    pub state: AlarmState,
    /// When it changed to that state.
    pub at: Timestamp,
    /// Its state when last read, if it could be read.
    pub last_state: Option<AlarmState>,
}

/// One run of an incident, complete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The incident.
    pub incident: IncidentId,
    /// The alarm.
    pub alarm: RunAlarm,
    /// The other alarms that came in for it until the report.
    #[serde(default, skip_serializing_if = "Others::is_none")]
    pub others: Others,
    /// The service, if the catalog knows it.
    pub service: Option<ServiceName>,
    /// What the alarm turned out to be.
    pub verdict: Verdict,
    /// The probable cause.
    pub cause: Cause,
    /// Confidence in that cause, computed from `factors`.
    pub confidence: f64,
    /// What the confidence was computed from.
    pub factors: Vec<Factor>,
    /// Every cause that was weighed, best first.
    pub causes: Vec<WeighedCause>,
    /// How it ended.
    pub outcome: Outcome,
    /// What was done.
    pub actions: Vec<RunAction>,
    /// What was proposed.
    pub proposal: Option<RunProposal>,
    /// What was proposed to undo an action that did not help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<RunProposal>,
    /// What was raised again after its end; the last one is what `proposal` is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub raised: Vec<RunRaised>,
    /// Whether a person has to look.
    pub escalated: bool,
    /// Why, and who.
    pub escalation: Option<Escalation>,
    /// A few sentences for the person on call.
    pub summary: String,
    /// The probable cause in a sentence or two.
    pub probable_cause: String,
    /// What a person should do next.
    pub next_steps: Vec<String>,
    /// Facts and guesses.
    pub claims: Vec<RunClaim>,
    /// What the facts cite.
    pub evidence: Vec<RunEvidence>,
    /// What happened when.
    pub timeline: Vec<Moment>,
    /// What was not looked at, and why.
    pub not_checked: Vec<String>,
    /// What went wrong in Midwatch itself.
    pub problems: Vec<String>,
    /// Tokens and money.
    pub usage: RunUsage,
    /// What was waited for, where that came to a second or more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waited: Vec<RunWait>,
    /// On the incident's clock.
    pub timings_ms: Timings,
    /// On the wall's clock.
    pub wall_ms: Timings,
    /// Entries in the journal, once it was written.
    pub journal_entries: u32,
}
