//! The HTTP side: reads a request, lets world time pass, hands it to its handler, writes the answer.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    extract,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::Response,
};
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Api, Misbehaviour, Protocol, Request, WireBody, WireError, cbor, handle};
use crate::world::Shared;

pub(crate) const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;
const GRANITE: &str = "GraniteServiceVersion20100801";

/// Serves the world until it is cancelled.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let app = Router::new()
        .fallback(answer)
        .layer(extract::DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(shared);
    let served = axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "the world's server failed");
    }
}

async fn answer(
    extract::State(shared): extract::State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (protocol, request) = read(&method, &uri, &headers, &body);
    match request {
        Ok(request) => respond(&shared, protocol, &request).await,
        Err(error) => write(protocol, &shared.request_id(), Err(error)),
    }
}

/// Lets the world answer one request.
pub(crate) async fn respond(shared: &Shared, protocol: Protocol, request: &Request) -> Response {
    let (latency_ms, misbehaviour) = shared.arrive(request);
    shared.pass(latency_ms).await;
    let (id, result) = match misbehaviour {
        Some(Misbehaviour::TimeOut { .. }) => return broken(),
        Some(Misbehaviour::TimeOutAfterEffect { ms }) => {
            // The caller never sees this answer.
            let _ = shared.with(|state| state.call(request, handle));
            shared.pass(ms).await;
            return broken();
        }
        Some(Misbehaviour::Error(error)) => {
            shared.with(|state| (state.next_request_id(), state.refuse(request, error)))
        }
        Some(Misbehaviour::Slow { .. }) | None => {
            shared.with(|state| (state.next_request_id(), state.call(request, handle)))
        }
    };
    write(protocol, &id, result)
}

/// A connection that breaks while the answer is on its way.
fn broken() -> Response {
    let cut = futures::stream::once(async { Err::<Bytes, _>(std::io::Error::other("cut")) });
    Response::new(Body::from_stream(cut))
}

/// What a request asks for, and in which protocol it is answered.
pub(crate) fn read(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
) -> (Protocol, Result<Request, WireError>) {
    let target = headers.get("x-amz-target").and_then(|v| v.to_str().ok());
    if let Some((service, op)) = target.and_then(|t| t.rsplit_once('.')) {
        let api = match service {
            "Logs_20140328" => Some(Api::Logs),
            "CloudTrail_20131101" => Some(Api::CloudTrail),
            "CodeDeploy_20141006" => Some(Api::CodeDeploy),
            "AmazonEC2ContainerServiceV20141113" => Some(Api::Ecs),
            "AWSStepFunctions" => Some(Api::States),
            GRANITE => Some(Api::CloudWatch),
            _ => None,
        };
        let request = api
            .ok_or_else(|| WireError::unknown_operation(op))
            .and_then(|api| Ok(Request { api, op: op.to_owned(), resource: None, input: json(body)? }));
        let protocol = if api == Some(Api::States) { Protocol::Json10 } else { Protocol::Json };
        return (protocol, request);
    }
    // The path is split before it is decoded: an ARN in it brings encoded slashes.
    let segments: Vec<&str> = uri.path().split('/').skip(1).collect();
    let rest = |api, op: &str, resource: &str| {
        let input = json(body)?;
        Ok(Request { api, op: op.to_owned(), resource: Some(decoded(resource)), input })
    };
    match *segments.as_slice() {
        ["service", GRANITE, "operation", op] => {
            let request = cbor::decode(body)
                .map_err(|e| WireError::client("SerializationException", e))
                .map(|input| Request { api: Api::CloudWatch, op: op.to_owned(), resource: None, input });
            (Protocol::Cbor, request)
        }
        ["model", id, "converse"] if method == Method::POST => {
            (Protocol::Rest, rest(Api::Bedrock, "Converse", id))
        }
        ["model", id, "count-tokens"] if method == Method::POST => {
            (Protocol::Rest, rest(Api::Bedrock, "CountTokens", id))
        }
        ["knowledgebases", id, "retrieve"] if method == Method::POST => {
            (Protocol::Rest, rest(Api::BedrockAgent, "Retrieve", id))
        }
        ["rerank"] if method == Method::POST => (Protocol::Rest, rest(Api::BedrockAgent, "Rerank", "")),
        [""] => (Protocol::Query, form(body)),
        _ => (
            Protocol::Rest,
            Err(WireError::with_status(
                "UnknownOperationException",
                404,
                format!("nothing is played at {method} {}", uri.path()),
            )),
        ),
    }
}

