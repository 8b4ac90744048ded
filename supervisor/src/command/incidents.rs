//! `midwatch incidents`: read from the journal, with its chain and the desk's seals verified.

mod carry;
mod say;
mod seals;

use std::{
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context as _, bail};
use midwatch_mcp::KeyFile;
use midwatch_policy::IncidentId;
use serde_json::{Value, json};

use crate::{
    intake::inbox::{Remark, Row, Said},
    journal::{Entry, Journal, JournalError, Overview, SqliteJournal, default_store, verify_evidence},
    run::Run,
    terminal::{
        report,
        style::{BAD, FAINT, GOOD, NAME, STRONG, WARN},
        text::{clean, escaped, fit},
    },
};

pub(super) use say::say;
use seals::Seals;

use super::{
    alarms,
    approvals::hold,
    args::{Format, HoldArgs, IncidentsArgs, IncidentsCommand},
    keys::{directory, keys_of},
};

/// The store that is named, or the usual one.
pub(super) fn store(path: Option<PathBuf>) -> PathBuf {
    path.unwrap_or_else(|| default_store(|name| std::env::var(name).ok()))
}

pub(super) async fn run(arguments: IncidentsArgs) -> anyhow::Result<ExitCode> {
    let IncidentsArgs { what, store, format } = arguments;
    match what {
        IncidentsCommand::List { most } => {
            let unseen = alarms::unseen(&self::store(store.clone())).await?;
            list(kept(store)?.as_ref(), most, &unseen, format).await
        }
        IncidentsCommand::Verify => verify(kept(store)?.as_ref(), format).await,
        IncidentsCommand::Export { ids, output } => {
            let place = self::store(store.clone());
            carry::export((kept(store)?.as_ref(), &place), &ids, output.as_deref()).await
        }
        IncidentsCommand::Import { file } => {
            carry::import(&SqliteJournal::open(&self::store(store))?, &file, format).await
        }
        IncidentsCommand::Acknowledge { id, by } => {
            say(&self::store(store), id, Said::Acknowledged { by }, format).await
        }
        IncidentsCommand::Note { id, text, by } => {
            let text = Remark::parse(&text)?.into();
            say(&self::store(store), id, Said::Note { by, text }, format).await
        }
        IncidentsCommand::Show { id, keys } => {
            let place = self::store(store.clone());
            let (keys, at) = desks_keys(keys.as_deref())?;
            show((kept(store)?.as_ref(), &place), &id, (keys.as_ref(), &at), format).await
        }
        IncidentsCommand::Take(HoldArgs { incident, note, by: Some(by), .. }) => {
            say(&self::store(store), incident, Said::Took { by, note: Remark::or_nothing(&note)? }, format)
                .await
        }
        IncidentsCommand::Stop(HoldArgs { incident, note, by: Some(by), .. }) => {
            say(&self::store(store), incident, Said::Stopped { by, note: Remark::or_nothing(&note)? }, format)
                .await
        }
        IncidentsCommand::Return(HoldArgs { by: Some(_), .. }) => bail!(
            "handing back needs a desk: without one, an incident that was taken over has ended, and its alarm opens a \
             new one when it fires again"
        ),
        IncidentsCommand::Take(whose) => hold(whose, "take", format).await,
        IncidentsCommand::Stop(whose) => hold(whose, "stop", format).await,
        IncidentsCommand::Return(whose) => hold(whose, "return", format).await,
    }
}

fn kept(path: Option<PathBuf>) -> anyhow::Result<Arc<dyn Journal>> {
    let path = store(path);
    if !path.exists() {
        bail!(
            "there is no store at `{}`: no incident was kept yet, or give its place with --store",
            path.display()
        );
    }
    Ok(Arc::new(SqliteJournal::open(&path)?))
}

