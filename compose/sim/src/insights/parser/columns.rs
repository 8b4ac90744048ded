//! Which columns a result has: known when the query is compiled.

use std::{collections::HashSet, sync::Arc};

use crate::insights::ast::Shape;

/// Collects names while the commands are read.
#[derive(Debug, Default)]
pub(super) struct Columns {
    fields: Vec<Arc<str>>,
    /// What `parse` extracted: shown beside the fields unless `display` chooses.
    extracted: Vec<Arc<str>>,
    display: Option<Vec<Arc<str>>>,
    groups: Option<Vec<Arc<str>>>,
    defined: HashSet<Arc<str>>,
}

impl Columns {
    /// False when the query computed a field of that name before.
    pub(super) fn define(&mut self, name: &Arc<str>) -> bool {
        self.defined.insert(Arc::clone(name))
    }

    pub(super) fn add(&mut self, name: Arc<str>) {
        self.groups.as_mut().unwrap_or(&mut self.fields).push(name);
    }

    pub(super) fn extract(&mut self, name: Arc<str>) {
        self.groups.as_mut().unwrap_or(&mut self.extracted).push(name);
    }

    pub(super) fn display(&mut self, names: Vec<Arc<str>>) {
        self.display = Some(names);
    }

    /// Names may be used anew from here.
    pub(super) fn begin_stats(&mut self) {
        self.defined.clear();
    }

    pub(super) fn end_stats(&mut self, names: Vec<Arc<str>>) {
        self.groups = Some(names);
        self.display = None;
    }

    pub(super) fn finish(self) -> (Vec<Arc<str>>, Shape) {
        let shape = if self.groups.is_some() { Shape::Groups } else { Shape::Events };
        let mut columns = match (self.display, self.groups) {
            (Some(display), _) => display,
            (None, Some(groups)) => groups,
            (None, None) => {
                let mut columns = self.fields;
                if columns.is_empty() {
                    columns = vec![Arc::from("@timestamp"), Arc::from("@message")];
                }
                columns.extend(self.extracted);
                columns
            }
        };
        let mut seen = HashSet::new();
        columns.retain(|name| seen.insert(Arc::clone(name)));
        (columns, shape)
    }
}
