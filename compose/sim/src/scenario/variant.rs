//! Variants: the same incident under other names, at another time, in another noise.

use super::Scenario;

impl Scenario {
    /// The directory it was loaded from.
    pub fn dir(&self) -> &std::path::Path {
        &self.dir
    }
}
