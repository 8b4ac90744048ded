//! Desk and remediation server as processes of their own, beside a world that runs in real time:
//! how they run against a real account, except for who made the keys and tokens.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use midwatch_mcp::{Client, NewPrincipal, Principal, PrincipalKind, Remote, SystemClock, reqwest::Method};
use midwatch_policy::Clock as _;
use midwatch_sim::World;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::desk::{DeskOverHttp, KeyDirectory, MemberKind, Roster, make_private_dir};

/// The supervisor, as both processes know it.
const SUPERVISOR: &str = "supervisor";
/// The remediation server, as the desk knows it and permits name it.
const AUDIENCE: &str = "midwatch-remediation";
/// The people at the desk. There is one at the demo; the others are simulated, and called so.
const PEOPLE: [&str; 3] = ["you", "simulated-second-person", "simulated-third-person"];
/// How long a process may take to answer.
const START: Duration = Duration::from_secs(20);

/// Both processes; they end with this value.
#[derive(Debug)]
pub(super) struct Apart {
    _directory: TempDir,
    _desk: Child,
    _remediation: Child,
}

/// What the supervisor and its people reach them by.
#[derive(Debug)]
pub(super) struct Reached {
    /// The desk, for the supervisor.
    pub(super) desk: DeskOverHttp,
    /// The desk, for each of its people.
    pub(super) people: Vec<DeskOverHttp>,
    /// The remediation server, for the supervisor.
    pub(super) remediation: Client,
}

impl Apart {
    /// Makes keys and tokens in a directory of their own, and starts both.
    pub(super) async fn start(world: &World) -> anyhow::Result<(Self, Reached)> {
        let directory = tempfile::Builder::new().prefix("midwatch-").tempdir()?;
        let at = directory.path();
        let (desk_dir, catalog, callers) =
            (at.join("desk"), at.join("catalog.toml"), at.join("callers.toml"));
        make_private_dir(&desk_dir)?;
        let now = SystemClock.now();
        let keys = KeyDirectory::new(desk_dir.join("keys"));
        keys.create(now)?;
        let roster = Roster::new(&desk_dir);
        let asker = roster.add(SUPERVISOR, MemberKind::Asker, Vec::new(), now)?;
        let server = roster.add(AUDIENCE, MemberKind::Server, Vec::new(), now)?;
        let roles: Vec<String> = ["oncall", "owner"].map(str::to_owned).to_vec();
        let tokens: Result<Vec<String>, _> =
            PEOPLE.iter().map(|name| roster.add(name, MemberKind::Person, roles.clone(), now)).collect();
        let supervisor = NewPrincipal::make(&Principal::new(SUPERVISOR, PrincipalKind::Supervisor)?)?;
        let planner = NewPrincipal::make(&Principal::new("desk", PrincipalKind::Desk)?)?;
        std::fs::write(&callers, format!("{}\n{}", supervisor.entry, planner.entry))?;
        std::fs::write(&catalog, catalog_of(world)?)?;

        let (desk_at, server_at) = (free_address()?, free_address()?);
        let (desk_url, server_url) = (format!("http://{desk_at}"), format!("http://{server_at}/mcp"));
        let mut remediation = beside("midwatch-remediation")?;
        remediation
            .args([
                "--http",
                &server_at.to_string(),
                "--audience",
                AUDIENCE,
                "--desk",
                &desk_url,
                "--log",
                "warn",
            ])
            .arg("--callers")
            .arg(&callers)
            .arg("--catalog")
            .arg(&catalog)
            .arg("--keys")
            .arg(keys.public_file())
            .arg("--spend")
            .arg(at.join("spent.db"))
            .arg("--runbooks")
            .arg(world.runbooks())
            .env("MIDWATCH_DESK_TOKEN", server);
        for (name, value) in aws_of(world) {
            remediation.env(name, value);
        }
        let mut desk = beside("midwatch")?;
        desk.args([
            "desk",
            "--listen",
            &desk_at.to_string(),
            "--audience",
            AUDIENCE,
            "--remediation",
            &server_url,
        ])
        .arg("--dir")
        .arg(&desk_dir)
        .arg("--catalog")
        .arg(&catalog)
        .arg("--runbooks")
        .arg(world.runbooks())
        .env("MIDWATCH_REMEDIATION_TOKEN", planner.token);
        let (desk_log, server_log) = (at.join("desk.log"), at.join("remediation.log"));
        // The server first: the desk asks it for plans, and complains if it is not there.
        let mut server = started(&mut remediation, &server_log).context("midwatch-remediation")?;
        answers(&format!("http://{server_at}"), &mut server, &server_log)
            .await
            .context("midwatch-remediation")?;
        let mut desk = started(&mut desk, &desk_log).context("the desk")?;
        answers(&desk_url, &mut desk, &desk_log).await.context("the desk")?;
        let apart = Self { _remediation: server, _desk: desk, _directory: directory };
        let to_server = Remote::new(&server_url, supervisor.token)?;
        let people: Result<Vec<DeskOverHttp>, _> =
            tokens?.into_iter().map(|token| DeskOverHttp::new(&desk_url, token)).collect();
        let reached = Reached {
            desk: DeskOverHttp::new(&desk_url, asker)?,
            people: people?,
            remediation: Box::pin(to_server.connect()).await.context("midwatch-remediation")?,
        };
        Ok((apart, reached))
    }
}

