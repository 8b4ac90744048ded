//! Troubles whose cause is known, and what a reader of AWS would see of them.
//!
//! The cause is drawn first and the trouble follows from it; the score is not asked. What makes it hard is made on purpose:
//! people deploy and have troubles in the same hours, a rollout that was under way is stopped whoever is guilty, somebody
//! deploys a remedy before the trouble is certain, and an onset is late, early, or a span that misses it.

use jiff::Timestamp;
use midwatch_deployments::{
    correlate::Onset,
    deployment::{Deployment, Kind, Status, link},
};
use midwatch_policy::ServiceName;

use super::{
    random::Random,
    service::{Brings, DAY, Event, HOUR, Service, is_working},
};

/// What is assumed of the world.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    pub name: &'static str,
    /// Share of the troubles that a deployment brought, of the service or of what it depends on.
    pub brought: f64,
    /// Whether that share grows with the deployments a day (with their root), as it would if small ones were not much safer.
    pub by_rate: bool,
    /// Of those brought, the share that shows within half an hour or so, and the share that takes hours.
    pub soon: f64,
    pub slow: f64,
    /// Of the others, the share in which somebody deploys a remedy before the onset is certain.
    pub remedy: f64,
}

/// The one that the score is fitted on.
pub const MAIN: Setting = Setting {
    name: "main: 55 % brought by deployments",
    brought: 0.55,
    by_rate: false,
    soon: 0.25,
    slow: 0.15,
    remedy: 0.06,
};

/// Days of deployments, of which the trouble is in the last seven or so.
const DAYS: i64 = 14;
/// How likely a deployment of one dependency is to bring the trouble, against one of the service itself.
const DEPENDENCY: f64 = 0.15;
/// The same of one that brings nothing new, that takes another back, and that fails.
const SAME: f64 = 0.15;
const BACK: f64 = 0.3;
const FAILED: f64 = 0.25;

/// A trouble, as it is seen.
#[derive(Debug)]
pub struct Trouble {
    pub service: ServiceName,
    /// The service's own deployments a day.
    pub rate: f64,
    pub onset: Onset,
    pub deployments: Vec<Deployment>,
    /// The deployment that brought it, if one did and it is among these.
    pub guilty: Option<String>,
}

/// So many troubles.
pub fn troubles(setting: Setting, seed: u64, count: usize) -> Vec<Trouble> {
    let mut random = Random::new(seed);
    std::iter::repeat_with(|| trouble(setting, &mut random)).take(count).collect()
}

/// A deployment: which service (0 is the one in trouble), and which of its events.
type Which = (usize, usize);

fn trouble(setting: Setting, random: &mut Random) -> Trouble {
    let cause = random.unit();
    let (mut services, guilty, began) = loop {
        let services: Vec<Service> = (0..random.within(1..7)).map(|_| Service::new(random, DAYS)).collect();
        let grown = if setting.by_rate { (services[0].rate / 2.0).sqrt() } else { 1.0 };
        let odds = setting.brought / (1.0 - setting.brought) * grown;
        if cause > odds / (1.0 + odds) {
            break (services, None, otherwise(random));
        }
        // Where nothing was deployed that could have brought it, others are asked.
        if let Some((which, began)) = brought(setting, random, &services) {
            break (services, Some(which), began);
        }
    };
    let rate = services[0].rate;
    let (mut onset, mut earliest) = seen(random, began);
    let now = onset + random.within(60..1800);
    aftermath(random, &mut services, guilty, began, now);
    if guilty.is_none() && random.happens(setting.remedy) {
        onset = began + random.within(240..900);
        earliest = onset - random.within(0..120);
        let when = began + random.within(60..onset - began - 60);
        remedy(random, &mut services[0], when);
    }
    let now = now.max(onset + 30);
    let span = (earliest - DAY, onset + HOUR);
    let mut deployments: Vec<Deployment> = Vec::new();
    for (number, service) in services.iter().enumerate() {
        deployments.extend(as_listed(number, service, span, now));
    }
    let guilty = guilty.map(|(service, event)| id(service, event));
    Trouble {
        service: name(0),
        rate,
        onset: Onset { at: at(onset), earliest: at(earliest) },
        guilty: guilty.filter(|id| deployments.iter().any(|d| d.deployment_id == *id)),
        deployments,
    }
}

/// Traffic, hardware, a dependency by itself: at any time, and somewhat more while people are at work.
fn otherwise(random: &mut Random) -> i64 {
    loop {
        let began = random.within((DAYS - 7) * DAY..DAYS * DAY);
        if is_working(began) || random.happens(0.6) {
            return began;
        }
    }
}

/// Which deployment brought a trouble, and when it began.
fn brought(setting: Setting, random: &mut Random, services: &[Service]) -> Option<(Which, i64)> {
    for _ in 0..200 {
        let number =
            drawn(random, services.iter().enumerate().map(|(n, _)| if n == 0 { 1.0 } else { DEPENDENCY }));
        let service = &services[number];
        let old: Vec<usize> = (0..service.events.len()).filter(|n| service.events[*n].at > 3 * DAY).collect();
        if old.is_empty() {
            continue;
        }
        let event = random.one_of(&old);
        let found = service.events[event];
        let risk = match found.brings {
            _ if found.failed => FAILED,
            Brings::New => 1.0,
            Brings::Same => SAME,
            Brings::Back(_) => BACK,
        };
        if !random.happens(risk) {
            continue;
        }
        let began =
            shows(setting, random, found) + if number == 0 { 0 } else { random.exponential(60.0) as i64 };
        if began < DAYS * DAY && random.happens(survives(service, event, began)) {
            return Some(((number, event), began));
        }
    }
    None
}

