//! What calls cost their account beside requests: a caller says how much one may, the result says
//! how much it did.
//!
//! The allowance travels in the request's `_meta` and not among the arguments: what a call may cost
//! is the caller's purse and no matter of the model that asks.

use rmcp::model::{CallToolRequestParams, RequestMetaObject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where the allowance stands in a request's `_meta`.
const ALLOWANCE: &str = "midwatch/allowance";
/// Where a result says what it cost.
const SPENT: &str = "spent";

/// Amounts of what AWS charges for. Nothing is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Spent {
    /// Bytes that Logs Insights scanned.
    #[serde(skip_serializing_if = "is_zero")]
    pub bytes_scanned: u64,
    /// Queries of a knowledge base.
    #[serde(skip_serializing_if = "is_zero")]
    pub retrieval_queries: u64,
    /// Queries of a reranking model.
    #[serde(skip_serializing_if = "is_zero")]
    pub rerank_queries: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(amount: &u64) -> bool {
    *amount == 0
}

impl Spent {
    /// What the caller allows; nothing where it does not say.
    pub fn allowed(meta: &RequestMetaObject) -> Option<Self> {
        serde_json::from_value(meta.get(ALLOWANCE)?.clone()).ok()
    }

    /// Tells the server how much a call may cost.
    pub fn allow(self, request: &mut CallToolRequestParams) {
        if let Ok(amounts) = serde_json::to_value(self) {
            request.meta.get_or_insert_default().insert(ALLOWANCE.to_owned(), amounts);
        }
    }

    /// What a result says that the call cost; nothing where it does not say.
    pub fn of(result: &Value) -> Option<Self> {
        serde_json::from_value(result.get(SPENT)?.clone()).ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_allowance_travels_beside_the_arguments() {
        let mut request = CallToolRequestParams::new("log_query");
        let allowance = Spent { bytes_scanned: 7, ..Spent::default() };
        allowance.allow(&mut request);
        let wire = serde_json::to_value(&request).unwrap();
        assert_eq!(wire["_meta"], json!({ ALLOWANCE: { "bytes_scanned": 7 } }));
        assert_eq!(Spent::allowed(&request.meta.unwrap()), Some(allowance));
        assert_eq!(Spent::allowed(&RequestMetaObject::new()), None);
    }

    #[test]
    fn nothing_said_is_not_nothing_spent() {
        assert_eq!(Spent::of(&json!({ "spent": {} })), Some(Spent::default()));
        assert_eq!(Spent::of(&json!({ "rows": [] })), None);
        assert_eq!(Spent::of(&json!({ "spent": { "bytes_scanned": -1 } })), None);
    }
}
