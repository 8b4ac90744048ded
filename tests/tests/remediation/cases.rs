//! Every action in every circumstance.

use midwatch_policy::Action;
use serde_json::json;

use crate::bench::{Bench, restart, rollback, scale};

fn codedeploy(id: &str, at: &str, status: &str) -> String {
    let takes = if status == "in_progress" { "40m" } else { "50s" };
    format!(
        "\n[[deployment]]\nservice='shop-api'\nid='{id}'\nat='{at}'\nstatus='{status}'\ntakes='{takes}'\ncommit='{}'\n",
        commit(id)
    )
}

fn ecs(id: &str, at: &str, status: &str) -> String {
    let takes = if status == "in_progress" { "40m" } else { "50s" };
    format!(
        "\n[[deployment]]\nservice='cart'\nkind='ecs'\nid='{id}'\nat='{at}'\nstatus='{status}'\ntakes='{takes}'\ncommit='{}'\n",
        commit(id)
    )
}

/// A commit of its own for each deployment.
fn commit(id: &str) -> String {
    let seed = id.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    format!("{seed:08x}")
}

/// The ids of ECS service deployments are ARNs that the world makes; the newest is what is asked for.
async fn newest_rollout(bench: &Bench) -> String {
    let clock = bench.world.clock().now();
    let aws = midwatch_mcp::Aws::new(midwatch_mcp::AwsSettings::local(bench.world.endpoint(), "us-east-1"));
    let ctx =
        midwatch_mcp::Ctx::new(aws, std::sync::Arc::new(bench.world.catalog().clone()), bench.world.clock());
    let client =
        midwatch_mcp::connect_in_process(midwatch_deployments::DeploymentsServer::new(ctx)).await.unwrap();
    let from = clock.checked_sub(midwatch_policy::SignedDuration::from_hours(6)).unwrap();
    let to = clock.checked_add(midwatch_policy::SignedDuration::from_secs(1)).unwrap();
    let arguments = json!({"service": "cart", "from": from.to_string(), "to": to.to_string()});
    let request = rmcp::model::CallToolRequestParams::new("list_deployments")
        .with_arguments(arguments.as_object().unwrap().clone());
    let listed = client.call_tool(request).await.unwrap().structured_content.unwrap();
    listed["deployments"][0]["deployment_id"].as_str().unwrap_or_else(|| panic!("{listed}")).to_owned()
}

async fn done(bench: &Bench, action: &Action, api: &str) {
    let receipt = bench.approved(action, "permit-1").await;
    assert_eq!(receipt["outcome"], "done", "{receipt}");
    assert_eq!(receipt["permit_id"], "permit-1");
    assert_eq!(receipt["calls"][0]["api"], api);
    assert_eq!(bench.changes(), [api]);
}

#[tokio::test]
async fn a_finished_codedeploy_deployment_is_redeployed_from_the_last_good_one() {
    let bench =
        Bench::new(&(codedeploy("d-GOOD", "-5h", "succeeded") + &codedeploy("d-BAD", "-4m", "succeeded")))
            .await;
    let action = rollback("shop-api", "d-BAD");
    let plan = bench.plan(&action).await.unwrap();
    assert_eq!(plan.steps[0].api, "codedeploy:CreateDeployment");
    assert_eq!(plan.blast_radius.tasks_running, 3);
    done(&bench, &action, "codedeploy:CreateDeployment").await;
    let sent = bench.world.mutations().remove(0).input;
    let deployed = sent["revision"]["gitHubLocation"]["commitId"].as_str().unwrap();
    assert!(deployed.starts_with(&commit("d-GOOD")), "{sent}");
    assert!(sent["description"].as_str().unwrap().contains("rollback of d-BAD (permit permit-1)"), "{sent}");
    // It is being taken back now, and is not planned a second time.
    let again = bench.plan(&action).await.unwrap_err();
    assert_eq!(again["error"]["kind"], "refused");
    assert!(again["error"]["message"].as_str().unwrap().contains("being taken back"), "{again}");
}

#[tokio::test]
async fn a_codedeploy_deployment_in_progress_is_stopped_with_rollback() {
    let bench =
        Bench::new(&(codedeploy("d-GOOD", "-5h", "succeeded") + &codedeploy("d-BAD", "-4m", "in_progress")))
            .await;
    done(&bench, &rollback("shop-api", "d-BAD"), "codedeploy:StopDeployment").await;
    assert_eq!(bench.world.mutations()[0].input["autoRollbackEnabled"], true);
}

