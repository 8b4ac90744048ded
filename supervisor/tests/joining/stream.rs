//! Streams of alarms whose troubles are known, and how well the board finds them.
//!
//! A stream is made from troubles, each with its alarms, and the label of an alarm is the trouble
//! it was made for: the board's own rules are not asked. What makes it hard is made on purpose:
//! alarms come late, twice and out of order, share dimensions with strangers, flap, and unrelated
//! troubles begin in the same minute.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use midwatch::{
    alarm::{Alarm, AlarmState, Watch, WatchedMetric},
    intake::{
        board::{Board, Decision, Grouping, Orders},
        quiet::Quiet,
    },
};
use midwatch_policy::{Catalog, IncidentId, SignedDuration, Timestamp};
use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng};

/// Services of a catalog.
const SERVICES: usize = 60;
/// Troubles of a stream, besides those that begin with another one.
const TROUBLES: usize = 40;
/// A day, in seconds.
const DAY: i64 = 24 * 3600;

/// One alarm of a stream.
#[derive(Debug, Clone)]
pub struct Sent {
    pub arrives: Timestamp,
    pub alarm: Alarm,
    /// The trouble it was made for.
    pub trouble: usize,
}

/// A catalog and what goes wrong in it.
#[derive(Debug)]
pub struct Stream {
    pub catalog: Arc<Catalog>,
    pub sent: Vec<Sent>,
    pub troubles: usize,
    /// When the last alarm of each trouble went, by its own time.
    pub lasts: BTreeMap<usize, Timestamp>,
    /// Whether two troubles hit services of which somebody who reads the catalog would say that they have to do with
    /// another.
    pub kin: BTreeSet<(usize, usize)>,
}

struct Maker {
    random: StdRng,
    /// What each service calls: numbers of services, names of things outside.
    calls: Vec<(Vec<usize>, Vec<String>)>,
    /// What rolls it out.
    rollout: Vec<Option<usize>>,
    sent: Vec<Sent>,
    trouble: usize,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

impl Stream {
    /// The stream of a seed, over so many days. The fewer they are, the more troubles of related
    /// services meet by chance, which nobody could tell from one trouble by times and names.
    pub fn new(seed: u64, days: i64) -> Self {
        let long = days * DAY;
        let mut maker = Maker {
            random: StdRng::seed_from_u64(seed),
            calls: Vec::new(),
            rollout: Vec::new(),
            sent: Vec::new(),
            trouble: 0,
        };
        let catalog = Arc::new(maker.catalog());
        for _ in 0..TROUBLES {
            let begins = maker.random.random_range(0..long);
            let root = maker.random.random_range(0..SERVICES);
            let hit = maker.go_wrong(root, begins);
            if maker.random.random_bool(0.3) {
                // In the same minute, somewhere that has nothing to do with it.
                let strangers: Vec<usize> = (0..SERVICES)
                    .filter(|other| hit.iter().all(|one| !maker.related(*one, *other)))
                    .collect();
                if !strangers.is_empty() {
                    let other = strangers[maker.random.random_range(0..strangers.len())];
                    let begins = begins + maker.random.random_range(0..60);
                    maker.alone(other, begins);
                    maker.trouble += 1;
                }
            }
        }
        if seed.is_multiple_of(5) {
            let begins = maker.random.random_range(0..long);
            maker.storm(begins);
        }
        let kin = maker.kin();
        let Maker { mut sent, trouble, .. } = maker;
        sent.sort_by_key(|sent| sent.arrives);
        let mut lasts: BTreeMap<usize, Timestamp> = BTreeMap::new();
        for sent in &sent {
            let last = lasts.entry(sent.trouble).or_insert(sent.alarm.at);
            *last = (*last).max(sent.alarm.at);
        }
        Self { catalog, sent, troubles: trouble, lasts, kin }
    }
}

impl Maker {
    fn catalog(&mut self) -> Catalog {
        let mut text = String::new();
        for n in 0..SERVICES {
            // Later services call earlier ones: a graph without circles, shallow in the middle.
            let mut calls = BTreeSet::new();
            if n >= 20 {
                for _ in 0..self.random.random_range(0..3) {
                    calls.insert(self.random.random_range(0..n.min(40)));
                }
            }
            let mut outside = Vec::new();
            if self.random.random_bool(0.4) {
                outside.push(format!("store-{}", self.random.random_range(0..14)));
            }
            let rollout = self.random.random_bool(0.15).then(|| self.random.random_range(0..4));
            let depends: Vec<String> = calls
                .iter()
                .map(|n| format!("'svc-{n}'"))
                .chain(outside.iter().map(|o| format!("'{o}'")))
                .collect();
            text.push_str(&format!(
                "[[service]]\nname='svc-{n}'\ntier={}\nenvironment='production'\naccount='123456789012'\n\
                 depends_on=[{}]\necs={{cluster='prod',service='svc-{n}'}}\nalarms=['svc-{n}:*']\n",
                n % 4,
                depends.join(",")
            ));
            if let Some(group) = rollout {
                text.push_str(&format!("codedeploy={{application='app-{group}',deployment_group='prod'}}\n"));
            }
            self.calls.push((calls.into_iter().collect(), outside));
            self.rollout.push(rollout);
        }
        Catalog::parse(&text).unwrap()
    }

