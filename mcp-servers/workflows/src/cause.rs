//! Errors and their causes: what kind of trouble an error name is, and the telling part of a cause.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// Lines of a stack trace that are kept.
const FRAMES: usize = 3;

/// What kind of trouble an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// What was called refuses over a limit.
    Throttling,
    /// It did not end in time.
    Timeout,
    /// Input or output larger than the 256 KiB that Step Functions carries.
    DataLimit,
    /// The role may not do it.
    Permissions,
    /// The definition does not fit the data: a path or an expression that finds nothing.
    Definition,
    /// What was called failed.
    Callee,
}

/// The class of an error name with its cause.
pub(crate) fn classify(error: &str, cause: &str) -> ErrorClass {
    let has = |text: &str, words: &[&str]| {
        let text = text.to_ascii_lowercase();
        words.iter().any(|word| text.contains(word))
    };
    let throttled =
        ["throttl", "toomanyrequests", "throughputexceeded", "limitexceeded", "slowdown", "statuscode.429"];
    match error {
        "States.DataLimitExceeded" => return ErrorClass::DataLimit,
        "States.Timeout" | "States.HeartbeatTimeout" => return ErrorClass::Timeout,
        "States.Permissions" => return ErrorClass::Permissions,
        "States.Runtime"
        | "States.ParameterPathFailure"
        | "States.ResultPathMatchFailure"
        | "States.NoChoiceMatched"
        | "States.IntrinsicFailure"
        | "States.QueryEvaluationError" => return ErrorClass::Definition,
        _ => {}
    }
    if has(error, &throttled) || (error == "States.TaskFailed" && has(cause, &throttled)) {
        ErrorClass::Throttling
    } else if has(error, &["accessdenied", "notauthorized", "unauthorized"]) {
        ErrorClass::Permissions
    } else if has(error, &["timeout", "timedout"]) {
        ErrorClass::Timeout
    } else {
        ErrorClass::Callee
    }
}

/// The telling part of a cause: what a function raised, why a task stopped, what a host answered.
/// A cause of no known form stays as it is. Still text from outside.
pub(crate) fn told(cause: &str) -> String {
    let Ok(Value::Object(cause_fields)) = serde_json::from_str::<Value>(cause) else {
        return without_input(cause);
    };
    let text = |name: &str| cause_fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(message) = text("errorMessage") {
        let kind = text("errorType").map(|kind| format!("{kind}: ")).unwrap_or_default();
        let frames = cause_fields.get("stackTrace").or_else(|| cause_fields.get("trace"));
        let frames: Vec<&str> = frames
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::trim)
            .take(FRAMES)
            .collect();
        let lines: Vec<String> = std::iter::once(format!("{kind}{message}"))
            .chain(frames.iter().map(|frame| format!("  {frame}")))
            .collect();
        return lines.join("\n");
    }
    if let Some(reason) = text("StoppedReason") {
        let containers = cause_fields.get("Containers").and_then(Value::as_array).into_iter().flatten();
        let each = containers.map(|container| {
            let name = container.get("Name").and_then(Value::as_str).unwrap_or("container");
            let code = container.get("ExitCode").and_then(Value::as_i64);
            let code = code.map(|code| format!(" exit code {code}")).unwrap_or_default();
            let why = container.get("Reason").and_then(Value::as_str).map(|why| format!(" {why}"));
            format!("{name}:{code}{}", why.unwrap_or_default())
        });
        return std::iter::once(reason.to_owned()).chain(each).collect::<Vec<_>>().join("; ");
    }
    if let Some(code) = cause_fields.get("StatusCode").filter(|code| code.is_u64() || code.is_string()) {
        let code = code.as_str().map_or_else(|| code.to_string(), str::to_owned);
        let body = cause_fields.get("ResponseBody").map(|body| match body {
            Value::String(body) => format!(": {body}"),
            other => format!(": {other}"),
        });
        return format!("HTTP {code} {}{}", text("StatusText").unwrap_or_default(), body.unwrap_or_default());
    }
    cause.to_owned()
}

/// Where a path finds nothing, Step Functions repeats the whole input in the cause: that stays here.
fn without_input(cause: &str) -> String {
    const HEADS: [&str; 3] = ["the input '", "the input: '", "input to state: '"];
    let found = HEADS.iter().find_map(|head| Some((*head, cause.split_once(head)?)));
    let Some((head, (before, rest))) = found else { return cause.to_owned() };
    let (input, after) = rest.rsplit_once('\'').unwrap_or((rest, ""));
    format!("{before}{head}[{} bytes, not shown]'{after}", input.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart() {
        use ErrorClass::{Callee, DataLimit, Definition, Permissions, Throttling, Timeout};
        for (error, cause, expected) in [
            ("States.DataLimitExceeded", "", DataLimit),
            ("States.Timeout", "", Timeout),
            ("Lambda.TooManyRequestsException", "Rate Exceeded.", Throttling),
            ("DynamoDB.ProvisionedThroughputExceededException", "", Throttling),
            ("States.Http.StatusCode.429", "", Throttling),
            ("States.TaskFailed", "ThrottlingException: Rate exceeded", Throttling),
            ("KeyError", "throttled it says", Callee),
            ("DynamoDB.AccessDeniedException", "", Permissions),
            ("States.Permissions", "", Permissions),
            ("States.ParameterPathFailure", "", Definition),
            ("Sandbox.Timedout", "", Timeout),
            ("States.TaskFailed", "", Callee),
        ] {
            assert_eq!(classify(error, cause), expected, "{error} {cause}");
        }
    }

    #[test]
    fn causes_are_cut_to_what_tells() {
        let lambda = r#"{"errorMessage":"'deductible'","errorType":"KeyError","requestId":"1","stackTrace":["  a\n"," b","c","d"]}"#;
        assert_eq!(told(lambda), "KeyError: 'deductible'\n  a\n  b\n  c");
        let task = r#"{"StoppedReason":"Essential container in task exited","Containers":[{"Name":"app","ExitCode":1,"Environment":[{"Name":"DB","Value":"s"}]}]}"#;
        assert_eq!(told(task), "Essential container in task exited; app: exit code 1");
        let http = r#"{"StatusCode":503,"StatusText":"Service Unavailable","Headers":{"Set-Cookie":"x"},"ResponseBody":"busy"}"#;
        assert_eq!(told(http), "HTTP 503 Service Unavailable: busy");
        let path = "The JSONPath '$.score' could not be found in the input '{\"card\":\"it's 4111\"}'";
        assert_eq!(
            told(path),
            "The JSONPath '$.score' could not be found in the input '[20 bytes, not shown]'"
        );
        for plain in ["Rate Exceeded.", "{\"a\":1}", "", "[1]"] {
            assert_eq!(told(plain), plain);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_cause_is_read(cause in ".{0,200}") {
            let _ = told(&cause);
        }
    }
}