#[tokio::test]
async fn an_ecs_deployment_in_progress_is_stopped_with_rollback() {
    let bench = Bench::new(&ecs("roll", "-4m", "in_progress")).await;
    let id = newest_rollout(&bench).await;
    done(&bench, &rollback("cart", &id), "ecs:StopServiceDeployment").await;
    assert_eq!(bench.world.mutations()[0].input["stopType"], "ROLLBACK");
}

#[tokio::test]
async fn a_finished_ecs_deployment_goes_back_to_the_task_definition_before() {
    let bench = Bench::new(&ecs("roll", "-4m", "succeeded")).await;
    let id = newest_rollout(&bench).await;
    let action = rollback("cart", &id);
    let plan = bench.plan(&action).await.unwrap();
    assert_eq!(plan.blast_radius.tasks_running, 4);
    assert_eq!(plan.blast_radius.dependents[0].as_str(), "shop-api");
    done(&bench, &action, "ecs:UpdateService").await;
    let again = bench.plan(&action).await.unwrap_err();
    assert!(again["error"]["message"].as_str().unwrap().contains("taken back"), "{again}");
}

#[tokio::test]
async fn a_restart_forces_a_new_deployment_but_not_beside_another() {
    let bench = Bench::new(&ecs("roll", "-3h", "succeeded")).await;
    done(&bench, &restart("cart"), "ecs:UpdateService").await;
    assert_eq!(bench.world.mutations()[0].input["forceNewDeployment"], true);

    let bench = Bench::new(&ecs("roll", "-4m", "in_progress")).await;
    let refused = bench.plan(&restart("cart")).await.unwrap_err();
    assert!(refused["error"]["message"].as_str().unwrap().contains("in progress"), "{refused}");
}

#[tokio::test]
async fn scaling_stays_within_bounds_and_knows_its_way_back() {
    let bench = Bench::new("").await;
    let plan = bench.plan(&scale("cart", 6)).await.unwrap();
    assert_eq!(plan.inverse.action, Some(scale("cart", 4)));
    done(&bench, &scale("cart", 6), "ecs:UpdateService").await;
    for count in [1, 9, 6] {
        assert!(bench.plan(&scale("cart", count)).await.is_err(), "{count}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_the_reason() {
    let history = codedeploy("d-OLD", "-6h", "succeeded") + &codedeploy("d-NEW", "-5h", "succeeded");
    let bench = Bench::new(&history).await;
    for (action, says) in [
        (rollback("shop-api", "d-OLD"), "not the newest"),
        (rollback("shop-api", "d-NOBODY"), "no deployment"),
        (rollback("cart", "d-NEW"), "deployment group"),
    ] {
        let refused = bench.plan(&action).await.unwrap_err();
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.contains(says), "{refused}");
        assert!(!refused["error"]["mend"].as_str().unwrap().is_empty());
    }
    assert_eq!(bench.changes(), [""; 0]);
}

#[tokio::test]
async fn an_answer_that_is_lost_is_ambiguous_and_not_asked_for_again() {
    let history = codedeploy("d-GOOD", "-5h", "succeeded") + &codedeploy("d-BAD", "-4m", "succeeded");
    for (kind, effects) in [("time_out_after_effect", 1), ("time_out", 0), ("server_error", 0)] {
        let inject = format!("\n[[inject]]\napi='codedeploy:CreateDeployment'\nfails_with='{kind}'\n");
        let bench = Bench::new(&(history.clone() + &inject)).await;
        let receipt = bench.approved(&rollback("shop-api", "d-BAD"), "permit-1").await;
        assert_eq!(receipt["outcome"], "ambiguous", "{kind}: {receipt}");
        assert_eq!(bench.changes().len(), effects, "{kind}");
        assert!(bench.world.mutations().len() <= 1, "{kind}: sent again");
        // The same permit is spent, whatever became of it.
        let again = bench.act(&rollback("shop-api", "d-BAD")).await;
        assert_eq!(again["outcome"], "refused", "{again}");
        assert_eq!(bench.changes().len(), effects, "{kind}");
    }
}

#[tokio::test]
async fn what_aws_refuses_has_failed_and_is_said() {
    let history = codedeploy("d-GOOD", "-5h", "succeeded") + &codedeploy("d-BAD", "-4m", "succeeded");
    for kind in ["access_denied", "throttling"] {
        let inject = format!("\n[[inject]]\napi='codedeploy:CreateDeployment'\nfails_with='{kind}'\n");
        let bench = Bench::new(&(history.clone() + &inject)).await;
        let receipt = bench.approved(&rollback("shop-api", "d-BAD"), "permit-1").await;
        assert_eq!(receipt["outcome"], "failed", "{kind}: {receipt}");
        assert!(receipt["calls"][0]["detail"].as_str().unwrap().contains("refused"), "{receipt}");
        assert_eq!(bench.changes(), [""; 0]);
    }
}
