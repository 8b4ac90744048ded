//! The router, by rules.

use midwatch_policy::CauseKind;

use crate::{
    causes,
    route::{Route, RouteDraft},
    signals::{Scene, Signals},
    sweep::MissingPart,
    task::Task,
    view::Observation,
};

/// Routes from what was observed. Closing needs every positive sign; paging at once needs a sign
/// that customers are cut off.
pub fn route(task: &Task, observations: &[Observation], _missing: &[MissingPart]) -> RouteDraft {
    let signals = Signals::read(&Scene::from(task), observations);
    let ranked = causes::rank(&signals);
    let top = ranked.first();
    let kind = top.map_or(CauseKind::Unknown, |cause| cause.kind);
    let none_running = signals
        .health
        .as_ref()
        .is_some_and(|h| h.running == Some(0) && h.desired.is_some_and(|desired| desired > 0));
    let because = |text: &str| match top.and_then(|cause| cause.factors.first()) {
        Some(factor) => format!("{text}: {}.", factor.name),
        None => format!("{text}."),
    };
    let (route, reason) = if none_running || signals.traffic_stopped() {
        (Route::PageNow, because("Customers are cut off"))
    } else if kind == CauseKind::Transient && causes::is_over(&signals) {
        (Route::CloseTransient, because("It passed by itself"))
    } else if signals.flapping() {
        (Route::Investigate, "The alarm goes in and out; that is not resolved.".to_owned())
    } else {
        (Route::Investigate, because("It is not over, or not shown to be"))
    };
    let mut claims: Vec<_> =
        top.into_iter().flat_map(|c| &c.factors).filter_map(|f| f.fact.clone()).collect();
    if claims.is_empty() {
        claims = causes::context_facts(&signals);
    }
    claims.truncate(4);
    claims.extend(causes::screened_facts(&signals).into_iter().take(1));
    RouteDraft { route, reason, claims }
}