async fn list(journal: &dyn Journal, most: u32, unseen: &[Row], format: Format) -> anyhow::Result<ExitCode> {
    let incidents = journal.overview(most).await?;
    let mut out = anstream::stdout();
    match format {
        Format::Json => {
            let all =
                serde_json::to_string_pretty(&json!({ "incidents": incidents, "not_looked_at": unseen }))?;
            writeln!(out, "{}", escaped(&all))?;
        }
        Format::Text if incidents.is_empty() => writeln!(out, "no incidents")?,
        Format::Text => {
            for Overview { head, alarm, service, outcome, .. } in &incidents {
                let text =
                    |field: &Option<String>, width| fit(&clean(field.as_deref().unwrap_or("–")), width);
                let (alarm, service) = (text(alarm, 30), text(service, 18));
                let outcome = clean(outcome.as_deref().unwrap_or("open"));
                writeln!(
                    out,
                    "{STRONG}{}{STRONG:#}  {alarm:<30}  {service:<18}  {outcome:<16}  {FAINT}{} entries{FAINT:#}",
                    head.incident, head.entries
                )?;
            }
        }
    }
    if format == Format::Text {
        alarms::write(&mut out, "Alarms that nobody looks at:", unseen)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// All of them, from the first entry to the last.
async fn verify(journal: &dyn Journal, format: Format) -> anyhow::Result<ExitCode> {
    let (mut good, mut bad) = (0_u32, Vec::new());
    for head in journal.heads().await? {
        match verified(journal, &head.incident).await {
            Ok(_) => good += 1,
            Err(error) => bad.push(json!({ "incident": head.incident, "problem": error.to_string() })),
        }
    }
    let mut out = anstream::stdout();
    match format {
        Format::Json => writeln!(out, "{}", json!({ "verified": good, "broken": bad }))?,
        Format::Text => {
            for broken in &bad {
                let text = |field: &str| clean(broken.get(field).and_then(Value::as_str).unwrap_or_default());
                writeln!(out, "{BAD}{}{BAD:#}  {}", text("incident"), text("problem"))?;
            }
            writeln!(out, "{good} incidents verified, {} do not hold", bad.len())?;
        }
    }
    Ok(if bad.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Entries whose chain holds, and how many pieces of evidence match the digests in them.
async fn verified(journal: &dyn Journal, id: &IncidentId) -> Result<(Vec<Entry>, usize), JournalError> {
    let entries = journal.read(id).await?;
    let pieces = verify_evidence(journal, &entries).await?;
    Ok((entries, pieces))
}

fn reported(entries: &[Entry]) -> Option<Run> {
    let body = entries.iter().rev().find(|e| e.kind == "reported")?.body.get("run")?;
    serde_json::from_value(body.clone()).ok()
}

/// The desk's public keys, if there are any, and where they were looked for.
fn desks_keys(named: Option<&Path>) -> anyhow::Result<(Option<KeyFile>, PathBuf)> {
    let usual = || {
        let desk = std::env::var_os("MIDWATCH_DESK_DIR").filter(|dir| !dir.is_empty());
        keys_of(&directory(desk.map(PathBuf::from))).public_file()
    };
    let path = named.map_or_else(usual, Path::to_owned);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == ErrorKind::NotFound => return Ok((None, path)),
        Err(error) => {
            return Err(error).with_context(|| format!("the desk's public keys `{}`", path.display()));
        }
    };
    let keys = KeyFile::parse(&text).with_context(|| format!("in `{}`", path.display()))?;
    Ok((Some(keys), path))
}

async fn show(
    (journal, store): (&dyn Journal, &Path),
    wanted: &str,
    keys: (Option<&KeyFile>, &Path),
    format: Format,
) -> anyhow::Result<ExitCode> {
    let id = find((journal, store), wanted).await?;
    let came_in = alarms::of_incident(store, &id).await?;
    let (entries, pieces) = verified(journal, &id).await?;
    let seals = seals::judge(&id, &entries, keys);
    let ended = if seals.is_wrong() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    if format == Format::Json {
        let out = json!({
            "incident": id, "chain": "verified", "evidence_verified": pieces, "seals": seals,
            "entries": entries, "alarms": came_in
        });
        writeln!(anstream::stdout(), "{}", escaped(&serde_json::to_string_pretty(&out)?))?;
        return Ok(ended);
    }
    let mut out = anstream::stdout();
    writeln!(
        out,
        "{STRONG}{id}{STRONG:#}  {} entries and {pieces} pieces of evidence, all verified",
        entries.len()
    )?;
    let colour = match seals {
        Seals::Verified { .. } => GOOD,
        Seals::None | Seals::NoKeys { .. } => WARN,
        Seals::DoesNotHold { .. } => BAD,
    };
    writeln!(out, "{colour}{}{colour:#}", clean(&seals.to_string()))?;
    for entry in &entries {
        let at = entry.at.strftime("%Y-%m-%d %H:%M:%S");
        let line = fit(&clean(&brief(entry)), 54);
        writeln!(
            out,
            "{FAINT}{:>4}{FAINT:#} {at}  {NAME}{:<16}{NAME:#} {line:<54} {FAINT}{}{FAINT:#}",
            entry.seq,
            entry.kind,
            entry.hash.chars().take(8).collect::<String>()
        )?;
    }
    alarms::write(&mut out, "Its alarms:", &came_in)?;
    match reported(&entries) {
        Some(run) => report(&run, Box::new(out)),
        None => writeln!(out, "\nno report yet")?,
    }
    Ok(ended)
}

async fn find((journal, store): (&dyn Journal, &Path), wanted: &str) -> anyhow::Result<IncidentId> {
    if wanted.trim().is_empty() {
        bail!("give an incident's id, or the beginning of it; see `midwatch incidents list`");
    }
    let heads = journal.heads().await?;
    let mut matching = heads.iter().filter(|h| h.incident.as_str().starts_with(wanted));
    match (matching.next(), matching.next()) {
        (Some(one), None) => Ok(one.incident.clone()),
        (Some(one), Some(_)) if one.incident.as_str() == wanted => Ok(one.incident.clone()),
        (Some(_), Some(_)) => bail!("`{wanted}` is the beginning of several incidents: give more of it"),
        (None, _) => match alarms::without_a_journal(store, wanted).await? {
            Some(why) => bail!("`{wanted}` has no journal of its own: {why}"),
            None => bail!("no incident `{wanted}`; see `midwatch incidents list`"),
        },
    }
}

/// What an entry says, in a few words.
fn brief(entry: &Entry) -> String {
    let body = &entry.body;
    let text = |pointer: &str| {
        body.pointer(pointer).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    let of = |pointers: &[&str]| pointers.iter().filter_map(|p| text(p)).collect::<Vec<_>>().join(" ");
    match entry.kind.as_str() {
        "opened" => of(&["/alarm/name", "/alarm/state", "/service"]),
        "stage_began" => of(&["/stage"]),
        "stage_failed" => of(&["/stage", "/problem"]),
        "part_read" => of(&["/part", "/line"]),
        "part_missing" => of(&["/part", "/why"]),
        "evidence_kept" => of(&["/id", "/source", "/reference"]),
        "step_done" => of(&["/step"]),
        "resumed" => of(&["/entries"]),
        "joined" => of(&["/alarm/name", "/alarm/state", "/why"]),
        "state_changed" => of(&["/alarm", "/state"]),
        "acknowledged" => of(&["/by"]),
        "remarked" => of(&["/by", "/text"]),
        "first_summary" => of(&["/lines/0"]),
        "routed" => of(&["/decision/route", "/decision/reason"]),
        "agent" => of(&["/agent/event", "/agent/specialist", "/agent/tool", "/agent/stop_reason"]),
        "found" => of(&["/finding/specialist", "/finding/summary"]),
        "diagnosed" => of(&["/cause/kind", "/cause/ref", "/confidence"]),
        "proposed" => of(&["/plan/action/tool", "/plan/action/service", "/reason"]),
        "nothing_proposed" => of(&["/why"]),
        "judged" | "settled" | "verified" => of(&["/text"]),
        "asked" => of(&["/request", "/whom"]),
        "answered" => of(&["/answer", "/by", "/channel", "/note"]),
        "permitted" => of(&["/permit_id", "/request"]),
        "intended" => of(&["/action/tool", "/action/service", "/request"]),
        "acted" => of(&["/outcome", "/detail"]),
        "watched" => of(&["/alarm", "/stable_s"]),
        "escalated" => of(&["/escalation/why"]),
        "closed" => of(&["/outcome"]),
        "sealed" => of(&["/entries", "/head"]),
        "reported" => of(&["/run/verdict", "/run/outcome"]),
        _ => String::new(),
    }
}
