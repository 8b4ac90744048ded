//! What a query would cost, before it runs; and what to ask instead where that is too much.

use futures::future::join_all;
use midwatch_mcp::{ToolError, Window};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    incoming,
    insights::{Insights, whole},
};

/// What Logs Insights takes for a gigabyte, in millionths of a dollar: $0.005.
const MICRO_USD_PER_GB: f64 = 5000.0;
/// The part of the bound from which Logs Insights is asked, too.
const SURE: f64 = 0.05;
/// Seconds that may be read, every pass counted, where nobody knows what that scans.
const BLIND_SECONDS: f64 = 3600.0;

/// How a price was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Logs Insights estimated it.
    Estimate,
    /// All that the group stores, as though it were all of the window.
    StoredBytes,
    /// What the group took in over the window, by its metric `IncomingBytes`.
    IncomingBytes,
    /// None of them could be asked: the window is short, and the query is stopped at the bound.
    Unknown,
}

/// What a query would read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Price {
    /// Bytes that were expected to be scanned.
    pub estimated_bytes: u64,
    /// How that was found.
    pub basis: Basis,
    /// What these bytes cost, in millionths of a US dollar.
    pub micro_usd: u64,
}

impl Price {
    pub(crate) fn of(bytes: f64, basis: Basis) -> Self {
        Self {
            estimated_bytes: whole(bytes),
            basis,
            micro_usd: whole((bytes / 1e9 * MICRO_USD_PER_GB).ceil()),
        }
    }
}

/// What is to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) groups: &'a [String],
    /// All windows that are read.
    pub(crate) windows: &'a [Window],
    /// How often their bytes are read.
    pub(crate) passes: u32,
    /// All bytes that the groups store, which is the most that the windows can hold; `None` where that is not known.
    pub(crate) stored: Option<f64>,
}

/// Why a plan is not carried out.
#[derive(Debug)]
pub(crate) enum Declined {
    /// It would scan more than is left.
    TooMuch(ToolError),
    /// Nothing is left at all, or nobody can say what it would scan. What costs nothing may be read.
    Unpriced(ToolError),
}

impl From<Declined> for ToolError {
    fn from(declined: Declined) -> Self {
        let (Declined::TooMuch(error) | Declined::Unpriced(error)) = declined;
        error
    }
}

/// Prices a plan, takes what it will scan from the call's bound, and refuses what does not fit.
///
/// What came in over the windows is asked first: it is exact but for the newest minutes, and next to free. AWS's
/// own estimate takes a query's place and time, so it is asked only where that much matters. What is
/// stored says the most that there can be. It was once spread evenly over the group's age: a group that
/// logs more lately than ever, as in an incident, was guessed a thousandfold too low so.
pub(crate) async fn afford(
    insights: &Insights,
    metrics: &aws_sdk_cloudwatch::Client,
    plan: Plan<'_>,
) -> Result<Price, Declined> {
    let meter = &insights.meter;
    let bound = meter.left() as f64;
    if meter.left() == 0 {
        return Err(Declined::Unpriced(broke(plan)));
    }
    let passes = f64::from(plan.passes.max(1));
    let priced = |bytes: f64, basis| Price::of(bytes * passes, basis);
    let came = incoming(metrics, plan).await.map(|bytes| priced(bytes, Basis::IncomingBytes));
    // Of a new group nothing is counted as stored yet.
    let most = plan.stored.filter(|bytes| *bytes > 0.0).map(|bytes| priced(bytes, Basis::StoredBytes));
    let is_cheap = |price: &Price| (price.estimated_bytes as f64) < bound * SURE;
    let price = if let Some(cheap) = came.or(most).filter(is_cheap) {
        cheap
    } else if let Some(bytes) = estimated(insights, plan).await {
        priced(bytes, Basis::Estimate)
    } else {
        // All that is stored is no reason to refuse a window that may hold little of it.
        match came.or(most.filter(|price| price.estimated_bytes as f64 <= bound)) {
            Some(price) => price,
            None => blind(plan, passes).map_err(Declined::Unpriced)?,
        }
    };
    if meter.take(price.estimated_bytes) {
        Ok(price)
    } else {
        Err(Declined::TooMuch(refusal(plan, price.estimated_bytes as f64, bound)))
    }
}

/// Bytes of all windows, once, by Logs Insights' own estimate.
async fn estimated(insights: &Insights, plan: Plan<'_>) -> Option<f64> {
    let mut sum = 0.0;
    for window in plan.windows {
        sum += estimate(insights, plan.groups, *window).await?;
    }
    Some(sum)
}

/// Bytes of all windows, once, by the groups' metric; `None` where it says nothing of one of them.
async fn incoming(metrics: &aws_sdk_cloudwatch::Client, plan: Plan<'_>) -> Option<f64> {
    let of = async |group: &String| incoming::bytes(metrics, group, plan.windows).await;
    join_all(plan.groups.iter().map(of)).await.into_iter().sum()
}

/// Where nobody knows what a query would scan, only a short window is read, and the query is stopped
/// at the bound.
fn blind(plan: Plan<'_>, passes: f64) -> Result<Price, ToolError> {
    let seconds: f64 = plan.windows.iter().map(|window| window.seconds()).sum::<f64>() * passes;
    if seconds <= BLIND_SECONDS {
        return Ok(Price::of(0.0, Basis::Unknown));
    }
    let minutes = BLIND_SECONDS / 60.0 / passes / plan.windows.len().max(1) as f64;
    Err(ToolError::refused(
        format!("nobody can say what reading `{}` would have scanned", plan.groups.join("`, `")),
        format!(
            "ask for at most {minutes:.0} minutes; an operator grants logs:DescribeLogGroups or \
             cloudwatch:GetMetricStatistics"
        ),
    ))
}

