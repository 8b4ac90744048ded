//! Messages: whatever envelopes they are in, and however many alarms they hold.
//!
//! INVARIANT: no alarm of a message is passed over. Each is read, or named with its place in the message and the reason
//! why not: one that cannot be read keeps none of its neighbours out.

use jiff::fmt::temporal::Pieces;
use midwatch_policy::Timestamp;
use serde_json::Value;

use super::{
    Alarm, foreign,
    raw::{Raw, shorten},
    sns, wire,
};

/// Envelopes within envelopes that are opened before giving up.
const DEEPEST: u8 = 5;
/// Most alarms of one message that are read: what one message takes of memory is bounded.
pub const MOST: usize = 4_000;

/// Why a text is not an alarm.
#[derive(Debug, thiserror::Error)]
pub enum AlarmError {
    /// Not JSON at all.
    #[error("not JSON: {0}; give the event as AWS delivered it")]
    Json(#[source] serde_json::Error),
    /// JSON, but of something else.
    #[error(
        "not a known alarm ({found}); known shapes: EventBridge `CloudWatch Alarm State Change`, \
         and `CloudWatch Alarm Configuration Change` where it is a `delete`, SNS notification or its `Message`, Lambda `alarmData`, Alertmanager's webhook, and the shape of docs/serve.md"
    )]
    Foreign {
        /// What it looks like.
        found: String,
    },
    /// An alarm whose field is missing or wrong.
    #[error("{shape} alarm is malformed: {problem}")]
    Malformed {
        /// Which shape it has.
        shape: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// Those beyond the ones that are read of one message.
    #[error("{0} more in one message: the first {MOST} are read, send fewer at once")]
    TooMany(usize),
    /// A message of several, of which none can be read.
    #[error("none of its {count} alarms can be read; the first: {first}")]
    NoneOf {
        /// How many there are.
        count: usize,
        /// What is wrong with the first.
        first: Box<Self>,
    },
    /// More than one where one is wanted.
    #[error("it holds {0} alarms; give one at a time, as --max-number-of-messages 1 does")]
    Several(usize),
}

/// The alarms of a message.
#[derive(Debug)]
pub struct Parsed {
    /// Those that can be read, in their order. At least one.
    pub alarms: Vec<Alarm>,
    /// Those that cannot.
    pub refused: Vec<Unread>,
}

/// An alarm of a message that cannot be read.
#[derive(Debug)]
pub struct Unread {
    /// Its place in the message, from 0; of those beyond the ones that are read, that of the first.
    pub index: usize,
    /// Why not.
    pub why: AlarmError,
}

impl Parsed {
    /// How many alarms of the message are not among those that can be read.
    pub fn lost(&self) -> usize {
        let each = |unread: &Unread| if let AlarmError::TooMany(more) = unread.why { more } else { 1 };
        self.refused.iter().map(each).sum()
    }

    /// In one line what of the message cannot be read, where there is anything.
    pub fn gap(&self) -> Option<String> {
        let first = self.refused.first()?;
        let (lost, all) = (self.lost(), self.lost() + self.alarms.len());
        Some(format!("{lost} of {all} alarms cannot be taken; at {}: {}", first.index, first.why))
    }
}

/// Reads the one alarm of a message.
pub fn parse(message: &str) -> Result<Alarm, AlarmError> {
    let mut found = Found::read(message)?;
    match (found.read.pop(), found.read.len() + found.beyond) {
        (Some(alarm), 0) => alarm,
        (_, others) => Err(AlarmError::Several(others + 1)),
    }
}

/// Reads the alarms of a message; an error only where there is none.
pub fn parse_all(message: &str) -> Result<Parsed, AlarmError> {
    let (mut alarms, mut refused) = (Vec::new(), Vec::new());
    let Found { read, beyond } = Found::read(message)?;
    for (index, alarm) in read.into_iter().enumerate() {
        match alarm {
            Ok(alarm) => alarms.push(alarm),
            Err(why) => refused.push(Unread { index, why }),
        }
    }
    if beyond > 0 {
        refused.push(Unread { index: MOST, why: AlarmError::TooMany(beyond) });
    }
    if !alarms.is_empty() {
        return Ok(Parsed { alarms, refused });
    }
    let count = refused.len();
    match refused.into_iter().next() {
        Some(Unread { why, .. }) if count == 1 => Err(why),
        Some(Unread { why, .. }) => Err(AlarmError::NoneOf { count, first: Box::new(why) }),
        None => Err(no_alarm("a message without an alarm")),
    }
}

/// What was found so far.
#[derive(Default)]
struct Found {
    /// In the order of the message.
    read: Vec<Result<Alarm, AlarmError>>,
    /// How many more there were.
    beyond: usize,
}

impl Found {
    fn read(message: &str) -> Result<Self, AlarmError> {
        let message = message.trim_start_matches('\u{feff}');
        let value: Value = serde_json::from_str(message).map_err(AlarmError::Json)?;
        let mut found = Self::default();
        found.open(&value, DEEPEST);
        Ok(found)
    }

