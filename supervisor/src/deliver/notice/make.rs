//! How notices are made: from what happened in an incident, its report, a request, its alarm.

use midwatch_policy::{IncidentId, RequestView, Timestamp};

use super::{About, HEADLINE, Kind, LINE, LINES, Line, Notice, Origin, Over, Severity};
use crate::{
    alarm::{Alarm, AlarmState},
    deliver::text,
    event::Event,
    intake::{
        board::{How, News},
        identity::AlarmKey,
    },
    others::Others,
    run::{Escalation, Outcome, Run},
    terminal::text::took,
};

/// Next steps, and guesses or facts, that a report shows before it points at the rest.
const SHOWN: usize = 5;

impl Notice {
    /// `headline` is ours around what was redacted before it was put in: words of ours beside a name are no secret.
    fn new(about: About, kind: Kind, severity: Severity, at: Timestamp, headline: &str) -> Self {
        let more = about.others.counted().map(|counted| format!(" (and {counted})")).unwrap_or_default();
        let room = HEADLINE.saturating_sub(more.chars().count());
        let headline = text::shown(headline, room) + &more;
        Self {
            about,
            kind,
            subject: String::new(),
            severity,
            at,
            headline,
            lines: Vec::new(),
            over: Over::No,
        }
    }

    fn line(mut self, label: &str, said: &str, origin: Origin) -> Self {
        let said = text::line(said, LINE);
        if !said.is_empty() && self.lines.len() < LINES {
            self.lines.push(Line { label: label.to_owned(), text: said, origin });
        }
        self
    }

    fn ours(self, label: &str, said: &str) -> Self {
        self.line(label, said, Origin::Midwatch)
    }

    fn quoted(self, label: &str, said: &str) -> Self {
        self.line(label, said, Origin::Outside)
    }

    fn named(self) -> Self {
        let (alarm, others) = (self.about.alarm.clone(), self.about.others.clone());
        let named = self.quoted("alarm", &alarm);
        match others.counted() {
            Some(counted) => named.quoted(&format!("and {counted}"), &others.names()),
            None => named,
        }
    }

    fn with_subject(mut self, subject: &str) -> Self {
        subject.clone_into(&mut self.subject);
        self
    }

    /// The same, told apart from others of its kind by what it is of.
    #[must_use]
    pub fn of(self, subject: &str) -> Self {
        self.with_subject(subject)
    }

    /// The same once more, told apart from the first by `nth`: for a second escalation that says
    /// something new.
    #[must_use]
    pub fn again(self, nth: u32) -> Self {
        self.with_subject(&nth.to_string())
    }

    /// A person has to look.
    pub fn escalation(about: About, escalation: &Escalation, at: Timestamp) -> Self {
        let headline = format!("{}: a person has to look", about.name());
        let severity = about.severity();
        Self::new(about, Kind::Escalation, severity, at, &headline)
            .ours("why", &escalation.why)
            .ours("for", &escalation.to.join(", "))
            .named()
    }

    /// One more alarm came in for an incident that a person has, or one fires again after all was clear. What else is
    /// part of a storm is told once.
    pub fn more(about: About, alarm: &Alarm, (how, news): (How, News), at: Timestamp) -> Self {
        let what = match news {
            News::More => "one more alarm of an incident that a person has",
            News::Again => "an incident of which nothing fired fires again",
        };
        let headline = format!("{}: {what}", about.name());
        let severity = about.severity();
        let which = match (news, how) {
            (News::More, How::Storm) => "a storm".to_owned(),
            (News::More, _) => AlarmKey::of(alarm).to_string(),
            (News::Again, _) => alarm.at.to_string(),
        };
        Self::new(about, Kind::Escalation, severity, at, &headline)
            .with_subject(&format!("more: {which}"))
            .ours("why you get it", &format!("{}; Midwatch does not look at it by itself", how.as_str()))
            .named()
            .quoted("reason", &alarm.reason)
    }

