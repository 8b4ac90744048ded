//! One incident from its alarm to its report.
//!
//! INVARIANT: whatever fails, there is a report, and it escalates unless code has seen positive
//! signs that the incident is over. A stage that fails or panics becomes a problem in the report.

mod aside;
mod pursue;
mod raised;
mod seal;

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt as _;
use midwatch_agents::{budget::Total, evidence::EvidenceBook, route::Route, signals::Signals};
use midwatch_policy::{Action, CauseKind, IncidentId, RunbookContract, Service, Timestamp, Verdict};
use tokio::task::JoinHandle;

use crate::{
    alarm::Alarm,
    case::Case,
    decide::{self, Diagnosis, Found},
    event::{Event, Noted, Stage, View},
    intake::{self, Opened},
    investigate,
    journal::{Entry, JournalError},
    memory::Signature,
    record::{Hushed, RecordError, Recorder, SideDoor, Since, Written},
    replay::{self, Replay, event_of},
    report::{self, Story},
    route,
    run::{Escalation, Outcome, Run},
    site::Site,
    sweep,
};

use aside::{Aside, Sees};
use pursue::Pursuit;
use raised::Reopened;

pub use pursue::sentence;
pub use raised::has_ended;
pub use seal::seal_end;

/// Why an incident could not even be opened.
#[derive(Debug, thiserror::Error)]
#[error("the alarm cannot be given an incident id: {0}")]
pub struct OpenError(#[from] midwatch_policy::IdError);

/// Why an interrupted incident cannot be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// Its journal cannot be read, or does not hold.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// It does not begin with an alarm.
    #[error("the journal of `{0}` does not begin with an alarm")]
    Headless(IncidentId),
    /// It has its report, and nothing was raised again since.
    #[error("`{0}` has ended: it has its report")]
    Ended(IncidentId),
}

/// An incident whose journal is open, with its work not begun, or interrupted.
#[derive(Debug)]
pub struct Ready {
    case: Case,
    writer: JoinHandle<Written>,
    /// What was raised again after its end, in order.
    reopened: Vec<Reopened>,
    aside: Arc<Aside>,
    durable: Result<(), RecordError>,
}

/// Opens an incident for an alarm and writes that down.
pub async fn open(alarm: Alarm, site: &Site, view: Box<dyn View>, salt: u32) -> Result<Ready, OpenError> {
    let opened = intake::open(alarm, &site.catalog, site.clock.now(), salt)?;
    let ready = Ready::new(opened, site, view, Past::default());
    let Opened { alarm, service, .. } = ready.case.opened.as_ref();
    let opened = Event::Opened {
        alarm: alarm.clone(),
        fingerprint: alarm.fingerprint(),
        service: service.as_ref().map(|s| s.name.clone()),
        about: ready.case.opened.about(),
    };
    let durable = ready.case.recorder.commit(opened).await;
    Ok(Ready { durable, ..ready })
}

/// Goes on with an incident that was interrupted, from what its journal holds.
pub async fn resume(id: &IncidentId, site: &Site, view: Box<dyn View>) -> Result<Ready, ResumeError> {
    let entries = site.journal.read(id).await?;
    if has_ended(&entries) {
        return Err(ResumeError::Ended(id.clone()));
    }
    let (Some(Event::Opened { alarm, .. }), Some(first)) =
        (entries.first().and_then(event_of), entries.first())
    else {
        return Err(ResumeError::Headless(id.clone()));
    };
    let opened = intake::reopen(id.clone(), alarm, &site.catalog, first.at);
    let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    let past = Past {
        since: Some(Since { entries: count, opened: first.at }),
        replay: Replay::of(&entries),
        book: replay::book(site.journal.as_ref(), &entries).await?,
        spent: replay::spent(&entries),
        reopened: raised::all(&entries),
        came_in: came_in(&entries, site),
    };
    let ready = Ready::new(opened, site, view, past);
    let durable = ready.case.recorder.commit(Event::Resumed { entries: count }).await;
    Ok(Ready { durable, ..ready })
}

/// What came in for an incident from elsewhere, by its journal: alarms, waits for quotas, and, where no desk says whose it is, a person
/// who holds it.
fn came_in(entries: &[Entry], site: &Site) -> Vec<Noted> {
    let of_these =
        |kind: &str| matches!(kind, "joined" | "agent") || (kind == "held" && site.hands.is_none());
    let noted =
        |entry: &Entry| Some(Noted { at: entry.at, since_ms: 0, wall_ms: 0, event: event_of(entry)? });
    entries.iter().filter(|entry| of_these(&entry.kind)).filter_map(noted).collect()
}

