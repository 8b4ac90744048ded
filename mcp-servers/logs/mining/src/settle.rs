//! Comparing all shapes of one kind and length, and merging those that differ in values only.
//!
//! 1. Shapes that are alike but for atoms that hold a value are one.
//! 2. Shapes that are alike but for one word are a column. Its words are values if half of them look
//!    like values, or if there are more of them than there are verbs and states to choose from. How
//!    many that is depends on how much the rest of the line says.
//! 3. The same for two words at once, where neither place alone tells.
//!
//! Each merge makes others possible, so the steps are repeated until nothing changes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::{
    mask::{WILD, is_mark},
    miner::{Template, owner},
    words::{ANY, Words, atoms, ends, numbered},
};

/// Rounds over one group; each at least halves what can still change.
const ROUNDS: usize = 6;
/// Shapes of one group up to which pairs of places are compared, and their words.
const PAIRED: usize = 600;
const PAIRED_WORDS: usize = 32;

/// Merges what belongs together. Templates that are merged away name their owner.
pub(crate) fn settle(templates: &mut [Template], words: &mut Words) {
    let mut groups: BTreeMap<(u32, usize), Vec<u32>> = BTreeMap::new();
    for (id, template) in (0..).zip(templates.iter()) {
        if template.owner == id && !template.is_rest {
            groups.entry((template.kind, template.words.len())).or_default().push(id);
        }
    }
    // Twice: what was found to be a value in one group is one in the others.
    let mut values = HashSet::new();
    let mut groups: Vec<(usize, Vec<u32>)> =
        groups.into_iter().map(|((_, length), group)| (length, group)).collect();
    for (length, live) in &mut groups {
        pass(templates, words, &mut values, *length, live);
    }
    for (length, live) in &mut groups {
        pass(templates, words, &mut values, *length, live);
    }
    for id in 0..templates.len() {
        let last = owner(templates, u32::try_from(id).unwrap_or(u32::MAX));
        if let Some(template) = templates.get_mut(id) {
            template.owner = last;
            if last as usize != id {
                template.words = Vec::new();
                template.wide = Vec::new();
            }
        }
    }
}

/// Repeats the steps over one group until nothing changes.
fn pass(
    templates: &mut [Template],
    words: &mut Words,
    values: &mut Values,
    length: usize,
    live: &mut Vec<u32>,
) {
    let mut group = Group { templates, words, values, live };
    group.by_gist();
    for _ in 0..ROUNDS {
        let before = group.live.len();
        for place in 0..length {
            group.by_place(place);
        }
        if length <= PAIRED_WORDS && group.live.len() <= PAIRED {
            for place in 0..length {
                for other in place + 1..length {
                    group.by_pair(place, other);
                }
            }
        }
        group.by_gist();
        if group.live.len() == before {
            break;
        }
    }
}

/// Words that were found to be values, with the word before them.
type Values = HashSet<(u32, u32)>;

struct Group<'t> {
    templates: &'t mut [Template],
    words: &'t mut Words,
    values: &'t mut Values,
    live: &'t mut Vec<u32>,
}

