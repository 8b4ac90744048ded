//! Drain3 on the same samples, in the same run.

use std::{
    fmt::Write as _,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use crate::{measure::scores, samples::System};

/// Reads samples as hexadecimal lines, answers with a cluster and a template for each.
const SCRIPT: &str = include_str!("drain3.py");

/// The settings that Drain3 is measured with: its own, and seven masks that suit every system.
const WAYS: [(&str, &str); 2] = [("drain3, defaults", "plain"), ("drain3, generic masks", "masks")];

pub(crate) fn table(python: &Path, systems: &[System]) -> Result<(), String> {
    for (name, way) in WAYS {
        println!("| {name} | GA | FTA | lines/s |\n|---|---|---|---|");
        let mut sums = (0.0, 0.0, 0.0);
        for system in systems {
            let (answer, speed) = run(python, way, system)?;
            let scores = scores(system, &answer);
            println!("| {} | {:.3} | {:.3} | {speed:.0} |", system.name, scores.ga, scores.fta);
            sums = (sums.0 + scores.ga, sums.1 + scores.fta, sums.2 + 1.0 / speed);
        }
        let n = systems.len() as f64;
        println!(
            "| mean of {} | {:.3} | {:.3} | {:.0} |\n",
            systems.len(),
            sums.0 / n,
            sums.1 / n,
            n / sums.2
        );
    }
    Ok(())
}

fn run(python: &Path, way: &str, system: &System) -> Result<(Vec<(String, String)>, f64), String> {
    let said = |error: std::io::Error| format!("{}: {error}", python.display());
    let mut child = Command::new(python)
        .args(["-c", SCRIPT, way])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(said)?;
    let mut text = String::new();
    for line in &system.lines {
        for byte in line.bytes() {
            write!(text, "{byte:02x}").map_err(|error| error.to_string())?;
        }
        text.push('\n');
    }
    // The script reads all before it answers, so this cannot wait for ever.
    child.stdin.take().ok_or("no stdin")?.write_all(text.as_bytes()).map_err(said)?;
    let output = child.wait_with_output().map_err(said)?;
    if !output.status.success() {
        return Err(format!(
            "{} ended with {} (is drain3 installed there?)",
            python.display(),
            output.status
        ));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines();
    let speed = lines.next().and_then(|line| line.parse().ok()).ok_or("drain3 gave no speed")?;
    let answer: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once('\t'))
        .map(|(id, text)| (id.to_owned(), text.to_owned()))
        .collect();
    if answer.len() == system.lines.len() { Ok((answer, speed)) } else { Err("drain3 lost lines".to_owned()) }
}
