//! The incident as it happens.

use std::{fmt::Write as _, io::Write};

use crate::{
    alarm::AlarmState,
    event::{Condition, Event, Noted, Stage, View},
    run::{Answer, Outcome},
};

use super::{
    Page,
    agents::Lanes,
    proposal,
    style::{BAD, FAINT, GOOD, NAME, STRONG, WARN},
    text::{GUTTER, clean, clock, fit, took, visible},
};

/// Shows an incident on a terminal or in a pipe.
#[derive(Debug)]
pub struct Live {
    page: Page,
    lanes: Lanes,
}

impl Live {
    /// A view that writes to `out`; give it an `anstream` so that colours fit the place.
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        Self { page: Page::new(out), lanes: Lanes::default() }
    }

    fn part(&mut self, mark: &str, part: &str, line: &str, tail: &str) {
        const PART: usize = 25;
        if self.page.is_narrow() {
            return self.page.item(mark, &format!("{part}: {line} ({tail})"));
        }
        let room = self.page.width() - GUTTER - 2 - PART - 1 - visible(tail);
        let line = fit(&clean(line), room);
        self.page.line(&format!(
            "{:GUTTER$}{mark} {part:<PART$}{line:<room$} {FAINT}{tail}{FAINT:#}",
            "",
            part = fit(part, PART - 1)
        ));
    }

    /// One look at recovery: the alarm's state, each sign, and for how long all have held.
    fn watched(&mut self, at: &str, alarm: Option<AlarmState>, signs: &[Condition], held: (u64, u64)) {
        const SIGN: usize = 23;
        let well = signs.iter().all(|s| s.holds);
        let state = alarm.map_or("unknown", AlarmState::as_str);
        let colour = if alarm == Some(AlarmState::Ok) { GOOD } else { BAD };
        let mut line = format!(" {FAINT}{at:<8}{FAINT:#}  {colour}{state:<8}{colour:#}");
        let others = signs.iter().filter(|s| !s.text.starts_with("alarm "));
        let held_for = format!("{:>3}/{} s", held.0, held.1);
        if self.page.is_narrow() {
            if well {
                let _ = write!(line, " {FAINT}{held_for}{FAINT:#}");
            }
            self.page.line(&line);
            let marked = |s: &Condition| format!("{} {}", if s.holds { "✓" } else { "✗" }, s.text);
            let all: Vec<String> = others.map(marked).collect();
            return self.page.item(" ", &all.join(", "));
        }
        for sign in others {
            let (colour, mark) = if sign.holds { (GOOD, "✓") } else { (WARN, "✗") };
            let text = fit(&clean(&sign.text), SIGN - 3);
            let _ = write!(line, " {colour}{mark}{colour:#} {text:<pad$}", pad = SIGN - 3);
        }
        if well {
            let _ = write!(line, " {FAINT}{held_for}{FAINT:#}");
        }
        self.page.line(&line);
    }

    fn conditions(&mut self, conditions: &[Condition]) {
        for condition in conditions {
            let mark =
                if condition.holds { format!("{GOOD}✓{GOOD:#}") } else { format!("{BAD}✗{BAD:#}") };
            self.page.item(&mark, &condition.text);
        }
    }

    fn stage(&mut self, at: &str, stage: Stage) {
        let rest = match stage {
            Stage::Sweep => "reads everything at once, asks no model",
            Stage::Investigate => "specialists side by side",
            Stage::Verify => "alarm, errors and signs of life have to hold",
            // These say what they came to, in a heading of their own.
            Stage::Intake | Stage::Route | Stage::Decide | Stage::Approve | Stage::Act | Stage::Report => {
                return;
            }
        };
        self.page.heading(at, &stage.as_str().to_uppercase(), rest);
    }
}

