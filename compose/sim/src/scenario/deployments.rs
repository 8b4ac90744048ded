//! `[[deployment]]`, and what ran before.

use rand::RngExt;

use super::{
    raw::{DeployKind, DeploymentStatus, RawDeployment, RawScenario},
    reader::Reader,
    spec::{DeploymentSpec, Spec},
};
use crate::random;

const DAY_MS: i64 = 86_400_000;

pub(super) fn deployments(r: &mut Reader<'_>, raw: &RawScenario, spec: &mut Spec) {
    for (n, written) in raw.deployment.iter().enumerate() {
        let d = written.get_ref();
        let Some(service) = r.service(&d.service) else { continue };
        let deployment = deployment(r, d, n, service, spec);
        if spec.deployments.iter().any(|other| other.id == deployment.id) {
            r.problem(
                d.id.as_ref().map_or(written.span(), toml::Spanned::span),
                format!("deployment `{}` stands there twice", deployment.id),
                "give each an id of its own",
            );
        }
        spec.deployments.push(deployment);
    }
    // What ran before: every service has a deployment that can be gone back to.
    for index in 0..spec.services.len() {
        let Some(service) = spec.services.get(index) else { continue };
        let mut rng = random::generator(spec.seed, &service.name, 1);
        let first = raw
            .deployment
            .iter()
            .map(toml::Spanned::get_ref)
            .filter(|d| d.service.get_ref() == &service.name)
            .find_map(|d| d.previous_commit.as_ref());
        let before = spec
            .deployments
            .iter()
            .filter(|d| d.service == index)
            .map(|d| d.at_ms)
            .min()
            .unwrap_or(spec.alarm_ms)
            .min(spec.begin_ms);
        let at_ms = before - rng.random_range(5..12) * DAY_MS - rng.random_range(0..20_000_000);
        spec.deployments.push(DeploymentSpec {
            service: index,
            id: generated_id(&mut rng, service.deploys_with),
            kind: service.deploys_with,
            at_ms,
            takes_ms: 180_000,
            status: DeploymentStatus::Succeeded,
            commit: full_commit(first.map_or("", |c| c.get_ref()), &mut rng),
            author: "release-bot".to_owned(),
            pull_request: rng.random_range(300..900),
            message: format!("Routine release of {}", service.name),
            env: None,
            env_remove: Vec::new(),
            routine: true,
        });
    }
}

fn deployment(
    r: &mut Reader<'_>,
    d: &RawDeployment,
    n: usize,
    service: usize,
    spec: &Spec,
) -> DeploymentSpec {
    let mut rng = random::generator(spec.seed, "deployment", i64::try_from(n).unwrap_or(0));
    let kind = spec.services.get(service).map_or(DeployKind::Ecs, |s| s.deploys_with);
    if let Some(wanted) = d.kind
        && wanted != kind
    {
        r.problem(
            d.service.span(),
            format!("`{}` is deployed in two ways", d.service.get_ref()),
            "use one `kind` for all deployments of a service, or set `deploys_with` on the service",
        );
    }
    let id = d.id.as_ref().map_or_else(|| generated_id(&mut rng, kind), |id| id.get_ref().clone());
    if let Some(text) = &d.id
        && let Err(why) = midwatch_policy::AwsName::parse(text.get_ref().clone())
    {
        r.problem(text.span(), why.to_string(), "use an id such as `d-8K2LQ7XVN`");
    }
    let status = d.status.unwrap_or(DeploymentStatus::Succeeded);
    let at_ms = r.when(&d.at);
    let default_takes = if status == DeploymentStatus::InProgress { 30 * 60_000 } else { 50_000 };
    let takes_ms = r.span_or(d.takes.as_ref(), default_takes).max(1000);
    let ends_ms = at_ms + takes_ms;
    if status == DeploymentStatus::InProgress && (ends_ms <= spec.start_ms || at_ms > spec.start_ms) {
        r.problem(
            d.at.span(),
            "a deployment in progress has to have begun before the alarm is delivered and end after it",
            "move `at`, or make `takes` longer",
        );
    }
    if status != DeploymentStatus::InProgress && ends_ms > spec.start_ms && at_ms <= spec.start_ms {
        r.problem(
            d.at.span(),
            "this deployment is still running when the alarm is delivered",
            "set `status = \"in_progress\"`, move `at` earlier, or make `takes` shorter",
        );
    }
    if at_ms > spec.start_ms {
        r.problem(
            d.at.span(),
            "this deployment lies in the future of the alarm",
            "move `at` before the alarm: later deployments are only made by actions",
        );
    }
    let commit = full_commit(d.commit.as_ref().map_or("", |c| c.get_ref()), &mut rng);
    DeploymentSpec {
        service,
        id,
        kind,
        at_ms,
        takes_ms,
        status,
        commit,
        author: d.author.clone().unwrap_or_else(|| "dev-team".to_owned()),
        pull_request: d.pull_request.unwrap_or_else(|| rng.random_range(1000..4000)),
        message: d.message.clone().unwrap_or_else(|| "Release".to_owned()),
        env: d.env.clone(),
        env_remove: d.env_remove.clone(),
        routine: false,
    }
}

