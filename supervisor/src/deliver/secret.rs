//! Secrets of channels: from the environment or from a file, and never shown.

use std::{fmt, path::PathBuf};

use midwatch_mcp::reqwest::Url;
use serde::Deserialize;

use crate::desk::read_secret;

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSecret {
    /// An environment variable.
    #[serde(default)]
    env: Option<String>,
    /// A file that only its owner can read.
    #[serde(default)]
    file: Option<PathBuf>,
}

/// Something that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// The secret itself, for the wire and nothing else.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    #[cfg(test)]
    pub(super) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text without the secret, should it stand in it.
    pub(super) fn out_of(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(&self.0, "[secret]") }
    }
}

impl RawSecret {
    /// Reads it. The error says what is wrong and how to mend it, never what was read.
    pub(super) fn read(&self, variable: &dyn Fn(&str) -> Option<String>) -> Result<Secret, String> {
        let text = match (&self.env, &self.file) {
            (Some(name), None) => variable(name).ok_or_else(|| {
                format!("the environment variable `{name}` is not set; set it, or use `file`")
            })?,
            (None, Some(path)) => read_secret(path).map_err(|error| {
                use std::error::Error as _;
                let source = error.source().map(|s| format!(": {s}")).unwrap_or_default();
                format!("{error}{source}")
            })?,
            _ => {
                return Err(
                    "a secret has `env` or `file`; write it like `{ env = \"PAGER_KEY\" }`".to_owned()
                );
            }
        };
        let text = text.trim();
        if text.is_empty() {
            return Err("the secret is empty; put it where the configuration says".to_owned());
        }
        Ok(Secret(text.to_owned()))
    }
}

/// A place that notices go to: over TLS, or on this machine. Its path may be a secret, so that
/// only the host is ever shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Place(Url);

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({})", self.shown())
    }
}

impl Place {
    /// Parses a URL. The error never repeats it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text.trim())
            .map_err(|_| "the URL cannot be read; write it like `https://host/path`".to_owned())?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the URL holds a user or a password; use a channel's `secret` instead".to_owned());
        }
        match url.scheme() {
            "https" => Ok(Self(url)),
            "http" if midwatch_mcp::is_this_machine(&url) => Ok(Self(url)),
            _ => Err("the URL is not https; only an address of this machine may be plain http".to_owned()),
        }
    }

    /// The URL itself.
    pub(super) const fn url(&self) -> &Url {
        &self.0
    }

    /// Its host, which is no secret.
    pub(super) fn shown(&self) -> &str {
        self.0.host_str().unwrap_or("?")
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn what_goes_out_goes_over_tls_or_stays_here_and_is_not_shown() {
        for good in [
            "https://hooks.example.com/T0/secret",
            "http://127.0.0.1:1/x",
            "http://[::1]:2",
            "http://localhost:1",
        ] {
            assert!(Place::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "http://hooks.example.com/",
            "ftp://x",
            "nothing",
            "https://me:pw@example.com/",
            "http://localhost.evil.example/",
        ] {
            let error = Place::parse(bad).unwrap_err();
            assert!(!error.contains("example") && !error.contains("pw"), "{error}");
        }
        let place = Place::parse("https://hooks.example.com/T0/path-secret").unwrap();
        assert_eq!(format!("{place:?}"), "Place(hooks.example.com)");
    }

    #[test]
    fn a_secret_comes_from_one_place_that_others_cannot_read() {
        let none = |_: &str| None;
        let some = |name: &str| (name == "KEY").then(|| " k-1\n".to_owned());
        let raw = |text: &str| toml::from_str::<RawSecret>(text).unwrap();
        assert_eq!(raw("env='KEY'").read(&some).unwrap().reveal(), "k-1");
        assert!(raw("env='KEY'").read(&none).unwrap_err().contains("`KEY` is not set"));
        assert!(raw("").read(&none).is_err() && raw("env='KEY'\nfile='x'").read(&some).is_err());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        fs::write(&path, "k-2\n").unwrap();
        let from = raw(&format!("file='{}'", path.display()));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(from.read(&none).is_err());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let secret = from.read(&none).unwrap();
        assert_eq!((secret.reveal(), format!("{secret:?}").as_str()), ("k-2", "Secret(…)"));
        assert_eq!(secret.out_of("bad key k-2!"), "bad key [secret]!");
    }
}
