//! Alarms from SQS: EventBridge rules and SNS topics put them there.
//!
//! INVARIANT: a message is deleted after its alarms are durable, and not before. One that is no
//! alarm, or has one that cannot be read beside others, goes to the configured dead-letter queue with the reason as an attribute; where none is
//! configured, or it cannot be written to, it stays and the queue's redrive policy takes it. While
//! Midwatch has no room, or cannot write, nothing is received, and never more than there is room
//! for: each receive counts towards the queue's own redrive policy, and what is an alarm must not
//! end in its dead-letter queue because we were in trouble.

use std::{sync::Arc, time::Duration};

use aws_sdk_sqs::{
    Client,
    config::timeout::TimeoutConfig,
    error::DisplayErrorContext,
    types::{DeleteMessageBatchRequestEntry, Message, MessageAttributeValue},
};
use futures::{StreamExt as _, stream};
use midwatch_mcp::SdkConfig;
use midwatch_policy::Clock;
use tokio_util::sync::CancellationToken;

use crate::{
    alarm,
    intake::door::{AGAIN, Door, Refusal},
};

/// How long a receive waits for messages, in seconds; the longest that SQS allows.
const WAIT_S: i32 = 20;
/// How long SQS keeps a message from others while it is written down, in seconds.
const HIDDEN_S: i32 = 60;
/// Messages a receive brings at most, by SQS's limit.
const AT_ONCE: i32 = 10;
/// The first and longest pause after a receive that failed.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// A queue, and how to reach it.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: String,
    dead_letter: Option<String>,
    /// How it is called in the inbox.
    source: String,
}

/// What one look at the queue came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Polled {
    /// Messages whose alarms were taken.
    pub taken: usize,
    /// Messages that are no alarm.
    pub poison: usize,
    /// Messages that stay because there was no room, or they could not be written down.
    pub left: usize,
    /// Alarms that cannot be read, of messages whose others were taken.
    pub unread: usize,
}

/// Where a poll is counted.
pub trait Count: Send + Sync + std::fmt::Debug {
    /// A look at the queue.
    fn polled(&self, queue: &str, result: &Result<Polled, String>);
}

