//! The wire: AWS requests in, AWS answers out.
//!
//! One address serves every service, as `AWS_ENDPOINT_URL` expects. What a request is for is read
//! from its protocol: the `x-amz-target` header (JSON 1.1), the path (RPC v2 CBOR and REST), or
//! the `Action` parameter (query). Handlers are plain functions over the state of the world; they
//! neither await nor know of HTTP.

pub(crate) mod bedrock;
mod cbor;
mod cloudtrail;
mod cloudwatch;
mod codedeploy;
mod ecs;
mod error;
mod expression;
mod inject;
mod input;
pub(crate) mod logs;
pub(crate) mod retrieve;
pub(crate) mod server;
mod states;
pub(crate) mod sts;

pub use bedrock::{Mind, Prank};
pub(crate) use cbor::timestamp;
pub(crate) use error::WireError;
pub(crate) use inject::{Injection, Misbehaviour};
pub(crate) use server::serve;

use serde_json::Value;

use crate::world::State;

/// A successful answer.
#[derive(Debug)]
pub(crate) enum WireBody {
    /// JSON; for CloudWatch it is turned into CBOR (see [`timestamp`]).
    Json(Value),
    /// XML of the query protocol.
    Xml(String),
}

impl From<Value> for WireBody {
    fn from(value: Value) -> Self {
        Self::Json(value)
    }
}

/// How requests and answers of a service are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// `application/x-amz-json-1.1`, operation in `x-amz-target`.
    Json,
    /// The same as `application/x-amz-json-1.0`.
    Json10,
    /// `smithy-protocol: rpc-v2-cbor`, operation in the path.
    Cbor,
    /// Form parameters in, XML out.
    Query,
    /// JSON bodies, operation in method and path.
    Rest,
}

/// The services that the world speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    Logs,
    CloudTrail,
    CloudWatch,
    CodeDeploy,
    Ecs,
    States,
    Sts,
    Bedrock,
    BedrockAgent,
}

impl Api {
    /// The one of a prefix, among those whose calls can change the world.
    pub(crate) fn changing(prefix: &str) -> Option<Self> {
        [Self::CloudWatch, Self::CodeDeploy, Self::Ecs].into_iter().find(|api| api.prefix() == prefix)
    }

    /// As it stands before the colon in IAM actions and in a scenario's `api` key.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::CloudTrail => "cloudtrail",
            Self::CloudWatch => "cloudwatch",
            Self::CodeDeploy => "codedeploy",
            Self::Ecs => "ecs",
            Self::States => "states",
            Self::Sts => "sts",
            Self::Bedrock => "bedrock",
            Self::BedrockAgent => "bedrock-agent",
        }
    }
}

/// One request, read as far as every service needs it.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) api: Api,
    /// The operation, such as `DescribeAlarms`.
    pub(crate) op: String,
    /// What the path names: the model id of Converse, the knowledge base of Retrieve.
    pub(crate) resource: Option<String>,
    /// The input as JSON.
    pub(crate) input: Value,
}

/// Answers one request from the state of the world.
pub(crate) fn handle(state: &mut State, request: &Request) -> Result<WireBody, WireError> {
    let (op, input) = (request.op.as_str(), &request.input);
    let resource = request.resource.as_deref().unwrap_or_default();
    match request.api {
        Api::Logs => logs::handle(state, op, input),
        Api::CloudTrail => cloudtrail::handle(state, op, input),
        Api::CloudWatch => cloudwatch::handle(state, op, input),
        Api::CodeDeploy => codedeploy::handle(state, op, input),
        Api::Ecs => ecs::handle(state, op, input),
        Api::States => states::handle(state, op, input),
        Api::Sts => sts::handle(state, op, input),
        Api::Bedrock => bedrock::handle(state, op, resource, input),
        Api::BedrockAgent => retrieve::handle(state, op, resource, input),
    }
}
