//! Mining templates from lines, after Drain (He et al., 2017), without its fixed-depth tree.
//!
//! Lines that are equal once masked meet in a hash map, which settles nearly all of them. The rest
//! are compared, position by position, with the templates of the same level, exception and length;
//! where they are similar enough, the differing words become `<*>`. Drain's tree over the first
//! words was rejected: it splits lines that begin with a name, and the lists are short anyway
//! because level and exception already divide them.

use std::collections::HashMap;

use crate::{
    line::{Level, Line},
    mask::mask,
};

/// Words of a line that are compared; what follows is cut.
const MAX_TOKENS: usize = 48;
/// Templates that are told apart; further kinds of lines are counted as one.
const MAX_TEMPLATES: usize = 1000;
/// Share of equal positions from which two lines are of one kind.
const SIMILAR: f64 = 0.6;
/// The same, when they do not even begin alike.
const SIMILAR_OTHER_HEAD: f64 = 0.8;
/// Stands before a word that was not separated from the one before it by a space.
const GLUE: char = '\u{2}';
const WILD: u32 = 0;
const GLUED_WILD: u32 = 1;

/// Index of a template in its miner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TemplateId(usize);

#[derive(Debug)]
struct Template {
    level: Level,
    exception: Option<String>,
    tokens: Vec<u32>,
}

/// Templates found so far.
#[derive(Debug)]
pub(crate) struct Miner {
    ids: HashMap<Box<str>, u32>,
    names: Vec<Box<str>>,
    /// By word: the same with every mask made `<id>`. Whether a random id happened to consist of
    /// digits only makes no other kind of line.
    alikes: Vec<u32>,
    templates: Vec<Template>,
    alike: HashMap<(Level, Option<String>, usize), Vec<TemplateId>>,
    exact: HashMap<(Level, Option<String>, String), TemplateId>,
}

impl Miner {
    pub(crate) fn new() -> Self {
        let mut miner = Self {
            ids: HashMap::new(),
            names: Vec::new(),
            alikes: Vec::new(),
            templates: Vec::new(),
            alike: HashMap::new(),
            exact: HashMap::new(),
        };
        miner.intern("<*>");
        miner.intern(&format!("{GLUE}<*>"));
        miner
    }

    /// The template a line belongs to; a new one if it is like none so far.
    pub(crate) fn add(&mut self, line: &Line<'_>) -> TemplateId {
        let masked = mask(&line.text).into_owned();
        let key = (line.level, line.exception.clone(), masked);
        if let Some(id) = self.exact.get(&key) {
            return *id;
        }
        let tokens = self.tokens(&key.2);
        let group = (key.0, key.1.clone(), tokens.len());
        let id = match self.most_alike(&group, &tokens) {
            Some(id) => {
                self.widen(id, &tokens);
                id
            }
            None if self.templates.len() < MAX_TEMPLATES => self.insert(group, tokens),
            // One template for everything beyond: of this level, of any exception.
            None => self.rest(key.0),
        };
        if self.exact.len() < 50 * MAX_TEMPLATES {
            self.exact.insert(key, id);
        }
        id
    }

    fn rest(&mut self, level: Level) -> TemplateId {
        let group = (level, None, 0);
        match self.alike.get(&group).and_then(|list| list.first()) {
            Some(id) => *id,
            None => self.insert(group, vec![WILD]),
        }
    }

    fn insert(&mut self, group: (Level, Option<String>, usize), tokens: Vec<u32>) -> TemplateId {
        let id = TemplateId(self.templates.len());
        self.templates.push(Template { level: group.0, exception: group.1.clone(), tokens });
        self.alike.entry(group).or_default().push(id);
        id
    }

    /// Level and exception of a template.
    pub(crate) fn kind(&self, id: TemplateId) -> Option<(Level, Option<&str>)> {
        self.templates.get(id.0).map(|template| (template.level, template.exception.as_deref()))
    }

    /// The text of a template, `<*>` where its lines differ.
    pub(crate) fn text(&self, id: TemplateId) -> String {
        let mut out = String::new();
        for token in self.templates.get(id.0).map_or(&[][..], |template| &template.tokens) {
            let name = self.names.get(*token as usize).map_or("", |name| name);
            if let Some(glued) = name.strip_prefix(GLUE) {
                out.push_str(glued);
            } else {
                out.push_str(if out.is_empty() { "" } else { " " });
                out.push_str(name);
            }
        }
        out
    }

    fn most_alike(&self, group: &(Level, Option<String>, usize), tokens: &[u32]) -> Option<TemplateId> {
        let mut best: Option<(f64, TemplateId)> = None;
        for id in self.alike.get(group)? {
            let template = &self.templates.get(id.0)?.tokens;
            let equal = template.iter().zip(tokens).filter(|(a, b)| self.same(**a, **b)).count();
            let share = equal as f64 / tokens.len().max(1) as f64;
            let head = template.first().zip(tokens.first()).is_some_and(|(a, b)| self.same(*a, *b));
            let needed = if head { SIMILAR } else { SIMILAR_OTHER_HEAD };
            if share >= needed && best.is_none_or(|(most, _)| share > most) {
                best = Some((share, *id));
            }
        }
        best.map(|(_, id)| id)
    }

    fn same(&self, a: u32, b: u32) -> bool {
        a == b || self.alikes.get(a as usize) == self.alikes.get(b as usize)
    }

