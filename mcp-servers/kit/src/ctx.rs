//! What a server is built from.

use std::sync::Arc;

use midwatch_policy::{Catalog, Clock, Service, ServiceName};

use crate::{aws::Aws, error::ToolError, work::Work};

/// AWS clients, the service catalog and the clock: everything a server gets from outside.
#[derive(Debug, Clone)]
pub struct Ctx {
    /// AWS clients.
    pub aws: Aws,
    /// The service catalog; may be empty, then only explicit identifiers work.
    pub catalog: Arc<Catalog>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// What is under way: a task that has to reach its end is spawned on it.
    pub work: Work,
}

impl Ctx {
    /// Puts the three together.
    pub fn new(aws: Aws, catalog: Arc<Catalog>, clock: Arc<dyn Clock>) -> Self {
        Self { aws, catalog, clock, work: Work::default() }
    }

    /// The same with another catalog.
    #[must_use]
    pub fn with_catalog(&self, catalog: Arc<Catalog>) -> Self {
        Self { catalog, ..self.clone() }
    }

    /// The service of the catalog that a tool argument names.
    pub fn service(&self, name: &str) -> Result<&Service, ToolError> {
        ServiceName::parse(name).ok().and_then(|name| self.catalog.get(&name)).ok_or_else(|| {
            let known: Vec<&str> = self.catalog.services().take(30).map(|s| s.name.as_str()).collect();
            let mend = if known.is_empty() {
                "no catalog was loaded: start the server with --catalog FILE, or give explicit identifiers"
                    .to_owned()
            } else {
                format!("services are: {}", known.join(", "))
            };
            ToolError::not_found(format!("no service `{}` in the catalog", crate::clip(name, 80)), mend)
        })
    }
}
