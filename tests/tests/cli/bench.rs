//! A world and the binary beside it.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use midwatch_sim::{Scenario, World};
use serde_json::Value;
use tokio::process::Command;

/// Longer than any of these runs may take, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(150);

/// What one start of the binary came to.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// The JSON of a run. Panics, and shows what was said, where there is none.
    pub(crate) fn run(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("no report ({error}): {self:#?}"))
    }

    /// Everything that was said, in lower case.
    pub(crate) fn said(&self) -> String {
        format!("{}\n{}", self.out, self.err).to_lowercase()
    }
}

/// The binary that belongs to this test: beside the directory of the test itself.
pub(crate) fn binary() -> PathBuf {
    if let Some(directory) = std::env::var_os("MIDWATCH_BIN") {
        return PathBuf::from(directory).join("midwatch");
    }
    let test = std::env::current_exe().expect("the test has a path");
    let binary = test.ancestors().nth(2).expect("target directory").join("midwatch");
    assert!(binary.exists(), "`{}` is missing: cargo build --workspace --bins", binary.display());
    binary
}

/// An incident of the repository.
pub(crate) fn scenario(name: &str) -> Scenario {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/scenarios");
    Scenario::load(&all.join(name)).unwrap_or_else(|error| panic!("{error}"))
}

/// A world, its catalog as a file, and a directory for the rest.
pub(crate) struct Bench {
    pub(crate) world: World,
    pub(crate) dir: tempfile::TempDir,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::of(scenario("pool-exhaustion-after-deploy")).await
    }

    pub(crate) async fn of(scenario: Scenario) -> Self {
        let world = World::start(scenario).await.expect("the world starts");
        let dir = tempfile::tempdir().expect("a directory");
        let services: Vec<_> = world.catalog().services().collect();
        let catalog = toml::to_string(&std::collections::BTreeMap::from([("service", services)])).unwrap();
        std::fs::write(dir.path().join("catalog.toml"), catalog).unwrap();
        std::fs::write(dir.path().join("alarm.json"), world.alarm_event().to_string()).unwrap();
        Self { world, dir }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// Writes a file and says where.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.dir.path().join(name), text).unwrap();
        self.path(name)
    }

    /// The arguments of an ordinary triage of the world's alarm.
    pub(crate) fn triage(&self) -> Vec<String> {
        let mut arguments = vec!["triage".to_owned(), self.path("alarm.json")];
        arguments.extend(["--catalog".to_owned(), self.path("catalog.toml")]);
        arguments.extend(["--runbooks".to_owned(), self.world.runbooks().display().to_string()]);
        arguments.extend(["--format", "json"].map(str::to_owned));
        arguments
    }

    /// Starts the binary with the world as its AWS.
    pub(crate) async fn midwatch(&self, arguments: &[String]) -> Ended {
        self.midwatch_with(arguments, &[]).await
    }

    /// The same with other environment variables; an empty value takes one away.
    pub(crate) async fn midwatch_with(&self, arguments: &[String], more: &[(&str, &str)]) -> Ended {
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .env("XDG_STATE_HOME", self.dir.path())
            .env("AWS_ENDPOINT_URL", self.world.endpoint())
            .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "x".repeat(40))
            .env("AWS_REGION", "us-east-1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        for (name, value) in more {
            if value.is_empty() {
                command.env_remove(name)
            } else {
                command.env(name, value)
            };
        }
        let output = tokio::time::timeout(PATIENCE, command.output())
            .await
            .expect("it ends by itself")
            .expect("the binary starts");
        Ended {
            code: output.status.code().expect("it was not killed"),
            out: String::from_utf8(output.stdout).expect("its output is UTF-8"),
            err: String::from_utf8(output.stderr).expect("its messages are UTF-8"),
        }
    }

    /// Nothing was changed, and nobody tried.
    pub(crate) fn untouched(&self) {
        assert_eq!(self.world.mutations(), [], "the world was changed");
    }
}

/// Holds what has to hold of every report, whatever happened.
pub(crate) fn sound(run: &Value) {
    let verdict = run["verdict"].as_str().expect("a verdict");
    assert!(["real", "transient", "unclear"].contains(&verdict), "{verdict}");
    assert_eq!(run["actions"], serde_json::json!([]), "nothing was done");
    for claim in run["claims"].as_array().expect("claims") {
        let cites = claim["evidence"].as_array().is_some_and(|evidence| !evidence.is_empty());
        assert!(claim["kind"] == "guess" || cites, "a fact without evidence: {claim}");
    }
    let confidence = run["confidence"].as_f64().expect("a confidence");
    assert!((0.0..=1.0).contains(&confidence), "{confidence}");
}
