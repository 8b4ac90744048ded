//! Who is asked in the demo.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use midwatch_policy::Clock;
use midwatch_sim::World;
use tokio::sync::Notify;

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

/// The channel of an answer in somebody's place.
const SIMULATED: &str = "simulated";

/// Who answers, and how. There is one person at the demo: where policy asks several, the others
/// are simulated, and are called so wherever they appear.
fn who(user: &str, channel: &str, question: &Question) -> (String, String) {
    let user = if user.is_empty() { "you" } else { user };
    let simulated = |which: &str| (format!("simulated {which} person"), SIMULATED.to_owned());
    match question.already.len() {
        0 => (user.to_owned(), channel.to_owned()),
        1 => simulated("second"),
        2 => simulated("third"),
        number => simulated(&format!("{}th", number + 1)),
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
            let (by, channel) = who("you", self.channel, question);
            Reply { approve: self.approve, by, role: role_of(question), channel, note: None }
        })
    }
}

/// The person at the terminal. The world runs at 1× while they are asked.
#[derive(Debug)]
pub(super) struct AtTheTerminal {
    world: Arc<World>,
    gone: Notify,
}

impl AtTheTerminal {
    pub(super) fn new(world: Arc<World>) -> Self {
        // From here on, so that what is typed before a question is known to be early.
        prompt::listen();
        Self { world, gone: Notify::new() }
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
            let user = std::env::var("USER").unwrap_or_default();
            let (by, channel) = who(&user, "terminal", question);
            if channel == SIMULATED {
                prompt::say(&format!(
                    "SIMULATED: policy asks {}, and you are one. What you type now is the answer of a {by}; \
                     for real this is somebody else.",
                    question.whom
                ));
            }
            let _cleared = Cleared;
            let approve = match prompt::ask(self.world.clock(), question.expires_at).await {
                Typed::Approve => true,
                Typed::Decline => false,
                Typed::Ended => {
                    self.gone.notify_one();
                    std::future::pending().await
                }
            };
            Reply { approve, by, role: role_of(question), channel, note: None }
        })
    }

    fn gone(&self) -> BoxFuture<'_, String> {
        Box::pin(async move {
            self.gone.notified().await;
            "the input ended: nobody is there to answer".to_owned()
        })
    }
}
