//! The sums that ceilings are held against. Pure: no clock, no store, no lock.
//!
//! INVARIANT: through [`Accounts::reserve`] no account's settled + reserved ever passes the
//! ceiling that the caller names for it; either all accounts of a call take its worst case or none
//! does. Settling at no more than was reserved keeps that so.

use std::{collections::HashMap, fmt, sync::Arc};

use midwatch_policy::Timestamp;

use super::{Ask, Ceilings};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// Something that has a ceiling.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Tokens of one specialist in one incident.
    Specialist(Arc<str>, Arc<str>),
    /// One incident.
    Incident(Arc<str>),
    /// One service in one hour, counted from the epoch.
    ServiceHour(Arc<str>, i64),
    /// One hour, counted from the epoch.
    Hour(i64),
    /// One day, counted from the epoch.
    Day(i64),
}

impl Scope {
    /// The scopes of a call, narrowest first, with what it wants of each and the ceiling there.
    pub fn of(ask: &Ask, ceilings: &Ceilings) -> Vec<Want> {
        let second = ask.at.as_second();
        let (hour, day) = (second.div_euclid(HOUR), second.div_euclid(DAY));
        let money = ask.worst_micro_usd;
        let mut wants = Vec::with_capacity(5);
        if let Some(specialist) = ask.item.specialist() {
            let scope = Self::Specialist(Arc::clone(&ask.incident), specialist.into());
            wants.push(Want { scope, amount: ask.tokens, ceiling: ask.token_budget });
        }
        let incident = Self::Incident(Arc::clone(&ask.incident));
        wants.push(Want { scope: incident, amount: money, ceiling: ceilings.incident_micro_usd });
        if let Some(service) = &ask.service {
            let scope = Self::ServiceHour(Arc::clone(service), hour);
            wants.push(Want { scope, amount: money, ceiling: ceilings.service_hour_micro_usd });
        }
        wants.push(Want { scope: Self::Hour(hour), amount: money, ceiling: ceilings.hour_micro_usd });
        wants.push(Want { scope: Self::Day(day), amount: money, ceiling: ceilings.day_micro_usd });
        wants
    }

    /// Whether it is of a time before `at` and no call of that time or later counts in it.
    pub fn is_past(&self, at: Timestamp) -> bool {
        let second = at.as_second();
        match self {
            Self::ServiceHour(_, hour) | Self::Hour(hour) => *hour < second.div_euclid(HOUR),
            Self::Day(day) => *day < second.div_euclid(DAY),
            Self::Specialist(..) | Self::Incident(_) => false,
        }
    }

    /// The incident it belongs to, if it is of one.
    pub fn incident(&self) -> Option<&str> {
        match self {
            Self::Specialist(incident, _) | Self::Incident(incident) => Some(incident),
            Self::ServiceHour(..) | Self::Hour(_) | Self::Day(_) => None,
        }
    }

    /// A name that is unique and stays the same: the key in a store.
    pub fn key(&self) -> String {
        match self {
            Self::Specialist(incident, name) => format!("specialist/{incident}/{name}"),
            Self::Incident(incident) => format!("incident/{incident}"),
            Self::ServiceHour(service, hour) => format!("service-hour/{hour}/{service}"),
            Self::Hour(hour) => format!("hour/{hour}"),
            Self::Day(day) => format!("day/{day}"),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Specialist(_, name) => write!(f, "`{name}`"),
            Self::Incident(_) => f.write_str("the incident"),
            Self::ServiceHour(service, _) => write!(f, "`{service}` for this hour"),
            Self::Hour(_) => f.write_str("this hour"),
            Self::Day(_) => f.write_str("this day"),
        }
    }
}

/// What a call wants of a scope: tokens of a specialist, micro-dollars of every other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// Where.
    pub scope: Scope,
    /// The worst case.
    pub amount: u64,
    /// What settled + reserved may come to there.
    pub ceiling: u64,
}

/// A ceiling that a call would pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Short {
    /// Where.
    pub scope: Scope,
    /// What the call wants.
    pub wants: u64,
    /// What is left there.
    pub left: u64,
}

/// Sums of one scope.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// Spent.
    pub settled: u64,
    /// Set aside for calls under way.
    pub reserved: u64,
}

/// All sums.
#[derive(Debug, Default)]
pub struct Accounts(HashMap<Scope, Account>);

impl Accounts {
    /// Sets the worst case aside everywhere, or nowhere. A scope that is not known yet begins with
    /// what `before` says was spent there; if it cannot say, nothing is set aside.
    pub fn reserve<E>(
        &mut self,
        wants: &[Want],
        mut before: impl FnMut(&Scope) -> Result<u64, E>,
    ) -> Result<Result<(), Short>, E> {
        for want in wants {
            if !self.0.contains_key(&want.scope) {
                let settled = before(&want.scope)?;
                self.0.insert(want.scope.clone(), Account { settled, reserved: 0 });
            }
        }
        for want in wants {
            let account = self.of(&want.scope);
            let left = want.ceiling.saturating_sub(account.settled).saturating_sub(account.reserved);
            if want.amount > left {
                return Ok(Err(Short { scope: want.scope.clone(), wants: want.amount, left }));
            }
        }
        for want in wants {
            let account = self.0.entry(want.scope.clone()).or_default();
            account.reserved = account.reserved.saturating_add(want.amount);
        }
        Ok(Ok(()))
    }

    /// Begins a scope that is not known yet with what was spent there.
    pub fn begin(&mut self, scope: Scope, settled: u64) {
        self.0.entry(scope).or_insert(Account { settled, reserved: 0 });
    }

    /// Takes a reservation back and books what was used instead: micro-dollars and tokens.
    pub fn settle(&mut self, wants: &[Want], micro_usd: u64, tokens: u64) {
        for want in wants {
            let used = match want.scope {
                Scope::Specialist(..) => tokens,
                _ => micro_usd,
            };
            let account = self.0.entry(want.scope.clone()).or_default();
            account.reserved = account.reserved.saturating_sub(want.amount);
            account.settled = account.settled.saturating_add(used);
        }
    }

    /// The sums of a scope.
    pub fn of(&self, scope: &Scope) -> Account {
        self.0.get(scope).copied().unwrap_or_default()
    }

    /// Every scope with its sums.
    pub fn all(&self) -> impl Iterator<Item = (&Scope, &Account)> {
        self.0.iter()
    }

    /// Forgets scopes that nothing is reserved in and that `gone` says are not needed.
    pub fn forget(&mut self, mut gone: impl FnMut(&Scope) -> bool) {
        self.0.retain(|scope, account| account.reserved > 0 || !gone(scope));
    }
}
