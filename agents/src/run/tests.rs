//! The loop against models that do what models do, and worse.

mod chain;
mod journaled;
mod prefix;
mod stage;

use std::sync::{Arc, atomic::Ordering};

use midwatch_policy::{Action, CauseKind, Verdict};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{CONCLUDE, Ended, ROUTE, RunContext, investigate, remediate, route};
use crate::{
    brief::Brief,
    budget::Spend,
    events::AgentEvent,
    fixture::{SERVICE, at},
    model::{Content, Model, ModelErrorKind, ToolUse},
    playbook::PlaybookModel,
    prices::Prices,
    route::Route,
    specialist::Specialist,
};
use stage::*;

#[test]
fn a_model_that_works_is_checked_and_settled() {
    let stage = Stage::new(vec![
        calls(&[("error_patterns", json!({"service": "a"})), ("search_runbooks", json!({"query": "q"}))]),
        calls(&[(CONCLUDE, conclusion())]),
    ]);
    let outcome = stage.run();
    assert_eq!((outcome.ended, outcome.turns, outcome.tool_calls), (Ended::Concluded, 2, 2));
    assert_eq!(outcome.concluded_by, stage.model.id());
    assert!((outcome.output.causes[0].confidence - 1.0).abs() < 1e-9, "bounded");
    assert!(!outcome.output.claims[0].is_fact(), "a citation that does not resolve is no fact");
    assert_eq!(outcome.cost_micro_usd, 2 * 1250);
    assert_eq!(stage.spend.total().cost_micro_usd, 2 * 1250);
    assert_eq!(stage.spend.total().reserved_micro_usd, 0);
    let requests = stage.model.requests.lock().unwrap();
    let Content::ToolResult(result) = &requests[1].messages[2].content[0] else { panic!("result") };
    let body = serde_json::to_value(&result.content[0]).unwrap();
    assert_eq!(
        (&body["json"]["untrusted"], &body["json"]["origin"]["tool"]),
        (&json!(true), &json!("error_patterns"))
    );
    assert!(body["json"]["result"]["evidence"].as_str().unwrap().starts_with('E'));
    // What tools answer never gets into the system prompt.
    assert!(!serde_json::to_string(&requests[1].system).unwrap().contains("Ignore prior"));
}

#[test]
fn no_model_is_shown_a_tool_that_changes_something_or_that_nobody_classed() {
    let stage = Stage::new(vec![calls(&[
        ("rollback_deployment", json!({"service": SERVICE})),
        ("log_query", json!({})),
    ])]);
    let outcome = stage.run();
    assert_ne!(outcome.ended, Ended::Concluded);
    let shown: Vec<String> =
        stage.model.requests.lock().unwrap()[0].tool_names().map(str::to_owned).collect();
    assert_eq!(shown, ["error_patterns", "search_runbooks", CONCLUDE]);
    assert!(
        stage
            .tools
            .calls
            .lock()
            .unwrap()
            .iter()
            .all(|c| c.tool != "rollback_deployment" && c.tool != "log_query")
    );
}

#[test]
fn repeats_are_answered_from_before_and_end_the_run() {
    let stage = Stage::new(vec![calls(&[("error_patterns", json!({"a": 1, "b": 2}))])]);
    let outcome = stage.run();
    assert_eq!(outcome.ended, Ended::Repeats);
    assert_eq!(stage.model.requests.lock().unwrap().len(), 4, "one call and three repeats");
    let same: Vec<_> =
        stage.tools.calls.lock().unwrap().iter().filter(|c| c.args.contains_key("b")).cloned().collect();
    assert_eq!(same.len(), 1);
    // The rules concluded from the sweep all the same.
    assert_eq!(
        (outcome.output.causes[0].kind, outcome.concluded_by.as_str()),
        (CauseKind::Dependency, "playbook")
    );
}

