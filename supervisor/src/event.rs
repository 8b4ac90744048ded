//! What happens in an incident: the entries of its journal, and what a view shows.
//!
//! One stream for both: a view that showed something the journal does not have, or the other way
//! round, would make one of them untrue.

use midwatch_agents::{events::AgentEvent, finding::Finding, route::RouteDecision};
use midwatch_policy::{Action, EvidenceId, HoldState, Plan, RequestView, ServiceName, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    alarm::{Alarm, AlarmState},
    run::{Answer, Cause, Escalation, Factor, Outcome, Run, WeighedCause},
};

/// The stages of an incident, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The alarm is read and an incident opened.
    Intake,
    /// Everything is looked at that can be, without a model.
    Sweep,
    /// Close, investigate, or page.
    Route,
    /// Specialists look closer.
    Investigate,
    /// Code weighs what they found.
    Decide,
    /// A person is asked.
    Approve,
    /// The tool is called, once.
    Act,
    /// Recovery is watched.
    Verify,
    /// It is written down.
    Report,
}

impl Stage {
    /// As it is written in JSON and prose.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intake => "intake",
            Self::Sweep => "sweep",
            Self::Route => "route",
            Self::Investigate => "investigate",
            Self::Decide => "decide",
            Self::Approve => "approve",
            Self::Act => "act",
            Self::Verify => "verify",
            Self::Report => "report",
        }
    }
}

/// A condition that code checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// What has to hold.
    pub text: String,
    /// Whether it does.
    pub holds: bool,
}

/// Something that happened in an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// An alarm came in.
    Opened {
        /// The alarm.
        alarm: Alarm,
        /// What identifies the trouble.
        fingerprint: String,
        /// The service, if the catalog knows it.
        service: Option<ServiceName>,
        /// One line about the service, for people.
        about: String,
    },
    /// A stage began.
    StageBegan {
        /// Which.
        stage: Stage,
    },
    /// A stage did not do its work. The incident goes on.
    StageFailed {
        /// Which.
        stage: Stage,
        /// Why, and how to mend it.
        problem: String,
    },
    /// The sweep read something.
    PartRead {
        /// `server.tool`, or a shorter name for people.
        part: String,
        /// What it says, in a line.
        line: String,
        /// Evidence it brought.
        evidence: Vec<EvidenceId>,
        /// How long it took, on the incident's clock.
        ms: u64,
    },
    /// The sweep could not read something.
    PartMissing {
        /// What.
        part: String,
        /// Why.
        why: String,
        /// After how long, on the incident's clock.
        ms: u64,
    },
    /// Bytes were kept as evidence.
    EvidenceKept {
        /// Its id.
        id: EvidenceId,
        /// Where it comes from.
        source: String,
        /// Its `ref` there.
        reference: String,
        /// SHA-256 of its bytes.
        sha256: String,
        /// What was asked for.
        #[serde(default)]
        args: Map<String, Value>,
        /// When it was answered.
        #[serde(default, rename = "read_at", skip_serializing_if = "Option::is_none")]
        at: Option<Timestamp>,
    },
    /// A step is done, and will not be done again.
    StepDone {
        /// Its name, unique in the incident.
        step: String,
        /// What it came to.
        output: Value,
    },
    /// Midwatch was interrupted and goes on. What was noted after the last step that is done
    /// belongs to work that is begun anew.
    Resumed {
        /// How many entries there were.
        entries: u32,
    },
    /// A person raised a request of it again after its end: it goes on with that one.
    Reopened {
        /// The request, as the desk showed it then.
        request: Box<RequestView>,
        /// Who raised it.
        by: String,
    },
    /// A person handed an incident back that they had taken over.
    HandedBack {
        /// Who.
        by: String,
        /// When, by the desk; nothing in the incident that was opened for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        returned_at: Option<Timestamp>,
        /// What follows.
        text: String,
    },
    /// Another alarm, or the same one again, belongs to this incident.
    Joined {
        /// The alarm.
        alarm: Alarm,
        /// Why it belongs here.
        why: String,
    },
    /// An alarm of this incident changed its state.
    StateChanged {
        /// The alarm's name.
        alarm: String,
        /// The state it has now.
        state: AlarmState,
        /// Since when, by the alarm's own time.
        since: Timestamp,
        /// Whether nothing of this incident fires any more.
        all_clear: bool,
    },
    /// A person has seen it and looks after it; Midwatch works on.
    Acknowledged {
        /// Who.
        by: String,
    },
    /// A person said something about it.
    Remarked {
        /// Who.
        by: String,
        /// What.
        text: String,
    },
    /// The first useful summary.
    FirstSummary {
        /// Its lines.
        lines: Vec<String>,
    },
    /// The router decided.
    Routed {
        /// What.
        decision: RouteDecision,
    },
    /// Code checked whether it may be closed.
    ClosingChecked {
        /// Each condition.
        conditions: Vec<Condition>,
    },
    /// A specialist did something.
    Agent {
        /// What.
        agent: AgentEvent,
    },
    /// A specialist concluded.
    Found {
        /// What.
        finding: Finding,
    },
    /// Code formed the diagnosis.
    Diagnosed {
        /// The probable cause.
        cause: Cause,
        /// Confidence in it.
        confidence: f64,
        /// What the confidence was computed from.
        factors: Vec<Factor>,
        /// All causes that were weighed.
        causes: Vec<WeighedCause>,
        /// In a sentence or two.
        text: String,
    },
    /// One action is proposed.
    Proposed {
        /// What it would do.
        plan: Plan,
        /// Why.
        reason: String,
        /// Evidence for it.
        evidence: Vec<String>,
        /// The evidence in words, for the person who is asked.
        because: Vec<String>,
    },
    /// No action is proposed.
    NothingProposed {
        /// Why.
        why: String,
    },
    /// Policy judged the proposal.
    Judged {
        /// `ask …` or `forbid`, with the rule and its reason.
        text: String,
        /// Whether a person may be asked.
        may_ask: bool,
    },
    /// A person was asked.
    Asked {
        /// The request.
        request: String,
        /// Who may answer.
        whom: String,
        /// When it counts as declined.
        expires_at: Timestamp,
    },
    /// The request came to an end.
    Answered {
        /// How.
        answer: Answer,
        /// Who answered.
        by: Option<String>,
        /// The way their answer came; `simulated` where nobody gave it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channel: Option<String>,
        /// What they said.
        note: Option<String>,
        /// Others still have to approve as well: the request stays open.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        partly: bool,
    },
    /// The desk signed a permit.
    Permitted {
        /// The permit.
        permit_id: String,
        /// The request it was signed for.
        request: String,
    },
    /// The desk signed the journal's head.
    Sealed {
        /// How many entries it had.
        entries: u32,
        /// Hash of the last one.
        head: String,
        /// The signature; see `midwatch_policy::Seal`.
        signature: String,
    },
    /// A person holds the incident.
    Held {
        /// Whose it is.
        state: HoldState,
        /// Who said so.
        by: String,
        /// In a sentence.
        text: String,
    },
    /// The tool is about to be called.
    Intended {
        /// What will be done.
        action: Action,
        /// The request that was approved.
        request: String,
    },
    /// The tool answered, or did not.
    Acted {
        /// `done`, `refused`, `failed` or `ambiguous`.
        outcome: String,
        /// What the target said.
        detail: String,
        /// The permit that was used.
        permit_id: Option<String>,
    },
    /// An unknown outcome was settled by reading the target.
    Settled {
        /// What the target shows.
        text: String,
    },
    /// Recovery was looked at once.
    Watched {
        /// State of the alarm, if it could be read.
        alarm: Option<AlarmState>,
        /// Each sign.
        signs: Vec<Condition>,
        /// For how many seconds all of them have held.
        stable_s: u64,
        /// How long they have to.
        window_s: u64,
    },
    /// Recovery was judged.
    Verified {
        /// Whether it recovered.
        recovered: bool,
        /// In a sentence.
        text: String,
    },
    /// A person has to look.
    Escalated {
        /// Why, and who.
        escalation: Escalation,
    },
    /// The incident ended.
    Closed {
        /// How.
        outcome: Outcome,
    },
    /// The report.
    Reported {
        /// All of it.
        run: Box<Run>,
    },
}

