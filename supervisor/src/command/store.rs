//! `midwatch store`: copies of everything that `midwatch serve` keeps, and taking away what is old.
//!
//! A copy can be made at any time. INVARIANT: the journal is copied first and the inbox last: an
//! incident that the copied inbox knows and the copied journal does not is begun anew; the other
//! way round, nobody would go on with it.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use midwatch_agents::budget::Ceilings;
use midwatch_mcp::{SystemClock, create_private};
use midwatch_policy::{Clock as _, SignedDuration, Timestamp};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    deliver::{hold_outbox, outbox_of},
    journal::{Journal as _, SqliteJournal, digest},
    ledger::{Ledger, LedgerError},
};

use super::{
    args::{Format, StoreArgs, StoreCommand},
    incidents::store,
    serve::inbox_beside,
};

/// Written last: a directory without it is no complete copy.
const MANIFEST: &str = "backup.json";
/// How long a store that somebody writes into is waited for.
const BUSY: std::time::Duration = std::time::Duration::from_secs(30);
/// Incidents that are taken away in one commit.
const AT_A_TIME: u32 = 100;

/// What a copy consists of.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    made_at: Timestamp,
    files: Vec<Copied>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Copied {
    /// Which store it is: `journal`, `outbox`, `ledger` or `inbox`.
    part: String,
    sha256: String,
}

