//! The other alarms of an incident, for those who hear of it: how many, and the first few.
//!
//! Names come from outside: redacted, one line and bounded here, and quoted where they are shown.

use std::collections::BTreeSet;

use futures::future::BoxFuture;
use midwatch_policy::{Catalog, IncidentId, ServiceName, redact};
use serde::{Deserialize, Serialize};

use crate::{
    alarm::Alarm,
    intake::{identity::AlarmKey, service_of},
    terminal::text::{clean, fit},
};

/// So many are named.
const NAMED: usize = 5;
/// Longest name, in characters.
const NAME: usize = 80;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Other {
    /// Its name, from outside.
    pub name: String,
    /// Its service, if the catalog knows it.
    pub service: Option<ServiceName>,
}

/// The alarms of an incident beside the one it was opened for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Others {
    /// How many different ones.
    pub count: usize,
    /// The first few, as they came.
    pub first: Vec<Other>,
}

impl Others {
    /// Whether there is none.
    pub const fn is_none(&self) -> bool {
        self.count == 0
    }

    /// Such as `3 more alarms`; nothing where there is none.
    pub fn counted(&self) -> Option<String> {
        match self.count {
            0 => None,
            1 => Some("1 more alarm".to_owned()),
            count => Some(format!("{count} more alarms")),
        }
    }

    /// The names of the first few with their services, and how many are not named.
    pub fn names(&self) -> String {
        let mut names: Vec<String> = Vec::new();
        for Other { name, service } in &self.first {
            let of = service.as_ref().map_or_else(|| "no known service".to_owned(), ToString::to_string);
            names.push(format!("`{}` ({of})", name.replace('`', "'")));
        }
        match self.count.saturating_sub(self.first.len()) {
            0 => {}
            left => names.push(format!("{left} not named here")),
        }
        names.join(", ")
    }
}

/// Knows the other alarms of an incident, at any time.
pub trait Company: Send + Sync + std::fmt::Debug {
    /// Those beside the one it was opened for; none where they cannot be read.
    fn of<'a>(&'a self, incident: &'a IncidentId, lead: &'a Alarm) -> BoxFuture<'a, Others>;
}

/// Gathers them as they come in.
#[derive(Debug)]
pub struct Gathered {
    /// The alarm it was opened for, and those that are counted.
    known: BTreeSet<AlarmKey>,
    others: Others,
}

impl Gathered {
    /// None yet, beside the one that the incident was opened for.
    pub fn beside(lead: &Alarm) -> Self {
        Self { known: BTreeSet::from([AlarmKey::of(lead)]), others: Others::default() }
    }

    /// One came in, for the first time or once more.
    pub fn take(&mut self, alarm: &Alarm, catalog: &Catalog) {
        if !self.known.insert(AlarmKey::of(alarm)) {
            return;
        }
        self.others.count = self.others.count.saturating_add(1);
        if self.others.first.len() < NAMED {
            let near: String = alarm.name.chars().take(NAME * 4).collect();
            let name = fit(&clean(&redact(&near).text), NAME);
            let service = service_of(alarm, catalog).map(|service| service.name.clone());
            self.others.first.push(Other { name, service });
        }
    }

    /// Those that came in so far.
    pub fn others(&self) -> Others {
        self.others.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lead_and_repeats_do_not_count_and_few_are_named() {
        let alarm = |name: &str| {
            let text = format!(r#"{{"name":"{name}","state":"firing","at":"2026-11-21T02:00:00Z"}}"#);
            crate::alarm::parse(&text).unwrap()
        };
        let catalog =
            Catalog::parse("[[service]]\nname='web'\ntier=1\nenvironment='production'\nalarms=['web-*']")
                .unwrap();
        let mut gathered = Gathered::beside(&alarm("web-5xx"));
        assert_eq!((gathered.others().counted(), gathered.others().names()), (None, String::new()));
        for name in ["web-5xx", "web-slow", "db-full", "web-slow"] {
            gathered.take(&alarm(name), &catalog);
        }
        let two = gathered.others();
        assert_eq!(two.counted().unwrap(), "2 more alarms");
        assert_eq!(two.names(), "`web-slow` (web), `db-full` (no known service)");
        for n in 0..40 {
            gathered.take(&alarm(&format!("n{n}-password=hunter2secret {}", "x".repeat(200))), &catalog);
        }
        let many = gathered.others();
        assert_eq!((many.count, many.first.len()), (42, 5));
        assert!(many.names().ends_with(", 37 not named here"), "{}", many.names());
        assert!(many.first.iter().all(|one| one.name.chars().count() <= 80 && !one.name.contains("hunter2")));
    }
}
