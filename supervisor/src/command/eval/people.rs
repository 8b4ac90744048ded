//! The approver that a scenario scripts.

use std::sync::Arc;

use futures::future::BoxFuture;
use midwatch_policy::{Clock, RequestView};
use midwatch_sim::{Answer, World};

use crate::approve::Channel;

use super::super::seat::{Said, Seat, Yes};

#[derive(Debug)]
struct Scripted {
    clock: Arc<dyn Clock>,
    seat: Seat,
    script: midwatch_sim::Approver,
}

/// Whoever the scenario says; where several people are asked, each of them answers like that.
pub(super) fn scripted(world: &Arc<World>, seat: Seat) -> Arc<dyn Channel> {
    Arc::new(Scripted { clock: world.clock(), seat, script: world.approver().clone() })
}

impl Channel for Scripted {
    fn attend<'a>(&'a self, request: &'a RequestView) -> BoxFuture<'a, String> {
        Box::pin(async move {
            let yes = match self.script.answer {
                Answer::Approve => Yes::Approve,
                Answer::Decline => Yes::Decline,
                Answer::Silent => std::future::pending().await,
            };
            self.clock.sleep(self.script.after).await;
            let said = Said {
                by: format!("{}-{}", self.script.role, request.state.approvers().len() + 1),
                roles: vec![self.script.role.clone()],
                channel: "scenario",
                yes,
                note: self.script.reason.clone().unwrap_or_else(|| "no reason given".to_owned()),
            };
            self.seat.answer(request, &said).await
        })
    }
}
