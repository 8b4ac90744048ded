//! CodeDeploy deployments as they run.

use crate::{
    random::{self, Rng},
    scenario::spec::{DeployKind, DeploymentSpec, DeploymentStatus, Spec},
};

/// One deployment.
#[derive(Debug, Clone)]
pub(crate) struct Deployment {
    pub(crate) id: String,
    pub(crate) service: usize,
    pub(crate) commit: String,
    pub(crate) previous_commit: Option<String>,
    pub(crate) description: String,
    pub(crate) creator: &'static str,
    pub(crate) created_ms: i64,
    pub(crate) ends_ms: i64,
    /// How it ends if nobody stops it.
    pub(crate) ending: DeploymentStatus,
    /// The deployment that this one rolls back.
    pub(crate) rolls_back: Option<String>,
    /// The deployment that rolls this one back.
    pub(crate) rolled_back_by: Option<String>,
}

impl Deployment {
    /// Status as the API writes it.
    pub(crate) fn status(&self, now_ms: i64) -> &'static str {
        let age = now_ms - self.created_ms;
        if now_ms >= self.ends_ms {
            return match self.ending {
                DeploymentStatus::Succeeded | DeploymentStatus::InProgress => "Succeeded",
                DeploymentStatus::Failed => "Failed",
                DeploymentStatus::Stopped => "Stopped",
            };
        }
        match age {
            i64::MIN..1000 => "Created",
            1000..3000 => "Queued",
            _ => "InProgress",
        }
    }

    /// Whether it is still going on.
    pub(crate) fn active(&self, now_ms: i64) -> bool {
        now_ms < self.ends_ms
    }
}

/// Every CodeDeploy deployment, oldest first.
#[derive(Debug)]
pub(crate) struct CodeDeploy {
    pub(crate) deployments: Vec<Deployment>,
    rng: Rng,
}

impl CodeDeploy {
    pub(crate) fn new(spec: &Spec) -> Self {
        let mut order: Vec<&DeploymentSpec> =
            spec.deployments.iter().filter(|d| d.kind == DeployKind::CodeDeploy).collect();
        order.sort_by_key(|d| d.at_ms);
        let mut this = Self { deployments: Vec::new(), rng: random::generator(spec.seed, "codedeploy", 0) };
        for d in order {
            let short = d.commit.get(..7).unwrap_or(&d.commit);
            this.deployments.push(Deployment {
                id: d.id.clone(),
                service: d.service,
                commit: d.commit.clone(),
                previous_commit: this.running_commit(d.service, d.at_ms),
                description: format!(
                    "{} (commit {short}, author {}, PR #{})",
                    d.message, d.author, d.pull_request
                ),
                creator: "user",
                created_ms: d.at_ms,
                ends_ms: d.at_ms + d.takes_ms,
                ending: d.status,
                rolls_back: None,
                rolled_back_by: None,
            });
        }
        this
    }

    /// The commit of the last deployment of a service that succeeded by `at_ms`.
    pub(crate) fn running_commit(&self, service: usize, at_ms: i64) -> Option<String> {
        self.last_success(service, at_ms).map(|d| d.commit.clone())
    }

    /// The last deployment of a service that had succeeded by `at_ms`.
    pub(crate) fn last_success(&self, service: usize, at_ms: i64) -> Option<&Deployment> {
        self.deployments
            .iter()
            .filter(|d| d.service == service && d.status(at_ms) == "Succeeded")
            .max_by_key(|d| d.ends_ms)
    }

    /// Begins a deployment.
    pub(crate) fn create(
        &mut self,
        service: usize,
        commit: String,
        description: String,
        creator: &'static str,
        at_ms: i64,
        takes_ms: i64,
    ) -> &mut Deployment {
        let letters: Vec<char> = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789".chars().collect();
        let tail: String = (0..9).filter_map(|_| random::pick(&mut self.rng, &letters)).collect();
        let previous_commit = self.running_commit(service, at_ms);
        self.deployments.push_mut(Deployment {
            id: format!("d-{tail}"),
            service,
            commit,
            previous_commit,
            description,
            creator,
            created_ms: at_ms,
            ends_ms: at_ms + takes_ms,
            ending: DeploymentStatus::Succeeded,
            rolls_back: None,
            rolled_back_by: None,
        })
    }
}