fn json(body: &[u8]) -> Result<Value, WireError> {
    if body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    match serde_json::from_slice(body) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(WireError::client("SerializationException", "the body is not a JSON object")),
        Err(error) => Err(WireError::client("SerializationException", error.to_string())),
    }
}

fn form(body: &[u8]) -> Result<Request, WireError> {
    let text = String::from_utf8_lossy(body);
    let mut input = Map::new();
    for (name, value) in text.split('&').filter_map(|pair| pair.split_once('=')) {
        input.insert(decoded(name), Value::String(decoded(&value.replace('+', " "))));
    }
    let op = input.get("Action").and_then(Value::as_str).unwrap_or_default().to_owned();
    if op.is_empty() {
        return Err(WireError::client("MissingAction", "the request names no operation"));
    }
    Ok(Request { api: Api::Sts, op, resource: None, input: Value::Object(input) })
}

/// Undoes percent-encoding.
fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let pair = [bytes.next(), bytes.next()].map(|b| b.and_then(|b| char::from(b).to_digit(16)));
        if let [Some(high), Some(low)] = pair {
            out.extend(u8::try_from(high * 16 + low));
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// An answer in a protocol.
pub(crate) fn write(protocol: Protocol, id: &str, result: Result<WireBody, WireError>) -> Response {
    let (status, error_type, body) = match result {
        Ok(body) => (200, None, encode(protocol, body)),
        Err(error) => (error.status, Some(error.code.clone()), encode_error(protocol, id, error)),
    };
    let content_type = match protocol {
        Protocol::Json => "application/x-amz-json-1.1",
        Protocol::Json10 => "application/x-amz-json-1.0",
        Protocol::Cbor => "application/cbor",
        Protocol::Query => "text/xml",
        Protocol::Rest => "application/json",
    };
    let mut response = Response::builder()
        .status(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        .header(header::CONTENT_TYPE, content_type)
        .header("x-amzn-requestid", id);
    if protocol == Protocol::Cbor {
        response = response.header("smithy-protocol", "rpc-v2-cbor");
    }
    if let Some(code) = error_type {
        response = match protocol {
            Protocol::Cbor => {
                let fault = if status < 500 { "Sender" } else { "Receiver" };
                response.header("x-amzn-query-error", format!("{code};{fault}"))
            }
            _ => response.header("x-amzn-errortype", code),
        };
    }
    response.body(Body::from(body)).unwrap_or_else(|_| Response::new(Body::empty()))
}

fn encode(protocol: Protocol, body: WireBody) -> Vec<u8> {
    match body {
        WireBody::Xml(text) => text.into_bytes(),
        WireBody::Json(value) if protocol == Protocol::Cbor => cbor::encode(&value),
        WireBody::Json(value) => cbor::plain(value).to_string().into_bytes(),
    }
}

fn encode_error(protocol: Protocol, id: &str, error: WireError) -> Vec<u8> {
    if protocol == Protocol::Query {
        let fault = if error.status < 500 { "Sender" } else { "Receiver" };
        return format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>{fault}</Type>\
             <Code>{}</Code><Message>{}</Message></Error><RequestId>{id}</RequestId></ErrorResponse>",
            error.code, error.message
        )
        .into_bytes();
    }
    let mut members = error.members;
    if protocol != Protocol::Rest {
        members.insert("__type".to_owned(), Value::String(error.code));
    }
    members.insert("message".to_owned(), Value::String(error.message));
    encode(protocol, WireBody::Json(Value::Object(*members)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_arn_in_the_path_is_decoded_after_splitting() {
        let uri: Uri =
            "/model/arn%3Aaws%3Abedrock%3A%3A%3Ainference-profile%2Fus.x/converse".parse().unwrap();
        let (protocol, request) = read(&Method::POST, &uri, &HeaderMap::new(), b"{}");
        let request = request.unwrap();
        assert_eq!(protocol, Protocol::Rest);
        assert_eq!(request.resource.as_deref(), Some("arn:aws:bedrock:::inference-profile/us.x"));
    }

    #[test]
    fn what_nobody_plays_is_an_error() {
        let uri: Uri = "/bucket/key".parse().unwrap();
        assert_eq!(read(&Method::GET, &uri, &HeaderMap::new(), b"").1.unwrap_err().status, 404);
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-target", "DynamoDB_20120810.GetItem".parse().unwrap());
        let (_, request) = read(&Method::POST, &"/".parse().unwrap(), &headers, b"{}");
        assert_eq!(request.unwrap_err().code, "UnknownOperationException");
    }
}
