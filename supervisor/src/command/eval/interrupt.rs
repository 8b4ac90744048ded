//! What an incident comes to that is interrupted, as if its process had been killed, and gone on
//! with: the same as if it had not been.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use midwatch_policy::{IncidentId, Timestamp};
use tokio::sync::Notify;

use crate::{
    journal::{Draft, Entry, Head, Journal, JournalFuture, Overview},
    run::{Outcome, Run},
};

/// When the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// After this many entries, before whoever wrote the last one hears of it.
    Unheard(u32),
    /// After this many entries, when the next one is to be written.
    Heard(u32),
}

impl Cut {
    /// `most` of them, spread over an incident of `entries`; all of them where there are not more.
    pub(super) fn spread(entries: u32, most: u32) -> Vec<Self> {
        let all = 2 * entries.saturating_sub(1);
        let picked = most.min(all);
        let at = |n: u32| (2 * u64::from(n) + 1) * u64::from(all) / (2 * u64::from(picked));
        let cut = |n: u64| {
            let after = u32::try_from(n / 2).unwrap_or(u32::MAX).saturating_add(1);
            if n.is_multiple_of(2) { Self::Unheard(after) } else { Self::Heard(after) }
        };
        (0..picked).map(|n| cut(at(n))).collect()
    }

    const fn after(self) -> u32 {
        match self {
            Self::Unheard(after) | Self::Heard(after) => after,
        }
    }
}

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unheard(after) => write!(f, "{after}"),
            Self::Heard(after) => write!(f, "{after}+"),
        }
    }
}

/// A journal whose process ends at a cut: from then on nothing is written and nobody is answered.
#[derive(Debug)]
pub(super) struct Mortal {
    kept: Arc<dyn Journal>,
    cut: Cut,
    written: AtomicU32,
    end: Notify,
}

impl Mortal {
    pub(super) fn new(kept: Arc<dyn Journal>, cut: Cut) -> Arc<Self> {
        Arc::new(Self { kept, cut, written: AtomicU32::new(0), end: Notify::new() })
    }

    /// Returns when the process has ended.
    pub(super) async fn ended(&self) {
        self.end.notified().await;
    }

    async fn die<T>(&self) -> T {
        self.end.notify_one();
        std::future::pending().await
    }

    fn is_dead(&self) -> bool {
        self.written.load(Ordering::SeqCst) > self.cut.after()
    }
}

impl Journal for Mortal {
    fn append<'a>(
        &'a self,
        incident: &'a IncidentId,
        expected: u32,
        mut drafts: Vec<Draft>,
    ) -> JournalFuture<'a, u32> {
        Box::pin(async move {
            let wanted = u32::try_from(drafts.len()).unwrap_or(u32::MAX);
            let before = self.written.fetch_add(wanted, Ordering::SeqCst);
            let left = self.cut.after().saturating_sub(before);
            if wanted < left || (wanted == left && matches!(self.cut, Cut::Heard(_))) {
                return self.kept.append(incident, expected, drafts).await;
            }
            drafts.truncate(usize::try_from(left).unwrap_or(0));
            self.kept.append(incident, expected, drafts).await?;
            self.written.fetch_add(1, Ordering::SeqCst);
            self.die().await
        })
    }

    fn touch(&self, now: Timestamp) -> JournalFuture<'_, ()> {
        self.kept.touch(now)
    }

    fn read<'a>(&'a self, incident: &'a IncidentId) -> JournalFuture<'a, Vec<Entry>> {
        self.kept.read(incident)
    }

    fn head<'a>(&'a self, incident: &'a IncidentId) -> JournalFuture<'a, Option<Head>> {
        self.kept.head(incident)
    }

    fn heads(&self) -> JournalFuture<'_, Vec<Head>> {
        self.kept.heads()
    }

    fn overview(&self, most: u32) -> JournalFuture<'_, Vec<Overview>> {
        self.kept.overview(most)
    }

    fn forget(&self, before: Timestamp, most: u32) -> JournalFuture<'_, u32> {
        self.kept.forget(before, most)
    }

    fn open<'a>(&'a self, end: &'a str) -> JournalFuture<'a, Vec<IncidentId>> {
        self.kept.open(end)
    }

    fn keep(&self, pieces: Vec<Vec<u8>>) -> JournalFuture<'_, Vec<String>> {
        Box::pin(async move { if self.is_dead() { self.die().await } else { self.kept.keep(pieces).await } })
    }

    fn kept<'a>(&'a self, digest: &'a str) -> JournalFuture<'a, Option<Vec<u8>>> {
        self.kept.kept(digest)
    }
}

/// Whether the process ended between the intent to act and the call, as far as it can know.
pub(super) fn in_doubt(entries: &[Entry], cut: Cut) -> bool {
    let last = usize::try_from(cut.after()).ok().and_then(|n| entries.get(n.checked_sub(1)?));
    last.is_some_and(|entry| entry.kind == "intended")
}

/// What is another than without the interruption, and should not be.
pub(super) fn differences(whole: &Run, resumed: &Run, in_doubt: bool) -> Vec<String> {
    let mut all = Vec::new();
    let mut same = |what: &str, whole: String, resumed: String| {
        if whole != resumed {
            all.push(format!("{what} is {resumed}, without the interruption it is {whole}"));
        }
    };
    same("verdict", whole.verdict.to_string(), resumed.verdict.to_string());
    same("cause", format!("{:?}", whole.cause), format!("{:?}", resumed.cause));
    // Nobody calls again what may have been called: then a person is told.
    if in_doubt && resumed.outcome == Outcome::Escalated {
        return all;
    }
    same("outcome", format!("{:?}", whole.outcome), format!("{:?}", resumed.outcome));
    same("escalation", whole.escalated.to_string(), resumed.escalated.to_string());
    let answer =
        |run: &Run| format!("{:?}", run.proposal.as_ref().map(|p| (p.plan.action.clone(), p.answer)));
    same("proposal", answer(whole), answer(resumed));
    let tools = |run: &Run| run.actions.iter().map(|a| a.tool.clone()).collect::<Vec<_>>().join(", ");
    same("what was done", tools(whole), tools(resumed));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_are_spread_over_the_whole_incident() {
        let all = Cut::spread(3, 100);
        assert_eq!(all, [Cut::Unheard(1), Cut::Heard(1), Cut::Unheard(2), Cut::Heard(2)]);
        let few = Cut::spread(100, 4);
        assert_eq!(few.iter().map(|c| c.after()).collect::<Vec<_>>(), [13, 38, 62, 87]);
        assert!(few.iter().any(|c| matches!(c, Cut::Heard(_))));
        assert_eq!(Cut::spread(1, 5), []);
    }
}
