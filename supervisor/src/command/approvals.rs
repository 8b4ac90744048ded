//! `midwatch approvals`, `approve`, `decline`, `raise`, `permits revoke`, and whose an incident is:
//! a person's side of the desk.

mod show;

use std::{
    io::{BufRead as _, IsTerminal as _, Write as _},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use midwatch_policy::{CallerKind, Hold, HoldState, PermitId, RequestId, RequestState, RequestView, Shown};
use serde::Serialize;

use crate::{
    desk::{DeskError, DeskOverHttp, Trouble},
    terminal::{
        style::{FAINT, STRONG},
        text::{clean, escaped, fit},
    },
};

use super::args::{
    ApprovalsArgs, ApprovalsCommand, ApproveArgs, AtDesk, DeclineArgs, Format, HoldArgs, PermitsArgs,
    PermitsCommand, RaiseArgs,
};

const TOKEN: &str = "MIDWATCH_APPROVER_TOKEN";
const TOKEN_FILE: &str = "MIDWATCH_APPROVER_TOKEN_FILE";

/// A secret from the environment, or from a file that only its owner can read.
pub(super) fn secret(variable: &str, file_variable: &str) -> anyhow::Result<Option<String>> {
    if let Ok(text) = std::env::var(variable)
        && !text.trim().is_empty()
    {
        return Ok(Some(text.trim().to_owned()));
    }
    let Some(path) = std::env::var_os(file_variable).filter(|path| !path.is_empty()) else { return Ok(None) };
    let path = Path::new(&path);
    let text = crate::desk::read_secret(path)
        .with_context(|| format!("the token file `{}` ({file_variable})", path.display()))?;
    Ok(Some(text.trim().to_owned()))
}

fn desk(url: &str) -> anyhow::Result<DeskOverHttp> {
    let Some(token) = secret(TOKEN, TOKEN_FILE)? else {
        bail!("set {TOKEN}, or {TOKEN_FILE} to a file, with the token that `midwatch approvers add` printed");
    };
    Ok(DeskOverHttp::new(url, token)?)
}

/// What the desk said no to, with what to do about it.
fn said(error: &DeskError) -> anyhow::Error {
    let mend = clean(error.mend());
    let message = clean(&error.to_string());
    if mend.is_empty() { anyhow::anyhow!("{message}") } else { anyhow::anyhow!("{message}\n  {mend}") }
}

fn json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    Ok(writeln!(anstream::stdout(), "{}", escaped(&serde_json::to_string_pretty(value)?))?)
}

