//! Journals as text, one incident a line, to be kept elsewhere and taken in again.
//!
//! INVARIANT: what is taken in is chained anew, entry by entry, and has to come to the hash that
//! it was exported with; of an incident that is there already, nothing is changed.

use std::collections::BTreeMap;

use midwatch_policy::IncidentId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Draft, Entry, Head, Journal, JournalError, digest, verify};

/// Version of the form.
const FORM: u32 = 1;

/// An incident, all of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exported {
    form: u32,
    incident: IncidentId,
    hash: String,
    entries: Vec<Entry>,
    /// Bytes of evidence by their SHA-256. They are JSON texts.
    evidence: BTreeMap<String, String>,
}

/// What became of one that was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    /// It is there now.
    Added,
    /// It was there before, and is as it was.
    Known,
}

/// Reads an incident with its evidence, verified; nothing if it has no journal.
pub async fn export(journal: &dyn Journal, incident: &IncidentId) -> Result<Option<Exported>, JournalError> {
    let entries = journal.read(incident).await?;
    let Some(last) = entries.last() else { return Ok(None) };
    let mut evidence = BTreeMap::new();
    for digest in digests(&entries) {
        let broken =
            |problem: String| JournalError::Broken { incident: incident.to_string(), seq: 0, problem };
        let kept = journal.kept(&digest).await?;
        let bytes = kept.ok_or_else(|| broken(format!("evidence {digest} is missing from the store")))?;
        let text = String::from_utf8(bytes).map_err(|_| broken(format!("evidence {digest} is no text")))?;
        evidence.insert(digest, text);
    }
    Ok(Some(Exported { form: FORM, incident: incident.clone(), hash: last.hash.clone(), entries, evidence }))
}

fn digests(entries: &[Entry]) -> Vec<String> {
    let kept = entries.iter().filter(|entry| entry.kind == "evidence_kept");
    kept.filter_map(|entry| entry.body.get("sha256").and_then(Value::as_str).map(str::to_owned)).collect()
}

