//! Which patterns rose together, and which of them first. Pure.
//!
//! Patterns that rose are joined where their onsets cannot lie far apart and their counts by minute
//! go together. Within a group the earliest onset comes first: a cause shows before its effects.
//! Where the intervals of two onsets overlap, time does not tell them apart, and severity decides.

use midwatch_policy::Timestamp;

use crate::{
    change::Change,
    onset::{Status, Tick},
    patterns::{Found, Span, rounded},
    shapes::{Group, Pattern},
};

/// Onsets further apart than this are of different groups.
const APART_S: f64 = 300.0;
/// Counts by minute that go together less than this do not belong together.
const TOGETHER: f64 = 0.5;
/// Chance, corrected, below which a rise is believed.
const CLEAR: f64 = 0.01;

/// Corrects the chances of patterns that were compared side by side (Holm, 1979). `all` are the chances
/// of all that were compared, shown or not.
pub(crate) fn adjust(patterns: &mut [Pattern], mut all: Vec<f64>) {
    all.sort_by(f64::total_cmp);
    for pattern in patterns {
        // The worst of what those at least as surprising come to: a smaller chance stays smaller.
        let adjusted = all
            .iter()
            .enumerate()
            .take_while(|(rank, chance)| *rank == 0 || **chance <= pattern.chance + 1e-6)
            .map(|(rank, chance)| chance * (all.len() - rank) as f64)
            .fold(pattern.chance, f64::max);
        pattern.chance_adjusted = rounded(adjusted.min(1.0));
    }
}

/// Groups of patterns that rose, each pattern told its group. `found` and `patterns` go side by side.
pub(crate) fn group(found: &[Found], patterns: &mut [Pattern], span: Span) -> Vec<Group> {
    let mut rose: Vec<(usize, Timestamp)> = patterns
        .iter()
        .enumerate()
        .filter(|(_, p)| matches!(p.change, Change::New | Change::Grew) && p.chance_adjusted < CLEAR)
        .filter_map(|(n, p)| Some((n, p.onset?.0)))
        .collect();
    rose.sort_by_key(|(n, at)| (*at, *n));
    // Each joins the first group that it goes together with.
    let mut groups: Vec<(Vec<usize>, f64)> = Vec::new();
    for (n, at) in rose {
        let own = minutes(found.get(n), span);
        let joined = groups.iter_mut().find_map(|(members, least)| {
            let near = members.iter().find(|other| {
                let onset = patterns.get(**other).and_then(|p| p.onset).map_or(at, |onset| onset.0);
                at.duration_since(onset).as_secs_f64().abs() <= APART_S
            })?;
            let together = correlation(&own, &minutes(found.get(*near), span));
            (together >= TOGETHER).then_some((members, least, together))
        });
        match joined {
            Some((members, least, together)) => {
                members.push(n);
                *least = least.min(together);
            }
            None => groups.push((vec![n], 1.0)),
        }
    }
    let mut out: Vec<(Group, Vec<usize>)> = groups
        .into_iter()
        .filter_map(|(mut members, least)| {
            first_causes_first(&mut members, patterns);
            let of = |n: &usize| patterns.get(*n);
            let first = members.first().and_then(of)?;
            let all: Vec<&Pattern> = members.iter().filter_map(of).collect();
            let group = Group {
                patterns: all.iter().map(|p| p.reference.clone()).collect(),
                count: all.iter().map(|p| p.count).sum(),
                onset: all.iter().filter_map(|p| p.onset).min()?,
                onset_earliest: all.iter().filter_map(|p| p.onset_earliest).min()?,
                onset_latest: all.iter().filter_map(|p| p.onset_latest).min().max(first.onset),
                status: if all.iter().any(|p| p.status == Status::Ongoing) {
                    Status::Ongoing
                } else {
                    Status::Ceased
                },
                correlation: rounded(least),
            };
            Some((group, members))
        })
        .collect();
    out.sort_by_key(|(group, _)| (std::cmp::Reverse(group.count), group.onset));
    for (number, (_, members)) in (0..).zip(&out) {
        for n in members {
            if let Some(pattern) = patterns.get_mut(*n) {
                pattern.group = Some(number);
            }
        }
    }
    out.into_iter().map(|(group, _)| group).collect()
}

/// By onset; those whose intervals overlap the earliest one's by severity, then by count.
fn first_causes_first(members: &mut Vec<usize>, patterns: &[Pattern]) {
    let mut rest = std::mem::take(members);
    while !rest.is_empty() {
        let latest = rest.iter().filter_map(|n| patterns.get(*n)?.onset_latest).min();
        let best = rest
            .iter()
            .enumerate()
            .filter_map(|(place, n)| Some((place, patterns.get(*n)?)))
            .filter(|(_, p)| latest.is_none() || p.onset_earliest <= latest)
            .max_by_key(|(_, p)| (p.level, p.exception.is_some(), p.count, std::cmp::Reverse(p.onset)))
            .map_or(0, |(place, _)| place);
        members.push(rest.remove(best));
    }
}

/// Counts by minute of the window, minutes without any in it.
fn minutes(found: Option<&Found>, span: Span) -> Vec<f64> {
    let length = crate::insights::whole((span.now.seconds() / 60.0).ceil());
    let mut out = vec![0.0; usize::try_from(length).unwrap_or(1).clamp(1, 2000)];
    for Tick { at, n } in found.map_or(&[][..], |one| &one.now) {
        let minute = crate::insights::whole(at.duration_since(span.now.from).as_secs_f64() / 60.0);
        if let Some(slot) = usize::try_from(minute).ok().and_then(|minute| out.get_mut(minute)) {
            *slot += *n as f64;
        }
    }
    out
}

/// Pearson's, of the square roots: a peak of one does not outweigh all else. A constant goes together
/// with a constant only.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let root = |all: &[f64]| all.iter().map(|n| n.sqrt()).collect::<Vec<f64>>();
    let (a, b) = (root(a), root(b));
    let n = a.len().max(1) as f64;
    let (ma, mb) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(&b) {
        ab += (x - ma) * (y - mb);
        aa += (x - ma).powi(2);
        bb += (y - mb).powi(2);
    }
    if aa < 1e-9 && bb < 1e-9 {
        1.0
    } else if aa < 1e-9 || bb < 1e-9 {
        0.0
    } else {
        ab / (aa * bb).sqrt()
    }
}

#[cfg(test)]
#[path = "groups_tests.rs"]
mod tests;
