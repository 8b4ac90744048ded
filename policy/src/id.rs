//! Validated identifiers.
//!
//! INVARIANT: a value of one of these types is printable ASCII without white space, quotes or
//! control characters, so it can stand in a log line, a query, a prompt or a Cedar entity id
//! without being read as anything else. What comes from outside is parsed into them at the edge.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, de};

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing was given.
    #[error("{what} is empty")]
    Empty {
        /// What kind of identifier was expected.
        what: &'static str,
    },
    /// More characters than any AWS identifier has.
    #[error("{what} has {len} characters, at most {max} are allowed")]
    TooLong {
        /// What kind of identifier was expected.
        what: &'static str,
        /// How many there are.
        len: usize,
        /// How many there may be.
        max: usize,
    },
    /// A character that identifiers of this kind do not have.
    #[error("{what} contains {found:?}; allowed are ASCII letters, digits and `{allowed}`")]
    Character {
        /// What kind of identifier was expected.
        what: &'static str,
        /// The first offending character.
        found: char,
        /// The punctuation that is allowed.
        allowed: &'static str,
    },
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $what:literal, $allowed:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Parses an identifier; see the module for what is allowed.
            pub fn parse(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                if text.is_empty() {
                    return Err(IdError::Empty { what: $what });
                }
                if text.len() > $max {
                    return Err(IdError::TooLong { what: $what, len: text.len(), max: $max });
                }
                match text.chars().find(|c| !c.is_ascii_alphanumeric() && !$allowed.contains(*c)) {
                    Some(found) => Err(IdError::Character { what: $what, found, allowed: $allowed }),
                    None => Ok(Self(text)),
                }
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(String::deserialize(deserializer)?).map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "minLength": 1, "maxLength": $max })
            }
        }
    };
}

identifier!(
    /// A service of the catalog, such as `checkout-api`.
    ServiceName, "service name", "-_.", 128
);
identifier!(
    /// An identifier that AWS gave: a deployment id, a task definition ARN, a cluster name.
    AwsName, "AWS identifier", "-_.:/+=@#$", 512
);
identifier!(
    /// One incident, such as `inc-20261121-0204-1f9c3a`.
    IncidentId, "incident id", "-", 64
);
identifier!(
    /// One request for approval at the desk.
    RequestId, "request id", "-", 64
);
identifier!(
    /// One permit; travels in what AWS records of the action.
    PermitId, "permit id", "-", 64
);
identifier!(
    /// A piece of evidence within one incident, such as `E12`.
    EvidenceId, "evidence id", "-", 32
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_alikes_and_white_space_are_refused() {
        for text in ["checkout api", "checkout\u{2010}api", "c\u{0430}rt", "a\"b", "a\nb", ""] {
            assert!(ServiceName::parse(text).is_err(), "{text:?} was accepted");
        }
        assert!(ServiceName::parse("a".repeat(129)).is_err());
        assert_eq!(ServiceName::parse("checkout-api").unwrap().as_str(), "checkout-api");
    }

    #[test]
    fn deserialising_validates() {
        assert!(serde_json::from_str::<AwsName>("\"d-ABC123\"").is_ok());
        let error = serde_json::from_str::<AwsName>("\"d ABC\"").unwrap_err().to_string();
        assert!(error.contains("AWS identifier contains ' '"), "{error}");
    }
}
