//! Mining lines by kind: what differs in level, exception or HTTP status never shares a template.

use std::collections::HashMap;

use midwatch_mining::{Leaf, Miner, TemplateId};

use crate::line::{Level, Line};

/// Kinds that are told apart; further ones are told apart by their level only.
const MAX_KINDS: usize = 1000;

/// What a line is beside its text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    pub(crate) level: Level,
    pub(crate) exception: Option<String>,
    pub(crate) status: Option<u16>,
}

/// A miner, and the kinds of its lines by their number.
#[derive(Debug, Default)]
pub(crate) struct Kinds {
    miner: Miner,
    list: Vec<Kind>,
    numbers: HashMap<Kind, u32>,
}

impl Kinds {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Files a line.
    pub(crate) fn add(&mut self, line: &Line<'_>) -> Leaf {
        let kind = Kind { level: line.level, exception: line.exception.clone(), status: line.status };
        let number = self.number(kind);
        self.miner.add(&line.text, number)
    }

    fn number(&mut self, kind: Kind) -> u32 {
        if let Some(number) = self.numbers.get(&kind) {
            return *number;
        }
        let plain = Kind { level: kind.level, exception: None, status: None };
        if self.list.len() >= MAX_KINDS && kind != plain {
            return self.number(plain);
        }
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(kind.clone());
        self.numbers.insert(kind, number);
        number
    }

    /// To be called when all lines were added, before templates are asked for.
    pub(crate) fn settle(&mut self) {
        self.miner.settle();
    }

    pub(crate) fn template(&self, leaf: Leaf) -> TemplateId {
        self.miner.template(leaf)
    }

    pub(crate) fn kind(&self, id: TemplateId) -> Option<&Kind> {
        self.list.get(self.miner.kind(id)? as usize)
    }

    /// Whether its lines are those that had no room.
    pub(crate) fn is_rest(&self, id: TemplateId) -> bool {
        self.miner.is_rest(id)
    }

    /// The text of a template, `<*>` where its lines differ.
    pub(crate) fn text(&self, id: TemplateId) -> String {
        self.miner.text(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::read;

    fn mine(lines: &[&str]) -> Vec<String> {
        let mut kinds = Kinds::new();
        let leaves: Vec<Leaf> = lines.iter().filter_map(|line| Some(kinds.add(&read(line)?))).collect();
        kinds.settle();
        let mut ids: Vec<TemplateId> = leaves.into_iter().map(|leaf| kinds.template(leaf)).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().map(|id| kinds.text(id)).collect()
    }

    #[test]
    fn lines_of_one_kind_become_one_template() {
        let found = mine(&[
            "ERROR ConnectionTimeoutException: PostgreSQL connection pool exhausted (order 1881)",
            "ERROR ConnectionTimeoutException: PostgreSQL connection pool exhausted (order 1882)",
            "ERROR PaymentError: card declined for alice",
            "ERROR PaymentError: card declined for bob",
            "ERROR PaymentError: card declined for carol",
            "ERROR PaymentError: card declined for dave",
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
    fn levels_exceptions_and_statuses_are_never_mixed() {
        let found = mine(&[
            "ERROR FooException: cannot reach the store today",
            "ERROR BarException: cannot reach the store today",
            "WARN cannot reach the store today",
            "ERROR cannot reach the store today",
            "ERROR the store said status=503 today",
            "ERROR the store said status=404 today",
        ]);
        assert_eq!(found.len(), 6, "{found:?}");
    }

    #[test]
    fn keys_and_paths_survive_varying_values() {
        assert_eq!(
            mine(&[
                "WARN throttled table=sessions caller=web at once",
                "WARN throttled table=orders caller=web at once",
                "WARN throttled table=carts caller=web at once",
                "WARN throttled table=users caller=web at once",
            ]),
            ["throttled table=<*> caller=web at once"]
        );
        assert_eq!(
            mine(&["ERROR GET /users/alice/cart failed hard", "ERROR GET /users/bob/cart failed hard"]),
            ["GET /users/<*>/cart failed hard"]
        );
    }

    #[test]
    fn ids_that_happen_to_be_digits_make_no_other_kind() {
        let found = mine(&[
            "ERROR [sync,e5611b7a] heap is full",
            "ERROR [sync,12345678] heap is full",
            "ERROR [sync,abcdefab] heap is full",
        ]);
        assert_eq!(found, ["[sync,<*>] heap is full"]);
    }

    #[test]
    fn short_lines_that_only_share_a_word_stay_apart() {
        assert_eq!(mine(&["ERROR payment failed", "ERROR shipping failed"]).len(), 2);
    }

    #[test]
    fn the_number_of_kinds_is_bounded() {
        let mut kinds = Kinds::new();
        for n in 0..3000_u32 {
            let name: String = n.to_string().bytes().map(|b| char::from(b - b'0' + b'a')).collect();
            kinds.add(&read(&format!("ERROR X{name}Exception: it broke")).unwrap());
        }
        assert!(kinds.list.len() <= MAX_KINDS + 1, "{}", kinds.list.len());
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_mined_without_panic(lines in proptest::collection::vec("(ERROR |WARN )?\\PC{0,80}", 0..20)) {
            let mut kinds = Kinds::new();
            let mut leaves = Vec::new();
            for line in &lines {
                if let Some(line) = read(line) {
                    let leaf = kinds.add(&line);
                    proptest::prop_assert_eq!(kinds.add(&line), leaf);
                    leaves.push(leaf);
                }
            }
            kinds.settle();
            for leaf in leaves {
                let id = kinds.template(leaf);
                proptest::prop_assert!(kinds.kind(id).is_some());
                let _ = kinds.text(id);
            }
        }
    }
}
