//! A world made by a test from a state of its choosing, spoken to by the real SDK clients.

use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_smithy_types::retry::RetryConfig;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Shared, State, clock};
use crate::wire;

pub(crate) struct Played {
    pub(crate) shared: Arc<Shared>,
    pub(crate) config: SdkConfig,
    _stop: DropGuard,
}

/// Plays a state on a loopback port.
pub(crate) async fn play(state: State) -> Played {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let shared = Shared::new(state);
    let stop = CancellationToken::new();
    tokio::spawn(wire::serve(listener, Arc::clone(&shared), stop.clone()));
    tokio::spawn(stop.clone().run_until_cancelled_owned(clock::drive(Arc::downgrade(&shared))));
    let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "test");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled())
        .build();
    Played { shared, config, _stop: stop.drop_guard() }
}
