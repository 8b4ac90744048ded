//! A composite alarm through a whole incident: what it is computed from and counted out of is read, and said.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]
#![cfg(feature = "demo")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use midwatch::{
    alarm::{self, Watch},
    event::NoView,
    incident::handle,
    journal::SqliteJournal,
    memory::Memory,
    run::{ClaimKind, Run},
    servers,
    site::{Minds, Site},
};
use midwatch_agents::{playbook::PlaybookModel, prices::Prices};
use midwatch_mcp::{Aws, AwsSettings, Ctx, SystemClock};
use midwatch_policy::{CauseKind, Verdict};
use midwatch_sim::{Scenario, World};

fn scenario() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/scenarios/composite-alarm")
}

/// What is made of the alarm, which names this child.
async fn handled(scenario: &Path, child: &str) -> Run {
    let world = World::start(Scenario::load(scenario).unwrap()).await.unwrap();
    let aws = Aws::new(AwsSettings::local(world.endpoint(), "us-east-2"));
    let ctx = Ctx::new(aws, Arc::new(world.catalog().clone()), world.clock());
    let model = Arc::new(PlaybookModel);
    let site = Site {
        catalog: Arc::clone(&ctx.catalog),
        clock: world.clock(),
        wall: Arc::new(SystemClock),
        tools: Arc::new(servers::readers(&ctx, Some(world.runbooks().to_owned())).await),
        minds: Arc::new(Minds::new(model.clone(), model, Arc::new(Prices::embedded().unwrap())).unwrap()),
        hands: None,
        journal: Arc::new(SqliteJournal::in_memory().unwrap()),
        memory: Memory::none(),
    };
    let alarm = alarm::parse(&world.alarm_event().to_string()).unwrap();
    assert!(matches!(&alarm.watch, Watch::Composite { rule, .. } if rule.starts_with("ALARM(")), "{alarm:?}");
    assert_eq!(alarm.children(), [child]);
    handle(alarm, &site, Box::new(NoView), 7).await.unwrap()
}

/// What was read of metrics.
fn windows(run: &Run) -> Vec<&str> {
    let of_metrics = run.evidence.iter().filter(|piece| piece.source == "metrics.metric_window");
    of_metrics.map(|piece| piece.line.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_names_what_feeds_a_composite_alarm() {
    let run = handled(&scenario(), "giftcard-api-refused").await;
    assert_eq!(run.service.as_ref().unwrap().as_str(), "giftcard-api");
    assert_eq!((run.verdict, run.cause.kind), (Verdict::Real, CauseKind::Deployment), "{:?}", run.cause);
    let facts: Vec<&str> = run
        .claims
        .iter()
        .filter(|claim| claim.kind == ClaimKind::Fact)
        .map(|claim| claim.text.as_str())
        .collect();
    for said in [
        "Alarm giftcard-api-customers-affected is computed from giftcard-api-refused (ALARM), \
         giftcard-api-5xx-error-rate (OK), giftcard-api-latency-p99 (OK).",
        "The metric GiftcardsRefused is counted by the metric filter giftcards-refused out of the log group \
         /ecs/giftcard-api.",
    ] {
        assert!(facts.contains(&said), "{said}: {facts:#?}");
    }
    // It has no metric of its own: that of the child that fires was read, and of no other.
    let windows = windows(&run);
    assert!(windows.iter().any(|line| line.contains("GiftcardsRefused")), "{windows:#?}");
    assert!(!windows.iter().any(|line| line.contains("TargetResponseTime")), "{windows:#?}");
    assert_eq!(run.problems, Vec::<String>::new());
    let unread = run.not_checked.join("\n");
    assert!(!unread.contains("metric_window"), "{unread}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metric_of_an_alarm_that_fires_two_levels_below_is_read_as_a_childs_is() {
    let directory = tempfile::tempdir().unwrap();
    let written = fs::read_to_string(scenario().join("scenario.toml")).unwrap();
    let above = |name: &str, child: &str| {
        format!("[[alarm]]\nname = '{name}'\nservice = 'giftcard-api'\nrule = 'ALARM(\"{child}\")'\n\n")
    };
    let both = above("giftcard-api-board", "giftcard-api-business")
        + &above("giftcard-api-business", "giftcard-api-customers-affected");
    let (head, tail) = written.split_once("[[alarm]]").unwrap();
    fs::write(directory.path().join("scenario.toml"), format!("{head}{both}[[alarm]]{tail}")).unwrap();
    fs::create_dir(directory.path().join("runbooks")).unwrap();
    for runbook in fs::read_dir(scenario().join("runbooks")).unwrap() {
        let path = runbook.unwrap().path();
        fs::copy(&path, directory.path().join("runbooks").join(path.file_name().unwrap())).unwrap();
    }

    let run = handled(directory.path(), "giftcard-api-business").await;
    let windows = windows(&run);
    assert!(windows.iter().any(|line| line.contains("GiftcardsRefused")), "{windows:#?}");
    let facts: Vec<&str> = run.claims.iter().map(|claim| claim.text.as_str()).collect();
    let said = "Alarm giftcard-api-board is computed from giftcard-api-business (ALARM), \
                giftcard-api-customers-affected (ALARM, in giftcard-api-business), \
                giftcard-api-refused (ALARM, in giftcard-api-customers-affected), \
                giftcard-api-5xx-error-rate (OK, in giftcard-api-customers-affected), \
                giftcard-api-latency-p99 (OK, in giftcard-api-customers-affected).";
    assert!(facts.contains(&said), "{facts:#?}");
    assert!(facts.iter().any(|text| text.contains("metric filter giftcards-refused")), "{facts:#?}");
    assert_eq!(run.problems, Vec::<String>::new());
}
