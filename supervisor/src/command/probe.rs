//! `midwatch probe URL`: whether something answers well, for health checks in images without curl.
//!
//! It is started every few seconds in every container: so it speaks plain HTTP by itself and reads
//! no certificates.

use std::{io::Write as _, process::ExitCode, time::Duration};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use midwatch_mcp::{is_this_machine, reqwest::Url};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// How much of an answer is read.
const LONGEST: u64 = 4096;

/// Arguments of `probe`.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// What to ask, on this machine, such as http://127.0.0.1:8484/ready
    #[arg(value_name = "URL")]
    pub url: Url,
    /// Seconds to wait for the answer
    #[arg(long, value_name = "SECONDS", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub timeout: u64,
}

pub(super) async fn run(arguments: ProbeArgs) -> anyhow::Result<ExitCode> {
    let ProbeArgs { url, timeout } = arguments;
    ensure!(
        url.scheme() == "http",
        "`{url}` is no http URL: a probe asks its own machine, where no TLS is needed"
    );
    ensure!(is_this_machine(&url), "`{url}` is not on this machine: a probe asks its own");
    let asked = tokio::time::timeout(Duration::from_secs(timeout), ask(&url)).await;
    let answer = asked.with_context(|| format!("no answer from {url} within {timeout} s"))??;
    let (status, said) = read(&answer).with_context(|| format!("{url} does not answer in HTTP"))?;
    writeln!(anstream::stdout(), "{status} {said}")?;
    Ok(if (200..300).contains(&status) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The answer as it came.
async fn ask(url: &Url) -> anyhow::Result<String> {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        bail!("`{url}` names no host");
    };
    let at = (host.trim_start_matches('[').trim_end_matches(']'), port);
    let mut stream =
        TcpStream::connect(at).await.with_context(|| format!("nobody listens at {host}:{port}"))?;
    let request = format!("GET {} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n", url.path());
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The status of an answer, and the text behind its head.
fn read(answer: &str) -> Option<(u16, &str)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.trim()))
}

#[cfg(test)]
mod tests {
    use midwatch_mcp::{http_client, reqwest::StatusCode};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_answers_well_is_well_and_nothing_else_is() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let app = axum::Router::new().route("/good", axum::routing::get(|| async { "ok" })).route(
            "/bad",
            axum::routing::get(|| async { (StatusCode::SERVICE_UNAVAILABLE, "a queue cannot be read") }),
        );
        tokio::spawn(async move { axum::serve(listener, app).await });
        let probe = async |url: String| run(ProbeArgs { url: url.parse().unwrap(), timeout: 2 }).await;
        assert_eq!(probe(format!("http://{at}/good")).await.unwrap(), ExitCode::SUCCESS);
        assert_eq!(probe(format!("http://{at}/bad")).await.unwrap(), ExitCode::FAILURE);
        for elsewhere in ["http://192.0.2.1/", "https://127.0.0.1/", "http://127.0.0.1:1/"] {
            probe(elsewhere.to_owned()).await.unwrap_err();
        }
        let read_by_others = http_client().unwrap().get(format!("http://{at}/bad")).send().await.unwrap();
        assert_eq!(read_by_others.status(), StatusCode::SERVICE_UNAVAILABLE);
    }

    #[test]
    fn only_http_is_read() {
        assert_eq!(read("HTTP/1.1 503 Service Unavailable\r\na: b\r\n\r\nno\n"), Some((503, "no")));
        for not in ["", "SSH-2.0-x\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n"] {
            assert_eq!(read(not), None, "{not}");
        }
    }
}
