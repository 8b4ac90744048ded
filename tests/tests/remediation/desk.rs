//! A desk that does what a test says, as a compromised one might.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::future::{BoxFuture, ready};
use midwatch_policy::{Action, Outcome, PermitId, RequestId, RequestView};
use midwatch_remediation::{Offer, PermitSource, SourceError};

/// What it offers, answers and remembers.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    /// Offered for whatever is asked, to whomever.
    pub(crate) offer: Mutex<Option<Offer>>,
    /// Answered to every request; none is "no requests are taken".
    pub(crate) answer: Mutex<Option<Result<RequestView, SourceError>>>,
    /// Who asked for what.
    pub(crate) asked: Mutex<Vec<(String, Action)>>,
    /// What became of permits.
    pub(crate) used: Mutex<BTreeMap<String, Outcome>>,
    /// Whether a permit that was used stands no longer, as at an honest desk.
    pub(crate) remembers: AtomicBool,
    /// Whether nothing stands: all is taken back.
    pub(crate) took_back: AtomicBool,
    /// Whether it is away.
    pub(crate) silent: AtomicBool,
}

impl Desk {
    fn here(&self) -> Result<(), SourceError> {
        if self.silent.load(Ordering::SeqCst) {
            return Err(SourceError::Silent("connection refused".to_owned()));
        }
        Ok(())
    }

    pub(crate) fn set(&self, what: &AtomicBool) {
        let _ = self;
        what.store(true, Ordering::SeqCst);
    }
}

impl PermitSource for Desk {
    fn permit_for<'a>(
        &'a self,
        _: &'a str,
        _: &'a Action,
    ) -> BoxFuture<'a, Result<Option<Offer>, SourceError>> {
        Box::pin(ready(self.here().map(|()| self.offer.lock().unwrap().clone())))
    }

    fn ask<'a>(
        &'a self,
        subject: &'a str,
        action: &'a Action,
    ) -> BoxFuture<'a, Result<RequestView, SourceError>> {
        self.asked.lock().unwrap().push((subject.to_owned(), action.clone()));
        let none = || Err(SourceError::Silent("no requests are taken".to_owned()));
        let answer = self.answer.lock().unwrap().clone().unwrap_or_else(none);
        Box::pin(ready(self.here().and(answer)))
    }

    fn stands<'a>(&'a self, permit: &'a PermitId, _: &'a str) -> BoxFuture<'a, Result<bool, SourceError>> {
        let used = self.used.lock().unwrap().contains_key(permit.as_str());
        let gone = self.took_back.load(Ordering::SeqCst) || used && self.remembers.load(Ordering::SeqCst);
        Box::pin(ready(self.here().map(|()| !gone)))
    }

    fn used<'a>(&'a self, permit: &'a PermitId, outcome: Outcome) -> BoxFuture<'a, Result<(), SourceError>> {
        let noted = self.here().map(|()| {
            self.used.lock().unwrap().insert(permit.to_string(), outcome);
        });
        Box::pin(ready(noted))
    }

    fn withdraw<'a>(&'a self, _: &'a RequestId, _: &'a str) -> BoxFuture<'a, Result<(), SourceError>> {
        self.took_back.store(true, Ordering::SeqCst);
        Box::pin(ready(self.here()))
    }
}
