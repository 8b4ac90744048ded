//! An incoming webhook of Slack.
//!
//! INVARIANT: nothing but our own fixed words is ever markup. Texts stand in `plain_text` and
//! `rich_text` objects, which Slack does not parse; the fallback text, which it does, is escaped.

use midwatch_mcp::reqwest::Method;
use serde_json::{Value, json};

use super::{
    Parcel, Said,
    http::{Call, Http},
};
use crate::deliver::{
    chain::Perhaps,
    notice::{Notice, Origin, Severity},
    secret::{Place, Secret},
    text,
};

/// Slack's bound on a header, in characters.
const HEADER: usize = 150;
/// Most characters of the fallback text, before it is escaped.
const FALLBACK: usize = 500;

/// A channel at Slack. Its URL is the secret.
#[derive(Debug)]
pub(in crate::deliver) struct Slack {
    pub(in crate::deliver) place: Place,
    pub(in crate::deliver) secret: Secret,
}

impl Slack {
    pub(super) async fn send(&self, http: &Http, parcel: Parcel<'_>) -> Said {
        let body = message(parcel.notice, parcel.key).to_string().into_bytes();
        let secret = Some(&self.secret);
        let call = Call { place: &self.place, body, headers: Vec::new(), secret, now: parcel.now };
        match http.call(Method::POST, call).await {
            Ok(reply) if reply.status == 200 && reply.body.trim() == "ok" => Said::Taken,
            // A proxy's page, not Slack.
            Ok(reply) if reply.status == 200 => {
                Said::not_now(Perhaps::HasNot, "HTTP 200 without Slack's `ok`: something stands between")
            }
            Ok(reply) => reply.trouble(),
            Err(said) => said,
        }
    }
}

fn message(notice: &Notice, key: &str) -> Value {
    let sign = match notice.severity {
        Severity::Critical => "🔴",
        Severity::Error => "🟠",
        Severity::Warning => "🟡",
        Severity::Info => "⚪",
    };
    let header = text::shown(&format!("{sign} {}", notice.headline), HEADER);
    let mut blocks = vec![json!({ "type": "header", "text": plain(&header) })];
    for line in &notice.lines {
        let said = match line.origin {
            Origin::Midwatch => json!({
                "type": "rich_text_section",
                "elements": [run(&format!("{}: ", line.label), true), run(&line.text, false)],
            }),
            Origin::Outside => json!({
                "type": "rich_text_quote",
                "elements": [run(&format!("{} (quoted): ", line.label), true), run(&line.text, false)],
            }),
        };
        blocks.push(json!({ "type": "rich_text", "elements": [said] }));
    }
    let foot = format!("incident {} · {} · {key}", notice.about.incident, notice.kind.as_str());
    blocks.push(json!({ "type": "context", "elements": [plain(&text::line(&foot, 300))] }));
    let fallback = text::mrkdwn(&text::shown(&header, FALLBACK));
    json!({
        "text": fallback,
        "mrkdwn": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": blocks,
    })
}

fn plain(said: &str) -> Value {
    json!({ "type": "plain_text", "text": said, "emoji": false })
}

fn run(said: &str, bold: bool) -> Value {
    if bold {
        json!({ "type": "text", "text": said, "style": { "bold": true } })
    } else {
        json!({ "type": "text", "text": said })
    }
}

#[cfg(test)]
mod tests;