    /// A person is asked. What is shown here is not what is approved: that is shown at the desk.
    pub fn approval(about: About, view: &RequestView, at: Timestamp) -> Self {
        let shown = &view.shown;
        let id = &shown.request;
        let plan = &shown.plan;
        let whom: Vec<String> = view.wanted.iter().map(ToString::to_string).collect();
        let headline = format!("asked to {}", text::line(&plan.action.to_string(), HEADLINE));
        let mut notice = Self::new(about, Kind::Approval, Severity::Error, at, &headline)
            .with_subject(id.as_str())
            .ours("who may approve", &whom.join(" and "))
            .ours(
                "until",
                &format!("{}; no answer means no", shown.expires_at.strftime("%Y-%m-%d %H:%M:%S UTC")),
            )
            .ours(
                "to answer",
                &format!("midwatch approvals show {id}, then midwatch approve {id} or midwatch decline {id}"),
            )
            .ours("touches", &plan.blast_radius.summary)
            .ours("undone by", &plan.inverse.summary);
        for warning in plan.warnings.iter().take(SHOWN) {
            notice = notice.ours("warning", warning);
        }
        notice = notice.quoted("the asker's reason", &shown.reason);
        for cited in shown.evidence.iter().take(SHOWN) {
            notice = notice.quoted(&format!("evidence {}", cited.id), &cited.text);
        }
        notice.named()
    }

    /// The report.
    pub fn report(about: About, run: &Run, at: Timestamp) -> Self {
        let ended = match run.outcome {
            Outcome::ClosedTransient => "closed as transient",
            Outcome::Resolved => "resolved",
            Outcome::Recovered => "recovered by itself",
            Outcome::Escalated => "a person has to look",
            Outcome::TakenOver => "a person has it",
        };
        let headline = format!("{}: report, {ended}", about.name());
        let severity = if run.outcome.needs_a_person() { Severity::Warning } else { Severity::Info };
        let mut notice = Self::new(about, Kind::Report, severity, at, &headline)
            .ours("summary", &run.summary)
            .ours("probable cause", &format!("{} (confidence {:.2})", run.probable_cause, run.confidence));
        for action in &run.actions {
            notice =
                notice.ours("done", &format!("{} of {}: {}", action.tool, action.target, action.outcome));
        }
        for (n, step) in run.next_steps.iter().take(SHOWN).enumerate() {
            notice = notice.ours(&format!("next {}", n + 1), step);
        }
        for problem in run.problems.iter().take(SHOWN) {
            notice = notice.ours("trouble in midwatch", problem);
        }
        if !run.outcome.needs_a_person() {
            notice.over = Over::Yes;
        }
        notice.named()
    }

    /// The team's own alarm, since Midwatch has come to no outcome.
    pub fn raw_alarm(about: About, alarm: &Alarm, why: &str, at: Timestamp) -> Self {
        let headline = format!("{}: alarm without an outcome", about.name());
        let severity = about.severity();
        Self::new(about, Kind::RawAlarm, severity, at, &headline)
            .ours("why you get it", why)
            .ours("state", &format!("{} since {}", alarm.state, alarm.at.strftime("%Y-%m-%d %H:%M:%S UTC")))
            .named()
            .quoted("reason", &alarm.reason)
            .quoted("description", alarm.description.as_deref().unwrap_or_default())
    }

    /// Something is still open: the `nth` reminder of it.
    pub fn reminder(about: About, nth: u32, open_ms: u64, what: &str, at: Timestamp) -> Self {
        let headline = format!("{}: still open after {}", about.name(), took(open_ms));
        let severity = about.severity();
        Self::new(about, Kind::Reminder, severity, at, &headline).ours("what", what).named().again(nth)
    }

    /// It is over; goes to those who were told.
    pub fn all_clear(about: About, why: &str, at: Timestamp) -> Self {
        let headline = format!("{}: all clear", about.name());
        let mut notice =
            Self::new(about, Kind::AllClear, Severity::Info, at, &headline).ours("why", why).named();
        notice.over = Over::Yes;
        notice
    }

