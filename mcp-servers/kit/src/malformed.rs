//! Requests that `rmcp` could not read as what their method says.
//!
//! It takes them for requests of a method that it does not know, and its answer says that there is no such method: to a
//! model that wrote `arguments` as text, that the server has no tools.

use rmcp::{
    ErrorData,
    model::{CustomRequest, ErrorCode},
};
use serde_json::Value;

use crate::output::clip;

/// Methods that both eras have and servers here answer, where their parameters are what they should be. One that an era
/// has no more is no method of it, however it was called: the conformance suite asks for that.
const KNOWN: &[&str] = &[
    "completion/complete",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/read",
    "resources/templates/list",
    "tools/call",
    "tools/list",
];
/// Bytes of a method's name that are said back.
const NAME: usize = 80;

/// What is wrong with a request that is none of those.
pub(crate) fn refusal(request: &CustomRequest) -> ErrorData {
    let method = request.method.as_str();
    if !KNOWN.contains(&method) {
        return ErrorData::new(ErrorCode::METHOD_NOT_FOUND, clip(method, NAME).into_owned(), None);
    }
    let part = |name: &str| request.params.as_ref().and_then(|params| params.get(name));
    let fault = match (method, part("name"), part("arguments")) {
        ("tools/call", Some(Value::String(_)), Some(arguments)) if !arguments.is_object() => {
            format!(
                "`arguments` is an object, such as {{\"service\": \"checkout-api\"}}, and not {}",
                kind(arguments)
            )
        }
        ("tools/call", Some(Value::String(_)), _) => "its parameters are `name` and `arguments`".to_owned(),
        ("tools/call", None, _) => "`name` is missing: the name of a tool, as tools/list gives it".to_owned(),
        ("tools/call", Some(name), _) => format!("`name` is a string, and not {}", kind(name)),
        _ => "its parameters are not what the protocol says they are".to_owned(),
    };
    ErrorData::invalid_params(format!("`{method}` could not be read: {fault}"), None)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(text) if text.trim_start().starts_with('{') => {
            "a string: give the object itself, not its JSON as text"
        }
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
