//! How a standing world is told what to play, and asked what is played: JSON on loopback.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State as Part,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Stand, play::Playing};
use crate::world::Mutation;

/// What to play.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// The scenario's name.
    pub scenario: String,
}

/// What is played.
#[derive(Debug, Clone, Serialize)]
pub struct Played {
    /// Which scenario.
    pub scenario: String,
    /// For people.
    pub title: String,
    /// Since when.
    pub began: Timestamp,
    /// Each alarm's name and state.
    pub alarms: Vec<(String, String)>,
    /// Every change that was made or tried.
    pub mutations: Vec<Mutation>,
}

impl Played {
    fn of(playing: &Playing) -> Self {
        let (alarms, mutations) = playing.shared().with(|state| {
            let named = |alarm: &crate::world::alarm::Alarm| {
                (alarm.spec.name.clone(), alarm.state.as_str().to_owned())
            };
            (state.alarms.iter().map(named).collect(), state.mutations.clone())
        });
        Self {
            scenario: playing.scenario().to_owned(),
            title: playing.title().to_owned(),
            began: playing.began().at,
            alarms,
            mutations,
        }
    }
}

pub(super) fn router(stand: Arc<Stand>) -> Router {
    Router::new()
        .route("/scenarios", get(scenarios))
        .route("/playing", get(playing).post(play))
        .with_state(stand)
}

async fn scenarios(Part(stand): Part<Arc<Stand>>) -> Response {
    Json(stand.shelf.titles()).into_response()
}

async fn playing(Part(stand): Part<Arc<Stand>>) -> Response {
    Json(stand.playing().map(|playing| Played::of(&playing))).into_response()
}

async fn play(Part(stand): Part<Arc<Stand>>, headers: HeaderMap, Json(told): Json<Told>) -> Response {
    // A page in somebody's browser may reach loopback as well.
    if headers.contains_key(header::ORIGIN) {
        return (StatusCode::FORBIDDEN, Json(json!({"error": "not from a browser"}))).into_response();
    }
    match stand.play(&told.scenario, super::wall()) {
        Ok(playing) => Json(Played::of(&playing)).into_response(),
        Err(error) => (StatusCode::NOT_FOUND, Json(json!({"error": error.to_string()}))).into_response(),
    }
}
