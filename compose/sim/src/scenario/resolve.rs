//! From what is written to what is played: fills defaults in, checks references and times.

use std::{collections::BTreeMap, path::Path};

use jiff::Timestamp;
use midwatch_policy::{
    Autonomy, AwsName, Catalog, CodeDeployTarget, EcsTarget, Environment, MetricRef, ScaleBounds, Service,
    ServiceName, Tier,
};

use super::{
    Approver, Problem, alarms, deployments, faults, filters, inputs,
    judge::expected,
    machines,
    raw::{DeployKind, LogStyle, Noise, RawScenario, RawService},
    reader::Reader,
    spec::{ServiceSpec, Spec},
};
use crate::random;

/// Everything a scenario file says.
pub(super) struct Resolved {
    pub(super) title: String,
    pub(super) catalog: Catalog,
    pub(super) approver: Approver,
    pub(super) expected: super::Expected,
    pub(super) spec: Spec,
}

const HOUR_MS: i64 = 3_600_000;

/// Resolves a raw scenario; `id` is the name of its directory.
pub(super) fn resolve(raw: RawScenario, id: &str, file: &Path, text: &str) -> Result<Resolved, Vec<Problem>> {
    let mut r = Reader {
        file: file.to_owned(),
        text,
        problems: Vec::new(),
        alarm_ms: 0,
        services: raw.service.iter().map(|s| s.get_ref().name.get_ref().clone()).collect(),
    };
    let written = raw.time.get_ref().to_string();
    match written.parse::<Timestamp>() {
        Ok(time) => r.alarm_ms = time.as_millisecond(),
        Err(_) => r.problem(
            raw.time.span(),
            format!("time `{written}` is not a moment in UTC"),
            "write when the alarm fires as `time = 2026-11-21T02:04:00Z`",
        ),
    }
    if raw.service.is_empty() {
        r.problem(0..0, "there is no [[service]]", "add at least one, with a name");
    }
    let seed = raw.seed.unwrap_or_else(|| random::hash(0, id));
    let account = account(&mut r, raw.account.as_ref());
    let region = raw.region.clone().unwrap_or_else(|| "us-east-1".to_owned());
    let start_ms = r.alarm_ms + r.span_or(raw.delivered_after.as_ref(), 4000);
    let history_ms = r.span_or(raw.history.as_ref(), 2 * HOUR_MS + HOUR_MS / 2);
    if let Some(history) = &raw.history
        && !(HOUR_MS / 4..=24 * HOUR_MS).contains(&history_ms)
    {
        r.problem(history.span(), "history is out of bounds", "choose between `15m` and `24h`");
    }
    let services = services(&mut r, &raw, seed);
    let mut spec = Spec {
        seed,
        account,
        region,
        alarm_ms: r.alarm_ms,
        start_ms,
        begin_ms: (r.alarm_ms - history_ms).div_euclid(60_000) * 60_000,
        services,
        deployments: Vec::new(),
        machines: Vec::new(),
        faults: Vec::new(),
        alarms: Vec::new(),
        series: Vec::new(),
        metric_filters: Vec::new(),
        task_stops: Vec::new(),
        logs: Vec::new(),
        injections: Vec::new(),
        latency_ms: raw.latency_ms.clone(),
    };
    deployments::deployments(&mut r, &raw, &mut spec);
    machines::machines(&mut r, &raw, &mut spec);
    faults::faults(&mut r, &raw, &mut spec);
    alarms::series(&mut r, &raw, &mut spec);
    filters::metric_filters(&mut r, &raw, &mut spec);
    alarms::alarms(&mut r, &raw, &mut spec);
    inputs::task_stops(&mut r, &raw, &mut spec);
    inputs::logs(&mut r, &raw, &mut spec);
    inputs::injections(&mut r, &raw, &mut spec);
    let approver = approver(&mut r, &raw);
    let expected = expected(&mut r, raw.expected.as_ref(), &spec);
    let catalog = catalog(&mut r, &raw, &spec);
    if !r.problems.is_empty() {
        let mut problems = r.problems;
        problems.sort_by_key(|p| p.line);
        return Err(problems);
    }
    let title = raw.title.or(raw.description).unwrap_or_else(|| id.replace(['-', '_'], " "));
    Ok(Resolved { title, catalog, approver, expected, spec })
}

fn account(r: &mut Reader<'_>, written: Option<&super::raw::Text>) -> String {
    let Some(written) = written else { return "123456789012".to_owned() };
    let text = written.get_ref();
    if text.len() != 12 || !text.bytes().all(|b| b.is_ascii_digit()) {
        r.problem(written.span(), format!("account `{text}` is not twelve digits"), "write twelve digits");
    }
    text.clone()
}

fn services(r: &mut Reader<'_>, raw: &RawScenario, seed: u64) -> Vec<ServiceSpec> {
    let cluster = raw.cluster.clone().unwrap_or_else(|| "production".to_owned());
    let mut specs: Vec<ServiceSpec> = Vec::new();
    for written in &raw.service {
        let service = written.get_ref();
        let name = service.name.get_ref();
        if let Err(why) = ServiceName::parse(name.clone()) {
            r.problem(service.name.span(), why.to_string(), "choose a name such as `checkout-api`");
        }
        if specs.iter().any(|s| &s.name == name) {
            r.problem(
                service.name.span(),
                format!("service `{name}` stands there twice"),
                "rename or remove one",
            );
        }
        specs.push(service_spec(r, raw, service, &cluster, seed));
    }
    specs
}