    /// Whether somebody who reads the catalog would say that two services have to do with another.
    fn related(&self, one: usize, other: usize) -> bool {
        let reach = |from: usize| {
            let direct = self.calls[from].0.iter().copied();
            direct.flat_map(|n| self.calls[n].0.iter().copied().chain([n])).collect::<BTreeSet<_>>()
        };
        let (a, b) = (&self.calls[one], &self.calls[other]);
        one == other
            || reach(one).contains(&other)
            || reach(other).contains(&one)
            || a.0.iter().any(|n| b.0.contains(n))
            || a.1.iter().any(|n| b.1.contains(n))
            || (self.rollout[one].is_some() && self.rollout[one] == self.rollout[other])
    }

    /// Pairs of troubles of related services.
    fn kin(&self) -> BTreeSet<(usize, usize)> {
        let mut hit: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for sent in &self.sent {
            let service = sent.alarm.name.trim_start_matches("svc-").split(':').next().unwrap();
            hit.entry(sent.trouble).or_default().insert(service.parse().unwrap());
        }
        let mut kin = BTreeSet::new();
        for (one, services) in &hit {
            for (other, theirs) in hit.range(one + 1..) {
                if services.iter().any(|a| theirs.iter().any(|b| self.related(*a, *b))) {
                    kin.insert((*one, *other));
                }
            }
        }
        kin
    }

    /// A trouble of some kind; the services it hits.
    fn go_wrong(&mut self, root: usize, begins: i64) -> Vec<usize> {
        let hit = match self.random.random_range(0..10) {
            0..4 => {
                self.alone(root, begins);
                vec![root]
            }
            4..7 => self.cascade(root, begins),
            7 => self.outside(root, begins),
            8 => self.rolled_out(root, begins),
            _ => {
                self.flaps(root, begins);
                vec![root]
            }
        };
        self.trouble += 1;
        hit
    }

    fn alone(&mut self, service: usize, begins: i64) {
        let lasts = self.random.random_range(300..3600);
        let families = self.random.random_range(1..5);
        for family in 0..families {
            let from = begins + self.random.random_range(0..240);
            self.fires(service, family, from, from + lasts);
        }
    }

    fn cascade(&mut self, root: usize, begins: i64) -> Vec<usize> {
        self.alone(root, begins);
        let mut hit = vec![root];
        for other in 0..SERVICES {
            let near = self.calls[other].0.contains(&root);
            let far = self.calls[other].0.iter().any(|n| self.calls[*n].0.contains(&root));
            let felt = if near {
                0.7
            } else if far {
                0.2
            } else {
                0.0
            };
            if self.random.random_bool(felt) {
                let later = begins + self.random.random_range(0..300);
                self.alone(other, later);
                hit.push(other);
            }
        }
        hit
    }

    /// Something outside fails, and only those who call it notice.
    fn outside(&mut self, root: usize, begins: i64) -> Vec<usize> {
        let Some(store) = self.calls[root].1.first().cloned() else {
            self.alone(root, begins);
            return vec![root];
        };
        let mut hit = Vec::new();
        for other in 0..SERVICES {
            if self.calls[other].1.contains(&store) {
                let later = begins + self.random.random_range(0..90);
                self.fires(other, 0, later, later + 1200);
                hit.push(other);
            }
        }
        hit
    }

    fn rolled_out(&mut self, root: usize, begins: i64) -> Vec<usize> {
        let group = self.rollout[root];
        let together = |n: &usize| group.is_some() && self.rollout[*n] == group || *n == root;
        let hit: Vec<usize> = (0..SERVICES).filter(together).collect();
        for n in hit.clone() {
            let later = begins + self.random.random_range(0..300);
            self.alone(n, later);
        }
        hit
    }

