//! Lines in, leaves out; leaves become templates when all is settled.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use crate::{
    mask::{WILD, mask_into},
    settle, template,
    words::{ANY, Words},
};

/// Where so many templates are left after all was compared, further kinds of lines are counted as one.
/// Up to twice as many may be there by then.
pub const MAX_TEMPLATES: usize = 4096;
/// Shapes after which all is settled while reading goes on.
const MAX_SHAPES: usize = 8192;
/// Bytes of masked lines that are remembered.
const MAX_REMEMBERED: usize = 16 << 20;
/// Shapes that are ever taken in, whatever became of them.
const MAX_EVER: usize = 65_536;
/// Bytes of all words of all templates.
const MAX_WORD_BYTES: usize = 16 << 20;
/// What is reckoned for an entry of the map beside its text.
const ENTRY_BYTES: usize = 64;

/// What a line was filed under. Ask the miner for its template once all lines are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Leaf(u32);

/// A template of the miner that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TemplateId(pub(crate) u32);

/// One template, or one that was merged into another.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    /// Lines of different kinds are never of one template.
    pub(crate) kind: u32,
    pub(crate) words: Vec<u32>,
    /// Places where two blanks stand before the word.
    pub(crate) wide: Vec<bool>,
    /// Distinct shapes that are in it.
    pub(crate) shapes: u32,
    /// The template that has it now; itself while it lives.
    pub(crate) owner: u32,
    /// It has the lines beyond the bound, which have nothing in common: it is never merged or matched.
    pub(crate) is_rest: bool,
}

/// Mines templates. See the crate.
#[derive(Debug)]
pub struct Miner {
    words: Words,
    templates: Vec<Template>,
    live: usize,
    remembered: HashMap<Box<[u8]>, u32, BuildHasherDefault<Mixer>>,
    bytes: usize,
    /// By kind, length and first word: live templates, for when shapes are no longer free.
    index: HashMap<(u32, usize, u32), Vec<u32>>,
    rest: HashMap<u32, u32>,
    settle_at: usize,
    settled: bool,
    buffer: Vec<u8>,
}

impl Default for Miner {
    fn default() -> Self {
        Self::new()
    }
}

impl Miner {
    /// A miner that has seen nothing.
    pub fn new() -> Self {
        Self {
            words: Words::new(),
            templates: Vec::new(),
            live: 0,
            remembered: HashMap::default(),
            bytes: 0,
            index: HashMap::new(),
            rest: HashMap::new(),
            settle_at: MAX_SHAPES,
            settled: false,
            buffer: Vec::new(),
        }
    }

    /// Files a line. Lines of different `kind` (a number of the caller's, such as of its level) never
    /// share a template.
    pub fn add(&mut self, text: &str, kind: u32) -> Leaf {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer.extend_from_slice(&kind.to_le_bytes());
        mask_into(text, &mut buffer);
        let leaf = match self.remembered.get(buffer.as_slice()) {
            Some(leaf) => *leaf,
            None => self.file(&buffer, kind),
        };
        self.buffer = buffer;
        Leaf(leaf)
    }

    /// Files a masked line that was not seen yet, or was forgotten.
    fn file(&mut self, masked: &[u8], kind: u32) -> u32 {
        let text = masked.get(size_of::<u32>()..).unwrap_or_default();
        if let Some(leaf) = self.matching(text, kind) {
            // Matched as quickly as remembered.
            return leaf;
        }
        if !self.has_room() {
            return self.rest_of(kind);
        }
        self.settled = false;
        let leaf = self.insert(text, kind);
        if self.bytes > MAX_REMEMBERED {
            self.remembered = HashMap::default();
            self.bytes = 0;
        }
        self.bytes += masked.len() + ENTRY_BYTES;
        self.remembered.insert(masked.into(), leaf);
        if self.live >= self.settle_at {
            self.settle();
            // From now on templates are a scarce good, and lines are matched with those that are.
            self.settle_at = (self.live * 2).max(MAX_SHAPES + 1);
            self.reindex();
        }
        self.templates.get(leaf as usize).map_or(leaf, |template| template.owner)
    }

    /// Until all was settled once, shapes are free; what is merged away makes room for others.
    fn has_room(&self) -> bool {
        (self.live < MAX_TEMPLATES || self.settle_at == MAX_SHAPES)
            && self.templates.len() < MAX_EVER
            && self.words.bytes() < MAX_WORD_BYTES
    }

    /// A template that has this line already. Only asked once shapes have been merged while reading.
    fn matching(&self, text: &[u8], kind: u32) -> Option<u32> {
        if self.index.is_empty() {
            return None;
        }
        let words = || text.split(|b| *b == b' ').filter(|word| !word.is_empty());
        let length = words().count();
        let first = words().next().and_then(|word| self.words.get(word)).unwrap_or(ANY);
        [first, ANY]
            .iter()
            .filter_map(|first| self.index.get(&(kind, length, *first)))
            .flatten()
            .copied()
            .find(|id| {
                self.templates.get(*id as usize).is_some_and(|own| {
                    own.words.iter().zip(words()).all(|(own, word)| fits(self.words.text(*own), word))
                })
            })
    }

    fn reindex(&mut self) {
        self.index.clear();
        for (id, template) in (0..).zip(&self.templates) {
            if template.owner == id && !template.is_rest {
                self.index.entry(self.key(template)).or_default().push(id);
            }
        }
    }

