//! A small server behind the kit, called over the duplex and over HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::format_push_string,
    clippy::needless_pass_by_value,
    reason = "a test"
)]

mod fixture;
mod recall;
mod stdio;

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use midwatch_mcp::{
    Guarded, ToolError, Work, connect_in_process,
    http::{self, Access, HttpSettings, Token},
    serve_over,
};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use fixture::{Fixture, call, kind, texts};

#[tokio::test]
async fn every_failure_is_an_answer() {
    let client = connect_in_process(Fixture::new()).await.unwrap();
    let good = client.call_tool(call("echo", json!({"text": "a"}))).await.unwrap();
    assert_eq!(good.structured_content, Some(json!({"text": "a"})));

    let panicked = client.call_tool(call("echo", json!({"text": "panic"}))).await.unwrap();
    assert_eq!(kind(&panicked), "internal");
    assert!(!format!("{panicked:?}").contains("secret"), "{panicked:?}");
    let missing = client.call_tool(call("echo", json!({"text": "missing"}))).await.unwrap();
    assert_eq!(kind(&missing), "not_found");
    let wrong = client.call_tool(call("echo", json!({"text": "a", "more": 1}))).await.unwrap();
    assert_eq!(kind(&wrong), "invalid");
    assert!(format!("{wrong:?}").contains("more"), "{wrong:?}");

    // The panic did not take the connection with it.
    assert!(client.call_tool(call("echo", json!({"text": "b"}))).await.is_ok());
    assert!(client.list_all_tools().await.unwrap().iter().any(|tool| tool.output_schema.is_some()));
}

#[tokio::test]
async fn a_result_has_a_short_text_beside_its_structure() {
    let client = connect_in_process(Fixture::new()).await.unwrap();
    let good = client.call_tool(call("echo", json!({"text": "one line"}))).await.unwrap();
    assert_eq!(texts(&good), ["text: one line"]);
    assert_eq!(good.structured_content, Some(json!({"text": "one line"})));
    let missing = client.call_tool(call("echo", json!({"text": "missing"}))).await.unwrap();
    assert_eq!(texts(&missing), ["error:\n kind: not_found\n message: no such thing\n mend: try another"]);
    assert_eq!(texts(&client.call_tool(call("read_long", json!({}))).await.unwrap()), ["read"]);
}

#[tokio::test]
async fn wrong_arguments_are_named_with_what_is_taken() {
    let client = connect_in_process(Fixture::new()).await.unwrap();
    let time = "a time as RFC 3339 in UTC, such as `2026-11-21T02:04:00Z`";
    for (arguments, message, mend) in [
        (json!({}), "`text` is missing", "`text` is a string: What is said back, such as `a`."),
        (json!({"text": 5}), "`text` cannot be 5", "`text` is a string: What is said back, such as `a`."),
        (
            json!({"text": "a", "tmies": 2}),
            "there is no argument `tmies`",
            "did you mean `times`? arguments are: `text`, `times`, `voice`, `at`, `place`",
        ),
        (
            json!({"text": "a", "times": "2"}),
            "`times` cannot be \"2\"",
            "`times` is a whole number: How often.",
        ),
        (json!({"text": "a", "times": -2}), "`times` cannot be -2", "`times` is a whole number: How often."),
        (
            json!({"text": "a", "times": 2.5}),
            "`times` cannot be 2.5",
            "`times` is a whole number: How often.",
        ),
        (
            json!({"text": "a", "voice": "LOUD"}),
            "`voice` cannot be \"LOUD\"",
            "did you mean `loud`? `voice` is one of `quiet`, `loud`: How loud.",
        ),
        (
            json!({"text": "a", "at": "yesterday"}),
            "`at` cannot be \"yesterday\"",
            &format!("`at` is {time}: When."),
        ),
        (
            json!({"text": "a", "place": {"nme": "x"}}),
            "there is no argument `place.nme`; `place.name` is missing",
            "did you mean `place.name`? arguments are: `place.name`; `place.name` is a string: Its name.",
        ),
    ] {
        let wrong = client.call_tool(call("echo", arguments.clone())).await.unwrap();
        assert_eq!(kind(&wrong), "invalid", "{arguments}");
        let error = ToolError::from_structured(wrong.structured_content.as_ref().unwrap()).unwrap();
        assert_eq!((error.message.as_str(), error.mend.as_str()), (message, mend), "{arguments}");
    }
}

#[tokio::test]
async fn cancelling_stops_a_read_but_never_a_write() {
    for (tool, finished) in [("read_long", 0), ("write_long", 1)] {
        let fixture = Fixture::new();
        let client = connect_in_process(fixture.clone()).await.unwrap();
        let call = client.call_tool(call(tool, json!({})));
        assert!(tokio::time::timeout(Duration::from_millis(40), call).await.is_err());
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(fixture.done.load(Ordering::SeqCst), finished, "{tool}");
    }
}

#[tokio::test]
async fn the_older_handshake_works_too() {
    use rmcp::ServiceExt;
    let (server, client) = tokio::io::duplex(4096);
    tokio::spawn(async move { Guarded::new(Fixture::new()).serve(server).await.unwrap().waiting().await });
    let client = ().serve(client).await.unwrap();
    assert_eq!(client.peer_info().unwrap().server_info.as_ref().unwrap().name, "fixture");
    let good = client.call_tool(call("echo", json!({"text": "a"}))).await.unwrap();
    assert_eq!(good.structured_content, Some(json!({"text": "a"})));
}

