//! What people said and an incident's writer has, but has not written yet. Told again meanwhile, it
//! would stand in the journal more than once.

use std::collections::BTreeMap;

use tokio::task::JoinHandle;

use crate::event::Event;

/// By the place in the inbox; what is not written in the end is given back by its task.
#[derive(Debug, Default)]
pub(super) struct UnderWay(BTreeMap<i64, JoinHandle<Vec<Event>>>);

impl UnderWay {
    /// One more.
    pub(super) fn add(&mut self, seq: i64, telling: JoinHandle<Vec<Event>>) {
        self.0.insert(seq, telling);
    }

    /// Whether it must not be told again yet.
    pub(super) fn has(&self, seq: i64) -> bool {
        self.0.contains_key(&seq)
    }

    /// Those that are in their journals now. Those that never will be are not under way any more.
    pub(super) async fn arrived(&mut self) -> Vec<i64> {
        let done: Vec<i64> =
            self.0.iter().filter(|(_, telling)| telling.is_finished()).map(|(seq, _)| *seq).collect();
        let mut arrived = Vec::new();
        for seq in done {
            if let Some(telling) = self.0.remove(&seq)
                && telling.await.is_ok_and(|left| left.is_empty())
            {
                arrived.push(seq);
            }
        }
        arrived
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_is_under_way_is_not_told_again_until_it_is_known_that_it_did_not_arrive() {
        let mut under_way = UnderWay::default();
        let mut ends = Vec::new();
        for seq in [1, 2, 3] {
            let (end, ended) = oneshot::channel::<Vec<Event>>();
            under_way.add(seq, tokio::spawn(async move { ended.await.unwrap_or_default() }));
            ends.push(end);
        }
        assert_eq!(under_way.arrived().await, [] as [i64; 0]);
        let lost = Event::Acknowledged { by: "first-on-call".to_owned() };
        ends.remove(1).send(vec![lost]).unwrap();
        ends.remove(0).send(Vec::new()).unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert_eq!(under_way.arrived().await, [1]);
        assert_eq!([1, 2, 3].map(|seq| under_way.has(seq)), [false, false, true]);
    }
}