    fn key(&self, template: &Template) -> (u32, usize, u32) {
        let first = template.words.first().copied().unwrap_or(ANY);
        let wild = self.words.text(first).contains(&WILD);
        (template.kind, template.words.len(), if wild { ANY } else { first })
    }

    fn insert(&mut self, text: &[u8], kind: u32) -> u32 {
        let (mut words, mut wide) = (Vec::new(), Vec::new());
        let mut doubled = false;
        for word in text.split(|b| *b == b' ') {
            if word.is_empty() {
                doubled = !words.is_empty();
                continue;
            }
            words.push(self.words.intern(word));
            wide.push(doubled);
            doubled = false;
        }
        let id = u32::try_from(self.templates.len()).unwrap_or(u32::MAX);
        let template = Template { kind, words, wide, shapes: 1, owner: id, is_rest: false };
        if !self.index.is_empty() {
            let key = self.key(&template);
            self.index.entry(key).or_default().push(id);
        }
        self.templates.push(template);
        self.live += 1;
        id
    }

    /// One template for everything beyond the bound, for each kind.
    fn rest_of(&mut self, kind: u32) -> u32 {
        if let Some(id) = self.rest.get(&kind) {
            return *id;
        }
        let id = u32::try_from(self.templates.len()).unwrap_or(u32::MAX);
        let (words, wide) = (vec![self.words.intern(&[WILD])], vec![false]);
        self.templates.push(Template { kind, words, wide, shapes: 1, owner: id, is_rest: true });
        self.live += 1;
        self.rest.insert(kind, id);
        id
    }

    /// Compares all shapes and merges those of one kind. Costs nothing when nothing was added since.
    pub fn settle(&mut self) {
        if self.settled {
            return;
        }
        settle::settle(&mut self.templates, &mut self.words);
        self.live = (0..).zip(&self.templates).filter(|(id, template)| template.owner == *id).count();
        for leaf in self.remembered.values_mut() {
            *leaf = owner(&self.templates, *leaf);
        }
        self.settled = true;
    }

    /// The template of a leaf, as of when all was settled last.
    pub fn template(&self, leaf: Leaf) -> TemplateId {
        TemplateId(owner(&self.templates, leaf.0))
    }

    /// Templates that are told apart.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.templates.is_empty()
    }

    /// The kind that its lines were added with.
    pub fn kind(&self, id: TemplateId) -> Option<u32> {
        self.templates.get(id.0 as usize).map(|template| template.kind)
    }

    /// Whether its lines are those beyond the bound: they have nothing in common but their kind.
    pub fn is_rest(&self, id: TemplateId) -> bool {
        self.templates.get(id.0 as usize).is_some_and(|template| template.is_rest)
    }

    /// The template for people: `took <num>ms for <*>`.
    pub fn text(&self, id: TemplateId) -> String {
        template::shown(&self.masked(id))
    }

    /// The template as the literature writes it: every value is `<*>`.
    pub fn starred(&self, id: TemplateId) -> String {
        template::starred(&self.masked(id))
    }

    fn masked(&self, id: TemplateId) -> Vec<u8> {
        let Some(template) = self.templates.get(id.0 as usize) else { return Vec::new() };
        let mut out = Vec::new();
        for (word, wide) in template.words.iter().zip(&template.wide) {
            if !out.is_empty() {
                out.extend_from_slice(if *wide { b"  " } else { b" " });
            }
            out.extend_from_slice(self.words.text(*word));
        }
        out
    }
}

/// Who has a template now. Chains are short: each merge sets all of them anew.
pub(crate) fn owner(templates: &[Template], id: u32) -> u32 {
    let mut id = id;
    while let Some(template) = templates.get(id as usize).filter(|template| template.owner != id) {
        id = template.owner;
    }
    id
}

/// Whether a word of a template, with what varies in it, stands for this word.
pub(crate) fn fits(pattern: &[u8], word: &[u8]) -> bool {
    if pattern == word {
        return true;
    }
    let Some(wild) = pattern.iter().position(|b| *b == WILD) else { return false };
    let (head, tail) = pattern.split_at_checked(wild).unwrap_or((pattern, &[]));
    let last = tail.iter().rposition(|b| *b == WILD).unwrap_or(0);
    let tail = tail.get(last + 1..).unwrap_or_default();
    word.len() >= head.len() + tail.len() && word.starts_with(head) && word.ends_with(tail)
}

/// A quick hash of masked lines. Who makes lines collide on purpose slows himself down: entries are
/// compared in full, and their number is bounded.
#[derive(Debug, Default, Clone, Copy)]
struct Mixer(u64);

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Mixer {
    fn mix(&mut self, value: u64) {
        let product = u128::from(self.0 ^ value) * u128::from(FACTOR);
        #[allow(clippy::cast_possible_truncation, reason = "both halves are used")]
        {
            self.0 = (product as u64) ^ ((product >> 64) as u64);
        }
    }
}

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let mut last = [0_u8; 8];
        for (slot, byte) in last.iter_mut().zip(rest) {
            *slot = *byte;
        }
        self.mix(u64::from_le_bytes(last) ^ (bytes.len() as u64) << 56);
    }

    fn write_usize(&mut self, _: usize) {
        // The length of a slice, which `write` has mixed in.
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
#[path = "miner_tests.rs"]
mod tests;
