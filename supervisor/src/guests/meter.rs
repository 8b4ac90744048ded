//! How much a guest may send: a bucket of bytes that fills up slowly. Everything that comes over
//! the wire is taken from it, so that endless answers, floods of notifications and lists of
//! thousands of tools end in one place, whatever they look like.

use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use futures::{StreamExt as _, stream::BoxStream};
use http::{HeaderName, HeaderValue};
use midwatch_mcp::reqwest;
use rmcp::{
    model::ClientJsonRpcMessage,
    transport::streamable_http_client::{
        SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
    },
};
use sse_stream::Sse;
use tokio::{
    io::{AsyncRead, ReadBuf},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// Bytes that come in each second for ever, such as a server's log notifications.
const REFILL: f64 = 32.0 * 1024.0;
/// What a listing may take.
const LISTING: usize = 1024 * 1024;
/// How many times the size of a result may come over the wire for it: escapes, text beside
/// structure, progress.
const TIMES: usize = 8;

/// The bucket of one connection.
#[derive(Debug, Clone)]
pub(super) struct Meter(Arc<Bucket>);

#[derive(Debug)]
struct Bucket {
    capacity: f64,
    level: Mutex<(f64, Instant)>,
    over: CancellationToken,
}

impl Meter {
    /// A full bucket for results of at most so many bytes.
    pub(super) fn for_results(max_bytes: usize) -> Self {
        Self::of(LISTING + TIMES * max_bytes)
    }

    /// A full bucket of so many bytes.
    pub(super) fn of(bytes: usize) -> Self {
        let capacity = bytes as f64;
        let level = Mutex::new((capacity, Instant::now()));
        Self(Arc::new(Bucket { capacity, level, over: CancellationToken::new() }))
    }

    /// Takes bytes out; false once more came than may come, and from then on.
    pub(super) fn take(&self, bytes: usize) -> bool {
        self.take_at(bytes, Instant::now())
    }

    fn take_at(&self, bytes: usize, now: Instant) -> bool {
        if self.0.over.is_cancelled() {
            return false;
        }
        let mut held = self.0.level.lock().unwrap_or_else(PoisonError::into_inner);
        let filled = held.0 + now.duration_since(held.1).as_secs_f64() * REFILL;
        *held = (filled.min(self.0.capacity) - bytes as f64, now);
        let left = held.0;
        drop(held);
        if left < 0.0 {
            self.0.over.cancel();
        }
        left >= 0.0
    }

    /// Ends when too much came.
    pub(super) async fn over(&self) {
        self.0.over.cancelled().await;
    }

    /// Whether too much came.
    pub(super) fn is_over(&self) -> bool {
        self.0.over.is_cancelled()
    }

    /// What is said of it.
    pub(super) fn said(&self) -> String {
        format!("it sent more than {} KiB at once: cut off", (self.0.capacity / 1024.0).round())
    }
}

/// A reader that ends in an error once too much came.
#[derive(Debug)]
pub(super) struct Metered<R> {
    inner: R,
    meter: Meter,
}

impl<R> Metered<R> {
    pub(super) fn new(inner: R, meter: Meter) -> Self {
        Self { inner, meter }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Metered<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = std::task::ready!(Pin::new(&mut self.inner).poll_read(cx, buffer));
        let came = buffer.filled().len().saturating_sub(before);
        if self.meter.take(came) {
            return Poll::Ready(read);
        }
        // An error brings nothing.
        buffer.set_filled(before);
        Poll::Ready(Err(io::Error::other("too many bytes")))
    }
}

/// An HTTP client whose streams end once too much came. Bodies that are no streams are bounded by
/// `rmcp`.
#[derive(Debug, Clone)]
pub(super) struct MeteredHttp {
    inner: reqwest::Client,
    meter: Meter,
}

type Events = BoxStream<'static, Result<Sse, SseError>>;
type Headers = HashMap<HeaderName, HeaderValue>;
type Failed = StreamableHttpError<reqwest::Error>;

impl MeteredHttp {
    pub(super) fn new(inner: reqwest::Client, meter: Meter) -> Self {
        Self { inner, meter }
    }

    fn metered(&self, events: Events) -> Events {
        let meter = self.meter.clone();
        let counted = events.take_while(move |event| {
            let bytes = event.as_ref().map_or(0, |event| event.data.as_ref().map_or(0, String::len) + 16);
            std::future::ready(meter.take(bytes))
        });
        counted.boxed()
    }
}

impl StreamableHttpClient for MeteredHttp {
    type Error = reqwest::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        token: Option<String>,
        headers: Headers,
    ) -> Result<StreamableHttpPostResponse, Failed> {
        let most = usize::MAX;
        self.post_message_with_max_sse_event_size(uri, message, session, token, headers, most).await
    }

    async fn post_message_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        token: Option<String>,
        headers: Headers,
        most: usize,
    ) -> Result<StreamableHttpPostResponse, Failed> {
        // Counted before it is asked: a server that is asked again and again pays as well.
        if !self.meter.take(64) {
            return Err(StreamableHttpError::UnexpectedEndOfStream);
        }
        let most = most.min(LISTING * 2);
        let answer =
            self.inner.post_message_with_max_sse_event_size(uri, message, session, token, headers, most);
        Ok(match answer.await? {
            StreamableHttpPostResponse::Sse(events, session) => {
                StreamableHttpPostResponse::Sse(self.metered(events), session)
            }
            other => other,
        })
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session: Arc<str>,
        token: Option<String>,
        headers: Headers,
    ) -> Result<(), Failed> {
        self.inner.delete_session(uri, session, token, headers).await
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last: Option<String>,
        token: Option<String>,
        headers: Headers,
    ) -> Result<Events, Failed> {
        let most = usize::MAX;
        self.get_stream_with_max_sse_event_size(uri, session, last, token, headers, most).await
    }

    async fn get_stream_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last: Option<String>,
        token: Option<String>,
        headers: Headers,
        most: usize,
    ) -> Result<Events, Failed> {
        if !self.meter.take(64) {
            return Err(StreamableHttpError::ServerDoesNotSupportSse);
        }
        let most = most.min(LISTING * 2);
        let events = self.inner.get_stream_with_max_sse_event_size(uri, session, last, token, headers, most);
        Ok(self.metered(events.await?))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_bucket_fills_up_slowly_and_what_is_over_stays_over() {
        let (meter, now) = (Meter::of(100_000), Instant::now());
        assert!(meter.take_at(60_000, now) && meter.take_at(39_000, now));
        let later = now + Duration::from_secs(2);
        assert!(meter.take_at(60_000, later) && !meter.is_over());
        assert!(!meter.take_at(60_000, later) && meter.is_over());
        assert!(!meter.take_at(1, later + Duration::from_mins(5)));
        meter.over().await;
    }

    #[tokio::test]
    async fn a_reader_ends_once_too_much_came() {
        use tokio::io::AsyncReadExt as _;
        let mut reader = Metered::new(tokio::io::repeat(b'x'), Meter::of(10_000));
        let mut all = Vec::new();
        assert!(reader.read_to_end(&mut all).await.is_err());
        assert!(all.len() < 100_000, "{}", all.len());
    }
}
