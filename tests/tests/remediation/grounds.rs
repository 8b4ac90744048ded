//! What an act is judged by is read at the act: what was changed since the approval holds.

use std::path::Path;

use midwatch_mcp::{Contracts, KeyEntry, KeyFile, KeyState, Standing};
use midwatch_policy::{Approver, Claims, Digest, Rules, RunbookRef, SignedDuration};
use midwatch_remediation::SpendStore;
use serde_json::Value;

use crate::bench::{Bench, restart, scale};

fn kind(receipt: &Value) -> &str {
    receipt["reason"]["kind"].as_str().unwrap_or_else(|| panic!("{receipt}"))
}

fn says(receipt: &Value, text: &str) {
    assert!(receipt["reason"]["message"].as_str().unwrap().contains(text), "{receipt}");
}

fn keys(file: &Path, bench: &Bench, state: KeyState) {
    let public = bench.key.public().unwrap().to_string();
    let entry = KeyEntry { public, state, created_at: None, revoked_at: None };
    std::fs::write(file, KeyFile { key: vec![entry] }.render().unwrap()).unwrap();
}

#[tokio::test]
async fn a_key_that_was_revoked_or_cannot_be_read_permits_nothing_from_then_on() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys.toml");
    let bench = Bench::with("", SpendStore::in_memory().unwrap(), |config| {
        config.keys = Standing::keys_in(file.clone());
    })
    .await;
    let plan = bench.plan(&restart("cart")).await.unwrap();
    bench.offer(&bench.claims(&plan, "permit-1"));
    assert_eq!(kind(&bench.act(&restart("cart")).await), "no_keys", "no file");
    std::fs::write(&file, "[[key]]\npublic = 'k4.public.AAAA'\nstate = 'active'\n").unwrap();
    assert_eq!(kind(&bench.act(&restart("cart")).await), "no_keys", "broken");
    keys(&file, &bench, KeyState::Revoked);
    assert_eq!(kind(&bench.act(&restart("cart")).await), "no_keys", "revoked");
    assert_eq!(bench.world.mutations(), []);
    keys(&file, &bench, KeyState::Retired);
    assert_eq!(bench.act(&restart("cart")).await["outcome"], "done");
}

#[tokio::test]
async fn a_policy_or_calendar_that_was_tightened_or_broken_voids_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let (policy, calendar) = (directory.path().join("policy.cedar"), directory.path().join("calendar.toml"));
    std::fs::write(&policy, Rules::embedded_text()).unwrap();
    std::fs::write(&calendar, "").unwrap();
    let bench = Bench::with("", SpendStore::in_memory().unwrap(), |config| {
        config.rules = Some(Standing::rules_in(policy.clone()));
        config.calendar = Some(Standing::calendar_in(calendar.clone()));
    })
    .await;
    let plan = bench.plan(&restart("cart")).await.unwrap();
    bench.offer(&bench.claims(&plan, "permit-1"));
    let forbid = "@id(\"not-today\")\n@reason(\"not today\")\nforbid (principal, action == Action::\"mutate\", resource);\n";
    std::fs::write(&policy, format!("{}\n{forbid}", Rules::embedded_text())).unwrap();
    let refused = bench.act(&restart("cart")).await;
    assert_eq!(kind(&refused), "policy");
    says(&refused, "not-today");
    std::fs::write(&policy, "permit (").unwrap();
    assert_eq!(kind(&bench.act(&restart("cart")).await), "policy");
    std::fs::remove_file(&policy).unwrap();
    assert_eq!(kind(&bench.act(&restart("cart")).await), "policy");
    std::fs::write(&policy, Rules::embedded_text()).unwrap();

    let now = bench.world.clock().now();
    let (from, to) = (now - SignedDuration::from_hours(1), now + SignedDuration::from_hours(9));
    let freeze = format!("[[freeze]]\nid = 'launch'\nreason = 'a launch'\nfrom = '{from}'\nto = '{to}'\n");
    std::fs::write(&calendar, &freeze).unwrap();
    let refused = bench.act(&restart("cart")).await;
    assert_eq!(kind(&refused), "policy", "{refused}");
    says(&refused, "freeze");
    std::fs::write(&calendar, "[[freeze]]\n").unwrap();
    says(&bench.act(&restart("cart")).await, "calendar cannot be used");
    assert_eq!(bench.world.mutations(), []);
    std::fs::write(&calendar, "").unwrap();
    assert_eq!(bench.act(&restart("cart")).await["outcome"], "done");
}

fn runbook(id: &str, more: &str) -> String {
    format!("+++\nid = \"{id}\"\ntitle = \"Cart\"\nservices = [\"cart\"]\n{more}\n+++\n# Cart\n")
}

