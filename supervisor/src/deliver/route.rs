//! Which chain a notice takes: the first route that wants it, and every route before that which
//! wants it `also`.

use midwatch_policy::{Calendar, Service, ServiceName, Timestamp, glob};
use serde::Deserialize;

use super::{
    chain::Link,
    notice::{Kind, Notice, Severity},
};

/// When a route counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Hours {
    /// Always.
    Any,
    /// In the business hours of all who own the service.
    Business,
    /// Outside them. A service that the catalog does not know has no hours, so it is always off.
    Off,
}

/// What a route wants. What is absent is not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Names of services; `*` stands for any run of characters.
    pub(super) services: Option<Vec<String>>,
    /// Tiers.
    pub(super) tiers: Option<Vec<u8>>,
    /// Severities.
    pub(super) severities: Option<Vec<Severity>>,
    /// Kinds.
    pub(super) kinds: Option<Vec<Kind>>,
    /// Hours.
    pub(super) hours: Hours,
}

impl Wanted {
    /// Whether it wants whatever there is.
    pub(super) fn is_everything(&self) -> bool {
        let Self { services, tiers, severities, kinds, hours } = self;
        services.is_none()
            && tiers.is_none()
            && severities.is_none()
            && kinds.is_none()
            && *hours == Hours::Any
    }

    /// Whether one of its lists can match nothing.
    pub(super) fn is_empty_anywhere(&self) -> bool {
        let Self { services, tiers, severities, kinds, hours: _ } = self;
        services.as_ref().is_some_and(Vec::is_empty)
            || tiers.as_ref().is_some_and(Vec::is_empty)
            || severities.as_ref().is_some_and(Vec::is_empty)
            || kinds.as_ref().is_some_and(Vec::is_empty)
    }

    fn wants(&self, notice: &Notice, in_hours: bool) -> bool {
        let about = &notice.about;
        let name = about.service_name().map(ServiceName::as_str);
        let named = |patterns: &Vec<String>| name.is_some_and(|name| patterns.iter().any(|p| glob(p, name)));
        let tier = |tiers: &Vec<u8>| about.tier().is_some_and(|tier| tiers.contains(&tier.get()));
        self.services.as_ref().is_none_or(named)
            && self.tiers.as_ref().is_none_or(tier)
            && self.severities.as_ref().is_none_or(|all| all.contains(&notice.severity))
            && self.kinds.as_ref().is_none_or(|all| all.contains(&notice.kind))
            && match self.hours {
                Hours::Any => true,
                Hours::Business => in_hours,
                Hours::Off => !in_hours,
            }
    }
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    /// Its name.
    pub(super) name: String,
    /// What it wants.
    pub(super) wanted: Wanted,
    /// Whether those after it are looked at as well.
    pub(super) also: bool,
    /// Its chain.
    pub(super) links: Vec<Link>,
}

impl Route {
    /// Its chain for a kind: where nobody has to acknowledge, delivered is enough.
    pub(super) fn chain(&self, kind: Kind) -> Vec<Link> {
        let mut links = self.links.clone();
        if !kind.wants_a_person() {
            for link in &mut links {
                link.ack_within = None;
            }
        }
        links
    }
}

/// All routes, in the order of the file. The last one catches all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Routes(Vec<Route>);

impl Routes {
    /// INVARIANT: whoever calls has checked that a route catches all.
    pub(super) const fn new(routes: Vec<Route>) -> Self {
        Self(routes)
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.0.iter().map(|route| route.name.clone()).collect()
    }

    pub(super) fn named(&self, name: &str) -> Option<&Route> {
        self.0.iter().find(|route| route.name == name)
    }

    /// The routes that a notice takes.
    pub(super) fn pick(&self, notice: &Notice, calendar: &Calendar, now: Timestamp) -> Vec<&Route> {
        let hours = |service: &Service| calendar.business_hours(now, service);
        let in_hours = notice.about.service.as_ref().is_some_and(hours);
        let mut picked = Vec::new();
        for route in self.0.iter().filter(|route| route.wanted.wants(notice, in_hours)) {
            picked.push(route);
            if !route.also {
                break;
            }
        }
        picked
    }
}

#[cfg(test)]
mod tests;
