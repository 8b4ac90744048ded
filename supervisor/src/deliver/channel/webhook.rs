//! The generic webhook: JSON, signed, for whatever a team has.

use midwatch_mcp::reqwest::Method;
use serde_json::json;

use super::{
    Parcel, Said,
    http::{Call, Http},
};
use crate::deliver::{
    notice::Notice,
    secret::{Place, Secret},
    sign::{self, sign},
};

/// A webhook, and the secret that it verifies with.
#[derive(Debug)]
pub(in crate::deliver) struct Webhook {
    pub(in crate::deliver) place: Place,
    pub(in crate::deliver) secret: Secret,
}

impl Webhook {
    pub(super) async fn send(&self, http: &Http, parcel: Parcel<'_>) -> Said {
        let body = body(parcel.notice, parcel.key);
        let seconds = parcel.now.as_second();
        let headers = vec![
            (sign::TIMESTAMP, seconds.to_string()),
            (sign::SIGNATURE, sign(self.secret.reveal().as_bytes(), seconds, &body)),
            (sign::NOTICE, parcel.key.to_owned()),
        ];
        let call = Call { place: &self.place, body, headers, secret: Some(&self.secret), now: parcel.now };
        http.call(Method::POST, call).await.map_or_else(|said| said, |reply| reply.judge())
    }
}

/// What goes over the wire; version 1 only ever gets fields added.
fn body(notice: &Notice, key: &str) -> Vec<u8> {
    let about = &notice.about;
    json!({
        "version": 1,
        "notice": key,
        "kind": notice.kind,
        "severity": notice.severity,
        "at": notice.at,
        "incident": about.incident,
        "service": about.service_name(),
        "tier": about.tier(),
        "region": about.region,
        "alarm": about.alarm,
        "more_alarms": about.others,
        "over": notice.over == crate::deliver::notice::Over::Yes,
        "headline": notice.headline,
        "lines": notice.lines,
    })
    .to_string()
    .into_bytes()
}

#[cfg(test)]
mod tests;
