//! The desk's signature under an incident that has ended.

use midwatch_policy::{Digest, IncidentId};

use crate::{
    event::Event,
    record,
    site::{Hands, Site},
};

/// Has the desk sign the end of an incident that has its report, where a crash came between the
/// two. What cannot be signed now is said in the log: the report was durable before.
pub async fn seal_end(id: &IncidentId, site: &Site) {
    let Some(hands) = &site.hands else { return };
    if let Err(why) = try_seal_end(id, site, hands).await {
        tracing::warn!(incident = %id, why, "the end of a journal is not signed");
    }
}

async fn try_seal_end(id: &IncidentId, site: &Site, hands: &Hands) -> Result<(), String> {
    let entries = site.journal.read(id).await.map_err(|error| error.to_string())?;
    let after = entries.iter().rev().take_while(|entry| entry.kind != "reported");
    let Some(last) = entries.last().filter(|_| !after.into_iter().any(|entry| entry.kind == "sealed")) else {
        return Ok(());
    };
    let hash = Digest::parse(&last.hash).map_err(|error| error.to_string())?;
    let signature = hands.desk.seal(id, last.seq, hash).await.map_err(|error| error.to_string())?;
    let sealed = Event::Sealed { entries: last.seq, head: last.hash.clone(), signature };
    let draft = record::draft(&sealed, site.clock.now()).map_err(|error| error.to_string())?;
    site.journal.append(id, last.seq, vec![draft]).await.map(drop).map_err(|error| error.to_string())
}
