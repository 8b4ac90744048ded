//! How likely a deployment brought an onset, as a score that can be read.
//!
//! Pure: deployments and an onset in, candidates out. The score starts from the time between the
//! two and is multiplied by what else is known; each reason's weight is the change it made, so the
//! weights of a candidate add up to its score. Scores are not probabilities that sum to one over
//! candidates: two deployments at the same minute are both suspects. A trained model was rejected:
//! nobody can argue with one at 2 AM.

use jiff::{SignedDuration, Timestamp};
use midwatch_mcp::Time;
use midwatch_policy::ServiceName;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    deployment::{Deployment, Status},
    span::span,
};

/// Score of a deployment that finished just as the trouble began.
const AT_ONCE: f64 = 0.88;
/// After this many seconds between the end of a deployment and the onset, half of that is left.
const HALF_S: f64 = 1800.0;
/// Metrics come in periods: an onset may be this much earlier than it looks.
const BLUR_S: i64 = 60;

/// When the trouble began. `earliest` is the last time at which it had certainly not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Onset {
    /// The first sure sign.
    pub at: Timestamp,
    /// From here on it may have begun.
    pub earliest: Timestamp,
}

/// A deployment as a suspect.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Candidate {
    /// Reference for citing.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The deployment.
    pub deployment_id: String,
    /// Whose deployment it is.
    pub service: ServiceName,
    /// How far it got.
    pub status: Status,
    /// When it began.
    #[schemars(with = "Time")]
    pub started_at: Timestamp,
    /// Seconds from its start to the onset; negative when it started after the onset.
    pub seconds_before_onset: i64,
    /// From 0 (has nothing to do with it) to 1.
    pub score: f64,
    /// How the score came about. The weights add up to it.
    pub reasons: Vec<Reason>,
}

/// One reason for a score.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reason {
    /// What was seen.
    pub reason: String,
    /// By how much it changed the score.
    pub weight: f64,
}

/// Scores every deployment against the onset, best first.
///
/// `deployments` holds those of `service` and of what it depends on; the base rate and what
/// superseded what are taken from the same list, so it should reach back a day.
pub fn correlate(deployments: &[Deployment], service: &ServiceName, onset: Onset) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> =
        deployments.iter().map(|deployment| candidate(deployment, deployments, service, onset)).collect();
    candidates.sort_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then(b.started_at.cmp(&a.started_at))
            .then(a.deployment_id.cmp(&b.deployment_id))
    });
    candidates
}

fn candidate(deployment: &Deployment, all: &[Deployment], service: &ServiceName, onset: Onset) -> Candidate {
    let mut score = Score::default();
    let lead = onset.at.duration_since(deployment.created_at).as_secs();
    let proximity = Proximity::of(deployment, onset);
    score.start(&proximity);
    if !matches!(proximity, Proximity::After(_)) {
        weigh_outcome(&mut score, deployment, onset);
        weigh_company(&mut score, deployment, all, onset);
    }
    if deployment.is_rollback() {
        score
            .times(0.4, || "takes an earlier deployment back, to a revision that ran well before".to_owned());
    } else if deployment.previous_revision.as_ref() == Some(&deployment.revision) {
        score.times(0.5, || "deploys the revision that already ran".to_owned());
    }
    if deployment.service != *service {
        score
            .times(0.5, || format!("a deployment of `{}`, which `{service}` depends on", deployment.service));
    }
    Candidate {
        reference: format!("candidate:{}", deployment.deployment_id),
        deployment_id: deployment.deployment_id.clone(),
        service: deployment.service.clone(),
        status: deployment.status,
        started_at: deployment.created_at,
        seconds_before_onset: lead,
        score: score.value,
        reasons: score.reasons,
    }
}

/// Where the onset lies relative to a deployment.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Proximity {
    /// It began this many seconds after the onset.
    After(i64),
    /// It was under way when the trouble began, since this many seconds.
    During(i64),
    /// It may have been: it ended this many seconds before the onset, after the earliest time at which the trouble can
    /// have begun; and it had begun that many before.
    Perhaps(i64, i64),
    /// It had ended this many seconds before the trouble began.
    Before(i64),
}

