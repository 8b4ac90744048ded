//! Failures that a scenario injects into API calls.

use super::{Request, WireError};

/// What goes wrong with a call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Misbehaviour {
    /// The call is answered with this error and has no effect.
    Error(WireError),
    /// The call takes this much longer and then works.
    Slow {
        /// Milliseconds of world time.
        ms: i64,
    },
    /// The connection breaks without an answer; nothing happened.
    TimeOut {
        /// Milliseconds of world time until it breaks.
        ms: i64,
    },
    /// The connection breaks without an answer; the call took effect.
    TimeOutAfterEffect {
        /// Milliseconds of world time until it breaks.
        ms: i64,
    },
}

/// One injected failure and how often it has struck.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Injection {
    /// `service:Operation`; `*` matches any run of characters.
    pub(crate) api: String,
    /// Strikes only calls whose input contains this text.
    pub(crate) contains: Option<String>,
    /// What goes wrong.
    pub(crate) misbehaviour: Misbehaviour,
    /// From when, in Unix milliseconds.
    pub(crate) from_ms: i64,
    /// Until when.
    pub(crate) until_ms: i64,
    /// How many matching calls are let through first.
    pub(crate) skip: u32,
    /// How many calls it strikes; absent means all.
    pub(crate) times: Option<u32>,
    /// Matching calls so far.
    pub(crate) seen: u32,
}

impl Injection {
    /// Counts a call, and says whether it is struck.
    pub(crate) fn strikes(&mut self, request: &Request, now_ms: i64) -> bool {
        let name = format!("{}:{}", request.api.prefix(), request.op);
        if !matches(&self.api, &name) || now_ms < self.from_ms || now_ms >= self.until_ms {
            return false;
        }
        if let Some(text) = &self.contains
            && !request.input.to_string().contains(text.as_str())
            && !request.resource.as_deref().unwrap_or_default().contains(text.as_str())
        {
            return false;
        }
        self.seen += 1;
        self.seen > self.skip && self.times.is_none_or(|times| self.seen - self.skip <= times)
    }
}

/// Case-insensitive match; `*` stands for any run of characters.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_ascii_lowercase(), name.to_ascii_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::Api, *};

    #[test]
    fn strikes_the_calls_it_names_as_often_as_it_says() {
        let call = |op: &str| Request {
            api: Api::Ecs,
            op: op.into(),
            resource: None,
            input: json!({"service": "a"}),
        };
        let mut injection = Injection {
            api: "ecs:describe*".into(),
            contains: Some("\"a\"".into()),
            misbehaviour: Misbehaviour::Slow { ms: 1 },
            from_ms: 10,
            until_ms: 20,
            skip: 1,
            times: Some(1),
            seen: 0,
        };
        assert!(!injection.strikes(&call("DescribeServices"), 9));
        assert!(!injection.strikes(&call("ListTasks"), 10));
        let struck: Vec<bool> =
            (10..13).map(|now| injection.strikes(&call("DescribeServices"), now)).collect();
        assert_eq!(struck, [false, true, false]);
        assert!(matches("*", "logs:StartQuery") && !matches("logs", "logs:StartQuery"));
    }
}