/// Handles one alarm from beginning to end.
pub async fn handle(alarm: Alarm, site: &Site, view: Box<dyn View>, salt: u32) -> Result<Run, OpenError> {
    let ready = open(alarm, site, view, salt).await?;
    Ok(Box::pin(ready.run(site)).await.run)
}

/// What an incident begins with.
#[derive(Debug, Default)]
struct Past {
    since: Option<Since>,
    replay: Replay,
    book: EvidenceBook,
    spent: Total,
    reopened: Vec<Reopened>,
    /// What came in for it from elsewhere.
    came_in: Vec<Noted>,
}

impl Ready {
    fn new(opened: Opened, site: &Site, view: Box<dyn View>, past: Past) -> Self {
        let Past { since, replay, book, spent, reopened, came_in } = past;
        let replay = Arc::new(replay);
        let aside = Aside::of(&opened.alarm, &site.catalog);
        let mut view = Box::new(Sees { view, aside: Arc::clone(&aside) });
        for noted in came_in {
            view.again(&noted);
        }
        let (recorder, writer) = Recorder::start(
            opened.id.clone(),
            Arc::clone(&site.journal),
            (Arc::clone(&site.clock), Arc::clone(&site.wall)),
            view,
            (since, Arc::clone(&replay)),
        );
        let spend = site.minds.purse(&opened);
        let case = Case::new(
            Arc::new(opened),
            Arc::clone(&site.clock),
            Arc::clone(&site.tools),
            spend.carrying(spent),
            (recorder, Arc::clone(&site.journal)),
            (replay, book),
        );
        Self { case, writer, reopened, aside, durable: Ok(()) }
    }

    /// Its id.
    pub fn id(&self) -> &IncidentId {
        &self.case.opened.id
    }

    /// What was opened.
    pub fn opened(&self) -> &Opened {
        &self.case.opened
    }

    /// Whether it is in the journal. Who has to let go of the alarm's message asks before that.
    pub fn durable(&self) -> Result<(), RecordError> {
        self.durable.clone()
    }

    /// A way into its journal for what comes from elsewhere while it is at work.
    pub fn side_door(&self) -> SideDoor {
        self.case.recorder.side_door()
    }

    /// Takes it to its report. May be dropped at any moment, and gone on with by [`resume`].
    pub async fn run(self, site: &Site) -> Ended {
        let Self { case, writer, reopened, aside, .. } = self;
        let mut incident = Incident { case, site, story: Story::default(), aside };
        let outcome = Box::pin(incident.until_held(&reopened)).await;
        let Incident { case, mut story, aside, .. } = incident;
        if !case.keep_evidence().await {
            story.problems.push("not all evidence could be kept: see the log".to_owned());
        }
        case.recorder.note(Event::Closed { outcome });
        (story.others, story.waited) = (aside.others(), aside.waited());
        let mut run = report::report(&case, &story, outcome);
        // An incident without its report in the journal has not ended: it is gone on with.
        let reported = case.recorder.commit(Event::Reported { run: Box::new(run.clone()) }).await;
        site.minds.ledger.closed(&run, case.spend.total(), case.now());
        if let Some(hands) = &site.hands
            && reported.is_ok()
            && let Some(problem) = pursue::sign(&case, hands).await
        {
            run.problems.push(problem);
        }
        drop(case);
        match writer.await {
            Ok(written) => {
                run.journal_entries = written.entries;
                run.problems.extend(written.problem.map(|p| format!("the journal is not complete: {p}")));
            }
            Err(error) => run.problems.push(format!("the journal's writer ended: {error}")),
        }
        Ended { run, journal: reported }
    }
}

/// What became of an incident, and whether its journal says so too.
#[derive(Debug)]
pub struct Ended {
    /// What it came to.
    pub run: Run,
    /// Whether its report is durable; where it is not, the incident is to be gone on with.
    pub journal: Result<(), RecordError>,
}

struct Incident<'a> {
    case: Case,
    site: &'a Site,
    story: Story,
    aside: Arc<Aside>,
}

/// Runs a stage; a panic in it is a problem of the report and not the end.
async fn guarded<T>(
    case: &Case,
    story: &mut Story,
    stage: Stage,
    work: impl Future<Output = T>,
) -> Option<T> {
    case.recorder.note(Event::StageBegan { stage });
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(done) => Some(done),
        Err(panic) => {
            let said = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("it did not say why");
            failed(case, story, stage, format!("a defect in Midwatch: {said}"));
            None
        }
    }
}

fn failed(case: &Case, story: &mut Story, stage: Stage, problem: String) {
    story.problems.push(format!("{}: {problem}", stage.as_str()));
    case.recorder.note(Event::StageFailed { stage, problem });
}

