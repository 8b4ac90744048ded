//! The ledger's tables in SQLite.

use std::path::Path;

use midwatch_agents::{
    budget::{Ask, Bill, Ceilings, Charge, Item, Scope, Total, Want},
    model::Usage,
};
use midwatch_policy::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, Transaction, params};

use super::{LedgerError, Over};

const SCHEMA_VERSION: i64 = 2;
const SCHEMA: &str = "
    CREATE TABLE calls (
        id INTEGER PRIMARY KEY, at INTEGER NOT NULL, incident TEXT NOT NULL, service TEXT,
        kind TEXT NOT NULL, model TEXT, specialist TEXT,
        reserved INTEGER NOT NULL, reserved_tokens INTEGER NOT NULL,
        state INTEGER NOT NULL, cost INTEGER NOT NULL DEFAULT 0, uncached INTEGER NOT NULL DEFAULT 0,
        input INTEGER NOT NULL DEFAULT 0, output INTEGER NOT NULL DEFAULT 0,
        cache_read INTEGER NOT NULL DEFAULT 0, cache_write INTEGER NOT NULL DEFAULT 0,
        units INTEGER NOT NULL DEFAULT 0, assumed INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX calls_at ON calls (at);
    CREATE INDEX calls_incident ON calls (incident);
    CREATE INDEX calls_open ON calls (state) WHERE state = 0;
    CREATE TABLE sums (scope TEXT PRIMARY KEY, amount INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE incidents (
        incident TEXT PRIMARY KEY, at INTEGER NOT NULL, service TEXT, outcome TEXT NOT NULL,
        model_calls INTEGER NOT NULL, free_calls INTEGER NOT NULL, cost INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX incidents_at ON incidents (at);
";
/// Since the second: from when on everything is there, once something was taken away.
const SECOND: &str = "
    CREATE TABLE forgotten (one INTEGER PRIMARY KEY CHECK (one = 1), before INTEGER NOT NULL);
    PRAGMA user_version = 2;
";

/// States of a call.
const OPEN: i64 = 0;
const SETTLED: i64 = 1;
/// Settled in full by the start after a crash.
const LEFT: i64 = 2;

/// More than any provider could mean, and few enough that sums of it fit a column.
const MOST: u64 = 1 << 50;

pub(super) fn whole(number: u64) -> i64 {
    i64::try_from(number.min(MOST)).unwrap_or(i64::MAX)
}

pub(super) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(super) fn explain(path: &Path, error: &rusqlite::Error) -> LedgerError {
    LedgerError::Store { path: path.display().to_string(), problem: error.to_string() }
}

/// Opens for writing, and creates what is not there.
pub(super) fn open(path: &Path) -> Result<Connection, LedgerError> {
    midwatch_mcp::private_store(path).map_err(|error| LedgerError::Store {
        path: path.display().to_string(),
        problem: error.to_string(),
    })?;
    let set_up = || -> Result<(Connection, i64), rusqlite::Error> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // A reservation has to survive the machine, not only the process.
        connection.pragma_update(None, "synchronous", "FULL")?;
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let missing = match version {
            0 => format!("{SCHEMA}{SECOND}"),
            1 => SECOND.to_owned(),
            _ => String::new(),
        };
        if !missing.is_empty() {
            connection.execute_batch(&format!("BEGIN IMMEDIATE;{missing}COMMIT;"))?;
        }
        Ok((connection, version))
    };
    let (connection, version) = set_up().map_err(|error| explain(path, &error))?;
    if version > SCHEMA_VERSION {
        let problem = format!("written by a newer midwatch (schema {version}, known {SCHEMA_VERSION})");
        return Err(LedgerError::Store { path: path.display().to_string(), problem });
    }
    Ok(connection)
}

/// Opens for reading what another process may be writing.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, LedgerError> {
    if !path.exists() {
        return Err(LedgerError::Absent { path: path.display().to_string() });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| explain(path, &error))?;
    let set_up = || connection.busy_timeout(std::time::Duration::from_secs(5));
    set_up().map_err(|error| explain(path, &error))?;
    Ok(connection)
}

/// The number of the newest call.
pub(super) fn newest(connection: &Connection) -> Result<u64, rusqlite::Error> {
    connection.query_row("SELECT coalesce(max(id), 0) FROM calls", [], |row| row.get(0)).map(count)
}

/// What is settled under a ceiling.
pub(super) fn sum(connection: &Connection, scope: &Scope) -> Result<u64, rusqlite::Error> {
    let mut find = connection.prepare_cached("SELECT amount FROM sums WHERE scope = ?")?;
    let found: Option<i64> = find.query_row([scope.key()], |row| row.get(0)).optional()?;
    Ok(found.map_or(0, count))
}

/// What was spent on an incident.
pub(super) fn total(connection: &Connection, incident: &str) -> Result<Total, rusqlite::Error> {
    let mut find = connection.prepare_cached(
        "SELECT coalesce(sum(kind = 'model'), 0), coalesce(sum(cost), 0),
            coalesce(sum(iif(kind = 'model', 0, cost)), 0), coalesce(sum(iif(assumed, cost, 0)), 0),
            coalesce(sum(input), 0), coalesce(sum(output), 0), coalesce(sum(cache_read), 0),
            coalesce(sum(cache_write), 0), coalesce(sum(max(cost - reserved, 0)), 0)
         FROM calls WHERE incident = ? AND state <> 0",
    )?;
    find.query_row([incident], |row| {
        let number = |at: usize| row.get::<_, i64>(at).map(count);
        Ok(Total {
            model_calls: number(0)?,
            cost_micro_usd: number(1)?,
            charges_micro_usd: number(2)?,
            assumed_micro_usd: number(3)?,
            usage: Usage {
                input_tokens: number(4)?,
                output_tokens: number(5)?,
                cache_read_tokens: number(6)?,
                cache_write_tokens: number(7)?,
            },
            beyond_micro_usd: number(8)?,
            ..Total::default()
        })
    })
}

/// Whether an incident was over once.
pub(super) fn is_over(connection: &Connection, incident: &str) -> Result<bool, rusqlite::Error> {
    connection.prepare_cached("SELECT 1 FROM incidents WHERE incident = ?")?.exists([incident])
}

/// A reservation is written down.
pub(super) fn reserved(on: &Transaction<'_>, id: u64, ask: &Ask) -> Result<(), rusqlite::Error> {
    let (kind, model, specialist) = match &ask.item {
        Item::Model { model, specialist } => ("model", Some(model), Some(specialist)),
        Item::Charge(what) => (what.as_str(), None, None),
    };
    on.prepare_cached(
        "INSERT INTO calls (id, at, incident, service, kind, model, specialist, reserved, reserved_tokens, state)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        whole(id),
        ask.at.as_millisecond(),
        &*ask.incident,
        ask.service.as_deref(),
        kind,
        model,
        specialist,
        whole(ask.worst_micro_usd),
        whole(ask.tokens),
        OPEN
    ])?;
    Ok(())
}

