//! What is read and written in a transaction.

use midwatch_policy::{
    Action, Asking, Hold, HoldState, IncidentId, PermitId, Raised, RequestId, RequestState, RequestView,
    Shown, Timestamp, unmet,
};
use rusqlite::{OptionalExtension as _, Params, params};
use serde::{Deserialize, Serialize};

use super::Tx;
use crate::desk::error::DeskError;

/// A request, as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::desk) struct Record {
    /// What people are shown.
    pub(in crate::desk) shown: Shown,
    /// What became of it, as last written.
    pub(in crate::desk) state: RequestState,
    /// The principal that filed it.
    pub(in crate::desk) asker: String,
    /// What it asked with, to plan it anew.
    pub(in crate::desk) asking: Asking,
    /// Where a person raised it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::desk) raised: Option<Raised>,
    /// When who approved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::desk) given: Vec<Given>,
    /// The store in which the permit may be spent: the first that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::desk) spender: Option<String>,
}

/// An approval's time.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::desk) struct Given {
    /// Whose.
    by: String,
    /// When.
    at: Timestamp,
}

impl Record {
    /// What became of it by now: a deadline that has passed has passed, written down or not.
    pub(in crate::desk) fn state_at(&self, now: Timestamp) -> RequestState {
        self.state
            .step(&self.shown, &midwatch_policy::RequestEvent::Tick, now)
            .unwrap_or_else(|_| self.state.clone())
    }

    /// What others see.
    pub(in crate::desk) fn view(&self, now: Timestamp) -> Result<RequestView, DeskError> {
        let state = self.state_at(now);
        let wanted = match &state {
            RequestState::Open { approvers } => unmet(&self.shown.asks, approvers),
            _ => Vec::new(),
        };
        let digest = self.shown.digest().map_err(|_| unreadable())?;
        Ok(RequestView { shown: self.shown.clone(), digest, state, wanted, raised: self.raised.clone() })
    }

    /// Notes when somebody approved.
    pub(in crate::desk) fn note(&mut self, by: &str, at: Timestamp) {
        self.given.push(Given { by: by.to_owned(), at });
    }

    /// When somebody approved last; nothing where it was not noted.
    pub(in crate::desk) fn approved_at(&self, who: &str) -> Option<Timestamp> {
        self.given.iter().rev().find(|given| given.by == who).map(|given| given.at)
    }

    /// The permit that can still be used, if there is one.
    pub(in crate::desk) fn standing_permit(&self, now: Timestamp) -> Option<&PermitId> {
        match &self.state {
            RequestState::Approved { permit, until, .. } if now < *until => Some(permit),
            _ => None,
        }
    }
}

fn unreadable() -> DeskError {
    tracing::error!("a row of the desk's store is not readable");
    DeskError::internal("the desk's store holds something that is not readable")
}

fn parse<T: for<'a> Deserialize<'a>>(text: &str) -> Result<T, DeskError> {
    serde_json::from_str(text).map_err(|_| unreadable())
}

fn write<T: Serialize>(value: &T) -> Result<String, DeskError> {
    serde_json::to_string(value).map_err(|_| unreadable())
}

/// The key under which an action is found again: all of it, in one form.
pub(super) fn key_of(action: &Action) -> Result<String, DeskError> {
    Ok(action.digest().map_err(|_| unreadable())?.to_string())
}

