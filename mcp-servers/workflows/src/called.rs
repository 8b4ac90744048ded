//! What a state calls: names out of its parameters, and nothing else of them.

use midwatch_mcp::clean;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// Longest name that is passed on, in bytes.
const LONGEST: usize = 256;

/// Parameters that name what is called, the most telling first.
const NAMES: [&str; 12] = [
    "FunctionName",
    "TaskDefinition",
    "TableName",
    "QueueUrl",
    "TopicArn",
    "StateMachineArn",
    "ApiEndpoint",
    "JobName",
    "ProjectName",
    "Bucket",
    "ModelId",
    "EventBusName",
];

/// What a state called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Called {
    /// The kind of thing: `lambda`, `ecs`, `dynamodb`, `sqs`, `http`, `states`, `activity`, …
    pub kind: String,
    /// The operation, such as `invoke` or `runTask.sync`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Which one: function, task family, table, queue, host, state machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it logs to by AWS's default; for a Lambda function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_group: Option<String>,
}

impl Called {
    /// Through an integration: `lambda`, `invoke`, and its parameters as JSON.
    pub(crate) fn by_task(kind: &str, operation: &str, parameters: &str) -> Self {
        let parameters: Value = serde_json::from_str(parameters).unwrap_or(Value::Null);
        let named = named(&parameters);
        // Calls through `aws-sdk:lambda` and the like are of the same kind.
        let kind = kind.strip_prefix("aws-sdk:").unwrap_or(kind);
        Self::new(kind, Some(operation), named.map(|(_, value)| value))
    }

    /// A Lambda function, by its ARN.
    pub(crate) fn lambda(arn: &str) -> Self {
        Self::new("lambda", Some("invoke"), Some(arn))
    }

    /// An activity, by its ARN.
    pub(crate) fn activity(arn: &str) -> Self {
        Self::new("activity", None, Some(arn))
    }

    fn new(kind: &str, operation: Option<&str>, name: Option<&str>) -> Self {
        let name = name.map(|name| short(kind, name));
        let log_group = (kind == "lambda")
            .then(|| {
                name.as_deref().map(|name| format!("/aws/lambda/{}", name.split(':').next().unwrap_or(name)))
            })
            .flatten();
        Self {
            kind: text(kind),
            operation: operation.filter(|operation| !operation.is_empty()).map(text),
            name: name.as_deref().map(text),
            log_group: log_group.as_deref().map(text),
        }
    }
}

/// The parameter that names what is called, and its value.
pub(crate) fn named(parameters: &Value) -> Option<(&'static str, &str)> {
    NAMES.iter().find_map(|name| Some((*name, parameters.get(name)?.as_str()?)))
}

fn text(text: &str) -> String {
    clean(text, LONGEST).text
}

/// The short name in an ARN or a URL: `charge` of `arn:aws:lambda:…:function:charge`, with its
/// version where there is one; the host of an address.
fn short(kind: &str, name: &str) -> String {
    if let Some((_, rest)) = name.split_once("://") {
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let host = host.split(['?', '#']).next().unwrap_or(host);
        // Of a queue the last part of the path is its name.
        let last = path.rsplit('/').next().filter(|last| kind == "sqs" && !last.is_empty());
        return last.unwrap_or(host).to_owned();
    }
    let Some(rest) = name.strip_prefix("arn:") else { return name.to_owned() };
    let parts: Vec<&str> = rest.splitn(5, ':').collect();
    let resource = parts.last().copied().unwrap_or(rest);
    for head in ["function:", "stateMachine:", "activity:", "task-definition/", "table/", "event-bus/"] {
        if let Some(rest) = resource.strip_prefix(head) {
            return rest.to_owned();
        }
    }
    resource.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_out_of_parameters_and_nothing_else_does() {
        let table = [
            (
                (
                    "lambda",
                    r#"{"FunctionName":"arn:aws:lambda:us-east-1:1:function:charge:live","Payload":{"card":"4111"}}"#,
                ),
                (Some("charge:live"), Some("/aws/lambda/charge")),
            ),
            (
                ("aws-sdk:lambda", r#"{"FunctionName":"charge"}"#),
                (Some("charge"), Some("/aws/lambda/charge")),
            ),
            (
                (
                    "ecs",
                    r#"{"Cluster":"c","TaskDefinition":"arn:aws:ecs:us-east-1:1:task-definition/score:7"}"#,
                ),
                (Some("score:7"), None),
            ),
            (("dynamodb", r#"{"TableName":"claims","Item":{"id":{"S":"1"}}}"#), (Some("claims"), None)),
            (
                ("sqs", r#"{"QueueUrl":"https://sqs.us-east-1.amazonaws.com/1/paid","MessageBody":"x"}"#),
                (Some("paid"), None),
            ),
            (
                ("http", r#"{"ApiEndpoint":"https://user:pass@api.bank.example/v1?key=s3cret"}"#),
                (Some("api.bank.example"), None),
            ),
            (
                ("http", r#"{"ApiEndpoint":"https://api.bank.example?key=s3cret"}"#),
                (Some("api.bank.example"), None),
            ),
            (
                ("states", r#"{"StateMachineArn":"arn:aws:states:us-east-1:1:stateMachine:inner"}"#),
                (Some("inner"), None),
            ),
            (("sns", "not json"), (None, None)),
        ];
        for ((kind, parameters), (name, group)) in table {
            let called = Called::by_task(kind, "invoke", parameters);
            assert_eq!((called.name.as_deref(), called.log_group.as_deref()), (name, group), "{parameters}");
            assert!(!format!("{called:?}").contains("4111") && !format!("{called:?}").contains("s3cret"));
        }
    }
}