fn service_spec(
    r: &mut Reader<'_>,
    raw: &RawScenario,
    service: &RawService,
    cluster: &str,
    seed: u64,
) -> ServiceSpec {
    let name = service.name.get_ref().clone();
    let mut rng = random::generator(seed, &name, 0);
    let deployed_as =
        raw.deployment.iter().find(|d| d.get_ref().service.get_ref() == &name).and_then(|d| d.get_ref().kind);
    let tasks = service.tasks.unwrap_or(3);
    ServiceSpec {
        cluster: cluster.to_owned(),
        deploys_with: service.deploys_with.or(deployed_as).unwrap_or(DeployKind::Ecs),
        deployment_group: format!("{name}-{cluster}"),
        log_group: service
            .log_group
            .as_ref()
            .map_or_else(|| format!("/ecs/{name}"), |group| group.get_ref().clone()),
        log_group_bytes: service.log_group_bytes,
        log_style: service.log_style.unwrap_or(LogStyle::Json),
        lines_per_minute: service.log_lines_per_minute.unwrap_or(60.0).clamp(0.0, 2000.0),
        noise: service.noise.unwrap_or(Noise::Normal),
        endpoints: service.endpoints.clone(),
        requests_per_minute: service.requests_per_minute.unwrap_or(240.0).max(0.0),
        error_share: service.error_share.unwrap_or(0.002).clamp(0.0, 1.0),
        latency_ms: service.latency_ms.unwrap_or(45.0).max(1.0),
        cpu: service.cpu.unwrap_or(32.0),
        memory: service.memory.unwrap_or(46.0),
        tasks,
        replaced_in_ms: r.span_or(service.replaced_in.as_ref(), 50_000),
        load_balancer: format!("app/{cluster}/{}", random::hex(&mut rng, 16)),
        target_group: format!("targetgroup/{name}/{}", random::hex(&mut rng, 16)),
        name,
    }
}

fn approver(r: &mut Reader<'_>, raw: &RawScenario) -> Approver {
    let usual = Approver::default();
    let after = raw.approver.after.as_ref().map(|text| r.span(text));
    Approver {
        answer: raw.approver.answer.unwrap_or(usual.answer),
        after: after.map_or(usual.after, |ms| std::time::Duration::from_millis(ms.unsigned_abs())),
        role: raw.approver.role.clone().unwrap_or(usual.role),
        reason: raw.approver.reason.clone(),
    }
}

fn catalog(r: &mut Reader<'_>, raw: &RawScenario, spec: &Spec) -> Catalog {
    let mut list = Vec::new();
    for (written, service) in raw.service.iter().zip(&spec.services) {
        let raw_service = written.get_ref();
        match entry(raw_service, service, spec) {
            Ok(entry) => list.push(entry),
            // A name that is wrong has been reported as such.
            Err(_) if ServiceName::parse(service.name.clone()).is_err() => {}
            Err(why) => {
                let remedy = "mend its `tier` (0 to 4), `depends_on`, or the `cluster` of the scenario";
                r.problem(written.span(), format!("service `{}`: {why}", service.name), remedy);
            }
        }
    }
    Catalog::new(list).unwrap_or_else(|why| {
        // It is built from what was checked before: this says the same again where that was wrong.
        if r.problems.is_empty() {
            r.problem(0..0, why.to_string(), "mend the services");
        }
        Catalog::default()
    })
}

fn entry(raw: &RawService, spec: &ServiceSpec, world: &Spec) -> Result<Service, String> {
    let aws = |text: &str| AwsName::parse(text).map_err(|e| e.to_string());
    let named = |text: &str| ServiceName::parse(text).map_err(|e| e.to_string());
    let metric = |name: &str| MetricRef {
        namespace: "AWS/ApplicationELB".to_owned(),
        name: name.to_owned(),
        stat: "Sum".to_owned(),
        dimensions: BTreeMap::from([
            ("LoadBalancer".to_owned(), spec.load_balancer.clone()),
            ("TargetGroup".to_owned(), spec.target_group.clone()),
        ]),
    };
    let mut depends_on = Vec::new();
    for name in &raw.depends_on {
        depends_on.push(named(name.get_ref())?);
    }
    let index = world.services.iter().position(|s| s.name == spec.name);
    Ok(Service {
        name: named(&spec.name)?,
        tier: Tier::try_from(raw.tier.unwrap_or(1))?,
        environment: raw.environment.unwrap_or(Environment::Production),
        owners: raw.owners.clone(),
        account: Some(world.account.clone()),
        region: Some(world.region.clone()),
        role_arn: None,
        log_groups: vec![spec.log_group.clone()],
        ecs: Some(EcsTarget { cluster: aws(&spec.cluster)?, service: aws(&spec.name)? }),
        codedeploy: match spec.deploys_with {
            DeployKind::CodeDeploy => Some(CodeDeployTarget {
                application: aws(&spec.name)?,
                deployment_group: aws(&spec.deployment_group)?,
            }),
            DeployKind::Ecs => None,
        },
        state_machine: match world.machines.iter().find(|machine| Some(machine.service) == index) {
            Some(machine) => Some(aws(&world.machine_arn(machine))?),
            None => None,
        },
        depends_on,
        alarms: world
            .alarms
            .iter()
            .filter(|alarm| Some(alarm.service) == index)
            .map(|alarm| alarm.name.clone())
            .collect(),
        traffic: Some(metric("RequestCount")),
        errors: Some(metric("HTTPCode_Target_5XX_Count")),
        scale: Some(raw.scale.unwrap_or(ScaleBounds { min: 1, max: (spec.tasks * 3).max(1) })),
        autonomy: raw.autonomy.unwrap_or(Autonomy::Ask),
        protected: raw.protected,
    })
}
