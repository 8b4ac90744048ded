//! A server that runs elsewhere: its connection is made when it is needed, and anew when it ended.
//!
//! INVARIANT: only a call that reads for nothing is made a second time. What may have changed something,
//! or may have cost something, is never repeated here: that is for the caller.

use std::sync::Arc;

use midwatch_mcp::{Client, ConnectError, Remote};
use rmcp::{
    ServiceError,
    model::{CallToolRequestParams, CallToolResult, Tool},
};
use tokio::sync::Mutex;

/// Whether a call may be made once more over a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// It only reads, for nothing.
    Once,
    /// It changes something, or costs something.
    Never,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    /// Nothing was sent.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It was sent, perhaps.
    #[error(transparent)]
    Call(#[from] ServiceError),
}

/// The server, and the connection to it while there is one.
#[derive(Debug)]
pub(super) struct Elsewhere {
    remote: Remote,
    client: Mutex<Option<Arc<Client>>>,
}

impl Elsewhere {
    /// A server there. Nothing is contacted yet.
    pub(super) fn new(remote: Remote) -> Self {
        Self { remote, client: Mutex::default() }
    }

    /// What it offers.
    pub(super) async fn tools(&self) -> Result<Vec<Tool>, Lost> {
        let client = self.connected().await?;
        let listed = client.list_all_tools().await;
        if listed.is_err() {
            self.forget(&client).await;
        }
        Ok(listed?)
    }

    /// Calls a tool.
    pub(super) async fn call(
        &self,
        params: CallToolRequestParams,
        again: Again,
    ) -> Result<CallToolResult, Lost> {
        let client = self.connected().await?;
        match client.call_tool(params.clone()).await {
            Err(error) if ended(&error) => {
                self.forget(&client).await;
                if again == Again::Never {
                    return Err(error.into());
                }
                tracing::info!(%error, url = %self.remote.url(), "the connection to a server has ended");
            }
            answered => return Ok(answered?),
        }
        let client = self.connected().await?;
        let answered = client.call_tool(params).await;
        if answered.as_ref().is_err_and(ended) {
            self.forget(&client).await;
        }
        Ok(answered?)
    }

    async fn connected(&self) -> Result<Arc<Client>, ConnectError> {
        let mut held = self.client.lock().await;
        if let Some(client) = held.as_ref().filter(|client| !client.is_closed()) {
            return Ok(Arc::clone(client));
        }
        let client = Arc::new(Box::pin(self.remote.connect()).await?);
        *held = Some(Arc::clone(&client));
        Ok(client)
    }

    /// Forgets a connection, unless somebody has made another.
    async fn forget(&self, client: &Arc<Client>) {
        let mut held = self.client.lock().await;
        if held.as_ref().is_some_and(|other| Arc::ptr_eq(other, client)) {
            *held = None;
        }
    }
}

/// Whether another connection may help. A server that answered with an error is there.
fn ended(error: &ServiceError) -> bool {
    !matches!(error, ServiceError::McpError(_) | ServiceError::Timeout { .. })
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, time::Duration};

    use midwatch_agents::{
        model::CallLimits,
        tools::{ToolCall, Tools as _},
    };
    use midwatch_mcp::{
        Aws, AwsSettings, Ctx, SystemClock,
        http::{Access, HttpSettings, Token, bind},
    };
    use midwatch_policy::Catalog;
    use midwatch_runbooks::{RunbooksConfig, RunbooksServer};
    use tokio::task::JoinHandle;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::tools::Toolbox;

    const TOKEN: &str = "a-token-of-this-test";

    async fn serve(addr: SocketAddr) -> (SocketAddr, CancellationToken, JoinHandle<()>) {
        let aws = Aws::new(AwsSettings::local("http://127.0.0.1:9", "us-east-1"));
        let ctx = Ctx::new(aws, Arc::new(Catalog::default()), Arc::new(SystemClock));
        let server = RunbooksServer::new(ctx, RunbooksConfig::default());
        let access = Access::Token(Token::parse(TOKEN).unwrap());
        let bound = bind(server, HttpSettings { access, ..HttpSettings::on(addr) }).await.unwrap();
        let (addr, stop) = (bound.local_addr(), CancellationToken::new());
        let told = stop.clone();
        let serving = tokio::spawn(async move { bound.run(told).await.unwrap() });
        (addr, stop, serving)
    }

    fn search() -> ToolCall {
        let args = serde_json::json!({"query": "connection pool exhausted"});
        let args = args.as_object().cloned().unwrap();
        ToolCall { server: "runbooks".to_owned(), tool: "search_runbooks".to_owned(), args }
    }

    #[tokio::test]
    async fn a_server_that_is_away_is_named_looked_for_and_used_again_after_it_was_restarted() {
        let (addr, stop, serving) = serve("127.0.0.1:0".parse().unwrap()).await;
        stop.cancel();
        serving.await.unwrap();
        let mut toolbox = Toolbox::new();
        let remote = Remote::new(&format!("http://{addr}/mcp"), TOKEN).unwrap();
        toolbox.attach_elsewhere("runbooks", remote);
        assert!(toolbox.missing()[0].contains("has not answered yet"), "{:?}", toolbox.missing());
        toolbox.settled().await;
        assert!(toolbox.missing()[0].contains("`runbooks`"), "{:?}", toolbox.missing());
        assert!(toolbox.list().is_empty());
        let limits = CallLimits::within(Duration::from_secs(10));
        toolbox.call(&search(), &limits).await.unwrap_err();

        for round in 0..2 {
            let (_, stop, serving) = serve(addr).await;
            let found = toolbox.call(&search(), &limits).await;
            found.unwrap_or_else(|error| panic!("round {round}: {error:?}"));
            for _ in 0..100 {
                if toolbox.missing().is_empty() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            assert_eq!(toolbox.missing(), Vec::<String>::new());
            assert!(toolbox.list().iter().any(|tool| tool.spec.name == "search_runbooks"));
            stop.cancel();
            serving.await.unwrap();
        }
        toolbox.call(&search(), &limits).await.unwrap_err();
    }
}
