//! Serving on stdio and in process.

use std::{io::Read as _, time::Duration};

use rmcp::{
    RoleClient, ServerHandler, ServiceExt,
    model::ProtocolVersion,
    service::{ClientLifecycleMode, ClientServiceExt, RunningService},
};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use crate::{guard::Guarded, lines::Lines, work::Work};

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
    /// Standard input cannot be read.
    #[error("cannot read standard input")]
    Input(#[source] std::io::Error),
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
        match Guarded::new(server).serve(server_io).await {
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

/// Serves on stdin and stdout until the client closes them or `stop` is cancelled; then what is under way ends as
/// [`Work::drain`] says.
pub async fn serve_stdio<S>(
    server: S,
    work: Work,
    grace: Duration,
    stop: CancellationToken,
) -> Result<(), ConnectError>
where
    S: ServerHandler + Send + Sync + 'static,
{
    serve_over(server, (input().map_err(ConnectError::Input)?, tokio::io::stdout()), work, grace, stop).await
}

/// The same over any two ends.
pub async fn serve_over<S, R, W>(
    server: S,
    ends: (R, W),
    work: Work,
    grace: Duration,
    stop: CancellationToken,
) -> Result<(), ConnectError>
where
    S: ServerHandler + Send + Sync + 'static,
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let lines = Lines::new(ends.0, ends.1);
    let running = tokio::select! {
        running = Guarded::under(server, work.clone()).serve(lines) => {
            running.map_err(|error| ConnectError::Server(Box::new(error)))?
        }
        () = stop.cancelled() => return Ok(()),
    };
    let end = running.cancellation_token();
    let mut serving = std::pin::pin!(running.waiting());
    let reason = tokio::select! {
        reason = &mut serving => reason?,
        () = stop.cancelled() => {
            work.drain(grace).await;
            end.cancel();
            serving.await?
        }
    };
    tracing::debug!(?reason, "serving ended");
    // The client went away, and `rmcp` has given its calls 5 s. What they leave behind still has to end.
    work.drain(Duration::ZERO).await;
    Ok(())
}

/// Standard input, read by a thread that nobody waits for: the runtime waits for its own, and so a process that was
/// asked to end would not until its client says something.
fn input() -> std::io::Result<impl AsyncRead + Send + Unpin + 'static> {
    let (ours, mut theirs) = tokio::io::duplex(DUPLEX_BYTES);
    let runtime = tokio::runtime::Handle::current();
    let read = move || {
        let (mut stdin, mut buffer) = (std::io::stdin().lock(), vec![0; DUPLEX_BYTES]);
        loop {
            let read = match stdin.read(&mut buffer) {
                Ok(read) => buffer.get(..read).unwrap_or_default(),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::error!(%error, "standard input cannot be read");
                    return;
                }
            };
            if read.is_empty() || runtime.block_on(theirs.write_all(read)).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("stdin".to_owned()).spawn(read)?;
    Ok(ours)
}
