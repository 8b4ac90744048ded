//! The words of templates: numbered, taken apart, and merged where they differ.

use std::collections::HashMap;

use crate::mask::{NUMBER, PATH, PATH_END, WILD, is_mark, is_separator};

/// A word that stands for anything.
pub(crate) const ANY: u32 = 0;

/// Every word that a template holds, once.
#[derive(Debug)]
pub(crate) struct Words {
    ids: HashMap<Box<[u8]>, u32>,
    list: Vec<Word>,
    bytes: usize,
}

#[derive(Debug)]
struct Word {
    text: Box<[u8]>,
    /// The same with every atom that holds a value made a wild one.
    gist: u32,
    literal: bool,
}

impl Words {
    pub(crate) fn new() -> Self {
        let mut words = Self { ids: HashMap::new(), list: Vec::new(), bytes: 0 };
        words.intern(&[WILD]);
        words
    }

    pub(crate) fn intern(&mut self, text: &[u8]) -> u32 {
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        // Templates are bounded, and with them their words.
        let id = u32::try_from(self.list.len()).unwrap_or(ANY);
        let valued = text.iter().any(|b| is_mark(*b));
        let literal = !valued && text.iter().filter(|b| b.is_ascii_alphabetic() || **b >= 0x80).count() >= 2;
        self.bytes += 2 * text.len();
        self.ids.insert(text.into(), id);
        self.list.push(Word { text: text.into(), gist: id, literal });
        if valued {
            let gist = gist_of(text);
            if gist != text {
                let gist = self.intern(&gist);
                if let Some(word) = self.list.get_mut(id as usize) {
                    word.gist = gist;
                }
            }
        }
        id
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn get(&self, text: &[u8]) -> Option<u32> {
        self.ids.get(text).copied()
    }

    pub(crate) fn text(&self, id: u32) -> &[u8] {
        self.list.get(id as usize).map_or(&[], |word| &word.text)
    }

    pub(crate) fn gist(&self, id: u32) -> u32 {
        self.list.get(id as usize).map_or(id, |word| word.gist)
    }

    /// Whether it is a word proper, without any value in it.
    pub(crate) fn is_literal(&self, id: u32) -> bool {
        self.list.get(id as usize).is_some_and(|word| word.literal)
    }

    /// The word that stands for both.
    pub(crate) fn merge(&mut self, a: u32, b: u32) -> u32 {
        if a == b || a == ANY {
            return a;
        }
        if b == ANY {
            return b;
        }
        let merged = merged(self.text(a), self.text(b));
        self.intern(&merged)
    }
}

/// Pieces of a word: separators one by one, paths whole, everything else in runs.
pub(crate) fn atoms(text: &[u8]) -> Vec<&[u8]> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.first() {
        let length = if is_separator(*first) {
            1
        } else if *first == PATH {
            rest.iter().position(|b| *b == PATH_END).map_or(rest.len(), |n| n + 1)
        } else {
            let end = rest.iter().position(|b| is_separator(*b) || *b == PATH).unwrap_or(rest.len());
            // Full stops that lead over to a value belong to the word before it.
            match rest.get(..end).and_then(leaders) {
                Some(leaders) => leaders,
                None => end,
            }
        };
        let (atom, tail) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        out.push(atom);
        rest = tail;
    }
    out
}

/// The end of a run of full stops within an atom: `depth.......` of `depth.......3`.
fn leaders(atom: &[u8]) -> Option<usize> {
    let run = atom.windows(3).position(|window| window == b"...")?;
    let end = run + atom.iter().skip(run).take_while(|b| **b == b'.').count();
    (end < atom.len()).then_some(end)
}

/// Atoms that begin, and end, both alike; the ends do not overlap.
pub(crate) fn ends(a: &[&[u8]], b: &[&[u8]]) -> (usize, usize) {
    let head = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let most = a.len().min(b.len()) - head;
    let tail = a.iter().rev().zip(b.iter().rev()).take(most).take_while(|(a, b)| a == b).count();
    (head, tail)
}

fn gist_of(text: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    for atom in atoms(text) {
        if !atom.iter().any(|b| is_mark(*b)) {
            out.extend_from_slice(atom);
            continue;
        }
        // Values with nothing but punctuation between them are one.
        match out.as_slice() {
            [.., WILD, b':' | b',' | b'#' | b'|'] => {
                out.pop();
            }
            [.., WILD] => {}
            _ => out.push(WILD),
        }
    }
    out
}

fn merged(a: &[u8], b: &[u8]) -> Vec<u8> {
    let (x, y) = (atoms(a), atoms(b));
    let (head, tail) = ends(&x, &y);
    let middle = |all: &[&[u8]]| all.get(head..all.len() - tail).unwrap_or_default().concat();
    let (left, right) = (middle(&x), middle(&y));
    let mut out: Vec<u8> = x.iter().take(head).flat_map(|atom| atom.iter().copied()).collect();
    out.extend(both(&left, &right));
    out.extend(x.iter().skip(x.len() - tail).flat_map(|atom| atom.iter().copied()));
    out
}

/// What two differing middles have in common.
fn both(a: &[u8], b: &[u8]) -> Vec<u8> {
    let inner = |text: &[u8]| match text {
        [PATH, path @ .., PATH_END] if !path.contains(&PATH) => Some(path.to_vec()),
        _ => None,
    };
    if let (Some(a), Some(b)) = (inner(a), inner(b)) {
        let (a, b): (Vec<_>, Vec<_>) = (a.split(|c| *c == b'/').collect(), b.split(|c| *c == b'/').collect());
        if a.len() == b.len() {
            let parts: Vec<&[u8]> =
                a.iter().zip(&b).map(|(a, b)| if a == b { *a } else { &[WILD] }).collect();
            return [&[PATH], parts.join(&b'/').as_slice(), &[PATH_END]].concat();
        }
        return vec![WILD];
    }
    let (x, y) = (numbered(a), numbered(b));
    if x == y && !x.is_empty() { x } else { vec![WILD] }
}

/// With every run of digits, and every number with its fraction, made one mark.
pub(crate) fn numbered(text: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    for byte in text.iter().copied() {
        match byte {
            NUMBER | b'0'..=b'9' => {
                if out.last() != Some(&NUMBER) {
                    out.push(NUMBER);
                }
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{mask::mask_into, template::shown};

    fn joined(a: &str, b: &str) -> String {
        let masked = |text: &str| {
            let mut out = Vec::new();
            mask_into(text, &mut out);
            out
        };
        shown(&merged(&masked(a), &masked(b)))
    }

    #[test]
    fn what_two_words_share_is_kept() {
        for (a, b, expected) in [
            ("user=root", "user=guest", "user=<*>"),
            ("(alice)", "(bob),", "(<*>"),
            ("'/udev/vcs2'", "'/udev/vcsa'", "'/udev/<*>'"),
            ("()", "(dsl-12-13.example.net)", "(<*>)"),
            ("eth0:", "eth1:", "eth<num>:"),
            ("ws=null", "ws=WorkSource{10113}", "ws=<*>"),
            ("/users/alice/cart", "/users/bob/cart", "/users/<*>/cart"),
        ] {
            assert_eq!(joined(a, b), expected, "{a} {b}");
        }
    }
}