    fn widen(&mut self, id: TemplateId, tokens: &[u32]) {
        let (names, alikes) = (&self.names, &self.alikes);
        let Some(template) = self.templates.get_mut(id.0) else { return };
        for (known, seen) in template.tokens.iter_mut().zip(tokens) {
            if known != seen && *known != WILD && *known != GLUED_WILD {
                let (a, b) = (alikes.get(*known as usize), alikes.get(*seen as usize));
                if a == b {
                    *known = a.copied().unwrap_or(*known);
                    continue;
                }
                let glued = names.get(*known as usize).is_some_and(|name| name.starts_with(GLUE));
                *known = if glued { GLUED_WILD } else { WILD };
            }
        }
    }

    /// Words, divided further after `=` and at `/`, so that a key survives its varying value.
    fn tokens(&mut self, text: &str) -> Vec<u32> {
        let mut out = Vec::new();
        for word in text.split_whitespace() {
            let mut glued = false;
            let mut rest = word;
            while !rest.is_empty() && out.len() < MAX_TOKENS {
                let cut = match rest.strip_prefix('/') {
                    Some(_) => 1,
                    None => rest
                        .char_indices()
                        .find_map(|(at, c)| match c {
                            '=' => Some(at + 1),
                            '/' => Some(at),
                            _ => None,
                        })
                        .unwrap_or(rest.len()),
                };
                let (token, tail) = rest.split_at_checked(cut).unwrap_or((rest, ""));
                out.push(if glued { self.intern(&format!("{GLUE}{token}")) } else { self.intern(token) });
                glued = true;
                rest = tail;
            }
        }
        out
    }

    fn intern(&mut self, name: &str) -> u32 {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        // Fewer than 2^32 words fit in memory long before this could fail.
        let id = u32::try_from(self.names.len()).unwrap_or(WILD);
        self.names.push(name.into());
        self.alikes.push(id);
        self.ids.insert(name.into(), id);
        let alike = name.replace("<num>", "<id>").replace("<hex>", "<id>");
        if alike != name {
            let alike = self.intern(&alike);
            if let Some(slot) = self.alikes.get_mut(id as usize) {
                *slot = alike;
            }
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::read;

    fn mine(lines: &[&str]) -> Vec<String> {
        let mut miner = Miner::new();
        let mut ids: Vec<TemplateId> =
            lines.iter().filter_map(|line| Some(miner.add(&read(line)?))).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().map(|id| miner.text(id)).collect()
    }

    #[test]
    fn lines_of_one_kind_become_one_template() {
        let found = mine(&[
            "ERROR ConnectionTimeoutException: PostgreSQL connection pool exhausted (order 1881)",
            "ERROR ConnectionTimeoutException: PostgreSQL connection pool exhausted (order 1882)",
            "ERROR PaymentError: card declined for alice",
            "ERROR PaymentError: card declined for bob",
            "ERROR PaymentError: card declined for carol",
        ]);
        assert_eq!(
            found,
            [
                "ConnectionTimeoutException: PostgreSQL connection pool exhausted (order <num>)",
                "PaymentError: card declined for <*>"
            ]
        );
    }

    #[test]
    fn levels_and_exceptions_are_never_mixed() {
        let found = mine(&[
            "ERROR FooException: cannot reach the store today",
            "ERROR BarException: cannot reach the store today",
            "WARN cannot reach the store today",
            "ERROR cannot reach the store today",
        ]);
        assert_eq!(found.len(), 4, "{found:?}");
    }

    #[test]
    fn keys_survive_varying_values() {
        let found = mine(&[
            "WARN throttled table=sessions op=PutItem caller=web",
            "WARN throttled table=orders op=GetItem caller=web",
        ]);
        assert_eq!(found, ["throttled table=<*> op=<*> caller=web"]);
        assert_eq!(
            mine(&["ERROR GET /users/alice/cart failed hard", "ERROR GET /users/bob/cart failed hard"]),
            ["GET /users/<*>/cart failed hard"]
        );
    }

    #[test]
    fn ids_that_happen_to_be_digits_make_no_other_kind() {
        assert_eq!(
            mine(&[
                "ERROR [sync,e5611b7a] heap is full",
                "ERROR [sync,12345678] heap is full",
                "ERROR [sync,abcdefab] heap is full",
            ]),
            ["[sync,<id>] heap is full"]
        );
    }

    #[test]
    fn short_lines_that_only_share_a_word_stay_apart() {
        assert_eq!(mine(&["ERROR payment failed", "ERROR shipping failed"]).len(), 2);
    }

    #[test]
    fn the_number_of_templates_is_bounded() {
        let mut miner = Miner::new();
        let alphabet: Vec<char> = ('a'..='z').collect();
        for n in 0..3000_usize {
            let word: String = [n / 676, n / 26 % 26, n % 26].iter().map(|i| alphabet[*i]).collect();
            miner.add(&read(&format!("ERROR {word}{word} {word}x y{word} {word}q")).unwrap());
        }
        assert!(miner.templates.len() <= MAX_TEMPLATES + 1, "{}", miner.templates.len());
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_mined_without_panic(lines in proptest::collection::vec("(ERROR |WARN )?\\PC{0,80}", 0..20)) {
            let mut miner = Miner::new();
            for line in &lines {
                if let Some(line) = read(line) {
                    let id = miner.add(&line);
                    proptest::prop_assert_eq!(miner.add(&line), id);
                    let _ = miner.text(id);
                }
            }
        }
    }
}