#[test]
fn every_way_of_not_concluding_ends_in_a_finding() {
    let text = |t: &str, stop: &str| said(vec![Content::Text(t.into())], stop);
    let fresh = |n: u32| calls(&[("error_patterns", json!({ "n": n }))]);
    let cases: Vec<(Vec<Reply>, Ended)> = vec![
        (vec![text("I think it is fine.", "end_turn")], Ended::NoConclusion),
        (vec![said(vec![], "end_turn")], Ended::NoConclusion),
        (vec![text("", "malformed_tool_use")], Ended::Malformed),
        (vec![text("x", "malformed_model_output")], Ended::Malformed),
        (vec![text("x", "max_tokens")], Ended::Malformed),
        (vec![text("blocked", "guardrail_intervened")], Ended::Filtered),
        (vec![text("", "content_filtered")], Ended::Filtered),
        (vec![text("", "model_context_window_exceeded")], Ended::ContextFull),
        (vec![calls(&[(CONCLUDE, json!({"verdict": "fine"}))])], Ended::Malformed),
        (vec![calls(&[(CONCLUDE, json!("not an object"))])], Ended::Malformed),
        ((0..20).map(fresh).collect(), Ended::Turns),
        (vec![Err(ModelErrorKind::Throttled)], Ended::ModelError(ModelErrorKind::Throttled)),
        (vec![Err(ModelErrorKind::AccessDenied)], Ended::ModelError(ModelErrorKind::AccessDenied)),
        (vec![Err(ModelErrorKind::ContextTooLong)], Ended::ContextFull),
    ];
    for (replies, ended) in cases {
        let stage = Stage::new(replies);
        let outcome = stage.run();
        assert_eq!(outcome.ended, ended);
        assert_eq!(outcome.output.verdict, Verdict::Real);
        assert_eq!(outcome.output.causes[0].kind, CauseKind::Dependency);
        assert!(outcome.output.claims.iter().any(super::super::finding::Claim::is_fact));
        assert_eq!(stage.spend.total().reserved_micro_usd, 0, "{ended:?}");
        let remark = outcome.remark.unwrap();
        assert!(
            remark.starts_with("log analyst: ") && remark.ends_with("rules concluded in its place"),
            "{remark}"
        );
        let told = stage.told.0.lock().unwrap();
        let guarded = told.iter().any(|event| matches!(event, AgentEvent::Guarded { .. }));
        assert_eq!(guarded, ended == Ended::Filtered);
    }
}

#[test]
fn retries_are_reserved_one_by_one_and_unknown_usage_is_paid_in_full() {
    let stage = Stage::new(vec![
        Err(ModelErrorKind::Throttled),
        Err(ModelErrorKind::Timeout),
        calls(&[(CONCLUDE, conclusion())]),
    ]);
    let outcome = stage.run();
    assert_eq!((outcome.ended, outcome.model_calls, outcome.turns), (Ended::Concluded, 3, 1));
    let total = stage.spend.total();
    assert!(total.assumed_micro_usd > 0, "the time-out may have been charged");
    assert_eq!(total.cost_micro_usd, total.assumed_micro_usd + 1250, "the throttled call was not");
    assert_eq!(stage.clock.seconds.load(Ordering::SeqCst), 3, "waited one and two seconds");
}

#[test]
fn parallel_calls_are_one_turn_and_tool_calls_are_limited() {
    let many = |from: u32, n: u32| {
        let list: Vec<(&str, Value)> =
            (from..from + n).map(|i| ("error_patterns", json!({ "n": i }))).collect();
        calls(&list)
    };
    let stage = Stage::new(vec![many(0, 6), many(10, 8), many(20, 2), many(30, 2)]);
    let outcome = stage.run();
    assert_eq!(outcome.ended, Ended::ToolCalls);
    let of_model = stage.tools.calls.lock().unwrap().iter().filter(|c| c.args.contains_key("n")).count();
    assert_eq!(of_model, 10, "as many as its prompt file allows");
    let requests = stage.model.requests.lock().unwrap();
    assert_eq!(requests.len(), 3);
    assert!(requests[2].tools.as_ref().unwrap().tool_choice.is_some(), "told to conclude");
}

