//! The tools of an incident: MCP clients of the servers, classed by our own table.
//!
//! INVARIANT: what a tool does to the world is read from `CLASSES` and nowhere else. A server's
//! own hints are not looked at; a tool that is not in the table is `Unknown` and is never shown
//! to an agent. Every call has a deadline and ends with it: the server is told.

use std::{collections::BTreeMap, time::Duration};

use futures::future::BoxFuture;
use midwatch_agents::{
    model::{CallLimits, ToolSpec},
    tools::{FailureKind, ToolCall, ToolClass, ToolDef, ToolFailure, Tools},
};
use midwatch_mcp::{Client, ToolError};
use rmcp::{
    ServiceError,
    model::{CallToolRequestParams, CallToolResult},
};
use serde_json::Value;

/// What our own servers' tools do to the world.
const CLASSES: &[(&str, &str, ToolClass)] = &[
    ("logs", "error_patterns", ToolClass::Read),
    ("logs", "log_query", ToolClass::Read),
    ("logs", "log_context", ToolClass::Read),
    ("metrics", "get_alarm", ToolClass::Read),
    ("metrics", "alarm_history", ToolClass::Read),
    ("metrics", "metric_window", ToolClass::Read),
    ("metrics", "list_alarms", ToolClass::Read),
    ("deployments", "list_deployments", ToolClass::Read),
    ("deployments", "what_changed", ToolClass::Read),
    ("deployments", "correlate", ToolClass::Read),
    ("deployments", "service_health", ToolClass::Read),
    ("runbooks", "search_runbooks", ToolClass::Read),
    ("runbooks", "get_runbook", ToolClass::Read),
    ("remediation", "plan", ToolClass::Read),
    ("remediation", "rollback_deployment", ToolClass::Mutate),
    ("remediation", "restart_service", ToolClass::Mutate),
    ("remediation", "scale_service", ToolClass::Mutate),
];

/// What a tool does to the world, by our own table.
pub fn class_of(server: &str, tool: &str) -> ToolClass {
    CLASSES.iter().find(|(s, t, _)| *s == server && *t == tool).map_or(ToolClass::Unknown, |(_, _, c)| *c)
}

/// Every tool of our own servers: server, tool and class.
pub fn known() -> impl Iterator<Item = (&'static str, &'static str, ToolClass)> {
    CLASSES.iter().copied()
}

/// The servers of an incident.
#[derive(Debug, Default)]
pub struct Toolbox {
    servers: BTreeMap<&'static str, Client>,
    tools: Vec<ToolDef>,
    missing: Vec<String>,
}

impl Toolbox {
    /// A toolbox without tools.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a connected server. One that cannot list its tools is named in `missing`.
    pub async fn attach(&mut self, server: &'static str, client: Client) {
        const LISTING: Duration = Duration::from_secs(15);
        match tokio::time::timeout(LISTING, client.list_all_tools()).await {
            Ok(Ok(list)) => {
                self.tools.extend(list.into_iter().map(|tool| ToolDef {
                    server: server.to_owned(),
                    class: class_of(server, &tool.name),
                    spec: ToolSpec {
                        name: tool.name.to_string(),
                        description: tool.description.map(|d| d.to_string()).unwrap_or_default(),
                        input_schema: Value::Object((*tool.input_schema).clone()),
                    },
                }));
                self.servers.insert(server, client);
            }
            Ok(Err(error)) => self.missing.push(format!("server `{server}` did not list its tools: {error}")),
            Err(_) => self.missing.push(format!("server `{server}` did not list its tools in time")),
        }
    }

    /// Notes a server that could not be started.
    pub fn without(&mut self, server: &str, why: &str) {
        self.missing.push(format!("server `{server}` could not be started: {why}"));
    }

    /// Servers that are not there, and why.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// Calls a tool.
    async fn call_tool(&self, call: &ToolCall, limits: &CallLimits) -> Result<Value, ToolFailure> {
        let Some(client) = self.servers.get(call.server.as_str()) else {
            return Err(ToolFailure::new(
                FailureKind::Unavailable,
                format!("server `{}` is not running", call.server),
            ));
        };
        let params = CallToolRequestParams::new(call.tool.clone()).with_arguments(call.args.clone());
        // Dropping the future tells the server to stop.
        tokio::select! {
            () = limits.cancel.cancelled() => {
                Err(ToolFailure::new(FailureKind::Timeout, "the call was cancelled"))
            }
            answer = tokio::time::timeout(limits.timeout, client.call_tool(params)) => match answer {
                Ok(answer) => read(answer),
                Err(_) => Err(ToolFailure::new(
                    FailureKind::Timeout,
                    format!("no answer within {} s", limits.timeout.as_secs()),
                )),
            }
        }
    }
}