/// One HTTP request by hand, so that every header is ours.
async fn post(addr: SocketAddr, headers: &[(&str, &str)]) -> (u16, String) {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {}}}})
    .to_string();
    let mut request =
        format!("POST {} HTTP/1.1\r\nConnection: close\r\nContent-Type: application/json\r\n", http::PATH);
    request += "Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/list\r\n";
    if !headers.iter().any(|(name, _)| *name == "Host") {
        request += &format!("Host: {addr}\r\n");
    }
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

#[tokio::test]
async fn http_asks_for_the_token_and_knows_its_own_name() {
    let loopback: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let token = Token::parse("0123456789abcdef").unwrap();
    let settings = HttpSettings { access: Access::Token(token), ..HttpSettings::on(loopback) };
    let bound = http::bind(Fixture::new(), settings).await.unwrap();
    let addr = bound.local_addr();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(bound.run(stop.clone()));

    let right = ("Authorization", "Bearer 0123456789abcdef");
    let (status, answer) = post(addr, &[right]).await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("read_long"), "{answer}");
    assert_eq!(post(addr, &[]).await.0, 401);
    assert_eq!(post(addr, &[("Authorization", "Bearer 0123456789abcdeX")]).await.0, 401);
    assert_eq!(post(addr, &[("Authorization", "Basic 0123456789abcdef")]).await.0, 401);
    assert_eq!(post(addr, &[right, ("Host", "evil.example")]).await.0, 403);
    assert_eq!(post(addr, &[right, ("Origin", "https://evil.example")]).await.0, 403);

    stop.cancel();
    serving.await.unwrap().unwrap();
}

/// One request for `/healthz`.
async fn health(addr: SocketAddr) -> (u16, String) {
    let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

#[tokio::test]
async fn asked_to_end_over_http_it_answers_what_it_has_begun_and_takes_nothing_new() {
    let fixture = Fixture::new();
    let settings = HttpSettings::on("127.0.0.1:0".parse().unwrap());
    let work = settings.work.clone();
    let bound = http::bind(fixture.clone(), settings).await.unwrap();
    let addr = bound.local_addr();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(bound.run(stop.clone()));
    assert_eq!(health(addr).await.0, 200);
    let client = midwatch_mcp::Remote::new(&format!("http://{addr}{}", http::PATH), "unused").unwrap();
    let client = Arc::new(client.connect().await.unwrap());
    let calling = |tool| {
        let client = Arc::clone(&client);
        tokio::spawn(async move { client.call_tool(call(tool, json!({}))).await })
    };
    let (read, endless) = (calling("read_long"), calling("read_endless"));
    tokio::time::sleep(Duration::from_millis(50)).await;
    stop.cancel();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let (status, answer) = health(addr).await;
    assert!(status == 503 && answer.ends_with("draining"), "{answer}");
    assert_eq!(post(addr, &[]).await.0, 503);
    assert_eq!(texts(&read.await.unwrap().unwrap()), ["read"]);
    assert!(!serving.is_finished());
    work.cut_off();
    assert_eq!(kind(&endless.await.unwrap().unwrap()), "unavailable");
    tokio::time::timeout(Duration::from_secs(10), serving).await.unwrap().unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(addr).await.is_err(), "nobody listens there any more");
}

#[tokio::test]
async fn asked_to_end_on_stdio_it_answers_what_it_has_begun_and_takes_nothing_new() {
    use rmcp::ServiceExt;
    let fixture = Fixture::new();
    let (theirs, ours) = tokio::io::duplex(4096);
    let (work, stop) = (Work::default(), CancellationToken::new());
    let grace = Duration::from_millis(400);
    let ends = tokio::io::split(theirs);
    let serving = tokio::spawn(serve_over(fixture.clone(), ends, work.clone(), grace, stop.clone()));
    let client = Arc::new(().serve(ours).await.unwrap());
    let calling = |tool| {
        let client = Arc::clone(&client);
        tokio::spawn(async move { client.call_tool(call(tool, json!({}))).await })
    };
    let (read, endless, write) = (calling("read_long"), calling("read_endless"), calling("write_longest"));
    tokio::time::sleep(Duration::from_millis(50)).await;
    stop.cancel();
    while !work.is_closing() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(kind(&calling("read_long").await.unwrap().unwrap()), "unavailable");
    assert_eq!(texts(&read.await.unwrap().unwrap()), ["read"]);
    // The grace is over: what reads is cut off, what writes is not.
    assert_eq!(kind(&endless.await.unwrap().unwrap()), "unavailable");
    assert_eq!(fixture.done.load(Ordering::SeqCst), 1);
    assert_eq!(texts(&write.await.unwrap().unwrap()), ["written"]);
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn http_is_not_opened_to_everyone() {
    let open = http::bind(Fixture::new(), HttpSettings::on("0.0.0.0:0".parse().unwrap())).await;
    assert!(matches!(open, Err(http::HttpError::OpenToAll(_))));
    assert!(Token::parse("short").is_err());
}
