//! The one call that changes something.
//!
//! INVARIANT: [`act`] takes an [`Authorised`] action, which only a verified permit makes, and sends
//! exactly one request: the SDK's retries are off. Whatever leaves open whether AWS carried it out
//! is ambiguous and is not sent again.

use std::time::Duration;

use aws_sdk_codedeploy::config::{AppName, http::HttpResponse};
use aws_sdk_ecs::types::StopServiceDeploymentStopType;
use aws_smithy_types::{
    error::{display::DisplayErrorContext, metadata::ProvideErrorMetadata},
    retry::RetryConfig,
    timeout::TimeoutConfig,
};
use midwatch_mcp::{Aws, ToolError};
use midwatch_policy::{Authorised, AwsName, PermitId, Service};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{plan::Move, spend::Ending};

/// A call that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Call {
    /// The API operation, such as `codedeploy:CreateDeployment`.
    pub api: String,
    /// What it was called with, and what came of it.
    pub detail: String,
}

/// What came of an act.
#[derive(Debug, Clone)]
pub(crate) struct Acted {
    pub(crate) ending: Ending,
    pub(crate) call: Call,
    /// The deployment that it started, where AWS named one.
    pub(crate) deployment_id: Option<String>,
}

/// Whose clients act: the acting role of the service's account, under the permit's name.
pub(crate) async fn session(
    aws: &Aws,
    service: &Service,
    role: Option<&str>,
    permit: &PermitId,
) -> Result<Clients, ToolError> {
    // Role session names have at most 64 characters.
    let name: String = format!("midwatch-{permit}").chars().take(64).collect();
    let service = with_role(service, role)?;
    let config = aws.with_session_name(name).for_service(&service).await?;
    let once = RetryConfig::disabled();
    // Stands in the user agent of every call, and so in CloudTrail, also where no role is assumed.
    let app = AppName::new(format!("midwatch-{permit}")).ok();
    // The only attempt: giving up early would leave open whether it was carried out.
    let patient = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(25))
        .operation_timeout(Duration::from_secs(30))
        .build();
    let mut codedeploy = aws_sdk_codedeploy::config::Builder::from(&config)
        .retry_config(once.clone())
        .timeout_config(patient.clone());
    codedeploy.set_app_name(app.clone());
    let mut ecs = aws_sdk_ecs::config::Builder::from(&config).retry_config(once).timeout_config(patient);
    ecs.set_app_name(app);
    Ok(Clients {
        codedeploy: aws_sdk_codedeploy::Client::from_conf(codedeploy.build()),
        ecs: aws_sdk_ecs::Client::from_conf(ecs.build()),
    })
}

/// The catalog's role is for reading; changing takes another role of the same account. Without a role to read
/// with it is not known which account was read, and so none is changed by another role.
fn with_role(service: &Service, role: Option<&str>) -> Result<Service, ToolError> {
    let Some(role) = role else { return Ok(service.clone()) };
    let mend = "an operator gives the service a `role_arn` to read with, of the account in which it is to be changed, \
                or starts the server without --acting-role";
    let unknown = |what: &str| ToolError::refused(format!("`{}` {what}", service.name), mend);
    let reading = service.role_arn.as_ref().ok_or_else(|| unknown("has no role to read with"))?;
    let mut parts = reading.as_str().split(':').skip(1);
    let (partition, account) = (parts.next().unwrap_or_default(), parts.nth(2).unwrap_or_default());
    let role_arn = AwsName::parse(format!("arn:{partition}:iam::{account}:role/{role}"))
        .map_err(|_| unknown(&format!("cannot be changed by a role of the name `{role}`")))?;
    Ok(Service { role_arn: Some(role_arn), ..service.clone() })
}

/// Clients that do not retry.
#[derive(Debug)]
pub(crate) struct Clients {
    codedeploy: aws_sdk_codedeploy::Client,
    ecs: aws_sdk_ecs::Client,
}