/// A binary that was built together with this one.
fn beside(name: &str) -> anyhow::Result<Command> {
    let own = std::env::current_exe().context("this program does not know where it is")?;
    let path: PathBuf = own.with_file_name(name);
    if !path.is_file() {
        bail!("there is no `{}`: build it with `cargo build --release -p {name}`", path.display());
    }
    let mut command = Command::new(path);
    command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::null());
    // What the user's own shell says about AWS or Midwatch is not for these.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("AWS_") || name.starts_with("MIDWATCH_")) {
            command.env_remove(name);
        }
    }
    Ok(command)
}

/// Starts it; what it says goes into a file, and not between what a person is shown.
fn started(command: &mut Command, log: &Path) -> std::io::Result<Child> {
    command.stderr(std::fs::File::create(log)?).spawn()
}

/// An address that nobody listens on now.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// The scenario's services, without roles: the world knows none.
fn catalog_of(world: &World) -> anyhow::Result<String> {
    let services: Vec<_> = world
        .catalog()
        .services()
        .cloned()
        .map(|mut service| {
            service.role_arn = None;
            service
        })
        .collect();
    Ok(toml::to_string(&BTreeMap::from([("service", services)]))?)
}

fn aws_of(world: &World) -> [(&'static str, String); 6] {
    let nowhere = Path::new("/dev/null").display().to_string();
    [
        ("AWS_ENDPOINT_URL", world.endpoint().to_owned()),
        ("AWS_ACCESS_KEY_ID", "AKIDLOCAL".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_CONFIG_FILE", nowhere.clone()),
        ("AWS_SHARED_CREDENTIALS_FILE", nowhere),
    ]
}

/// Waits until a process answers, or has ended.
async fn answers(url: &str, child: &mut Child, log: &Path) -> anyhow::Result<()> {
    const PAUSE: Duration = Duration::from_millis(50);
    let remote = Remote::new(url, "")?;
    let said = || std::fs::read_to_string(log).unwrap_or_default();
    let wait = async {
        loop {
            if let Some(status) = child.try_wait()? {
                bail!("it ended at once ({status}): {}", said().trim());
            }
            let asked = remote.request(Method::GET, "/healthz").send().await;
            if asked.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    match tokio::time::timeout(START, wait).await {
        Ok(done) => done,
        Err(_) => bail!("it did not answer within {} s: {}", START.as_secs(), said().trim()),
    }
}
