//! What screening marks and redaction takes out, counted on texts of known kind.
//!
//! `screening DIR`, where DIR holds `injections*.jsonl` (texts that speak to an agent; those named
//! `injections-benign*` only look so; `{"family", "text"}` a line) and, in it or below it, `*.log` files
//! of ordinary systems. Every text is put into a line of plain text and into one of JSON, as services
//! log what users send them; ordinary lines are taken as they are, and once more within JSON, as a container
//! runtime hands them on.
//!
//! A share that was counted says little about rare things: beside it stands what it is at most, with a confidence
//! of 95 % (of none in n lines that is 3 / n). The lines within JSON are the same ones, so of ordinary systems the
//! bound of the lines as they are holds; that of all judged is about the rules, which see another line each time.
//!
//! Then how many lines a second either takes, as this program was built: unoptimised it says nothing.
//!
//! Ends with 1 where a target is missed: at most 1 in 10,000 of all judged ordinary lines marked by that bound,
//! which takes 30,000 lines without a mark, and four fifths of the texts that speak to an agent.

#![allow(clippy::print_stdout, reason = "prints a table")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context as _, bail};
use midwatch_policy::{SecretKind, redact, screen};
use serde::Deserialize;
use serde_json::json;

/// The share of texts that speak to an agent that has to be marked.
const DETECTED: f64 = 0.8;
/// The share of ordinary lines that must not be reached, at most.
const FALSE_ALARMS: f64 = 1e-4;
/// A standard normal variable is below this with a probability of 95 %.
const Z95: f64 = 1.644_853_6;

#[derive(Deserialize)]
struct Text {
    family: String,
    text: String,
}

/// How many of how many.
#[derive(Clone, Copy, Default)]
struct Share {
    marked: usize,
    of: usize,
}

impl Share {
    fn count(&mut self, is_marked: bool) {
        self.of += 1;
        self.marked += usize::from(is_marked);
    }

    fn value(self) -> f64 {
        if self.of == 0 { 0.0 } else { self.marked as f64 / self.of as f64 }
    }

    /// What the share is at most, with a confidence of 95 %: a count is Poisson's, and its quantile that of
    /// Wilson and Hilferty; of none this is the rule of three.
    fn at_most(self) -> f64 {
        if self.of == 0 {
            return 1.0;
        }
        let next = self.marked as f64 + 1.0;
        let count = next * (1.0 - 1.0 / (9.0 * next) + Z95 / (3.0 * next.sqrt())).powi(3);
        (count / self.of as f64).min(1.0)
    }

    fn and(self, other: Self) -> Self {
        Self { marked: self.marked + other.marked, of: self.of + other.of }
    }
}

/// Files below a folder whose name says what they are.
fn files(dir: &Path, wanted: &dyn Fn(&str) -> bool) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).with_context(|| format!("`{}` cannot be read", dir.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.file_name().and_then(|name| name.to_str()).is_some_and(wanted) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn ends_in(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|own| own == extension)
}

/// A text where it would stand in the log of a service.
fn lines(text: &str) -> [String; 2] {
    [
        format!(
            "2026-11-21T02:01:02.016Z WARN  [nio-8080-exec-3] c.e.shop.CouponController : invalid coupon \"{text}\""
        ),
        json!({"timestamp": "2026-11-21T02:01:02.016Z", "level": "WARN", "logger": "shop.coupon",
               "message": format!("invalid coupon \"{text}\""), "request_id": "7f3c0b6e"})
        .to_string(),
    ]
}

/// Marks by family of texts.
fn texts(paths: &[PathBuf]) -> anyhow::Result<BTreeMap<String, Share>> {
    let mut shares: BTreeMap<String, Share> = BTreeMap::new();
    for path in paths {
        let file = fs::read_to_string(path)?;
        for (at, line) in file.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let Text { family, text } = serde_json::from_str(line)
                .with_context(|| format!("line {} of `{}`", at + 1, path.display()))?;
            for line in lines(&text) {
                shares.entry(family.clone()).or_default().count(!screen(&line).is_empty());
            }
        }
    }
    Ok(shares)
}

