//! Serving on stdio and in process.

use std::time::Duration;

use rmcp::{
    RoleClient, ServerHandler, ServiceExt,
    model::ProtocolVersion,
    service::{ClientLifecycleMode, ClientServiceExt, RunningService},
};

use crate::guard::Guarded;

/// How long the other side may take to say what it speaks.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(15);
/// Bytes in flight between a server and a client in one process.
const DUPLEX_BYTES: usize = 64 * 1024;

/// The client side of a connection. Dropping it ends the server at the other end.
pub type Client = RunningService<RoleClient, ()>;

/// Why a connection could not be made, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The client side could not be set up.
    #[error("cannot connect to the server")]
    Client(#[source] Box<rmcp::service::ClientInitializeError>),
    /// The server side could not be set up.
    #[error("cannot serve")]
    Server(#[source] Box<rmcp::service::ServerInitializeError>),
    /// The other side did not answer in time.
    #[error("the server did not answer within {} s", HANDSHAKE.as_secs())]
    Silent,
    /// The serving task died.
    #[error("the serving task died")]
    Task(#[from] tokio::task::JoinError),
}

/// Runs a server inside this process, over an in-memory pipe, and connects a client to it.
pub async fn connect_in_process<S>(server: S) -> Result<Client, ConnectError>
where
    S: ServerHandler + Send + Sync + 'static,
{
    let (server_io, client_io) = tokio::io::duplex(DUPLEX_BYTES);
    tokio::spawn(async move {
        match Guarded(server).serve(server_io).await {
            Ok(running) => {
                if let Err(error) = running.waiting().await {
                    tracing::error!(%error, "an in-process server died");
                }
            }
            Err(error) => tracing::error!(%error, "an in-process server could not start"),
        }
    });
    let discover = ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] };
    tokio::time::timeout(HANDSHAKE, ().serve_with_lifecycle(client_io, discover))
        .await
        .map_err(|_| ConnectError::Silent)?
        .map_err(|error| ConnectError::Client(Box::new(error)))
}

/// Serves on stdin and stdout until the client closes them.
pub async fn serve_stdio<S>(server: S) -> Result<(), ConnectError>
where
    S: ServerHandler + Send + Sync + 'static,
{
    let running = Guarded(server)
        .serve(rmcp::transport::stdio())
        .await
        .map_err(|error| ConnectError::Server(Box::new(error)))?;
    let reason = running.waiting().await?;
    tracing::debug!(?reason, "the client went away");
    Ok(())
}
