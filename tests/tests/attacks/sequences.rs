//! No sequence of events acts without an unspent, matching permit.
//!
//! Random calls, approvals, declines, revocations, restarts, clocks that move both ways, changes from
//! outside and replays, against the real gate and the real desk. Beside them runs a model that knows
//! only what people said and what the world did; it says what is allowed, the world says what was done.
//! `MIDWATCH_SEEDS` says how many sequences, `MIDWATCH_SEED` where they begin.

use std::collections::BTreeSet;

use midwatch_mcp::KeyState;
use midwatch_policy::{Action, Clock as _, RequestView, Timestamp};
use serde_json::{Value, json};

use crate::{
    random::{Random, told},
    range::{AUDIENCE, EDITOR, FIRST, Range, SECOND, SUPERVISOR, asking, restart, scale, unlimited},
};

const EVENTS: usize = 60;

/// A request, as the model knows it.
struct Known {
    view: RequestView,
    approvers: BTreeSet<String>,
    /// The permit, once all have approved, and when it ends.
    permit: Option<(String, Timestamp)>,
    /// Declined, withdrawn, revoked, held or used: good for nothing.
    dead: bool,
    /// What the target was when it was planned.
    target: Target,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Target {
    count: u64,
    restarts: u32,
}

/// What the model knows of the world and of what stops it.
struct Model {
    known: Vec<Known>,
    cart: Target,
    vault: Target,
    stopped: bool,
    frozen: bool,
    keys: bool,
    acts: usize,
}

impl Model {
    fn target(&mut self, action: &Action) -> &mut Target {
        if action.service().as_str() == "cart" { &mut self.cart } else { &mut self.vault }
    }

