//! What a provider's cache needs: each request begins with the whole of the one before it.

use super::*;
use crate::model::{ModelRequest, SystemBlock};

/// The blocks in the order in which a provider reads them, cache points aside.
fn blocks(request: &ModelRequest) -> Vec<String> {
    let text = |value: Value| value.to_string();
    let tools = request.tools.iter().flat_map(|config| &config.tools);
    let system = request.system.iter().filter(|block| !matches!(block, SystemBlock::CachePoint(_)));
    let said = request.messages.iter().flat_map(|message| &message.content);
    let said = said.filter(|block| !matches!(block, Content::CachePoint(_)));
    tools
        .map(|tool| text(serde_json::to_value(tool).unwrap()))
        .chain(system.map(|block| text(serde_json::to_value(block).unwrap())))
        .chain(said.map(|block| text(serde_json::to_value(block).unwrap())))
        .collect()
}

fn points(request: &ModelRequest) -> usize {
    serde_json::to_string(request).unwrap().matches("\"cachePoint\"").count()
}

#[test]
fn every_request_begins_with_the_one_before_it_and_is_cached_up_to_there() {
    let fresh = |n: u32| calls(&[("error_patterns", json!({ "n": n, "b": 1, "a": 2 }))]);
    let stage = Stage::new(vec![fresh(1), fresh(2), fresh(3), calls(&[(CONCLUDE, conclusion())])]);
    assert_eq!(stage.run().turns, 4);
    let requests = stage.model.requests.lock().unwrap();
    for pair in requests.windows(2) {
        let (before, after) = (blocks(&pair[0]), blocks(&pair[1]));
        assert!(after.len() > before.len());
        assert_eq!(after[..before.len()], before);
        // The prompt, the pinned head, and what was said so far; a provider takes four at most.
        assert!((2..=4).contains(&points(&pair[0])), "{}", points(&pair[0]));
        let last = pair[1].messages.last().unwrap();
        assert!(matches!(last.content.last(), Some(Content::CachePoint(_))));
    }
    // The same incident again is the same bytes.
    let again = Stage::new(vec![fresh(1), calls(&[(CONCLUDE, conclusion())])]);
    again.run();
    assert_eq!(blocks(&again.model.requests.lock().unwrap()[0]), blocks(&requests[0]));
}
