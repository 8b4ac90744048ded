//! The world reacts, and it misbehaves: ECS, restarts, scaling, injected failures, by the SDK clients.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

use std::{path::Path, time::Duration};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_sdk_cloudwatch::types::StateValue;
use aws_sdk_codedeploy::types::DeploymentStatus;
use aws_sdk_ecs::types::{
    DesiredStatus, ServiceDeploymentStatus, StopServiceDeploymentStopType, TaskDefinitionField,
};
use aws_smithy_types::{error::metadata::ProvideErrorMetadata, retry::RetryConfig};
use midwatch_policy::ActionKind;
use midwatch_sim::{Scenario, World};

async fn play(scenario: Scenario) -> (World, SdkConfig) {
    let world = World::start(scenario).await.unwrap();
    let credentials = Credentials::new("AKIAEXAMPLE", "x", None, None, "t");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(world.endpoint())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled())
        .build();
    (world, config)
}

async fn named(id: &str) -> (World, SdkConfig) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(id);
    play(Scenario::load(&dir).unwrap()).await
}

async fn written(text: &str) -> (World, SdkConfig) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("scenario.toml"), text).unwrap();
    play(Scenario::load(dir.path()).unwrap()).await
}

async fn state(config: &SdkConfig, alarm: &str) -> StateValue {
    let client = aws_sdk_cloudwatch::Client::new(config);
    let answer = client.describe_alarms().alarm_names(alarm).send().await.unwrap();
    answer.metric_alarms()[0].state_value().unwrap().clone()
}

#[tokio::test]
async fn an_ecs_release_is_taken_back_to_the_task_definition_before() {
    let (world, config) = named("ecs-rolling-bad-release").await;
    let ecs = aws_sdk_ecs::Client::new(&config);
    let listed =
        ecs.list_service_deployments().cluster("retail").service("inventory-api").send().await.unwrap();
    let newest = &listed.service_deployments()[0];
    assert_eq!(newest.status(), Some(&ServiceDeploymentStatus::Successful));
    let arn = newest.service_deployment_arn().unwrap().to_owned();
    assert!(arn.ends_with("/retail/inventory-api/kQ2mV7xNsa0PbT4cE9rWd"), "{arn}");
    let expected = world.expected().causes[0].reference.clone().unwrap();
    assert_eq!(expected, arn);

    let described = ecs.describe_service_deployments().service_deployment_arns(&arn).send().await.unwrap();
    let source = described.service_deployments()[0].source_service_revisions()[0].arn().unwrap().to_owned();
    let revisions = ecs.describe_service_revisions().service_revision_arns(&source).send().await.unwrap();
    let before = revisions.service_revisions()[0].task_definition().unwrap().to_owned();
    let current = ecs.describe_services().cluster("retail").services("inventory-api").send().await.unwrap();
    let current = current.services()[0].task_definition().unwrap().to_owned();
    assert_ne!(before, current);
    let definition = ecs
        .describe_task_definition()
        .task_definition(&current)
        .include(TaskDefinitionField::Tags)
        .send()
        .await
        .unwrap();
    let tag = |key: &str| {
        definition.tags().iter().find(|t| t.key() == Some(key)).and_then(|t| t.value()).unwrap().to_owned()
    };
    assert!(tag("commit").starts_with("e07b41d") && tag("pull_request") == "2291");
    let container = &definition.task_definition().unwrap().container_definitions()[0];
    assert!(container.image().unwrap().ends_with(":e07b41d"));
    assert!(container.environment().iter().any(|e| e.value() == Some("v4")));

    // It has finished: it cannot be stopped.
    let refused = ecs
        .stop_service_deployment()
        .service_deployment_arn(&arn)
        .stop_type(StopServiceDeploymentStopType::Rollback)
        .send()
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some("ConflictException"));

    let updated = ecs
        .update_service()
        .cluster("retail")
        .service("inventory-api")
        .task_definition(&before)
        .send()
        .await
        .unwrap();
    let deployments = updated.service().unwrap().deployments();
    assert_eq!(deployments.len(), 2, "{deployments:?}");
    world.clock().sleep(Duration::from_secs(20)).await;
    let during = ecs.describe_services().cluster("retail").services("inventory-api").send().await.unwrap();
    assert_eq!(during.services()[0].deployments().len(), 2);
    world.clock().sleep(Duration::from_mins(5)).await;
    let after = ecs.describe_services().cluster("retail").services("inventory-api").send().await.unwrap();
    let service = &after.services()[0];
    assert_eq!((service.running_count(), service.pending_count(), service.deployments().len()), (5, 0, 1));
    assert_eq!(service.task_definition(), Some(before.as_str()));
    assert_eq!(state(&config, "inventory-api-5xx").await, StateValue::Ok);
    let kinds: Vec<_> =
        world.mutations().iter().filter(|m| m.accepted).filter_map(midwatch_sim::Mutation::kind).collect();
    assert_eq!(kinds, [ActionKind::RollbackDeployment]);
}

