//! What is kept is copied while it is used, put in place elsewhere, and carried by single
//! incidents.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use midwatch::{
    intake::inbox::{Inbox, Said},
    journal::{Draft, Journal as _, SqliteJournal},
};
use midwatch_mcp::SystemClock;
use midwatch_policy::{Clock as _, IncidentId};
use serde_json::json;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_midwatch"));
        command.args(arguments).current_dir(self.0.path()).env_clear().stdin(Stdio::null());
        command.env("MIDWATCH_STORE", self.at("incidents.db")).output().unwrap()
    }

    fn good(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        said(&output)
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

fn id(n: u32) -> IncidentId {
    IncidentId::parse(format!("inc-{n}")).unwrap()
}

async fn write(journal: &SqliteJournal, incident: &IncidentId) {
    let kept = journal.keep(vec![format!("{{\"of\":\"{incident}\"}}").into_bytes()]).await.unwrap();
    let at = SystemClock.now();
    let draft = |kind: &str, body| Draft { at, kind: kind.to_owned(), body };
    let drafts = vec![
        draft("opened", json!({ "alarm": { "name": "slow" }, "service": "shop" })),
        draft("evidence_kept", json!({ "id": "E1", "sha256": kept[0] })),
        draft("reported", json!({ "run": { "outcome": "resolved" } })),
    ];
    journal.append(incident, 0, drafts).await.unwrap();
}

/// Stores with what SQLite puts beside them, copies, exports, locks.
fn only_its_owner_reads(directory: &Path) {
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let (metadata, path) = (entry.metadata().unwrap(), entry.path());
        let holds = ["db", "db-wal", "db-shm", "json", "jsonl", "lock"];
        let extension = path.extension().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
        if metadata.is_file() && holds.contains(&extension) {
            assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{}", path.display());
        }
    }
}