impl Event {
    /// The kind of a journal entry.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "opened",
            Self::StageBegan { .. } => "stage_began",
            Self::StageFailed { .. } => "stage_failed",
            Self::PartRead { .. } => "part_read",
            Self::PartMissing { .. } => "part_missing",
            Self::EvidenceKept { .. } => "evidence_kept",
            Self::StepDone { .. } => "step_done",
            Self::Resumed { .. } => "resumed",
            Self::Reopened { .. } => "reopened",
            Self::HandedBack { .. } => "handed_back",
            Self::Joined { .. } => "joined",
            Self::StateChanged { .. } => "state_changed",
            Self::Acknowledged { .. } => "acknowledged",
            Self::Remarked { .. } => "remarked",
            Self::FirstSummary { .. } => "first_summary",
            Self::Routed { .. } => "routed",
            Self::ClosingChecked { .. } => "closing_checked",
            Self::Agent { .. } => "agent",
            Self::Found { .. } => "found",
            Self::Diagnosed { .. } => "diagnosed",
            Self::Proposed { .. } => "proposed",
            Self::NothingProposed { .. } => "nothing_proposed",
            Self::Judged { .. } => "judged",
            Self::Asked { .. } => "asked",
            Self::Answered { .. } => "answered",
            Self::Permitted { .. } => "permitted",
            Self::Sealed { .. } => "sealed",
            Self::Held { .. } => "held",
            Self::Intended { .. } => "intended",
            Self::Acted { .. } => "acted",
            Self::Settled { .. } => "settled",
            Self::Watched { .. } => "watched",
            Self::Verified { .. } => "verified",
            Self::Escalated { .. } => "escalated",
            Self::Closed { .. } => "closed",
            Self::Reported { .. } => "reported",
        }
    }
}

/// An event with its times.
#[derive(Debug, Clone, PartialEq)]
pub struct Noted {
    /// On the incident's clock.
    pub at: Timestamp,
    /// Milliseconds since the incident opened, on its clock.
    pub since_ms: u64,
    /// Milliseconds since the incident opened, on the wall's clock.
    pub wall_ms: u64,
    /// What happened.
    pub event: Event,
}

/// Something that shows events as they happen.
pub trait View: Send {
    /// Shows one.
    fn show(&mut self, noted: &Noted);

    /// Shows one that was journaled before an interruption, and may not have been shown.
    fn again(&mut self, _: &Noted) {}
}

/// Shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoView;

impl View for NoView {
    fn show(&mut self, _: &Noted) {}
}