#[tokio::test]
async fn stopping_a_deployment_in_progress_rolls_it_back() {
    let (world, config) = named("deployment-in-progress").await;
    let deploy = aws_sdk_codedeploy::Client::new(&config);
    let get = |id: String| {
        let deploy = deploy.clone();
        async move { deploy.get_deployment().deployment_id(id).send().await.unwrap().deployment_info.unwrap() }
    };
    assert_eq!(get("d-3VN81QRZT".into()).await.status(), Some(&DeploymentStatus::InProgress));
    deploy.stop_deployment().deployment_id("d-3VN81QRZT").auto_rollback_enabled(true).send().await.unwrap();
    let stopped = get("d-3VN81QRZT".into()).await;
    assert_eq!(stopped.status(), Some(&DeploymentStatus::Stopped));
    let by = stopped.rollback_info().unwrap().rollback_deployment_id().unwrap().to_owned();
    let back = get(by.clone()).await;
    assert_eq!(back.creator().unwrap().as_str(), "codeDeployRollback");
    assert_eq!(back.rollback_info().unwrap().rollback_triggering_deployment_id(), Some("d-3VN81QRZT"));
    world.clock().sleep(Duration::from_mins(5)).await;
    assert_eq!(get(by).await.status(), Some(&DeploymentStatus::Succeeded));
    assert_eq!(state(&config, "pricing-engine-error-rate").await, StateValue::Ok);
}

#[tokio::test]
async fn a_restart_ends_a_leak_and_its_kills() {
    let (world, config) = named("memory-leak-oom").await;
    let ecs = aws_sdk_ecs::Client::new(&config);
    let stopped = || async {
        let listed = ecs
            .list_tasks()
            .cluster("media")
            .service_name("thumbnail-worker")
            .desired_status(DesiredStatus::Stopped)
            .send()
            .await
            .unwrap();
        let tasks = ecs
            .describe_tasks()
            .cluster("media")
            .set_tasks(Some(listed.task_arns().to_vec()))
            .send()
            .await
            .unwrap();
        let oom = |t: &&aws_sdk_ecs::types::Task| t.containers()[0].exit_code() == Some(137);
        tasks.tasks().iter().filter(oom).count()
    };
    let before = stopped().await;
    assert!(before >= 3, "{before}");
    ecs.update_service()
        .cluster("media")
        .service("thumbnail-worker")
        .force_new_deployment(true)
        .send()
        .await
        .unwrap();
    world.clock().sleep(Duration::from_mins(6)).await;
    let after = stopped().await;
    world.clock().sleep(Duration::from_mins(6)).await;
    assert_eq!(stopped().await, after, "tasks are still killed");
    assert_eq!(state(&config, "thumbnail-worker-failures").await, StateValue::Ok);
    assert_eq!(world.mutations()[0].kind(), Some(ActionKind::RestartService));
}