#[test]
fn time_money_tokens_and_cancelling_end_a_run() {
    let mut stage = Stage::new(vec![calls(&[("error_patterns", json!({}))])]);
    stage.clock.step = 200;
    assert_eq!(stage.run().ended, Ended::Deadline);

    let mut stage = Stage::new(vec![calls(&[(CONCLUDE, conclusion())])]);
    stage.spend = Spend::new(Arc::new(Prices::embedded().unwrap()), 100);
    let outcome = stage.run();
    assert_eq!((outcome.ended, outcome.cost_micro_usd), (Ended::Spend, 0));
    assert!(stage.model.requests.lock().unwrap().is_empty(), "nothing was asked");
    assert_eq!(outcome.output.causes[0].kind, CauseKind::Dependency);

    let mut stage = Stage::new(vec![calls(&[(CONCLUDE, conclusion())])]);
    stage.spend = Spend::new(Arc::new(Prices::default()), 5_000_000);
    assert_eq!(stage.run().ended, Ended::Spend, "a model without a price is not asked");

    let stage = Stage::new(vec![calls(&[(CONCLUDE, conclusion())])]);
    stage.cancel.cancel();
    let outcome = stage.run();
    assert_eq!((outcome.ended, outcome.model_calls), (Ended::Cancelled, 0));
}

#[test]
fn failing_and_huge_tools_are_survived() {
    let mut stage =
        Stage::new(vec![calls(&[("error_patterns", json!({"n": 1}))]), calls(&[(CONCLUDE, conclusion())])]);
    stage.tools.fail = true;
    assert_eq!(stage.run().ended, Ended::Concluded);
    let mut stage =
        Stage::new(vec![calls(&[("error_patterns", json!({"n": 1}))]), calls(&[(CONCLUDE, conclusion())])]);
    stage.tools.large = true;
    assert_eq!(stage.run().ended, Ended::Concluded);
    assert!(stage.model.requests.lock().unwrap()[1].bytes() < 60_000);
}

#[test]
fn the_playbook_works_in_the_same_loop_for_nothing() {
    let stage = Stage::new(vec![calls(&[])]);
    let mut incident = incident();
    incident.book = stage.book.clone();
    let ctx = RunContext { model: &PlaybookModel, ..stage.ctx() };
    let outcome = block(investigate(
        &ctx,
        &Specialist::log_analyst().unwrap(),
        &incident.task("log_analyst"),
        &incident.sweep(),
    ));
    assert_eq!((outcome.ended, outcome.cost_micro_usd, outcome.usage.total()), (Ended::Concluded, 0, 0));
    assert!(outcome.tool_calls > 0);
    assert_eq!(outcome.output.causes[0].reference.as_deref(), Some("prices-api"));
    let told = stage.told.0.lock().unwrap();
    assert!(matches!(told.first(), Some(AgentEvent::Started { .. })));
    assert!(matches!(told.last(), Some(AgentEvent::Finished { .. })));
}

#[test]
fn routing_falls_back_to_rules() {
    let stage = Stage::new(vec![said(vec![Content::Text("close it".into())], "end_turn")]);
    let incident = incident();
    let outcome = block(route(
        &stage.ctx(),
        &Specialist::router().unwrap(),
        &incident.task("router"),
        &incident.sweep(),
    ));
    assert_eq!((outcome.output.route, outcome.concluded_by.as_str()), (Route::Investigate, "playbook"));
    let in_text = json!({"route": "page_now", "reason": "all tasks are gone"}).to_string();
    let stage = Stage::new(vec![said(vec![Content::Text(format!("```json\n{in_text}\n```"))], "end_turn")]);
    let outcome = block(route(
        &stage.ctx(),
        &Specialist::router().unwrap(),
        &incident.task("router"),
        &incident.sweep(),
    ));
    assert_eq!((outcome.output.route, outcome.ended), (Route::PageNow, Ended::Concluded));
    let must = stage.model.requests.lock().unwrap()[0].tools.clone().unwrap().tool_choice;
    assert_eq!(serde_json::to_value(must).unwrap(), json!({"tool": {"name": ROUTE}}));
}

