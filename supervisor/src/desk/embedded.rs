//! A desk in this process: for the world, with a throw-away key, and nothing that outlives it.

use std::sync::Arc;

use futures::future::{BoxFuture, ready};
use midwatch_policy::{
    Action, Asking, Clock, Digest, GivenBack, Hold, IncidentId, Outcome, PermitId, PublicKeys, RequestId,
    RequestState, RequestView, SignedDuration,
};
use midwatch_remediation::{Offer, PermitSource, SourceError};

use super::{
    error::DeskError,
    office::{Known, Limits, Office, OfficeConfig, Yes, mark},
    planner::Planner,
    port::Desk,
    principal::Principal,
    ring::KeyRing,
    sources::Sources,
};

/// What an embedded desk is made of.
#[derive(Debug)]
pub struct EmbeddedConfig {
    /// Catalog, policy, calendar and runbooks.
    pub sources: Sources,
    /// The world's clock.
    pub clock: Arc<dyn Clock>,
    /// Who plans.
    pub planner: Arc<dyn Planner>,
    /// The supervisor in this process.
    pub asker: String,
    /// The remediation server in this process, as permits name it.
    pub audience: String,
    /// How long people are asked, where that is shorter than policy says.
    pub ask_for: Option<SignedDuration>,
}

/// A desk in this process, as its supervisor and its remediation server see it.
#[derive(Debug, Clone)]
pub struct EmbeddedDesk {
    office: Arc<Office>,
    asker: Principal,
    server: Principal,
}

/// A person at a desk in this process.
#[derive(Debug, Clone)]
pub struct AtTheDesk {
    office: Arc<Office>,
    person: Principal,
}

impl EmbeddedDesk {
    /// A desk with a key of its own, which ends with it.
    pub fn new(config: EmbeddedConfig) -> Result<Self, DeskError> {
        let EmbeddedConfig { sources, clock, planner, asker, audience, ask_for } = config;
        let unmade = |error: &dyn std::error::Error| {
            DeskError::internal(format!("the desk cannot be set up: {error}"))
        };
        let office = Office::in_memory(OfficeConfig {
            keys: KeyRing::throw_away().map_err(|e| unmade(&e))?,
            sources,
            clock,
            planner,
            audience: audience.clone(),
            known: Known::Here { askers: vec![asker.clone()] },
            limits: Limits::default(),
            ask_for,
        })
        .map_err(|e| unmade(&e))?;
        let (asker, server) = (Principal::asker(asker), Principal::server(audience));
        Ok(Self { office: Arc::new(office), asker, server })
    }

    /// The keys that the remediation server accepts.
    pub fn public_keys(&self) -> Result<PublicKeys, DeskError> {
        self.office.accepted_keys()
    }

    /// Somebody who answers in this process, in these roles.
    pub fn as_person(&self, name: &str, roles: impl IntoIterator<Item = impl Into<String>>) -> AtTheDesk {
        AtTheDesk { office: Arc::clone(&self.office), person: Principal::person(name, roles) }
    }
}

impl AtTheDesk {
    /// All requests, newest first.
    pub fn list(&self) -> Result<Vec<RequestView>, DeskError> {
        self.office.list(&self.person, None)
    }

    /// A request.
    pub fn view(&self, id: &RequestId) -> Result<RequestView, DeskError> {
        self.office.view(&self.person, id)
    }

    /// Approves what was shown, in the first role that is asked for.
    pub fn approve(&self, id: &RequestId, shown: Digest, channel: &str) -> Result<RequestView, DeskError> {
        self.office.approve(&self.person, id, Yes { shown, role: None, channel })
    }

    /// Declines.
    pub fn decline(&self, id: &RequestId, reason: &str) -> Result<RequestView, DeskError> {
        self.office.decline(&self.person, id, reason)
    }

    /// Files an ended request once more.
    pub async fn raise(&self, id: &RequestId) -> Result<RequestView, DeskError> {
        self.office.raise(&self.person, id).await.map(|filed| filed.view)
    }

