//! The kill switch: stops every change at once, whatever was approved.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Set this to anything but `0` and nothing is changed.
pub const ENVIRONMENT: &str = "MIDWATCH_KILL_SWITCH";

/// Looked at before each act. Engaged by a file that exists, by the environment, or by a command.
#[derive(Debug, Clone, Default)]
pub struct KillSwitch {
    file: Option<PathBuf>,
    command: Arc<AtomicBool>,
}

impl KillSwitch {
    /// A switch that this file engages by existing.
    pub fn new(file: Option<PathBuf>) -> Self {
        Self { file, command: Arc::default() }
    }

    /// Stops everything. Clones of the switch see it, too.
    pub fn engage(&self) {
        self.command.store(true, Ordering::SeqCst);
    }

    /// Lets a command's stop go; the file and the environment still count.
    pub fn release(&self) {
        self.command.store(false, Ordering::SeqCst);
    }

    /// Why nothing may be changed, if so. A file that cannot be looked for counts as there.
    pub fn engaged(&self) -> Option<String> {
        if self.command.load(Ordering::SeqCst) {
            return Some("the kill switch was thrown by command".to_owned());
        }
        if std::env::var_os(ENVIRONMENT).is_some_and(|value| !value.is_empty() && value != "0") {
            return Some(format!("the kill switch is on: {ENVIRONMENT} is set"));
        }
        let file = self.file.as_ref()?;
        match file.try_exists() {
            // Where the directory is not there, a mount is missing or the path is wrong: nobody can throw it.
            Ok(false) if file.parent().is_some_and(|at| !at.as_os_str().is_empty() && !at.is_dir()) => {
                Some(format!(
                    "the kill switch `{}` cannot be looked for: its directory is not there",
                    file.display()
                ))
            }
            Ok(false) => None,
            Ok(true) => Some(format!("the kill switch is on: the file `{}` exists", file.display())),
            Err(error) => Some(format!("the kill switch `{}` cannot be looked at: {error}", file.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_of_its_ways_stops_and_only_the_command_is_released() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("stop");
        let switch = KillSwitch::new(Some(file.clone()));
        assert_eq!(switch.engaged(), None);
        switch.clone().engage();
        assert!(switch.engaged().unwrap().contains("by command"));
        switch.release();
        assert_eq!(switch.engaged(), None);
        std::fs::write(&file, "").unwrap();
        assert!(switch.engaged().unwrap().contains("exists"));
        let unmounted = KillSwitch::new(Some(directory.path().join("not-there/stop")));
        assert!(unmounted.engaged().unwrap().contains("its directory is not there"));
        // A path below a file cannot be looked for, at least not as not there.
        let odd = KillSwitch::new(Some(PathBuf::from("\0")));
        assert!(odd.engaged().is_some());
    }
}