fn generated_id(rng: &mut random::Rng, kind: DeployKind) -> String {
    match kind {
        DeployKind::CodeDeploy => {
            let letters: Vec<char> = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789".chars().collect();
            let tail: String = (0..9).filter_map(|_| random::pick(rng, &letters)).collect();
            format!("d-{tail}")
        }
        DeployKind::Ecs => random::hex(rng, 21),
    }
}

/// Fills a short commit up to forty digits.
fn full_commit(text: &str, rng: &mut random::Rng) -> String {
    let rest = random::hex(rng, 40_usize.saturating_sub(text.len()));
    format!("{text}{rest}")
}

impl Spec {
    /// The deployment an author means: by its id, or by a service that has exactly one written.
    pub(super) fn find_deployment(&self, text: &str) -> Option<usize> {
        if let Some(index) = self.deployments.iter().position(|d| d.id == text) {
            return Some(index);
        }
        let service = self.services.iter().position(|s| s.name == text)?;
        let recent = |d: &&DeploymentSpec| d.service == service && !d.routine;
        let mut of_service = self.deployments.iter().filter(recent);
        let only = of_service.next()?;
        if of_service.next().is_some() {
            return None;
        }
        self.deployments.iter().position(|d| d.id == only.id)
    }

    /// What is wrong with a text that names no single deployment, and what to write.
    pub(super) fn no_deployment(&self, text: &str) -> (String, String) {
        let ids = |service: Option<usize>| {
            let own = self.deployments.iter().filter(|d| !d.routine);
            let ids: Vec<&str> =
                own.filter(|d| service.is_none_or(|s| s == d.service)).map(|d| d.id.as_str()).collect();
            ids.join("`, `")
        };
        match self.services.iter().position(|s| s.name == text) {
            Some(service) if self.deployments.iter().any(|d| d.service == service && !d.routine) => (
                format!("service `{text}` has several deployments"),
                format!("say which by its `id`: `{}`", ids(Some(service))),
            ),
            Some(_) => {
                (format!("service `{text}` has no [[deployment]]"), "add one, or name another".to_owned())
            }
            None => {
                let known = ids(None);
                let known = if known.is_empty() { String::new() } else { format!(" (`{known}`)") };
                (
                    format!("there is no deployment `{text}`"),
                    format!(
                        "use the `id` of a [[deployment]]{known}, or the name of a service that has exactly one"
                    ),
                )
            }
        }
    }

    /// The ARN of an ECS service deployment.
    pub(crate) fn service_deployment_arn(&self, deployment: &DeploymentSpec) -> String {
        let (cluster, name) =
            self.services.get(deployment.service).map_or(("", ""), |s| (s.cluster.as_str(), s.name.as_str()));
        format!(
            "arn:aws:ecs:{}:{}:service-deployment/{cluster}/{name}/{}",
            self.region, self.account, deployment.id
        )
    }
}