/// The stores, in the order in which they are copied.
fn parts(store: &Path) -> [(&'static str, PathBuf); 4] {
    [
        ("journal", store.to_owned()),
        ("outbox", outbox_of(store)),
        ("ledger", Ledger::beside(store)),
        ("inbox", inbox_beside(store)),
    ]
}

pub(super) async fn run(arguments: StoreArgs) -> anyhow::Result<ExitCode> {
    let StoreArgs { what, store: path, format } = arguments;
    let path = store(path);
    let (text, said) = match what {
        StoreCommand::Backup { directory } => {
            let manifest = backup(&path, &directory)?;
            let parts: Vec<&str> = manifest.files.iter().map(|file| file.part.as_str()).collect();
            (format!("{} in `{}`", parts.join(", "), directory.display()), serde_json::to_value(&manifest)?)
        }
        StoreCommand::Restore { directory } => {
            let manifest = restore(&directory, &path)?;
            let text = format!(
                "restored to `{}` as it was at {}; start `midwatch serve` to go on",
                path.display(),
                manifest.made_at
            );
            (text, serde_json::to_value(&manifest)?)
        }
        StoreCommand::Prune { days } => {
            let (gone, ledger) = prune(&path, days).await?;
            let calls = match ledger {
                Some(gone) => format!("what {gone} of them cost, too; sums of days stay"),
                None => "what they cost stays while `midwatch serve` runs: its `keep_days` takes it away"
                    .to_owned(),
            };
            (
                format!("{gone} incidents that ended more than {days} days ago are gone; {calls}"),
                json!({ "gone": gone, "ledger": ledger }),
            )
        }
    };
    match format {
        Format::Json => writeln!(anstream::stdout(), "{said}")?,
        Format::Text => writeln!(anstream::stdout(), "{text}")?,
    }
    Ok(ExitCode::SUCCESS)
}

/// How many incidents went from the journal, and from the ledger unless somebody else writes it.
async fn prune(store: &Path, days: u32) -> anyhow::Result<(u32, Option<u32>)> {
    if !store.exists() {
        bail!("there is no store at `{}`; give its place with --store", store.display());
    }
    let journal = SqliteJournal::open(store)?;
    let before = SystemClock.now().checked_sub(SignedDuration::from_hours(24 * i64::from(days)))?;
    let mut gone = 0;
    loop {
        let some = journal.forget(before, AT_A_TIME).await?;
        gone += some;
        if some < AT_A_TIME {
            break;
        }
    }
    let path = Ledger::beside(store);
    if !path.exists() {
        return Ok((gone, Some(0)));
    }
    let ledger = match Ledger::open(&path, Ceilings::default()) {
        Ok(ledger) => ledger,
        Err(LedgerError::InUse { .. }) => return Ok((gone, None)),
        Err(error) => return Err(error.into()),
    };
    let mut of_ledger = 0;
    loop {
        let some = ledger.forget(before, AT_A_TIME).await.map_err(anyhow::Error::msg)?;
        of_ledger += some;
        if some < AT_A_TIME {
            return Ok((gone, Some(of_ledger)));
        }
    }
}

/// Copies everything that is there, while it is used.
fn backup(store: &Path, directory: &Path) -> anyhow::Result<Manifest> {
    if !store.exists() {
        bail!("there is no store at `{}`; give its place with --store", store.display());
    }
    fs::create_dir_all(directory).with_context(|| format!("`{}` cannot be made", directory.display()))?;
    if fs::read_dir(directory)?.next().is_some() {
        bail!("`{}` is not empty: give a directory of its own for each copy", directory.display());
    }
    let mut files = Vec::new();
    for (part, from) in parts(store).into_iter().filter(|(_, from)| from.exists()) {
        let to = directory.join(part).with_extension("db");
        let failed = || format!("the {part} `{}` cannot be copied", from.display());
        let connection = Connection::open(&from).with_context(failed)?;
        connection.busy_timeout(BUSY).with_context(failed)?;
        let name = to.to_str().with_context(|| format!("`{}` is not UTF-8", to.display()))?;
        // SQLite writes into an empty file.
        create_private(&to).with_context(failed)?;
        // From one moment of it, whoever writes meanwhile.
        connection.execute("VACUUM INTO ?1", [name]).with_context(failed)?;
        File::open(&to)?.sync_all()?;
        files.push(Copied { part: part.to_owned(), sha256: digest(&fs::read(&to)?) });
    }
    let manifest = Manifest { made_at: SystemClock.now(), files };
    let mut file = create_private(&directory.join(MANIFEST))?;
    file.write_all(serde_json::to_string_pretty(&manifest)?.as_bytes())?;
    file.sync_all()?;
    File::open(directory)?.sync_all()?;
    Ok(manifest)
}

/// Puts a copy in place, where nothing is.
fn restore(directory: &Path, store: &Path) -> anyhow::Result<Manifest> {
    let manifest = fs::read_to_string(directory.join(MANIFEST)).with_context(|| {
        format!("`{}` is no complete copy: there is no readable {MANIFEST} in it", directory.display())
    })?;
    let manifest: Manifest = serde_json::from_str(&manifest).context("the copy's list of files")?;
    if let Some(parent) = store.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).with_context(|| format!("`{}` cannot be made", parent.display()))?;
    }
    // As long as this is held, no daemon can begin with the store.
    let _held = hold_outbox(&outbox_of(store))?;
    let places = parts(store);
    if let Some((part, there)) = places.iter().find(|(_, place)| place.exists()) {
        bail!(
            "there is a {part} at `{}`: move it away, restore to another place with --store, \
             or add single incidents to it with `midwatch incidents import`",
            there.display()
        );
    }
    let mut made = Vec::new();
    for (part, to) in &places {
        let Some(file) = manifest.files.iter().find(|file| file.part == *part) else { continue };
        let from = directory.join(part).with_extension("db");
        let bytes = fs::read(&from).with_context(|| format!("`{}` cannot be read", from.display()))?;
        if digest(&bytes) != file.sha256 {
            bail!("`{}` is not as it was copied: nothing was restored", from.display());
        }
        made.push((to, bytes));
    }
    for (to, bytes) in made {
        let partial = to.with_extension("restoring");
        // Left by one that was cut off.
        let _ = fs::remove_file(&partial);
        let mut file = create_private(&partial)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&partial, to)?;
    }
    Ok(manifest)
}
