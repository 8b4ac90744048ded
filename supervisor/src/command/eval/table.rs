//! The result as a table.

use std::io::Write;

use crate::terminal::{
    style::{BAD, FAINT, GOOD, STRONG},
    text::{dollars, fit},
};

use super::{Played, totals::Totals};

pub(super) fn write(out: &mut impl Write, played: &[Played], totals: &Totals) -> std::io::Result<()> {
    writeln!(
        out,
        "{STRONG}{:<2}{:<38} {:<10} {:<13} {:>5}  {:<17} {:>5} {:>8}{STRONG:#}",
        "", "scenario", "verdict", "cause", "conf", "outcome", "calls", "cost"
    )?;
    for one in played {
        let mark = if one.passed { format!("{GOOD}✓{GOOD:#}") } else { format!("{BAD}✗{BAD:#}") };
        let id = fit(&one.id, 38);
        match &one.run {
            Some(run) => {
                let outcome = serde_json::to_value(run.outcome).ok();
                let outcome = outcome.as_ref().and_then(|o| o.as_str()).unwrap_or_default().replace('_', " ");
                writeln!(
                    out,
                    "{mark} {id:<38} {:<10} {:<13} {:>5.2}  {outcome:<17} {:>5} {:>8}",
                    run.verdict.to_string(),
                    run.cause.kind.as_str(),
                    run.confidence,
                    run.usage.model_calls,
                    dollars(run.usage.cost_micro_usd)
                )?;
            }
            None => writeln!(out, "{mark} {id:<38} did not run")?,
        }
        for failure in &one.failures {
            writeln!(out, "    {BAD}{failure}{BAD:#}")?;
        }
    }
    writeln!(out)?;
    for line in totals.lines() {
        writeln!(out, "{FAINT}{line}{FAINT:#}")?;
    }
    Ok(())
}
