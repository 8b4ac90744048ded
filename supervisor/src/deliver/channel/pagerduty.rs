//! PagerDuty, Events API v2: one alert per incident, by its dedup key.

pub(in crate::deliver) mod answer;

use midwatch_mcp::reqwest::Method;
use serde_json::{Map, Value, json};

use super::{
    Parcel, Said,
    http::{Call, Http},
};
use crate::deliver::{
    notice::{Kind, Notice, Origin, Over},
    secret::{Place, Secret},
    text,
};

/// Where events go, unless the configuration says otherwise.
pub(in crate::deliver) const EVENTS: &str = "https://events.pagerduty.com/v2/enqueue";
/// PagerDuty's bound on a summary, in characters.
const SUMMARY: usize = 1024;
/// What the keys of our incidents begin with.
const KEY: &str = "midwatch/";

/// A service at PagerDuty.
#[derive(Debug)]
pub(in crate::deliver) struct PagerDuty {
    pub(in crate::deliver) place: Place,
    pub(in crate::deliver) routing_key: Secret,
    /// What its webhooks are signed with, where it tells us who acknowledged.
    pub(in crate::deliver) webhook_secret: Option<Secret>,
}

impl PagerDuty {
    pub(super) async fn send(&self, http: &Http, parcel: Parcel<'_>) -> Said {
        let body = self.event(parcel.notice).to_string().into_bytes();
        let secret = Some(&self.routing_key);
        let call = Call { place: &self.place, body, headers: Vec::new(), secret, now: parcel.now };
        match http.call(Method::POST, call).await {
            Ok(reply) if reply.status == 202 => Said::Taken,
            Ok(reply) => reply.trouble(),
            Err(said) => said,
        }
    }

    /// What goes over the wire. Everything of an incident has one key: what is triggered again
    /// joins, and what resolves it resolves all of it.
    fn event(&self, notice: &Notice) -> Value {
        let action = match (notice.kind, notice.over) {
            (_, Over::Yes) => "resolve",
            (Kind::Acknowledged, Over::No) => "acknowledge",
            (_, Over::No) => "trigger",
        };
        let mut event = json!({
            "routing_key": self.routing_key.reveal(),
            "event_action": action,
            "dedup_key": format!("{KEY}{}", notice.about.incident),
        });
        let Some(map) = event.as_object_mut().filter(|_| action == "trigger") else { return event };
        let mut details = Map::new();
        for line in &notice.lines {
            let label = match line.origin {
                Origin::Midwatch => line.label.clone(),
                Origin::Outside => format!("{} (quoted)", line.label),
            };
            details.insert(label, line.text.clone().into());
        }
        details.insert("incident".to_owned(), notice.about.incident.to_string().into());
        let source = notice.about.service_name().map_or_else(|| "midwatch".to_owned(), ToString::to_string);
        map.insert(
            "payload".to_owned(),
            json!({
                "summary": text::shown(&notice.headline, SUMMARY),
                "source": source,
                "severity": notice.severity.as_str(),
                "timestamp": notice.at.to_string(),
                "component": source,
                "group": notice.about.region,
                "class": notice.kind.as_str(),
                "custom_details": details,
            }),
        );
        map.insert("client".to_owned(), "Midwatch".into());
        event
    }
}

#[cfg(test)]
mod tests;
