//! The commands around a standing world: to be one, to tell it what to play, to write what those
//! who live in it need.

use std::{io::Write as _, net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use midwatch_sim::standing::{Settings, Shelf, Told, stand};
use reqwest::Client;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// Where a standing world is told what to play, unless said otherwise.
const CONTROL: &str = "127.0.0.1:4599";

#[derive(Debug, Subcommand)]
pub(crate) enum Standing {
    /// Stand until ended, in real time, and play scenarios when told.
    Stand(StandArgs),
    /// Tell a standing world to play a scenario, from now on.
    Fire {
        /// Its name; without one, the names there are.
        scenario: Option<String>,
        /// Say what is played, as JSON, and play nothing else.
        #[arg(long, conflicts_with = "scenario")]
        status: bool,
        /// Where the world is told.
        #[arg(long, default_value = CONTROL)]
        control: SocketAddr,
    },
    /// Write catalog and runbooks of all scenarios, for whoever watches over a standing world.
    Catalog {
        /// Directory with directories of scenarios.
        scenarios: PathBuf,
        /// Directory to write `catalog.toml` and `runbooks/` to.
        out: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct StandArgs {
    /// Directory with directories of scenarios.
    scenarios: PathBuf,
    /// Where to speak AWS's protocols.
    #[arg(long, default_value = "127.0.0.1:4600")]
    listen: SocketAddr,
    /// Where to be told what to play: loopback, since whoever reaches it may tell.
    #[arg(long, default_value = CONTROL)]
    control: SocketAddr,
    /// Endpoint of the EventBridge that alarms go to.
    #[arg(long, value_name = "URL")]
    bus: Option<String>,
    /// Who may do what (TOML: account, [role.NAME] key, policy); without it, everybody everything.
    #[arg(long, value_name = "FILE")]
    roles: Option<PathBuf>,
    /// Keep what is played in this file: it goes on after a restart.
    #[arg(long, value_name = "FILE")]
    kept: Option<PathBuf>,
}

impl Standing {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Stand(arguments) => arguments.run().await,
            Self::Fire { scenario, status, control } => fire(scenario, status, control).await,
            Self::Catalog { scenarios, out } => {
                let shelf = Shelf::open(&scenarios)?;
                shelf.write(&out)?;
                let (titles, services) = (shelf.titles().len(), shelf.catalog().len());
                writeln!(
                    std::io::stdout(),
                    "{titles} scenarios with {services} services in {}",
                    out.display()
                )?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

impl StandArgs {
    async fn run(self) -> anyhow::Result<ExitCode> {
        if !self.control.ip().is_loopback() {
            bail!("--control {} is not loopback: whoever reaches it tells what is played", self.control);
        }
        let Self { scenarios, listen, control, bus, roles, kept } = self;
        let stop = CancellationToken::new();
        tokio::spawn(stop_on_signal(stop.clone()));
        stand(Settings { scenarios, listen, control, bus, roles, kept }, stop, |at, control| {
            tracing::info!(%at, %control, "stands; tell it what to play with midwatch-sim fire");
        })
        .await?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn stop_on_signal(stop: CancellationToken) {
    let interrupt = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! { _ = interrupt => {}, _ = terminate.recv() => {} }
        }
        Err(_) => {
            // Without a handler for SIGTERM the process simply ends on it.
            let _ = interrupt.await;
        }
    }
    stop.cancel();
}

async fn fire(scenario: Option<String>, status: bool, control: SocketAddr) -> anyhow::Result<ExitCode> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = Client::builder().no_proxy().build()?;
    let mut out = std::io::stdout();
    if status {
        writeln!(out, "{}", ask(http.get(format!("http://{control}/playing"))).await?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(scenario) = scenario else {
        let all = ask(http.get(format!("http://{control}/scenarios"))).await?;
        for entry in all.as_array().into_iter().flatten() {
            let part = |n: usize| entry.get(n).and_then(Value::as_str).unwrap_or_default();
            writeln!(out, "  {:<28} {}", part(0), part(1))?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    let played = ask(http.post(format!("http://{control}/playing")).json(&Told { scenario })).await?;
    let text = |name: &str| played.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let alarm = played.pointer("/alarms/0/0").and_then(Value::as_str).unwrap_or_default();
    writeln!(out, "{}: {}", text("scenario"), text("title"))?;
    writeln!(out, "since {}; the alarm {alarm} is on its way", text("began"))?;
    Ok(ExitCode::SUCCESS)
}

async fn ask(request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
    let answer = request.send().await.context("no world stands there: midwatch-sim stand")?;
    let good = answer.status().is_success();
    let body: Value = answer.json().await?;
    if !good {
        bail!("{}", body.get("error").and_then(Value::as_str).unwrap_or("it could not be done"));
    }
    Ok(body)
}
