//! A server's process ends while a call to it is under way: whoever called is told so at once, and
//! the incident goes on with what the other servers can say.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use midwatch::{run::Outcome, tools::Toolbox};
use midwatch_agents::{
    model::CallLimits,
    tools::{FailureKind, ToolCall, Tools},
};
use midwatch_mcp::Client;
use midwatch_policy::SignedDuration;
use rmcp::{ServiceExt, transport::TokioChildProcess};
use serde_json::json;
use tokio::{net::TcpListener, process::Command, sync::oneshot};

use crate::stage::Stage;

/// An AWS that takes every connection and never answers. Says when the first one came.
async fn silent_aws() -> (String, oneshot::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (first, came) = oneshot::channel();
    tokio::spawn(async move {
        let mut first = Some(first);
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            open.push(stream);
            if let Some(first) = first.take() {
                let _ = first.send(());
            }
        }
    });
    (endpoint, came)
}

/// The logs server's own binary on stdio, and its process id.
async fn logs_server(endpoint: &str, catalog: &std::path::Path) -> (Client, u32) {
    let test = std::env::current_exe().unwrap();
    let beside = || test.ancestors().nth(2).unwrap().to_owned();
    let bin = std::env::var_os("MIDWATCH_BIN").map_or_else(beside, Into::into).join("midwatch-logs");
    assert!(bin.exists(), "`{}` is missing: cargo build --workspace --bins", bin.display());
    let mut command = Command::new(bin);
    command
        .arg("--catalog")
        .arg(catalog)
        .env_clear()
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "x".repeat(40))
        .env("AWS_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .kill_on_drop(true);
    let (child, _) = TokioChildProcess::builder(command).stderr(Stdio::null()).spawn().unwrap();
    let pid = child.id().expect("it runs");
    (().serve(child).await.unwrap(), pid)
}

fn catalog(stage: &Stage) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let services: Vec<_> = stage.world.catalog().services().collect();
    let text = toml::to_string(&std::collections::BTreeMap::from([("service", services)])).unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

async fn end(pid: u32) {
    assert!(Command::new("kill").args(["-KILL", &pid.to_string()]).status().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_under_way_ends_with_the_server_and_says_so() {
    let stage = Stage::new("pool-exhaustion-after-deploy").await;
    let (endpoint, came) = silent_aws().await;
    let catalog = catalog(&stage);
    let (client, pid) = logs_server(&endpoint, catalog.path()).await;
    let mut tools = Toolbox::new();
    tools.attach("logs", client).await;
    let now = stage.world.clock().now();
    let from = now - SignedDuration::from_mins(10);
    let service = stage.world.catalog().services().next().unwrap().name.to_string();
    let args = json!({"service": service, "from": from, "to": now}).as_object().cloned().unwrap();
    let call = ToolCall { server: "logs".into(), tool: "error_patterns".into(), args };
    let limits = CallLimits::within(Duration::from_mins(1));
    #[expect(clippy::disallowed_methods, reason = "how long a caller waits is real time")]
    let begun = Instant::now();
    let killed = async {
        came.await.expect("the server asked its AWS");
        end(pid).await;
    };
    let (answer, ()) = tokio::join!(tools.call(&call, &limits), killed);
    let failure = answer.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable, "{failure}");
    assert!(failure.to_string().contains("the server is gone"), "{failure}");
    assert!(begun.elapsed() < Duration::from_secs(20), "nobody waits for the dead: {:?}", begun.elapsed());
    // It stays gone, and that is said as well.
    let again = tools.call(&call, &limits).await.unwrap_err();
    assert_eq!(again.kind, FailureKind::Unavailable, "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_incident_goes_on_with_what_the_others_say() {
    let stage = Stage::new("pool-exhaustion-after-deploy").await;
    let (endpoint, came) = silent_aws().await;
    let catalog = catalog(&stage);
    let (client, pid) = logs_server(&endpoint, catalog.path()).await;
    let mut tools = stage.readers().await;
    // In place of the one in this process.
    tools.attach("logs", client).await;
    let killed = async {
        came.await.expect("the server asked its AWS");
        end(pid).await;
    };
    let (run, ()) = tokio::join!(stage.handle(tools, None), killed);
    assert_eq!((run.outcome, run.escalated), (Outcome::Escalated, true));
    let gaps = run.not_checked.join("\n");
    assert!(gaps.contains("error_patterns") && gaps.contains("the server is gone"), "{gaps}");
    let sources: Vec<&str> = run.evidence.iter().map(|e| e.source.as_str()).collect();
    for source in ["metrics.get_alarm", "deployments.list_deployments", "deployments.service_health"] {
        assert!(sources.contains(&source), "{source}: {sources:?}");
    }
    assert!(!sources.iter().any(|source| source.starts_with("logs.")), "{sources:?}");
    assert!(run.claims.iter().any(|c| c.text.contains("went to ALARM")), "{:#?}", run.claims);
    assert_eq!(stage.world.mutations(), []);
}
