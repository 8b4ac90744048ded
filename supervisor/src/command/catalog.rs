//! `midwatch catalog`: written from what an account has, for review, or compared with it.

mod account;
mod compare;
mod draft;

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use midwatch_mcp::{Aws, AwsSettings, ToolError};
use midwatch_policy::{AwsName, Service};

use crate::terminal::{
    style::{BAD, STRONG},
    text::clean,
};

use account::Account;

/// Arguments of `catalog`.
#[derive(Debug, Args)]
pub struct CatalogArgs {
    /// What to do.
    #[command(subcommand)]
    what: CatalogCommand,
}

#[derive(Debug, Subcommand)]
enum CatalogCommand {
    /// Write a catalog for review, from alarms, ECS services, task definitions, deployment groups,
    /// state machines and tags; what is guessed is marked
    Discover {
        /// Read with this role; give it again for another account
        #[arg(long, value_name = "ARN")]
        role_arn: Vec<String>,
        /// Read this region; give it again for another one
        #[arg(long, value_name = "REGION")]
        region: Vec<String>,
        /// Write it to this file, which must not be there yet, and not to stdout
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Compare a catalog with the accounts it names
    Check {
        /// The catalog
        #[arg(value_name = "FILE", env = "MIDWATCH_CATALOG")]
        catalog: PathBuf,
    },
}

pub(super) async fn run(arguments: CatalogArgs) -> anyhow::Result<ExitCode> {
    let aws = Aws::new(AwsSettings { session_name: "midwatch-catalog".to_owned(), ..AwsSettings::default() });
    match arguments.what {
        CatalogCommand::Discover { role_arn, region, output } => {
            discover(&aws, role_arn, region, output.as_deref()).await
        }
        CatalogCommand::Check { catalog } => check(&aws, &catalog).await,
    }
}

async fn discover(
    aws: &Aws,
    roles: Vec<String>,
    regions: Vec<String>,
    output: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    if let Some(path) = output.filter(|path| path.exists()) {
        bail!("`{}` is there already: give another --output, and compare the two", path.display());
    }
    let mut text = draft::HEAD.to_owned();
    let (mut services, mut taken) = (0, std::collections::BTreeSet::new());
    for role in some(roles) {
        for region in some(regions.clone()) {
            let place = place(role.clone(), region)?;
            let account = Account::read(aws, &place).await.map_err(|error| told(&error))?;
            let drafted = draft::draft(&account, role.as_deref(), &mut taken);
            services += drafted.services;
            text.push_str(&drafted.text);
        }
    }
    // What was written has to be readable: names in an account may be anything.
    midwatch_policy::Catalog::parse(&text).context("what was found makes no catalog: this is a defect")?;
    match output {
        None => write!(anstream::stdout(), "{text}")?,
        Some(path) => {
            std::fs::write(path, &text).with_context(|| format!("cannot write `{}`", path.display()))?;
            writeln!(
                anstream::stdout(),
                "{services} services in `{}`: review it, mostly where it says guess",
                path.display()
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn check(aws: &Aws, path: &Path) -> anyhow::Result<ExitCode> {
    let catalog = super::triage::catalog(Some(path))?;
    let mut places: BTreeMap<(Option<String>, Option<String>), Vec<&Service>> = BTreeMap::new();
    for service in catalog.services() {
        let role = service.role_arn.as_ref().map(ToString::to_string);
        places.entry((role, service.region.clone())).or_default().push(service);
    }
    let mut out = anstream::stdout();
    let mut wrong = 0;
    for ((role, region), services) in places {
        let place = place(role, region)?;
        let found = match Account::read(aws, &place).await {
            Ok(account) => compare::compare(&services, &catalog, &account),
            Err(error) => {
                let names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
                vec![format!("{}: cannot be compared: {}", names.join(", "), told(&error))]
            }
        };
        wrong += found.len();
        for line in found {
            writeln!(out, "{BAD}{}{BAD:#}", clean(&line))?;
        }
    }
    let services = catalog.services().count();
    writeln!(out, "{STRONG}{services} services compared, {wrong} differences{STRONG:#}")?;
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One without a name, where none is named.
fn some(named: Vec<String>) -> Vec<Option<String>> {
    if named.is_empty() { vec![None] } else { named.into_iter().map(Some).collect() }
}

/// A service that is nothing but a place, for who asks for clients by service.
fn place(role: Option<String>, region: Option<String>) -> anyhow::Result<Service> {
    let service: Service = toml::from_str("name = \"place\"\ntier = 0\nenvironment = \"production\"")?;
    let role_arn = role.map(AwsName::parse).transpose().context("the role's ARN")?;
    Ok(Service { role_arn, region, ..service })
}

fn told(error: &ToolError) -> anyhow::Error {
    anyhow::anyhow!("{}; {}", error.message, error.mend)
}
