//! Doubles for tests: the other end of a channel, at the wire, and a clock that tests move.

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use midwatch_policy::{Clock, SignedDuration, Timestamp};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What the other end does with a request.
#[derive(Debug, Clone)]
pub(super) enum Does {
    /// Answers: status, further headers, body.
    Answers(u16, &'static str, String),
    /// Says nothing and holds the line.
    Hangs,
    /// Answers and never comes to an end.
    Endless,
    /// Reads the request and hangs up.
    HangsUp,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Came {
    pub(super) line: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

impl Came {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", self.body))
    }
}

/// The other end.
#[derive(Debug, Clone)]
pub(super) struct Double {
    pub(super) url: String,
    came: Arc<Mutex<Vec<Came>>>,
    script: Arc<Mutex<VecDeque<Does>>>,
    usual: Arc<Mutex<Does>>,
}

impl Double {
    /// One that does this, whatever comes.
    pub(super) async fn that(usual: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let double = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            came: Arc::default(),
            script: Arc::default(),
            usual: Arc::new(Mutex::new(usual)),
        };
        let serving = double.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        double
    }

    /// First does these, one for each request.
    pub(super) fn first(&self, script: impl IntoIterator<Item = Does>) {
        self.script.lock().unwrap().extend(script);
    }

    /// From now on does this.
    pub(super) fn then(&self, usual: Does) {
        *self.usual.lock().unwrap() = usual;
    }

    /// What came so far.
    pub(super) fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }

    /// Waits until this many came; gives up after some seconds of real time.
    pub(super) async fn until(&self, number: usize) -> Vec<Came> {
        for _ in 0..800 {
            if self.came().len() >= number {
                return self.came();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} of {number} requests came", self.came().len());
    }

    async fn serve(self, mut stream: TcpStream) {
        let Some(came) = read(&mut stream).await else { return };
        self.came.lock().unwrap().push(came);
        let scripted = self.script.lock().unwrap().pop_front();
        let does = scripted.unwrap_or_else(|| self.usual.lock().unwrap().clone());
        match does {
            Does::Answers(status, headers, body) => {
                let length = body.len();
                let text = format!(
                    "HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
                let _ = stream.write_all(text.as_bytes()).await;
            }
            Does::Hangs => tokio::time::sleep(Duration::from_mins(1)).await,
            Does::Endless => {
                let _ = stream.write_all(b"HTTP/1.1 500 x\r\ntransfer-encoding: chunked\r\n\r\n").await;
                let chunk = format!("1000\r\n{}\r\n", "z".repeat(0x1000));
                while stream.write_all(chunk.as_bytes()).await.is_ok() {}
            }
            Does::HangsUp => {}
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Came> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let mut lines = text.lines();
    let line = lines.next()?.to_owned();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    while bytes.len() < head + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(Came { line, headers, body: bytes[head..head + length].to_vec() })
}

/// A clock that stands still until a test moves it.
#[derive(Debug, Clone)]
pub(crate) struct TestClock {
    wall: watch::Sender<Timestamp>,
    /// By how much it was set, and not gone, in seconds.
    set: Arc<AtomicI64>,
}

impl TestClock {
    pub(crate) fn at(text: &str) -> Self {
        Self { wall: watch::Sender::new(text.parse().unwrap()), set: Arc::default() }
    }

    /// Somebody sets it, and no time passes.
    pub(crate) fn set_forward(&self, seconds: i64) {
        self.set.fetch_add(seconds, Ordering::SeqCst);
        self.step(seconds);
    }

    /// Forwards, or backwards.
    pub(crate) fn step(&self, seconds: i64) {
        self.wall.send_modify(|now| *now += SignedDuration::from_secs(seconds));
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.wall.borrow()
    }

    fn running(&self) -> Duration {
        let went = self.now().as_millisecond() - 1000 * self.set.load(Ordering::SeqCst);
        Duration::from_millis(went.unsigned_abs())
    }

    fn sleep<'a>(&'a self, span: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        let mut seen = self.wall.subscribe();
        let until = self.now() + SignedDuration::try_from(span).unwrap();
        Box::pin(async move {
            // Any step wakes a sleeper, as a real timer would not let it oversleep for ever.
            while *seen.borrow_and_update() < until {
                if seen.changed().await.is_err() || *seen.borrow() < until {
                    return;
                }
            }
        })
    }
}

/// As the shipped wire shape has it: an alarm of `checkout-api`.
pub(super) fn alarm() -> crate::alarm::Alarm {
    let json = serde_json::json!({
        "version": "0", "id": "c4c1c1c9-6542-e61b-6ef0-8c4d36933a92",
        "detail-type": "CloudWatch Alarm State Change", "source": "aws.cloudwatch",
        "account": "123456789012", "time": "2026-11-21T02:04:40Z", "region": "us-east-1",
        "resources": ["arn:aws:cloudwatch:us-east-1:123456789012:alarm:checkout-5xx"],
        "detail": {
            "alarmName": "checkout-5xx",
            "state": { "reason": "Threshold Crossed <!channel>", "timestamp": "2026-11-21T02:04:40.000+0000", "value": "ALARM" },
            "configuration": { "description": "see <https://evil.example|the runbook> password=hunter2secret", "metrics": [] }
        }
    });
    crate::alarm::parse(&json.to_string()).unwrap()
}

/// A service of tier 1 in production.
pub(super) fn service() -> midwatch_policy::Service {
    let text = "[[service]]\nname='checkout-api'\ntier=1\nenvironment='production'\nowners=['web']";
    midwatch_policy::Catalog::parse(text).unwrap().services().next().unwrap().clone()
}

/// An incident about both.
pub(super) fn about(id: &str) -> super::About {
    super::About::new(&midwatch_policy::IncidentId::parse(id).unwrap(), &alarm(), Some(&service()))
}

/// A person has to look.
pub(super) fn escalation(id: &str, clock: &dyn Clock) -> super::Notice {
    let escalation = crate::run::Escalation { why: "no safe action".to_owned(), to: vec!["web".to_owned()] };
    super::Notice::escalation(about(id), &escalation, clock.now())
}