impl View for Live {
    fn show(&mut self, noted: &Noted) {
        let at = clock(noted.at);
        match &noted.event {
            Event::Opened { alarm, about, .. } => {
                let colour = if alarm.state == AlarmState::Alarm { BAD } else { WARN };
                let state = alarm.state;
                self.page.heading(&at, &format!("{colour}{state}{colour:#}"), &alarm.name);
                self.page.paragraph(about);
                if !alarm.reason.is_empty() {
                    self.page.paragraph(&fit(&alarm.reason, 2 * self.page.room()));
                }
            }
            Event::StageBegan { stage } => self.stage(&at, *stage),
            Event::StageFailed { stage, problem } => {
                self.page.heading(&at, &format!("{BAD}{} FAILED{BAD:#}", stage.as_str().to_uppercase()), "");
                self.page.paragraph(problem);
            }
            Event::PartRead { part, line, ms, .. } => {
                self.part(&format!("{GOOD}✓{GOOD:#}"), part, line, &took(*ms));
            }
            Event::PartMissing { part, why, ms } => {
                self.part(&format!("{WARN}✗{WARN:#}"), part, why, &took(*ms));
            }
            Event::FirstSummary { lines } => {
                let (since, wall) = (took(noted.since_ms), took(noted.wall_ms));
                let title = format!("{NAME}FIRST LIGHT{NAME:#}");
                self.page.heading(
                    &at,
                    &title,
                    &format!("{since} after the alarm came in ({wall} on the wall)"),
                );
                for line in lines {
                    self.page.paragraph(line);
                }
            }
            Event::Routed { decision } => {
                let route = decision.route.as_str().replace('_', " ");
                self.page.heading(&at, "ROUTE", &route);
                self.page.paragraph(&decision.reason);
            }
            Event::ClosingChecked { conditions } => {
                self.page.paragraph("Closing as transient is checked by code:");
                self.conditions(conditions);
            }
            Event::Agent { agent } => self.lanes.show(&mut self.page, agent),
            Event::Found { finding } => {
                self.lanes.end();
                let name = finding.specialist.replace('_', " ");
                self.page.item(&format!("{NAME}{name}{NAME:#}:"), &finding.summary);
            }
            Event::Diagnosed { confidence, text, .. } => {
                let sure = format!("confidence {confidence:.2}, computed from listed factors");
                self.page.heading(&at, "DECIDE", &sure);
                self.page.paragraph(text);
            }
            Event::Proposed { plan, reason, because, .. } => {
                proposal::show(&mut self.page, plan, reason, because);
            }
            Event::NothingProposed { why } => {
                self.page.item("·", &format!("no action is proposed: {why}"));
            }
            Event::Judged { text, may_ask } => {
                let colour = if *may_ask { NAME } else { BAD };
                self.page.labelled_in("policy", colour, text);
            }
            Event::Asked { whom, expires_at, .. } => {
                let rest = format!("{whom}, until {}; no answer means declined", clock(*expires_at));
                self.page.heading(&at, "APPROVE?", &rest);
            }
            Event::Answered { answer, by, channel, note, .. } => {
                let colour = if *answer == Answer::Approved { GOOD } else { WARN };
                let by = by.as_deref().map(|who| format!(" by {}", clean(who))).unwrap_or_default();
                let simulated = if channel.as_deref() == Some("simulated") {
                    format!("  {WARN}{STRONG}SIMULATED{STRONG:#}{WARN:#}: the demo has one person")
                } else {
                    String::new()
                };
                let note = note.as_deref().map(|text| format!(": {}", clean(text))).unwrap_or_default();
                let word = answer.as_str().replace('_', " ");
                let gutter = self.page.gutter();
                let line = format!("{:gutter$}{colour}{word}{colour:#}{by}{simulated}{note}", "");
                if visible(&line) <= self.page.width() {
                    self.page.line(&line);
                } else {
                    self.page.item(&format!("{colour}{word}{colour:#}"), &format!("{by}{note}"));
                    if !simulated.is_empty() {
                        self.page.styled("SIMULATED: the demo has one person", WARN);
                    }
                }
            }
            Event::Intended { action, .. } => self.page.heading(&at, "ACT", &action.to_string()),
            Event::Permitted { permit_id, .. } => {
                self.page.item("·", &format!("permit {permit_id} signed for exactly this, for one use"));
            }
            Event::Acted { outcome, detail, .. } => {
                let colour = if outcome == "done" { GOOD } else { BAD };
                self.page.item(&format!("{colour}{outcome}{colour:#}"), detail);
            }
            Event::Settled { text } => self.page.item("·", text),
            Event::Watched { alarm, signs, stable_s, window_s } => {
                self.watched(&at, *alarm, signs, (*stable_s, *window_s));
            }
            Event::Verified { recovered, text } => {
                let colour = if *recovered { GOOD } else { BAD };
                let mark = if *recovered { "✓" } else { "✗" };
                self.page.item(&format!("{colour}{mark}{colour:#}"), text);
            }
            Event::Escalated { escalation } => {
                let to =
                    if escalation.to.is_empty() { "on call".to_owned() } else { escalation.to.join(", ") };
                self.page.heading(&at, &format!("{WARN}ESCALATED{WARN:#}"), &format!("to {to}"));
                self.page.paragraph(&escalation.why);
            }
            Event::Closed { outcome } => {
                let (colour, word) = match outcome {
                    Outcome::Resolved => (GOOD, "RESOLVED"),
                    Outcome::ClosedTransient => (GOOD, "CLOSED AS TRANSIENT"),
                    Outcome::Recovered => (GOOD, "RECOVERED BY ITSELF"),
                    Outcome::Escalated => (WARN, "LEFT TO A PERSON"),
                    Outcome::TakenOver => (WARN, "TAKEN OVER BY A PERSON"),
                };
                let (since, wall) = (took(noted.since_ms), took(noted.wall_ms));
                let title = format!("{colour}{word}{colour:#}");
                let rest = format!("{since} after the alarm came in ({wall} on the wall)");
                self.page.heading(&at, &title, &rest);
            }
            Event::Held { text, .. } => {
                self.page.heading(
                    &at,
                    &format!("{WARN}TAKEN OVER{WARN:#}"),
                    "from now on Midwatch only notes",
                );
                self.page.paragraph(text);
            }
            Event::Resumed { entries } => {
                self.page.item("·", &format!("interrupted after {entries} entries; going on"));
            }
            Event::Reopened { request, by } => {
                let rest = format!("{by} raised {} again", request.shown.request);
                self.page.heading(&at, "RAISED AGAIN", &clean(&rest));
            }
            Event::HandedBack { by, text, .. } => {
                self.page.item("·", &format!("handed back by {by}: {text}"));
            }
            Event::Joined { alarm, why } => {
                self.page.item("+", &format!("{} ({}) belongs to it: {why}", alarm.name, alarm.state));
            }
            Event::StateChanged { alarm, state, since, all_clear } => {
                let clear = if *all_clear { "; nothing of this incident fires any more" } else { "" };
                let now = match state {
                    AlarmState::Deleted => format!("was deleted at {since}"),
                    _ => format!("is in {state} now"),
                };
                self.page.item("·", &format!("{alarm} {now}{clear}"));
            }
            Event::Acknowledged { by } => self.page.item("·", &format!("{by} looks after it")),
            Event::Remarked { by, text } => self.page.item("·", &format!("{by}: {text}")),
            Event::EvidenceKept { .. }
            | Event::StepDone { .. }
            | Event::Sealed { .. }
            | Event::Reported { .. } => {}
        }
    }
}
