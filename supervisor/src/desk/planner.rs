//! Where the desk gets plan and facts: from the remediation server, and from nobody else.

use std::{fmt, time::Duration};

use futures::future::BoxFuture;
use midwatch_mcp::{Client, Remote, ToolError};
use midwatch_policy::{Action, Attested, Plan};
use rmcp::{
    ServiceError,
    model::{CallToolRequestParams, CallToolResult},
};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::Mutex;

use super::error::{DeskError, Trouble};

/// Deadline of a plan, connecting included.
const PLAN: Duration = Duration::from_secs(25);

/// What the remediation server says an action would do now, and the facts that it read for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// What would be done, to whom, and how it is undone.
    pub plan: Plan,
    /// What policy is asked with.
    pub facts: Attested,
}

/// Who plans. An edge: everything behind it is another process.
pub trait Planner: Send + Sync + fmt::Debug {
    /// What an action would do now.
    fn plan<'a>(&'a self, action: &'a Action) -> BoxFuture<'a, Result<Planned, DeskError>>;
}

/// Plans at a remediation server, over MCP. A connection that ended is made anew.
#[derive(Debug, Default)]
pub struct McpPlanner {
    remote: Option<Remote>,
    client: Mutex<Option<Arc<Client>>>,
}

#[derive(Deserialize)]
struct Answer {
    plan: Plan,
    facts: Attested,
}

enum Failed {
    /// The connection does not work, so that another may.
    Gone(String),
    Told(DeskError),
}

impl McpPlanner {
    /// Plans at a server that runs elsewhere. Nothing is contacted before the first plan.
    pub fn remote(remote: Remote) -> Self {
        Self { remote: Some(remote), client: Mutex::default() }
    }

    /// Plans over a connection to a server in this process, once it is attached: the desk is made
    /// before the server, which fetches permits from it.
    pub fn unattached() -> Self {
        Self::default()
    }

    /// Gives it the connection.
    pub async fn attach(&self, client: Client) {
        *self.client.lock().await = Some(Arc::new(client));
    }

    /// Whether the server can be reached, for whoever starts a desk.
    pub async fn reach(&self) -> Result<(), DeskError> {
        self.connected().await.map(|_| ())
    }

    async fn connected(&self) -> Result<Arc<Client>, DeskError> {
        let mut held = self.client.lock().await;
        if let Some(client) = held.as_ref() {
            return Ok(Arc::clone(client));
        }
        let Some(remote) = &self.remote else {
            return Err(DeskError::internal("no remediation server is attached to this desk"));
        };
        let client = Box::pin(remote.connect()).await.map_err(|error| {
            tracing::warn!(%error, url = %remote.url(), "the remediation server cannot be reached");
            unreachable(&error.to_string())
        })?;
        let client = Arc::new(client);
        *held = Some(Arc::clone(&client));
        Ok(client)
    }

    /// Forgets a connection that does not work, unless somebody has made another.
    async fn forget(&self, client: &Arc<Client>) {
        if self.remote.is_some() {
            let mut held = self.client.lock().await;
            if held.as_ref().is_some_and(|other| Arc::ptr_eq(other, client)) {
                *held = None;
            }
        }
    }

    async fn ask(&self, action: &Action) -> Result<Planned, DeskError> {
        // Once more over a new connection: the old one may have ended with the server's last run.
        let client = self.connected().await?;
        match call(&client, action).await {
            Ok(planned) => return Ok(planned),
            Err(Failed::Told(error)) => return Err(error),
            Err(Failed::Gone(why)) => {
                tracing::info!(why, "the connection to the remediation server has ended");
                self.forget(&client).await;
            }
        }
        let client = self.connected().await?;
        match call(&client, action).await {
            Ok(planned) => Ok(planned),
            Err(Failed::Told(error)) => Err(error),
            Err(Failed::Gone(why)) => {
                self.forget(&client).await;
                Err(unreachable(&why))
            }
        }
    }
}

impl Planner for McpPlanner {
    fn plan<'a>(&'a self, action: &'a Action) -> BoxFuture<'a, Result<Planned, DeskError>> {
        Box::pin(async move {
            tokio::time::timeout(PLAN, self.ask(action))
                .await
                .unwrap_or_else(|_| Err(unreachable(&format!("no plan within {} s", PLAN.as_secs()))))
        })
    }
}

fn unreachable(why: &str) -> DeskError {
    DeskError::new(
        Trouble::Plan,
        format!("the remediation server could not be asked for the plan: {why}"),
        "start it, and see that its URL (--remediation) and token are right; nothing is asked without its plan",
    )
}

async fn call(client: &Client, action: &Action) -> Result<Planned, Failed> {
    let mut arguments = action.arguments();
    arguments.insert("action".to_owned(), json!(action.kind()));
    let params = CallToolRequestParams::new("plan").with_arguments(arguments);
    match client.call_tool(params).await {
        Ok(result) => read(result, action).map_err(Failed::Told),
        Err(ServiceError::McpError(error)) => Err(Failed::Told(refused(&error.message, ""))),
        Err(error) => Err(Failed::Gone(error.to_string())),
    }
}

fn refused(message: &str, mend: &str) -> DeskError {
    let mend = if mend.is_empty() { "nobody was asked; plan something else" } else { mend };
    DeskError::new(Trouble::Plan, format!("the remediation server would not plan it: {message}"), mend)
}

fn read(result: CallToolResult, action: &Action) -> Result<Planned, DeskError> {
    let content = result.structured_content.unwrap_or_default();
    if result.is_error == Some(true) {
        return Err(match ToolError::from_structured(&content) {
            Some(error) => refused(&error.message, &error.mend),
            None => refused("it did not say why", ""),
        });
    }
    let answer: Answer = serde_json::from_value(content).map_err(|error| {
        refused(&format!("its answer is not readable ({error})"), "run the same version of both")
    })?;
    if answer.plan.action != *action {
        return Err(refused(&format!("it planned to {} instead", answer.plan.action), ""));
    }
    Ok(Planned { plan: answer.plan, facts: answer.facts })
}