impl Queue {
    /// The queue at this URL.
    pub fn new(config: &SdkConfig, name: &str, url: String, dead_letter: Option<String>) -> Self {
        // Receiving waits on purpose, longer than what reads are given.
        let patient = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3))
            .operation_attempt_timeout(Duration::from_secs(30))
            .operation_timeout(Duration::from_secs(40))
            .build();
        let config = aws_sdk_sqs::config::Builder::from(config).timeout_config(patient).build();
        Self { client: Client::from_conf(config), url, dead_letter, source: format!("sqs {name}") }
    }

    /// Reads until it is told to stop.
    pub async fn run(
        &self,
        door: &Door,
        clock: &Arc<dyn Clock>,
        count: &dyn Count,
        stop: &CancellationToken,
    ) {
        let mut pause = PAUSE.0;
        while !stop.is_cancelled() {
            let room = door.room();
            if room == 0 {
                tokio::select! { () = stop.cancelled() => return, () = clock.sleep(AGAIN) => continue }
            }
            let polled = tokio::select! {
                () = stop.cancelled() => return,
                received = self.receive(WAIT_S, room) => match received {
                    // Once received, messages are dealt with, whatever happens meanwhile.
                    Ok(messages) => Ok(self.take(messages, door).await),
                    Err(error) => Err(error),
                },
            };
            count.polled(&self.source, &polled);
            match polled {
                Ok(polled) if polled.left > 0 => {
                    tokio::select! { () = stop.cancelled() => return, () = clock.sleep(AGAIN) => {} }
                }
                Ok(_) => pause = PAUSE.0,
                Err(error) => {
                    tracing::warn!(queue = self.source, error, "a queue cannot be read");
                    tokio::select! { () = stop.cancelled() => return, () = clock.sleep(pause) => {} }
                    pause = (pause * 2).min(PAUSE.1);
                }
            }
        }
    }

    /// Receives once, at most `room` messages, waiting so many seconds for a first one.
    pub async fn receive(&self, wait_s: i32, room: usize) -> Result<Vec<Message>, String> {
        let most = i32::try_from(room).unwrap_or(AT_ONCE).clamp(1, AT_ONCE);
        let received = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(most)
            .wait_time_seconds(wait_s)
            .visibility_timeout(HIDDEN_S)
            .send()
            .await
            .map_err(|error| DisplayErrorContext(error).to_string())?;
        Ok(received.messages.unwrap_or_default())
    }

    /// Brings messages in, side by side, and deletes those that are durable.
    pub async fn take(&self, messages: Vec<Message>, door: &Door) -> Polled {
        let outcomes: Vec<(Message, Taken)> = stream::iter(messages)
            .map(|message| async {
                let taken = self.bring(&message, door).await;
                (message, taken)
            })
            .buffer_unordered(usize::try_from(AT_ONCE).unwrap_or(1))
            .collect()
            .await;
        let mut polled = Polled::default();
        let mut done = Vec::new();
        for (message, taken) in outcomes {
            match taken {
                Taken::Durable => polled.taken += 1,
                Taken::InPart { moved, unread } => {
                    polled.taken += 1;
                    polled.unread += unread;
                    if !moved {
                        continue;
                    }
                }
                Taken::Poison { moved } => {
                    polled.poison += 1;
                    if !moved {
                        continue;
                    }
                }
                Taken::Left => {
                    polled.left += 1;
                    self.return_soon(&message).await;
                    continue;
                }
            }
            done.extend(message.receipt_handle);
        }
        self.delete(done).await;
        polled
    }

    async fn bring(&self, message: &Message, door: &Door) -> Taken {
        let body = message.body().unwrap_or_default();
        let id = message.message_id().unwrap_or_default();
        let parsed = match alarm::parse_all(body) {
            Ok(parsed) => parsed,
            Err(error) => {
                let why = error.to_string();
                tracing::warn!(queue = self.source, message = id, why, "a message is no alarm");
                return Taken::Poison { moved: self.bury(body, &why).await };
            }
        };
        let (gap, unread) = (parsed.gap(), parsed.lost());
        match door.bring(parsed.alarms, &self.source, message.message_id.clone()).await {
            Ok(_) => match gap {
                None => Taken::Durable,
                Some(why) => {
                    tracing::warn!(queue = self.source, message = id, why, "a message was taken in part");
                    Taken::InPart { moved: self.bury(body, &why).await, unread }
                }
            },
            Err(Refusal::Full | Refusal::Unwritten | Refusal::Stopping) => Taken::Left,
        }
    }

    /// Moves a message that is no alarm; says whether it is there now.
    async fn bury(&self, body: &str, why: &str) -> bool {
        let Some(grave) = &self.dead_letter else { return false };
        let attribute = |text: &str| {
            MessageAttributeValue::builder().data_type("String").string_value(clean(text)).build().ok()
        };
        let mut sending = self.client.send_message().queue_url(grave).message_body(body);
        for (name, text) in [("reason", why), ("source", self.url.as_str())] {
            if let Some(value) = attribute(text) {
                sending = sending.message_attributes(name, value);
            }
        }
        match sending.send().await {
            Ok(_) => true,
            Err(error) => {
                let error = DisplayErrorContext(error).to_string();
                tracing::error!(queue = self.source, error, "the dead-letter queue cannot be written to");
                false
            }
        }
    }

    /// Lets a message that was not taken be received again soon.
    async fn return_soon(&self, message: &Message) {
        let Some(receipt) = message.receipt_handle() else { return };
        let seconds = i32::try_from(AGAIN.as_secs()).unwrap_or(i32::MAX);
        let changed = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt)
            .visibility_timeout(seconds)
            .send()
            .await;
        if let Err(error) = changed {
            // It comes back by itself, a little later.
            tracing::debug!(error = %DisplayErrorContext(error), "a message stays hidden for a while");
        }
    }

    async fn delete(&self, receipts: Vec<String>) {
        if receipts.is_empty() {
            return;
        }
        let entries = receipts.iter().enumerate().filter_map(|(n, receipt)| {
            DeleteMessageBatchRequestEntry::builder().id(n.to_string()).receipt_handle(receipt).build().ok()
        });
        let deleted = self
            .client
            .delete_message_batch()
            .queue_url(&self.url)
            .set_entries(Some(entries.collect()))
            .send()
            .await;
        match deleted {
            Ok(deleted) if deleted.failed.is_empty() => {}
            Ok(deleted) => {
                tracing::warn!(queue = self.source, failed = deleted.failed.len(), "messages come again");
            }
            Err(error) => {
                // They are known as duplicates when they come again.
                let error = DisplayErrorContext(error).to_string();
                tracing::warn!(queue = self.source, error, "messages come again");
            }
        }
    }
}

enum Taken {
    Durable,
    /// What of it can be read is durable, and the message with the rest was moved or stays.
    InPart {
        moved: bool,
        unread: usize,
    },
    Poison {
        moved: bool,
    },
    Left,
}

/// What SQS allows in an attribute, and no more than people read.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(500).collect()
}
