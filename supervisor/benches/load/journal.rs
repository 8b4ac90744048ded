//! Appends to the journal on a disk: many incidents at once, an entry each, each durable when it
//! returns.

use std::{path::Path, sync::Arc, time::Instant};

use midwatch::journal::{Draft, Journal as _, SqliteJournal};
use midwatch_policy::IncidentId;
use serde_json::json;

use crate::row;

/// Appends of each writer.
const EACH: u32 = 150;

pub async fn measure(dir: &Path) {
    for writers in [1, 8, 64, 256] {
        let dir = tempfile::tempdir_in(dir).unwrap();
        let journal = Arc::new(SqliteJournal::open(&dir.path().join("journal.db")).unwrap());
        let begun = Instant::now();
        let all = (0..writers).map(|writer| {
            let journal = Arc::clone(&journal);
            tokio::spawn(async move {
                let incident = IncidentId::parse(format!("inc-20261121-0204-{writer:06x}")).unwrap();
                for version in 0..EACH {
                    let draft = Draft {
                        at: "2026-11-21T02:04:00Z".parse().unwrap(),
                        kind: "part_read".to_owned(),
                        body: json!({ "part": "errors of checkout-api", "line": "x".repeat(300), "ms": version }),
                    };
                    journal.append(&incident, version, vec![draft]).await.unwrap();
                }
            })
        });
        for one in all.collect::<Vec<_>>() {
            one.await.unwrap();
        }
        let seconds = begun.elapsed().as_secs_f64();
        let appends = f64::from(writers * EACH) / seconds;
        row(
            &format!("journal: durable appends a second, {writers} incidents at once"),
            &format!("{appends:.0}"),
        );
    }
}
