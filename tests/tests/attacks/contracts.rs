//! Runbook contracts: changed after signing, left out by the asker, and laxer ones in their place.

use midwatch_mcp::reqwest::Method;
use midwatch_policy::{Action, Claims, Digest, RequestView, RunbookRef};
use serde_json::{Value, json};

use crate::range::{EDITOR, FIRST, Range, SECOND, SUPERVISOR, asking, scale};

fn owned(runbook: &str) -> String {
    runbook.replace("[bounds]", "approvers = 'owner'\n[bounds]")
}

/// The desk takes no request for it, because of that runbook.
async fn not_asked(range: &Range, action: &Action, more: Value, runbook: &str) {
    let (status, answer) = range.post(SUPERVISOR, "/v1/requests", &asking(action, more)).await;
    assert_eq!((status, answer["error"]["kind"].as_str()), (403, Some("forbidden")), "{answer}");
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains(&format!("runbook {runbook}")), "{answer}");
}

/// FIRST, on call, is not enough; an owner has to approve as well.
async fn wants_an_owner(range: &Range, view: &RequestView, action: &Action) {
    assert_eq!(range.says(FIRST, view).await.0, 200);
    range.refuses(action, "no_permit").await;
    let path = format!("/v1/requests/{}/approve", view.shown.request);
    let (status, answer) = range.post(SECOND, &path, &json!({"shown": view.digest, "role": "owner"})).await;
    assert_eq!((status, answer["state"]["state"].as_str()), (200, Some("approved")), "{answer}");
}

fn held(view: &RequestView) -> Vec<(String, String)> {
    let all = serde_json::to_value(&view.shown.contracts).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    all.as_array().unwrap().iter().map(|c| (text(&c["runbook"]["id"]), text(&c["held"]))).collect()
}

const RUNBOOK: &str = "+++\nid = 'leak'\ntitle = 'Leak'\nservices = ['cart']\naction = 'scale_service'\n[bounds]\nmax_desired_count = 6\n+++\n# Leak\n";

#[tokio::test]
async fn a_contract_that_was_changed_after_signing() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.write("runbooks/leak.md", RUNBOOK);
    let view = range.filed_with(&action, json!({"runbook": "leak"})).await;
    range.approve(&view).await;
    range.write("runbooks/leak.md", &format!("{RUNBOOK}And one word more.\n"));
    assert!(range.refuses(&action, "contract").await.contains("changed"));
    range.write("runbooks/leak.md", "+++\nid = 7\n+++\n");
    range.refuses(&action, "contract").await;
    std::fs::remove_file(range.path("runbooks/leak.md")).unwrap();
    range.refuses(&action, "contract").await;
    range.write("runbooks/leak.md", RUNBOOK);
    range.acts_once(&action).await;
}

#[tokio::test]
async fn a_contract_that_forbids_since() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.approved(&action).await;
    let never = "+++\nid = 'never'\ntitle = 'Never'\nservices = ['cart']\nnever_actions = ['scale_service']\n+++\n# Never\n";
    range.write("runbooks/never.md", never);
    assert!(range.refuses(&action, "contract").await.contains("never done automatically"));
    std::fs::remove_file(range.path("runbooks/never.md")).unwrap();
    range.acts_once(&action).await;
}

/// A desk that signs what a runbook has something against, cited or not.
#[tokio::test]
async fn a_contract_that_objects() {
    let (range, action) = (Range::new().await, scale("cart", 7));
    range.approved(&action).await;
    let honest = range.claims(&action).await;
    let cited = |text: &str| Claims {
        runbook: Some(RunbookRef { id: "leak".to_owned(), digest: Digest::of(text.as_bytes()) }),
        ..honest.clone()
    };
    range.write("runbooks/leak.md", RUNBOOK);
    assert!(range.refuses(&action, "contract").await.contains("at most 6"));
    range.offer(&cited(RUNBOOK));
    assert!(range.refuses(&action, "contract").await.contains("at most 6"));
    range.wire.honest();
    let owners = owned(&RUNBOOK.replace("max_desired_count = 6", "max_desired_count = 8"));
    range.write("runbooks/leak.md", &owners);
    assert!(range.refuses(&action, "contract").await.contains("1 owner"));
    range.offer(&cited(&owners));
    assert!(range.refuses(&action, "contract").await.contains("1 owner"));
    range.wire.honest();
    std::fs::remove_file(range.path("runbooks/leak.md")).unwrap();
    range.acts_once(&action).await;
}

