//! The connections of everything here that listens: the daemon, the desk, the MCP servers.
//!
//! Whoever connects holds a file descriptor of ours before it is known who that is. INVARIANT: a connection on which
//! no call is under way never keeps another out. At most so many are open, well below what the process may open; when
//! they are, those that have not asked anything yet are closed for a new one, oldest first, then those that wait
//! between two calls. What has sent no whole request after ten seconds is closed anyway. `axum::serve` has neither.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    io::ErrorKind,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, body::Body};
use hyper::{
    Request, Response,
    body::{Bytes, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

/// Connections that are open at once, where the process may have that many and as many again.
const MOST: usize = 1024;
/// Descriptors that a process has where it cannot be found out.
const USUAL: usize = 1024;
/// How long the first request may take to come.
const FIRST: Duration = Duration::from_secs(10);
/// How long a connection may wait for the next. Longer than what stands in front of servers usually keeps theirs
/// (60 s), so that a request does not meet the closing.
const NEXT: Duration = Duration::from_secs(75);
/// How long to wait when no connection can be accepted.
const PAUSE: Duration = Duration::from_millis(100);
/// How often the log says that there are too many.
const SAY: Duration = Duration::from_mins(1);

/// How many connections, and how long they may be silent.
#[derive(Debug, Clone, Copy)]
struct Limits {
    most: usize,
    first: Duration,
    next: Duration,
}

impl Limits {
    fn of_this_process() -> Self {
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        let files = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(USUAL);
        Self { most: (files / 2).clamp(1, MOST), first: FIRST, next: NEXT }
    }
}

/// Answers until `stop` ends, then lets calls under way finish.
pub async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    serve_within(Limits::of_this_process(), listener, router, stop).await;
}

async fn serve_within(limits: Limits, listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let (hall, closing) = (Arc::new(Hall::default()), CancellationToken::new());
    let (mut visits, mut said) = (JoinSet::new(), None);
    let mut stop = pin!(stop);
    'open: loop {
        let accepted = tokio::select! {
            () = &mut stop => break 'open,
            Some(_) = visits.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) if of_the_other_side(error.kind()) => continue,
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted");
                hall.make_room();
                sleep(PAUSE).await;
                continue;
            }
        };
        while hall.open() >= limits.most {
            if said.is_none_or(|at: Instant| at.elapsed() >= SAY) {
                said = Some(Instant::now());
                tracing::error!(
                    open = limits.most,
                    "as many connections are open as may be: those without a call are closed for new ones"
                );
            }
            hall.make_room();
            tokio::select! { () = hall.left.notified() => {}, () = &mut stop => break 'open }
        }
        let visitor = hall.enter();
        visits.spawn(visit(limits, stream, router.clone(), visitor, closing.clone()));
    }
    drop(listener);
    closing.cancel();
    while visits.join_next().await.is_some() {}
}

fn of_the_other_side(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
}

