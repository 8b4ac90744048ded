use proptest::prelude::*;
use serde_json::json;

use super::{chain::GENESIS, *};

fn incident() -> IncidentId {
    IncidentId::parse("inc-20261121-0204-1f9c3a").unwrap()
}

fn draft(kind: &str, body: Value) -> Draft {
    Draft { at: "2026-11-21T02:04:00Z".parse().unwrap(), kind: kind.to_owned(), body }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

#[tokio::test]
async fn what_is_appended_is_read_and_holds() {
    let journal = SqliteJournal::in_memory().unwrap();
    let id = incident();
    let two = vec![draft("opened", json!({ "b": 1.5, "a": [1, null] })), draft("closed", json!({}))];
    assert_eq!(journal.append(&id, 0, two).await.unwrap(), 2);
    assert_eq!(journal.append(&id, 2, vec![draft("noted", json!("x"))]).await.unwrap(), 3);
    let entries = journal.read(&id).await.unwrap();
    assert_eq!(entries.iter().map(|e| e.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(entries[1].prev, entries[0].hash);
    assert_eq!(entries[0].prev, GENESIS);
    assert_eq!(journal.heads().await.unwrap()[0].entries, 3);
}

#[tokio::test]
async fn a_writer_that_has_not_seen_the_last_entry_writes_nothing() {
    let journal = SqliteJournal::in_memory().unwrap();
    let id = incident();
    journal.append(&id, 0, vec![draft("opened", json!({}))]).await.unwrap();
    for stale in [0, 2] {
        let error = journal.append(&id, stale, vec![draft("x", json!({}))]).await.unwrap_err();
        assert!(matches!(error, JournalError::Conflict { found: 1, .. }), "{error}");
    }
    assert_eq!(journal.read(&id).await.unwrap().len(), 1);
}

#[tokio::test]
async fn of_two_writers_at_once_one_wins() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/er/incidents.db");
    let (one, two) = (SqliteJournal::open(&path).unwrap(), SqliteJournal::open(&path).unwrap());
    let id = incident();
    let (a, b) = tokio::join!(
        one.append(&id, 0, vec![draft("a", json!({}))]),
        two.append(&id, 0, vec![draft("b", json!({}))])
    );
    assert_eq!(usize::from(a.is_ok()) + usize::from(b.is_ok()), 1);
    assert_eq!(one.read(&id).await.unwrap().len(), 1);
}

#[tokio::test]
async fn bytes_are_kept_under_their_digest_and_checked() {
    let journal = SqliteJournal::in_memory().unwrap();
    let digests = journal.keep(vec![b"evidence".to_vec(), b"more".to_vec()]).await.unwrap();
    assert_eq!(journal.keep(vec![b"evidence".to_vec()]).await.unwrap(), digests[..1]);
    assert_eq!(journal.kept(&digests[0]).await.unwrap().unwrap(), b"evidence");
    assert_eq!(journal.kept("00").await.unwrap(), None);
}

#[test]
fn a_file_that_is_no_store_says_how_to_mend_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    std::fs::write(&path, "not a database, but long enough to be looked at as if it were one").unwrap();
    let error = SqliteJournal::open(&path).unwrap_err().to_string();
    assert!(error.contains("--store"), "{error}");
}

#[test]
fn the_store_has_a_place_without_a_home() {
    assert!(default_store(|_| None).ends_with("midwatch/incidents.db"));
    let set = |name: &str| (name == "XDG_STATE_HOME").then(|| "/state".to_owned());
    assert_eq!(default_store(set).to_str(), Some("/state/midwatch/incidents.db"));
    let relative = |name: &str| Some(if name == "HOME" { "/home/x".to_owned() } else { "state".to_owned() });
    assert_eq!(default_store(relative).to_str(), Some("/home/x/.local/state/midwatch/incidents.db"));
}

/// As the canonicaliser writes the whole entry.
fn hash_of(entry: &Entry) -> String {
    let Entry { incident, seq, at, kind, body, prev, .. } = entry;
    let whole = json!({
        "form": 1, "incident": incident, "seq": seq, "at": at, "kind": kind, "body": body, "prev": prev,
    });
    digest(serde_json_canonicalizer::to_string(&whole).unwrap().as_bytes())
}

fn bodies() -> impl Strategy<Value = Vec<(String, i64, String)>> {
    prop::collection::vec(("[a-z_]{1,8}", any::<i64>(), ".{0,20}"), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Any byte of any column of any row, changed in the file behind the journal's back.
    #[test]
    fn any_altered_byte_breaks_the_chain(
        bodies in bodies(), row in any::<prop::sample::Index>(), column in 0usize..6,
        place in any::<prop::sample::Index>(), bit in 0u8..7,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("j.db");
        let journal = SqliteJournal::open(&path).unwrap();
        let id = incident();
        let drafts: Vec<Draft> =
            bodies.iter().map(|(k, n, t)| draft(k, json!({ "number": n, "text": t }))).collect();
        let count = drafts.len();
        runtime().block_on(journal.append(&id, 0, drafts)).unwrap();
        prop_assert!(runtime().block_on(journal.read(&id)).is_ok());

        let raw = rusqlite::Connection::open(&path).unwrap();
        let seq = i64::try_from(row.index(count)).unwrap() + 1;
        if column == 5 {
            raw.execute("DELETE FROM entries WHERE seq = ?1", [seq]).unwrap();
        } else {
            let name = ["at", "kind", "body", "prev", "hash"][column];
            let old: String =
                raw.query_row(&format!("SELECT {name} FROM entries WHERE seq = ?1"), [seq], |r| r.get(0)).unwrap();
            let mut letters: Vec<char> = old.chars().collect();
            let at = place.index(letters.len());
            letters[at] = char::from_u32(u32::from(letters[at]) ^ (1 << bit)).unwrap_or('?');
            let new: String = letters.into_iter().collect();
            prop_assume!(new != old);
            raw.execute(&format!("UPDATE entries SET {name} = ?1 WHERE seq = ?2"), rusqlite::params![new, seq]).unwrap();
        }
        let error = runtime().block_on(journal.read(&id)).unwrap_err();
        let is_broken = matches!(error, JournalError::Broken { .. });
        prop_assert!(is_broken, "{}", error);
    }

    #[test]
    fn a_hash_is_of_the_canonical_json_of_the_entry(
        kind in "\\PC{0,8}[\u{0}-\u{24}\\\\]{0,3}", number in any::<f64>(), whole in any::<i64>(), text in "\\PC{0,20}",
    ) {
        let journal = SqliteJournal::in_memory().unwrap();
        let body = json!({ "z": number, "a": { "\u{fb33}": whole, "\u{1f600}": text } });
        runtime().block_on(journal.append(&incident(), 0, vec![draft(&kind, body)])).unwrap();
        let entries = runtime().block_on(journal.read(&incident())).unwrap();
        prop_assert_eq!(&entries[0].hash, &hash_of(&entries[0]));
    }

    #[test]
    fn rewriting_an_entry_with_a_fitting_hash_breaks_the_next(bodies in bodies()) {
        let journal = SqliteJournal::in_memory().unwrap();
        let id = incident();
        let drafts: Vec<Draft> = bodies.iter().map(|(k, n, _)| draft(k, json!(n))).collect();
        runtime().block_on(journal.append(&id, 0, drafts)).unwrap();
        let mut entries = runtime().block_on(journal.read(&id)).unwrap();
        let head = runtime().block_on(journal.heads()).unwrap().remove(0);
        entries[0] = Entry { kind: "forged".to_owned(), body: json!({}), ..entries[0].clone() };
        entries[0].hash = hash_of(&entries[0]);
        prop_assert!(verify(&entries, &head).is_err());
    }
}

#[tokio::test]
async fn many_write_at_once_and_a_conflict_is_nobody_elses() {
    let directory = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(&directory.path().join("store.db")).unwrap();
    let ids: Vec<IncidentId> = (0..40).map(|n| IncidentId::parse(format!("inc-{n}")).unwrap()).collect();
    let writes = ids
        .iter()
        .map(|id| journal.append(id, 0, vec![draft("opened", json!({})), draft("closed", json!({}))]));
    assert!(futures::future::join_all(writes).await.into_iter().all(|wrote| wrote.unwrap() == 2));
    // Every second one has seen an earlier version.
    let writes = ids
        .iter()
        .zip(0_u32..)
        .map(|(id, n)| journal.append(id, 2 - n % 2, vec![draft("reported", json!({}))]));
    for (n, wrote) in futures::future::join_all(writes).await.into_iter().enumerate() {
        match wrote {
            Ok(version) => assert_eq!((version, n % 2), (3, 0)),
            Err(error) => assert!(matches!(error, JournalError::Conflict { found: 2, .. }) && n % 2 == 1),
        }
    }
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(journal.read(id).await.unwrap().len(), if n % 2 == 0 { 3 } else { 2 });
    }
    let open = journal.open("reported").await.unwrap();
    assert_eq!(open.len(), 20);
    assert!(!open.contains(&ids[0]) && open.contains(&ids[1]));
}

#[tokio::test]
async fn a_store_of_the_first_version_is_read_and_gone_on_with() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let id = IncidentId::parse("inc-1").unwrap();
    {
        let journal = SqliteJournal::open(&path).unwrap();
        journal.append(&id, 0, vec![draft("opened", json!({}))]).await.unwrap();
    }
    let before = rusqlite::Connection::open(&path).unwrap();
    before
        .execute_batch(
            "DROP INDEX ends; DROP INDEX evidence; DROP TABLE pulse; DROP INDEX opened;
             ALTER TABLE blobs DROP COLUMN at; PRAGMA user_version = 1;",
        )
        .unwrap();
    drop(before);
    let journal = SqliteJournal::open(&path).unwrap();
    assert_eq!(journal.append(&id, 1, vec![draft("reported", json!({}))]).await.unwrap(), 2);
    assert_eq!(journal.read(&id).await.unwrap().len(), 2);
    assert!(journal.open("reported").await.unwrap().is_empty());
}
