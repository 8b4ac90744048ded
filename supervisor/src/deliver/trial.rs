//! A person tries a route: every channel of it gets a notice that says that nothing is wrong.

use std::collections::BTreeSet;

use midwatch_mcp::RemoteError;
use midwatch_policy::{Clock, IncidentId};
use serde::Serialize;

use super::{
    NotifyConfig,
    channel::{Channel, Http, Parcel, Said},
    notice::{Notice, Over},
};

/// What a channel said to a trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tried {
    /// The channel.
    pub channel: String,
    /// What it is and where it leads.
    pub leads_to: String,
    /// What went wrong; none where it took the notice.
    pub problem: Option<String>,
}

/// Sends one notice by every channel of a route, past the outbox and without a second try. None
/// where there is no such route.
pub async fn try_route(
    config: &NotifyConfig,
    route: &str,
    trial: &IncidentId,
    clock: &dyn Clock,
) -> Result<Option<Vec<Tried>>, RemoteError> {
    let http = Http::new()?;
    let Some(found) = config.routes.named(route) else { return Ok(None) };
    let notice = Notice::test(trial.clone(), route, clock.now());
    let mut seen = BTreeSet::new();
    let mut tried = Vec::new();
    for link in found.links.iter().filter(|link| seen.insert(link.channel.as_str())) {
        let Some(way) = config.channels.get(&link.channel) else { continue };
        let key = format!("{}@{route}#{}", notice.key(), link.channel);
        let said = way.channel.send(&http, Parcel { notice: &notice, key: &key, now: clock.now() }).await;
        if matches!(way.channel, Channel::PagerDuty(_)) && said == Said::Taken {
            // A page for a trial must not stay open.
            let over = Notice { over: Over::Yes, ..notice.clone() };
            way.channel.send(&http, Parcel { notice: &over, key: &key, now: clock.now() }).await;
        }
        let problem = match said {
            Said::Taken => None,
            Said::NotNow { problem, .. } | Said::Never { problem } => Some(problem),
        };
        tried.push(Tried { channel: link.channel.clone(), leads_to: way.channel.shown(), problem });
    }
    Ok(Some(tried))
}