/// What the desk itself keeps from being asked.
#[tokio::test]
async fn a_contract_that_wants_its_owner_too() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.write("runbooks/leak.md", &owned(RUNBOOK));
    let view = range.filed_with(&action, json!({"runbook": "leak"})).await;
    assert_eq!(range.says(FIRST, &view).await.0, 200);
    range.refuses(&action, "no_permit").await;
    assert_eq!(range.says("Editor-7", &view).await.0, 403, "no owner");
    let path = format!("/v1/requests/{}/approve", view.shown.request);
    let (status, answer) = range.post(SECOND, &path, &json!({"shown": view.digest, "role": "owner"})).await;
    assert_eq!((status, answer["state"]["state"].as_str()), (200, Some("approved")), "{answer}");
    range.acts_once(&action).await;
}

/// An asker that cites nothing is held to what is for this service and action, and people see it.
#[tokio::test]
async fn a_contract_that_nobody_cites() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.write("runbooks/leak.md", &owned(RUNBOOK));
    not_asked(&range, &scale("cart", 7), json!({}), "leak").await;
    let view = range.filed_with(&action, json!({"evidence": [], "reason": ""})).await;
    assert_eq!(held(&view), [("leak".to_owned(), "to".to_owned())]);
    let demands = view.shown.contracts[0].demands.join("; ");
    assert!(demands.contains("1 owner approves") && demands.contains("at most 6 tasks wanted"), "{demands}");
    wants_an_owner(&range, &view, &action).await;
    // Also by way of the server, which cites nothing ever.
    range.refuses_for(EDITOR, &scale("cart", 8), "policy").await;
    range.acts_once(&action).await;
}

#[tokio::test]
async fn a_laxer_contract_is_cited() {
    let (range, action) = (Range::new().await, scale("cart", 7));
    range.write("runbooks/leak.md", RUNBOOK);
    let lax = RUNBOOK.replace("'leak'", "'lax'").replace("= 6", "= 8");
    range.write("runbooks/lax.md", &lax);
    not_asked(&range, &action, json!({"runbook": "lax"}), "leak").await;
    not_asked(&range, &action, json!({"runbook": "leak"}), "leak").await;
    let fine = scale("cart", 6);
    let view = range.filed_with(&fine, json!({"runbook": "lax"})).await;
    assert_eq!(held(&view), [("leak".to_owned(), "to".to_owned())]);
    range.approve(&view).await;
    range.acts_once(&fine).await;
}

/// For any service, and an error: it holds whoever names the error, and is shown where nobody does.
#[tokio::test]
async fn a_contract_for_an_error_that_the_asker_names() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    let general = owned(RUNBOOK).replace("services = ['cart']", "signatures = ['Memory grows']");
    range.write("runbooks/leak.md", &general);
    not_asked(&range, &scale("cart", 7), json!({}), "leak").await;
    let quiet = scale("cart", 5);
    let view = range.filed_with(&quiet, json!({"evidence": [], "reason": "the queue is full"})).await;
    assert_eq!(held(&view), [("leak".to_owned(), "beside".to_owned())]);
    range.approve(&view).await;
    range.acts_once(&quiet).await;
    let view = range.filed(&action).await;
    assert_eq!(held(&view), [("leak".to_owned(), "to".to_owned())]);
    wants_an_owner(&range, &view, &action).await;
    // The server holds it to the very text, too.
    range.write("runbooks/leak.md", &format!("{general}And one word more.\n"));
    assert!(range.refuses(&action, "contract").await.contains("changed"));
    std::fs::remove_file(range.path("runbooks/leak.md")).unwrap();
    range.refuses(&action, "contract").await;
    range.write("runbooks/leak.md", &general);
    range.acts_once(&action).await;
}

/// What is never done is not asked either, for a service by its name and for an error that is named.
#[tokio::test]
async fn a_contract_that_forbids_is_not_asked_about() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    let never = |head: &str| {
        format!("+++\nid = 'never'\ntitle = 'Never'\n{head}never_actions = ['scale_service']\n+++\n# Never\n")
    };
    for head in ["services = ['cart']\n", "", "signatures = ['MEMORY grows']\n"] {
        range.write("runbooks/never.md", &never(head));
        not_asked(&range, &action, json!({}), "never").await;
    }
    range.write("runbooks/never.md", &never("signatures = ['disk is full']\n"));
    let view = range.filed(&action).await;
    assert_eq!(held(&view), [("never".to_owned(), "beside".to_owned())]);
    let (_, all) = range.at_desk(FIRST, Method::GET, "/v1/requests", None).await;
    assert_eq!(all.as_array().unwrap().len(), 1, "{all}");
    range.approve(&view).await;
    range.acts_once(&action).await;
}