/// Nothing may be spent any more.
fn broke(plan: Plan<'_>) -> ToolError {
    ToolError::refused(
        format!(
            "querying `{}` costs something, and nothing is left to spend on it",
            plan.groups.join("`, `")
        ),
        "use what was read already; log_context costs nothing",
    )
}

/// What Logs Insights thinks it would scan.
async fn estimate(insights: &Insights, groups: &[String], window: Window) -> Option<f64> {
    let answer = insights.run(groups, window, "fields @message | estimate").await.ok()?;
    let row = answer.rows.first()?;
    row.iter().find(|(name, _)| name.to_ascii_lowercase().contains("bytes"))?.1.parse::<f64>().ok()
}

/// Names a call that would be affordable.
fn refusal(plan: Plan<'_>, bytes: f64, bound: f64) -> ToolError {
    let share = bound / bytes;
    let asked = plan.windows.last().copied();
    let narrower = asked.and_then(|window| {
        // A little less than what is allowed, in whole minutes, at the end, where the news is.
        let seconds = (window.seconds() * share * 0.9 / 60.0).floor() * 60.0;
        let span = midwatch_policy::SignedDuration::try_from_secs_f64(seconds).ok()?;
        let from = window.to.checked_sub(span).ok()?;
        (seconds >= 60.0).then(|| format!("ask for from={from} to={}", window.to))
    });
    let fewer = (plan.groups.len() > 1).then(|| format!("name fewer than {} groups", plan.groups.len()));
    let ways: Vec<String> = narrower.into_iter().chain(fewer).collect();
    let mend = if ways.is_empty() {
        "log_context around an event, or error_patterns of a minute or two, read next to nothing".to_owned()
    } else {
        ways.join(", or ")
    };
    ToolError::refused(
        format!(
            "`{}` would have {} scanned (about {}), allowed are {}",
            plan.groups.join("`, `"),
            amount(bytes),
            dollars(bytes / 1e9 * 0.005),
            amount(bound)
        ),
        mend,
    )
}

/// Bytes as people read them.
fn amount(bytes: f64) -> String {
    match bytes {
        b if b >= 1e8 => format!("{:.1} GB", b / 1e9),
        b if b >= 1e5 => format!("{:.1} MB", b / 1e6),
        b => format!("{b:.0} bytes"),
    }
}

fn dollars(amount: f64) -> String {
    if amount < 0.005 { "less than a cent".to_owned() } else { format!("${amount:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_amounts_are_not_rounded_to_nothing() {
        assert_eq!([20e9, 3.2e6, 1000.0].map(amount), ["20.0 GB", "3.2 MB", "1000 bytes"]);
        assert_eq!([0.1, 0.004].map(dollars), ["$0.10", "less than a cent"]);
    }

    #[test]
    fn prices_are_whole_millionths_rounded_up() {
        assert_eq!(Price::of(1e9, Basis::Estimate).micro_usd, 5000);
        assert_eq!(Price::of(1.0, Basis::StoredBytes).micro_usd, 1);
        assert_eq!(Price::of(0.0, Basis::Unknown).micro_usd, 0);
    }

    #[test]
    fn a_refusal_names_a_call_that_fits() {
        let from: midwatch_policy::Timestamp = "2026-11-21T02:00:00Z".parse().unwrap();
        let window = Window { from, to: from + midwatch_policy::SignedDuration::from_hours(10) };
        let groups = ["/a".to_owned(), "/b".to_owned()];
        let plan = Plan { groups: &groups, windows: &[window], passes: 1, stored: None };
        let error = refusal(plan, 200e9, 20e9);
        assert!(error.mend.contains("from=2026-11-21T11:06:00Z to=2026-11-21T12:00:00Z"), "{}", error.mend);
        assert!(error.mend.contains("fewer than 2 groups"), "{}", error.mend);
        assert!(error.message.contains("$1.00"), "{}", error.message);
        let hopeless = refusal(plan, 1e18, 20e9);
        assert!(!hopeless.mend.contains("from="), "{}", hopeless.mend);
    }

    #[test]
    fn what_nobody_can_price_is_read_for_a_short_time_only() {
        let from: midwatch_policy::Timestamp = "2026-11-21T02:00:00Z".parse().unwrap();
        let minutes = |n| Window { from, to: from + midwatch_policy::SignedDuration::from_mins(n) };
        let groups = ["/a".to_owned()];
        let plan = |windows| Plan { groups: &groups, windows, passes: 2, stored: None };
        let (short, long) = ([minutes(15); 2], [minutes(15), minutes(16)]);
        assert_eq!(blind(plan(&short), 2.0).unwrap().basis, Basis::Unknown);
        let error = blind(plan(&long), 2.0).unwrap_err();
        assert!(error.mend.contains("at most 15 minutes"), "{}", error.mend);
        let (hour, more) = ([minutes(60)], [minutes(61)]);
        assert!(blind(plan(&hour), 1.0).is_ok() && blind(plan(&more), 1.0).is_err());
    }
}
