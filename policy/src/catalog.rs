//! The service catalog: which services there are, where they live, and what bounds them.
//!
//! Parsed once from TOML; every problem is reported at once. A catalog that parsed has unique
//! service names, sane bounds and dependencies that are either services of the catalog or
//! explicitly external names.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{AwsName, ServiceName};

/// How much a service matters; 0 is the most critical.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u8", into = "u8")]
pub struct Tier(u8);

impl Tier {
    /// The tier as a number, 0 to 4.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Tier {
    type Error = String;
    fn try_from(value: u8) -> Result<Self, String> {
        if value <= 4 {
            Ok(Self(value))
        } else {
            Err(format!("tier is {value}, allowed are 0 (most critical) to 4"))
        }
    }
}

impl From<Tier> for u8 {
    fn from(tier: Tier) -> Self {
        tier.0
    }
}

/// Where a service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// Customers depend on it.
    Production,
    /// Rehearsal.
    Staging,
    /// Developers only.
    Development,
}

impl Environment {
    /// As it is written in a catalog.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Staging => "staging",
            Self::Development => "development",
        }
    }
}

/// The autonomy ladder: how far Midwatch may go for a service. Nothing above `ask` exists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Autonomy {
    /// Read-only summary.
    #[default]
    Observe,
    /// Proposals, without asking for approval.
    Advise,
    /// Proposals that a person can approve.
    Ask,
}

/// An ECS service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EcsTarget {
    /// Cluster name.
    pub cluster: AwsName,
    /// ECS service name.
    pub service: AwsName,
}

/// A `CodeDeploy` deployment group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeDeployTarget {
    /// Application name.
    pub application: AwsName,
    /// Deployment group name.
    pub deployment_group: AwsName,
}

/// Bounds within which a service may be scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaleBounds {
    /// Fewest tasks.
    pub min: u32,
    /// Most tasks.
    pub max: u32,
}

/// A `CloudWatch` metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricRef {
    /// Namespace, such as `AWS/ApplicationELB`.
    pub namespace: String,
    /// Metric name, such as `RequestCount`.
    pub name: String,
    /// Statistic: `Sum`, `Average`, `Minimum`, `Maximum`, `SampleCount` or `pNN`.
    pub stat: String,
    /// Dimensions by name.
    #[serde(default)]
    pub dimensions: BTreeMap<String, String>,
}

/// One service of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Unique name.
    pub name: ServiceName,
    /// How much it matters.
    pub tier: Tier,
    /// Where it runs.
    pub environment: Environment,
    /// Teams that own it.
    #[serde(default)]
    pub owners: Vec<String>,
    /// Account id, twelve digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Region, such as `us-east-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Role to assume for reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<AwsName>,
    /// Log groups it writes to.
    #[serde(default)]
    pub log_groups: Vec<String>,
    /// The ECS service that runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ecs: Option<EcsTarget>,
    /// The deployment group that deploys it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codedeploy: Option<CodeDeployTarget>,
    /// The Step Functions state machine that does its work, by its ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_machine: Option<AwsName>,
    /// Services it calls: names of the catalog, or of something external such as `payments-db`.
    #[serde(default)]
    pub depends_on: Vec<ServiceName>,
    /// Alarm names that are about it; `*` matches any run of characters.
    #[serde(default)]
    pub alarms: Vec<String>,
    /// Requests per period: the sign of life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<MetricRef>,
    /// Errors per period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<MetricRef>,
    /// Bounds for scaling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<ScaleBounds>,
    /// How far Midwatch may go.
    #[serde(default)]
    pub autonomy: Autonomy,
    /// Never to be changed by Midwatch, whatever is approved.
    #[serde(default)]
    pub protected: bool,
}

impl Service {
    /// The account it is in, by its own entry or that of its role.
    pub fn home_account(&self) -> Option<&str> {
        self.account.as_deref().or_else(|| self.account_of_role())
    }

    fn account_of_role(&self) -> Option<&str> {
        self.role_arn.as_ref()?.as_str().split(':').nth(4).filter(|account| !account.is_empty())
    }
}

/// Every service, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    services: BTreeMap<ServiceName, Service>,
}

