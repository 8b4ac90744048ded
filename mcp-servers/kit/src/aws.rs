//! AWS client set-up: one code path for a real account, an emulator and the demo's world.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_config::{
    AppName, BehaviorVersion, Region, SdkConfig, retry::RetryConfig, sts::AssumeRoleProvider,
    timeout::TimeoutConfig,
};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use midwatch_policy::Service;
use tokio::sync::OnceCell;

use crate::{
    error::{ErrorKind, ToolError},
    pace::Pace,
    polite::Polite,
    turns::Turns,
};

/// What the catalog's `role_arn` is used for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Roles {
    /// The role is assumed. For real accounts.
    #[default]
    Assume,
    /// The role is not used: what answers has no STS. For the demo's world and emulators.
    Ignore,
}

/// Where AWS is and who we are there.
#[derive(Debug, Clone)]
pub struct AwsSettings {
    /// Endpoint of every service; absent: the ordinary one, or what `AWS_ENDPOINT_URL*` says.
    pub endpoint_url: Option<String>,
    /// Region where the catalog names none; absent: by the ordinary chain.
    pub region: Option<String>,
    /// Profile of the shared configuration files.
    pub profile: Option<String>,
    /// Fixed credentials; absent: the ordinary chain. Their secret is not printed by `Debug`.
    pub credentials: Option<Credentials>,
    /// What to do with the catalog's roles.
    pub roles: Roles,
    /// Session name when a role is assumed; stands in the account's CloudTrail.
    pub session_name: String,
    /// Calls of one operation a second in this process; more wait their turn. 0: as many as come.
    pub calls_per_second: u32,
    /// How many times as long as usual a call may take. 1, but in a world whose latencies pass on a
    /// clock of its own: there real time is only what the machine needs to compute, however busy it is.
    pub patience: u32,
    /// How long calls waited for a turn within that.
    pub turns: Turns,
}

/// What the stingiest of the APIs that are read allow an account.
pub const CALLS_PER_SECOND: u32 = 9;

impl Default for AwsSettings {
    fn default() -> Self {
        Self {
            endpoint_url: None,
            region: None,
            profile: None,
            credentials: None,
            roles: Roles::Assume,
            session_name: "midwatch-read".to_owned(),
            calls_per_second: CALLS_PER_SECOND,
            patience: 1,
            turns: Turns::default(),
        }
    }
}

impl AwsSettings {
    /// A world or emulator on loopback: everything explicit, nothing read from the environment.
    pub fn local(endpoint_url: impl Into<String>, region: impl Into<String>) -> Self {
        Self {
            endpoint_url: Some(endpoint_url.into()),
            region: Some(region.into()),
            credentials: Some(Credentials::new("AKIDLOCAL", "local", None, None, "midwatch-local")),
            roles: Roles::Ignore,
            // Nobody else needs its quotas.
            calls_per_second: 0,
            ..Self::default()
        }
    }
}

/// Configurations for AWS clients, by service of the catalog. Cheap to clone; nothing is read or
/// contacted before the first use, so that a server starts at once and lists its tools offline.
#[derive(Debug, Clone)]
pub struct Aws(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: AwsSettings,
    base: OnceCell<SdkConfig>,
    /// By role and region. INVARIANT: never locked across an await.
    derived: Mutex<HashMap<(Option<String>, String), SdkConfig>>,
}

impl Aws {
    /// Clients with these settings.
    pub fn new(settings: AwsSettings) -> Self {
        Self(Arc::new(Inner { settings, base: OnceCell::new(), derived: Mutex::default() }))
    }

    /// The ordinary credential and region chain, and `AWS_ENDPOINT_URL*`.
    pub fn ambient() -> Self {
        Self::new(AwsSettings::default())
    }

    /// The same account access under another session name, such as a permit's id.
    #[must_use]
    pub fn with_session_name(&self, name: impl Into<String>) -> Self {
        Self::new(AwsSettings { session_name: name.into(), ..self.0.settings.clone() })
    }

    /// How long calls waited for a turn.
    pub fn turns(&self) -> Turns {
        self.0.settings.turns.clone()
    }

    /// The configuration for no service in particular.
    pub async fn base(&self) -> Result<SdkConfig, ToolError> {
        let base = self.0.base.get_or_init(|| load(&self.0.settings)).await;
        require_region(base.region())?;
        Ok(base.clone())
    }

    /// The configuration for a service: its region, and its role assumed where it names one.
    pub async fn for_service(&self, service: &Service) -> Result<SdkConfig, ToolError> {
        let base = self.0.base.get_or_init(|| load(&self.0.settings)).await;
        let region = service.region.clone().map(Region::new).or_else(|| base.region().cloned());
        let region = require_region(region.as_ref())?.clone();
        let role = match self.0.settings.roles {
            Roles::Assume => service.role_arn.as_ref().map(|role| role.as_str().to_owned()),
            Roles::Ignore => None,
        };
        if role.is_none() && base.region() == Some(&region) {
            return Ok(base.clone());
        }
        let key = (role, region.to_string());
        if let Some(known) = self.0.derived.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(known.clone());
        }
        let mut builder = base.to_builder().region(region.clone());
        if let Some(role) = &key.0 {
            let provider = AssumeRoleProvider::builder(role)
                .session_name(&self.0.settings.session_name)
                .region(region)
                .configure(base)
                .build()
                .await;
            builder = builder.credentials_provider(SharedCredentialsProvider::new(provider));
        }
        let config = builder.build();
        self.0.derived.lock().unwrap_or_else(PoisonError::into_inner).insert(key, config.clone());
        Ok(config)
    }

    /// As [`Aws::for_service`] where there is a service, else [`Aws::base`].
    pub async fn for_optional(&self, service: Option<&Service>) -> Result<SdkConfig, ToolError> {
        match service {
            Some(service) => self.for_service(service).await,
            None => self.base().await,
        }
    }
}