/// One connection, until it ends or is to.
async fn visit(
    limits: Limits,
    stream: TcpStream,
    router: Router,
    entered: Entered,
    closing: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    let visitor = Arc::clone(&entered.visitor);
    let router = TowerToHyperService::new(router);
    let calls = Arc::clone(&visitor);
    let service = service_fn(move |request: Request<Incoming>| {
        let call = Call::begin(&calls);
        let answering = router.call(request);
        async move {
            let answer: Response<Body> = answering.await?;
            Ok::<_, Infallible>(answer.map(|body| Held { body, _call: call }))
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.next);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let mut first = pin!(sleep(limits.first));
    let (mut watched, mut told) = (true, false);
    loop {
        tokio::select! {
            ended = &mut connection => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection broke off");
                }
                return;
            }
            () = visitor.out.cancelled() => return,
            () = &mut first, if watched => {
                watched = false;
                if !visitor.asked.load(Ordering::Relaxed) {
                    return;
                }
            }
            () = closing.cancelled(), if !told => {
                told = true;
                // Half a request is none.
                if !visitor.is_busy() {
                    return;
                }
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Whoever is connected. INVARIANT: never locked across an await.
#[derive(Debug, Default)]
struct Hall {
    inside: Mutex<(u64, BTreeMap<u64, Arc<Visitor>>)>,
    left: Notify,
}

impl Hall {
    fn lock(&self) -> MutexGuard<'_, (u64, BTreeMap<u64, Arc<Visitor>>)> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> usize {
        self.lock().1.len()
    }

    fn enter(self: &Arc<Self>) -> Entered {
        let visitor = Arc::<Visitor>::default();
        let mut inside = self.lock();
        inside.0 += 1;
        let number = inside.0;
        inside.1.insert(number, Arc::clone(&visitor));
        drop(inside);
        Entered { number, visitor, hall: Arc::clone(self) }
    }

    /// Has a connection closed on which no call is under way, where there is one. It is gone once it has left.
    fn make_room(&self) {
        let inside = self.lock();
        let idle = |asked: bool| {
            inside.1.values().find(|visitor| {
                !visitor.is_busy()
                    && !visitor.out.is_cancelled()
                    && visitor.asked.load(Ordering::Relaxed) == asked
            })
        };
        if let Some(visitor) = idle(false).or_else(|| idle(true)) {
            visitor.out.cancel();
        }
    }
}

/// In the hall, until this is dropped.
#[derive(Debug)]
struct Entered {
    number: u64,
    visitor: Arc<Visitor>,
    hall: Arc<Hall>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.hall.lock().1.remove(&self.number);
        self.hall.left.notify_one();
    }
}

#[derive(Debug, Default)]
struct Visitor {
    /// It has sent a whole request.
    asked: AtomicBool,
    /// Calls under way, until the last byte of the answer has been handed over.
    calls: AtomicUsize,
    out: CancellationToken,
}

impl Visitor {
    fn is_busy(&self) -> bool {
        self.calls.load(Ordering::Relaxed) > 0
    }
}

/// A call under way, until this is dropped.
#[derive(Debug)]
struct Call(Arc<Visitor>);

impl Call {
    fn begin(visitor: &Arc<Visitor>) -> Self {
        visitor.asked.store(true, Ordering::Relaxed);
        visitor.calls.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(visitor))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer; its call is under way until it has been read.
#[derive(Debug)]
struct Held {
    body: Body,
    _call: Call,
}

impl hyper::body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        task::JoinHandle,
        time::timeout,
    };

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    struct Stage {
        at: std::net::SocketAddr,
        stop: CancellationToken,
        serving: JoinHandle<()>,
    }

    async fn stage(most: usize, first: Duration) -> Stage {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (at, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let slow = || async {
            sleep(Duration::from_secs(1)).await;
            "slow"
        };
        let router = Router::new().route("/", get(|| async { "here" })).route("/slow", get(slow));
        let limits = Limits { most, first, next: LONG };
        let told = stop.clone();
        let serving =
            tokio::spawn(async move { serve_within(limits, listener, router, told.cancelled()).await });
        Stage { at, stop, serving }
    }

    impl Stage {
        async fn send(&self, text: &str) -> TcpStream {
            let mut stream = TcpStream::connect(self.at).await.unwrap();
            stream.write_all(text.as_bytes()).await.unwrap();
            stream
        }

        async fn get(&self, path: &str) -> String {
            self.send(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"))
                .await
                .rest()
                .await
        }
    }

    trait Rest {
        async fn rest(&mut self) -> String;
    }

    impl Rest for TcpStream {
        /// What comes until the other side closes.
        async fn rest(&mut self) -> String {
            let mut text = String::new();
            let read = timeout(Duration::from_secs(10), self.read_to_string(&mut text));
            // A reset is a close, too.
            let _ = read.await.expect("it is answered or closed");
            text
        }
    }

    #[tokio::test]
    async fn who_says_nothing_keeps_nobody_out_and_a_call_under_way_is_not_cut_off() {
        let stage = stage(4, LONG).await;
        let mut slow = stage.send("GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        sleep(Duration::from_millis(200)).await;
        let mut waiting = Vec::new();
        for _ in 0..20 {
            waiting.push(stage.send("GET / HTTP/1.1\r\nhost: x\r\n").await);
        }
        assert!(stage.get("/").await.ends_with("here"));
        assert!(slow.rest().await.ends_with("slow"));
        let first = waiting.first_mut().unwrap();
        assert_eq!(first.rest().await, "", "the oldest was closed");
    }

    #[tokio::test]
    async fn where_every_connection_has_a_call_the_next_waits_for_one_of_them() {
        let stage = stage(1, LONG).await;
        let mut slow = stage.send("GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        sleep(Duration::from_millis(200)).await;
        assert!(stage.get("/").await.ends_with("here"));
        assert!(slow.rest().await.ends_with("slow"));
    }

    #[tokio::test]
    async fn half_a_request_is_waited_for_only_so_long_and_a_quiet_client_longer() {
        let stage = stage(8, Duration::from_millis(300)).await;
        let mut kept = stage.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut half = stage.send("GET / HTTP/1.1\r\nhost: x\r\n").await;
        assert_eq!(half.rest().await, "");
        kept.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let said = kept.rest().await;
        assert!(said.contains("here") && said.ends_with("slow"), "{said}");
    }

    #[tokio::test]
    async fn at_the_end_a_call_is_answered_and_whoever_waits_is_let_go() {
        let stage = stage(8, LONG).await;
        let mut slow = stage.send("GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut half = stage.send("GET / HTTP/1.1\r\nhost: x\r\n").await;
        let mut quiet = stage.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        sleep(Duration::from_millis(200)).await;
        stage.stop.cancel();
        assert_eq!(half.rest().await, "");
        assert!(quiet.rest().await.ends_with("here"));
        assert!(slow.rest().await.ends_with("slow"));
        timeout(Duration::from_secs(5), stage.serving).await.expect("it ends").unwrap();
    }

    #[test]
    fn fewer_are_let_in_than_the_process_may_open() {
        let most = Limits::of_this_process().most;
        assert!((1..=MOST).contains(&most), "{most}");
    }
}
