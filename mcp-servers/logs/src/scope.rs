//! Which log groups a call reads, and in whose account and region.
//!
//! INVARIANT: a group is read in the account and region of the service that it is asked for with. A bare
//! name that services of the catalog have in several of them is refused, never guessed: equal names
//! in two regions are the rule where a service runs in both, and the wrong one looks like a healthy one.

use std::{collections::BTreeSet, fmt};

use aws_config::SdkConfig;
use midwatch_mcp::{ToolError, no_arn};
use midwatch_policy::{Service, ServiceName};

use crate::server::LogsServer;

/// The longest name of a log group, in bytes; its ARN is some longer.
const LONGEST_NAME: usize = 512;
/// Log groups that one call may read.
const MAX_GROUPS: usize = 8;

/// A log group, and whose access it is read with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) group: String,
    /// The service of the catalog whose account and region it is in; absent: our own.
    pub(crate) owner: Option<ServiceName>,
    /// Account and region, where the catalog has the name in several: what tells their references apart.
    pub(crate) place: Option<String>,
}

impl Source {
    /// A group of our own account and region.
    #[cfg(test)]
    pub(crate) fn own(group: &str) -> Self {
        Self { group: group.to_owned(), owner: None, place: None }
    }

    /// What references to things of the group are made from.
    pub(crate) fn key(&self) -> String {
        self.place.as_ref().map_or_else(|| self.group.clone(), |place| format!("{}@{place}", self.group))
    }
}

/// Account (or role) and region: where requests go, and whose quotas they use.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Site {
    account: Option<String>,
    region: Option<String>,
}

impl Site {
    fn of(owner: Option<&Service>, config: &SdkConfig) -> Self {
        let role = owner.and_then(|s| s.role_arn.as_ref()).map(|role| role.as_str().to_owned());
        Self {
            account: role.or_else(|| owner?.account.clone()),
            region: config.region().map(ToString::to_string),
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let region = self.region.as_deref().unwrap_or("no region");
        match &self.account {
            Some(account) => write!(f, "{region}, {account}"),
            None => f.write_str(region),
        }
    }
}

impl LogsServer {
    /// The log groups that the arguments name, each with its place.
    pub(crate) async fn sources(
        &self,
        service: Option<&str>,
        groups: &[String],
    ) -> Result<Vec<Source>, ToolError> {
        let asked = service.map(|name| self.ctx().service(name)).transpose()?;
        let mut names: BTreeSet<&str> =
            groups.iter().map(String::as_str).filter(|group| !group.trim().is_empty()).collect();
        if let Some(asked) = asked {
            if asked.log_groups.is_empty() && names.is_empty() {
                return Err(ToolError::invalid(
                    format!("the catalog names no log groups for `{}`", asked.name),
                    "give log_groups, or add them to the catalog",
                ));
            }
            names.extend(asked.log_groups.iter().map(String::as_str));
        }
        match names.len() {
            0 => {
                return Err(ToolError::invalid(
                    "no service and no log groups were given",
                    "give one of them",
                ));
            }
            1..=MAX_GROUPS => {}
            n => {
                return Err(ToolError::invalid(
                    format!("{n} log groups are too many"),
                    format!("at most {MAX_GROUPS} at once"),
                ));
            }
        }
        let mut sources = Vec::new();
        for name in names {
            sources.push(self.placed(name, asked).await?);
        }
        Ok(sources)
    }

    /// One group, in the place of the service that is named with it.
    pub(crate) async fn source(&self, group: &str, service: Option<&str>) -> Result<Source, ToolError> {
        let asked = service.map(|name| self.ctx().service(name)).transpose()?;
        self.placed(group, asked).await
    }

    async fn placed(&self, group: &str, asked: Option<&Service>) -> Result<Source, ToolError> {
        no_arn("log_group", group, ":log-group:")?;
        if group.len() > LONGEST_NAME {
            return Err(ToolError::invalid(
                format!("the name of a log group has {} bytes", group.len()),
                format!("none has more than {LONGEST_NAME}"),
            ));
        }
        let lists = |service: &&Service| service.log_groups.iter().any(|own| own == group);
        let mut listing: Vec<(&Service, Site)> = Vec::new();
        for service in self.ctx().catalog.services().filter(lists) {
            listing.push((service, self.site(Some(service)).await?));
        }
        let sites: BTreeSet<&Site> = listing.iter().map(|(_, site)| site).collect();
        let is_several = sites.len() > 1;
        let own = match asked {
            // Nobody lists it: it was named with this service.
            Some(asked) if listing.is_empty() => Some((asked, self.site(Some(asked)).await?)),
            Some(asked) => {
                let site = self.site(Some(asked)).await?;
                let has = listing.iter().any(|(service, other)| service.name == asked.name || *other == site);
                has.then_some((asked, site))
            }
            None => None,
        };
        let owner = match own {
            Some(own) => Some(own),
            None if is_several => return Err(ambiguous(group, &listing)),
            None => listing.into_iter().next(),
        };
        let place = owner.as_ref().filter(|_| is_several).map(|(_, site)| site.to_string());
        let owner = owner.map(|(service, _)| service.name.clone());
        Ok(Source { group: group.to_owned(), owner, place })
    }

    /// The service of the catalog whose access a group is read with.
    pub(crate) fn owner(&self, source: &Source) -> Option<&Service> {
        source.owner.as_ref().and_then(|name| self.ctx().catalog.get(name))
    }

    /// Where a service is read; without one, where we are.
    pub(crate) async fn site(&self, owner: Option<&Service>) -> Result<Site, ToolError> {
        Ok(Site::of(owner, &self.ctx().aws.for_optional(owner).await?))
    }

    /// Refuses groups of several places, of which one query can read but one.
    pub(crate) async fn in_one_place(&self, sources: &[Source]) -> Result<(), ToolError> {
        let mut places: Vec<(Site, &str)> = Vec::new();
        for source in sources {
            places.push((self.site(self.owner(source)).await?, &source.group));
        }
        let Some((first, _)) = places.first() else { return Ok(()) };
        if places.iter().all(|(site, _)| site == first) {
            return Ok(());
        }
        let each: Vec<String> = places
            .iter()
            .map(|(site, group)| format!("`{}` ({site})", midwatch_mcp::clip(group, 200)))
            .collect();
        Err(ToolError::invalid(
            format!("one query cannot read groups of several accounts or regions: {}", each.join(", ")),
            "ask once for the groups of each place",
        ))
    }
}

fn ambiguous(group: &str, listing: &[(&Service, Site)]) -> ToolError {
    let each: Vec<String> =
        listing.iter().take(10).map(|(service, site)| format!("{} ({site})", service.name)).collect();
    let names: Vec<&str> = listing.iter().take(10).map(|(service, _)| service.name.as_str()).collect();
    ToolError::invalid(
        format!(
            "`{}` is the name of several log groups: of {}",
            midwatch_mcp::clip(group, 200),
            each.join(", of ")
        ),
        format!("give `service`, one of {}, to say whose is meant", names.join(", ")),
    )
}