/// What is wrong with a catalog.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// Not TOML, or not the shape of a catalog. The source names line and column.
    #[error("catalog is not readable")]
    Toml(#[from] toml::de::Error),
    /// Readable, but wrong; one line for each problem.
    #[error("catalog is wrong:\n  {}", .0.join("\n  "))]
    Invalid(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCatalog {
    #[serde(default)]
    service: Vec<Service>,
}

impl Catalog {
    /// Parses a catalog: one `[[service]]` table for each service.
    pub fn parse(text: &str) -> Result<Self, CatalogError> {
        Self::new(toml::from_str::<RawCatalog>(text)?.service)
    }

    /// A catalog of these services.
    pub fn new(list: Vec<Service>) -> Result<Self, CatalogError> {
        let mut problems = Vec::new();
        let mut services = BTreeMap::new();
        for service in list {
            check(&service, &mut problems);
            if let Some(twice) = services.insert(service.name.clone(), service) {
                problems.push(format!("service `{}` stands there twice: remove one", twice.name));
            }
        }
        aliases(&services, &mut problems);
        if problems.is_empty() { Ok(Self { services }) } else { Err(CatalogError::Invalid(problems)) }
    }

    /// The service of that name.
    pub fn get(&self, name: &ServiceName) -> Option<&Service> {
        self.services.get(name)
    }

    /// All services, ordered by name.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.values()
    }

    /// Services that call `name` directly.
    pub fn dependents(&self, name: &ServiceName) -> Vec<&Service> {
        self.services.values().filter(|s| s.depends_on.contains(name)).collect()
    }

    /// The service an alarm is about, wherever it is from.
    pub fn service_of_alarm(&self, alarm: &str, dimensions: &BTreeMap<String, String>) -> Option<&Service> {
        self.service_of_alarm_from(alarm, dimensions, Whence::default())
    }

    /// The service an alarm from there is about: by the catalog's alarm patterns, then by its dimensions
    /// (`ServiceName` with `ClusterName`, `StateMachineArn`, or those of the service's own metrics), then
    /// by the longest service name that the alarm's name contains as a whole word. Of several that fit, the one
    /// that the catalog puts into that account and region.
    pub fn service_of_alarm_from(
        &self,
        alarm: &str,
        dimensions: &BTreeMap<String, String>,
        from: Whence<'_>,
    ) -> Option<&Service> {
        // The same names elsewhere are other things, such as the rehearsal's.
        let mut here: Vec<&Service> =
            self.services.values().filter(|service| from.may_be_of(service)).collect();
        here.sort_by_key(|service| std::cmp::Reverse(from.agrees(service)));
        let first = |fits: &dyn Fn(&Service) -> bool| here.iter().copied().find(|service| fits(service));
        first(&|s| s.alarms.iter().any(|pattern| glob(pattern, alarm)))
            .or_else(|| first(&|s| has_dimensions(s, dimensions)))
            .or_else(|| {
                let named = here.iter().rev().copied().filter(|s| contains_word(alarm, s.name.as_str()));
                named.max_by_key(|s| s.name.as_str().len())
            })
    }
}

/// Where an alarm says it is from. What either side does not say is not held against the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Whence<'a> {
    /// AWS account.
    pub account: Option<&'a str>,
    /// Region, as `eu-west-1`.
    pub region: Option<&'a str>,
}

impl Whence<'_> {
    /// Whether something from there can be of a service.
    pub fn may_be_of(self, service: &Service) -> bool {
        let agree = |declared: Option<&str>, said: Option<&str>| {
            declared.zip(said).is_none_or(|(declared, said)| declared == said)
        };
        agree(service.home_account(), self.account) && agree(service.region.as_deref(), self.region)
    }

    /// How much of it the catalog says of a service, too.
    fn agrees(self, service: &Service) -> u8 {
        let same =
            |declared: Option<&str>, said: Option<&str>| u8::from(declared.is_some() && declared == said);
        same(service.home_account(), self.account) + same(service.region.as_deref(), self.region)
    }
}

fn check(service: &Service, problems: &mut Vec<String>) {
    let name = &service.name;
    if let Some(account) = &service.account
        && (account.len() != 12 || !account.bytes().all(|b| b.is_ascii_digit()))
    {
        problems.push(format!("service `{name}`: account `{account}` is not twelve digits"));
    }
    if let (Some(account), Some(other)) = (&service.account, service.account_of_role())
        && account != other
    {
        problems.push(format!(
            "service `{name}`: its account is `{account}`, and its `role_arn` is of account `{other}`"
        ));
    }
    if let Some(bounds) = service.scale
        && (bounds.min > bounds.max || bounds.max == 0)
    {
        problems.push(format!(
            "service `{name}`: scale needs min <= max and max >= 1, got {} and {}",
            bounds.min, bounds.max
        ));
    }
    if let Some(machine) = &service.state_machine
        && state_machine_name(machine.as_str()).is_none()
    {
        problems.push(format!(
            "service `{name}`: state_machine `{machine}` is not the ARN of a state machine: write \
             arn:aws:states:REGION:ACCOUNT:stateMachine:NAME"
        ));
    }
    if service.depends_on.contains(name) {
        problems.push(format!("service `{name}` depends on itself"));
    }
    if service.depends_on.iter().collect::<BTreeSet<_>>().len() != service.depends_on.len() {
        problems.push(format!("service `{name}` names a dependency twice"));
    }
}

/// One ECS service under two names would have two tiers, two owners and two counts of what was done. A
/// deployment group may well be that of several services.
fn aliases(services: &BTreeMap<ServiceName, Service>, problems: &mut Vec<String>) {
    let mut known = BTreeMap::new();
    for service in services.values() {
        let Some(ecs) = &service.ecs else { continue };
        if let Some(other) =
            known.insert((service.home_account(), service.region.as_deref(), ecs), &service.name)
        {
            problems.push(format!(
                "services `{other}` and `{}` are one ECS service, `{}/{}`: keep one of them",
                service.name, ecs.cluster, ecs.service
            ));
        }
    }
}

