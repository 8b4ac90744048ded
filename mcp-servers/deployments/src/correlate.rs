//! How likely a deployment brought an onset, as a score that can be read.
//!
//! Pure: deployments and an onset in, candidates out. The score is a probability: of the deployments that score 0.8, about
//! 80 % are guilty, as far as generated troubles tell (`tests/calibration.rs`). Each deployment has odds against
//! everything that is no deployment, from the time between the two ([`lag`]) and from what else is known; and all share
//! the blame, so that of two that are equally near neither gets more than half. Each reason's weight is the change it made to
//! the score, so the weights of a candidate add up to it. A trained model was rejected: nobody can argue with one at 2 AM.

mod lag;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use midwatch_mcp::Time;
use midwatch_policy::ServiceName;
use schemars::JsonSchema;
use serde::Serialize;

use crate::deployment::{Deployment, Status};
use lag::Lag;

/// The best score. One in twenty troubles that follow a deployment closely has a cause that no list of deployments shows:
/// somebody deployed because of it, or changed something else besides.
const CEILING: f64 = 0.95;

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
    let mut of_service: BTreeMap<&ServiceName, Vec<&Deployment>> = BTreeMap::new();
    for deployment in deployments {
        of_service.entry(&deployment.service).or_default().push(deployment);
    }
    let suspicions: Vec<Suspicion> = deployments
        .iter()
        .map(|deployment| {
            let same = of_service.get(&deployment.service).map(Vec::as_slice).unwrap_or_default();
            weigh(deployment, same, service, onset)
        })
        .collect();
    let all: f64 = suspicions.iter().map(|suspicion| suspicion.odds).sum();
    let mut by_odds: Vec<(f64, &str)> =
        suspicions.iter().zip(deployments).map(|(s, d)| (s.odds, d.deployment_id.as_str())).collect();
    by_odds.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut candidates: Vec<Candidate> = suspicions
        .into_iter()
        .zip(deployments)
        .map(|(suspicion, deployment)| {
            let id = &deployment.deployment_id;
            let rival = by_odds.iter().map(|(_, rival)| *rival).find(|rival| rival != id);
            candidate(deployment, suspicion.shared(all, rival), onset)
        })
        .collect();
    candidates.sort_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then(b.started_at.cmp(&a.started_at))
            .then(a.deployment_id.cmp(&b.deployment_id))
    });
    candidates
}

fn candidate(deployment: &Deployment, suspicion: Suspicion, onset: Onset) -> Candidate {
    Candidate {
        reference: format!("candidate:{}", deployment.deployment_id),
        deployment_id: deployment.deployment_id.clone(),
        service: deployment.service.clone(),
        status: deployment.status,
        started_at: deployment.created_at,
        seconds_before_onset: onset.at.duration_since(deployment.created_at).as_secs(),
        score: suspicion.score,
        reasons: suspicion.reasons,
    }
}

fn weigh(deployment: &Deployment, same: &[&Deployment], service: &ServiceName, onset: Onset) -> Suspicion {
    let lag = Lag::of(deployment, onset);
    let mut suspicion = Suspicion::new(lag.odds(deployment, onset), lag.reason());
    if !matches!(lag, Lag::After(_)) {
        weigh_rate(&mut suspicion, deployment, same, onset);
        weigh_outcome(&mut suspicion, deployment, onset);
        weigh_successors(&mut suspicion, deployment, same, onset);
    }
    if deployment.is_rollback() {
        suspicion.times(0.02, || {
            "takes an earlier deployment back, to a revision that ran well before".to_owned()
        });
    } else if deployment.previous_revision.as_ref() == Some(&deployment.revision) {
        suspicion.times(0.02, || "deploys the revision that already ran".to_owned());
    }
    if deployment.service != *service {
        suspicion
            .times(0.2, || format!("a deployment of `{}`, which `{service}` depends on", deployment.service));
    }
    suspicion
}

