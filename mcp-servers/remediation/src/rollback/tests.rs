use aws_sdk_codedeploy::types::RevisionLocation;
use jiff::Timestamp;
use midwatch_policy::{CodeDeployTarget, EcsTarget};
use proptest::prelude::*;

use super::*;
use crate::state::Scheduling;

fn aws(text: &str) -> AwsName {
    AwsName::parse(text).unwrap()
}

fn at(second: usize) -> Timestamp {
    Timestamp::from_second(1_795_226_400 + i64::try_from(second).unwrap()).unwrap()
}

/// Oldest first: `id revision phase [of]`.
fn group(lines: &[&str]) -> Group {
    let deployment = |(second, line): (usize, &&str)| {
        let words: Vec<&str> = line.split(' ').collect();
        Deployed {
            id: aws(words[0]),
            created_at: at(second),
            revision: words[1].to_owned(),
            phase: match words[2] {
                "ok" => Phase::Succeeded,
                "busy" => Phase::InProgress,
                "failed" => Phase::Failed,
                _ => Phase::Stopped,
            },
            location: Some(RevisionLocation::builder().build()),
            rollback_of: words.get(3).map(|of| (*of).to_owned()),
            rolled_back_by: None,
            instances: 2,
        }
    };
    let mut deployments: Vec<Deployed> = lines.iter().enumerate().map(deployment).collect();
    deployments.reverse();
    let target = CodeDeployTarget { application: aws("shop"), deployment_group: aws("api") };
    Group { target, deployments }
}

fn way(lines: &[&str], id: &str) -> String {
    match codedeploy(&group(lines), "api", id) {
        Ok(CodeDeployWay::Stop { bad, good }) => format!("stop {} for {}", bad.id, good.revision),
        Ok(CodeDeployWay::Redeploy { bad, good }) => format!("redeploy {} for {}", good.revision, bad.id),
        Err(refusal) => format!("{refusal:?}").split([' ', '{']).next().unwrap().to_owned(),
    }
}

#[test]
fn codedeploy_goes_back_the_right_way() {
    for (lines, id, expected) in [
        (&["1 r1 ok", "2 r2 ok"][..], "2", "redeploy r1 for 2"),
        (&["1 r1 ok", "2 r2 busy"], "2", "stop 2 for r1"),
        (&["1 r1 ok", "2 r2 failed"], "2", "redeploy r1 for 2"),
        (&["1 r1 ok", "2 r2 failed", "3 r3 ok"], "3", "redeploy r1 for 3"),
        // A repeat of the bad revision does not hide the good one, nor count as a newer one.
        (&["1 r1 ok", "2 r2 ok", "3 r2 ok"], "3", "redeploy r1 for 3"),
        (&["1 r1 ok", "2 r2 ok", "3 r2 ok"], "2", "redeploy r1 for 2"),
        (&["1 r1 ok", "2 r2 ok", "3 r2 busy"], "2", "DeploymentInProgress"),
        // What was taken back is not good.
        (&["0 r0 ok", "1 r1 ok", "2 r0 ok 1", "3 r3 ok"], "3", "redeploy r0 for 3"),
        (&["1 r1 ok", "2 r2 ok", "3 r1 ok 2", "4 r1 ok"], "4", "NothingEarlier"),
        (&["0 r0 ok", "1 r1 ok", "2 r0 ok 1", "3 r0 busy"], "3", "NothingEarlier"),
        (&["1 r1 ok", "2 r2 ok"], "1", "NotNewest"),
        (&["1 r1 ok", "2 r2 ok", "3 r1 ok 2"], "2", "AlreadyRolledBack"),
        (&["1 r1 ok", "2 r2 stopped", "3 r1 busy 2"], "2", "RollingBack"),
        (&["1 r1 ok", "2 r2 ok", "3 r1 ok 2"], "3", "IsRollback"),
        (&["2 r2 busy"], "2", "NothingEarlier"),
        (&["1 r2 ok", "2 r2 ok"], "2", "NothingEarlier"),
        (&["1 r1 ok"], "9", "UnknownDeployment"),
    ] {
        assert_eq!(way(lines, id), expected, "{lines:?} {id}");
    }
}

fn running(task: &str) -> EcsService {
    EcsService {
        target: EcsTarget { cluster: aws("prod"), service: aws("api") },
        primary_id: aws("ecs-svc/1"),
        task_definition: aws(task),
        desired: 2,
        running: 2,
        controller: Controller::Ecs,
        scheduling: Scheduling::Replica,
        minimum_healthy: 100,
        in_progress: Vec::new(),
    }
}