    fn flaps(&mut self, service: usize, begins: i64) {
        let mut from = begins;
        for _ in 0..self.random.random_range(3..9) {
            let until = from + self.random.random_range(60..360);
            self.fires(service, 1, from, until);
            from = until + self.random.random_range(60..360);
        }
    }

    /// Everything at once, whatever it has to do with another.
    fn storm(&mut self, begins: i64) {
        for service in 0..SERVICES {
            if self.random.random_bool(0.8) {
                let later = begins + self.random.random_range(0..180);
                self.fires(service, 0, later, later + 1800);
            }
        }
        self.trouble += 1;
    }

    fn fires(&mut self, service: usize, family: usize, from: i64, until: i64) {
        let (metric, dimensions): (&str, Vec<(&str, String)>) = match family {
            // Dimensions that strangers have as well.
            0 => ("HTTPCode_Target_5XX_Count", vec![("LoadBalancer", format!("app/shared-{}", service % 3))]),
            1 => (
                "CPUUtilization",
                vec![("ClusterName", "prod".into()), ("ServiceName", format!("svc-{service}"))],
            ),
            2 => ("TargetResponseTime", vec![("LoadBalancer", format!("app/shared-{}", service % 3))]),
            _ => ("Errors", vec![("Stage", "prod".into())]),
        };
        let base = Alarm {
            name: format!("svc-{service}: {metric}"),
            arn: None,
            account: Some("123456789012".to_owned()),
            region: Some("us-east-1".to_owned()),
            state: AlarmState::Alarm,
            previous: Some(AlarmState::Ok),
            at: at(from),
            reason: String::new(),
            description: None,
            threshold: None,
            watch: Watch::Metric {
                metric: WatchedMetric {
                    namespace: "N".to_owned(),
                    name: metric.to_owned(),
                    stat: None,
                    period_s: None,
                    dimensions: dimensions.into_iter().map(|(n, v)| (n.to_owned(), v)).collect(),
                },
            },
            suppressed: None,
            suppressed_until: None,
            severity: None,
            mark: None,
        };
        self.send(base.clone());
        if family == 0 && self.random.random_bool(0.5) {
            // A second threshold on the same metric.
            let worse = at(from + self.random.random_range(0..120));
            let critical = Alarm { name: format!("{} critical", base.name), at: worse, ..base.clone() };
            let better = at(until.max(worse.as_second() - at(0).as_second() + 1));
            self.send(critical.clone());
            self.send(Alarm { state: AlarmState::Ok, at: better, ..critical });
        }
        self.send(Alarm { state: AlarmState::Ok, previous: Some(AlarmState::Alarm), at: at(until), ..base });
    }

    fn send(&mut self, alarm: Alarm) {
        let usual = self.random.random_range(0..20);
        let late = if self.random.random_bool(0.05) { self.random.random_range(0..300) } else { 0 };
        let arrives = alarm.at.checked_add(SignedDuration::from_secs(usual + late)).unwrap();
        let trouble = self.trouble;
        if self.random.random_bool(0.05) {
            let again =
                arrives.checked_add(SignedDuration::from_secs(self.random.random_range(1..200))).unwrap();
            self.sent.push(Sent { arrives: again, alarm: alarm.clone(), trouble });
        }
        self.sent.push(Sent { arrives, alarm, trouble });
    }
}

/// How well alarms were put together.
#[derive(Debug, Clone, Copy, Default)]
pub struct Score {
    /// Alarms that fired, each counted once.
    pub alarms: usize,
    pub troubles: usize,
    pub incidents: usize,
    /// Pairs of alarms in one incident, and how many of them are of one trouble.
    pub joined: u64,
    pub rightly: u64,
    /// Pairs of alarms of one trouble.
    pub related: u64,
    /// Pairs of alarms in one incident that are of two troubles of related services.
    pub by_chance: u64,
    /// Troubles for which an incident was open, at work or with a person, while they lasted.
    pub looked_at: usize,
}

impl Score {
    pub fn precision(&self) -> f64 {
        self.rightly as f64 / self.joined.max(1) as f64
    }

    pub fn recall(&self) -> f64 {
        self.rightly as f64 / self.related.max(1) as f64
    }

