use aws_sdk_codedeploy::types::S3Location;
use jiff::Timestamp;
use midwatch_policy::{Catalog, ScaleBounds};

use super::*;
use crate::state::{Controller, Deployed, RolloutPhase, Scheduling};

fn aws(text: &str) -> AwsName {
    AwsName::parse(text).unwrap()
}

fn name(text: &str) -> ServiceName {
    ServiceName::parse(text).unwrap()
}

fn service(extra: &str) -> Service {
    let text = format!(
        "[[service]]\nname='api'\ntier=1\nenvironment='production'\necs={{cluster='prod',service='api'}}\n\
         codedeploy={{application='shop',deployment_group='api'}}\n{extra}"
    );
    Catalog::parse(&text).unwrap().services().next().unwrap().clone()
}

fn ecs_service() -> EcsService {
    EcsService {
        target: EcsTarget { cluster: aws("prod"), service: aws("api") },
        primary_id: aws("ecs-svc/1"),
        task_definition: aws("arn:aws:ecs:us-east-1:1:task-definition/api:42"),
        desired: 4,
        running: 3,
        controller: Controller::Ecs,
        scheduling: Scheduling::Replica,
        minimum_healthy: 50,
        in_progress: Vec::new(),
    }
}

fn live() -> Live {
    Live { running: Some(ecs_service()), dependents: vec![name("web")], ..Live::default() }
}

fn deployed(id: &str, second: i64, phase: Phase) -> Deployed {
    Deployed {
        id: aws(id),
        created_at: Timestamp::from_second(second).unwrap(),
        phase,
        revision: format!("s3://builds/{id}.zip"),
        location: Some(RevisionLocation::builder().build()),
        rollback_of: None,
        rolled_back_by: None,
        instances: 5,
    }
}

fn group(phase: Phase) -> Group {
    Group {
        target: CodeDeployTarget { application: aws("shop"), deployment_group: aws("api") },
        deployments: vec![deployed("d-2", 2, phase), deployed("d-1", 1, Phase::Succeeded)],
    }
}

fn restart() -> Action {
    Action::RestartService { service: name("api") }
}

fn scale(desired_count: u32) -> Action {
    Action::ScaleService { service: name("api"), desired_count }
}

#[test]
fn a_restart_reads_well_at_night() {
    let planned = plan(&restart(), &service(""), &live()).unwrap();
    insta::assert_json_snapshot!(planned.plan);
}

#[test]
fn a_rollback_by_codedeploy_reads_well_at_night() {
    let action = Action::RollbackDeployment { service: name("api"), deployment_id: aws("d-2") };
    let on_instances = Live { group: Some(group(Phase::Succeeded)), ..Live::default() };
    insta::assert_json_snapshot!(plan(&action, &service(""), &on_instances).unwrap().plan);
    let busy = Live { group: Some(group(Phase::InProgress)), ..live() };
    let planned = plan(&action, &service(""), &busy).unwrap();
    assert!(matches!(planned.call, Move::StopDeployment { .. }));
    assert_eq!(planned.plan.blast_radius.tasks_affected, 3, "tasks are counted where there are tasks");
}

#[test]
fn a_revision_that_can_be_exchanged_is_told() {
    let action = Action::RollbackDeployment { service: name("api"), deployment_id: aws("d-2") };
    let warnings = |s3: S3Location| {
        let mut group = group(Phase::Succeeded);
        group.deployments[1].location = Some(RevisionLocation::builder().s3_location(s3).build());
        plan(&action, &service(""), &Live { group: Some(group), ..live() }).unwrap().plan.warnings
    };
    let s3 = || S3Location::builder().bucket("builds").key("d-1.zip");
    let told = warnings(s3().build());
    assert!(told.iter().any(|warning| warning.contains("neither a version nor an ETag")), "{told:?}");
    for pinned in [s3().version("v1").build(), s3().e_tag("e1").build()] {
        assert!(!warnings(pinned).iter().any(|warning| warning.contains("ETag")));
    }
}