/// Takes an incident in.
pub async fn import(journal: &dyn Journal, exported: Exported) -> Result<Imported, JournalError> {
    let Exported { form, incident, hash, entries, evidence } = exported;
    let broken = |problem: &str| JournalError::Broken {
        incident: incident.to_string(),
        seq: 0,
        problem: problem.to_owned(),
    };
    if form != FORM {
        return Err(broken(&format!("it has form {form}, and this midwatch reads {FORM}")));
    }
    let count = u32::try_from(entries.len()).map_err(|_| broken("it has too many entries"))?;
    verify(&entries, &Head { incident: incident.clone(), entries: count, hash: hash.clone() })?;
    if evidence.iter().any(|(name, text)| digest(text.as_bytes()) != *name) {
        return Err(broken("a piece of its evidence does not match its digest"));
    }
    if digests(&entries).iter().any(|name| !evidence.contains_key(name)) {
        return Err(broken("a piece of its evidence is missing"));
    }
    if journal.head(&incident).await?.is_some() {
        return Ok(Imported::Known);
    }
    journal.keep(evidence.into_values().map(String::into_bytes).collect()).await?;
    let drafts = entries.into_iter().map(|entry| Draft { at: entry.at, kind: entry.kind, body: entry.body });
    match journal.append(&incident, 0, drafts.collect()).await {
        Ok(_) => {}
        // Somebody was faster.
        Err(JournalError::Conflict { .. }) => return Ok(Imported::Known),
        Err(error) => return Err(error),
    }
    let head = journal.head(&incident).await?;
    if head.is_none_or(|head| head.hash != hash) {
        return Err(broken("taken in, it has another hash"));
    }
    Ok(Imported::Added)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::journal::SqliteJournal;

    async fn filled(id: &IncidentId) -> SqliteJournal {
        let journal = SqliteJournal::in_memory().unwrap();
        let kept = journal.keep(vec![b"{\"a\":1}".to_vec()]).await.unwrap();
        let at = "2026-11-21T02:00:00.5Z".parse().unwrap();
        let draft = |kind: &str, body: Value| Draft { at, kind: kind.to_owned(), body };
        let drafts = vec![
            draft("opened", json!({ "alarm": { "name": "slow" }, "service": "shop" })),
            draft("evidence_kept", json!({ "id": "E1", "sha256": kept[0] })),
            draft("reported", json!({ "run": { "outcome": "resolved" } })),
        ];
        journal.append(id, 0, drafts).await.unwrap();
        journal
    }

    #[tokio::test]
    async fn what_is_exported_is_taken_in_as_it_was_and_what_was_altered_is_not() {
        let id = IncidentId::parse("inc-1").unwrap();
        let journal = filled(&id).await;
        let exported = export(&journal, &id).await.unwrap().unwrap();
        let text = serde_json::to_string(&exported).unwrap();
        let other = SqliteJournal::in_memory().unwrap();
        for (from, to) in
            [("\"shop\"", "\"shap\""), ("{\\\"a\\\":1}", "{\\\"a\\\":2}"), ("\"form\":1", "\"form\":9")]
        {
            assert!(text.contains(from), "{text}");
            let altered = serde_json::from_str(&text.replace(from, to)).unwrap();
            let refused = import(&other, altered).await.unwrap_err();
            assert!(matches!(refused, JournalError::Broken { .. }), "{refused}");
            assert_eq!(other.heads().await.unwrap(), []);
        }
        let again = || serde_json::from_str(&text).unwrap();
        assert_eq!(import(&other, again()).await.unwrap(), Imported::Added);
        assert_eq!(import(&other, again()).await.unwrap(), Imported::Known);
        assert_eq!(other.head(&id).await.unwrap(), journal.head(&id).await.unwrap());
        assert_eq!(export(&other, &id).await.unwrap().unwrap(), exported);
        assert_eq!(export(&other, &IncidentId::parse("inc-2").unwrap()).await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_is_old_and_over_goes_and_evidence_that_another_refers_to_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        let journal = SqliteJournal::open(&path).unwrap();
        let ids = ["inc-1", "inc-2", "inc-3"].map(|id| IncidentId::parse(id).unwrap());
        let one = export(&filled(&ids[0]).await, &ids[0]).await.unwrap().unwrap();
        import(&journal, one.clone()).await.unwrap();
        let draft = |at: &str, kind: &str, body: Value| Draft {
            at: at.parse().unwrap(),
            kind: kind.to_owned(),
            body,
        };
        let shared = one.evidence.keys().next().unwrap();
        let mine = journal.keep(vec![b"{\"b\":1}".to_vec()]).await.unwrap().remove(0);
        // Old, and not over.
        let open = vec![
            draft("2026-11-01T00:00:00Z", "opened", json!({})),
            draft("2026-11-01T00:00:00Z", "evidence_kept", json!({ "sha256": shared })),
        ];
        journal.append(&ids[1], 0, open).await.unwrap();
        // Old, and over only lately.
        let late = vec![
            draft("2026-11-01T00:00:00Z", "opened", json!({ "alarm": { "name": "late" } })),
            draft("2026-11-01T00:00:00Z", "evidence_kept", json!({ "sha256": mine })),
            draft("2026-11-25T00:00:00Z", "reported", json!({ "run": { "outcome": "escalated" } })),
        ];
        journal.append(&ids[2], 0, late).await.unwrap();
        let raw = rusqlite::Connection::open(&path).unwrap();
        raw.execute("UPDATE blobs SET at = 0", []).unwrap();
        assert_eq!(journal.forget("2026-11-24T00:00:00Z".parse().unwrap(), 10).await.unwrap(), 1);
        assert_eq!(journal.read(&ids[0]).await.unwrap(), []);
        assert!(journal.kept(shared).await.unwrap().is_some(), "another incident refers to it");
        let all = journal.overview(10).await.unwrap();
        assert_eq!(all.len(), 2);
        let third = all.iter().find(|one| one.head.incident == ids[2]).unwrap();
        assert_eq!((third.alarm.as_deref(), third.outcome.as_deref()), (Some("late"), Some("escalated")));
        // What goes on after its end is not over.
        let reopened = vec![draft("2026-11-26T00:00:00Z", "reopened", json!({}))];
        journal.append(&ids[2], 3, reopened).await.unwrap();
        assert_eq!(journal.forget("2026-11-26T00:00:00Z".parse().unwrap(), 10).await.unwrap(), 0);
        assert_eq!(journal.forget("2026-11-27T00:00:00Z".parse().unwrap(), 10).await.unwrap(), 1);
        assert_eq!(journal.kept(&mine).await.unwrap(), None);
        assert_eq!(journal.read(&ids[1]).await.unwrap().len(), 2, "it is not over");
    }
}
