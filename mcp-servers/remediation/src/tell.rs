//! What the desk has not heard of: acts whose outcome was lost with the process, and outcomes that it
//! could not be told. Told at the start of the server and after each act, until it has been heard.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use crate::{
    gate::Gate,
    noted::{known, noted},
};

/// How long until a desk that was away is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// Begins to tell it, where there is anything.
pub(crate) fn begin(gate: &Arc<Gate>) {
    match gate.spend.untold() {
        Ok(untold) if untold.is_empty() || gate.source.is_none() => {}
        Ok(_) => match tokio::runtime::Handle::try_current() {
            // The server may end before the desk is back: it is not kept alive by this.
            Ok(runtime) => drop(runtime.spawn(tell(Arc::downgrade(gate)))),
            Err(error) => tracing::error!(%error, "the desk is not told what it has not heard of"),
        },
        Err(error) => tracing::error!(%error, "what the desk has not heard of cannot be read"),
    }
}

async fn tell(gate: Weak<Gate>) {
    while let Some(gate) = gate.upgrade() {
        if round(&gate).await {
            return;
        }
        drop(gate);
        tokio::time::sleep(AGAIN).await;
    }
}

/// Whether all of it was heard.
async fn round(gate: &Gate) -> bool {
    let (Some(source), Ok(untold)) = (&gate.source, gate.spend.untold()) else { return true };
    for (permit, state) in untold {
        if !noted(&**source, &permit, known(&state)).await {
            return false;
        }
        tracing::info!(%permit, state, "the desk was told of an act that it had not heard of");
        gate.heard(&permit);
    }
    true
}
