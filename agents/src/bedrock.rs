//! Bedrock Converse behind the [`Model`] trait: the only thing in this crate that talks to the
//! outside.
//!
//! One call is one attempt: the SDK's retries are off, because every attempt is reserved and
//! settled by the caller. Region, endpoint and credentials come with the `SdkConfig` it is given.

mod document;
mod error;
mod request;
mod response;
mod trace;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws_config::{
    SdkConfig, retry::RetryConfig, stalled_stream_protection::StalledStreamProtectionConfig,
    timeout::TimeoutConfig,
};
use aws_sdk_bedrockruntime::{Client, config, types::Tool};
use futures::future::BoxFuture;

use crate::model::{CallLimits, Model, ModelError, ModelErrorKind, ModelRequest, ModelResponse, ToolEntry};

/// What a family of models understands of Converse. What a model does not understand it refuses
/// the whole request for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Family {
    cache_points: bool,
    cached_tools: bool,
    tool_choice: bool,
    temperature: bool,
}

impl Family {
    fn of(model_id: &str) -> Self {
        let claude = model_id.contains("anthropic.claude");
        let nova = model_id.contains("amazon.nova");
        // The newest models take no sampling settings.
        let fixed = ["opus-4-7", "opus-4-8"].iter().any(|name| model_id.contains(name));
        Self {
            cache_points: claude || nova,
            cached_tools: claude,
            tool_choice: claude || nova,
            temperature: !fixed,
        }
    }
}

/// Tool lists that are remembered as they were sent.
const LISTS: usize = 16;

/// A model on Bedrock.
pub struct BedrockModel {
    client: Client,
    model_id: String,
    family: Family,
    /// The tool lists as they were sent, newest last. Documents of the SDK are hash maps: converting
    /// a schema anew would change the order of its keys, and with it the prefix that the provider
    /// caches. Several specialists take turns on one model, so one list is not enough.
    tools: Mutex<Vec<(Vec<ToolEntry>, Vec<Tool>)>>,
}

impl std::fmt::Debug for BedrockModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BedrockModel").field("model_id", &self.model_id).finish_non_exhaustive()
    }
}

impl BedrockModel {
    /// A model by id, profile id or inference-profile ARN. The account's quota is respected by the
    /// [`Gate`](crate::gate::Gate) before it.
    pub fn new(config: &SdkConfig, model_id: impl Into<String>) -> Self {
        let model_id = model_id.into();
        let untimed = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3))
            .disable_operation_attempt_timeout()
            .disable_operation_timeout()
            .build();
        let config = config::Builder::from(config)
            .retry_config(RetryConfig::disabled())
            // The limits of a call say how long it may take; the timeouts of reads are not for it.
            .timeout_config(untimed)
            // A model may think for longer than a stream may stall.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        Self {
            client: Client::from_conf(config),
            family: Family::of(&model_id),
            model_id,
            tools: Mutex::new(Vec::new()),
        }
    }

    async fn attempt(&self, request: &ModelRequest) -> Result<ModelResponse, ModelError> {
        let tools = self.tools(request)?;
        let call = request::fill(self.client.converse(), &self.model_id, self.family, request, tools)
            .map_err(|why| ModelError::new(ModelErrorKind::Validation, &self.model_id, why))?;
        let answer = call.send().await.map_err(|error| error::classify(&self.model_id, &error))?;
        response::read(&self.model_id, answer)
    }

    fn tools(&self, request: &ModelRequest) -> Result<Vec<Tool>, ModelError> {
        let Some(config) = &request.tools else { return Ok(Vec::new()) };
        let mut sent = self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, tools)) = sent.iter().find(|(entries, _)| *entries == config.tools) {
            return Ok(tools.clone());
        }
        let tools = request::tools(&config.tools, self.family)
            .map_err(|why| ModelError::new(ModelErrorKind::Validation, &self.model_id, why))?;
        if sent.len() >= LISTS {
            sent.remove(0);
        }
        sent.push((config.tools.clone(), tools.clone()));
        Ok(tools)
    }
}

impl Model for BedrockModel {
    fn id(&self) -> &str {
        &self.model_id
    }

    fn converse<'a>(
        &'a self,
        request: &'a ModelRequest,
        limits: &'a CallLimits,
    ) -> BoxFuture<'a, Result<ModelResponse, ModelError>> {
        Box::pin(async move {
            let failed = |kind, why: &str| Err(ModelError::new(kind, &self.model_id, why));
            tokio::select! {
                biased;
                () = limits.cancel.cancelled() => failed(ModelErrorKind::Cancelled, "cancelled"),
                answer = tokio::time::timeout(limits.timeout, self.attempt(request)) => {
                    answer.unwrap_or_else(|_| failed(ModelErrorKind::Timeout, "no answer in time"))
                }
            }
        })
    }
}

#[cfg(test)]
mod tests;
