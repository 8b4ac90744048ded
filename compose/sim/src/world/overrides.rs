//! What a test does to a running world beside its scenario.

use super::World;
use crate::wire::{Injection, Mind, Misbehaviour, WireError};

impl World {
    /// Who answers behind Converse from now on.
    pub fn set_mind(&self, mind: Mind) {
        self.shared.with(|state| state.bedrock_api.mind = mind);
    }

    /// Has calls answered with an error: those that `api` matches (`service:Operation`, `*` for any
    /// run of characters), as often as `times` says; absent means all.
    pub fn fail(&self, api: &str, code: &str, status: u16, times: Option<u32>) {
        let error = WireError::with_status(code, status, "the call was made to fail");
        let injection = Injection {
            api: api.to_owned(),
            contains: None,
            misbehaviour: Misbehaviour::Error(error),
            from_ms: i64::MIN,
            until_ms: i64::MAX,
            skip: 0,
            times,
            seen: 0,
        };
        self.shared.with(|state| state.injections.push(injection));
    }
}