impl Tx<'_> {
    /// When this happens.
    pub(in crate::desk) const fn now(&self) -> Timestamp {
        self.now
    }

    fn records(&self, condition: &str, values: impl Params) -> Result<Vec<Record>, DeskError> {
        let sql = format!("SELECT record FROM requests WHERE {condition}");
        let mut statement = self.inner.prepare_cached(&sql)?;
        let texts: Vec<String> = statement.query_map(values, |row| row.get(0))?.collect::<Result<_, _>>()?;
        texts.iter().map(|text| parse(text)).collect()
    }

    fn record(&self, condition: &str, values: impl Params) -> Result<Option<Record>, DeskError> {
        Ok(self.records(condition, values)?.into_iter().next())
    }

    fn count(&self, condition: &str, values: impl Params) -> Result<u32, DeskError> {
        let sql = format!("SELECT count(*) FROM requests WHERE {condition}");
        Ok(self.inner.prepare_cached(&sql)?.query_row(values, |row| row.get(0))?)
    }

    /// The request of that id.
    pub(in crate::desk) fn request(&self, id: &RequestId) -> Result<Option<Record>, DeskError> {
        self.record("id = ?1", [id.as_str()])
    }

    /// The request that a permit answers.
    pub(in crate::desk) fn request_of(&self, permit: &PermitId) -> Result<Option<Record>, DeskError> {
        self.record("permit = ?1", [permit.as_str()])
    }

    /// The newest requests, newest first.
    pub(in crate::desk) fn newest(&self, state: Option<&str>, most: u32) -> Result<Vec<Record>, DeskError> {
        self.records("(?1 IS NULL OR state = ?1) ORDER BY seq DESC LIMIT ?2", params![state, most])
    }

    /// Requests of an asker that a person raised again: those since then, and those that still can be
    /// answered or acted on. The newest of them, oldest first.
    pub(in crate::desk) fn raised_for(
        &self,
        asker: &str,
        since: Timestamp,
        most: u32,
    ) -> Result<Vec<Record>, DeskError> {
        let mut newest = self.records(
            "asker = ?1 AND json_extract(record, '$.raised.from') IS NOT NULL AND (filed_ms > ?2 OR \
             state = 'open' OR (state = 'approved' AND until_ms > ?3)) ORDER BY seq DESC LIMIT ?4",
            params![asker, since.as_millisecond(), self.now.as_millisecond(), most],
        )?;
        newest.reverse();
        Ok(newest)
    }

    /// Requests of an incident that have not ended.
    pub(in crate::desk) fn unfinished_of(&self, incident: &IncidentId) -> Result<Vec<Record>, DeskError> {
        self.records("incident = ?1 AND state IN ('open', 'approved')", [incident.as_str()])
    }

    /// Requests that are open, or whose permit can still be used.
    pub(in crate::desk) fn unfinished(&self) -> Result<Vec<Record>, DeskError> {
        self.records("state = 'open' OR (state = 'approved' AND until_ms > ?1)", [self.now.as_millisecond()])
    }

    /// Requests whose deadline has passed, and that say so nowhere yet.
    pub(in crate::desk) fn overdue(&self) -> Result<Vec<Record>, DeskError> {
        self.records("state = 'open' AND expires_ms <= ?1", [self.now.as_millisecond()])
    }

    /// Requests of a subject for exactly this action, in one of two states, newest first.
    pub(in crate::desk) fn same(
        &self,
        subject: &str,
        action: &Action,
        states: [&str; 2],
    ) -> Result<Vec<Record>, DeskError> {
        let [one, other] = states;
        let key = key_of(action)?;
        self.records(
            "subject = ?1 AND action = ?2 AND state IN (?3, ?4) ORDER BY seq DESC",
            params![subject, key, one, other],
        )
    }

    /// How many open requests a subject has.
    pub(in crate::desk) fn open_of_subject(&self, subject: &str) -> Result<u32, DeskError> {
        let now = self.now.as_millisecond();
        self.count("subject = ?1 AND state = 'open' AND expires_ms > ?2", params![subject, now])
    }

    /// How many open requests a subject has about a service.
    pub(in crate::desk) fn open_about(&self, subject: &str, service: &str) -> Result<u32, DeskError> {
        self.count(
            "subject = ?1 AND service = ?2 AND state = 'open' AND expires_ms > ?3",
            params![subject, service, self.now.as_millisecond()],
        )
    }

    /// How many requests a subject has filed since then.
    pub(in crate::desk) fn filed_by_subject(
        &self,
        subject: &str,
        since: Timestamp,
    ) -> Result<u32, DeskError> {
        self.count("subject = ?1 AND filed_ms > ?2", params![subject, since.as_millisecond()])
    }

    /// How many requests about a service a subject has filed since then.
    pub(in crate::desk) fn filed_about(
        &self,
        subject: &str,
        service: &str,
        since: Timestamp,
    ) -> Result<u32, DeskError> {
        self.count(
            "subject = ?1 AND service = ?2 AND filed_ms > ?3",
            params![subject, service, since.as_millisecond()],
        )
    }

    /// Keeps a new request.
    pub(in crate::desk) fn insert(&self, record: &Record) -> Result<(), DeskError> {
        let shown = &record.shown;
        let action = &shown.plan.action;
        let (key, text) = (key_of(action)?, write(record)?);
        self.inner
            .prepare_cached(
                "INSERT INTO requests (id, filed_ms, expires_ms, incident, subject, asker, audience, service, \
                 action, state, record) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                shown.request.as_str(),
                shown.filed_at.as_millisecond(),
                shown.expires_at.as_millisecond(),
                shown.incident.as_str(),
                shown.subject,
                record.asker,
                shown.audience,
                action.service().as_str(),
                key,
                record.state.as_str(),
                text,
            ])?;
        Ok(())
    }

    /// Writes down what became of a request. A token whose permit can no longer be used goes.
    pub(in crate::desk) fn update(&self, record: &Record) -> Result<(), DeskError> {
        let (permit, until) = match &record.state {
            RequestState::Approved { permit, until, .. } => (Some(permit), Some(until.as_millisecond())),
            RequestState::Used { permit, .. } | RequestState::Revoked { permit, .. } => (Some(permit), None),
            _ => (None, None),
        };
        let text = write(record)?;
        self.inner
            .prepare_cached(
                "UPDATE requests SET state = ?2, permit = coalesce(?3, permit), until_ms = ?4, record = ?5 \
                 WHERE id = ?1",
            )?
            .execute(params![
                record.shown.request.as_str(),
                record.state.as_str(),
                permit.map(PermitId::as_str),
                until,
                text
            ])?;
        self.wipe_tokens()?;
        Ok(())
    }

    /// Keeps a signed permit for the server to fetch.
    pub(in crate::desk) fn keep_token(&self, permit: &PermitId, token: &str) -> Result<(), DeskError> {
        self.inner.execute("INSERT INTO tokens VALUES (?1, ?2)", [permit.as_str(), token])?;
        Ok(())
    }

    /// The signed permit, where it still can be used.
    pub(in crate::desk) fn token(&self, permit: &PermitId) -> Result<Option<String>, DeskError> {
        let mut statement = self.inner.prepare_cached("SELECT token FROM tokens WHERE permit = ?1")?;
        Ok(statement.query_row([permit.as_str()], |row| row.get(0)).optional()?)
    }

    /// Removes tokens of permits that were used, voided or ran out.
    pub(in crate::desk) fn wipe_tokens(&self) -> Result<(), DeskError> {
        let wiped = self
            .inner
            .prepare_cached(
                "DELETE FROM tokens WHERE permit NOT IN (SELECT permit FROM requests \
                 WHERE state = 'approved' AND permit IS NOT NULL AND until_ms > ?1)",
            )?
            .execute([self.now.as_millisecond()])?;
        if wiped > 0 {
            self.wiped.set(true);
        }
        Ok(())
    }

    /// Whose an incident is.
    pub(in crate::desk) fn hold(&self, incident: &IncidentId) -> Result<Hold, DeskError> {
        let mut statement = self.inner.prepare_cached("SELECT hold FROM holds WHERE incident = ?1")?;
        let text: Option<String> = statement.query_row([incident.as_str()], |row| row.get(0)).optional()?;
        match text {
            Some(text) => parse(&text),
            None => Ok(Hold {
                incident: incident.clone(),
                state: HoldState::Working,
                by: None,
                note: String::new(),
                at: None,
            }),
        }
    }

    /// Whose the incidents of an asker are that a person held at some time: those whose journal it
    /// keeps, or for which it asked.
    pub(in crate::desk) fn holds_of(&self, asker: &str) -> Result<Vec<Hold>, DeskError> {
        let mut statement = self.inner.prepare_cached(
            "SELECT hold FROM holds h WHERE EXISTS (SELECT 1 FROM seals WHERE incident = h.incident AND \
             asker = ?1) OR EXISTS (SELECT 1 FROM requests WHERE incident = h.incident AND asker = ?1)",
        )?;
        let texts: Vec<String> = statement.query_map([asker], |row| row.get(0))?.collect::<Result<_, _>>()?;
        texts.iter().map(|text| parse(text)).collect()
    }

    /// Writes down whose an incident is.
    pub(in crate::desk) fn set_hold(&self, hold: &Hold) -> Result<(), DeskError> {
        let text = write(hold)?;
        self.inner
            .execute("INSERT OR REPLACE INTO holds VALUES (?1, ?2)", [hold.incident.as_str(), &text])?;
        Ok(())
    }

    /// Who last sealed an incident's journal, with how many entries and which head.
    pub(in crate::desk) fn sealed(
        &self,
        incident: &IncidentId,
    ) -> Result<Option<(String, u32, String)>, DeskError> {
        let mut statement =
            self.inner.prepare_cached("SELECT asker, entries, head FROM seals WHERE incident = ?1")?;
        Ok(statement
            .query_row([incident.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?)
    }

    /// Remembers a seal.
    pub(in crate::desk) fn set_seal(
        &self,
        incident: &IncidentId,
        asker: &str,
        (entries, head, signature): (u32, &str, &str),
    ) -> Result<(), DeskError> {
        self.inner.execute(
            "INSERT OR REPLACE INTO seals VALUES (?1, ?2, ?3, ?4, ?5)",
            params![incident.as_str(), asker, entries, head, signature],
        )?;
        Ok(())
    }
}