impl Incident<'_> {
    /// To the end, or until a person takes it over or stops it. Where there are hands this is looked at between
    /// two steps only: an act is not broken off.
    async fn until_held(&mut self, reopened: &[Reopened]) -> Outcome {
        let aside = Arc::clone(&self.aside);
        let ends_at_once = self.site.hands.is_none();
        let ended = tokio::select! {
            biased;
            () = aside.held(), if ends_at_once => None,
            outcome = Box::pin(self.all(reopened)) => Some(outcome),
        };
        ended.unwrap_or_else(|| {
            self.case.cancel.cancel();
            self.story.held = aside.hold();
            Outcome::TakenOver
        })
    }

    /// From the alarm to the end, and on from there as often as something was raised again.
    async fn all(&mut self, reopened: &[Reopened]) -> Outcome {
        self.case.recorder.hush(if reopened.is_empty() { Hushed::No } else { Hushed::Yes });
        let outcome = Box::pin(self.run()).await;
        let mut outcome = self.or_escalated(outcome);
        let mut left = reopened.len();
        for again in reopened {
            // Its first end, which the journal has.
            self.case.recorder.note(Event::Closed { outcome });
            left = left.saturating_sub(1);
            if left == 0 {
                self.case.recorder.hush(Hushed::No);
            }
            let seen_through = Box::pin(self.go_on(again)).await;
            outcome = self.or_escalated(seen_through);
        }
        outcome
    }

    /// Work that broke off ends with a person.
    fn or_escalated(&mut self, outcome: Option<Outcome>) -> Outcome {
        outcome.unwrap_or_else(|| {
            self.escalate(None, "Midwatch could not finish its work: see its troubles");
            Outcome::Escalated
        })
    }

    async fn run(&mut self) -> Option<Outcome> {
        let known = self.known_dependencies();
        let swept =
            guarded(&self.case, &mut self.story, Stage::Sweep, sweep::sweep(&self.case, &known)).await?;
        let swept = Arc::new(swept);
        self.story.swept = Some(Arc::clone(&swept));
        self.story.signals = Some(swept.signals.clone());
        self.remember_alarm(&swept.signals);
        if route::is_quiet(&self.case, &swept.signals) {
            return Some(self.not_firing(&swept.signals).await);
        }

        let routed = guarded(
            &self.case,
            &mut self.story,
            Stage::Route,
            route::route(&self.case, &self.site.minds, &swept, &known),
        )
        .await;
        let to = routed.as_ref().map_or(Route::Investigate, |r| r.route);
        self.story.routed = routed.map(|r| r.reason);
        match to {
            Route::CloseTransient if self.may_close(&swept.signals).await => {
                let diagnosis = decide::diagnose(&self.case, &swept.signals, &[]);
                self.story.diagnosis = Some(diagnosis);
                return Some(Outcome::ClosedTransient);
            }
            Route::PageNow => self.escalate(None, "customers may be cut off: paged before the investigation"),
            Route::CloseTransient | Route::Investigate => {}
        }

        if let Some(outcome) = self.taken().await {
            return Some(outcome);
        }
        let looked = guarded(
            &self.case,
            &mut self.story,
            Stage::Investigate,
            investigate::analysts(&self.case, &self.site.minds, &swept, &known),
        )
        .await
        .unwrap_or_default();
        let signals = investigate::signals(&self.case, &swept, &looked.observed);
        self.story.findings = looked.found.iter().map(|f| f.finding.clone()).collect();

        self.story.signals = Some(signals.clone());
        self.story.quote = report::quote::quote(&self.case, &signals).await;

        let (diagnosis, decided) = self.decide(&signals, &looked.found).await;
        self.story.diagnosis = Some(diagnosis.clone());
        if diagnosis.verdict == Verdict::Transient
            && diagnosis.cause.kind == CauseKind::Transient
            && self.may_close(&signals).await
        {
            return Some(Outcome::ClosedTransient);
        }
        let Some((service, action)) = decided else {
            self.escalate(None, &why_unresolved(&diagnosis, &signals));
            return Some(Outcome::Escalated);
        };
        let contract = decide::contract(&self.case, &signals, Some(&action));
        let pursuit = Pursuit { service: &service, action: &action, diagnosis: &diagnosis, contract };
        Box::pin(self.pursue(&pursuit)).await
    }

    /// Whether a person holds the incident, where there is a desk that knows.
    async fn taken(&mut self) -> Option<Outcome> {
        let hands = self.site.hands.clone()?;
        self.held(&hands).await
    }

    /// The alarm did not come in as one that fires, and nothing goes on: a short check instead of
    /// an investigation.
    async fn not_firing(&mut self, signals: &Signals) -> Outcome {
        self.story.diagnosis = Some(decide::diagnose(&self.case, signals, &[]));
        if self.may_close(signals).await {
            return Outcome::ClosedTransient;
        }
        let state = self.case.opened.alarm.state;
        self.escalate(
            None,
            &format!("the alarm came in as {state}, and not everything shows that it is over"),
        );
        Outcome::Escalated
    }

    fn known_dependencies(&self) -> Vec<midwatch_policy::ServiceName> {
        let service = self.case.opened.service.as_ref();
        let depends = service.map(|s| s.depends_on.as_slice()).unwrap_or_default();
        depends.iter().filter(|name| self.site.catalog.get(name).is_some()).cloned().collect()
    }

    fn remember_alarm(&mut self, signals: &Signals) {
        self.story.last_state = signals
            .alarm
            .as_ref()
            .and_then(|a| serde_json::from_value(serde_json::Value::String(a.state.clone())).ok());
    }

    /// Whether code agrees that it is over: all signs hold, and hold again once late lines and
    /// points have had time to arrive; a flapping alarm is never over.
    async fn may_close(&mut self, signals: &Signals) -> bool {
        let checked = route::closing(&self.case, signals).await;
        self.story.last_state = checked.alarm.or(self.story.last_state);
        if !checked.over {
            let open: Vec<String> =
                checked.conditions.iter().filter(|c| !c.holds).map(|c| c.text.clone()).collect();
            self.story.not_checked.extend(checked.note);
            tracing::info!(open = ?open, "not closed");
        }
        checked.over
    }

    async fn decide(&mut self, signals: &Signals, found: &[Found]) -> (Diagnosis, Option<(Service, Action)>) {
        let mut diagnosis = decide::diagnose(&self.case, signals, found);
        if let Some(signature) = self.signature(diagnosis.cause.kind) {
            let past = self.case.step("recall", self.site.memory.recall(&signature)).await;
            decide::remember(&self.case, &mut diagnosis, &past);
        }
        let Some(service) = self.case.opened.service.clone() else {
            let why = "the catalog has no service for this alarm".to_owned();
            self.case.recorder.note(Event::NothingProposed { why });
            return (diagnosis, None);
        };
        let brief = decide::brief(&self.case, &service, signals, &diagnosis, Vec::new());
        let proposal = guarded(
            &self.case,
            &mut self.story,
            Stage::Decide,
            investigate::remediator(&self.case, &self.site.minds, &service, &brief),
        )
        .await;
        let Some(proposal) = proposal else { return (diagnosis, None) };
        let Some(action) = proposal.action else {
            self.case.recorder.note(Event::NothingProposed { why: proposal.reason });
            return (diagnosis, None);
        };
        if let Err(why) = decide::may_propose(&brief, &action) {
            let why = format!("`{action}` was suggested, but {why}");
            self.story.not_checked.push(why.clone());
            self.case.recorder.note(Event::NothingProposed { why });
            return (diagnosis, None);
        }
        (diagnosis, Some((service, action)))
    }

    /// Since when the trouble lasts, as well as is known.
    fn onset(&self) -> Timestamp {
        let signals = self.story.signals.as_ref();
        signals.and_then(|s| s.onset).unwrap_or(self.case.opened.alarm.at)
    }

    /// In what way the service failed, for the memory of outcomes.
    fn signature(&self, cause: CauseKind) -> Option<Signature> {
        let service = self.case.opened.service.as_ref()?;
        Some(Signature::of(&service.name, cause, self.story.signals.as_ref()?))
    }

    fn escalate(&mut self, contract: Option<&RunbookContract>, why: &str) {
        escalate(&self.case, &mut self.story, contract, why);
    }
}

/// Tells a person, once; a later reason replaces an earlier one in the report.
fn escalate(case: &Case, story: &mut Story, contract: Option<&RunbookContract>, why: &str) {
    let mut to: Vec<String> = contract.and_then(|c| c.escalate_to.clone()).into_iter().collect();
    for owner in case.opened.service.iter().flat_map(|s| &s.owners) {
        if !to.contains(owner) {
            to.push(owner.clone());
        }
    }
    let escalation = Escalation { why: why.to_owned(), to };
    case.recorder.note(Event::Escalated { escalation: escalation.clone() });
    story.escalated_at.get_or_insert(case.now());
    story.escalation = Some(escalation);
}

fn why_unresolved(diagnosis: &Diagnosis, signals: &Signals) -> String {
    match diagnosis.cause.kind {
        CauseKind::Unknown => decide::no_cause(signals).to_owned(),
        kind => format!(
            "the probable cause is {}{}, and there is no safe action for Midwatch to propose",
            kind.as_str().replace('_', " "),
            diagnosis.cause.reference.as_ref().map(|r| format!(" ({r})")).unwrap_or_default()
        ),
    }
}
