//! Messages by the line, where one that is too long is refused and not dropped.
//!
//! `rmcp` drops such a line without an answer, and its caller waits for ever. So what it reads is watched on the way:
//! how long each line is, and by which id its answer is awaited. Nothing is kept but that. To read whole lines here and
//! hand them on was rejected: it would hold every message twice.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use rmcp::{
    ErrorData, RoleServer,
    model::RequestId,
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::{
        Transport,
        async_rw::{AsyncRwTransport, DEFAULT_MAX_LINE_LENGTH},
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::mpsc,
};

/// Bytes of an id that are looked at.
const ID: usize = 128;
/// Refusals that may wait to be written. Further ones are not sent.
const WAITING: usize = 16;

/// Lines over any two ends.
pub(crate) struct Lines<R: AsyncRead + Unpin, W: AsyncWrite> {
    inner: AsyncRwTransport<RoleServer, Watched<R>, W>,
    too_long: mpsc::Receiver<Option<RequestId>>,
}

impl<R, W> Lines<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    pub(crate) fn new(reader: R, writer: W) -> Self {
        let (tell, too_long) = mpsc::channel(WAITING);
        let reader = Watched { reader, line: Line::default(), tell };
        Self { inner: AsyncRwTransport::new(reader, writer), too_long }
    }

    /// Sent from a task of its own: whoever receives may stop at any time.
    fn refuse(&mut self, id: Option<RequestId>) {
        let most = DEFAULT_MAX_LINE_LENGTH / 1024 / 1024;
        let error = ErrorData::invalid_request(
            format!("the message is too long: at most {most} MiB in a line"),
            None,
        );
        let sent = self.inner.send(TxJsonRpcMessage::<RoleServer>::error(error, id));
        tokio::spawn(async move {
            if let Err(error) = sent.await {
                tracing::debug!(%error, "a refusal could not be sent");
            }
        });
    }
}

impl<R, W> Transport<RoleServer> for Lines<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = io::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.inner.send(item)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            let id = tokio::select! {
                message = self.inner.receive() => match (message, self.too_long.try_recv()) {
                    (None, Ok(id)) => id,
                    (Some(message), _) => return Some(message),
                    (None, Err(_)) => return None,
                },
                Some(id) = self.too_long.recv() => id,
            };
            self.refuse(id);
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.inner.close().await
    }
}

/// A reader whose lines are measured on the way.
struct Watched<R> {
    reader: R,
    line: Line,
    tell: mpsc::Sender<Option<RequestId>>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Watched<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let begin = buffer.filled().len();
        let polled = Pin::new(&mut self.reader).poll_read(context, buffer);
        let Self { line, tell, .. } = &mut *self;
        for byte in buffer.filled().get(begin..).unwrap_or_default() {
            if *byte != b'\n' {
                line.take(*byte);
                continue;
            }
            let line = std::mem::take(line);
            // Its end counts, as it does with `rmcp`.
            if line.length + 1 > DEFAULT_MAX_LINE_LENGTH && tell.try_send(line.id()).is_err() {
                tracing::warn!("a message that is too long was not answered");
            }
        }
        polled
    }
}

/// What is known of a line so far: its length, and the `id` of the object that it is.
#[derive(Debug, Default)]
struct Line {
    length: usize,
    depth: u32,
    in_string: bool,
    is_escaped: bool,
    /// The last string at the first level: a key, if a colon follows.
    key: Vec<u8>,
    id: Vec<u8>,
    in_id: bool,
}

impl Line {
    fn take(&mut self, byte: u8) {
        self.length += 1;
        if self.in_string {
            self.keep(byte);
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.in_string = false,
                _ if self.depth == 1 && self.key.len() <= ID => self.key.push(byte),
                _ => {}
            }
            return;
        }
        match (byte, self.depth) {
            (b'"', _) => {
                self.in_string = true;
                if self.depth == 1 && !self.in_id {
                    self.key.clear();
                }
            }
            (b'{' | b'[', _) => self.depth = self.depth.saturating_add(1),
            (b'}' | b']', _) => {
                self.depth = self.depth.saturating_sub(1);
                self.in_id &= self.depth > 0;
            }
            (b',', 1) => self.in_id = false,
            (b':', 1) => {
                self.in_id = self.key == b"id";
                return;
            }
            _ => {}
        }
        self.keep(byte);
    }

    fn keep(&mut self, byte: u8) {
        if self.in_id && self.id.len() <= ID {
            self.id.push(byte);
        }
    }

    fn id(&self) -> Option<RequestId> {
        serde_json::from_slice(&self.id).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(line: &str) -> Option<RequestId> {
        let mut seen = Line::default();
        line.bytes().for_each(|byte| seen.take(byte));
        assert_eq!(seen.length, line.len());
        seen.id()
    }

    #[test]
    fn the_id_is_that_of_the_message_wherever_it_stands() {
        let number = |id| Some(RequestId::Number(id));
        assert_eq!(id(r#"{"jsonrpc":"2.0","id":7,"method":"x"}"#), number(7));
        assert_eq!(id(r#"{"params":{"id":1,"a":["id",{"id":2}]},"id" : 7}"#), number(7));
        assert_eq!(id(r#"{"id":"a,}\"b","params":{"id":1}}"#), Some(RequestId::String(r#"a,}"b"#.into())));
        assert_eq!(id(r#"{"a":"\"id\":5","method":"id","params":"id"}"#), None);
        assert_eq!(id(&format!(r#"{{"id":"{}"}}"#, "x".repeat(500))), None);
        for none in ["", "[]", "}}]]", "{\"id\":", "not json", r#"{"id":null}"#, r#"[{"id":1}]"#] {
            assert_eq!(id(none), None, "{none}");
        }
    }
}
