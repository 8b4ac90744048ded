//! The report of the case study, as a person sees it and as a program does.

use std::sync::{Arc, Mutex};

use midwatch::{run::Run, terminal};
use regex::Regex;

use crate::{shape::shape, stage::Stage};

/// Somewhere to write that can be read again.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The report in so many columns, without colours.
fn printed(run: &Run, columns: usize) -> String {
    let paper = Paper::default();
    terminal::report_within(run, Box::new(paper.clone()), columns);
    let bytes = paper.0.lock().unwrap().clone();
    let colours = Regex::new("\u{1b}\\[[0-9;]*m").unwrap();
    colours.replace_all(&String::from_utf8(bytes).unwrap(), "").into_owned()
}

/// What differs from run to run: ids of evidence that specialists brought side by side, how long
/// things took, and the seconds at which Midwatch did them.
fn steady(report: &str) -> String {
    let mut text = report.to_owned();
    for (pattern, with) in [
        (r"\[E\d+(?: E\d+)*\]", "[E…]"),
        (r"(?m)^( +)E\d+ *", "${1}E…  "),
        (r"\b\d+(\.\d+)? (ms|s|min \d\d s)( \(\d+(\.\d+)? (ms|s) on the wall\))", "… ${2} (… on the wall)"),
        (r"\band \d+ more pieces", "and … more pieces"),
        (r"(\d\d:\d\d):\d\d", "${1}:…"),
    ] {
        text = Regex::new(pattern).unwrap().replace_all(&text, with).into_owned();
    }
    text
}

async fn case_study() -> Run {
    let stage = Stage::new("pool-exhaustion-after-deploy").await;
    let tools = stage.readers().await;
    stage.handle(tools, None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_reads_like_this() {
    let run = case_study().await;
    insta::assert_snapshot!("report_of_the_case_study", steady(&printed(&run, 100)));
    let json: serde_json::Value = serde_json::from_str(&terminal::json(&run).unwrap()).unwrap();
    insta::assert_snapshot!("shape_of_the_reports_json", shape(&json));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrow_terminal_gets_the_same_report() {
    let run = case_study().await;
    for columns in [40, 60, 80] {
        let narrow = printed(&run, columns);
        for line in narrow.lines() {
            assert!(line.chars().count() <= columns, "{columns}: {line}\n{narrow}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_trouble_gets_the_same_evidence_ids() {
    let (one, other) = (case_study().await, case_study().await);
    let of_sweep = |run: &Run| -> Vec<(String, String)> {
        let first =
            run.evidence.iter().filter(|e| e.id.trim_start_matches('E').parse::<u32>().unwrap() <= 40);
        let mut all: Vec<_> = first.map(|e| (e.id.clone(), e.reference.clone())).collect();
        all.sort();
        all
    };
    assert_eq!(of_sweep(&one), of_sweep(&other));
}
