//! Tools of guests: to whom they are lent.

use futures::future::join_all;

use super::Toolbox;
use crate::guests::Guest;

impl Toolbox {
    /// Adds servers that somebody else wrote, and has them come. Nobody waits for them here.
    pub fn attach_guests(&mut self, guests: Vec<Guest>) {
        for guest in &guests {
            guest.start();
        }
        self.guests.extend(guests);
    }

    /// The guest of that name.
    pub fn guest(&self, name: &str) -> Option<&Guest> {
        self.guests.iter().find(|guest| guest.name() == name)
    }

    /// Whether a third-party server belongs to this specialist, there or not.
    pub fn lends_to(&self, specialist: &str) -> bool {
        self.guests.iter().any(|guest| guest.config().specialists.iter().any(|name| name == specialist))
    }

    /// Waits, within bounds, for the guests of a specialist; says which of its tools there are, and
    /// what of its guests cannot be asked.
    pub async fn lent_to(&self, specialist: &str) -> (Vec<String>, Vec<String>) {
        let belongs = |guest: &&Guest| guest.config().specialists.iter().any(|name| name == specialist);
        let guests: Vec<&Guest> = self.guests.iter().filter(belongs).collect();
        join_all(guests.iter().map(|guest| guest.settle())).await;
        let tools = guests.iter().flat_map(|guest| guest.list()).map(|def| def.spec.name).collect();
        (tools, guests.iter().flat_map(|guest| guest.missing()).collect())
    }
}