impl Group<'_> {
    fn words_of(&self, id: u32) -> &[u32] {
        self.templates.get(id as usize).map_or(&[], |template| &template.words)
    }

    fn word(&self, id: u32, place: usize) -> u32 {
        self.words_of(id).get(place).copied().unwrap_or(ANY)
    }

    /// Live templates by what is left of them without some places.
    fn buckets(&self, key: impl Fn(&[u32]) -> Vec<u32>) -> Vec<Vec<u32>> {
        let mut buckets: HashMap<Vec<u32>, Vec<u32>> = HashMap::new();
        for id in self.live.iter() {
            buckets.entry(key(self.words_of(*id))).or_default().push(*id);
        }
        let mut many: Vec<Vec<u32>> = buckets.into_values().filter(|bucket| bucket.len() > 1).collect();
        // In an order of the lines', not of the hash's.
        many.sort_unstable();
        many
    }

    /// Words but for some places; values in them count as alike.
    fn without(&self, words: &[u32], places: &[usize]) -> Vec<u32> {
        let words = words.iter().enumerate().filter(|(place, _)| !places.contains(place));
        words.map(|(_, word)| self.words.gist(*word)).collect()
    }

    fn by_gist(&mut self) {
        for bucket in self.buckets(|words| words.iter().map(|word| self.words.gist(*word)).collect()) {
            self.merge(&bucket);
        }
    }

    fn by_place(&mut self, place: usize) {
        for bucket in self.buckets(|words| self.without(words, &[place])) {
            if let Some((first, others)) = bucket.split_first() {
                let said = self.literals(*first, &[place]);
                let all = std::iter::once(first).chain(others).copied();
                let column: BTreeSet<u32> = all.map(|id| self.word(id, place)).collect();
                // The word before is the same in all of them.
                let before = place.checked_sub(1).map(|before| self.word(*first, before));
                let known = before
                    .is_some_and(|before| column.iter().all(|word| self.values.contains(&(before, *word))));
                if known || self.varies(&column, place, said, 1) {
                    if let Some(before) = before {
                        self.values.extend(column.iter().map(|word| (before, *word)));
                    }
                    self.merge(&bucket);
                }
            }
        }
    }

    fn by_pair(&mut self, place: usize, other: usize) {
        for bucket in self.buckets(|words| self.without(words, &[place, other])) {
            let Some(first) = bucket.first() else { continue };
            let said = self.literals(*first, &[place, other]);
            let column = |place| bucket.iter().map(|id| self.word(*id, place)).collect::<BTreeSet<u32>>();
            let (a, b) = (column(place), column(other));
            if a.len() > 1
                && b.len() > 1
                && self.varies(&a, place, said, 2)
                && self.varies(&b, other, said, 2)
            {
                self.merge(&bucket);
            }
        }
    }

    /// Words proper of a template, apart from some places.
    fn literals(&self, id: u32, but: &[usize]) -> usize {
        let words = self.words_of(id).iter().enumerate();
        words.filter(|(place, word)| !but.contains(place) && self.words.is_literal(**word)).count()
    }

    /// Whether the words of a column are values. `said` is how many words proper stand around it.
    fn varies(&self, column: &BTreeSet<u32>, place: usize, said: usize, places: usize) -> bool {
        if column.len() < 2 {
            return column.len() == 1;
        }
        let all: Vec<Vec<&[u8]>> = column.iter().map(|word| atoms(self.words.text(*word))).collect();
        let Some((first, others)) = all.split_first() else { return false };
        let (mut head, mut tail) = (first.len(), first.len());
        for other in others {
            let (h, t) = ends(first, other);
            (head, tail) = (head.min(h), tail.min(t));
        }
        let middles: Vec<Vec<u8>> = all
            .iter()
            .map(|atoms| {
                atoms.get(head..atoms.len().saturating_sub(tail).max(head)).unwrap_or_default().concat()
            })
            .collect();
        let valued = middles.iter().filter(|middle| is_value(middle)).count();
        // Nothing at all is a value beside values, and no more than a missing word beside words.
        let some = middles.iter().any(|middle| !middle.is_empty() && is_value(middle));
        if said >= 1 && some && valued * 2 >= middles.len() {
            return true;
        }
        let same = middles.first().map(|m| numbered(m));
        if said >= 1 && middles.iter().all(|middle| Some(numbered(middle)) == same) {
            return true;
        }
        let needed = match said {
            0 => return false,
            1 => 12,
            2 => 6,
            _ => 4,
        };
        let needed = if place == 0 { needed * 2 } else { needed };
        column.len() >= needed + places - 1
    }

    /// Makes all of them one: the first, which has been there longest.
    fn merge(&mut self, bucket: &[u32]) {
        let Some((first, others)) = bucket.split_first() else { return };
        let mut merged = self.words_of(*first).to_vec();
        let mut shapes = 0;
        for id in others {
            for (own, word) in
                merged.iter_mut().zip(self.templates.get(*id as usize).map_or(&[][..], |t| &t.words))
            {
                *own = self.words.merge(*own, *word);
            }
            if let Some(template) = self.templates.get_mut(*id as usize) {
                template.owner = *first;
                shapes += template.shapes;
            }
        }
        if let Some(template) = self.templates.get_mut(*first as usize) {
            template.words = merged;
            template.shapes += shapes;
        }
        let templates = &self.templates;
        self.live.retain(|id| templates.get(*id as usize).is_some_and(|template| template.owner == *id));
    }
}

/// Whether it looks like a value rather than a word: nothing at all, a masked one, digits, a path.
fn is_value(text: &[u8]) -> bool {
    text.is_empty()
        || text == [WILD]
        || text.iter().any(|b| is_mark(*b) || b.is_ascii_digit() || matches!(b, b'/' | b'\\' | b'@'))
        || is_domain(text)
}

/// `db.internal.example`: three parts or more in lower case.
fn is_domain(text: &[u8]) -> bool {
    text.iter().all(|b| b.is_ascii_lowercase() || matches!(b, b'.' | b'-'))
        && text.split(|b| *b == b'.').count() >= 3
        && text.split(|b| *b == b'.').all(|part| !part.is_empty())
}
