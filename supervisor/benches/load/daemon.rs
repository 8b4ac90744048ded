//! The shipped binary as a daemon, and a sender of alarms that costs little itself.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use sha2::Digest as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::process::Process;

const TOKEN: &str = "a-token-of-a-measurement-and-of-nothing-else";

/// A daemon that is killed with the value.
pub struct Daemon {
    child: Child,
    pub address: String,
}

impl Daemon {
    /// Starts it; also how long that took until alarms could come in.
    pub fn start(dir: &Path, work: &str) -> (Self, Duration) {
        let sha256 = hex::encode(sha2::Sha256::digest(TOKEN));
        let text = format!(
            "store = 'incidents.db'\n[http]\nlisten = '127.0.0.1:0'\n[work]\ngrace = '1s'\n{work}\n\
             [[caller]]\nname = 'load'\nsha256 = '{sha256}'\n"
        );
        std::fs::write(dir.join("midwatch.toml"), text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_midwatch"));
        command.args(["serve", "--config"]).arg(dir.join("midwatch.toml"));
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|n| n.starts_with("AWS_") || n.starts_with("MIDWATCH_")) {
                command.env_remove(name);
            }
        }
        for (name, value) in [
            // Nothing of AWS is there: what is measured is the way of an alarm into the inbox.
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
            ("AWS_ACCESS_KEY_ID", "AKIDLOCAL"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ] {
            command.env(name, value);
        }
        let log = std::fs::File::create(dir.join("serve.log")).unwrap();
        let begun = Instant::now();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let took = begun.elapsed();
        let address = line.split_whitespace().last().and_then(|url| url.strip_prefix("http://"));
        let address = address.unwrap_or_else(|| {
            panic!("it did not start: {}", std::fs::read_to_string(dir.join("serve.log")).unwrap())
        });
        (Self { address: address.to_owned(), child }, took)
    }

    pub fn process(&self) -> Process {
        Process(self.child.id())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An alarm of CloudWatch as EventBridge sends it. `thing` is what it is about, `message` and `at`
/// are this sending's.
pub fn alarm(thing: usize, message: usize, at: jiff::Timestamp) -> String {
    let account = 100_000_000_000 + thing;
    let stamp = at.strftime("%Y-%m-%dT%H:%M:%S.000+0000");
    serde_json::json!({
        "version": "0", "id": format!("00000000-0000-4000-8000-{message:012}"),
        "detail-type": "CloudWatch Alarm State Change", "source": "aws.cloudwatch",
        "account": account.to_string(), "time": at.to_string(), "region": "us-east-1",
        "resources": [format!("arn:aws:cloudwatch:us-east-1:{account}:alarm:service-{thing}-5xx")],
        "detail": {
            "alarmName": format!("service-{thing}-5xx"),
            "configuration": { "description": "errors", "metrics": [{
                "id": "m1", "returnData": true,
                "metricStat": { "period": 60, "stat": "Sum", "metric": {
                    "namespace": "AWS/ApplicationELB", "name": "HTTPCode_Target_5XX_Count",
                    "dimensions": { "LoadBalancer": format!("app/service-{thing}/1") },
                } },
            }] },
            "previousState": { "reason": "fine", "timestamp": stamp.to_string(), "value": "OK" },
            "state": { "reason": "Threshold Crossed", "timestamp": stamp.to_string(), "value": "ALARM" },
        },
    })
    .to_string()
}

/// Sends alarms over one connection, one after the other; how many were acknowledged, and how long
/// each took in milliseconds.
pub async fn send(address: String, alarms: Vec<String>) -> (usize, Vec<f64>) {
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut taken, mut waits, mut answer) = (0, Vec::with_capacity(alarms.len()), Vec::new());
    for alarm in alarms {
        let request = format!(
            "POST /v1/alarms HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {TOKEN}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{alarm}",
            alarm.len()
        );
        let begun = Instant::now();
        stream.write_all(request.as_bytes()).await.unwrap();
        let status = receive(&mut stream, &mut answer).await;
        waits.push(begun.elapsed().as_secs_f64() * 1e3);
        taken += usize::from(status == 202);
    }
    (taken, waits)
}

/// Reads one answer to its end; its status.
async fn receive(stream: &mut TcpStream, answer: &mut Vec<u8>) -> u16 {
    answer.clear();
    loop {
        assert!(stream.read_buf(answer).await.unwrap() > 0, "the daemon hung up");
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
        if answer.len() >= end + 4 + length {
            return head.split_whitespace().nth(1).unwrap().parse().unwrap();
        }
    }
}