pub(super) async fn run(arguments: ApprovalsArgs) -> anyhow::Result<ExitCode> {
    let ApprovalsArgs { what, at } = arguments;
    let desk = desk(&at.desk)?;
    match what {
        Some(ApprovalsCommand::Show { id }) => {
            let view = find(&desk, &id).await?;
            match at.format {
                Format::Json => json(&view)?,
                Format::Text => show::request(&view),
            }
        }
        Some(ApprovalsCommand::List { state }) => {
            list(
                &desk.list(state.as_deref()).await.map_err(|error| said(&error))?,
                at.format,
                "there are no requests",
            )?;
        }
        None => list(
            &desk.list(Some("open")).await.map_err(|error| said(&error))?,
            at.format,
            "nothing is waiting for an answer",
        )?,
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn approve(arguments: ApproveArgs) -> anyhow::Result<ExitCode> {
    let ApproveArgs { id, role, yes, at } = arguments;
    let desk = desk(&at.desk)?;
    let view = find(&desk, &id).await?;
    // What is approved is what is shown here, whatever digest the desk says it has.
    let shown = view.shown.digest().context("the request cannot be digested")?;
    if shown != view.digest {
        bail!("the desk's digest is not of what it sent: nothing was approved");
    }
    if at.format == Format::Text {
        show::request(&view);
    }
    if !view.state.is_open() {
        bail!(
            "the request is {}: `midwatch raise {}` has it planned and asked anew",
            view.state.as_str(),
            view.shown.request
        );
    }
    if !yes {
        if at.format == Format::Json || !std::io::stdin().is_terminal() {
            bail!(
                "there is no terminal to ask you at: look at it with `midwatch approvals show`, then add --yes"
            );
        }
        if !confirmed()? {
            writeln!(anstream::stdout(), "nothing was approved")?;
            return Ok(ExitCode::FAILURE);
        }
    }
    let view =
        desk.approve(&view.shown.request, shown, role.as_deref()).await.map_err(|error| said(&error))?;
    done(&view, at.format)
}

/// Asks on the terminal; anything but a plain yes is a no, and so is what was typed before the question.
fn confirmed() -> anyhow::Result<bool> {
    // Not a terminal after all: then there is nothing that was typed before.
    let _ = rustix::termios::tcflush(std::io::stdin(), rustix::termios::QueueSelector::IFlush);
    let mut out = anstream::stdout();
    write!(out, "\n{STRONG}Approve exactly this? [y/N]{STRONG:#} ")?;
    out.flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(matches!(line.trim().to_lowercase().as_str(), "y" | "yes"))
}

pub(super) async fn decline(arguments: DeclineArgs) -> anyhow::Result<ExitCode> {
    let desk = desk(&arguments.at.desk)?;
    let view = find(&desk, &arguments.id).await?;
    let view = desk.decline(&view.shown.request, &arguments.reason).await.map_err(|error| said(&error))?;
    done(&view, arguments.at.format)
}

pub(super) async fn raise(arguments: RaiseArgs) -> anyhow::Result<ExitCode> {
    let AtDesk { desk: url, format } = arguments.at;
    let desk = desk(&url)?;
    let view = find(&desk, &arguments.id).await?;
    let view = desk.raise(&view.shown.request).await.map_err(|error| said(&error))?;
    let done = done(&view, format)?;
    if format == Format::Text {
        let Shown { incident, subject, caller, .. } = &view.shown;
        let subject = clean(subject);
        let next = match caller {
            CallerKind::Supervisor => format!(
                "`midwatch serve` goes on with {incident} once it is answered. Was that an incident of `midwatch \
                 triage`, which has ended: run it again instead, it looks and asks anew"
            ),
            _ => format!("once it is approved, `{subject}` has to call again"),
        };
        writeln!(anstream::stdout(), "{next}")?;
    }
    Ok(done)
}

pub(super) async fn permits(arguments: PermitsArgs) -> anyhow::Result<ExitCode> {
    let PermitsCommand::Revoke { permit, reason, at } = arguments.what;
    let permit = PermitId::parse(permit).context("not the id of a permit")?;
    let view = desk(&at.desk)?.revoke(&permit, &reason).await.map_err(|error| said(&error))?;
    done(&view, at.format)
}

/// Takes an incident over (`take`), stops it (`stop`) or hands it back (`return`).
pub(super) async fn hold(arguments: HoldArgs, how: &str, format: Format) -> anyhow::Result<ExitCode> {
    let HoldArgs { incident, note, desk: url, by: _ } = arguments;
    let desk = desk(&url).context("where there is no desk, say who you are with `--by NAME`")?;
    let hold = desk.set_hold(&incident, how, &note).await.map_err(|error| said(&error))?;
    match format {
        Format::Json => json(&hold)?,
        Format::Text => writeln!(anstream::stdout(), "{}", held(&hold))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn held(hold: &Hold) -> String {
    let by = clean(hold.by.as_deref().unwrap_or("nobody"));
    let what = match hold.state {
        HoldState::Working => {
            "while it is open, Midwatch works on; where it has ended and its alarm still fires, `midwatch serve` \
             opens a new incident that goes on from it (`midwatch incidents show` names it)"
        }
        HoldState::Taken => {
            "is yours: its open requests are withdrawn, unused permits are void, Midwatch reads and notes"
        }
        HoldState::Stopped => {
            "is stopped: its open requests are withdrawn, unused permits are void, Midwatch reports"
        }
    };
    match hold.state {
        HoldState::Working => format!("{} was handed back by {by}: {what}", hold.incident),
        _ => format!("{} {what} (by {by})", hold.incident),
    }
}

fn list(views: &[RequestView], format: Format, empty: &str) -> anyhow::Result<()> {
    let mut out = anstream::stdout();
    match format {
        Format::Json => json(&views)?,
        Format::Text if views.is_empty() => writeln!(out, "{empty}")?,
        Format::Text => {
            for view in views {
                let shown = &view.shown;
                let action = fit(&clean(&shown.plan.action.to_string()), 52);
                writeln!(
                    out,
                    "{STRONG}{:<16}{STRONG:#}  {:<9}  {action:<52}  {FAINT}{}{FAINT:#}{}",
                    shown.request.as_str(),
                    view.state.as_str(),
                    show::deadline(view),
                    if view.state.acted_though_void().is_some() { ", though it was void" } else { "" },
                )?;
            }
        }
    }
    Ok(())
}

fn done(view: &RequestView, format: Format) -> anyhow::Result<ExitCode> {
    let mut out = anstream::stdout();
    match format {
        Format::Json => json(view)?,
        Format::Text => {
            let id = &view.shown.request;
            match &view.state {
                RequestState::Open { approvers } if approvers.is_empty() => {
                    writeln!(out, "{id} is open: still to approve are {}", show::whom(&view.wanted))?;
                }
                RequestState::Open { .. } => {
                    writeln!(out, "noted; {id} still waits for {}", show::whom(&view.wanted))?;
                }
                RequestState::Approved { permit, until, .. } => {
                    writeln!(
                        out,
                        "{id} is approved: permit {permit}, good until {until} for {}",
                        clean(&view.shown.subject)
                    )?;
                }
                state => writeln!(out, "{id} is {}", state.as_str())?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The request of that id, or the one that begins so.
async fn find(desk: &DeskOverHttp, wanted: &str) -> anyhow::Result<RequestView> {
    let wanted = wanted.trim();
    if let Ok(id) = RequestId::parse(wanted) {
        match desk.view(&id).await {
            Ok(view) => return Ok(view),
            Err(error) if error.is(Trouble::NotFound) => {}
            Err(error) => return Err(said(&error)),
        }
    }
    let all = desk.list(None).await.map_err(|error| said(&error))?;
    let begins = |view: &&RequestView| {
        let id = view.shown.request.as_str();
        !wanted.is_empty()
            && (id.starts_with(wanted)
                || id.strip_prefix("req-").is_some_and(|rest| rest.starts_with(wanted)))
    };
    let mut matching = all.iter().filter(begins);
    match (matching.next(), matching.next()) {
        (Some(one), None) => Ok(one.clone()),
        (Some(_), Some(_)) => {
            bail!("`{}` is the beginning of several requests: give more of it", clean(wanted))
        }
        (None, _) => bail!("there is no request `{}`; see `midwatch approvals list`", clean(wanted)),
    }
}
