//! Specialists side by side: one lane each, a line for each thing that one of them does.

use std::fmt::Write as _;

use midwatch_agents::{breaker::Transition, events::AgentEvent, model::GuardrailTrace};

use super::{
    Page,
    style::{BAD, FAINT, NAME, WARN},
    text::{GUTTER, clean, fit, took, visible, wide},
};

/// Lanes that fit beside each other; more specialists take turns in the last one.
const MOST: usize = 2;

/// The specialists that are at work now.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    names: Vec<String>,
    done: Vec<bool>,
}

impl Lanes {
    pub(crate) fn show(&mut self, page: &mut Page, event: &AgentEvent) {
        if Self::works_alone(event) {
            return alone(page, event);
        }
        match event {
            AgentEvent::Started { specialist, model } => {
                self.names.push(specialist.clone());
                self.done.push(false);
                self.say(page, specialist, &format!("{NAME}{}{NAME:#}", specialist.replace('_', " ")), model);
            }
            AgentEvent::ToolStarted { .. } | AgentEvent::Turn { .. } => {}
            AgentEvent::ToolFinished { specialist, tool, evidence, error, ms, .. } => {
                let what = match error {
                    Some(kind) => format!("{BAD}✗{BAD:#} {tool}: {}", kind.as_str()),
                    None => format!("├ {tool}"),
                };
                let kept = match evidence.as_slice() {
                    [] => String::new(),
                    [one] => format!("{one} "),
                    [first, .., last] => format!("{first}–{last} "),
                };
                self.say(page, specialist, &what, &format!("{kept}{}", took(*ms)));
            }
            AgentEvent::ModelFailed { specialist, error, .. } => {
                self.say(page, specialist, &format!("{BAD}✗{BAD:#} model: {}", clean(error)), "");
            }
            AgentEvent::Corrected { specialist, what } => {
                self.say(page, specialist, &format!("· {}", clean(what)), "");
            }
            AgentEvent::Guarded { specialist, trace, .. } => {
                self.say(page, specialist, &format!("{WARN}!{WARN:#} {}", guarded(trace.as_ref())), "");
            }
            AgentEvent::Waited { specialist, ms, .. } => {
                self.say(page, specialist, "· waited for the quota of its model", &took(*ms));
            }
            AgentEvent::FellThrough { specialist, to, why, .. } => {
                self.say(page, specialist, &format!("{WARN}!{WARN:#} now {}: {}", clean(to), clean(why)), "");
            }
            AgentEvent::Breaker { specialist, change } => {
                self.say(page, specialist, &format!("{WARN}!{WARN:#} {}", breaker(change)), "");
            }
            AgentEvent::Finished { specialist, turns, tool_calls, ms, .. } => {
                let calls = if *tool_calls == 1 { "call" } else { "calls" };
                let each = if *turns == 1 { "turn" } else { "turns" };
                let line = format!("└ {turns} {each}, {tool_calls} {calls}");
                self.say(page, specialist, &line, &took(*ms));
                if let Some(at) = self.names.iter().rposition(|n| n == specialist)
                    && let Some(done) = self.done.get_mut(at)
                {
                    *done = true;
                }
            }
        }
    }

    /// Who routes and who proposes has nobody beside them.
    fn works_alone(event: &AgentEvent) -> bool {
        match event {
            AgentEvent::Started { specialist, .. }
            | AgentEvent::Turn { specialist, .. }
            | AgentEvent::ModelFailed { specialist, .. }
            | AgentEvent::ToolStarted { specialist, .. }
            | AgentEvent::ToolFinished { specialist, .. }
            | AgentEvent::Corrected { specialist, .. }
            | AgentEvent::Guarded { specialist, .. }
            | AgentEvent::Waited { specialist, .. }
            | AgentEvent::FellThrough { specialist, .. }
            | AgentEvent::Breaker { specialist, .. }
            | AgentEvent::Finished { specialist, .. } => {
                matches!(specialist.as_str(), "router" | "remediator")
            }
        }
    }

    /// Forgets who was at work.
    pub(crate) fn end(&mut self) {
        self.names.clear();
        self.done.clear();
    }

