//! The report of a run: always the same parts in the same order.

use std::io::Write;

use crate::run::{ClaimKind, Outcome, Run};

use super::{
    Page,
    style::{BAD, FAINT, GOOD, NAME, STRONG, WARN},
    text::{clean, clock, count, dollars, fit, took},
};

/// Evidence lines shown before the rest is only counted.
const EVIDENCE_SHOWN: usize = 12;

/// Writes the report of a run for people.
pub fn report(run: &Run, out: Box<dyn Write + Send>) {
    write(run, &mut Page::new(out));
}

/// The same in so many columns, 40 to 100.
pub fn report_within(run: &Run, out: Box<dyn Write + Send>, columns: usize) {
    write(run, &mut Page::within(out, columns));
}

fn write(run: &Run, page: &mut Page) {
    title(page, run);
    section(page, "Summary");
    page.paragraph(&run.summary);

    section(page, "Evidence");
    evidence(page, run);

    section(page, "Probable cause");
    page.paragraph(&run.probable_cause);
    for factor in &run.factors {
        let colour = if factor.weight < 0.0 { WARN } else { GOOD };
        page.item(&format!("{colour}{:+.2}{colour:#}", factor.weight), &factor.text);
    }

    section(page, "Next steps");
    for (number, step) in (1..).zip(&run.next_steps) {
        page.item(&format!("{number}."), step);
    }
    if run.next_steps.is_empty() {
        page.paragraph("None.");
    }

    section(page, "Timeline");
    for moment in &run.timeline {
        page.item(&format!("{FAINT}{:<8}{FAINT:#} ", clock(moment.at)), &moment.text);
    }

    section(page, "Known and guessed");
    claims(page, run);

    section(page, "Not checked");
    for gap in &run.not_checked {
        page.item("·", gap);
    }
    if run.not_checked.is_empty() {
        page.paragraph("Everything that was planned was read.");
    }
    if !run.problems.is_empty() {
        section(page, "Trouble in Midwatch itself");
        for problem in &run.problems {
            page.item(&format!("{BAD}!{BAD:#}"), problem);
        }
    }
    section(page, "Spend");
    spend(page, run);
    page.blank();
}

/// The run as JSON, with a line feed.
pub fn json(run: &Run) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(run).map(|text| super::text::escaped(&text) + "\n")
}

fn title(page: &mut Page, run: &Run) {
    let (colour, word) = match run.outcome {
        Outcome::Resolved => (GOOD, "resolved"),
        Outcome::ClosedTransient => (GOOD, "closed as transient"),
        Outcome::Recovered => (GOOD, "recovered by itself"),
        Outcome::Escalated => (WARN, "escalated: a person should look"),
        Outcome::TakenOver => (WARN, "taken over by a person"),
    };
    page.blank();
    page.line(&format!(" {FAINT}{}{FAINT:#}", "─".repeat(page.width() - 2)));
    let service = run.service.as_ref().map_or("unknown service", AsRef::as_ref);
    let name = clean(&run.alarm.name);
    if page.is_narrow() {
        page.line(&format!(" {STRONG}REPORT{STRONG:#}  {colour}{word}{colour:#}"));
        page.styled(&format!("{name} on {service}"), STRONG);
    } else {
        page.line(&format!(
            " {STRONG}REPORT{STRONG:#}    {STRONG}{name}{STRONG:#} on {service}, {colour}{word}{colour:#}"
        ));
    }
    let known = format!("{}, verdict {}, confidence {:.2}", run.incident, run.verdict, run.confidence);
    page.styled(&known, FAINT);
}

fn section(page: &mut Page, name: &str) {
    page.blank();
    page.line(&format!(" {NAME}{name}{NAME:#}"));
}

fn evidence(page: &mut Page, run: &Run) {
    let cited: Vec<_> = run
        .evidence
        .iter()
        .filter(|e| run.claims.iter().any(|c| c.kind == ClaimKind::Fact && c.evidence.contains(&e.id)))
        .collect();
    for piece in cited.iter().take(EVIDENCE_SHOWN) {
        let mark = format!("{NAME}{:<5}{NAME:#}", piece.id);
        // One line where there is room, at most two where there is not.
        let room = page.room() - 6;
        let most = if page.is_narrow() { 2 * room } else { room };
        page.item(&mark, &fit(&clean(&piece.line), most));
    }
    let rest = run.evidence.len().saturating_sub(cited.len().min(EVIDENCE_SHOWN));
    if rest > 0 {
        let incident = &run.incident;
        page.styled(&format!("and {rest} more pieces kept: midwatch incidents show {incident}"), FAINT);
    }
}

fn claims(page: &mut Page, run: &Run) {
    for kind in [ClaimKind::Fact, ClaimKind::Guess] {
        for claim in run.claims.iter().filter(|c| c.kind == kind) {
            match kind {
                ClaimKind::Fact => {
                    let cites = claim.evidence.join(" ");
                    page.item(&format!("{GOOD}known{GOOD:#}  "), &format!("{} [{cites}]", claim.text));
                }
                ClaimKind::Guess => page.item(&format!("{WARN}guess{WARN:#}  "), &claim.text),
            }
        }
    }
    if run.claims.is_empty() {
        page.paragraph("Nothing could be read, so nothing is known.");
    }
}

fn spend(page: &mut Page, run: &Run) {
    let usage = &run.usage;
    let (number, plural) =
        (count(u64::from(usage.model_calls)), if usage.model_calls == 1 { "" } else { "s" });
    if usage.input_tokens + usage.output_tokens == 0 {
        page.paragraph(&format!("{number} step{plural} of the playbook, no model asked"));
    } else {
        page.paragraph(&format!(
            "{number} model call{plural}, {} tokens in, {} out, {}",
            count(usage.input_tokens),
            count(usage.output_tokens),
            dollars(usage.cost_micro_usd)
        ));
    }
    for wait in &run.waited {
        page.paragraph(&format!("waited {} for {}", took(wait.ms), clean(&wait.quota)));
    }
    page.paragraph(&format!(
        "first summary after {} ({} on the wall), report after {} ({} on the wall)",
        took(run.timings_ms.first_summary),
        took(run.wall_ms.first_summary),
        took(run.timings_ms.report),
        took(run.wall_ms.report)
    ));
}