/// Oldest first: `arn from to phase`; `-` for nothing.
fn rollouts(lines: &[&str]) -> Vec<Rollout> {
    let rollout = |(second, line): (usize, &&str)| {
        let words: Vec<&str> = line.split(' ').collect();
        Rollout {
            arn: aws(words[0]),
            created_at: at(second),
            from: (words[1] != "-").then(|| aws(words[1])).into_iter().collect(),
            to: Some(aws(words[2])),
            phase: match words[3] {
                "ok" => RolloutPhase::Succeeded,
                "busy" => RolloutPhase::InProgress,
                "back" => RolloutPhase::RolledBack,
                "going-back" => RolloutPhase::RollingBack,
                "no-way-back" => RolloutPhase::RollbackFailed,
                _ => RolloutPhase::Stopped,
            },
            running: 1,
        }
    };
    let mut list: Vec<Rollout> = lines.iter().enumerate().map(rollout).collect();
    list.reverse();
    list
}

#[test]
fn ecs_goes_back_the_right_way() {
    let stop = |arn: &str, to: &str| format!("Ok(Stop {{ arn: AwsName({arn}), to: AwsName({to}) }})");
    let update = |to: &str| format!("Ok(Update {{ to: AwsName({to}) }})");
    for (live, lines, id, expected) in [
        ("t:2", &["a - t:1 ok", "b t:1 t:2 ok"][..], "b", update("t:1")),
        ("t:2", &["a - t:1 ok", "b t:1 t:2 ok"], "ecs-svc/1", update("t:1")),
        ("t:2", &["a - t:1 ok", "b t:1 t:2 busy"], "b", stop("b", "t:1")),
        ("t:2", &["a - t:1 ok", "b t:1 t:2 stopped"], "b", update("t:1")),
        // A restart in between changes nothing about what is bad.
        ("t:2", &["a - t:1 ok", "b t:1 t:2 ok", "c t:2 t:2 ok"], "b", update("t:1")),
        ("t:2", &["a - t:1 ok", "b t:1 t:2 ok", "c t:2 t:2 busy"], "b", "DeploymentInProgress".to_owned()),
        ("t:2", &["b t:1 t:2 ok", "c t:2 t:2 ok"], "c", "ChangedNothing".to_owned()),
        ("t:1", &["a - t:1 ok"], "a", "NothingEarlier".to_owned()),
        ("t:1", &["a - t:1 busy"], "a", "NothingEarlier".to_owned()),
        ("t:3", &["b t:1 t:2 ok", "c t:2 t:3 ok"], "b", "NotNewest".to_owned()),
        ("t:1", &["b t:1 t:2 ok", "c t:2 t:1 ok"], "b", "AlreadyRolledBack".to_owned()),
        ("t:1", &["b t:1 t:2 ok", "c t:2 t:1 busy"], "b", "RollingBack".to_owned()),
        ("t:1", &["b t:1 t:2 back"], "b", "AlreadyRolledBack".to_owned()),
        ("t:1", &["b t:1 t:2 going-back"], "b", "RollingBack".to_owned()),
        ("t:2", &["b t:1 t:2 no-way-back"], "b", "RollbackFailed".to_owned()),
        // Something that left no service deployment runs there.
        ("t:7", &["b t:1 t:2 ok"], "b", "NotNewest".to_owned()),
        ("t:2", &["b t:1 t:2 ok"], "z", "UnknownDeployment".to_owned()),
    ] {
        let found = ecs(&running(live), &rollouts(lines), "api", id);
        let text = format!("{found:?}");
        assert!(
            text.starts_with(&expected) || text.contains(&format!("Err({expected}")),
            "{lines:?} {id}: {text}"
        );
    }
    let mut other = running("t:2");
    other.controller = Controller::Other;
    let refused = ecs(&other, &rollouts(&["b t:1 t:2 ok"]), "api", "b");
    assert!(matches!(refused, Err(Refusal::OtherController { .. })));
}

proptest! {
    /// Whatever the history: never back to the bad revision, never to one that was taken back,
    /// and stopping only what goes on.
    #[test]
    fn a_way_back_leads_to_something_good(
        history in proptest::collection::vec((0..4_u8, 0..4_u8, proptest::option::weighted(0.2, 0..8_usize)), 1..8),
        ask in 0..8_usize,
    ) {
        let lines: Vec<String> = history.iter().enumerate().map(|(id, (revision, phase, of))| {
            let phase = ["ok", "busy", "failed", "stopped"][usize::from(*phase)];
            let of = of.map(|of| format!(" {of}")).unwrap_or_default();
            format!("{id} r{revision} {phase}{of}")
        }).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let group = group(&lines);
        if let Ok(found) = codedeploy(&group, "api", &ask.to_string()) {
            let (bad, good, stops) = match &found {
                CodeDeployWay::Stop { bad, good } => (bad, good, true),
                CodeDeployWay::Redeploy { bad, good } => (bad, good, false),
            };
            prop_assert_ne!(&bad.revision, &good.revision);
            prop_assert_eq!(good.phase, Phase::Succeeded);
            prop_assert!(good.created_at < bad.created_at);
            prop_assert_eq!(stops, bad.phase == Phase::InProgress);
            let of = |d: &Deployed| d.rollback_of.clone();
            for d in group.deployments.iter().filter(|d| d.revision == good.revision) {
                prop_assert!(!group.deployments.iter().any(|o| of(o).as_deref() == Some(d.id.as_str())));
            }
        }
    }
}