    fn say(&self, page: &mut Page, specialist: &str, what: &str, tail: &str) {
        let lane = self.names.iter().rposition(|n| n == specialist).unwrap_or(0).min(MOST - 1);
        if page.is_narrow() {
            let who = specialist.replace('_', " ");
            let tail = if tail.is_empty() { String::new() } else { format!(", {}", clean(tail)) };
            let what = plain(what);
            return page.item(
                "·",
                &if what == who { format!("{who}{tail}") } else { format!("{who}: {what}{tail}") },
            );
        }
        let width = (page.width() - GUTTER) / MOST;
        let mut line = " ".repeat(GUTTER);
        for at in 0..MOST {
            if at == lane {
                let tail = fit(&clean(tail), width - 16);
                let room = width - 3 - visible(&tail);
                let (shown, styled) = shorten_styled(what, room);
                let pad = room.saturating_sub(shown);
                let _ = write!(line, "{styled}{:pad$} {FAINT}{tail}{FAINT:#}  ", "");
            } else {
                let bar = match (self.names.get(at), self.done.get(at)) {
                    (Some(_), Some(false)) => "│",
                    _ => " ",
                };
                let _ = write!(line, "{FAINT}{bar}{FAINT:#}{:pad$}", "", pad = width - 1);
            }
        }
        page.line(&line);
    }
}

/// What someone does alone, in a line each.
fn alone(page: &mut Page, event: &AgentEvent) {
    match event {
        AgentEvent::ToolFinished { specialist, tool, error: None, ms, .. } => {
            page.item("·", &format!("{specialist}: {tool}, {}", took(*ms)));
        }
        AgentEvent::ToolFinished { specialist, tool, error: Some(kind), .. } => {
            page.item(&format!("{BAD}✗{BAD:#}"), &format!("{specialist}: {tool}: {}", kind.as_str()));
        }
        AgentEvent::ModelFailed { specialist, error, .. } => {
            page.item(&format!("{BAD}✗{BAD:#}"), &format!("{specialist}: model: {error}"));
        }
        AgentEvent::Corrected { specialist, what } => page.item("·", &format!("{specialist}: {what}")),
        AgentEvent::Guarded { specialist, trace, .. } => {
            page.item(&format!("{WARN}!{WARN:#}"), &format!("{specialist}: {}", guarded(trace.as_ref())));
        }
        AgentEvent::Waited { specialist, ms, .. } => {
            page.item("·", &format!("{specialist} waited {} for the quota of its model", took(*ms)));
        }
        AgentEvent::FellThrough { specialist, to, why, .. } => {
            page.item("!", &format!("{specialist}: now {}: {}", clean(to), clean(why)));
        }
        AgentEvent::Breaker { change, .. } => page.item("!", &breaker(change)),
        AgentEvent::Started { .. }
        | AgentEvent::Turn { .. }
        | AgentEvent::ToolStarted { .. }
        | AgentEvent::Finished { .. } => {}
    }
}

/// That the guardrail stepped in, and what it says of it.
fn guarded(trace: Option<&GuardrailTrace>) -> String {
    let words = trace.map(|trace| clean(&trace.in_words())).filter(|words| !words.is_empty());
    let words = words.map(|words| format!(": {words}")).unwrap_or_default();
    format!("the guardrail or content filter stepped in{words}")
}

/// A circuit breaker that changed.
fn breaker(change: &Transition) -> String {
    let phase = change.to.as_str().replace('_', "-");
    format!("circuit breaker of {} is {phase}: {}", clean(&change.name), clean(&change.why))
}

/// A text without its colours and without the lines that join it to a lane.
fn plain(text: &str) -> String {
    let (_, shown) = shorten_styled(text, usize::MAX);
    let mut escape = false;
    let mut out = String::new();
    for c in shown.chars() {
        match (escape, c) {
            (false, '\u{1b}') => escape = true,
            (true, 'm') => escape = false,
            (true, _) | (false, '├' | '└' | '·') => {}
            (false, c) => out.push(c),
        }
    }
    out.trim().to_owned()
}

/// Shortens what is visible of a text that carries colours, and says how wide it is.
fn shorten_styled(text: &str, room: usize) -> (usize, String) {
    let mut shown: usize = 0;
    let mut full = false;
    let mut out = String::new();
    let mut escape = false;
    for c in text.chars() {
        if c == '\u{1b}' {
            escape = true;
        }
        if escape {
            out.push(c);
            escape = c != 'm';
        } else if !full {
            // Colours go on behind the last letter that fits.
            full = shown + wide(c) > room;
            if !full {
                out.push(c);
                shown += wide(c);
            }
        }
    }
    (shown, out)
}
