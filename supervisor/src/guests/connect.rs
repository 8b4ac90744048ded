//! A connection to a guest.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{HeaderName, HeaderValue};
use midwatch_mcp::{http_client, in_one_line};
use rmcp::{
    ClientCacheConfig, ClientHandler, RoleClient,
    model::{
        ClientCapabilities, ClientConfig, Implementation, PaginatedRequestParams, ProtocolVersion, Tool,
    },
    service::{ClientLifecycleMode, ClientServiceExt, NotificationContext, RunningService},
    transport::{StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig},
};

use super::{
    file::{GuestConfig, Reach},
    meter::{Meter, Metered, MeteredHttp},
    process::{self, Leash},
};

/// How long it may take to be there, such as a package that is fetched first.
const CONNECT: Duration = Duration::from_mins(1);
/// Pages of tools that are read.
const PAGES: usize = 40;
/// Tools that are looked at.
const TOOLS: usize = 1_000;

/// The client side: it offers a guest nothing, neither models nor files nor people.
#[derive(Debug, Clone)]
pub(super) struct Visited {
    changed: Arc<AtomicBool>,
}

impl ClientHandler for Visited {
    fn get_info(&self) -> ClientConfig {
        let own = Implementation::new("midwatch", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), own)
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.store(true, Ordering::Relaxed);
    }
}

/// A connection. Its process ends with it.
pub(super) struct Line {
    pub(super) client: RunningService<RoleClient, Visited>,
    pub(super) meter: Meter,
    leash: Option<Leash>,
    changed: Arc<AtomicBool>,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("leash", &self.leash).finish_non_exhaustive()
    }
}

impl Line {
    /// Connects. What went wrong is in words for the operator.
    pub(super) async fn connect(config: &GuestConfig) -> Result<Self, String> {
        let changed = Arc::new(AtomicBool::new(false));
        let visited = Visited { changed: Arc::clone(&changed) };
        let meter = Meter::for_results(config.limits.max_bytes);
        // As most servers still do it, where one does not know the newest way.
        let both = ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            legacy_version: Some(ProtocolVersion::V_2025_11_25),
        };
        let (client, leash) = match &config.reach {
            Reach::Process { program, args, env, cwd } => {
                let spawned = process::spawn(program, args, env, cwd)
                    .map_err(|error| format!("`{program}` cannot be started: {error}"))?;
                let leash = spawned.leash;
                let (over, end) = (meter.clone(), leash.end());
                // Also between calls, when nobody waits for an answer.
                tokio::spawn(async move {
                    tokio::select! {
                        () = over.over() => end.cancel(),
                        () = end.cancelled() => {}
                    }
                });
                let ends = (Metered::new(spawned.stdout, meter.clone()), spawned.stdin);
                let met = Box::pin(visited.serve_with_lifecycle(ends, both));
                (tokio::time::timeout(CONNECT, met).await, Some(leash))
            }
            Reach::Http { url, headers } => {
                let http = http_client().map_err(|error| in_one_line(&error))?;
                let custom: HashMap<HeaderName, HeaderValue> = headers
                    .iter()
                    .filter_map(|(name, value)| {
                        let mut value = HeaderValue::from_str(value).ok()?;
                        value.set_sensitive(true);
                        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
                    })
                    .collect();
                let to = StreamableHttpClientTransportConfig::with_uri(url.as_str())
                    .custom_headers(custom)
                    .reinit_on_expired_session(false);
                let transport =
                    StreamableHttpClientTransport::with_client(MeteredHttp::new(http, meter.clone()), to);
                let met = Box::pin(visited.serve_with_lifecycle(transport, both));
                (tokio::time::timeout(CONNECT, met).await, None)
            }
        };
        let client = match client {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => {
                if let Some(leash) = &leash {
                    // Its last words come a moment after its end.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    if let Some(said) = leash.said() {
                        return Err(said);
                    }
                }
                let said = if meter.is_over() { meter.said() } else { in_one_line(&error) };
                return Err(midwatch_mcp::clean(&said, 240).text);
            }
            Err(_) => return Err(format!("it did not answer within {} s", CONNECT.as_secs())),
        };
        // What it offers is looked at anew each time, whatever it says of how long that holds.
        client.set_response_cache_config(ClientCacheConfig::disabled()).await;
        Ok(Self { client, meter, leash, changed })
    }

    /// What it lists, and whether that is all.
    pub(super) async fn tools(&self) -> Result<(Vec<Tool>, bool), rmcp::ServiceError> {
        self.changed.store(false, Ordering::Relaxed);
        let (mut tools, mut cursor): (Vec<Tool>, Option<String>) = (Vec::new(), None);
        for _ in 0..PAGES {
            let page = PaginatedRequestParams::default().with_cursor(cursor.take());
            let listed = self.client.list_tools(Some(page)).await?;
            tools.extend(listed.tools);
            cursor = listed.next_cursor;
            if cursor.is_none() || tools.len() > TOOLS {
                break;
            }
        }
        let whole = cursor.is_none() && tools.len() <= TOOLS;
        tools.truncate(TOOLS);
        Ok((tools, whole))
    }

    /// Whether it said that its tools have changed.
    pub(super) fn has_changed(&self) -> bool {
        self.changed.load(Ordering::Relaxed)
    }

    /// Whether nothing can be asked over it any more.
    pub(super) fn is_gone(&self) -> bool {
        self.meter.is_over() || self.client.is_closed() || self.client.peer().is_transport_closed()
    }

    /// How it ended, in words for the operator.
    pub(super) fn said(&self) -> String {
        if self.meter.is_over() {
            return self.meter.said();
        }
        let said = self.leash.as_ref().and_then(Leash::said);
        said.unwrap_or_else(|| "the connection to it ended".to_owned())
    }
}