/// Carries the authorised action out, by this call.
pub(crate) async fn act(clients: &Clients, authorised: &Authorised, call: &Move) -> Acted {
    let permit = authorised.permit();
    match call {
        Move::StopDeployment { id } => {
            let sent = clients
                .codedeploy
                .stop_deployment()
                .deployment_id(id.as_str())
                .auto_rollback_enabled(true)
                .send();
            outcome("codedeploy:StopDeployment", format!("{id}, with automatic rollback"), sent.await, |_| {
                None
            })
        }
        Move::CreateDeployment { target, revision, rollback_of } => {
            let sent = clients
                .codedeploy
                .create_deployment()
                .application_name(target.application.as_str())
                .deployment_group_name(target.deployment_group.as_str())
                .revision((**revision).clone())
                // The wording is what recognises it as a rollback: see `read::codedeploy`.
                .description(format!("midwatch: rollback of {rollback_of} (permit {permit})"))
                .send();
            let detail = format!("last good revision to {}/{}", target.application, target.deployment_group);
            outcome("codedeploy:CreateDeployment", detail, sent.await, |made| made.deployment_id)
        }
        Move::StopServiceDeployment { arn } => {
            let sent = clients
                .ecs
                .stop_service_deployment()
                .service_deployment_arn(arn.as_str())
                .stop_type(StopServiceDeploymentStopType::Rollback)
                .send();
            outcome("ecs:StopServiceDeployment", format!("{arn}, with rollback"), sent.await, |_| None)
        }
        Move::UpdateTaskDefinition { target, task_definition } => {
            let sent = update(clients, target).task_definition(task_definition.as_str()).send();
            outcome("ecs:UpdateService", format!("task definition {task_definition}"), sent.await, primary)
        }
        Move::ForceNewDeployment { target } => {
            let sent = update(clients, target).force_new_deployment(true).send();
            outcome(
                "ecs:UpdateService",
                "new deployment of the same revision".to_owned(),
                sent.await,
                primary,
            )
        }
        Move::Scale { target, desired_count } => {
            let sent = update(clients, target).desired_count(*desired_count).send();
            outcome("ecs:UpdateService", format!("desired count {desired_count}"), sent.await, |_| None)
        }
    }
}

fn update(
    clients: &Clients,
    target: &midwatch_policy::EcsTarget,
) -> aws_sdk_ecs::operation::update_service::builders::UpdateServiceFluentBuilder {
    clients.ecs.update_service().cluster(target.cluster.as_str()).service(target.service.as_str())
}

fn primary(updated: aws_sdk_ecs::operation::update_service::UpdateServiceOutput) -> Option<String> {
    let service = updated.service?;
    service.deployments().iter().find(|d| d.status() == Some("PRIMARY")).and_then(|d| d.id.clone())
}

type SdkError<E> = aws_sdk_ecs::error::SdkError<E, HttpResponse>;

fn outcome<T, E>(
    api: &str,
    detail: String,
    sent: Result<T, SdkError<E>>,
    started: impl FnOnce(T) -> Option<String>,
) -> Acted
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let (ending, detail, deployment_id) = match sent {
        Ok(answer) => {
            let id = started(answer);
            let told = id.as_ref().map(|id| format!("{detail}; started {id}"));
            (Ending::Done, told.unwrap_or(detail), id)
        }
        Err(error) => {
            tracing::warn!(api, error = %DisplayErrorContext(&error), "a change was not confirmed");
            let (ending, why) = judge(&error);
            (ending, format!("{detail}: {why}"), None)
        }
    };
    Acted { ending, call: Call { api: api.to_owned(), detail }, deployment_id }
}

/// What an error says about whether the change was made. In doubt it may have been.
fn judge<E>(error: &SdkError<E>) -> (Ending, String)
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match error {
        SdkError::ConstructionFailure(_) => {
            (Ending::Failed, "the request could not be made; nothing was sent".to_owned())
        }
        SdkError::DispatchFailure(_) if never_connected(error) => {
            (Ending::Failed, "no connection to AWS; nothing was sent".to_owned())
        }
        SdkError::DispatchFailure(_) => {
            (Ending::Ambiguous, "the connection was lost before AWS answered".to_owned())
        }
        SdkError::TimeoutError(_) => (Ending::Ambiguous, "AWS did not answer in time".to_owned()),
        SdkError::ServiceError(refused) => {
            let code = refused.err().code().unwrap_or("error");
            let status = refused.raw().status().as_u16();
            if status < 500 || code.contains("Throttl") {
                (Ending::Failed, format!("AWS refused it ({code})"))
            } else {
                (Ending::Ambiguous, format!("AWS failed while it worked on it ({code})"))
            }
        }
        _ => (Ending::Ambiguous, "AWS answered something that cannot be read".to_owned()),
    }
}

/// Whether the failure was in connecting, so that nothing can have arrived.
fn never_connected(error: &dyn std::error::Error) -> bool {
    let mut next = error.source();
    while let Some(source) = next {
        // The HTTP client has no public type for this; its text is all there is.
        if source.to_string().contains("client error (Connect)") {
            return true;
        }
        next = source.source();
    }
    false
}

#[cfg(test)]
mod tests;
