//! A topic of SNS, in its own account and region.

use aws_sdk_sns::{
    Client,
    config::retry::RetryConfig,
    error::{ProvideErrorMetadata, SdkError},
    types::MessageAttributeValue,
};
use tokio::sync::OnceCell;

use super::{DEADLINE, Parcel, Said};
use crate::deliver::{account::Account, chain::Perhaps, text};

/// SNS takes 256 KiB; people read less.
const MESSAGE: usize = 16 * 1024;
/// SNS takes fewer than 100 characters.
const SUBJECT: usize = 99;
/// What no later attempt mends.
const NEVER: [&str; 12] = [
    "InvalidParameter",
    "InvalidParameterValue",
    "ParameterValueInvalid",
    "InvalidSecurity",
    "NotFound",
    "AuthorizationError",
    "AccessDenied",
    "EndpointDisabled",
    "KMSAccessDenied",
    "KMSDisabled",
    "KMSNotFound",
    "ValidationError",
];

/// A topic.
#[derive(Debug)]
pub(in crate::deliver) struct Sns {
    pub(in crate::deliver) topic: String,
    pub(in crate::deliver) account: Account,
    client: OnceCell<Client>,
}

impl Sns {
    pub(in crate::deliver) fn new(topic: String, account: Account) -> Self {
        Self { topic, account, client: OnceCell::new() }
    }

    async fn client(&self) -> Result<&Client, String> {
        self.client
            .get_or_try_init(|| async {
                let config = self.account.config().await?;
                // The outbox tries again, in its own time.
                let config = aws_sdk_sns::config::Builder::from(&config)
                    .retry_config(RetryConfig::standard().with_max_attempts(1))
                    .build();
                Ok(Client::from_conf(config))
            })
            .await
    }

    pub(super) async fn send(&self, parcel: Parcel<'_>) -> Said {
        let client = match self.client().await {
            Ok(client) => client,
            Err(problem) => return Said::not_now(Perhaps::HasNot, problem),
        };
        let notice = parcel.notice;
        let mut publish = client
            .publish()
            .topic_arn(&self.topic)
            .subject(text::ascii(&format!("Midwatch: {}", notice.headline), SUBJECT))
            .message(notice.plain(MESSAGE));
        for (name, value) in [
            ("incident", notice.about.incident.as_str()),
            ("kind", notice.kind.as_str()),
            ("severity", notice.severity.as_str()),
            ("notice", parcel.key),
        ] {
            let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
            match value {
                Ok(value) => publish = publish.message_attributes(name, value),
                Err(error) => return Said::never(error.to_string()),
            }
        }
        if self.topic.rsplit_once('.').is_some_and(|(_, kind)| kind == "fifo") {
            publish = publish
                .message_group_id(notice.about.incident.as_str())
                .message_deduplication_id(crate::journal::digest(parcel.key.as_bytes()));
        }
        match tokio::time::timeout(DEADLINE, publish.send()).await {
            Ok(Ok(_)) => Said::Taken,
            Ok(Err(error)) => judge(&error),
            Err(_) => Said::not_now(Perhaps::Has, "SNS does not answer in time"),
        }
    }
}

fn judge<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Said {
    match error {
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or("an unnamed error");
            let problem = format!("SNS says {}", text::line(code, 60));
            let bare = code.strip_suffix("Exception").unwrap_or(code);
            if NEVER.contains(&bare) {
                Said::never(problem)
            } else if bare.starts_with("Throttl") {
                Said::not_now(Perhaps::HasNot, problem)
            } else {
                Said::not_now(Perhaps::Has, problem)
            }
        }
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            Said::not_now(Perhaps::Has, "SNS does not answer in time")
        }
        SdkError::DispatchFailure(_) => Said::not_now(
            Perhaps::HasNot,
            "SNS cannot be reached, or there are no credentials for it: see `midwatch doctor`",
        ),
        SdkError::TimeoutError(_) => Said::not_now(Perhaps::Has, "SNS does not answer in time"),
        SdkError::ConstructionFailure(_) => Said::never("the request to SNS cannot be made"),
        _ => Said::not_now(Perhaps::Has, "the answer of SNS cannot be read"),
    }
}

#[cfg(test)]
mod tests;
