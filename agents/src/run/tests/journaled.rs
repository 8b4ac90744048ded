//! Outcomes as journals keep them.

use super::*;
use crate::{finding::Finding, run::RunOutcome};

#[test]
fn an_outcome_of_before_observations_were_kept_is_still_read() {
    let outcome = Stage::new(vec![calls(&[(CONCLUDE, conclusion())])]).run();
    let mut kept = serde_json::to_value(&outcome).unwrap();
    assert_eq!(serde_json::from_value::<RunOutcome<Finding>>(kept.clone()).unwrap(), outcome);
    kept.as_object_mut().unwrap().remove("observed").unwrap();
    let read: RunOutcome<Finding> = serde_json::from_value(kept).unwrap();
    assert_eq!((read.output, read.observed), (outcome.output, Vec::new()));
}
