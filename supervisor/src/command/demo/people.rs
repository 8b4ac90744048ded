//! Who is asked in the demo. They answer at the desk, as everybody does.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use midwatch_policy::{Clock, RequestView};
use midwatch_sim::World;

use crate::{
    approve::Channel,
    terminal::prompt::{self, Typed},
};

use super::super::seat::{Said, Seat, Yes};

/// How long somebody takes who decided before they were asked.
const READING: Duration = Duration::from_secs(30);

/// The channel of an answer in somebody's place.
const SIMULATED: &str = "simulated";

/// Who answers, and how. There is one person at the demo: where policy asks several, the others
/// are simulated, and are called so wherever they appear.
fn who(user: &str, channel: &'static str, request: &RequestView) -> (String, &'static str) {
    let user = if user.is_empty() { "you" } else { user };
    let simulated = |which: &str| (format!("simulated {which} person"), SIMULATED);
    match request.state.approvers().len() {
        0 => (user.to_owned(), channel),
        1 => simulated("second"),
        2 => simulated("third"),
        number => simulated(&format!("{}th", number + 1)),
    }
}

/// What one of them says; whatever role is asked, they have it.
fn said(user: &str, channel: &'static str, yes: Yes, request: &RequestView) -> Said {
    let (by, channel) = who(user, channel, request);
    let roles = request.shown.asks.iter().map(|ask| ask.role.clone()).collect();
    Said { by, roles, channel, yes, note: "no reason given".to_owned() }
}

/// Somebody who decided on the command line.
#[derive(Debug)]
pub(super) struct Decided {
    clock: Arc<dyn Clock>,
    seat: Seat,
    yes: Yes,
    channel: &'static str,
}

impl Decided {
    pub(super) fn new(clock: Arc<dyn Clock>, seat: Seat, yes: Yes, channel: &'static str) -> Self {
        Self { clock, seat, yes, channel }
    }
}

impl Channel for Decided {
    fn attend<'a>(&'a self, request: &'a RequestView) -> BoxFuture<'a, String> {
        Box::pin(async move {
            self.clock.sleep(READING).await;
            self.seat.answer(request, &said("you", self.channel, self.yes, request)).await
        })
    }
}

/// The person at the terminal. The world runs at 1× while they are asked.
#[derive(Debug)]
pub(super) struct AtTheTerminal {
    world: Arc<World>,
    seat: Seat,
}

impl AtTheTerminal {
    pub(super) fn new(world: Arc<World>, seat: Seat) -> Self {
        // From here on, so that what is typed before a question is known to be early.
        prompt::listen();
        Self { world, seat }
    }
}

/// Takes the countdown away, however the asking ends.
struct Cleared;

impl Drop for Cleared {
    fn drop(&mut self) {
        prompt::clear();
    }
}

impl Channel for AtTheTerminal {
    fn attend<'a>(&'a self, request: &'a RequestView) -> BoxFuture<'a, String> {
        Box::pin(async move {
            let _real = self.world.run_at_real_time();
            let user = std::env::var("USER").unwrap_or_default();
            let (by, channel) = who(&user, "terminal", request);
            if channel == SIMULATED {
                prompt::say(&format!(
                    "SIMULATED: policy asks {}, and you are one. What you type now is the answer of a {by}; \
                     for real this is somebody else.",
                    request.shown.whom()
                ));
            }
            let cleared = Cleared;
            let yes = match prompt::ask(self.world.clock(), request.shown.expires_at).await {
                Typed::Approve => Yes::Approve,
                Typed::Decline => Yes::Decline,
                Typed::Ended => return "the input ended: nobody is there to answer".to_owned(),
            };
            drop(cleared);
            self.seat.answer(request, &said(&user, "terminal", yes, request)).await
        })
    }
}