#[tokio::test]
async fn a_release_under_way_only_loses_tasks_of_its_own() {
    let text = "time = 2026-02-02T12:00:00Z\nhistory = \"30m\"\n[[service]]\nname = \"a\"\ntasks = 5\n\
        [[deployment]]\nservice = \"a\"\nid = \"good\"\nat = \"-3d\"\nenv = { KEY = \"1\", OLD = \"x\" }\n\
        [[deployment]]\nservice = \"a\"\nid = \"bad\"\nat = \"-6m\"\nstatus = \"in_progress\"\n\
        env = { OLD = \"x\" }\n\
        [[fault]]\nservice = \"a\"\ndeployment = \"bad\"\nat = \"-4m\"\ntasks_down = 2\nerror_share = 0.3\n\
        task_stops = { every = \"40s\", kind = \"crash\" }\n\
        [[alarm]]\nmetric = \"running_tasks\"\n";
    let (world, config) = written(text).await;
    let ecs = aws_sdk_ecs::Client::new(&config);
    let described = ecs.describe_services().cluster("production").services("a").send().await.unwrap();
    let service = &described.services()[0];
    assert_eq!(service.running_count(), 3, "{service:?}");
    let [new, old] = service.deployments() else { panic!("{:?}", service.deployments()) };
    assert_eq!((new.status(), old.status()), (Some("PRIMARY"), Some("ACTIVE")));
    assert_eq!(new.running_count() + old.running_count(), 3);
    assert!(new.failed_tasks() >= 3 && old.failed_tasks() == 0, "{new:?} {old:?}");
    let env = |definition: &str| {
        let call = ecs.describe_task_definition().task_definition(definition).send();
        async move {
            let answer = call.await.unwrap();
            let container = answer.task_definition().unwrap().container_definitions()[0].clone();
            container.environment().iter().filter_map(|e| e.name().map(str::to_owned)).collect::<Vec<_>>()
        }
    };
    assert_eq!(env(old.task_definition().unwrap()).await, ["SERVICE_NAME", "KEY", "OLD"]);
    assert_eq!(env(new.task_definition().unwrap()).await, ["SERVICE_NAME", "OLD"]);

    // Only tasks of the new revision ended by themselves.
    let stopped = ecs
        .list_tasks()
        .cluster("production")
        .service_name("a")
        .desired_status(DesiredStatus::Stopped)
        .send()
        .await
        .unwrap();
    let tasks = ecs.describe_tasks().cluster("production").set_tasks(stopped.task_arns).send().await.unwrap();
    let crashed: Vec<_> = tasks.tasks().iter().filter(|t| t.containers()[0].exit_code() == Some(1)).collect();
    assert!(crashed.len() >= 3, "{}", crashed.len());
    assert!(crashed.iter().all(|t| t.task_definition_arn() == new.task_definition()), "{crashed:?}");

    let reason = aws_sdk_cloudwatch::Client::new(&config).describe_alarms().send().await.unwrap();
    let reason = reason.metric_alarms()[0].state_reason().unwrap().to_owned();
    assert!(
        reason.starts_with("Threshold Crossed: 3 out of the last 3 datapoints [")
            && reason.contains("were less than"),
        "{reason}"
    );

    let listed = ecs.list_service_deployments().cluster("production").service("a").send().await.unwrap();
    let arn = listed.service_deployments()[0].service_deployment_arn().unwrap().to_owned();
    ecs.stop_service_deployment()
        .service_deployment_arn(arn)
        .stop_type(StopServiceDeploymentStopType::Rollback)
        .send()
        .await
        .unwrap();
    world.clock().sleep(Duration::from_mins(5)).await;
    let after = ecs.describe_services().cluster("production").services("a").send().await.unwrap();
    assert_eq!((after.services()[0].running_count(), after.services()[0].deployments().len()), (5, 1));
    assert_eq!(state(&config, "a-running-tasks-low").await, StateValue::Ok);
}

#[tokio::test]
async fn easing_wears_off_and_scaling_helps_by_degrees() {
    let text = "time = 2026-02-02T12:00:00Z\nhistory = \"30m\"\n[[service]]\nname = \"a\"\ntasks = 4\n\
        [[fault]]\nservice = \"a\"\neased_by = \"restart\"\nregrows_in = \"10m\"\n";
    let (world, config) = written(text).await;
    let ecs = aws_sdk_ecs::Client::new(&config);
    ecs.update_service().cluster("production").service("a").force_new_deployment(true).send().await.unwrap();
    world.clock().sleep(Duration::from_mins(3)).await;
    assert_eq!(state(&config, "a-5xx-error-rate").await, StateValue::Ok);
    world.clock().sleep(Duration::from_mins(15)).await;
    assert_eq!(state(&config, "a-5xx-error-rate").await, StateValue::Alarm);

    let text = "time = 2026-02-02T12:00:00Z\nhistory = \"30m\"\n[[service]]\nname = \"a\"\ntasks = 4\n\
        [[fault]]\nservice = \"a\"\nneeds_tasks = 8\ncpu = 97\nerror_share = 0.3\n";
    let (world, config) = written(text).await;
    let ecs = aws_sdk_ecs::Client::new(&config);
    let scale = |to| ecs.update_service().cluster("production").service("a").desired_count(to).send();
    scale(5).await.unwrap();
    world.clock().sleep(Duration::from_mins(5)).await;
    assert_eq!(state(&config, "a-5xx-error-rate").await, StateValue::Alarm);
    scale(8).await.unwrap();
    world.clock().sleep(Duration::from_mins(5)).await;
    assert_eq!(state(&config, "a-5xx-error-rate").await, StateValue::Ok);
    let service = ecs.describe_services().cluster("production").services("a").send().await.unwrap();
    assert_eq!(service.services()[0].running_count(), 8);
}

