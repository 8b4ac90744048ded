//! What a request or an act is judged by (keys, policy, catalog, calendar, contracts), read again each time it
//! is asked for: a key that was revoked or a policy that was tightened holds from the next one on.
//! The desk and the remediation server read theirs in this one way.
//!
//! INVARIANT: what cannot be read or parsed is an error, never the reading before it.

use std::{fmt, path::PathBuf, sync::Arc};

use midwatch_policy::{Calendar, Catalog, PublicKeys, Rules};

use crate::{
    contracts::{Contracts, in_one_line},
    keyfile::KeyFile,
};

type Read<T> = dyn Fn() -> Result<T, String> + Send + Sync;

/// Something that may change while the server runs.
pub struct Standing<T>(Kind<T>);

enum Kind<T> {
    Given(Arc<T>),
    Read(Arc<Read<T>>),
}

impl<T> Standing<T> {
    /// A file, read and parsed each time.
    pub fn file(path: PathBuf, parse: fn(&str) -> Result<T, String>) -> Self
    where
        T: 'static,
    {
        Self::reading(move || {
            let text = std::fs::read_to_string(&path)
                .map_err(|error| format!("`{}` cannot be read: {error}", path.display()))?;
            parse(&text).map_err(|error| format!("in `{}`: {error}", path.display()))
        })
    }

    /// Whatever this reads, each time.
    pub fn reading(read: impl Fn() -> Result<T, String> + Send + Sync + 'static) -> Self {
        Self(Kind::Read(Arc::new(read)))
    }

    /// As it is now, or what is wrong with it, for people.
    pub fn now(&self) -> Result<Arc<T>, String> {
        match &self.0 {
            Kind::Given(value) => Ok(Arc::clone(value)),
            Kind::Read(read) => read().map(Arc::new),
        }
    }
}

impl Standing<PublicKeys> {
    /// The keys of a file that `midwatch keys` writes, without those that were revoked.
    pub fn keys_in(file: PathBuf) -> Self {
        Self::file(file, |text| KeyFile::parse(text).map(|keys| keys.accepted()).map_err(|e| in_one_line(&e)))
    }
}

impl Standing<Rules> {
    /// The policy of a Cedar file.
    pub fn rules_in(file: PathBuf) -> Self {
        // With the examples beside it: a rule that does not do what its author wanted is no rule.
        Self::reading(move || Rules::read(&file).map_err(|e| in_one_line(&e)))
    }
}

impl Standing<Catalog> {
    /// The service catalog of a TOML file.
    pub fn catalog_in(file: PathBuf) -> Self {
        Self::file(file, |text| Catalog::parse(text).map_err(|e| in_one_line(&e)))
    }
}

impl Standing<Calendar> {
    /// The calendar of a TOML file.
    pub fn calendar_in(file: PathBuf) -> Self {
        Self::file(file, |text| Calendar::parse(text).map_err(|e| in_one_line(&e)))
    }
}

impl Standing<Contracts> {
    /// The contracts of the runbooks below a directory.
    pub fn runbooks_in(directory: PathBuf) -> Self {
        Self::reading(move || {
            Contracts::load(&directory)
                .map_err(|e| format!("in `{}`: {}", directory.display(), in_one_line(&e)))
        })
    }
}

impl<T> Clone for Standing<T> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Kind::Given(value) => Kind::Given(Arc::clone(value)),
            Kind::Read(read) => Kind::Read(Arc::clone(read)),
        })
    }
}

impl<T> From<T> for Standing<T> {
    fn from(value: T) -> Self {
        Arc::new(value).into()
    }
}

impl<T> From<Arc<T>> for Standing<T> {
    fn from(value: Arc<T>) -> Self {
        Self(Kind::Given(value))
    }
}

impl<T> fmt::Debug for Standing<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Given(_) => "Standing(given)",
            Kind::Read(_) => "Standing(read)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_each_time_and_a_broken_one_is_no_answer() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("number");
        let standing: Standing<u32> =
            Standing::file(path.clone(), |text| text.trim().parse().map_err(|_| "no number".to_owned()));
        assert!(standing.now().unwrap_err().contains("cannot be read"));
        std::fs::write(&path, "7\n").unwrap();
        assert_eq!(*standing.now().unwrap(), 7);
        std::fs::write(&path, "8").unwrap();
        assert_eq!(*standing.clone().now().unwrap(), 8);
        std::fs::write(&path, "eight").unwrap();
        assert!(standing.now().unwrap_err().contains("no number"));
    }
}
