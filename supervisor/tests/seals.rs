//! `midwatch incidents show` and the desk's signatures under a journal.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

use std::process::{Command, Output, Stdio};

use midwatch::{
    desk::KeyDirectory,
    journal::{Draft, Journal as _, SqliteJournal},
};
use midwatch_mcp::SystemClock;
use midwatch_policy::{Clock as _, Digest, IncidentId, Seal, SigningKey};
use serde_json::{Value, json};

struct Place(tempfile::TempDir);

impl Place {
    fn show(&self, more: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_midwatch"))
            .args(["incidents", "show", "inc-1"])
            .args(more)
            .env_clear()
            .env("HOME", self.0.path())
            .env("MIDWATCH_STORE", self.0.path().join("incidents.db"))
            .env("MIDWATCH_DESK_DIR", self.0.path().join("desk"))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// An incident of three entries with a seal over the first two by this key.
    async fn journal(&self, key: &SigningKey, forged: bool) {
        let path = self.0.path().join("incidents.db");
        let _ = std::fs::remove_file(&path);
        let journal = SqliteJournal::open(&path).unwrap();
        let id = IncidentId::parse("inc-1").unwrap();
        let at = SystemClock.now();
        let draft = |kind: &str, body: Value| Draft { at, kind: kind.to_owned(), body };
        let two = vec![draft("routed", json!({})), draft("routed", json!({ "decision": forged }))];
        journal.append(&id, 0, two).await.unwrap();
        let head = journal.head(&id).await.unwrap().unwrap();
        let hash = if forged { Digest::of(b"as it was") } else { Digest::parse(&head.hash).unwrap() };
        let signature = Seal { incident: id.clone(), entries: 2, head: hash, at }.sign(key).unwrap();
        let body = json!({ "entries": 2, "head": head.hash, "signature": signature });
        journal.append(&id, 2, vec![draft("sealed", body)]).await.unwrap();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn the_desks_seals_are_verified_with_its_keys() {
    let place = Place(tempfile::tempdir().unwrap());
    let keys = KeyDirectory::new(place.0.path().join("desk/keys"));
    let other = SigningKey::generate().unwrap();

    place.journal(&other, false).await;
    let without = place.show(&[]);
    let said = text(&without.stdout);
    assert!(without.status.success(), "{}", text(&without.stderr));
    assert!(said.contains("cannot be verified: no keys at") && said.contains("public-keys.toml"), "{said}");

    keys.create(SystemClock.now()).unwrap();
    let foreign = place.show(&[]);
    assert_eq!(foreign.status.code(), Some(1));
    assert!(text(&foreign.stdout).contains("DOES NOT HOLD"), "{}", text(&foreign.stdout));

    let key = keys.signing().unwrap();
    place.journal(&key, false).await;
    let good = place.show(&[]);
    assert!(good.status.success(), "{}", text(&good.stderr));
    assert!(text(&good.stdout).contains("verified: the first 2 of 3 entries"), "{}", text(&good.stdout));
    let file = keys.public_file();
    let json: Value =
        serde_json::from_slice(&place.show(&["--keys", file.to_str().unwrap(), "--format", "json"]).stdout)
            .unwrap();
    assert_eq!((&json["seals"]["state"], &json["seals"]["entries"]), (&json!("verified"), &json!(2)));

    // The chain holds: all of it was written anew, but for the signature.
    place.journal(&key, true).await;
    let rewritten = place.show(&[]);
    assert_eq!(rewritten.status.code(), Some(1));
    let said = text(&rewritten.stdout);
    assert!(said.contains("DOES NOT HOLD") && said.contains("rewritten"), "{said}");
    let missing = place.show(&["--keys", "/nowhere/keys.toml"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("/nowhere/keys.toml"));
}
