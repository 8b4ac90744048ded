//! What each scenario's models read, as a table in the repository: more than a tenth over it fails.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::Played;

/// Tokens over the table that pass, in percent of it.
const MORE: u64 = 10;

const HEAD: &str = "\
# Tokens that each scenario's models use, as the world's Converse endpoint counts them.
# `midwatch eval DIR --model bedrock` fails where input grows by more than a tenth of this;
# with `--record-tokens` it writes the table anew.
";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Used {
    /// Input, cached tokens included.
    input: u64,
    /// Of those, read from the cache.
    cached: u64,
    /// Output.
    output: u64,
    /// Model calls.
    calls: u32,
    /// Cost.
    micro_usd: u64,
}

type Table = BTreeMap<String, Used>;

/// Where the table is.
pub(super) fn file(directory: &Path) -> PathBuf {
    directory.join("tokens.toml")
}

/// Writes the table.
pub(super) fn record(file: &Path, played: &[Played]) -> anyhow::Result<()> {
    let text = format!("{HEAD}\n{}", toml::to_string(&table(played))?);
    fs::write(file, text).with_context(|| format!("cannot write `{}`", file.display()))
}

/// Fails those that use more than the table says; says nothing where there is no table, or no line.
pub(super) fn compare(file: &Path, played: &mut [Played]) -> anyhow::Result<()> {
    if !file.try_exists().unwrap_or(true) {
        return Ok(());
    }
    let text = fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let table: Table = toml::from_str(&text).with_context(|| format!("in `{}`", file.display()))?;
    for one in played {
        let grown = match (table.get(&one.id), used(one)) {
            (Some(before), Some(now)) => grown(before.input, now.input),
            _ => None,
        };
        if let Some(failure) = grown {
            one.failures.push(failure);
            one.passed = false;
        }
    }
    Ok(())
}

fn grown(before: u64, now: u64) -> Option<String> {
    let most = before.saturating_add(before.saturating_mul(MORE) / 100);
    (now > most).then(|| {
        format!("its models read {now} tokens, {before} are recorded: mend that, or record it with --record-tokens")
    })
}

fn table(played: &[Played]) -> Table {
    played.iter().filter_map(|one| Some((one.id.clone(), used(one)?))).collect()
}

fn used(one: &Played) -> Option<Used> {
    let usage = &one.run.as_ref()?.usage;
    Some(Used {
        input: usage.input_tokens,
        cached: usage.cached_input_tokens,
        output: usage.output_tokens,
        calls: usage.model_calls,
        micro_usd: usage.cost_micro_usd,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_more_passes_and_more_than_that_does_not() {
        assert_eq!((grown(1_000, 1_100), grown(0, 0)), (None, None));
        assert!(grown(1_000, 1_101).unwrap().contains("1101 tokens, 1000 are recorded"));
        assert!(grown(0, 1).is_some(), "what asked no model asks none");
    }

    #[test]
    fn the_table_reads_as_it_is_written() {
        let used = Used { input: 5, cached: 4, output: 3, calls: 2, micro_usd: 1 };
        let table = Table::from([("a-b~1".to_owned(), used)]);
        let text = format!("{HEAD}\n{}", toml::to_string(&table).unwrap());
        assert_eq!(toml::from_str::<Table>(&text).unwrap(), table);
    }
}