/// The more a service deploys, the less it says that a deployment is near: one always is.
fn weigh_rate(suspicion: &mut Suspicion, deployment: &Deployment, same: &[&Deployment], onset: Onset) {
    let day = onset.at.checked_sub(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MIN);
    let others = others(deployment, same).filter(|d| d.created_at >= day && d.created_at <= onset.at).count();
    let a_day = others as f64 + 1.0;
    suspicion.times(1.0 / a_day, || {
        let age = onset.at.duration_since(deployment.created_at).as_secs() as f64;
        // Poisson: how often would some deployment be this close to any moment at all?
        let chance = 1.0 - (-a_day * age / 86_400.0).exp();
        let noun = if others == 1 { "deployment" } else { "deployments" };
        format!(
            "{others} other {noun} in the day before: one this close happens by chance {:.0} % of the time",
            chance * 100.0
        )
    });
}

fn weigh_outcome(suspicion: &mut Suspicion, deployment: &Deployment, onset: Onset) {
    let ended_before = deployment.completed_at.is_some_and(|end| end < onset.earliest);
    match deployment.status {
        Status::InProgress | Status::Succeeded => {}
        Status::RolledBack if ended_before => {}
        Status::Failed | Status::Stopped if ended_before => suspicion.times(0.1, || {
            "ended before the onset without success, so its revision should not run".to_owned()
        }),
        Status::Failed | Status::Stopped | Status::RolledBack => {
            suspicion.times(4.0, || "did not end well, and not before the onset".to_owned());
        }
    }
}

/// Whether its revision still ran: a fault can outlive the deployment that brought it, but most do not.
fn weigh_successors(suspicion: &mut Suspicion, deployment: &Deployment, same: &[&Deployment], onset: Onset) {
    let ended =
        |d: &&Deployment| d.created_at <= onset.at && d.completed_at.is_some_and(|end| end < onset.earliest);
    let mut later = others(deployment, same).filter(ended);
    if later.clone().any(|d| d.rollback_of.as_ref() == Some(&deployment.deployment_id)) {
        suspicion.times(0.02, || "was taken back before the onset".to_owned());
    } else if later.any(|d| d.created_at > deployment.created_at && d.status == Status::Succeeded) {
        suspicion.times(0.35, || "a later deployment had replaced it before the onset".to_owned());
    }
}

/// The other deployments of its service.
fn others<'a>(
    deployment: &Deployment,
    same: &[&'a Deployment],
) -> impl Iterator<Item = &'a Deployment> + Clone {
    same.iter().copied().filter(|d| d.deployment_id != deployment.deployment_id)
}

/// Odds that a deployment did it, against everything that is no deployment; and a score that remembers how it came about.
#[derive(Debug)]
struct Suspicion {
    odds: f64,
    score: f64,
    reasons: Vec<Reason>,
}

impl Suspicion {
    fn new(odds: f64, reason: String) -> Self {
        let score = score(odds, odds);
        Self { odds, score, reasons: vec![Reason { reason, weight: score }] }
    }

    fn times(&mut self, factor: f64, reason: impl FnOnce() -> String) {
        self.odds *= factor;
        self.becomes(score(self.odds, self.odds), reason);
    }

    /// With its share of the blame, where the odds of all suspects together are these.
    fn shared(mut self, all: f64, rival: Option<&str>) -> Self {
        if let Some(rival) = rival {
            self.becomes(score(self.odds, all), || format!("it is not the only suspect: `{rival}`"));
        }
        self
    }

    fn becomes(&mut self, score: f64, reason: impl FnOnce() -> String) {
        let weight = hundredths(score - self.score);
        // What changed nothing is no reason.
        if weight != 0.0 {
            self.reasons.push(Reason { reason: reason(), weight });
        }
        self.score = score;
    }
}

/// The probability of one suspect, where the odds of all of them together are these.
fn score(odds: f64, all: f64) -> f64 {
    hundredths(CEILING * odds / (1.0 + all))
}

/// Two decimals: more would claim more than is known, and a person can add them up.
fn hundredths(value: f64) -> f64 {
    let rounded = (value * 100.0).round() / 100.0;
    // No `-0.0` in a result.
    if rounded == 0.0 { 0.0 } else { rounded }
}

#[cfg(test)]
mod tests;