fn brief() -> Brief {
    serde_json::from_value(json!({"kind": "brief", "incident": "inc-1", "service": SERVICE, "verdict": "real", "ongoing": true, "protected": false,
        "causes": [{"kind": "deployment", "ref": "d-9", "confidence": 0.8, "evidence": ["E1"]}], "at": at("02:12"),
        "deployments": [{"deployment_id": "d-9", "status": "succeeded", "started_at": at("02:01"), "score": 0.8, "has_previous": true}]}))
    .unwrap()
}

#[test]
fn a_proposal_is_about_the_brief_and_was_planned() {
    let rollback = |service: &str, id: &str| json!({"tool": "rollback_deployment", "service": service, "deployment_id": id});
    let conclude = |action: Value| {
        calls(&[(CONCLUDE, json!({"action": action, "reason": "r", "evidence": ["E1", "E77"]}))])
    };
    let plan = || {
        calls(&[(
            "plan",
            json!({"action": "rollback_deployment", "service": SERVICE, "deployment_id": "d-9"}),
        )])
    };
    let specialist = Specialist::remediator().unwrap();
    let run = |replies: Vec<Reply>| {
        let stage = Stage::new(replies);
        block(remediate(&stage.ctx(), &specialist, &brief()))
    };
    let good = run(vec![plan(), conclude(rollback(SERVICE, "d-9"))]);
    assert_eq!(good.ended, Ended::Concluded);
    assert!(matches!(good.output.action, Some(Action::RollbackDeployment { .. })));
    assert_eq!(good.output.evidence.len(), 1, "only evidence of the brief");
    let none = run(vec![calls(&[(CONCLUDE, json!({"reason": "no"}))])]);
    assert_eq!((none.ended, none.output.action), (Ended::Concluded, None));
    for wrong in [
        rollback("payments", "d-9"),
        rollback(SERVICE, "d-1"),
        json!({"tool": "restart_service", "service": SERVICE}),
        json!({"tool": "drop_database"}),
        json!({"tool": "scale_service", "service": SERVICE, "desired_count": 1_000_000_000_000_000_u64}),
    ] {
        let outcome = run(vec![conclude(wrong.clone())]);
        assert_ne!(outcome.ended, Ended::Concluded, "{wrong}");
        assert_eq!(outcome.concluded_by, "playbook");
        // What the rules propose instead was planned and is about the brief.
        assert!(matches!(&outcome.output.action, None | Some(Action::RollbackDeployment { .. })));
    }
}

#[test]
fn futures_can_be_spawned() {
    fn is_send<T: Send>(_: &T) {}
    let stage = Stage::new(vec![calls(&[])]);
    let ctx = stage.ctx();
    let (incident, specialist, brief) = (incident(), Specialist::router().unwrap(), brief());
    let (task, sweep) = (incident.task("x"), incident.sweep());
    is_send(&investigate(&ctx, &specialist, &task, &sweep));
    is_send(&route(&ctx, &specialist, &task, &sweep));
    is_send(&remediate(&ctx, &specialist, &brief));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn whatever_a_model_says_a_run_ends_in_a_finding(
        lines in prop::collection::vec(("\\PC{0,60}", prop::sample::select(vec!["end_turn", "tool_use", "max_tokens", "zzz"]),
            prop::sample::select(vec!["", "error_patterns", "rollback", "conclude", "plan"]), "\\PC{0,20}", 0u64..u64::MAX), 1..6)
    ) {
        let replies = lines.iter().map(|(text, stop, tool, key, number)| {
            let mut content = vec![Content::Text(text.clone())];
            if !tool.is_empty() {
                let input = json!({ key.as_str(): number, "service": text });
                content.push(Content::ToolUse(ToolUse { tool_use_id: key.clone(), name: (*tool).to_owned(), input }));
            }
            said(content, stop)
        }).collect();
        let stage = Stage::new(replies);
        let outcome = stage.run();
        prop_assert!(outcome.turns <= 6 + 6);
        prop_assert_eq!(stage.spend.total().reserved_micro_usd, 0);
        let allowed = ["error_patterns", "search_runbooks"];
        prop_assert!(stage.tools.calls.lock().unwrap().iter().all(|c| allowed.contains(&c.tool.as_str())));
    }
}