#[test]
fn a_rollback_by_ecs_reads_well_at_night() {
    let rollout = Rollout {
        arn: aws("arn:aws:ecs:us-east-1:1:service-deployment/prod/api/x"),
        created_at: Timestamp::from_second(1).unwrap(),
        phase: RolloutPhase::InProgress,
        to: Some(ecs_service().task_definition),
        from: vec![aws("arn:aws:ecs:us-east-1:1:task-definition/api:41")],
        running: 1,
    };
    let action = Action::RollbackDeployment { service: name("api"), deployment_id: rollout.arn.clone() };
    let live = Live { rollouts: vec![rollout], ..live() };
    insta::assert_json_snapshot!(plan(&action, &service(""), &live).unwrap().plan);
}

#[test]
fn the_terms_are_the_same_while_it_goes_on_and_after_it_ended() {
    let action = Action::RollbackDeployment { service: name("api"), deployment_id: aws("d-2") };
    let terms = |phase| {
        let live = Live { group: Some(group(phase)), ..live() };
        plan(&action, &service(""), &live).unwrap().plan.terms
    };
    assert_eq!(terms(Phase::InProgress), terms(Phase::Succeeded));
}

#[test]
fn a_restart_waits_for_deployments_of_either_kind() {
    let mut by_ecs = live();
    by_ecs.running.as_mut().unwrap().in_progress.push("ecs-svc/2".to_owned());
    let by_codedeploy = Live { group: Some(group(Phase::InProgress)), ..live() };
    for busy in [by_ecs, by_codedeploy] {
        let refused = plan(&restart(), &service(""), &busy);
        assert!(matches!(refused, Err(Refusal::DeploymentInProgress { .. })), "{refused:?}");
    }
    assert!(plan(&restart(), &service(""), &Live { group: Some(group(Phase::Succeeded)), ..live() }).is_ok());
}

#[test]
fn scaling_knows_its_bounds_its_risk_and_its_way_back() {
    let bounded = service("scale={min=1,max=8}");
    assert!(
        matches!(plan(&scale(5), &service(""), &live()), Err(Refusal::Bounds { .. })),
        "no bounds, no scaling"
    );
    for (count, risk, affected) in
        [(8, Risk::Low, 0), (3, Risk::Medium, 0), (2, Risk::Medium, 1), (1, Risk::High, 2)]
    {
        let planned = plan(&scale(count), &bounded, &live()).unwrap();
        assert_eq!(
            (planned.plan.risk, planned.plan.blast_radius.tasks_affected),
            (risk, affected),
            "{count}"
        );
        assert_eq!(planned.plan.inverse.action, Some(scale(4)));
    }
    assert!(matches!(plan(&scale(4), &bounded, &live()), Err(Refusal::NothingToDo { .. })));
    for count in [0, 9, u32::MAX] {
        assert!(matches!(plan(&scale(count), &bounded, &live()), Err(Refusal::Bounds { .. })), "{count}");
    }
    // A count outside of the bounds cannot be gone back to.
    let mut narrow = service("");
    narrow.scale = Some(ScaleBounds { min: 5, max: 8 });
    assert_eq!(plan(&scale(5), &narrow, &live()).unwrap().plan.inverse.action, None);
}

#[test]
fn what_ecs_cannot_be_told_is_refused() {
    let bounded = service("scale={min=1,max=8}");
    let with = |change: fn(&mut EcsService)| {
        let mut live = live();
        change(live.running.as_mut().unwrap());
        live
    };
    let other = with(|s| s.controller = Controller::Other);
    assert!(matches!(plan(&restart(), &bounded, &other), Err(Refusal::OtherController { .. })));
    let daemon = with(|s| s.scheduling = Scheduling::Daemon);
    assert!(matches!(plan(&scale(5), &bounded, &daemon), Err(Refusal::Bounds { .. })));
    let empty = with(|s| s.desired = 0);
    assert!(matches!(plan(&restart(), &bounded, &empty), Err(Refusal::NothingToDo { .. })));
    assert!(matches!(plan(&restart(), &bounded, &Live::default()), Err(Refusal::NoTarget { .. })));
}

#[test]
fn tier_and_protection_are_told() {
    let mut critical = service("protected=true");
    critical.tier = 0.try_into().unwrap();
    let planned = plan(&restart(), &critical, &live()).unwrap().plan;
    assert!(planned.warnings[0].contains("protected"));
    assert_eq!(planned.risk, Risk::Medium);
}
