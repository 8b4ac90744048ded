//! Arguments that read two ways, sent as raw bytes while a permit for the honest ones waits.

use crate::{
    doors::{called, send},
    range::{Range, SUPERVISOR, restart, rollback, scale},
};

#[tokio::test]
async fn of_scale() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.approved(&action).await;
    tried(
        &range,
        "scale_service",
        &[
            r#"{"service":"cart","desired_count":7}"#,
            r#"{"service":"cart","desired_count":5}"#,
            r#"{"service":"vault-front","desired_count":6}"#,
            r#"{"service":"cart","desired_count":6,"desired_count":60}"#,
            r#"{"service":"cart","desired_count":60,"desired_count":7}"#,
            r#"{"service":"cart","service":"ledger","desired_count":6}"#,
            r#"{"service":"cart","desired_count":6.5}"#,
            r#"{"service":"cart","desired_count":6.0000001}"#,
            r#"{"service":"cart","desired_count":6e1}"#,
            r#"{"service":"cart","desired_count":"6"}"#,
            r#"{"service":"cart","desired_count":-6}"#,
            r#"{"service":"cart","desired_count":4294967302}"#,
            r#"{"service":"cart","desired_count":18446744073709551622}"#,
            r#"{"service":"cart","desired_count":1e400}"#,
            r#"{"service":"cart","desired_count":true}"#,
            r#"{"service":"cart","desired_count":null}"#,
            r#"{"service":"cart","desired_count":[6]}"#,
            r#"{"service":"cart","desired_count":{"$serde_json::private::Number":"6"}}"#,
            r#"{"service":"cart"}"#,
            r#"{"service":"cart","desired_count":6,"force":true}"#,
            r#"{"service":"cart","desired_count":6,"permit":"v4.public.x"}"#,
            r#"{"service":"cart","desired_count":6,"__proto__":{}}"#,
            r#"{"arguments":{"service":"cart","desired_count":6}}"#,
            r#"{"service":{"name":"cart"},"desired_count":6}"#,
            r#"{"service":["cart"],"desired_count":6}"#,
            r#"{"service":null,"desired_count":6}"#,
            "{\"service\":\"c\u{430}rt\",\"desired_count\":6}",
            "{\"service\":\"cart\u{200b}\",\"desired_count\":6}",
            "{\"service\":\"\u{ff43}art\",\"desired_count\":6}",
            "{\"serv\u{456}ce\":\"cart\",\"desired_count\":6}",
            r#"{"service":"cart ","desired_count":6}"#,
            r#"{"service":"Cart","desired_count":6}"#,
            r#"{"service":"cart\u0000","desired_count":6}"#,
            r#"{"service":"../cart","desired_count":6}"#,
            r#"{"service":"","desired_count":6}"#,
            r#"{"SERVICE":"cart","desired_count":6}"#,
            r#"["cart",6]"#,
            "null",
            "[]",
            "\"cart\"",
        ],
    )
    .await;
    range.acts_once(&action).await;
}

#[tokio::test]
async fn of_rollback() {
    let (range, action) = (Range::new().await, rollback("shop-api", "d-BAD"));
    range.approved(&action).await;
    tried(
        &range,
        "rollback_deployment",
        &[
            r#"{"service":"shop-api","deployment_id":"d-GOOD"}"#,
            r#"{"service":"cart","deployment_id":"d-BAD"}"#,
            r#"{"service":"shop-api","deployment_id":"d-bad"}"#,
            r#"{"service":"shop-api","deployment_id":"d-BAD\n"}"#,
            "{\"service\":\"shop-api\",\"deployment_id\":\"d-B\u{410}D\"}",
            "{\"service\":\"shop\u{2010}api\",\"deployment_id\":\"d-BAD\"}",
            r#"{"service":"shop-api","deployment_id":"d-BAD","deployment_id":"d-GOOD"}"#,
            r#"{"service":"shop-api","deployment_id":["d-BAD","d-GOOD"]}"#,
            r#"{"service":"shop-api","deployment_id":"d-BAD","desired_count":1}"#,
            r#"{"service":"shop-api"}"#,
        ],
    )
    .await;
    range.acts_once(&action).await;
}

#[tokio::test]
async fn of_restart() {
    let (range, action) = (Range::new().await, restart("cart"));
    range.approved(&action).await;
    tried(
        &range,
        "restart_service",
        &[
            r#"{"service":"vault-front"}"#,
            r#"{"service":"shop-api"}"#,
            r#"{"service":"cart","service":"vault-front"}"#,
            r#"{"service":"cart","desired_count":0}"#,
            r#"{"service":"cart","cluster":"other"}"#,
            r#"{"service":"CART"}"#,
            "{\"service\":\"c\u{430}rt\"}",
            r#"{"service":["cart"]}"#,
            r#"{"service":"*"}"#,
            r"{}",
        ],
    )
    .await;
    range.acts_once(&action).await;
}

/// Other names for the tool, and other ways to call it.
#[tokio::test]
async fn of_no_tool_of_ours() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.approved(&action).await;
    let arguments = r#"{"service":"cart","desired_count":6}"#;
    let bearer = format!("Bearer {}", range.token(SUPERVISOR));
    let to = format!("{}/mcp", range.addr());
    let honest = called("scale_service", arguments);
    for body in [
        called("Scale_service", arguments),
        called("scale_service ", arguments),
        called("remediation__scale_service", arguments),
        called("restart_service", arguments),
        called("plan", arguments),
        called("", arguments),
        honest.replace("tools/call", "tools/Call"),
        honest.replace("\"2.0\"", "\"1.0\""),
        format!("[{honest}]"),
        format!("{honest}{honest}").replacen("}{", ",", 1),
        honest[..honest.len() - 3].to_owned(),
        called(
            "scale_service",
            &format!("{{\"service\":\"cart\",\"desired_count\":6,\"x\":\"{}\"}}", "x".repeat(8_000_000)),
        ),
        called("scale_service", &format!("{}6{}", "[".repeat(50_000), "]".repeat(50_000))),
    ] {
        let (_, answer) =
            send(&range, &to, &[("Authorization", &bearer), ("Mcp-Name", "scale_service")], &body).await;
        assert!(!answer.contains("\"outcome\":\"done\""), "{body:.200}: {answer}");
    }
    range.acts_once(&action).await;
}

/// None of them acts: `send` looks at the world after each.
async fn tried(range: &Range, tool: &str, all: &[&str]) {
    let bearer = format!("Bearer {}", range.token(SUPERVISOR));
    let to = format!("{}/mcp", range.addr());
    for arguments in all {
        let headers = [("Authorization", bearer.as_str()), ("Mcp-Name", tool)];
        let (status, answer) = send(range, &to, &headers, &called(tool, arguments)).await;
        assert!(status != 0 && !answer.contains("\"outcome\":\"done\""), "{arguments}: {answer}");
    }
}
