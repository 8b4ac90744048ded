//! A request as a person sees it before they answer: everything that is signed, and whose words
//! they are. Nothing from outside moves the cursor.

use midwatch_policy::{
    Applicable, Ask, CallerKind, Claimed, Held, Inverse, RequestState, RequestView, Risk, Void,
};

use crate::terminal::{
    Page,
    style::{BAD, GOOD, STRONG, WARN},
    terms,
    text::clean,
};

/// Writes a request to stdout.
pub(super) fn request(view: &RequestView) {
    let mut page = Page::new(Box::new(anstream::stdout()));
    let shown = &view.shown;
    let plan = &shown.plan;
    page.blank();
    page.line(&format!(
        "{:11}{STRONG}{}{STRONG:#}  {STRONG}{}{STRONG:#}",
        "",
        shown.request,
        clean(&plan.action.to_string())
    ));
    page.labelled("state", &format!("{}, {}", view.state.as_str(), deadline(view)));
    page.labelled(
        "asked by",
        &format!("{} ({}), who may then do it, once", shown.subject, kind(shown.caller)),
    );
    page.labelled("incident", shown.incident.as_str());
    page.labelled("policy", &format!("asks {} by `{}`", shown.whom(), shown.rules.join("`, `")));
    if !view.wanted.is_empty() {
        page.labelled("still", &whom(&view.wanted));
    }
    said(&mut page, &view.state);

    page.blank();
    page.paragraph(&format!("What the server {} says it would do:", clean(&shown.audience)));
    for (at, step) in plan.steps.iter().enumerate() {
        page.labelled(if at == 0 { "will call" } else { "" }, &format!("{}  {}", step.api, step.detail));
    }
    page.labelled("where", &plan.terms.place.to_string());
    let radius = &plan.blast_radius;
    page.labelled("touches", &radius.summary);
    page.labelled("tasks", &format!("{} of {} running", radius.tasks_affected, radius.tasks_running));
    if !radius.dependents.is_empty() {
        let names: Vec<&str> = radius.dependents.iter().map(AsRef::as_ref).collect();
        page.labelled("used by", &names.join(", "));
    }
    page.labelled("way back", &way_back(&plan.inverse));
    terms(&mut page, &plan.terms);
    let (colour, risk) = match plan.risk {
        Risk::Low => (GOOD, "low"),
        Risk::Medium => (WARN, "medium"),
        Risk::High => (BAD, "high"),
    };
    page.labelled_in("risk", colour, risk);
    for warning in &plan.warnings {
        page.labelled_in("mind", WARN, warning);
    }
    let facts = &shown.facts;
    page.labelled(
        "facts",
        &format!(
            "{} deployments in progress, {} actions on it within the hour, {}, {}",
            facts.deployments_in_progress,
            facts.actions_last_hour,
            if facts.change_freeze { "a change freeze is on" } else { "no change freeze" },
            if facts.business_hours { "business hours" } else { "outside business hours" },
        ),
    );
    if let Some(runbook) = &shown.runbook {
        page.labelled("runbook", &format!("{} ({})", runbook.id, runbook.digest));
    }
    for contract in &shown.contracts {
        about(&mut page, contract);
    }

    page.blank();
    page.paragraph(&format!("In the words of {}, which nobody has checked:", clean(&shown.subject)));
    if let Some(claimed) = &shown.claimed {
        page.labelled("certain", &certain(claimed));
    } else {
        let why = format!("{} says nothing of how certain the cause is, or by what", kind(shown.caller));
        page.labelled_in("mind", WARN, &format!("no diagnosis stands behind this: {why}"));
    }
    page.labelled("why", if shown.reason.is_empty() { "(nothing said)" } else { &shown.reason });
    for (at, cited) in shown.evidence.iter().enumerate() {
        page.labelled(if at == 0 { "evidence" } else { "" }, &format!("[{}] {}", cited.id, cited.text));
    }
    page.blank();
    page.labelled("digest", &view.digest.to_string());
}

/// A contract that the desk found to be about this.
fn about(page: &mut Page, contract: &Applicable) {
    let Applicable { runbook, held, demands, against } = contract;
    let demands = demands.join("; ");
    match held {
        Held::To => page.labelled("held to", &format!("{} ({}): {demands}", runbook.id, runbook.digest)),
        Held::Beside => {
            page.labelled("beside", &format!("{}, not followed here: {demands}", runbook.id));
            if !against.is_empty() {
                page.labelled_in("mind", WARN, &format!("where it is followed: {}", against.join("; ")));
            }
        }
    }
}

/// How it is undone, and whether Midwatch could be asked to.
fn way_back(inverse: &Inverse) -> String {
    match &inverse.action {
        Some(action) => format!("{}; can be asked for: {action}", inverse.summary),
        None => inverse.summary.clone(),
    }
}

/// How certain the asker says it is.
fn certain(claimed: &Claimed) -> String {
    let Claimed { confidence_percent, phase, severity, evidence } = claimed;
    let by = if evidence.is_empty() {
        "without evidence".to_owned()
    } else {
        format!("by {}", evidence.join(", "))
    };
    format!("{confidence_percent} % of the cause, {by}; severity {severity}, phase {phase}")
}

/// Who has to approve, in words.
pub(super) fn whom(asks: &[Ask]) -> String {
    asks.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

/// Until when, or since when.
pub(super) fn deadline(view: &RequestView) -> String {
    match &view.state {
        RequestState::Open { .. } => format!("counts as declined from {}", view.shown.expires_at),
        RequestState::Approved { until, .. } => format!("permit good until {until}"),
        RequestState::Used { at, .. }
        | RequestState::Declined { at, .. }
        | RequestState::Expired { at }
        | RequestState::Withdrawn { at, .. }
        | RequestState::Revoked { at, .. } => format!("since {at}"),
    }
}

fn said(page: &mut Page, state: &RequestState) {
    match state {
        RequestState::Open { approvers }
        | RequestState::Approved { approvers, .. }
        | RequestState::Used { approvers, .. } => {
            for approver in approvers {
                page.labelled(
                    "approved",
                    &format!("{} as {} ({})", approver.name, approver.role, approver.channel),
                );
            }
        }
        RequestState::Declined { by, reason, .. } => page.labelled("declined", &format!("{by}: {reason}")),
        RequestState::Withdrawn { why, .. } => page.labelled("withdrawn", why),
        RequestState::Revoked { permit, by, reason, .. } => {
            page.labelled("revoked", &format!("{permit} by {by}: {reason}"));
        }
        RequestState::Expired { .. } => {}
    }
    match state {
        RequestState::Approved { permit, .. } => page.labelled("permit", permit.as_str()),
        RequestState::Used { permit, outcome, void, .. } => {
            page.labelled("permit", &format!("{permit}, used: {}", outcome_in_words(*outcome)));
            if let Some(Void { why, since }) = void {
                let said =
                    format!("it was acted on though it was void since {since} ({why}): look at the target");
                page.labelled_in("mind", BAD, &said);
            }
        }
        _ => {}
    }
}

const fn outcome_in_words(outcome: midwatch_policy::Outcome) -> &'static str {
    match outcome {
        midwatch_policy::Outcome::Done => "AWS accepted it",
        midwatch_policy::Outcome::Failed => "AWS refused it",
        midwatch_policy::Outcome::Ambiguous => "it is not known whether it was done",
    }
}

const fn kind(caller: CallerKind) -> &'static str {
    match caller {
        CallerKind::Supervisor => "a supervisor",
        CallerKind::AgentClient => "another agent client",
        CallerKind::Person => "a person",
    }
}
