//! What lies between the server and the desk: passes everything on, unless a test tells it otherwise.

use std::{
    fmt,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    response::Response,
};
use midwatch_mcp::reqwest;
use serde_json::Value;
use tokio::sync::Semaphore;

type Deed = Box<dyn FnMut() + Send>;

/// Calls that are held up on their way.
#[derive(Debug)]
pub(crate) struct Held {
    waiting: AtomicUsize,
    gate: Semaphore,
}

impl Held {
    /// Waits until so many are held.
    pub(crate) async fn reach(&self, count: usize) {
        while self.waiting.load(Ordering::SeqCst) < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Lets all of them go.
    pub(crate) fn release(&self) {
        self.gate.add_permits(Semaphore::MAX_PERMITS / 2);
    }
}

#[derive(Default)]
pub(crate) struct Wire {
    to: Mutex<String>,
    instead: Mutex<Vec<(&'static str, Value)>>,
    before: Mutex<Vec<(&'static str, Deed)>>,
    held: Mutex<Vec<(&'static str, Arc<Held>)>>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

impl Wire {
    /// A wire that leads nowhere yet, and where it begins.
    pub(crate) async fn lay() -> (Arc<Self>, String) {
        let wire = Arc::new(Self::default());
        let router = Router::new().fallback(pass).with_state(Arc::clone(&wire));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (wire, url)
    }

    /// Where it leads from now on.
    pub(crate) fn lead_to(&self, url: &str) {
        url.trim_end_matches('/').clone_into(&mut self.to.lock().unwrap());
    }

    /// Answers calls whose path ends so with this, until `honest`.
    pub(crate) fn answer(&self, path: &'static str, with: Value) {
        self.instead.lock().unwrap().push((path, with));
    }

    /// Does something when such a call passes, before it is passed on.
    pub(crate) fn before(&self, path: &'static str, deed: impl FnMut() + Send + 'static) {
        self.before.lock().unwrap().push((path, Box::new(deed)));
    }

    /// Holds up calls whose path ends so: new ones until `honest`, those that are held until they are released.
    pub(crate) fn hold(&self, path: &'static str) -> Arc<Held> {
        let held = Arc::new(Held { waiting: AtomicUsize::new(0), gate: Semaphore::new(0) });
        self.held.lock().unwrap().push((path, Arc::clone(&held)));
        held
    }

    /// Passes everything on again.
    pub(crate) fn honest(&self) {
        self.instead.lock().unwrap().clear();
        self.before.lock().unwrap().clear();
        self.held.lock().unwrap().clear();
    }
}

/// One client for all: making one is slow. No connection outlives its call, and so its test.
pub(crate) fn http() -> &'static reqwest::Client {
    static HTTP: OnceLock<reqwest::Client> = OnceLock::new();
    HTTP.get_or_init(|| {
        // Whoever makes the first client sets the provider of TLS.
        drop(midwatch_mcp::Remote::new("http://127.0.0.1:9", "x").unwrap());
        reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap()
    })
}

async fn pass(State(wire): State<Arc<Wire>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    for (end, deed) in wire.before.lock().unwrap().iter_mut() {
        if path.ends_with(*end) {
            deed();
        }
    }
    let held = wire
        .held
        .lock()
        .unwrap()
        .iter()
        .find(|(end, _)| path.ends_with(end))
        .map(|(_, held)| Arc::clone(held));
    if let Some(held) = held {
        held.waiting.fetch_add(1, Ordering::SeqCst);
        held.gate.acquire().await.unwrap().forget();
    }
    let instead = wire.instead.lock().unwrap().iter().find(|(end, _)| path.ends_with(end)).cloned();
    if let Some((_, answer)) = instead {
        return Response::builder()
            .header("content-type", "application/json")
            .body(Body::from(answer.to_string()))
            .unwrap();
    }
    let body = to_bytes(body, 1 << 22).await.unwrap();
    let to = format!("{}{}", wire.to.lock().unwrap(), head.uri);
    let own = |name: &str| matches!(name, "host" | "content-length" | "transfer-encoding");
    let mut on = http().request(head.method, to);
    for (name, value) in head.headers.iter().filter(|(name, _)| !own(name.as_str())) {
        on = on.header(name, value);
    }
    let Ok(answer) = on.body(body.to_vec()).send().await else {
        return Response::builder().status(502).body(Body::empty()).unwrap();
    };
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers().iter().filter(|(name, _)| !own(name.as_str())) {
        response = response.header(name, value);
    }
    response.body(Body::from(answer.bytes().await.unwrap())).unwrap()
}