/// The name in the ARN of a state machine; one of a version or an alias (`…:NAME:7`) is none.
pub fn state_machine_name(arn: &str) -> Option<&str> {
    let parts: Vec<&str> = arn.split(':').collect();
    match *parts.as_slice() {
        ["arn", _, "states", _, _, "stateMachine", name] if !name.is_empty() => Some(name),
        _ => None,
    }
}

fn has_dimensions(service: &Service, dimensions: &BTreeMap<String, String>) -> bool {
    if let (Some(ecs), Some(found)) = (&service.ecs, dimensions.get("ServiceName")) {
        let cluster = dimensions.get("ClusterName").is_none_or(|c| c == ecs.cluster.as_str());
        if cluster && found == ecs.service.as_str() {
            return true;
        }
    }
    if let (Some(machine), Some(found)) = (&service.state_machine, dimensions.get("StateMachineArn"))
        && found == machine.as_str()
    {
        return true;
    }
    [&service.traffic, &service.errors]
        .into_iter()
        .flatten()
        .any(|metric| !metric.dimensions.is_empty() && metric.dimensions == *dimensions)
}

/// Matches `*` against any run of characters; everything else is literal.
pub fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    let mut rest = rest;
    for part in middle {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}

fn contains_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).and_then(|t| t.chars().next_back());
        let after = text.get(at + word.len()..).and_then(|t| t.chars().next());
        [before, after].into_iter().flatten().all(|c| !c.is_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        [[service]]
        name = "checkout-api"
        tier = 1
        environment = "production"
        alarms = ["co-*-5xx"]
        depends_on = ["payments-db"]
        ecs = { cluster = "prod", service = "checkout" }
        state_machine = "arn:aws:states:us-east-1:123456789012:stateMachine:orders"

        [[service]]
        name = "checkout"
        tier = 2
        environment = "production"
        depends_on = ["checkout-api"]
    "#;

    fn dims(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn an_alarm_finds_its_service() {
        let catalog = Catalog::parse(TEXT).unwrap();
        let find = |alarm: &str, d: &[(&str, &str)]| {
            catalog.service_of_alarm(alarm, &dims(d)).map(|s| s.name.to_string())
        };
        assert_eq!(find("co-prod-5xx", &[]).as_deref(), Some("checkout-api"));
        assert_eq!(
            find("cpu", &[("ServiceName", "checkout"), ("ClusterName", "prod")]).as_deref(),
            Some("checkout-api")
        );
        assert_eq!(find("cpu", &[("ServiceName", "checkout"), ("ClusterName", "dev")]), None);
        let machine = "arn:aws:states:us-east-1:123456789012:stateMachine:orders";
        assert_eq!(find("failed", &[("StateMachineArn", machine)]).as_deref(), Some("checkout-api"));
        assert_eq!(find("failed", &[("StateMachineArn", &machine.replace("orders", "order"))]), None);
        assert_eq!(find("checkout-api-latency", &[]).as_deref(), Some("checkout-api"));
        assert_eq!(find("checkout latency", &[]).as_deref(), Some("checkout"));
        assert_eq!(find("checkouts", &[]), None);
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let text = format!(
            "{TEXT}\n[[service]]\nname='checkout'\ntier=1\nenvironment='staging'\naccount='12'\nstate_machine='orders'\nscale={{min=3,max=1}}\n"
        );
        let error = Catalog::parse(&text).unwrap_err().to_string();
        assert!(
            error.contains("stateMachine:NAME")
                && error.contains("twice")
                && error.contains("twelve digits")
                && error.contains("min <= max"),
            "{error}"
        );
    }

    #[test]
    fn one_thing_has_one_name_and_is_read_in_the_account_in_which_it_is() {
        let one = |name: &str, more: &str| {
            format!("[[service]]\nname='{name}'\ntier=1\nenvironment='production'\n{more}\n")
        };
        let ecs = "ecs={cluster='prod',service='pay'}";
        let twice = Catalog::parse(&format!("{}{}", one("pay", ecs), one("pay-lite", ecs))).unwrap_err();
        assert!(
            twice.to_string().contains("`pay` and `pay-lite` are one ECS service, `prod/pay`"),
            "{twice}"
        );
        let elsewhere = format!("region='eu-west-1'\n{ecs}");
        Catalog::parse(&format!("{}{}", one("pay", ecs), one("pay-eu", &elsewhere))).unwrap();
        let role = "account='123456789012'\nrole_arn='arn:aws:iam::210987654321:role/read'";
        let other = Catalog::parse(&one("pay", role)).unwrap_err().to_string();
        assert!(other.contains("`role_arn` is of account `210987654321`"), "{other}");
    }

    #[test]
    fn globs_match_whole_names() {
        assert!(glob("a*c", "abc") && glob("*", "x") && glob("abc", "abc") && glob("a**", "ab"));
        assert!(!glob("a*c", "abcd") && !glob("abc", "abcd") && !glob("", "a"));
    }
}
