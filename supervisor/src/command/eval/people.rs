//! The approver that a scenario scripts.

use std::sync::Arc;

use futures::future::BoxFuture;
use midwatch_policy::Clock;
use midwatch_sim::{Answer, World};

use crate::approve::{Approver, Question, Reply};

#[derive(Debug)]
struct Scripted {
    clock: Arc<dyn Clock>,
    script: midwatch_sim::Approver,
}

/// Whoever the scenario says; where several people are asked, each of them answers like that.
pub(super) fn scripted(world: &Arc<World>) -> Arc<dyn Approver> {
    Arc::new(Scripted { clock: world.clock(), script: world.approver().clone() })
}

impl Approver for Scripted {
    fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            let approve = match self.script.answer {
                Answer::Approve => true,
                Answer::Decline => false,
                Answer::Silent => std::future::pending().await,
            };
            self.clock.sleep(self.script.after).await;
            Reply {
                approve,
                by: format!("{}-{}", self.script.role, question.already.len() + 1),
                role: self.script.role.clone(),
                channel: "scenario".to_owned(),
                note: self.script.reason.clone(),
            }
        })
    }
}