/// A call is settled.
pub(super) fn settled(
    on: &Transaction<'_>,
    id: u64,
    wants: &[Want],
    bill: &Bill,
) -> Result<(), rusqlite::Error> {
    let usage = bill.usage;
    let changed = on
        .prepare_cached(
            "UPDATE calls SET state = ?, cost = ?, uncached = ?, input = ?, output = ?, cache_read = ?,
                cache_write = ?, units = ?, assumed = ? WHERE id = ? AND state = ?",
        )?
        .execute(params![
            SETTLED,
            whole(bill.cost_micro_usd),
            whole(bill.uncached_micro_usd),
            whole(usage.input_tokens),
            whole(usage.output_tokens),
            whole(usage.cache_read_tokens),
            whole(usage.cache_write_tokens),
            whole(bill.units),
            bill.assumed,
            whole(id),
            OPEN
        ])?;
    // What was never written down as reserved was never called.
    if changed == 1 {
        add(on, wants, bill.cost_micro_usd, bill.tokens)?;
    }
    Ok(())
}

fn add(on: &Transaction<'_>, wants: &[Want], cost: u64, tokens: u64) -> Result<(), rusqlite::Error> {
    let mut add = on.prepare_cached(
        "INSERT INTO sums (scope, amount) VALUES (?, ?)
         ON CONFLICT (scope) DO UPDATE SET amount = amount + excluded.amount",
    )?;
    for Want { scope, .. } in wants {
        let amount = match scope {
            Scope::Specialist(..) => tokens,
            _ => cost,
        };
        if amount > 0 {
            add.execute(params![scope.key(), whole(amount)])?;
        }
    }
    Ok(())
}

/// An incident is over.
pub(super) fn over(on: &Transaction<'_>, over: &Over) -> Result<(), rusqlite::Error> {
    let Over { incident, at, service, total, outcome } = over;
    on.prepare_cached(
        "INSERT OR REPLACE INTO incidents (incident, at, service, outcome, model_calls, free_calls, cost)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        incident,
        at.as_millisecond(),
        service,
        outcome,
        whole(total.model_calls),
        whole(total.free_calls),
        whole(total.cost_micro_usd)
    ])?;
    Ok(())
}

/// Settles in full what an earlier process left open. Returns how many calls.
pub(super) fn settle_left(connection: &mut Connection) -> Result<usize, rusqlite::Error> {
    let on = connection.transaction()?;
    let left: Vec<(i64, Ask)> = on
        .prepare(
            "SELECT id, at, incident, service, kind, model, specialist, reserved, reserved_tokens
             FROM calls WHERE state = 0",
        )?
        .query_map([], |row| Ok((row.get(0)?, ask(row)?)))?
        .collect::<Result<_, _>>()?;
    for (id, ask) in &left {
        on.execute(
            "UPDATE calls SET state = ?, cost = reserved, uncached = reserved, assumed = 1 WHERE id = ?",
            params![LEFT, id],
        )?;
        add(&on, &Scope::of(ask, &Ceilings::default()), ask.worst_micro_usd, ask.tokens)?;
    }
    on.commit()?;
    Ok(left.len())
}

fn ask(row: &Row<'_>) -> Result<Ask, rusqlite::Error> {
    let text = |at: usize| row.get::<_, Option<String>>(at);
    let kind: String = row.get(4)?;
    let item = match kind.as_str() {
        "model" => {
            Item::Model { model: text(5)?.unwrap_or_default(), specialist: text(6)?.unwrap_or_default() }
        }
        "retrieval" => Item::Charge(Charge::Retrieval),
        "rerank" => Item::Charge(Charge::Rerank),
        _ => Item::Charge(Charge::LogsInsights),
    };
    let incident: String = row.get(2)?;
    Ok(Ask {
        at: Timestamp::from_millisecond(row.get(1)?).unwrap_or(Timestamp::MIN),
        incident: incident.into(),
        service: text(3)?.map(Into::into),
        item,
        worst_micro_usd: count(row.get(7)?),
        tokens: count(row.get(8)?),
        token_budget: u64::MAX,
    })
}