fn require_region(region: Option<&Region>) -> Result<&Region, ToolError> {
    // `AWS_REGION=` says nothing.
    region.filter(|region| !region.as_ref().trim().is_empty()).ok_or_else(|| {
        ToolError::new(
            ErrorKind::Unavailable,
            "no AWS region is configured",
            "an operator sets `region` for the service in the catalog, or AWS_REGION",
        )
    })
}

async fn load(settings: &AwsSettings) -> SdkConfig {
    // For reads: what hangs is given up while a person still waits. Whoever changes something, or
    // asks a model, sets longer ones.
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2).saturating_mul(settings.patience))
        .operation_attempt_timeout(Duration::from_secs(8).saturating_mul(settings.patience))
        .operation_timeout(Duration::from_secs(20).saturating_mul(settings.patience))
        .build();
    // Few attempts: a model is waiting, and an account that throttles is not helped by insisting.
    let retries = RetryConfig::standard().with_max_attempts(3).with_max_backoff(Duration::from_secs(2));
    let app = AppName::new("midwatch").ok();

    if let (Some(endpoint), Some(region), Some(credentials)) =
        (&settings.endpoint_url, &settings.region, &settings.credentials)
    {
        // Everything is given: the environment has no say, not even AWS_ENDPOINT_URL_<SERVICE>.
        let http = if endpoint.starts_with("http://") { Builder::new().build_http() } else { https() };
        let http = polite(http, settings);
        let mut builder = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(endpoint)
            .region(Region::new(region.clone()))
            .credentials_provider(SharedCredentialsProvider::new(credentials.clone()))
            .http_client(http)
            // Assuming a role asks for it.
            .time_source(SystemTimeSource::new())
            .timeout_config(timeouts)
            .retry_config(retries);
        builder.set_app_name(app);
        return builder.build();
    }

    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(polite(https(), settings))
        .timeout_config(timeouts)
        .retry_config(retries);
    if let Some(app) = app {
        loader = loader.app_name(app);
    }
    if let Some(endpoint) = &settings.endpoint_url {
        loader = loader.endpoint_url(endpoint);
    }
    if let Some(region) = &settings.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(profile) = &settings.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(credentials) = &settings.credentials {
        loader = loader.credentials_provider(credentials.clone());
    }
    loader.load().await
}

fn polite(http: SharedHttpClient, settings: &AwsSettings) -> SharedHttpClient {
    let http = SharedHttpClient::new(Pace(http));
    match NonZeroU32::new(settings.calls_per_second) {
        Some(rate) => SharedHttpClient::new(Polite::new(http, rate, settings.turns.clone())),
        None => http,
    }
}

fn https() -> SharedHttpClient {
    Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
}

#[cfg(test)]
mod tests {
    use midwatch_policy::Catalog;

    use super::*;

    fn service(extra: &str) -> Service {
        let text = format!("[[service]]\nname='a'\ntier=1\nenvironment='production'\n{extra}");
        Catalog::parse(&text).unwrap().services().next().unwrap().clone()
    }

    #[test]
    fn an_empty_region_is_none() {
        for none in [None, Some(Region::new("")), Some(Region::new(" "))] {
            assert!(require_region(none.as_ref()).unwrap_err().message.contains("no AWS region"));
        }
        assert!(require_region(Some(&Region::new("eu-west-1"))).is_ok());
    }

    #[tokio::test]
    async fn a_service_brings_its_region_and_a_local_world_ignores_roles() {
        let aws = Aws::new(AwsSettings::local("http://127.0.0.1:1", "us-east-1"));
        let plain = aws.for_service(&service("")).await.unwrap();
        assert_eq!(plain.region().unwrap().as_ref(), "us-east-1");
        let role = "role_arn='arn:aws:iam::123456789012:role/read'\nregion='eu-west-1'";
        let other = aws.for_service(&service(role)).await.unwrap();
        assert_eq!(other.region().unwrap().as_ref(), "eu-west-1");
        assert_eq!(other.endpoint_url(), Some("http://127.0.0.1:1"));
        assert_eq!(aws.0.derived.lock().unwrap().len(), 1);
    }

    #[test]
    fn secrets_are_not_printed() {
        let mut settings = AwsSettings::local("http://127.0.0.1:1", "us-east-1");
        settings.credentials =
            Some(Credentials::new("AKID", "very-secret", Some("tok-en".into()), None, "t"));
        let text = format!("{:?}", Aws::new(settings));
        assert!(!text.contains("very-secret") && !text.contains("tok-en"), "{text}");
    }
}
