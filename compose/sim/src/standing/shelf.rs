//! Every scenario of a directory, as one account: one catalog, one set of runbooks.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use midwatch_policy::Service;

use crate::scenario::{Problem, Scenario, ScenarioError};

/// Why they cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// One of them.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A directory.
    #[error("cannot use `{path}`")]
    Path {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The catalog cannot be written as TOML.
    #[error("the catalog cannot be written")]
    Catalog(#[from] toml::ser::Error),
}

/// The scenarios, by name.
#[derive(Debug)]
pub struct Shelf {
    dir: PathBuf,
    all: BTreeMap<String, Scenario>,
}

impl Shelf {
    /// Loads every directory with a scenario.toml below a directory.
    pub fn open(dir: &Path) -> Result<Self, ShelfError> {
        let failed = |source| ShelfError::Path { path: dir.display().to_string(), source };
        let mut all = BTreeMap::new();
        for entry in std::fs::read_dir(dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.join("scenario.toml").is_file() {
                let scenario = Scenario::load(&path)?;
                all.insert(scenario.id().to_owned(), scenario);
            }
        }
        Ok(Self { dir: dir.to_owned(), all })
    }

    /// Names and titles, in order.
    pub fn titles(&self) -> Vec<(String, String)> {
        self.all.iter().map(|(name, scenario)| (name.clone(), scenario.title().to_owned())).collect()
    }

    /// One of them.
    pub(super) fn scenario(&self, name: &str) -> Result<Scenario, ScenarioError> {
        let found = self.all.get(name).cloned();
        found.ok_or_else(|| {
            let known: Vec<&str> = self.all.keys().map(String::as_str).collect();
            Problem {
                file: self.dir.join(name),
                line: 1,
                message: format!("there is no scenario `{name}`"),
                remedy: format!("there are: {}", known.join(", ")),
            }
            .into()
        })
    }

    /// The services of all of them. Where two have one of the same name, the one whose incident is
    /// about it describes it, else the first.
    pub fn catalog(&self) -> Vec<Service> {
        let mut services: BTreeMap<String, (bool, Service)> = BTreeMap::new();
        for scenario in self.all.values() {
            // The first service of a scenario is the one that its incident is about.
            let lead = scenario.spec().services.first().map(|service| service.name.clone());
            for service in scenario.catalog().services() {
                let leads = lead.as_deref() == Some(service.name.as_str());
                let known = services.get(service.name.as_str()).is_some_and(|(before, _)| *before || !leads);
                if !known {
                    // A process of its own is given its role by whoever starts it.
                    let service = Service { role_arn: None, ..service.clone() };
                    services.insert(service.name.to_string(), (leads, service));
                }
            }
        }
        services.into_values().map(|(_, service)| service).collect()
    }

    /// Writes `catalog.toml` and `runbooks/SCENARIO/…` into a directory. What is read meanwhile is
    /// never half written.
    pub fn write(&self, out: &Path) -> Result<(), ShelfError> {
        let put = |path: &Path, text: &str| {
            let failed = |source| ShelfError::Path { path: path.display().to_string(), source };
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(failed)?;
            }
            let draft = path.with_extension("new");
            std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, path)).map_err(failed)
        };
        for (name, scenario) in &self.all {
            for (file, text) in scenario.runbooks() {
                put(&out.join("runbooks").join(name).join(file), text)?;
            }
        }
        let services = BTreeMap::from([("service", self.catalog())]);
        put(&out.join("catalog.toml"), &toml::to_string(&services)?)
    }
}
