//! A query that runs at AWS, which is stopped when nobody waits for it any more.

use std::{sync::Arc, time::Duration};

use aws_sdk_cloudwatchlogs::Client;
use midwatch_mcp::{AwsResult, ErrorKind, Work};
use midwatch_policy::Clock;

use crate::{insights::Insights, meter::Meter};

/// How long to wait after a stop that failed; then it is given up.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(15)];

/// A query that is still running at AWS. Dropped, it is stopped: whether the deadline passed, the
/// caller cancelled, polling failed, it scanned too much, or the server ends, which waits for the stop. What it came to is not known then.
pub(crate) struct Running {
    client: Client,
    clock: Arc<dyn Clock>,
    id: Option<String>,
    meter: Meter,
    work: Work,
}

impl Running {
    /// The query of this id.
    pub(crate) fn new(insights: &Insights, id: &str) -> Self {
        let Insights { client, clock, meter, work, .. } = insights;
        let (client, clock) = (client.clone(), Arc::clone(clock));
        Self { client, clock, id: Some(id.to_owned()), meter: meter.clone(), work: work.clone() }
    }

    /// It has ended by itself: there is nothing to stop.
    pub(crate) fn ended(&mut self) {
        self.id = None;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        self.meter.cut();
        if tokio::runtime::Handle::try_current().is_ok() {
            drop(self.work.spawn(stop(self.client.clone(), Arc::clone(&self.clock), id)));
        }
    }
}

/// Stops a query. One that cannot be stopped scans on, and costs: this is tried more than once.
async fn stop(client: Client, clock: Arc<dyn Clock>, id: String) {
    let mut pauses = PAUSES.into_iter();
    while let Err(error) = client.stop_query().query_id(&id).send().await.aws("logs:StopQuery") {
        // It has ended meanwhile.
        if matches!(error.kind, ErrorKind::Invalid | ErrorKind::NotFound) {
            tracing::debug!(%error, "a query was not stopped");
            return;
        }
        match pauses.next() {
            Some(pause) if error.kind != ErrorKind::AccessDenied => clock.sleep(pause).await,
            _ => {
                tracing::warn!(query = id, %error, "a query could not be stopped: it scans on, and costs");
                return;
            }
        }
    }
}