impl Tools for Toolbox {
    fn list(&self) -> Vec<ToolDef> {
        self.tools.clone()
    }

    fn call<'a>(
        &'a self,
        call: &'a ToolCall,
        limits: &'a CallLimits,
    ) -> BoxFuture<'a, Result<Value, ToolFailure>> {
        Box::pin(async move {
            // The agent loop shows no such tool; this is the second lock.
            if class_of(&call.server, &call.tool) != ToolClass::Read {
                return Err(ToolFailure::new(FailureKind::Refused, "agents only read"));
            }
            self.call_tool(call, limits).await
        })
    }
}

/// The one way to a mutating tool: the `act` stage holds it, agents never do.
#[derive(Debug, Clone, Copy)]
pub struct Mutations<'a>(pub &'a Toolbox);

impl Mutations<'_> {
    /// Calls a mutating tool, once.
    pub async fn call(&self, call: &ToolCall, limits: &CallLimits) -> Result<Value, ToolFailure> {
        if class_of(&call.server, &call.tool) != ToolClass::Mutate {
            return Err(ToolFailure::new(FailureKind::Refused, format!("`{}` is no action", call.tool)));
        }
        self.0.call_tool(call, limits).await
    }
}

fn read(answer: Result<CallToolResult, ServiceError>) -> Result<Value, ToolFailure> {
    let result = match answer {
        Ok(result) => result,
        Err(ServiceError::McpError(error)) => {
            return Err(ToolFailure::new(FailureKind::Invalid, error.message.to_string()));
        }
        Err(ServiceError::Timeout { .. }) => {
            return Err(ToolFailure::new(FailureKind::Timeout, "no answer in time"));
        }
        Err(error) => {
            return Err(ToolFailure::new(FailureKind::Unavailable, format!("the server is gone: {error}")));
        }
    };
    if result.is_error == Some(true) {
        let told = result.structured_content.as_ref().and_then(ToolError::from_structured);
        return Err(match told {
            Some(error) => ToolFailure {
                kind: serde_json::to_value(error.kind)
                    .and_then(serde_json::from_value)
                    .unwrap_or(FailureKind::Internal),
                message: error.message,
                mend: Some(error.mend),
            },
            None => ToolFailure::new(FailureKind::Internal, text_of(&result)),
        });
    }
    result
        .structured_content
        .clone()
        .ok_or_else(|| ToolFailure::new(FailureKind::Internal, "the answer has no structured content"))
}

fn text_of(result: &CallToolResult) -> String {
    let text = result.content.iter().find_map(|block| block.as_text()).map(|t| t.text.clone());
    text.unwrap_or_else(|| "the tool failed and did not say why".to_owned())
}

#[cfg(test)]
mod tests {
    use midwatch_policy::ActionKind;

    use super::*;

    #[test]
    fn every_action_is_classed_as_one_and_everything_unnamed_is_unknown() {
        for kind in ActionKind::ALL {
            assert_eq!(class_of("remediation", kind.tool()), ToolClass::Mutate);
            // The same name on another server is not the same tool.
            assert_eq!(class_of("logs", kind.tool()), ToolClass::Unknown);
        }
        assert_eq!(class_of("remediation", "plan"), ToolClass::Read);
        assert_eq!(class_of("foreign", "error_patterns"), ToolClass::Unknown);
    }

    #[tokio::test]
    async fn neither_door_opens_for_the_other_kind_of_tool() {
        let toolbox = Toolbox::new();
        let limits = CallLimits::within(Duration::from_secs(1));
        let call = |tool: &str| ToolCall {
            server: "remediation".to_owned(),
            tool: tool.to_owned(),
            args: serde_json::Map::new(),
        };
        let act = toolbox.call(&call("restart_service"), &limits).await.unwrap_err();
        assert_eq!(act.kind, FailureKind::Refused);
        let look = Mutations(&toolbox).call(&call("plan"), &limits).await.unwrap_err();
        assert_eq!(look.kind, FailureKind::Refused);
    }
}
