//! Calls of the server and of the desk, and what comes of them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use midwatch_mcp::reqwest::Method;
use midwatch_policy::{Action, Claims, RequestView, SigningKey, sign};
use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};

use super::{AUDIENCE, FIRST, Range, SECOND, SUPERVISOR, asking};
use crate::wire::http;

impl Range {
    /// A call of a tool; what came back, be it a receipt or an error.
    pub(crate) async fn call(&self, caller: &str, tool: &'static str, arguments: &Value) -> Value {
        let request = CallToolRequestParams::new(tool).with_arguments(arguments.as_object().unwrap().clone());
        self.client(caller).await.call_tool(request).await.unwrap().structured_content.unwrap()
    }

    pub(crate) async fn act_as(&self, caller: &str, action: &Action) -> Value {
        self.call(caller, action.kind().tool(), &Value::Object(action.arguments())).await
    }

    pub(crate) async fn act(&self, action: &Action) -> Value {
        self.act_as(SUPERVISOR, action).await
    }

    /// A call of the desk's API; status and body.
    pub(crate) async fn at_desk(
        &self,
        who: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        self.at_desk_by(self.desk_token(who), method, path, body).await
    }

    pub(crate) async fn at_desk_by(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let mut call = http().request(method, format!("{}{path}", self.desk)).bearer_auth(token);
        if let Some(body) = body {
            call = call.json(body);
        }
        let answer = call.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    pub(crate) async fn post(&self, who: &str, path: &str, body: &Value) -> (u16, Value) {
        self.at_desk(who, Method::POST, path, Some(body)).await
    }

    /// Asked at the desk by the supervisor.
    pub(crate) async fn filed(&self, action: &Action) -> RequestView {
        self.filed_with(action, json!({})).await
    }

    pub(crate) async fn filed_with(&self, action: &Action, more: Value) -> RequestView {
        let (status, view) = self.post(SUPERVISOR, "/v1/requests", &asking(action, more)).await;
        assert!(status == 201 || status == 200, "{status} {view}");
        serde_json::from_value(view).unwrap()
    }

    pub(crate) async fn says(&self, who: &str, view: &RequestView) -> (u16, Value) {
        let path = format!("/v1/requests/{}/approve", view.shown.request);
        self.post(who, &path, &json!({"shown": view.digest})).await
    }

    /// Asked and approved; the permit waits at the desk.
    pub(crate) async fn approved(&self, action: &Action) -> RequestView {
        let view = self.filed(action).await;
        self.approve(&view).await
    }

    pub(crate) async fn approve(&self, view: &RequestView) -> RequestView {
        let mut view = view.clone();
        for who in [FIRST, SECOND] {
            if view.state.is_open() {
                let (status, answer) = self.says(who, &view).await;
                assert_eq!(status, 200, "{answer}");
                view = serde_json::from_value(answer).unwrap();
            }
        }
        assert_eq!(view.state.as_str(), "approved");
        view
    }

    /// What the desk answers the server's question for a permit.
    pub(crate) async fn fetched(&self, subject: &str, action: &Action) -> (u16, Value) {
        self.post(AUDIENCE, "/v1/permits/fetch", &json!({"subject": subject, "action": action})).await
    }

    /// The claims of the permit that waits.
    pub(crate) async fn claims(&self, action: &Action) -> Claims {
        let (status, fetched) = self.fetched(SUPERVISOR, action).await;
        assert_eq!(status, 200, "{fetched}");
        read(fetched["token"].as_str().unwrap())
    }

    /// Puts claims, signed with the desk's own key, in the place of what the desk answers.
    pub(crate) fn offer(&self, claims: &Claims) {
        self.offer_by(claims, &self.key);
    }

    pub(crate) fn offer_by(&self, claims: &Claims, key: &SigningKey) {
        let token = sign(claims, key).unwrap().into_string();
        // A compromised desk names whatever request it likes.
        self.offer_token("request", &token, claims);
    }

    pub(crate) fn offer_token(&self, _: &str, token: &str, claims: &Claims) {
        self.wire.answer("/v1/permits/fetch", json!({"request": claims.request, "token": token}));
        self.wire.answer("/check", json!({"good": true}));
    }

    pub(crate) const fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Everything that reached AWS to change something, taken or not.
    pub(crate) fn tried(&self) -> usize {
        self.world.mutations().len()
    }

    /// Changes something at AWS past everybody, as another operator would.
    pub(crate) async fn elsewhere(&self, target: &str, input: &Value) -> Value {
        let call = http()
            .post(self.world.endpoint())
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", target)
            .header("authorization", "AWS4-HMAC-SHA256 Credential=k/20261121/us-east-1/ecs/aws4_request")
            .body(input.to_string());
        let answer = call.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// How the honest call goes: it acts, and what reached AWS is this one change.
    pub(crate) async fn acts_once(&self, action: &Action) {
        let before = self.tried();
        let receipt = self.act(action).await;
        assert_eq!(receipt["outcome"], "done", "the honest call: {receipt}");
        assert_eq!(self.tried(), before + 1);
    }

    /// The call is refused for this reason, and nothing reached AWS.
    pub(crate) async fn refuses(&self, action: &Action, kind: &str) -> String {
        self.refuses_for(SUPERVISOR, action, kind).await
    }

    /// The supervisor's call without a permit is refused, and nobody is asked: at the server it says nothing
    /// of how certain it is.
    pub(crate) async fn refuses_unasked(&self, action: &Action) {
        let why = self.refuses(action, "policy").await;
        assert!(why.contains("claims-missing"), "{why}");
    }

    pub(crate) async fn refuses_for(&self, caller: &str, action: &Action, kind: &str) -> String {
        let before = self.tried();
        let receipt = self.act_as(caller, action).await;
        assert_eq!(receipt["outcome"], "refused", "{receipt}");
        assert_eq!(receipt["reason"]["kind"], kind, "{receipt}");
        assert_eq!(self.tried(), before, "{receipt}");
        receipt["reason"]["message"].as_str().unwrap().to_owned()
    }
}

/// What a token says, whoever signed it.
pub(crate) fn read(token: &str) -> Claims {
    let body = token.split('.').nth(2).unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(body).unwrap();
    serde_json::from_slice(&bytes[..bytes.len() - 64]).unwrap()
}