    /// Whether what was just done was allowed; it is used up by that.
    fn allows(&mut self, caller: &str, action: &Action, permit: &str, now: Timestamp) -> Result<(), String> {
        let live = *self.target(action);
        if self.stopped || self.frozen || !self.keys {
            return Err("everything is stopped".to_owned());
        }
        let found = self.known.iter_mut().find(|k| k.permit.as_ref().is_some_and(|(id, _)| id == permit));
        let Some(known) = found else { return Err("nobody approved such a permit".to_owned()) };
        let (_, until) = known.permit.as_ref().unwrap();
        if known.dead {
            return Err("it was used or taken back".to_owned());
        }
        known.dead = true;
        let shown = &known.view.shown;
        if shown.subject != caller || shown.plan.action != *action {
            return Err(format!("it is for {} by {}", shown.plan.action, shown.subject));
        }
        if now >= *until {
            return Err(format!("it ended at {until}, now it is {now}"));
        }
        let same = match action {
            Action::ScaleService { .. } => known.target.count == live.count,
            _ => known.target.restarts == live.restarts,
        };
        if same { Ok(()) } else { Err(format!("stale: {:?}, now {live:?}", known.target)) }
    }
}

#[tokio::test]
async fn no_sequence_of_events_acts_without_an_unspent_matching_permit() {
    let (first, count) = (told("MIDWATCH_SEED", 1), told("MIDWATCH_SEEDS", 4));
    let mut acts = 0;
    for seed in first..first + count {
        println!("seed {seed}");
        acts += played(seed).await;
    }
    println!("{acts} acts in {count} sequences of {EVENTS} events");
    assert!(acts > 0 || count == 0, "nothing ever acted, so nothing was shown");
}

async fn played(seed: u64) -> usize {
    let mut random = Random::from(seed);
    let mut range = Range::with("", unlimited).await;
    let (cart, vault) = (Target { count: 4, restarts: 0 }, Target { count: 2, restarts: 0 });
    let mut model =
        Model { known: Vec::new(), cart, vault, stopped: false, frozen: false, keys: true, acts: 0 };
    let mut replays: Vec<Value> = Vec::new();
    for step in 0..EVENTS {
        let what = format!("seed {seed}, event {step}");
        let action = match random.below(6) {
            0 | 1 => restart("cart"),
            2 => restart("vault-front"),
            _ => scale("cart", u32::try_from(2 + random.below(7)).unwrap()),
        };
        let outside = range.tried();
        match if model.stopped || model.frozen || !model.keys {
            10 + random.below(14)
        } else {
            random.below(24)
        } {
            0..=3 => file(&range, &mut model, &action).await,
            4..=10 => approve(&range, &mut model, &mut random).await,
            11 => end(&range, &mut model, &mut random).await,
            12..=18 => {
                let caller = random.of(&[SUPERVISOR, SUPERVISOR, EDITOR]);
                // Mostly something that was asked for.
                let good = |known: &&Known| known.permit.is_some() && !known.dead;
                let wanted = model.known.iter().rev().find(|known| good(known) && random.below(5) > 0);
                let action = wanted.map_or(action, |known| known.view.shown.plan.action.clone());
                act(&range, &mut model, caller, &action, &what).await;
            }
            19 => {
                for known in model.known.iter().filter(|known| known.permit.is_some()) {
                    let shown = &known.view.shown;
                    if let (200, fetched) = range.fetched(&shown.subject, &shown.plan.action).await {
                        replays.push(fetched);
                    }
                }
            }
            20 if !replays.is_empty() => {
                // A desk that hands out what it once had, and stands by nothing but the truth.
                let old = replays[random.below(replays.len())].clone();
                let claims = crate::range::read(old["token"].as_str().unwrap());
                let known = model.known.iter().find(|k| k.view.shown.request == claims.request).unwrap();
                let action = known.view.shown.plan.action.clone();
                range.wire.answer("/v1/permits/fetch", old);
                act(&range, &mut model, &claims.subject, &action, &what).await;
                range.wire.honest();
            }
            21 => range.restart_with(|_| (), unlimited).await,
            22 => match random.below(5) {
                0 => range.clock.move_by(-2),
                1 => range.clock.move_by(700),
                _ => range.clock.move_by(30),
            },
            _ => disturb(&range, &mut model, &mut random).await,
        }
        // Whatever else reached AWS was seen by `act` or done by `disturb`.
        assert!(range.tried() <= outside + 1, "{what}: {:?}", range.world.mutations());
    }
    model.acts
}

async fn file(range: &Range, model: &mut Model, action: &Action) {
    let (status, answer) = range.post(SUPERVISOR, "/v1/requests", &asking(action, json!({}))).await;
    if status == 201 {
        let view = serde_json::from_value(answer).unwrap();
        let target = *model.target(action);
        model.known.push(Known { view, approvers: BTreeSet::new(), permit: None, dead: false, target });
    }
}

async fn approve(range: &Range, model: &mut Model, random: &mut Random) {
    let open: Vec<usize> = (0..model.known.len())
        .filter(|n| model.known[*n].permit.is_none() && (!model.known[*n].dead || random.below(4) == 0))
        .collect();
    let Some(at) = open.len().checked_sub(1) else { return };
    let known = &mut model.known[open[at.saturating_sub(random.below(3))]];
    let who = random.of(&[
        FIRST, SECOND, FIRST, SECOND, FIRST, SECOND, FIRST, SECOND, "intern", "Editor-7", SUPERVISOR,
        AUDIENCE,
    ]);
    let (status, answer) = range.says(who, &known.view).await;
    if status != 200 {
        return;
    }
    assert!(!known.dead, "approved after its end: {answer}");
    assert!([FIRST, SECOND, "Editor-7"].contains(&who), "{who} approved: {answer}");
    known.approvers.insert(who.to_owned());
    if answer["state"]["state"] == "approved" {
        let needed = if known.view.shown.plan.action.service().as_str() == "cart" { 1 } else { 2 };
        assert!(known.approvers.len() >= needed, "{:?}: {answer}", known.approvers);
        let until = answer["state"]["until"].as_str().unwrap().parse().unwrap();
        known.permit = Some((answer["state"]["permit"].as_str().unwrap().to_owned(), until));
    }
}

async fn end(range: &Range, model: &mut Model, random: &mut Random) {
    if model.known.is_empty() {
        return;
    }
    let at = random.below(model.known.len());
    let known = &mut model.known[at];
    let id = known.view.shown.request.clone();
    let (who, path, body) = match (random.below(4), &known.permit) {
        (0, _) => (FIRST, format!("/v1/requests/{id}/decline"), json!({"reason": "no"})),
        (1, Some((permit, _))) => (FIRST, format!("/v1/permits/{permit}/revoke"), json!({"reason": "no"})),
        (2, _) => {
            for known in model.known.iter_mut().filter(|k| k.view.shown.incident.as_str() == "inc-1") {
                known.dead = true;
            }
            range.post(SECOND, "/v1/incidents/inc-1/take", &json!({"note": ""})).await;
            range.post(SECOND, "/v1/incidents/inc-1/return", &json!({"note": ""})).await;
            return;
        }
        _ => (SUPERVISOR, format!("/v1/requests/{id}/withdraw"), json!({"why": "cleared"})),
    };
    if range.post(who, &path, &body).await.0 == 200 {
        known.dead = true;
    }
}

async fn act(range: &Range, model: &mut Model, caller: &str, action: &Action, what: &str) {
    let before = range.tried();
    let receipt = range.act_as(caller, action).await;
    let made = range.tried() - before;
    let done = usize::from(receipt["outcome"] == "done");
    assert_eq!(made, done, "{what}: {receipt}");
    if done == 1 {
        let permit = receipt["permit_id"].as_str().unwrap_or_default();
        model
            .allows(caller, action, permit, range.clock.now())
            .unwrap_or_else(|why| panic!("{what}: {caller} did {action}, and {why}: {receipt}"));
        changed(model.target(action), action);
        model.acts += 1;
    } else {
        // One that the server gave up on may be marked as used; it is good for less, never for more.
        assert_eq!(receipt["outcome"], "refused", "{what}: {receipt}");
        // A call without a permit files a request; people see it like any other.
        let Some(id) = receipt["request"]["id"].as_str() else { return };
        if model.known.iter().all(|known| known.view.shown.request.as_str() != id) {
            let path = format!("/v1/requests/{id}");
            let (_, view) = range.at_desk(FIRST, midwatch_mcp::reqwest::Method::GET, &path, None).await;
            let view = serde_json::from_value(view).unwrap();
            let target = *model.target(action);
            model.known.push(Known { view, approvers: BTreeSet::new(), permit: None, dead: false, target });
        }
    }
}

fn changed(target: &mut Target, action: &Action) {
    match action {
        Action::ScaleService { desired_count, .. } => target.count = u64::from(*desired_count),
        _ => target.restarts += 1,
    }
}

async fn disturb(range: &Range, model: &mut Model, random: &mut Random) {
    // What stops everything does so for a while only, so that there is something left to see.
    let what = if model.stopped {
        0
    } else if model.frozen {
        1
    } else if !model.keys {
        2
    } else {
        random.below(5)
    };
    match what {
        0 => {
            model.stopped = !model.stopped;
            if model.stopped { range.kill_switch.engage() } else { range.kill_switch.release() }
        }
        1 => {
            model.frozen = !model.frozen;
            if model.frozen {
                range.write("freeze", "");
            } else {
                std::fs::remove_file(range.path("freeze")).unwrap();
            }
        }
        2 => {
            model.keys = !model.keys;
            range.accept(if model.keys { KeyState::Active } else { KeyState::Revoked });
        }
        _ => {
            let count = 2 + random.below(7);
            let input = json!({"cluster": "production", "service": "cart", "desiredCount": count});
            range.elsewhere("AmazonEC2ContainerServiceV20141113.UpdateService", &input).await;
            model.cart.count = u64::try_from(count).unwrap();
        }
    }
}