fn spoil(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_all_the_time_is_copied_whole_and_restored_elsewhere() {
    let place = Place::new();
    let journal = Arc::new(SqliteJournal::open(&place.at("incidents.db")).unwrap());
    let inbox = Inbox::open(&place.at("incidents.inbox.db")).unwrap();
    inbox.say(id(0), Said::Acknowledged { by: "somebody".to_owned() }, SystemClock.now()).await.unwrap();
    write(&journal, &id(0)).await;
    let stop = Arc::new(AtomicBool::new(false));
    let (told, writing) = (Arc::clone(&stop), Arc::clone(&journal));
    let writer = tokio::spawn(async move {
        let mut n = 0;
        while !told.load(Ordering::SeqCst) {
            n += 1;
            write(&writing, &id(n)).await;
        }
        n
    });
    let (first, second) = tokio::task::spawn_blocking({
        let directory = place.at("copy").display().to_string();
        let store = place.at("incidents.db").display().to_string();
        move || {
            let run = || {
                let mut command = Command::new(env!("CARGO_BIN_EXE_midwatch"));
                command.args(["store", "backup", &directory, "--store", &store]).env_clear().output().unwrap()
            };
            (run(), run())
        }
    })
    .await
    .unwrap();
    assert!(first.status.success(), "{}", said(&first));
    assert!(!second.status.success() && said(&second).contains("is not empty"), "{}", said(&second));
    stop.store(true, Ordering::SeqCst);
    assert!(writer.await.unwrap() > 0, "somebody wrote meanwhile");

    let restored = place.at("elsewhere/incidents.db").display().to_string();
    place.good(&["store", "restore", "copy", "--store", &restored]);
    place.good(&["incidents", "verify", "--store", &restored]);
    let listed = place.good(&["incidents", "list", "--store", &restored]);
    assert!(listed.contains("inc-0 ") && listed.contains("resolved"), "{listed}");
    let inbox = Inbox::open(&place.at("elsewhere/incidents.inbox.db")).unwrap();
    assert_eq!(inbox.unheard(9).await.unwrap().len(), 1);
    for directory in [place.at(""), place.at("copy"), place.at("elsewhere")] {
        only_its_owner_reads(&directory);
    }
    let twice = place.run(&["store", "restore", "copy", "--store", &restored]);
    assert!(!twice.status.success() && said(&twice).contains("there is a journal at"), "{}", said(&twice));

    spoil(&place.at("copy/journal.db"));
    let third = place.at("third/incidents.db").display().to_string();
    let spoiled = place.run(&["store", "restore", "copy", "--store", &third]);
    assert!(
        said(&spoiled).contains("not as it was copied") && !Path::new(&third).exists(),
        "{}",
        said(&spoiled)
    );
    std::fs::remove_file(place.at("copy/backup.json")).unwrap();
    let half = place.run(&["store", "restore", "copy", "--store", &third]);
    assert!(said(&half).contains("no complete copy"), "{}", said(&half));
}

#[tokio::test]
async fn incidents_are_exported_imported_pruned_and_spoken_of() {
    let place = Place::new();
    let journal = SqliteJournal::open(&place.at("incidents.db")).unwrap();
    for n in [1, 2] {
        write(&journal, &id(n)).await;
    }
    place.good(&["incidents", "export", "--output", "all.jsonl"]);
    only_its_owner_reads(&place.at(""));
    assert!(
        !place.run(&["incidents", "export", "--output", "all.jsonl"]).status.success(),
        "it is there already"
    );
    let other = place.at("other.db").display().to_string();
    let import = ["incidents", "import", "all.jsonl", "--store", &other];
    assert!(place.good(&import).contains("2 added, 0 were there"));
    assert!(place.good(&import).contains("0 added, 2 were there"));
    place.good(&["incidents", "verify", "--store", &other]);
    let altered = std::fs::read_to_string(place.at("all.jsonl")).unwrap().replace("resolved", "escalated");
    std::fs::write(place.at("all.jsonl"), altered).unwrap();
    let third = place.at("third.db").display().to_string();
    let refused = place.run(&["incidents", "import", "all.jsonl", "--store", &third]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("0 added, 0 were there, 2 do not hold"), "{}", said(&refused));

    assert!(place.good(&["store", "prune", "--days", "1"]).starts_with("0 incidents"), "they ended today");

    let note = ["incidents", "note", "inc-1", "it is the cache", "--by", "first-on-call"];
    let nowhere = place.run(&note);
    assert!(said(&nowhere).contains("there is no inbox"), "{}", said(&nowhere));
    Inbox::open(&place.at("incidents.inbox.db")).unwrap();
    let unknown = place.run(&note);
    assert!(said(&unknown).contains("no incident `inc-1`"), "{}", said(&unknown));
    for what in ["take", "stop", "acknowledge"] {
        let nameless = place.run(&["incidents", what, "inc-1", "--by", " "]);
        assert!(said(&nameless).contains("say who you are"), "{what}: {}", said(&nameless));
    }
}

#[tokio::test]
async fn a_store_that_others_could_read_is_closed_to_them_and_one_that_everybody_could_write_is_not_opened() {
    let place = Place::new();
    let at = place.at("incidents.db");
    let journal = SqliteJournal::open(&at).unwrap();
    write(&journal, &id(1)).await;
    let set = |mode| {
        for name in ["incidents.db", "incidents.db-wal", "incidents.db-shm"] {
            std::fs::set_permissions(place.at(name), std::fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    set(0o644);
    // Beside the one that has it open, whose locks it keeps.
    let beside = SqliteJournal::open(&at).unwrap();
    only_its_owner_reads(place.at("").as_path());
    write(&journal, &id(2)).await;
    write(&beside, &id(3)).await;
    set(0o646);
    let said = SqliteJournal::open(&at).unwrap_err().to_string();
    assert!(said.contains("incidents.db` can be written by everybody"), "{said}");
}
