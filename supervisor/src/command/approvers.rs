//! `midwatch approvers`: who is known to the desk.

use std::{io::Write as _, process::ExitCode};

use midwatch_mcp::SystemClock;
use midwatch_policy::Clock as _;
use serde_json::json;

use crate::{
    desk::{MemberKind, Roster},
    terminal::style::{FAINT, STRONG},
};

use super::{
    args::{ApproversArgs, ApproversCommand, Format},
    keys::directory,
};

pub(super) fn run(arguments: ApproversArgs) -> anyhow::Result<ExitCode> {
    let mut out = anstream::stdout();
    match arguments.what {
        ApproversCommand::Add { name, role, kind, dir } => {
            let token = Roster::new(&directory(dir.dir)).add(&name, kind, role.clone(), SystemClock.now())?;
            match dir.format {
                Format::Json => {
                    let added = json!({ "name": name, "kind": kind, "roles": role, "token": token });
                    writeln!(out, "{}", serde_json::to_string_pretty(&added)?)?;
                }
                Format::Text => {
                    writeln!(out, "{token}")?;
                    writeln!(anstream::stderr(), "{}", advice(&name, kind))?;
                }
            }
        }
        ApproversCommand::Remove { name, dir } => {
            Roster::new(&directory(dir.dir)).remove(&name)?;
            match dir.format {
                Format::Json => writeln!(out, "{}", json!({ "removed": name }))?,
                Format::Text => writeln!(out, "{name} is let in no longer")?,
            }
        }
        ApproversCommand::List { dir } => {
            let members = Roster::new(&directory(dir.dir)).members()?;
            match dir.format {
                Format::Json => {
                    let all: Vec<_> = members
                        .iter()
                        .map(|m| json!({ "name": m.name, "kind": m.kind, "roles": m.roles, "added_at": m.added_at }))
                        .collect();
                    writeln!(out, "{}", serde_json::to_string_pretty(&json!({ "principals": all }))?)?;
                }
                Format::Text if members.is_empty() => {
                    writeln!(out, "nobody is known: `midwatch approvers add NAME --role oncall`")?;
                }
                Format::Text => {
                    for member in &members {
                        let kind = match member.kind {
                            MemberKind::Person => "person",
                            MemberKind::Asker => "asker",
                            MemberKind::Server => "server",
                        };
                        let (name, roles) = (&member.name, member.roles.join(", "));
                        writeln!(
                            out,
                            "{STRONG}{name:<24}{STRONG:#}  {kind:<7} {roles:<20} {FAINT}{}{FAINT:#}",
                            member.added_at
                        )?;
                    }
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn advice(name: &str, kind: MemberKind) -> String {
    let place = match kind {
        MemberKind::Person => "give it to them, for MIDWATCH_APPROVER_TOKEN_FILE",
        MemberKind::Asker => "give it to the supervisor, for its desk token",
        MemberKind::Server => "give it to the remediation server, for its desk token",
    };
    format!(
        "this is the token of {name}, shown once and kept nowhere: {place}, in a file that only they can read"
    )
}
