//! A change freeze.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::{
    catalog::{Environment, Service, Tier},
    fields::Fields,
    id::ServiceName,
    problem::Problem,
};

/// A span of time in which nothing is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    /// Unique name.
    pub id: String,
    /// Why, for people.
    pub reason: String,
    /// The first moment of it.
    pub from: Timestamp,
    /// The first moment after it.
    pub to: Timestamp,
    /// Of these services; empty means every service.
    services: BTreeSet<ServiceName>,
    /// In these environments; empty means every environment.
    environments: BTreeSet<Environment>,
    /// Of these tiers; empty means every tier.
    tiers: BTreeSet<Tier>,
}

impl Freeze {
    /// Whether it is about the service, at whatever time.
    pub fn covers(&self, service: &Service) -> bool {
        (self.services.is_empty() || self.services.contains(&service.name))
            && (self.environments.is_empty() || self.environments.contains(&service.environment))
            && (self.tiers.is_empty() || self.tiers.contains(&service.tier))
    }

    /// Services that are named.
    pub fn services(&self) -> impl Iterator<Item = &ServiceName> {
        self.services.iter()
    }

    /// Reads a table. Without `services` and `environments` it is about all of production; services that are
    /// named are frozen wherever they run.
    pub fn read(mut table: Fields<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
        let before = problems.len();
        let id = table.text("id", "give it a short name: `id = \"year-end\"`", problems);
        let reason = table.text("reason", "say why to people: `reason = \"…\"`", problems);
        let from = table.moment("from", problems);
        let to = table.moment("to", problems);
        let services = list(&mut table, "services", "[\"checkout-api\"]", problems);
        let environments = list(&mut table, "environments", "[\"production\", \"staging\"]", problems);
        let tiers = list(&mut table, "tiers", "[0, 1]", problems);
        if let (Some(from), Some(to)) = (from, to)
            && from >= to
        {
            problems.push(table.wrong("it ends before it begins", "let `to` be later than `from`"));
        }
        table.finish("id, reason, from, to, services, environments, tiers", problems);
        let named = services.as_ref().is_some_and(|services| !services.is_empty());
        let environments = match environments {
            None if !named => BTreeSet::from([Environment::Production]),
            environments => environments.unwrap_or_default(),
        };
        (problems.len() == before).then_some(())?;
        Some(Self {
            id: id?,
            reason: reason?,
            from: from?,
            to: to?,
            services: services.unwrap_or_default(),
            environments,
            tiers: tiers.unwrap_or_default(),
        })
    }
}

/// A list that, where it is given, has something in it: an empty one would say nothing or all.
fn list<T: serde::de::DeserializeOwned + Ord>(
    table: &mut Fields<'_>,
    key: &str,
    form: &str,
    problems: &mut Vec<Problem>,
) -> Option<BTreeSet<T>> {
    let list: BTreeSet<T> = table.take(key, form, problems)?;
    if list.is_empty() {
        problems.push(table.wrong(&format!("`{key}` is empty"), "name at least one, or leave it out"));
    }
    Some(list)
}