    /// Takes a permit back.
    pub fn revoke(&self, permit: &PermitId, reason: &str) -> Result<RequestView, DeskError> {
        self.office.revoke(&self.person, permit, reason)
    }

    /// Takes an incident over.
    pub fn take(&self, incident: &IncidentId, note: &str) -> Result<Hold, DeskError> {
        self.office.take(&self.person, incident, note)
    }

    /// Stops Midwatch's work on an incident.
    pub fn stop(&self, incident: &IncidentId, note: &str) -> Result<Hold, DeskError> {
        self.office.stop(&self.person, incident, note)
    }

    /// Hands an incident back.
    pub fn hand_back(&self, incident: &IncidentId, note: &str) -> Result<Hold, DeskError> {
        self.office.hand_back(&self.person, incident, note)
    }
}

impl Desk for EmbeddedDesk {
    fn file(&self, asking: Asking) -> BoxFuture<'_, Result<RequestView, DeskError>> {
        Box::pin(async move { self.office.file(&self.asker, asking).await.map(|filed| filed.view) })
    }

    fn wait<'a>(
        &'a self,
        id: &'a RequestId,
        seen: &'a RequestState,
    ) -> BoxFuture<'a, Result<RequestView, DeskError>> {
        Box::pin(async move { self.office.wait(&self.asker, id, &mark(seen), None).await })
    }

    fn withdraw<'a>(
        &'a self,
        id: &'a RequestId,
        why: &'a str,
    ) -> BoxFuture<'a, Result<RequestView, DeskError>> {
        Box::pin(ready(self.office.withdraw(&self.asker, id, why)))
    }

    fn hold<'a>(&'a self, incident: &'a IncidentId) -> BoxFuture<'a, Result<Hold, DeskError>> {
        Box::pin(ready(self.office.hold(incident)))
    }

    fn given_back(&self) -> BoxFuture<'_, Result<GivenBack, DeskError>> {
        Box::pin(ready(self.office.given_back(&self.asker)))
    }

    fn seal<'a>(
        &'a self,
        incident: &'a IncidentId,
        entries: u32,
        head: Digest,
    ) -> BoxFuture<'a, Result<String, DeskError>> {
        Box::pin(ready(self.office.seal(&self.asker, incident, entries, head)))
    }
}

impl PermitSource for EmbeddedDesk {
    fn permit_for<'a>(
        &'a self,
        subject: &'a str,
        action: &'a Action,
    ) -> BoxFuture<'a, Result<Option<Offer>, SourceError>> {
        Box::pin(ready(self.office.fetch_permit(&self.server, subject, action).map_err(refused)))
    }

    fn ask<'a>(
        &'a self,
        subject: &'a str,
        action: &'a Action,
    ) -> BoxFuture<'a, Result<RequestView, SourceError>> {
        Box::pin(async move {
            let asking = Asking {
                subject: Some(subject.to_owned()),
                incident: None,
                action: action.clone(),
                claimed: None,
                reason: format!("`{subject}` called `{}` without a permit", action.kind()),
                evidence: Vec::new(),
                runbook: None,
            };
            self.office.file(&self.server, asking).await.map(|filed| filed.view).map_err(refused)
        })
    }

    fn stands<'a>(
        &'a self,
        permit: &'a PermitId,
        store: &'a str,
    ) -> BoxFuture<'a, Result<bool, SourceError>> {
        Box::pin(ready(self.office.check(&self.server, permit, store).map_err(refused)))
    }

    fn used<'a>(&'a self, permit: &'a PermitId, outcome: Outcome) -> BoxFuture<'a, Result<(), SourceError>> {
        Box::pin(ready(self.office.used(&self.server, permit, outcome).map(|_| ()).map_err(refused)))
    }

    fn withdraw<'a>(
        &'a self,
        request: &'a RequestId,
        why: &'a str,
    ) -> BoxFuture<'a, Result<(), SourceError>> {
        Box::pin(ready(self.office.withdraw(&self.server, request, why).map(|_| ()).map_err(refused)))
    }
}

fn refused(error: DeskError) -> SourceError {
    SourceError::Desk(error.into_wire())
}