    fn open(&mut self, value: &Value, depth: u8) {
        let Some(depth) = depth.checked_sub(1) else {
            return self.none(|| no_alarm("envelopes within envelopes"));
        };
        let has = |key: &str| value.get(key).is_some();
        let list = |key: &str| value.get(key).and_then(Value::as_array);
        if let Some(alerts) = list("alerts") {
            self.each("Alertmanager", alerts, foreign::from_alert);
        } else if let Some(alarms) = list("alarms") {
            match foreign::only_alarms(value) {
                Ok(()) => self.each("generic", alarms, foreign::from_plain),
                Err(error) => self.none(|| error),
            }
        } else if has("name") && has("state") {
            self.one("generic", value, foreign::from_plain);
        } else if has("detail-type") || has("detail") {
            self.one("EventBridge", value, wire::from_event_bridge);
        } else if has("alarmData") {
            self.one("Lambda", value, wire::from_lambda);
        } else if has("AlarmName") || has("NewStateValue") {
            self.one("SNS", value, sns::from_message);
        } else if let Some(envelopes) = list("Messages").or_else(|| list("Records")) {
            if envelopes.is_empty() {
                self.none(|| no_alarm("an answer of the queue without a message"));
            }
            for envelope in envelopes {
                self.open(envelope, depth);
            }
        } else if let Some(inner) = ["Message", "body", "Body"].iter().find_map(|key| value.get(key)) {
            self.within(inner, depth);
        } else if let Some(inner) = value.get("Sns") {
            self.open(inner, depth);
        } else {
            self.none(|| no_alarm(&describe(value)));
        }
    }

    fn within(&mut self, inner: &Value, depth: u8) {
        let Value::String(text) = inner else { return self.open(inner, depth) };
        match serde_json::from_str(text) {
            Ok(inner) => self.open(&inner, depth),
            Err(_) => self
                .none(|| no_alarm(&format!("an envelope whose message is the text `{}`", shorten(text, 40)))),
        }
    }

    fn each(
        &mut self,
        shape: &'static str,
        values: &[Value],
        from: impl Fn(&Value) -> Result<Raw, AlarmError>,
    ) {
        if values.is_empty() {
            self.none(|| AlarmError::Malformed { shape, problem: "it has no alarms".to_owned() });
        }
        for value in values {
            self.one(shape, value, &from);
        }
    }

    fn one(&mut self, shape: &'static str, value: &Value, from: impl Fn(&Value) -> Result<Raw, AlarmError>) {
        self.take(|| from(value).and_then(|raw| raw.keep(shape)));
    }

    fn none(&mut self, why: impl FnOnce() -> AlarmError) {
        self.take(|| Err(why()));
    }

    fn take(&mut self, read: impl FnOnce() -> Result<Alarm, AlarmError>) {
        if self.read.len() < MOST {
            self.read.push(read());
        } else {
            self.beyond += 1;
        }
    }
}

fn no_alarm(found: &str) -> AlarmError {
    AlarmError::Foreign { found: found.to_owned() }
}

fn describe(value: &Value) -> String {
    match value {
        Value::Object(map) if map.is_empty() => "an empty object".to_owned(),
        Value::Object(map) => {
            let keys: Vec<String> = map.keys().take(6).map(|k| shorten(k, 30)).collect();
            format!("an object with {}", keys.join(", "))
        }
        Value::Array(_) => "a list".to_owned(),
        Value::String(_) => "a text".to_owned(),
        Value::Number(_) | Value::Bool(_) | Value::Null => format!("`{value}`"),
    }
}

pub(super) fn malformed(shape: &'static str, error: &serde_json::Error) -> AlarmError {
    AlarmError::Malformed { shape, problem: error.to_string() }
}

/// `CloudWatch` writes `2019-10-02T17:04:40.989+0000`, which RFC 3339 does not allow.
pub(super) fn time(shape: &'static str, raw: &str) -> Result<Timestamp, AlarmError> {
    let rfc3339 = raw.strip_suffix("+0000").map_or_else(|| raw.to_owned(), |head| format!("{head}Z"));
    rfc3339.parse().ok().or_else(|| beyond(&rfc3339)).ok_or_else(|| AlarmError::Malformed {
        shape,
        problem: format!("`{}` is not a time such as 2026-11-21T02:04:00Z", shorten(raw, 40)),
    })
}

/// The last time there is, or the first, for one that is well written and lies beyond: some senders mean `never` by it.
fn beyond(raw: &str) -> Option<Timestamp> {
    let pieces = Pieces::parse(raw).ok().filter(|pieces| pieces.time().and(pieces.offset()).is_some())?;
    Some(if pieces.date().year() > 0 { Timestamp::MAX } else { Timestamp::MIN })
}