impl Proximity {
    fn of(deployment: &Deployment, onset: Onset) -> Self {
        let seconds = |later: Timestamp, earlier: Timestamp| later.duration_since(earlier).as_secs();
        if deployment.created_at > onset.at {
            return Self::After(seconds(deployment.created_at, onset.at).max(1));
        }
        match deployment.completed_at {
            Some(end) if end < onset.earliest => Self::Before(seconds(onset.earliest, end)),
            Some(end) if end < onset.at => {
                Self::Perhaps(seconds(onset.at, end), seconds(onset.at, deployment.created_at))
            }
            _ => Self::During(seconds(onset.at, deployment.created_at)),
        }
    }

    fn base(self) -> f64 {
        match self {
            Self::After(late) if late <= BLUR_S => 0.08,
            Self::After(_) => 0.02,
            // A rollout that has been running for hours may still have reached its first customer
            // only now, so it never falls below the middle.
            Self::During(since) | Self::Perhaps(_, since) => decay(since).max(0.55),
            Self::Before(gap) => decay(gap),
        }
    }

    fn reason(self) -> String {
        match self {
            Self::After(late) => format!("started {} after the onset", span(late)),
            Self::During(since) => format!("was under way at the onset, started {} before it", span(since)),
            Self::Perhaps(gap, _) => {
                format!("finished {} before the onset, when the trouble may have begun already", span(gap))
            }
            Self::Before(gap) => format!("finished {} before the onset", span(gap)),
        }
    }
}

fn decay(seconds: i64) -> f64 {
    AT_ONCE / (1.0 + (seconds.max(0) as f64 / HALF_S).powf(1.2))
}

fn weigh_outcome(score: &mut Score, deployment: &Deployment, onset: Onset) {
    let ended_before = deployment.completed_at.is_some_and(|end| end < onset.earliest);
    match deployment.status {
        Status::InProgress | Status::Succeeded => {}
        Status::RolledBack if ended_before => {}
        Status::Failed | Status::Stopped if ended_before => {
            score.times(0.5, || {
                "ended before the onset without success, so its revision should not run".to_owned()
            });
        }
        Status::Failed | Status::Stopped | Status::RolledBack => {
            score.times(1.08, || "did not end well, and not before the onset".to_owned());
        }
    }
}

/// What the other deployments of the same service say about this one.
fn weigh_company(score: &mut Score, deployment: &Deployment, all: &[Deployment], onset: Onset) {
    let others = || {
        all.iter().filter(|d| d.service == deployment.service && d.deployment_id != deployment.deployment_id)
    };
    let ended =
        |d: &&Deployment| d.created_at <= onset.at && d.completed_at.is_some_and(|end| end < onset.earliest);
    if others().filter(ended).any(|d| d.rollback_of.as_ref() == Some(&deployment.deployment_id)) {
        score.times(0.2, || "was taken back before the onset".to_owned());
    } else if others()
        .filter(ended)
        .any(|d| d.created_at > deployment.created_at && d.status == Status::Succeeded)
    {
        score.times(0.4, || "a later deployment had replaced it before the onset".to_owned());
    }
    let day = onset.at.checked_sub(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MIN);
    let in_a_day = others().filter(|d| d.created_at >= day && d.created_at <= onset.at).count();
    if in_a_day >= 3 {
        // Poisson: how often would some deployment fall this close to any moment at all?
        let gap = onset.at.duration_since(deployment.created_at).as_secs().clamp(0, 86_400);
        let chance = 1.0 - (-(in_a_day as f64) * (gap + 300) as f64 / 86_400.0).exp();
        score.times(1.0 - 0.6 * chance, || {
            format!(
                "{in_a_day} other deployments in the day before: one this close happens by chance {:.0} % of the time",
                chance * 100.0
            )
        });
    }
}

/// A score that remembers how it came about.
#[derive(Debug, Default)]
struct Score {
    value: f64,
    reasons: Vec<Reason>,
}

impl Score {
    fn start(&mut self, proximity: &Proximity) {
        self.value = hundredths(proximity.base());
        self.reasons.push(Reason { reason: proximity.reason(), weight: self.value });
    }

    fn times(&mut self, factor: f64, reason: impl FnOnce() -> String) {
        let value = hundredths((self.value * factor).clamp(0.0, 1.0));
        let weight = hundredths(value - self.value);
        // What changed nothing is no reason.
        if weight != 0.0 {
            self.reasons.push(Reason { reason: reason(), weight });
        }
        self.value = value;
    }
}

/// Two decimals: more would claim more than is known, and a person can add them up.
fn hundredths(value: f64) -> f64 {
    let rounded = (value * 100.0).round() / 100.0;
    // No `-0.0` in a result.
    if rounded == 0.0 { 0.0 } else { rounded }
}

#[cfg(test)]
mod tests;
