//! `midwatch spend`: what models and queries cost, from the ledger, and what was not spent.

use std::{io::Write, process::ExitCode};

use anyhow::{Context as _, bail};
use jiff::{ToSpan as _, civil::Date, tz::TimeZone};
use midwatch_policy::Timestamp;
use serde_json::json;

use crate::{
    ledger::{Books, By, Earlier, Ledger, Line, Period, Savings},
    terminal::{
        style::{BAD, FAINT, STRONG, WARN},
        text::{clean, count, dollars, escaped, fit},
    },
};

use super::{
    args::{SpendArgs, SpendFormat},
    incidents::store,
};

pub(super) fn run(arguments: &SpendArgs) -> anyhow::Result<ExitCode> {
    let books = Books::open(&Ledger::beside(&store(arguments.store.clone())))?;
    let period = period(arguments.from, arguments.to)?;
    let lines = books.lines(arguments.by, period)?;
    let (total, savings) = (books.total(period)?, books.savings(period)?);
    let earlier = books.earlier(period)?;
    let mut out = anstream::stdout();
    match arguments.format {
        SpendFormat::Json => {
            let all = json!({
                "by": arguments.by, "lines": lines, "total": total, "savings": savings, "earlier": earlier,
            });
            writeln!(out, "{}", escaped(&serde_json::to_string_pretty(&all)?))?;
        }
        SpendFormat::Csv => csv(&mut out, &lines)?,
        SpendFormat::Text => text(&mut out, arguments.by, &lines, &total, &savings)?,
    }
    if let Some(earlier) = &earlier
        && arguments.format != SpendFormat::Json
    {
        // Apart from the rows, which a program may read.
        writeln!(anstream::stderr(), "{WARN}{}{WARN:#}", known_of(earlier))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is said of days whose calls were taken away.
fn known_of(earlier: &Earlier) -> String {
    format!(
        "Calls are kept from {} on; of {} days before only the sums are known: {} in all, by day with \
         `--format json`. Ask with `--from {0}` for what is complete.",
        earlier.complete_from.strftime("%Y-%m-%d"),
        earlier.days.len(),
        dollars(earlier.cost_micro_usd)
    )
}

/// Whole days, in UTC.
fn period(from: Option<Date>, to: Option<Date>) -> anyhow::Result<Period> {
    if let (Some(first), Some(last)) = (from, to)
        && first > last
    {
        bail!(
            "--from {first} is after --to {last}: give the earlier day with --from, the later one with --to"
        );
    }
    let midnight = |day: Date| Ok::<Timestamp, jiff::Error>(day.to_zoned(TimeZone::UTC)?.timestamp());
    let after = |day: Date| midnight(day.checked_add(1.day())?);
    let from = from.map(midnight).transpose().context("--from is out of range")?;
    let to = to.map(after).transpose().context("--to is out of range")?;
    Ok(Period { from: from.unwrap_or(Period::ALL.from), to: to.unwrap_or(Period::ALL.to) })
}

fn csv(out: &mut impl Write, lines: &[Line]) -> std::io::Result<()> {
    writeln!(
        out,
        "key,calls,input_tokens,cache_read_tokens,cache_write_tokens,output_tokens,units,cost_micro_usd,\
         assumed_micro_usd,beyond_micro_usd,reserved_micro_usd,left_open"
    )?;
    for line in lines {
        let Line { key, calls, input_tokens, cache_read_tokens, cache_write_tokens, .. } = line;
        let Line { output_tokens, units, cost_micro_usd, assumed_micro_usd, .. } = line;
        let Line { beyond_micro_usd, reserved_micro_usd, left_open, .. } = line;
        writeln!(
            out,
            "{},{calls},{input_tokens},{cache_read_tokens},{cache_write_tokens},{output_tokens},{units},\
             {cost_micro_usd},{assumed_micro_usd},{beyond_micro_usd},{reserved_micro_usd},{left_open}",
            cell(key)
        )?;
    }
    Ok(())
}

/// A text as a cell: quoted where it has to be, and never a formula for whoever opens the file.
fn cell(text: &str) -> String {
    let text = clean(text);
    let text = if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

fn text(
    out: &mut impl Write,
    by: By,
    lines: &[Line],
    total: &Line,
    savings: &Savings,
) -> std::io::Result<()> {
    let heading = match by {
        By::Day => "day",
        By::Service => "service",
        By::Model => "model",
        By::Specialist => "specialist",
        By::Incident => "incident",
    };
    let row = |name: &str, line: &Line| {
        let cached = line.cache_read_tokens.saturating_add(line.cache_write_tokens);
        let input = line.input_tokens.saturating_add(cached);
        let hit = line.cache_read_tokens.saturating_mul(100).checked_div(input).unwrap_or(0);
        format!(
            "{:<42} {:>7} {:>12} {hit:>6}% {:>10} {:>11}",
            fit(name, 42),
            count(line.calls),
            count(input),
            count(line.output_tokens),
            dollars(line.cost_micro_usd)
        )
    };
    writeln!(
        out,
        "{STRONG}{heading:<42} {:>7} {:>12} {:>7} {:>10} {:>11}{STRONG:#}",
        "calls", "tokens in", "cached", "out", "cost"
    )?;
    for line in lines {
        let name = if line.key.is_empty() { "(no service known)".to_owned() } else { clean(&line.key) };
        writeln!(out, "{}", row(&name, line))?;
    }
    writeln!(out, "{STRONG}{}{STRONG:#}", row("total", total))?;
    for (micro, what) in [
        (total.reserved_micro_usd, "set aside for calls under way"),
        (total.assumed_micro_usd, "of it assumed in full, since nobody said what was used"),
    ] {
        if micro > 0 {
            writeln!(out, "{FAINT}{:>11}  {what}{FAINT:#}", dollars(micro))?;
        }
    }
    if total.beyond_micro_usd > 0 {
        let beyond = dollars(total.beyond_micro_usd);
        writeln!(out, "{BAD}{beyond:>11}  beyond what was reserved: a defect of the bound{BAD:#}")?;
    }
    writeln!(out)?;
    for line in saved(savings) {
        writeln!(out, "{FAINT}{line}{FAINT:#}")?;
    }
    Ok(())
}

fn saved(savings: &Savings) -> Vec<String> {
    let caching = savings.caching_micro_usd;
    let sign = if caching < 0 { "-" } else { "" };
    let estimate = |micro: Option<u64>| match micro {
        Some(micro) => format!("about {} saved", dollars(micro)),
        None => "no incident was investigated to compare with".to_owned(),
    };
    let mean = savings
        .investigated_mean_micro_usd
        .map_or_else(String::new, |mean| format!(", {} each on the mean", dollars(mean)));
    vec![
        format!("{} incidents, {} investigated by models{mean}", savings.incidents, savings.investigated),
        format!(
            "caching: {sign}{} saved, {} % of input from the cache",
            dollars(caching.unsigned_abs()),
            savings.cache_hit_percent
        ),
        format!(
            "first light: {} closed without a paid model, {}",
            savings.closed_by_first_light,
            estimate(savings.first_light_micro_usd)
        ),
        format!(
            "early routing: {} closed after the router alone, {}",
            savings.closed_by_routing,
            estimate(savings.routing_micro_usd)
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_whole_days() {
        let day = |text: &str| Some(text.parse::<Date>().unwrap());
        let period = period(day("2026-03-09"), day("2026-03-09")).unwrap();
        assert_eq!(period.from.to_string(), "2026-03-09T00:00:00Z");
        assert_eq!(period.to.to_string(), "2026-03-10T00:00:00Z");
        assert_eq!(super::period(None, None).unwrap(), Period::ALL);
        let error = super::period(day("2026-03-10"), day("2026-03-09")).unwrap_err().to_string();
        assert!(error.contains("--from 2026-03-10 is after --to 2026-03-09: give the earlier"), "{error}");
    }

    #[test]
    fn cells_are_no_formulas_and_keep_their_commas() {
        assert_eq!(cell("basket"), "basket");
        assert_eq!(cell("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(cell("=cmd()"), "'=cmd()");
    }

    #[test]
    fn the_table_fits_a_hundred_columns_and_says_what_is_wrong() {
        let key = "global.anthropic.claude-sonnet-4-5-20250929-v1:0".to_owned();
        let line = Line {
            key,
            calls: 1_204,
            input_tokens: 370_000,
            cache_read_tokens: 630_000,
            output_tokens: 9_000,
            cost_micro_usd: 1_234_567,
            beyond_micro_usd: 5_000,
            ..Line::default()
        };
        let savings = Savings { caching_micro_usd: -900, ..Savings::default() };
        let mut out = Vec::new();
        text(&mut out, By::Model, std::slice::from_ref(&line), &line, &savings).unwrap();
        let shown = anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string();
        assert!(shown.lines().all(|line| line.chars().count() <= 100), "{shown}");
        for part in [
            "1,204",
            "1,000,000",
            "63%",
            "$1.2345",
            "a defect of the bound",
            "-$0.0009 saved",
            "no incident was",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
}
