//! Who is asked in the demo.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use midwatch_policy::Clock;
use midwatch_sim::World;

use crate::{
    approve::{Approver, Question, Reply},
    terminal::prompt::{self, Typed},
};

/// How long somebody takes who decided before they were asked.
const READING: Duration = Duration::from_secs(30);

/// The role that the demo's person answers in.
fn role_of(question: &Question) -> String {
    question.roles.first().cloned().unwrap_or_else(|| "oncall".to_owned())
}

/// Who answers; where several people are asked, the demo's person speaks for each in turn.
fn name(user: &str, question: &Question) -> String {
    let user = if user.is_empty() { "you" } else { user };
    match question.already.len() {
        0 => user.to_owned(),
        number => format!("{user} (as person {})", number + 1),
    }
}

/// Somebody who decided on the command line.
#[derive(Debug)]
pub(super) struct Decided {
    clock: Arc<dyn Clock>,
    approve: bool,
    channel: &'static str,
}

impl Decided {
    pub(super) fn new(clock: Arc<dyn Clock>, approve: bool, channel: &'static str) -> Self {
        Self { clock, approve, channel }
    }
}

impl Approver for Decided {
    fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            self.clock.sleep(READING).await;
            Reply {
                approve: self.approve,
                by: name("you", question),
                role: role_of(question),
                channel: self.channel.to_owned(),
                note: None,
            }
        })
    }
}

/// The person at the terminal. The world runs at 1× while they are asked.
#[derive(Debug)]
pub(super) struct AtTheTerminal {
    world: Arc<World>,
}

impl AtTheTerminal {
    pub(super) fn new(world: Arc<World>) -> Self {
        Self { world }
    }
}

/// Takes the countdown away, however the asking ends.
struct Cleared;

impl Drop for Cleared {
    fn drop(&mut self) {
        prompt::clear();
    }
}

impl Approver for AtTheTerminal {
    fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            let _real = self.world.run_at_real_time();
            let _cleared = Cleared;
            let approve = match prompt::ask(self.world.clock(), question.expires_at).await {
                Typed::Approve => true,
                Typed::Decline => false,
                Typed::Ended => std::future::pending().await,
            };
            Reply {
                approve,
                by: name(&std::env::var("USER").unwrap_or_default(), question),
                role: role_of(question),
                channel: "terminal".to_owned(),
                note: None,
            }
        })
    }
}
