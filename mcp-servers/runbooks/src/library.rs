//! The shelf and its index, kept as new as the directory.
//!
//! Runbooks are edited while the server runs, mostly right after somebody needed them. So the
//! directory is looked at before each use, and read again when a file came, went or changed.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use midwatch_mcp::ToolError;

use crate::{
    index::Index,
    shelf::{Fingerprint, Shelf, survey},
};

/// What is on the shelf and how to find it.
#[derive(Debug)]
pub(crate) struct Stock {
    pub(crate) shelf: Shelf,
    pub(crate) index: Index,
}

/// What the directory looked like, and what was made of it.
type Known = (Fingerprint, Vec<String>, Arc<Stock>);

/// A directory of runbooks.
#[derive(Debug)]
pub(crate) struct Library {
    root: Option<PathBuf>,
    /// INVARIANT: never locked across an await.
    stock: Mutex<Option<Known>>,
}

impl Library {
    pub(crate) const fn new(root: Option<PathBuf>) -> Self {
        Self { root, stock: Mutex::new(None) }
    }

    /// The runbooks as they are in the directory now.
    pub(crate) async fn stock(self: &Arc<Self>) -> Result<Arc<Stock>, ToolError> {
        let library = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || library.read()).await;
        read.unwrap_or_else(|error| {
            tracing::error!(%error, "reading the runbooks died");
            Err(ToolError::internal("the runbooks could not be read"))
        })
    }

    fn read(&self) -> Result<Arc<Stock>, ToolError> {
        let (files, problems) = self.root.as_deref().map(survey).unwrap_or_default();
        // One reader at a time: the others would do the same work.
        let mut stock = self.stock.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, found, stock)) = stock.as_ref()
            && *known == files
            && *found == problems
        {
            return Ok(Arc::clone(stock));
        }
        let root = self.root.clone().unwrap_or_default();
        let mut shelf = Shelf::read(&root, &files, problems.clone());
        if self.root.is_none() {
            shelf
                .problems
                .push("no runbook directory is configured: start the server with --runbooks DIR".to_owned());
        }
        let index = Index::build(&shelf).map_err(|error| {
            tracing::error!(%error, "the runbooks could not be indexed");
            ToolError::internal("the runbooks could not be indexed")
        })?;
        tracing::info!(runbooks = shelf.runbooks.len(), problems = shelf.problems.len(), "runbooks read");
        let fresh = Arc::new(Stock { shelf, index });
        *stock = Some((files, problems, Arc::clone(&fresh)));
        Ok(fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_runbook_that_comes_later_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let library = Arc::new(Library::new(Some(directory.path().to_owned())));
        assert!(library.stock().await.unwrap().shelf.runbooks.is_empty());
        std::fs::create_dir(directory.path().join("team")).unwrap();
        std::fs::write(directory.path().join("team/disk.md"), "# Disk full\nclean up").unwrap();
        let stock = library.stock().await.unwrap();
        assert_eq!(stock.index.search("disk", None, 3).unwrap()[0].runbook_id, "team/disk");
        assert!(Arc::ptr_eq(&stock, &library.stock().await.unwrap()), "read again without need");
        std::fs::remove_file(directory.path().join("team/disk.md")).unwrap();
        assert!(library.stock().await.unwrap().shelf.runbooks.is_empty());
    }
}
