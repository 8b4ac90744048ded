//! The kill switch for all use of models: a file, the environment, or a call. While it is on the
//! playbook carries every incident.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// The kill switch; looked at before each call.
#[derive(Debug, Default)]
pub struct ModelSwitch {
    file: Option<PathBuf>,
    held: Mutex<Option<String>>,
}

impl ModelSwitch {
    /// On while `file` exists, or cannot be looked at.
    pub fn new(file: Option<PathBuf>) -> Self {
        Self { file, held: Mutex::default() }
    }

    /// Turns it on, whatever the file says; `why` is shown to people.
    pub fn stop(&self, why: impl Into<String>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.into());
    }

    /// Takes [`ModelSwitch::stop`] back; the file still counts.
    pub fn resume(&self) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The file it looks at.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Why no model may be asked; nothing when they may.
    pub fn off(&self) -> Option<String> {
        if let Some(why) = &*self.held.lock().unwrap_or_else(PoisonError::into_inner) {
            return Some(why.clone());
        }
        let file = self.file.as_ref()?;
        match file.try_exists() {
            Ok(false) => None,
            Ok(true) => Some(format!("`{}` exists", file.display())),
            Err(error) => Some(format!("`{}` cannot be looked at: {error}", file.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_on_while_the_file_is_there_or_cannot_be_seen() {
        let file = std::env::temp_dir().join(format!("midwatch-models-off-{}", std::process::id()));
        let switch = ModelSwitch::new(Some(file.clone()));
        assert_eq!(switch.off(), None);
        std::fs::write(&file, "").unwrap();
        assert!(switch.off().unwrap().ends_with("exists"));
        // Below a file nothing can be looked at, which counts as on.
        let below = ModelSwitch::new(Some(file.join("below")));
        assert!(below.off().unwrap().contains("cannot be looked at"));
        std::fs::remove_file(&file).unwrap();
        assert_eq!(switch.off(), None);
        switch.stop("first-on-call said so");
        assert_eq!(switch.off().unwrap(), "first-on-call said so");
        switch.resume();
        assert_eq!(switch.off(), None);
        assert_eq!(ModelSwitch::default().off(), None);
    }
}
