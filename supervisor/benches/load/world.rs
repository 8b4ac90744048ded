//! The world as a process of its own, at the speed of real time.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use midwatch_mcp::SystemClock;
use midwatch_policy::Clock as _;
use midwatch_sim::{Scenario, World};
use serde_json::{Value, json};

/// The scenario that is played.
fn scenario() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/scenarios/pool-exhaustion-after-deploy")
}

/// Serves until standard input is closed.
pub fn serve() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let scenario = Scenario::load(&scenario()).unwrap().beginning_at(SystemClock.now()).unwrap();
        let world = World::start(scenario).await.unwrap();
        let _pace = world.run_at_real_time();
        let services: Vec<_> = world.catalog().services().collect();
        let hello = json!({
            "endpoint": world.endpoint(), "alarm": world.alarm_event(), "runbooks": world.runbooks(),
            "catalog": toml::to_string(&std::collections::BTreeMap::from([("service", services)])).unwrap(),
        });
        println!("{hello}");
        std::io::stdout().flush().unwrap();
        tokio::task::spawn_blocking(|| {
            let _ = std::io::stdin().lines().next();
        })
        .await
        .unwrap();
    });
}

/// A world that ends with the value.
pub struct Apart {
    child: Child,
    pub endpoint: String,
    pub alarm: Value,
    pub runbooks: PathBuf,
    pub catalog: String,
}

impl Apart {
    pub fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("world")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let hello: Value = serde_json::from_str(&line).unwrap();
        let text = |name: &str| hello[name].as_str().unwrap().to_owned();
        Self {
            child,
            endpoint: text("endpoint"),
            alarm: hello["alarm"].clone(),
            runbooks: text("runbooks").into(),
            catalog: text("catalog"),
        }
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
