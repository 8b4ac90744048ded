//! Services of many kinds and what was deployed to them, as it happened: who is guilty of what comes later.

use super::random::Random;

/// An hour and a day, in seconds.
pub const HOUR: i64 = 3600;
pub const DAY: i64 = 24 * HOUR;
/// Deployments a day, from one a week to fifty a day.
const RATES: [f64; 7] = [1.0 / 7.0, 0.5, 1.0, 3.0, 8.0, 20.0, 50.0];
/// Shortest and longest rollout in seconds: replaced at once, rolling, canary.
const ROLLOUTS: [(i64, i64); 3] = [(60, 180), (180, 720), (720, 2400)];
/// Of all deployments: those that do not succeed, that bring what already runs, and that are taken back.
const FAILS: f64 = 0.04;
const SAME: f64 = 0.05;
const TAKEN_BACK: f64 = 0.03;

/// What a deployment brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brings {
    /// Something new.
    New,
    /// What already runs.
    Same,
    /// What ran before the event of this number.
    Back(usize),
}

/// A deployment, as it happened.
#[derive(Debug, Clone, Copy)]
pub struct Event {
    pub at: i64,
    pub end: i64,
    pub brings: Brings,
    pub revision: usize,
    pub failed: bool,
}

/// A service, or what one depends on.
#[derive(Debug)]
pub struct Service {
    /// Deployments a day.
    pub rate: f64,
    rollout: (i64, i64),
    pub events: Vec<Event>,
}

impl Service {
    /// A service that was deployed to for so many days.
    pub fn new(random: &mut Random, days: i64) -> Self {
        let rate = random.one_of(&RATES) * (0.7 + 0.7 * random.unit());
        let (shortest, longest) = random.one_of(&ROLLOUTS);
        let usual = random.within(shortest..longest);
        let mut made = Self { rate, rollout: (usual * 4 / 5, usual * 5 / 4), events: Vec::new() };
        // Seven of ten teams deploy when they are at work.
        let at_work = random.happens(0.7);
        let mut active = 0.0;
        loop {
            active += random.exponential(DAY as f64 / made.rate);
            let at = if at_work { working(active) } else { active as i64 };
            if at >= days * DAY {
                return made;
            }
            made.deploy(random, at);
        }
    }

    /// One deployment, with what follows from it: another attempt where it failed, another that takes it back.
    fn deploy(&mut self, random: &mut Random, at: i64) {
        let brings = if random.happens(SAME) { Brings::Same } else { Brings::New };
        let number = self.push(random, at, brings);
        if random.happens(FAILS) {
            let event = &mut self.events[number];
            event.failed = true;
            event.end = event.at + (event.end - event.at) * random.within(3..11) / 10;
            let again = event.end + random.within(300..2400);
            if random.happens(0.6) {
                self.push(random, again, Brings::New);
            }
        } else if random.happens(TAKEN_BACK) {
            let back = self.events[number].end + random.within(600..5400);
            self.push(random, back, Brings::Back(number));
        }
    }

    /// Adds a deployment that goes well, and says which number it has.
    pub fn push(&mut self, random: &mut Random, at: i64, brings: Brings) -> usize {
        let number = self.events.len();
        // One at a time, as CodeDeploy has it.
        let free = self.events.last().map_or(i64::MIN, |last| last.end + 20);
        let at = at.max(free);
        let (shortest, longest) = self.rollout;
        let end = at + random.within(shortest..longest + 1);
        let before =
            |n: usize| self.events[..n].iter().rev().find(|e| !e.failed).map_or(usize::MAX, |e| e.revision);
        let revision = match brings {
            Brings::New => number,
            Brings::Same => before(number),
            Brings::Back(of) => before(of),
        };
        self.events.push(Event { at, end, brings, revision, failed: false });
        number
    }
}

/// The clock when so many seconds have passed at work: ten hours on five of seven days, as many in all.
fn working(active: f64) -> i64 {
    let worked = (active * 50.0 / 168.0) as i64;
    let (days, into) = (worked / (10 * HOUR), worked % (10 * HOUR));
    (days / 5 * 7 + days % 5) * DAY + 8 * HOUR + into
}

/// Whether people are at work.
pub fn is_working(at: i64) -> bool {
    at.rem_euclid(7 * DAY) < 5 * DAY && (8 * HOUR..18 * HOUR).contains(&at.rem_euclid(DAY))
}
