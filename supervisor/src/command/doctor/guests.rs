//! Third-party servers: whether they are there, what they offer, and how each tool is decided.
//! Here those that belong to no specialist are asked, too, so that it can be seen what there is.

use std::{path::Path, sync::Arc};

use futures::future::join_all;

use crate::{
    command::guests::{Read, read},
    guests::{GATED_BY_THE_SUPERVISOR, Guest, Offered, Standing},
};

use super::{Check, State};

const AREA: &str = "Third-party servers";
/// Tools of one server that are listed.
const LISTED: usize = 40;

pub(super) async fn checks(file: &Path, policy: Option<&Path>) -> Vec<Check> {
    let Read { file, rules } = match read(file, policy) {
        Ok(read) => read,
        Err(error) => return vec![Check::new(AREA, "file", State::Fail, format!("{error:#}"))],
    };
    let guests: Vec<Guest> =
        file.all().map(|config| Guest::new(config.clone(), Arc::clone(&rules))).collect();
    join_all(guests.iter().map(Guest::settle)).await;
    let mut all = Vec::new();
    for guest in &guests {
        all.extend(of_guest(guest));
    }
    for name in &file.disabled {
        all.push(Check::new(AREA, name.as_str(), State::Skipped, "switched off in the file"));
    }
    all
}

fn of_guest(guest: &Guest) -> Vec<Check> {
    let (name, config) = (guest.name(), guest.config());
    let (tools, whole) = guest.everything();
    let offered = tools.iter().filter(|tool| tool.is_offered()).count();
    let mut all = Vec::new();
    let missing = guest.missing();
    if tools.is_empty() {
        let why = missing.first().cloned().unwrap_or_else(|| format!("`{name}` lists no tools"));
        return vec![
            Check::new(AREA, name, State::Warn, why)
                .mend("incidents go on without it; `start_seconds` gives it longer to start"),
        ];
    }
    let listed = if whole { tools.len().to_string() } else { format!("more than {}", tools.len()) };
    let detail = format!("{}: lists {listed} tools", config.reach);
    if config.specialists.is_empty() {
        let reads: Vec<String> = tools
            .iter()
            .filter(|tool| tool.says_it_reads)
            .take(12)
            .map(|tool| format!("\"{}\"", tool.tool))
            .collect();
        let detail = format!("{detail}; it belongs to no specialist, and is left alone");
        all.push(Check::new(AREA, name, State::Skipped, detail).mend(format!(
            "write \"midwatch\": {{\"specialists\": [\"log_analyst\"], \"tools\": [{}]}} with the tools that only read; \
             named here are those that say so themselves: look at each",
            reads.join(", ")
        )));
    } else {
        let to = config.specialists.join(", ");
        let state = if offered == 0 { State::Warn } else { State::Ok };
        let check =
            Check::new(AREA, name, state, format!("{detail}, of which {offered} are offered to {to}"));
        all.push(match offered {
            0 => check.mend("name those that only read under \"tools\" in \"midwatch\""),
            _ => check,
        });
    }
    let absent = missing.iter().filter(|gap| gap.contains("does not offer"));
    all.extend(absent.map(|gap| Check::new(AREA, name, State::Warn, gap.as_str())));
    // What was named first.
    let (first, rest): (Vec<_>, Vec<_>) = tools
        .iter()
        .partition(|tool| config.reads.contains(&tool.tool) || config.changes.contains(&tool.tool));
    let left = tools.len().saturating_sub(LISTED);
    all.extend(first.into_iter().chain(rest).take(LISTED).map(|tool| of_tool(name, tool)));
    if left > 0 {
        all.push(Check::new(AREA, name, State::Skipped, format!("{left} more tools are not shown here")));
    }
    all
}

fn of_tool(server: &str, tool: &Offered) -> Check {
    let named = format!("{server} {}", midwatch_mcp::clip(&tool.tool, 40));
    if let Some(why) = &tool.withheld {
        return Check::new(AREA, named, State::Warn, format!("not used: {why}"))
            .mend(format!("its digest is now {}", tool.digest));
    }
    let said = if tool.says_it_reads { " (it says that it only reads)" } else { "" };
    match &tool.standing {
        Standing::Read { rule } => {
            let mut parts = vec![format!("reads, allowed by `{rule}`; sha256 {}", tool.digest)];
            parts.extend(tool.notes.iter().cloned());
            let detail = parts.join("; ");
            Check::new(AREA, named, State::Ok, detail)
        }
        Standing::Gated { asks } => {
            Check::new(AREA, named, State::Skipped, format!("{asks}; {GATED_BY_THE_SUPERVISOR}"))
        }
        Standing::Forbidden { rule, reason } => {
            Check::new(AREA, named, State::Skipped, format!("forbidden by `{rule}`{said}: {reason}"))
        }
    }
}