    pub fn add(&mut self, other: &Self) {
        self.alarms += other.alarms;
        self.troubles += other.troubles;
        self.incidents += other.incidents;
        self.joined += other.joined;
        self.rightly += other.rightly;
        self.related += other.related;
        self.by_chance += other.by_chance;
        self.looked_at += other.looked_at;
    }
}

/// Plays a stream on a board, with incidents that come to their end, and counts.
pub fn play(stream: &Stream, seed: u64, grouping: Grouping) -> Score {
    let orders = Orders::new(Arc::clone(&stream.catalog), Quiet::default(), grouping);
    let mut random = StdRng::seed_from_u64(seed ^ 0x5eed);
    let mut board = Board::default();
    let mut of: Vec<(IncidentId, usize)> = Vec::new();
    let mut part_of: BTreeMap<IncidentId, IncidentId> = BTreeMap::new();
    let mut ends: BTreeMap<IncidentId, Timestamp> = BTreeMap::new();
    let mut quiet: BTreeMap<IncidentId, Timestamp> = BTreeMap::new();
    let mut closed: BTreeSet<IncidentId> = BTreeSet::new();
    let mut looked_at: BTreeSet<usize> = BTreeSet::new();
    for sent in &stream.sent {
        let now = sent.arrives;
        let over: Vec<IncidentId> =
            ends.iter().filter(|(_, end)| **end <= now).map(|(id, _)| id.clone()).collect();
        for incident in over {
            let end = ends.remove(&incident).unwrap();
            // Closed as over only after ten quiet minutes; else a person has it.
            let calm = quiet
                .get(&incident)
                .is_none_or(|last: &Timestamp| end.duration_since(*last) > SignedDuration::from_mins(10));
            let over = calm && board.group(&incident).is_some_and(|group| group.firing.is_empty());
            board.finish(&incident, !over, end);
            if over {
                closed.insert(incident);
            }
        }
        let ruling = board.decide(&sent.alarm, &orders, now, random.next_u32()).unwrap();
        board.apply(&sent.alarm, &ruling, &orders.grouping, now);
        if let Some(incident) = ruling.decision.incident() {
            quiet.insert(incident.clone(), now);
        }
        // Whether it is looked at while it lasts, by its own times.
        if let Some(incident) = ruling.decision.incident()
            && sent.alarm.state == AlarmState::Alarm
            && !closed.contains(incident)
            && board.group(incident).is_some()
            && now <= stream.lasts[&sent.trouble]
        {
            looked_at.insert(sent.trouble);
        }
        match &ruling.decision {
            Decision::Opened { incident, .. } => {
                let end = now.checked_add(SignedDuration::from_secs(random.random_range(180..1200))).unwrap();
                ends.insert(incident.clone(), end);
                of.push((incident.clone(), sent.trouble));
            }
            Decision::Joined { incident, absorbs, .. } => {
                for other in absorbs {
                    part_of.insert(other.clone(), incident.clone());
                }
                of.push((incident.clone(), sent.trouble));
            }
            _ => {}
        }
    }
    Score { looked_at: looked_at.len(), ..count(&of, &part_of, &stream.kin) }
}

fn count(
    of: &[(IncidentId, usize)],
    part_of: &BTreeMap<IncidentId, IncidentId>,
    kin: &BTreeSet<(usize, usize)>,
) -> Score {
    let whole = |incident: &IncidentId| {
        let mut at = incident;
        while let Some(into) = part_of.get(at) {
            at = into;
        }
        at.clone()
    };
    let mut cells: BTreeMap<(IncidentId, usize), u64> = BTreeMap::new();
    let (mut incidents, mut troubles) = (BTreeMap::new(), BTreeMap::new());
    for (incident, trouble) in of {
        let incident = whole(incident);
        *incidents.entry(incident.clone()).or_insert(0_u64) += 1;
        *troubles.entry(*trouble).or_insert(0_u64) += 1;
        *cells.entry((incident, *trouble)).or_insert(0) += 1;
    }
    let mut by_chance = 0;
    for ((incident, one), count) in &cells {
        let others =
            cells.range((incident.clone(), one + 1)..).take_while(|((other, _), _)| other == incident);
        by_chance += others
            .filter(|((_, other), _)| kin.contains(&(*one, *other)))
            .map(|(_, n)| n * count)
            .sum::<u64>();
    }
    let pairs = |counts: &mut dyn Iterator<Item = u64>| counts.map(|n| n * n.saturating_sub(1) / 2).sum();
    Score {
        looked_at: 0,
        by_chance,
        alarms: of.len(),
        troubles: troubles.len(),
        incidents: incidents.len(),
        joined: pairs(&mut incidents.values().copied()),
        rightly: pairs(&mut cells.values().copied()),
        related: pairs(&mut troubles.values().copied()),
    }
}
