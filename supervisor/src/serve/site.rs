//! What incidents are handled with: made from the configuration, and made anew by a reload.
//!
//! INVARIANT: all or nothing. What is wrong with the new files leaves everything as it was, and
//! incidents under way keep what they began with.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use futures::future::BoxFuture;

use crate::{intake::board::Orders, site::Site};

use super::{
    config::{Config, ConfigError, Over},
    http::Absent,
};

/// Why there is no site.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Something that it names.
    #[error("{0}")]
    Made(String),
    /// A reload found changed what only a start can change.
    #[error("{} changed: that needs a restart, and nothing was reloaded", .0.join(", "))]
    Restart(Vec<&'static str>),
}

/// Makes a site of a configuration; what it names is read anew.
pub trait Maker: Send + Sync + fmt::Debug {
    /// Makes it.
    fn make<'a>(&'a self, config: &'a Config) -> BoxFuture<'a, Result<Site, SiteError>>;
}

/// The site of today.
#[derive(Debug)]
pub struct Sites {
    maker: Arc<dyn Maker>,
    /// The file that a reload reads again.
    file: Option<PathBuf>,
    /// What is over that file.
    over: Over,
    now: RwLock<Arc<Site>>,
}

/// What a configuration orders the door to do.
pub(super) fn orders(config: &Config, site: &Site) -> Orders {
    Orders::new(Arc::clone(&site.catalog), config.quiet.clone(), config.grouping)
}

impl Sites {
    /// The first one.
    pub async fn open(
        config: &Config,
        (file, over): (Option<PathBuf>, Over),
        maker: Arc<dyn Maker>,
    ) -> Result<Self, SiteError> {
        let site = maker.make(config).await?;
        site.minds.take_effect();
        Ok(Self { maker, file, over, now: RwLock::new(Arc::new(site)) })
    }

    /// What an incident that begins now is handled with.
    pub fn now(&self) -> Arc<Site> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads everything anew; `began` is the configuration it was started with.
    pub async fn reload(&self, began: &Config) -> Result<(Config, Fresh), SiteError> {
        let config = match &self.file {
            None => began.clone(),
            Some(file) => Config::read(file)?.under(&self.over),
        };
        let changed = config.needs_a_restart(began);
        if !changed.is_empty() {
            return Err(SiteError::Restart(changed));
        }
        let site = Arc::new(self.maker.make(&config).await?);
        Ok((config, Fresh(site)))
    }

    /// Puts a new one in place.
    pub fn replace(&self, fresh: Fresh) {
        fresh.0.minds.take_effect();
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = fresh.0;
    }
}

impl Absent for Sites {
    fn absent(&self) -> Vec<String> {
        self.now().tools.missing()
    }
}

/// A site that is made and not in place yet.
#[derive(Debug)]
pub struct Fresh(Arc<Site>);

impl Fresh {
    /// What it is.
    pub fn site(&self) -> &Site {
        &self.0
    }
}
