//! Messages on stdio that are not as they should be.

use std::time::Duration;

use midwatch_mcp::{Work, serve_over};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

use crate::fixture::Fixture;

/// A server on stdio that has shaken hands, in the era that is named.
struct Stdio {
    writer: tokio::io::WriteHalf<tokio::io::DuplexStream>,
    answers: tokio::io::Lines<tokio::io::BufReader<tokio::io::ReadHalf<tokio::io::DuplexStream>>>,
    meta: Option<Value>,
}

const ERAS: [&str; 2] = ["2025-11-25", "2026-07-28"];

impl Stdio {
    async fn of(era: &str) -> Self {
        let (theirs, ours) = tokio::io::duplex(64 * 1024);
        let ends = tokio::io::split(theirs);
        let (work, stop) = (Work::default(), CancellationToken::new());
        tokio::spawn(serve_over(Fixture::new(), ends, work, Duration::from_secs(5), stop));
        let (reader, writer) = tokio::io::split(ours);
        let answers = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(reader));
        let info = json!({"name": "t", "version": "1"});
        if era == ERAS[1] {
            let meta = json!({"io.modelcontextprotocol/protocolVersion": era, "io.modelcontextprotocol/clientInfo": info,
                "io.modelcontextprotocol/clientCapabilities": {}});
            let mut stdio = Self { writer, answers, meta: Some(meta) };
            assert!(stdio.ask("server/discover", json!({})).await["result"].is_object());
            return stdio;
        }
        let mut stdio = Self { writer, answers, meta: None };
        let hello = json!({"protocolVersion": era, "capabilities": {}, "clientInfo": info});
        assert!(stdio.ask("initialize", hello).await["result"].is_object());
        stdio.line(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        stdio
    }

    async fn line(&mut self, message: &Value) {
        self.writer.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn ask(&mut self, method: &str, mut params: Value) -> Value {
        if let (Some(meta), Some(params)) = (&self.meta, params.as_object_mut()) {
            params.insert("_meta".to_owned(), meta.clone());
        }
        self.line(&json!({"jsonrpc": "2.0", "id": "q", "method": method, "params": params})).await;
        let line = tokio::time::timeout(Duration::from_secs(30), self.answers.next_line()).await;
        let line = line.unwrap().unwrap().unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["id"], "q", "{answer}");
        answer
    }
}

#[tokio::test]
async fn a_call_whose_arguments_are_no_object_is_told_so() {
    for era in ERAS {
        let mut stdio = Stdio::of(era).await;
        for (params, says) in [
            (
                json!({"name": "echo", "arguments": "{\"text\":\"a\"}"}),
                "`arguments` is an object, such as {\"service\": \"checkout-api\"}, and not a string: give the object itself",
            ),
            (json!({"name": "echo", "arguments": ["a"]}), "and not a list"),
            (json!({"name": 5, "arguments": {}}), "`name` is a string, and not a number"),
            (json!({"arguments": {}}), "`name` is missing"),
        ] {
            let error = stdio.ask("tools/call", params).await["error"].clone();
            assert_eq!(error["code"], -32602, "{era} {error}");
            assert!(error["message"].as_str().unwrap().contains(says), "{era} {error}");
        }
        let error = stdio.ask("resources/read", json!({"uri": 5})).await["error"].clone();
        assert_eq!(error["code"], -32602, "{era} {error}");
        // What the newer era has no more is no method there, whatever its parameters.
        let gone = stdio.ask("logging/setLevel", json!({})).await["error"].clone();
        assert_eq!(gone["code"], -32601, "{era} {gone}");
        let fine = stdio.ask("tools/call", json!({"name": "echo", "arguments": {"text": "a"}})).await;
        assert_eq!(fine["result"]["structuredContent"]["text"], "a", "{era} {fine}");
    }
}

#[tokio::test]
async fn the_name_of_an_unknown_method_is_said_back_in_part() {
    for era in ERAS {
        let mut stdio = Stdio::of(era).await;
        let answer = stdio.ask(&"m".repeat(900_000), json!({})).await;
        assert_eq!(answer["error"]["code"], -32601, "{era}");
        assert!(answer.to_string().len() < 400, "{era} {}", answer.to_string().len());
    }
}

#[tokio::test]
async fn a_line_that_is_too_long_is_answered_and_the_next_one_too() {
    for era in ERAS {
        let mut stdio = Stdio::of(era).await;
        let text = "x".repeat(17 * 1024 * 1024);
        let refused = stdio.ask("tools/call", json!({"name": "echo", "arguments": {"text": text}})).await;
        assert_eq!(refused["error"]["code"], -32600, "{era}");
        assert!(refused["error"]["message"].as_str().unwrap().contains("at most 16 MiB"), "{era} {refused}");
        let fine = stdio.ask("tools/call", json!({"name": "echo", "arguments": {"text": "a"}})).await;
        assert_eq!(fine["result"]["structuredContent"]["text"], "a", "{era} {fine}");
    }
}