/// Prints a table of shares, and gives all of them together.
fn print(title: &str, shares: &BTreeMap<String, Share>) -> Share {
    println!("\n{title:<34} {:>7} {:>7} {:>8} {:>9}", "lines", "marked", "share", "at most");
    let mut all = Share::default();
    for (name, share) in shares {
        row(name, *share);
        all = all.and(*share);
    }
    row("all", all);
    all
}

fn row(name: &str, share: Share) {
    let [value, most] = [share.value(), share.at_most()].map(|share| 100.0 * share);
    println!("  {name:<32} {:>7} {:>7} {value:>7.2}% {most:>8.4}%", share.of, share.marked);
}

/// Lines a second of one core, the best of five times.
#[allow(clippy::disallowed_methods, reason = "what is measured is the machine's time")]
fn speed(lines: &[String], take: impl Fn(&str) -> usize) -> f64 {
    let times = (0..5).map(|_| {
        let begun = Instant::now();
        let found: usize = lines.iter().map(|line| take(line)).sum();
        std::hint::black_box(found);
        begun.elapsed().as_secs_f64()
    });
    lines.len() as f64 / times.fold(f64::MAX, f64::min)
}

fn main() -> anyhow::Result<ExitCode> {
    let Some(dir) = std::env::args_os().nth(1).map(PathBuf::from) else {
        bail!("name the folder that holds `injections*.jsonl` and `*.log` files");
    };
    let benign = |name: &str| name.starts_with("injections-benign") && ends_in(name, "jsonl");
    let hostile = |name: &str| name.starts_with("injections") && ends_in(name, "jsonl") && !benign(name);
    let detected = print("speaks to an agent", &texts(&files(&dir, &hostile)?)?);
    print("only looks so", &texts(&files(&dir, &benign)?)?);

    let (mut shares, mut marked) = (BTreeMap::<String, Share>::new(), Vec::new());
    let mut within = BTreeMap::<String, Share>::new();
    let (mut ordinary, mut nth) = (Vec::new(), 0_usize);
    let mut secrets: BTreeMap<SecretKind, (usize, String)> = BTreeMap::new();
    for path in files(&dir, &|name: &str| ends_in(name, "log"))? {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let file = fs::read(&path)?;
        for line in String::from_utf8_lossy(&file).lines() {
            // Of every eighth, which is enough and takes no longer than it must where nothing is optimised.
            nth += 1;
            if nth.is_multiple_of(8) {
                ordinary.push(line.to_owned());
            }
            let marks = screen(line);
            shares.entry(name.clone()).or_default().count(!marks.is_empty());
            let handed_on = json!({"log": format!("{line}\n"), "stream": "stdout"}).to_string();
            within.entry(name.clone()).or_default().count(!screen(&handed_on).is_empty());
            if let Some(mark) = marks.first() {
                marked.push(format!("{name}: {}: {line}", mark.kind));
            }
            for (kind, count) in redact(line).counts {
                secrets.entry(kind).or_insert_with(|| (0, line.to_owned())).0 += count;
            }
        }
    }
    let as_they_are = print("ordinary lines", &shares);
    let alarms = as_they_are.and(print("the same within JSON", &within));
    row("all judged", alarms);
    for line in marked.iter().take(20) {
        println!("    {line}");
    }
    println!("\n{:<34} {:>7}   such as", "redacted in ordinary lines", "values");
    for (kind, (count, line)) in &secrets {
        println!("  {:<32} {count:>7}   {}", kind.as_str(), redact(line).text);
    }
    let redacted = speed(&ordinary, |line| redact(line).total());
    let screened = speed(&ordinary, |line| screen(line).len());
    println!("\nlines a second: redacted {redacted:.0}, screened {screened:.0}");
    if detected.of == 0 || alarms.of == 0 {
        bail!("`{}` holds no texts, or no ordinary lines", dir.display());
    }
    let met = alarms.at_most() < FALSE_ALARMS && detected.value() >= DETECTED;
    println!("\n{}", if met { "targets met" } else { "TARGETS MISSED" });
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