#[tokio::test]
async fn a_cited_runbook_is_the_one_that_is_here_and_any_may_forbid() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("cart.md");
    let text =
        runbook("cart", "action = \"restart_service\"\napprovers = \"owner\"\nsafe_during_deployment = true");
    std::fs::write(&place, &text).unwrap();
    let known = Contracts::load(directory.path()).unwrap();
    assert_eq!(known.get("cart").unwrap().digest, Digest::of(text.as_bytes()));
    let bench = Bench::with("", SpendStore::in_memory().unwrap(), |config| {
        config.runbooks = Some(Standing::runbooks_in(directory.path().to_owned()));
    })
    .await;
    let plan = bench.plan(&restart("cart")).await.unwrap();
    let mut claims = bench.claims(&plan, "permit-1");
    claims.runbook = Some(RunbookRef { id: "cart".to_owned(), digest: Digest::of(text.as_bytes()) });
    let refused = async |claims: &Claims, text: &str| {
        bench.offer(claims);
        let receipt = bench.act(&restart("cart")).await;
        assert_eq!(kind(&receipt), "contract", "{receipt}");
        says(&receipt, text);
    };
    refused(&claims, "also wants the approval of 1 owner").await;
    claims.approvers.push(Approver {
        name: "the-owner".to_owned(),
        role: "owner".to_owned(),
        channel: "test".to_owned(),
    });
    let mut other = claims.clone();
    other.runbook = Some(RunbookRef { id: "nobody".to_owned(), digest: Digest::of(text.as_bytes()) });
    refused(&other, "does not have").await;
    std::fs::write(&place, format!("{text}\nOne more line.\n")).unwrap();
    refused(&claims, "changed since it was approved").await;
    std::fs::write(&place, &text).unwrap();
    // Another runbook that names the service forbids it, cited or not.
    let never = directory.path().join("never.md");
    std::fs::write(&never, runbook("never", "never_actions = [\"restart_service\"]")).unwrap();
    refused(&claims, "never done automatically").await;
    let mut uncited = claims.clone();
    uncited.runbook = None;
    refused(&uncited, "never done automatically").await;
    std::fs::write(&never, "+++\nid = 'never'\n").unwrap();
    refused(&claims, "never.md").await;
    std::fs::remove_file(&never).unwrap();
    assert_eq!(bench.world.mutations(), []);
    bench.offer(&claims);
    let done = bench.act(&restart("cart")).await;
    assert_eq!(done["outcome"], "done", "{done}");
    // A runbook for another action has something against this one.
    let plan = bench.plan(&scale("cart", 6)).await.unwrap();
    let mut claims = bench.claims(&plan, "permit-2");
    claims.runbook = Some(RunbookRef { id: "cart".to_owned(), digest: Digest::of(text.as_bytes()) });
    bench.offer(&claims);
    let receipt = bench.act(&scale("cart", 6)).await;
    assert_eq!(kind(&receipt), "contract", "{receipt}");
    assert_eq!(bench.changes().len(), 1);
}

#[tokio::test]
async fn a_store_that_was_copied_back_finds_the_desk_remembering() {
    let directory = tempfile::tempdir().unwrap();
    let (path, kept) = (directory.path().join("spent.db"), directory.path().join("kept.db"));
    drop(SpendStore::open(&path).unwrap());
    std::fs::copy(&path, &kept).unwrap();
    let bench = Bench::with_store("", SpendStore::open(&path).unwrap()).await;
    bench.desk.set(&bench.desk.remembers);
    let plan = bench.plan(&scale("cart", 6)).await.unwrap();
    let claims = bench.claims(&plan, "permit-1");
    bench.offer(&claims);
    assert_eq!(bench.act(&scale("cart", 6)).await["outcome"], "done");
    // The target is as it was approved once more: only the records stand in the way.
    assert_eq!(bench.approved(&scale("cart", 4), "permit-2").await["outcome"], "done");
    // A copy over the open file is noticed while the server runs.
    // Without its log of writes, which would bring back what was spent.
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(directory.path().join(format!("spent.db{end}")));
    }
    std::fs::copy(&kept, &path).unwrap();
    let exchanged = bench.approved(&scale("cart", 5), "permit-3").await;
    assert_eq!(kind(&exchanged), "spent", "{exchanged}");
    says(&exchanged, "start the server again");
    let bench = bench.restarted(&path).await;
    assert_eq!(
        SpendStore::open(&kept).unwrap().state_of("permit-1").unwrap(),
        None,
        "the copy knows nothing"
    );
    bench.offer(&claims);
    let replayed = bench.act(&scale("cart", 6)).await;
    assert_eq!(kind(&replayed), "withdrawn", "{replayed}");
    assert_eq!(bench.changes().len(), 2);
}
