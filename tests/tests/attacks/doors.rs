//! Who gets in at all: tokens, hosts, origins, bodies, at the server and at the desk.

use midwatch_mcp::reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::range::{AUDIENCE, DESK, EDITOR, FIRST, Range, SUPERVISOR, scale};

/// One HTTP request by hand, so that every byte of it is ours; the status, or 0 where nothing came.
pub(crate) async fn send(range: &Range, to: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let (addr, path) = to.split_once('/').unwrap();
    let mut request =
        format!("POST /{path} HTTP/1.1\r\nConnection: close\r\nContent-Type: application/json\r\n");
    if path == "mcp" {
        request += "Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n";
        if !headers.iter().any(|(name, _)| *name == "Mcp-Name") {
            request += "Mcp-Name: scale_service\r\n";
        }
    }
    if !headers.iter().any(|(name, _)| *name == "Host") {
        request += &format!("Host: {addr}\r\n");
    }
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += &format!("Content-Length: {}\r\n\r\n", body.len());
    let before = range.tried();
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    // What is too long is answered before it has all been read.
    let _ = stream.write_all(body.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let text = String::from_utf8_lossy(&answer).into_owned();
    assert_eq!(range.tried(), before, "it acted: {headers:?} {body:.300}");
    (text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0), text)
}

/// A call of a tool as its JSON text.
pub(crate) fn called(tool: &str, arguments: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{{"name":"t","version":"1"}},"io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    )
}

#[tokio::test]
async fn the_servers_door() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.approved(&action).await;
    let to = format!("{}/mcp", range.addr());
    let body = called("scale_service", r#"{"service":"cart","desired_count":6}"#);
    let bearer = |token: &str| format!("Bearer {token}");
    let good = bearer(range.token(SUPERVISOR));
    for (what, token) in [
        ("none", String::new()),
        ("empty", bearer("")),
        ("guessed", bearer("mwt_0000000000000000000000000000000000000000000000000000000000000000")),
        ("a name", bearer(SUPERVISOR)),
        ("the desk's asker's", bearer(range.desk_token(SUPERVISOR))),
        ("the desk's person's", bearer(range.desk_token(FIRST))),
        ("the server's own at the desk", bearer(range.desk_token(AUDIENCE))),
        ("of another scheme", good.replace("Bearer", "Basic")),
        ("in another case", good.to_uppercase()),
        ("cut", good[..good.len() - 1].to_owned()),
    ] {
        let (status, answer) = send(&range, &to, &[("Authorization", &token)], &body).await;
        assert_eq!(status, 401, "{what}: {answer}");
    }
    let two = [("Authorization", good.as_str()), ("Authorization", good.as_str())];
    assert_eq!(send(&range, &to, &two, &body).await.0, 401, "two tokens");
    let right = ("Authorization", good.as_str());
    for host in ["evil.example", "evil.example:80", "127.0.0.1.evil.example"] {
        assert_eq!(send(&range, &to, &[right, ("Host", host)], &body).await.0, 403, "{host}");
    }
    for origin in ["https://evil.example", "http://localhost", "null"] {
        assert_eq!(send(&range, &to, &[right, ("Origin", origin)], &body).await.0, 403, "{origin}");
    }
    // Who somebody claims to be in the call itself is nobody's business.
    let editor = bearer(range.token(EDITOR));
    let claimed = body.replace("\"t\"", "\"supervisor\"");
    let more =
        [("Authorization", editor.as_str()), ("X-Forwarded-User", SUPERVISOR), ("X-Principal", SUPERVISOR)];
    let (status, answer) = send(&range, &to, &more, &claimed).await;
    assert!(status == 200 && answer.contains("no_permit"), "{answer}");
    range.acts_once(&action).await;
}

#[tokio::test]
async fn the_desks_own_token_at_the_server() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.approved(&action).await;
    let mut claims = range.claims(&action).await;
    claims.subject = DESK.to_owned();
    range.offer(&claims);
    let answer = range.act_as(DESK, &action).await;
    assert_eq!((answer["outcome"].as_str(), range.tried()), (None, 0), "{answer}");
    range.wire.honest();
    range.acts_once(&action).await;
}

#[tokio::test]
async fn the_desks_door() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    let view = range.filed(&action).await;
    let desk = range.desk_url().trim_start_matches("http://").to_owned();
    let to = format!("{desk}/v1/requests/{}/approve", view.shown.request);
    let body = json!({"shown": view.digest}).to_string();
    let good = format!("Bearer {}", range.desk_token(FIRST));
    for token in
        ["", "Bearer ", "Bearer x", "Bearer first-on-call", &good.replace("Bearer", "Basic"), &good[..40]]
    {
        assert_eq!(send(&range, &to, &[("Authorization", token)], &body).await.0, 401, "{token}");
    }
    let right = ("Authorization", good.as_str());
    assert_eq!(send(&range, &to, &[right, right], &body).await.0, 401, "two tokens");
    for host in ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "a@127.0.0.1", ""] {
        assert_eq!(send(&range, &to, &[right, ("Host", host)], &body).await.0, 403, "{host}");
    }
    for origin in ["https://evil.example", "http://localhost", "null", ""] {
        assert_eq!(send(&range, &to, &[right, ("Origin", origin)], &body).await.0, 403, "{origin}");
    }
    for (what, body) in [
        ("too long", format!("{{\"shown\":\"{}\"}}", "0".repeat(100_000))),
        ("deep", format!("{}{}", "[".repeat(30_000), "]".repeat(30_000))),
        ("twice", format!("{{\"shown\":\"{0}\",\"shown\":\"{0}\"}}", view.digest)),
        ("a list", format!("[\"{}\"]", view.digest)),
        ("not JSON", "shown=1".to_owned()),
        ("more after it", format!("{body}{body}")),
        ("nothing", String::new()),
    ] {
        let (status, answer) = send(&range, &to, &[right], &body).await;
        assert!(matches!(status, 400 | 413), "{what}: {status} {answer}");
    }
    let path = format!("/v1/requests/{}", view.shown.request);
    let (_, seen) = range.at_desk(FIRST, Method::GET, &path, None).await;
    assert_eq!(seen["state"]["state"], "open", "{seen}");
    range.approve(&view).await;
    range.acts_once(&action).await;
}
