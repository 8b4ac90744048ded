//! A desk with a clock that is moved by hand, and a remediation server that is a double.

use std::{
    path::Path,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use midwatch_mcp::Contracts;
use midwatch_policy::{
    Action, Asking, Attested, AwsName, BlastRadius, Calendar, Catalog, Cited, Claimed, Clock, Demand,
    EndState, EvidenceId, ExpectedState, Fetched, IncidentId, Inverse, PermitError, Place, Plan, RequestView,
    Risk, Rules, ServiceName, SignedDuration, Terms, Timestamp, VerifiedPermit, verify,
};
use tokio::sync::watch;

use crate::desk::{
    error::{DeskError, Trouble},
    office::{Known, Limits, Office, OfficeConfig, Yes},
    planner::{Planned, Planner},
    principal::Principal,
    ring::{KeyDirectory, KeyRing},
    sources::Sources,
};

pub(super) fn at(seconds: i64) -> Timestamp {
    let start: Timestamp = "2026-11-21T02:06:00Z".parse().unwrap();
    start.checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub(super) struct Hand(watch::Sender<Timestamp>);

impl Hand {
    pub(super) fn set(&self, seconds: i64) {
        self.0.send_replace(at(seconds));
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    fn sleep<'a>(&'a self, span: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        let mut moved = self.0.subscribe();
        let until = self.now().checked_add(span).unwrap();
        Box::pin(async move {
            let _ = moved.wait_for(|now| *now >= until).await;
        })
    }
}

/// The remediation server, as the desk sees it.
#[derive(Debug)]
pub(super) struct Double {
    pub(super) facts: Mutex<Attested>,
    /// What it plans in place of what it was asked.
    pub(super) instead: Mutex<Option<Action>>,
    pub(super) gone: Mutex<bool>,
    pub(super) asked: AtomicU32,
    catalog: Catalog,
}

impl Planner for Double {
    fn plan<'a>(&'a self, action: &'a Action) -> BoxFuture<'a, Result<Planned, DeskError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let action = self.instead.lock().unwrap().clone().unwrap_or_else(|| action.clone());
        let answer = if *self.gone.lock().unwrap() {
            Err(DeskError::new(Trouble::Plan, "the remediation server cannot be reached", "start it"))
        } else {
            Ok(Planned { plan: plan(action, &self.catalog), facts: *self.facts.lock().unwrap() })
        };
        Box::pin(std::future::ready(answer))
    }
}

fn plan(action: Action, catalog: &Catalog) -> Plan {
    let service = catalog.get(action.service()).unwrap();
    let name = |text: &str| AwsName::parse(text).unwrap();
    Plan {
        action,
        steps: Vec::new(),
        terms: Terms {
            place: Place::of(service, Some("us-east-1")),
            expected: ExpectedState::EcsDesiredCount {
                cluster: name("c"),
                ecs_service: name("a"),
                desired_count: 2,
            },
            result: EndState::DesiredCount { desired_count: 2 },
        },
        blast_radius: BlastRadius {
            tasks_affected: 2,
            tasks_running: 2,
            dependents: Vec::new(),
            summary: "all tasks".to_owned(),
        },
        risk: Risk::Medium,
        inverse: Inverse { summary: "none".to_owned(), action: None },
        warnings: Vec::new(),
    }
}

/// A freeze that the remediation server does not know of.
const CALENDAR: &str = "[[freeze]]\nid = 'sale'\nreason = 'the sale'\nfrom = '2026-11-25T00:00:00Z'\nto = '2026-11-26T00:00:00Z'\n";
const RUNBOOKS: [(&str, &str); 2] = [
    (
        "leak.md",
        "+++\nid = 'leak'\ntitle = 'Leak'\nservices = ['s7']\naction = 'restart_service'\napprovers = 'owner'\nrequires = ['no_action_in_last_hour']\n+++\n# Leak\n",
    ),
    (
        "never.md",
        "+++\nid = 'never'\ntitle = 'Never'\nservices = ['s29']\nnever_actions = ['restart_service']\n+++\n# Never\n",
    ),
];

pub(super) const CALM: Attested = Attested {
    change_freeze: false,
    business_hours: false,
    deployments_in_progress: 0,
    tasks_running: 2,
    tasks_affected: 2,
    actions_last_hour: 0,
};

pub(super) struct Bench {
    pub(super) office: Arc<Office>,
    pub(super) clock: Arc<Hand>,
    pub(super) double: Arc<Double>,
    pub(super) first: Principal,
    pub(super) second: Principal,
    pub(super) asker: Principal,
    pub(super) server: Principal,
    tier: u8,
    keys: Arc<tempfile::TempDir>,
}

impl Bench {
    /// A desk in memory, with a service `a` of this tier and others besides.
    pub(super) fn new(tier: u8) -> Self {
        Self::with(tier, None, keys(), 0)
    }

    /// A desk in a file.
    pub(super) fn at(tier: u8, store: &Path) -> Self {
        Self::with(tier, Some(store), keys(), 0)
    }

    /// The same desk after its process has ended and another has begun.
    pub(super) fn restarted(self, store: &Path) -> Self {
        let now = self.clock.now().duration_since(at(0)).as_secs();
        let (tier, keys) = (self.tier, Arc::clone(&self.keys));
        drop(self);
        Self::with(tier, Some(store), keys, now)
    }

    fn with(tier: u8, store: Option<&Path>, keys: Arc<tempfile::TempDir>, now: i64) -> Self {
        let clock = Arc::new(Hand(watch::Sender::new(at(now))));
        let service = |name: &str, tier: u8, autonomy: &str| {
            format!(
                "[[service]]\nname='{name}'\ntier={tier}\nenvironment='production'\nautonomy='{autonomy}'\n"
            )
        };
        let mut catalog = service("a", tier, "ask") + &service("quiet", 1, "advise");
        for number in 0..30 {
            catalog.push_str(&service(&format!("s{number}"), 2, "ask"));
        }
        let catalog = Catalog::parse(&catalog).unwrap();
        let double = Arc::new(Double {
            facts: Mutex::new(CALM),
            instead: Mutex::default(),
            gone: Mutex::default(),
            asked: AtomicU32::new(0),
            catalog: catalog.clone(),
        });
        let config = OfficeConfig {
            keys: KeyRing::Kept(KeyDirectory::new(keys.path())),
            sources: Sources {
                catalog: catalog.into(),
                rules: Rules::embedded().unwrap().into(),
                calendar: Calendar::parse(CALENDAR).unwrap().into(),
                contracts: Contracts::of(RUNBOOKS.map(|(f, t)| (f.to_owned(), t.as_bytes().to_vec())))
                    .unwrap()
                    .into(),
            },
            clock: Arc::clone(&clock) as Arc<_>,
            planner: Arc::clone(&double) as Arc<_>,
            audience: "remediation".to_owned(),
            known: Known::Here { askers: vec!["midwatch".to_owned()] },
            limits: Limits::default(),
            ask_for: None,
        };
        let office = match store {
            Some(path) => Office::open(path, config).unwrap(),
            None => Office::in_memory(config).unwrap(),
        };
        Self {
            office: Arc::new(office),
            clock,
            double,
            first: Principal::person("first-on-call", ["oncall"]),
            second: Principal::person("second-on-call", ["oncall", "owner"]),
            asker: Principal::asker("midwatch"),
            server: Principal::server("remediation"),
            tier,
            keys,
        }
    }

    /// Files the usual request.
    pub(super) async fn file(&self) -> RequestView {
        self.office.file(&self.asker, asking()).await.unwrap().view
    }

    /// The permit for the usual request, as the server gets it.
    pub(super) fn fetch(&self) -> Option<Fetched> {
        self.office.fetch_permit(&self.server, "midwatch", &restart()).unwrap()
    }

    /// The same, verified as the server does.
    pub(super) fn verified(&self) -> Result<VerifiedPermit, PermitError> {
        let fetched = self.fetch().unwrap();
        let (keys, action) = (self.office.accepted_keys().unwrap(), restart());
        let demand = Demand {
            subject: "midwatch",
            audience: "remediation",
            request: &fetched.request,
            incident: None,
            action: &action,
            now: self.clock.now(),
        };
        verify(&fetched.token, &keys, &demand)
    }
}

fn keys() -> Arc<tempfile::TempDir> {
    let directory = tempfile::tempdir().unwrap();
    KeyDirectory::new(directory.path()).create(at(0)).unwrap();
    Arc::new(directory)
}

pub(super) fn incident() -> IncidentId {
    IncidentId::parse("inc-1").unwrap()
}

pub(super) fn restart() -> Action {
    of("a")
}

pub(super) fn of(service: &str) -> Action {
    Action::RestartService { service: ServiceName::parse(service).unwrap() }
}

pub(super) fn asking() -> Asking {
    Asking {
        subject: None,
        incident: Some(incident()),
        action: restart(),
        claimed: Some(Claimed {
            confidence_percent: 90,
            phase: "decide".to_owned(),
            severity: "alarm".to_owned(),
            evidence: vec!["E1".to_owned()],
        }),
        reason: "it leaks".to_owned(),
        evidence: vec![cited("memory grows")],
        runbook: None,
    }
}

pub(super) fn for_subject(subject: &str) -> Asking {
    Asking { subject: Some(subject.to_owned()), incident: None, claimed: None, ..asking() }
}

pub(super) fn cited(text: &str) -> Cited {
    Cited { id: EvidenceId::parse("E1").unwrap(), text: text.to_owned() }
}

pub(super) fn yes(view: &RequestView) -> Yes<'static> {
    Yes { shown: view.shown.digest().unwrap(), role: None, channel: "test" }
}