#[tokio::test]
async fn calls_fail_as_the_scenario_says() {
    let text = "time = 2026-02-02T12:00:00Z\nhistory = \"30m\"\n[[service]]\nname = \"a\"\n\
        [[inject]]\napi = \"cloudwatch:*\"\nfails_with = \"throttling\"\ntimes = 1\n\
        [[inject]]\napi = \"ecs:DescribeServices\"\nfails_with = \"access_denied\"\n\
        [[inject]]\napi = \"ecs:UpdateService\"\nfails_with = \"time_out_after_effect\"\ntimes = 1\n\
        [[inject]]\napi = \"sts:GetCallerIdentity\"\nfails_with = \"expired_credentials\"\nskip = 1\n\
        [[inject]]\napi = \"ecs:ListTasks\"\nfails_with = \"slow\"\nby = \"30s\"\n";
    let (world, config) = written(text).await;
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&config);
    let error = cloudwatch.describe_alarms().send().await.unwrap_err();
    assert_eq!(error.code(), Some("ThrottlingException"));
    assert!(cloudwatch.describe_alarms().send().await.is_ok());
    let ecs = aws_sdk_ecs::Client::new(&config);
    let error = ecs.describe_services().cluster("production").services("a").send().await.unwrap_err();
    assert_eq!(error.code(), Some("AccessDeniedException"));
    let sts = aws_sdk_sts::Client::new(&config);
    assert_eq!(sts.get_caller_identity().send().await.unwrap().account(), Some("123456789012"));
    let error = sts.get_caller_identity().send().await.unwrap_err();
    assert_eq!(error.code(), Some("ExpiredTokenException"));
    let role = sts.assume_role().role_arn("arn:aws:iam::123456789012:role/r").role_session_name("s");
    assert!(role.send().await.unwrap().credentials().is_some());

    let before = world.clock().now();
    ecs.list_tasks().cluster("production").send().await.unwrap();
    assert!(world.clock().now().duration_since(before).as_secs() >= 30);

    // No answer, and yet it took effect: only the oracle can tell.
    let error =
        ecs.update_service().cluster("production").service("a").force_new_deployment(true).send().await;
    assert_eq!(error.unwrap_err().code(), None);
    assert!(world.mutations()[0].accepted);
}

#[tokio::test]
async fn waits_side_by_side_take_as_long_as_the_longest() {
    let (world, config) =
        written("time = 2026-02-02T12:00:00Z\nhistory = \"15m\"\n[[service]]\nname = \"a\"\n").await;
    let clock = world.clock();
    let begin = clock.now();
    let (short, long) = (clock.sleep(Duration::from_secs(30)), clock.sleep(Duration::from_secs(50)));
    tokio::join!(short, long);
    assert_eq!(clock.now().duration_since(begin).as_secs(), 50);

    // A deadline beside work does not fire while the work goes on.
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&config);
    tokio::select! {
        () = clock.sleep(Duration::from_mins(30)) => panic!("the deadline came first"),
        answer = cloudwatch.describe_alarms().send() => { answer.unwrap(); }
    }
    assert!(clock.now().duration_since(begin).as_secs() < 55);

    // While somebody is asked, real time passes, and no more of it.
    let pace = world.run_at_real_time();
    let begin = clock.now();
    clock.sleep(Duration::from_millis(120)).await;
    let passed = clock.now().duration_since(begin).as_millis();
    assert!((120..2000).contains(&passed), "{passed}");
    drop(pace);
}
