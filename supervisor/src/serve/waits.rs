//! Whose outcome is waited for, brought into the outbox by a task of its own.
//!
//! INVARIANT: what could not be brought there is tried until it is, in the order in which it was
//! said: nothing is waited for after it has ended. Doing it where alarms are told to incidents was
//! rejected: one slow journal would leave an incident without its timer.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt as _;
use midwatch_policy::{Clock, IncidentId, Timestamp};
use tokio::sync::mpsc;

use crate::{
    alarm::Alarm,
    deliver::{About, Deliver, DeliverError},
    intake::door::AGAIN,
};

/// Begins and ends waiting. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Waits(mpsc::UnboundedSender<Wait>);

/// Not bounded here: there are a few for each incident that there is room for.
#[derive(Debug)]
enum Wait {
    Begin(Box<(About, Alarm, Timestamp)>),
    End(IncidentId),
}

impl Waits {
    /// In the outbox of `deliver`; nowhere without one.
    pub(super) fn new(deliver: Option<Deliver>, clock: Arc<dyn Clock>) -> Self {
        let (sender, mut waits) = mpsc::unbounded_channel::<Wait>();
        if let Some(deliver) = deliver {
            tokio::spawn(async move {
                while let Some(wait) = waits.recv().await {
                    until_kept(&deliver, clock.as_ref(), &wait).await;
                }
            });
        }
        Self(sender)
    }

    /// Begins to wait for an outcome.
    pub(super) fn begin(&self, about: About, alarm: &Alarm, since: Timestamp) {
        // Without anybody to tell, nobody listens.
        let _ = self.0.send(Wait::Begin(Box::new((about, alarm.clone(), since))));
    }

    /// There is nothing to wait for any more.
    pub(super) fn end(&self, incident: &IncidentId) {
        let _ = self.0.send(Wait::End(incident.clone()));
    }
}

async fn until_kept(deliver: &Deliver, clock: &dyn Clock, wait: &Wait) {
    loop {
        match AssertUnwindSafe(keep(deliver, wait)).catch_unwind().await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => tracing::error!(%error, "whose outcome is waited for cannot be kept yet"),
            Err(_) => tracing::error!("a defect in Midwatch: keeping whose outcome is waited for broke off"),
        }
        clock.sleep(AGAIN).await;
    }
}

async fn keep(deliver: &Deliver, wait: &Wait) -> Result<(), DeliverError> {
    match wait {
        Wait::Begin(begin) => {
            let (about, alarm, since) = begin.as_ref();
            deliver.watch(about.clone(), alarm, *since).await
        }
        Wait::End(incident) => deliver.settle(incident).await,
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::Pin, time::Duration};

    use midwatch_mcp::{AwsSettings, SystemClock};

    use super::*;
    use crate::{alarm, deliver::NotifyConfig};

    /// Time as it is, and nobody sleeps for long.
    #[derive(Debug)]
    struct Impatient;

    impl Clock for Impatient {
        fn now(&self) -> Timestamp {
            SystemClock.now()
        }

        fn sleep<'a>(&'a self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
            SystemClock.sleep(Duration::from_millis(20))
        }
    }

    #[tokio::test]
    async fn what_could_not_be_kept_is_tried_again_in_its_order() {
        let text = "[notify]\n[notify.channel.pager]\nkind='webhook'\nurl='http://127.0.0.1:9'\n\
                    secret={env='KEY'}\n[[notify.route]]\nname='all'\nsteps=[{channel='pager'}]";
        let key = |_: &str| Some("0123456789abcdef".to_owned());
        let config = NotifyConfig::parse(text, &AwsSettings::default(), &key).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let outbox = directory.path().join("outbox.db");
        let clock: Arc<dyn Clock> = Arc::new(Impatient);
        let deliver = Deliver::open(config, &outbox, Arc::clone(&clock), Arc::default()).await.unwrap();
        let breaker = rusqlite::Connection::open(&outbox).unwrap();
        breaker.execute_batch("ALTER TABLE watches RENAME TO gone").unwrap();
        let waits = Waits::new(Some(deliver.clone()), clock);
        let alarm = r#"{"name":"a","state":"firing","at":"2026-11-21T02:00:00Z"}"#;
        let alarm = alarm::parse(alarm).unwrap();
        let [first, second] = ["inc-1", "inc-2"].map(|id| IncidentId::parse(id).unwrap());
        for incident in [&first, &second] {
            waits.begin(About::new(incident, &alarm, None), &alarm, SystemClock.now());
        }
        waits.end(&first);
        tokio::time::sleep(Duration::from_millis(200)).await;
        breaker.execute_batch("ALTER TABLE gone RENAME TO watches").unwrap();
        for _ in 0..300 {
            if deliver.watched().await.unwrap() == [second.clone()] {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(deliver.watched().await.unwrap(), [second]);
    }
}
