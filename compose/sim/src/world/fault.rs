//! Faults in effect: how strong each is at a moment, and what cures it.

use crate::scenario::spec::{Cure, FaultSpec, ServiceSpec};

/// How an action changes a fault: from full strength at `start_ms` down to `to` at `end_ms`, and
/// back up over `regrows_ms` where it only eases.
#[derive(Debug, Clone, Copy)]
struct Relief {
    start_ms: i64,
    end_ms: i64,
    from: f64,
    to: f64,
    regrows_ms: Option<i64>,
}

impl Relief {
    fn factor(&self, at_ms: i64) -> f64 {
        if at_ms <= self.start_ms {
            return self.from;
        }
        if at_ms < self.end_ms {
            let done = (at_ms - self.start_ms) as f64 / (self.end_ms - self.start_ms) as f64;
            return self.from + (self.to - self.from) * done;
        }
        match self.regrows_ms {
            Some(ms) if ms > 0 => {
                let grown = (at_ms - self.end_ms) as f64 / ms as f64;
                (self.to + (1.0 - self.to) * grown).min(1.0)
            }
            Some(_) => 1.0,
            None => self.to,
        }
    }
}

/// All faults of the world.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    list: Vec<(FaultSpec, Option<Relief>)>,
}

/// What the faults of a service do to it at a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effects {
    pub(crate) error_share: f64,
    pub(crate) latency_ms: f64,
    pub(crate) traffic: f64,
    pub(crate) silent: bool,
    pub(crate) cpu: f64,
    pub(crate) memory: f64,
    pub(crate) tasks_down: u32,
}

impl Faults {
    pub(crate) fn new(list: Vec<FaultSpec>) -> Self {
        Self { list: list.into_iter().map(|f| (f, None)).collect() }
    }

    /// The faults with their index.
    pub(crate) fn specs(&self) -> impl Iterator<Item = (usize, &FaultSpec)> {
        self.list.iter().map(|(spec, _)| spec).enumerate()
    }

    /// How strong a fault is, 0 to 1.
    pub(crate) fn strength(&self, index: usize, at_ms: i64) -> f64 {
        let Some((fault, _)) = self.list.get(index) else { return 0.0 };
        if at_ms < fault.at_ms || fault.until_ms.is_some_and(|until| at_ms >= until) {
            return 0.0;
        }
        let ramp = if fault.ramp_ms <= 0 {
            1.0
        } else {
            ((at_ms - fault.at_ms) as f64 / fault.ramp_ms as f64).min(1.0)
        };
        ramp * self.relief(index, at_ms)
    }

    /// What actions have left of a fault, including those on the fault it follows.
    fn relief(&self, index: usize, at_ms: i64) -> f64 {
        let Some((fault, relief)) = self.list.get(index) else { return 1.0 };
        let own = relief.as_ref().map_or(1.0, |r| r.factor(at_ms));
        match fault.follows {
            // A fault only follows one that stands above it.
            Some(lead) if lead < index => own * self.relief(lead, at_ms),
            _ => own,
        }
    }

    /// The effects on a service.
    pub(crate) fn effects(&self, service: usize, base: &ServiceSpec, at_ms: i64) -> Effects {
        let mut e = Effects {
            error_share: base.error_share,
            latency_ms: base.latency_ms,
            traffic: 1.0,
            silent: false,
            cpu: base.cpu,
            memory: base.memory,
            tasks_down: 0,
        };
        for (index, (fault, _)) in self.list.iter().enumerate().filter(|(_, (f, _))| f.service == service) {
            let s = self.strength(index, at_ms);
            if s <= 0.0 {
                continue;
            }
            e.error_share = 1.0 - (1.0 - e.error_share) * (1.0 - fault.error_share * s);
            e.latency_ms += fault.latency_ms * s;
            e.traffic *= 1.0 + (fault.traffic - 1.0) * s;
            e.silent |= fault.silent && s > 0.5;
            e.cpu += fault.cpu.map_or(0.0, |cpu| (cpu - base.cpu) * s);
            e.memory += fault.memory.map_or(0.0, |memory| (memory - base.memory) * s);
            if s > 0.5 {
                e.tasks_down += fault.tasks_down;
            }
        }
        e
    }

    /// Whether any fault of a service is in effect.
    pub(crate) fn any(&self, service: usize, at_ms: i64) -> bool {
        self.specs().any(|(i, f)| f.service == service && self.strength(i, at_ms) > 0.2)
    }

    /// All tasks of a service are replaced between `start_ms` and `end_ms`.
    pub(crate) fn restarted(&mut self, service: usize, start_ms: i64, end_ms: i64) {
        self.relieve(start_ms, end_ms, |f| {
            if f.service != service {
                None
            } else if f.cured_by.contains(&Cure::Restart) {
                Some((0.0, None))
            } else if f.eased_by.contains(&Cure::Restart) {
                Some((f.ease_to, Some(f.regrows_ms)))
            } else {
                None
            }
        });
    }

    /// A service goes to a revision; `brought` says whether a deployment of the scenario brought
    /// the revision that it goes to.
    pub(crate) fn deployed(
        &mut self,
        service: usize,
        start_ms: i64,
        end_ms: i64,
        brought: impl Fn(usize) -> bool,
    ) {
        self.relieve(start_ms, end_ms, |f| {
            let deployment = f.deployment?;
            if f.service != service || brought(deployment) {
                // Going (back) to the bad revision brings the fault back.
                return (f.service == service && f.cured_by.contains(&Cure::Rollback)).then_some((1.0, None));
            }
            if f.cured_by.contains(&Cure::Rollback) {
                Some((0.0, None))
            } else if f.eased_by.contains(&Cure::Rollback) {
                Some((f.ease_to, Some(f.regrows_ms)))
            } else {
                None
            }
        });
        self.restarted(service, start_ms, end_ms);
    }

    /// A service has `tasks` tasks from `end_ms` on; it had `before` in the beginning.
    pub(crate) fn scaled(&mut self, service: usize, start_ms: i64, end_ms: i64, before: u32, tasks: u32) {
        self.relieve(start_ms, end_ms, |f| {
            let helps = f.cured_by.contains(&Cure::Scale) || f.eased_by.contains(&Cure::Scale);
            if f.service != service || !helps {
                return None;
            }
            let wanted = f64::from(f.needs_tasks.saturating_sub(before)).max(1.0);
            let left = 1.0 - (f64::from(tasks) - f64::from(before)) / wanted;
            let floor = if f.cured_by.contains(&Cure::Scale) { 0.0 } else { f.ease_to };
            Some((left.clamp(floor, 1.0), None))
        });
    }

    fn relieve(
        &mut self,
        start_ms: i64,
        end_ms: i64,
        how: impl Fn(&FaultSpec) -> Option<(f64, Option<i64>)>,
    ) {
        for (fault, relief) in &mut self.list {
            let Some((to, regrows_ms)) = how(fault) else { continue };
            let from = relief.as_ref().map_or(1.0, |r| r.factor(start_ms));
            *relief = Some(Relief { start_ms, end_ms: end_ms.max(start_ms + 1), from, to, regrows_ms });
        }
    }
}