    /// No alarm of an incident that has ended fires any more; `alarm` is the one that went last.
    pub fn quiet(about: About, alarm: &Alarm, at: Timestamp) -> Self {
        let why = match alarm.state {
            AlarmState::Deleted => &format!(
                "this alarm was deleted at {}, and no other one of it fires; whether the trouble is over, no alarm says",
                alarm.at
            ),
            AlarmState::Ok | AlarmState::Alarm | AlarmState::InsufficientData => {
                "no alarm of it fires any more; whether somebody mended it, Midwatch does not know"
            }
        };
        Self::all_clear(about, why, at).of(&alarm.at.to_string())
    }

    /// Somebody has it; goes to those who were told.
    pub fn acknowledged(about: About, by: &str, at: Timestamp) -> Self {
        let headline = format!("{}: acknowledged", about.name());
        Self::new(about, Kind::Acknowledged, Severity::Info, at, &headline).quoted("by", by).named()
    }

    /// Tries a route.
    pub fn test(incident: IncidentId, route: &str, at: Timestamp) -> Self {
        let about = About {
            incident,
            service: None,
            alarm: "none".to_owned(),
            region: None,
            others: Others::default(),
        };
        let headline = format!("Midwatch tries the route {}: nothing is wrong", text::line(route, 60));
        Self::new(about, Kind::Test, Severity::Info, at, &headline)
            .ours("what to do", "nothing; if you can read this, the channel works")
    }

    /// Midwatch itself does not work.
    pub fn broken(incident: IncidentId, why: &str, at: Timestamp) -> Self {
        Self::new(
            ourselves(incident),
            Kind::Escalation,
            Severity::Critical,
            at,
            "Midwatch does not work as it should",
        )
        .ours("why", why)
        .ours("until it is mended", "alarms may not be looked at: watch them by other ways")
        .ours("what to do", "see docs/serve.md, Health, and the log of `midwatch serve`")
    }

    /// Midwatch works again.
    pub fn mended(incident: IncidentId, at: Timestamp) -> Self {
        Self {
            over: Over::Yes,
            ..Self::new(ourselves(incident), Kind::AllClear, Severity::Info, at, "Midwatch works again")
        }
    }

    /// What people are told of an event of an incident's journal, if they are told of it at all.
    /// `view` is the request of an `Asked`, which the journal names by its id only.
    pub fn of_event(about: About, event: &Event, view: Option<&RequestView>, at: Timestamp) -> Option<Self> {
        match event {
            Event::Escalated { escalation } => Some(Self::escalation(about, escalation, at)),
            Event::Asked { request, whom, expires_at } => Some(match view {
                Some(view) if view.shown.request.as_str() == request => Self::approval(about, view, at),
                _ => {
                    let headline = format!("{}: an action waits for an answer", about.name());
                    Self::new(about, Kind::Approval, Severity::Error, at, &headline)
                        .with_subject(request)
                        .ours("who may approve", whom)
                        .ours("until", &expires_at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
                        .ours("to answer", &format!("midwatch approvals show {request}"))
                        .named()
                }
            }),
            Event::Closed {
                outcome: outcome @ (Outcome::Resolved | Outcome::Recovered | Outcome::ClosedTransient),
            } => {
                let why = match outcome {
                    Outcome::Resolved => "an approved action was taken and recovery was verified",
                    Outcome::Recovered => "it recovered by itself; nothing was done",
                    _ => "it had passed by itself, and there are positive signs of life",
                };
                Some(Self::all_clear(about, why, at))
            }
            Event::Reported { run } => Some(Self::report(about, run, at)),
            _ => None,
        }
    }
}

/// What a notice is about that is about Midwatch.
fn ourselves(incident: IncidentId) -> About {
    About { incident, service: None, alarm: "midwatch".to_owned(), region: None, others: Others::default() }
}
