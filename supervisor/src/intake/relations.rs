//! How services of the catalog are related: what they call, what they share, what deploys them.
//!
//! Made once from a catalog and looked up for every alarm.

use std::collections::{BTreeMap, BTreeSet};

use midwatch_policy::{Catalog, Service, ServiceName};
use serde::{Deserialize, Serialize};

/// A thing that more services than this call says nothing about two of them.
const COMMON: usize = 8;

/// How one service is related to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kinship {
    /// One deployment rolls both out.
    Deployment,
    /// The other one calls it, directly or through one more: trouble here is felt there.
    Dependency,
    /// It calls the other one.
    Dependent,
    /// Both call the same thing.
    Sibling,
}

/// Who is related to whom.
#[derive(Debug, Clone, Default)]
pub struct Relations {
    of: BTreeMap<ServiceName, BTreeMap<ServiceName, Kinship>>,
}

impl Relations {
    /// Of a catalog.
    pub fn of(catalog: &Catalog) -> Self {
        let mut relations = Self::default();
        for (from, to) in siblings(catalog) {
            relations.add(from, to, Kinship::Sibling);
        }
        for service in catalog.services() {
            for callee in calls(catalog, service) {
                // Nearer than being siblings, whatever else they share.
                relations.add(&service.name, callee, Kinship::Dependent);
                relations.add(callee, &service.name, Kinship::Dependency);
            }
        }
        for (from, to) in deployed_together(catalog) {
            relations.add(from, to, Kinship::Deployment);
        }
        relations
    }

    fn add(&mut self, from: &ServiceName, to: &ServiceName, how: Kinship) {
        if from != to {
            self.of.entry(from.clone()).or_default().insert(to.clone(), how);
        }
    }

    /// Everybody related to a service, with what the service is to them.
    pub fn kin(&self, service: &ServiceName) -> impl Iterator<Item = (&ServiceName, Kinship)> {
        self.of.get(service).into_iter().flatten().map(|(other, how)| (other, *how))
    }

    /// What one is to the other.
    pub fn between(&self, one: &ServiceName, other: &ServiceName) -> Option<Kinship> {
        self.of.get(one)?.get(other).copied()
    }
}

/// What a service calls, and what that calls, where the catalog knows it.
fn calls<'a>(catalog: &'a Catalog, service: &'a Service) -> BTreeSet<&'a ServiceName> {
    let direct = service.depends_on.iter().filter_map(|name| catalog.get(name));
    direct
        .flat_map(|callee| {
            let further = callee.depends_on.iter().filter(|name| catalog.get(name).is_some());
            further.chain([&callee.name])
        })
        .collect()
}

/// Pairs that call the same thing, which is not called by everybody.
fn siblings(catalog: &Catalog) -> Vec<(&ServiceName, &ServiceName)> {
    let mut callers: BTreeMap<&ServiceName, Vec<&ServiceName>> = BTreeMap::new();
    for service in catalog.services() {
        for callee in &service.depends_on {
            callers.entry(callee).or_default().push(&service.name);
        }
    }
    pairs(callers.into_values().filter(|callers| callers.len() <= COMMON))
}

fn deployed_together(catalog: &Catalog) -> Vec<(&ServiceName, &ServiceName)> {
    let mut groups: BTreeMap<_, Vec<&ServiceName>> = BTreeMap::new();
    for service in catalog.services() {
        if let Some(target) = &service.codedeploy {
            let place = (&service.account, &service.region);
            groups
                .entry((place, &target.application, &target.deployment_group))
                .or_default()
                .push(&service.name);
        }
    }
    pairs(groups.into_values())
}

fn pairs<'a>(groups: impl Iterator<Item = Vec<&'a ServiceName>>) -> Vec<(&'a ServiceName, &'a ServiceName)> {
    let mut pairs = Vec::new();
    for group in groups {
        pairs.extend(group.iter().flat_map(|one| group.iter().map(|other| (*one, *other))));
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinship_is_directed_and_reaches_two_calls_far() {
        let service = |name: &str, calls: &str, group: &str| {
            format!(
                "[[service]]\nname='{name}'\ntier=1\nenvironment='production'\ndepends_on=[{calls}]\n\
                 codedeploy={{application='shop',deployment_group='{group}'}}\n"
            )
        };
        let catalog = Catalog::parse(
            &[
                service("web", "'cart','auth'", "g1"),
                service("cart", "'stock'", "g2"),
                service("stock", "'stock-db'", "g3"),
                service("prices", "'stock-db'", "g4"),
                service("auth", "", "g1"),
            ]
            .concat(),
        )
        .unwrap();
        let relations = Relations::of(&catalog);
        let name = |text: &str| ServiceName::parse(text).unwrap();
        let between = |one: &str, other: &str| relations.between(&name(one), &name(other));
        assert_eq!(between("cart", "web"), Some(Kinship::Dependency));
        assert_eq!(between("web", "cart"), Some(Kinship::Dependent));
        assert_eq!(between("stock", "web"), Some(Kinship::Dependency));
        assert_eq!(between("stock", "prices"), Some(Kinship::Sibling));
        assert_eq!(between("web", "auth"), Some(Kinship::Deployment));
        assert_eq!(between("web", "prices"), None);
        assert_eq!(relations.kin(&name("stock")).count(), 3);
    }
}