/// When the trouble that a deployment brings begins.
///
/// Most show as soon as enough customers reach the new revision, which is while it rolls out or minutes later: why one
/// rolls out in steps and watches. Some need a certain request, a job, an entry of a cache that ends: tens of minutes. Some
/// build up, as leaks do: hours.
fn shows(setting: Setting, random: &mut Random, event: Event) -> i64 {
    let length = event.end - event.at;
    let first = event.at + length * random.within(10..40) / 100;
    let reached = random.within(first..event.end.max(first) + 1);
    let kind = random.unit();
    if kind < setting.slow {
        event.end + random.lognormal(4.0 * HOUR as f64) as i64
    } else if kind < setting.slow + setting.soon {
        reached + random.lognormal(1200.0) as i64
    } else if random.happens(0.5) {
        reached + random.exponential(60.0) as i64
    } else {
        first + random.exponential(120.0) as i64
    }
}

/// How likely a trouble still comes about at this time, given what was deployed meanwhile.
fn survives(service: &Service, guilty: usize, began: i64) -> f64 {
    let mut later = service.events[guilty + 1..].iter().filter(|e| !e.failed && e.at.midpoint(e.end) < began);
    let failed = service.events[guilty].failed;
    if failed && began > service.events[guilty].end + 60 {
        // Its revision does not run.
        0.02
    } else if later.clone().any(|e| e.brings == Brings::Back(guilty)) {
        0.03
    } else if later.next().is_some() {
        // What a later one brings has the same fault in it, unless it mends it or begins afresh what had built up.
        0.5
    } else {
        1.0
    }
}

/// What is known of the time at which it began: the first sure sign, and the earliest it may have been.
fn seen(random: &mut Random, began: i64) -> (i64, i64) {
    let sure = began + random.exponential(60.0) as i64;
    match random.within(0..10) {
        // A span that holds it.
        0..5 => (sure, began - random.within(0..240)),
        // A span that misses it.
        5 => (sure, sure - (sure - began) / 2),
        // The minute of a metric, by its begin.
        6..8 => (sure - sure % 60, sure - sure % 60),
        _ => (sure, sure),
    }
}

/// What people and machines do once it has begun.
fn aftermath(random: &mut Random, services: &mut [Service], guilty: Option<Which>, began: i64, now: i64) {
    for (number, service) in services.iter_mut().enumerate() {
        let Some(last) = service.events.iter().rposition(|e| e.at <= began) else { continue };
        let is_guilty = guilty == Some((number, last));
        let own = number == 0;
        let event = &mut service.events[last];
        let stop = began + random.within(60..480);
        // An alarm that stops a rollout does not ask who is guilty; the guilty one's own checks fail besides.
        let chance = if is_guilty {
            0.4
        } else if own {
            0.15
        } else {
            0.02
        };
        let back = if event.end > stop && stop < now && random.happens(chance) {
            event.end = stop;
            event.failed = true;
            random.happens(0.6).then_some(stop)
        } else {
            // Somebody takes back what is newest.
            let chance = if is_guilty { 0.3 } else { 0.1 };
            let recent = own && began - event.end < HOUR && event.end < now;
            (recent && random.happens(chance)).then(|| event.end.max(began) + random.within(240..1500))
        };
        if let Some(back) = back {
            service.events.truncate(last + 1);
            service.push(random, back, Brings::Back(last));
        }
    }
}

/// Somebody restarts, mends or takes back before it is certain that there is a trouble.
fn remedy(random: &mut Random, service: &mut Service, when: i64) {
    let before = service.events.iter().take_while(|e| e.end < when).count();
    service.events.truncate(before);
    let brings = match random.within(0..10) {
        0..4 => Brings::Same,
        4..7 if before > 0 => Brings::Back(before - 1),
        _ => Brings::New,
    };
    service.push(random, when, brings);
}

/// One number, by weight.
fn drawn(random: &mut Random, weights: impl Iterator<Item = f64> + Clone) -> usize {
    let mut left = random.unit() * weights.clone().sum::<f64>();
    weights
        .take_while(|weight| {
            left -= weight;
            left > 0.0
        })
        .count()
}

/// The deployments of a service that touch the span, as AWS tells them at this time.
fn as_listed(number: usize, service: &Service, (from, to): (i64, i64), now: i64) -> Vec<Deployment> {
    let touched = service.events.iter().take_while(|e| e.end < from).count();
    let mut list = Vec::new();
    // Some before the span, to know what ran.
    for (n, event) in service.events.iter().enumerate().skip(touched.saturating_sub(8)) {
        if event.at > now.min(to) {
            break;
        }
        let status = match event {
            e if e.end > now => Status::InProgress,
            e if e.failed => Status::Failed,
            _ => Status::Succeeded,
        };
        list.push(Deployment {
            completed_at: (event.end <= now).then(|| at(event.end)),
            revision: format!("r{}", event.revision),
            rollback_of: match event.brings {
                Brings::Back(of) => Some(id(number, of)),
                _ => None,
            },
            ..Deployment::new(Kind::CodeDeploy, &id(number, n), &name(number), status, at(event.at))
        });
    }
    let mut list = link(list);
    list.retain(|d| d.completed_at.is_none_or(|end| end >= at(from)));
    list
}

fn id(service: usize, event: usize) -> String {
    format!("d-{service}-{event}")
}

fn name(service: usize) -> ServiceName {
    ServiceName::parse(format!("service-{service}")).unwrap()
}

fn at(second: i64) -> Timestamp {
    // A Monday.
    Timestamp::from_second(1_793_577_600 + second).unwrap()
}
