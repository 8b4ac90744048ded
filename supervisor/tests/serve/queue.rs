//! SQS at the wire, as far as the daemon speaks it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{Json, Router, extract::State, http::HeaderMap, routing::post};
use serde_json::{Value, json};

#[derive(Debug, Clone)]
struct Message {
    id: usize,
    body: String,
    reason: String,
    hidden: bool,
}

type Kept = Arc<Mutex<BTreeMap<String, Vec<Message>>>>;

/// Queues by name.
#[derive(Debug)]
pub struct Queues {
    endpoint: String,
    kept: Kept,
}

impl Queues {
    pub async fn start() -> Self {
        let kept = Kept::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().route("/", post(call)).with_state(Arc::clone(&kept));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { endpoint, kept }
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub fn put(&self, queue: &str, body: &str) {
        add(&self.kept, queue, body, "");
    }

    pub fn left(&self, queue: &str) -> usize {
        self.kept.lock().unwrap().get(queue).map_or(0, Vec::len)
    }

    pub fn bodies(&self, queue: &str) -> Vec<(String, String)> {
        let kept = self.kept.lock().unwrap();
        kept.get(queue).into_iter().flatten().map(|m| (m.body.clone(), m.reason.clone())).collect()
    }
}

fn add(kept: &Kept, queue: &str, body: &str, reason: &str) {
    let mut kept = kept.lock().unwrap();
    let id = kept.values().map(Vec::len).sum::<usize>() + 100;
    let message = Message { id, body: body.to_owned(), reason: reason.to_owned(), hidden: false };
    kept.entry(queue.to_owned()).or_default().push(message);
}

async fn call(State(kept): State<Kept>, headers: HeaderMap, body: String) -> Json<Value> {
    let body: Value = serde_json::from_str(&body).unwrap();
    let queue = body["QueueUrl"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let target = headers["x-amz-target"].to_str().unwrap().to_owned();
    match target.strip_prefix("AmazonSQS.").unwrap() {
        "ReceiveMessage" => {
            let messages: Vec<Value> = {
                let mut kept = kept.lock().unwrap();
                let seen = kept.entry(queue).or_default().iter_mut().filter(|m| !m.hidden).take(10);
                seen.map(|message| {
                    message.hidden = true;
                    let id = message.id.to_string();
                    json!({ "MessageId": id, "ReceiptHandle": id, "Body": message.body })
                })
                .collect()
            };
            if messages.is_empty() {
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
            Json(json!({ "Messages": messages }))
        }
        "DeleteMessageBatch" => {
            let mut done = Vec::new();
            for entry in body["Entries"].as_array().unwrap() {
                let receipt = entry["ReceiptHandle"].as_str().unwrap();
                kept.lock()
                    .unwrap()
                    .entry(queue.clone())
                    .or_default()
                    .retain(|m| m.id.to_string() != receipt);
                done.push(json!({ "Id": entry["Id"] }));
            }
            Json(json!({ "Successful": done, "Failed": [] }))
        }
        "SendMessage" => {
            let reason = body["MessageAttributes"]["reason"]["StringValue"].as_str().unwrap_or_default();
            add(&kept, &queue, body["MessageBody"].as_str().unwrap(), reason);
            Json(json!({ "MessageId": "sent", "MD5OfMessageBody": "" }))
        }
        "ChangeMessageVisibility" => Json(json!({})),
        other => panic!("the daemon called `{other}`"),
    }
}
