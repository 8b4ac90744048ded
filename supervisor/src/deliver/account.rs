//! An AWS account that notices go through: its region, and the role that is assumed for it.

use aws_config::sts::AssumeRoleProvider;
use aws_sdk_sns::config::SharedCredentialsProvider;
use midwatch_mcp::{Aws, AwsSettings, Roles, SdkConfig};

/// Whose credentials are used, and where.
#[derive(Debug, Clone)]
pub(super) struct Account {
    /// How AWS is reached; its region is set below.
    pub(super) settings: AwsSettings,
    pub(super) region: Option<String>,
    pub(super) role_arn: Option<String>,
}

impl Account {
    /// The configuration for a client; nothing is contacted for it.
    pub(super) async fn config(&self) -> Result<SdkConfig, String> {
        let mut settings = self.settings.clone();
        "midwatch-notify".clone_into(&mut settings.session_name);
        settings.region = self.region.clone().or(settings.region);
        let session = settings.session_name.clone();
        let base = Aws::new(settings).base().await.map_err(|error| error.to_string())?;
        let role = self.role_arn.as_ref().filter(|_| self.settings.roles == Roles::Assume);
        let Some(role) = role else { return Ok(base) };
        let mut role = AssumeRoleProvider::builder(role).session_name(session);
        if let Some(region) = base.region() {
            role = role.region(region.clone());
        }
        let provider = role.configure(&base).build().await;
        Ok(base.to_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build())
    }
}
