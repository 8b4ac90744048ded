//! The rule of a composite alarm, as CloudWatch writes it:
//! `ALARM("a") OR (ALARM("b") AND NOT OK("c"))`.
//!
//! An alarm may be named bare, in quotation marks or by its ARN. `NOT` binds closest, then `AND`,
//! then `OR`; words of the language are read in either case.

use super::spec::AlarmState;

/// Parentheses within parentheses that are read before giving up.
const DEEPEST: u8 = 32;

/// A parsed rule.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Rule {
    /// An alarm of this name is in this state.
    Is(AlarmState, String),
    Constant(bool),
    Not(Box<Rule>),
    All(Vec<Rule>),
    Any(Vec<Rule>),
}

impl Rule {
    /// Parses a rule; the error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader { rest: text.trim_start() };
        let rule = reader.any(DEEPEST)?;
        if reader.rest.is_empty() {
            Ok(rule)
        } else {
            Err(format!("`{}` stands behind its end", reader.rest))
        }
    }

    /// The alarms it names, each once, in its order.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut all = Vec::new();
        self.collect(&mut all);
        all
    }

    fn collect<'a>(&'a self, all: &mut Vec<&'a str>) {
        match self {
            Self::Is(_, name) if !all.contains(&name.as_str()) => all.push(name),
            Self::Is(..) | Self::Constant(_) => {}
            Self::Not(inner) => inner.collect(all),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.collect(all)),
        }
    }

    /// Whether it holds; an alarm that does not exist is in no state.
    pub(crate) fn holds(&self, state: &impl Fn(&str) -> Option<AlarmState>) -> bool {
        match self {
            Self::Is(wanted, name) => state(name) == Some(*wanted),
            Self::Constant(value) => *value,
            Self::Not(inner) => !inner.holds(state),
            Self::All(parts) => parts.iter().all(|part| part.holds(state)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(state)),
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn any(&mut self, depth: u8) -> Result<Rule, String> {
        self.joined("OR", |reader| reader.all(depth), Rule::Any)
    }

    fn all(&mut self, depth: u8) -> Result<Rule, String> {
        self.joined("AND", |reader| reader.one(depth), Rule::All)
    }

    fn joined(
        &mut self,
        word: &str,
        part: impl Fn(&mut Self) -> Result<Rule, String>,
        join: impl Fn(Vec<Rule>) -> Rule,
    ) -> Result<Rule, String> {
        let first = part(self)?;
        let mut parts = vec![first];
        while self.word(word) {
            parts.push(part(self)?);
        }
        Ok(if parts.len() > 1 { join(parts) } else { parts.remove(0) })
    }

    fn one(&mut self, depth: u8) -> Result<Rule, String> {
        let Some(depth) = depth.checked_sub(1) else { return Err("it nests too deeply".to_owned()) };
        if self.word("NOT") {
            return Ok(Rule::Not(Box::new(self.one(depth)?)));
        }
        for (word, value) in [("TRUE", true), ("FALSE", false)] {
            if self.word(word) {
                return Ok(Rule::Constant(value));
            }
        }
        let states = [AlarmState::Alarm, AlarmState::Ok, AlarmState::InsufficientData];
        for state in states {
            if self.word(state.as_str()) {
                self.sign('(')?;
                let name = self.name()?;
                self.sign(')')?;
                return Ok(Rule::Is(state, name));
            }
        }
        self.sign('(')?;
        let inner = self.any(depth)?;
        self.sign(')')?;
        Ok(inner)
    }

    /// Takes a word of the language, where it comes next.
    fn word(&mut self, word: &str) -> bool {
        let Some((head, after)) = self.rest.split_at_checked(word.len()) else { return false };
        let ends = !after.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        let found = head.eq_ignore_ascii_case(word) && ends;
        if found {
            self.rest = after.trim_start();
        }
        found
    }

    fn sign(&mut self, sign: char) -> Result<(), String> {
        match self.rest.strip_prefix(sign) {
            Some(after) => {
                self.rest = after.trim_start();
                Ok(())
            }
            None if self.rest.is_empty() => Err(format!("`{sign}` is missing at its end")),
            None => Err(format!("`{sign}` is missing before `{}`", self.rest)),
        }
    }

    fn name(&mut self) -> Result<String, String> {
        let (name, after) = if let Some(quoted) = self.rest.strip_prefix('"') {
            quoted.split_once('"').ok_or("a name in quotation marks does not end")?
        } else {
            let end = self.rest.find(|c: char| c == ')' || c.is_whitespace()).unwrap_or(self.rest.len());
            self.rest.split_at_checked(end).unwrap_or_default()
        };
        self.rest = after.trim_start();
        let name = name.split_once(":alarm:").map_or(name, |(_, name)| name);
        if name.is_empty() { Err("an alarm has no name".to_owned()) } else { Ok(name.to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(rule: &str, alarms: &[&str]) -> bool {
        let rule = Rule::parse(rule).unwrap_or_else(|why| panic!("{rule}: {why}"));
        let known = ["a", "b", "c", "a name, with (signs)"];
        rule.holds(&|name| {
            let state = if alarms.contains(&name) { AlarmState::Alarm } else { AlarmState::Ok };
            known.contains(&name).then_some(state)
        })
    }

    #[test]
    fn rules_are_read_as_cloudwatch_writes_them() {
        let rule = r#"ALARM("a") OR (ALARM("b") AND NOT OK("c"))"#;
        assert!(holds(rule, &["a"]) && holds(rule, &["b", "c"]) && !holds(rule, &["b"]));
        assert_eq!(Rule::parse(rule).unwrap().names(), ["a", "b", "c"]);
        let arn = "ALARM(arn:aws:cloudwatch:us-east-1:123456789012:alarm:a) or Alarm(b)";
        assert_eq!(Rule::parse(arn).unwrap().names(), ["a", "b"]);
        // NOT binds closest, OR loosest.
        assert!(holds("ALARM(a) OR ALARM(b) AND ALARM(c)", &["a"]));
        assert!(!holds("NOT ALARM(a) AND ALARM(b)", &["a", "b"]));
        assert!(holds("NOT (ALARM(a) AND ALARM(b))", &["a"]));
        assert!(holds("TRUE", &[]) && !holds("FALSE OR ALARM(a)", &[]));
        assert!(holds(r#"ALARM("a name, with (signs)")"#, &["a name, with (signs)"]));
        // What does not exist is in no state.
        for state in ["ALARM", "OK", "INSUFFICIENT_DATA"] {
            assert!(!holds(&format!("{state}(gone)"), &[]), "{state}");
        }
        assert!(holds("NOT OK(gone)", &[]));
    }

    #[test]
    fn what_is_no_rule_says_why() {
        for (rule, why) in [
            ("", "`(` is missing"),
            ("ALARM", "`(` is missing"),
            ("ALARM()", "no name"),
            ("ALARM(\"a)", "does not end"),
            ("ALARM(a", "`)` is missing at its end"),
            ("ALARM(a) ALARM(b)", "behind its end"),
            ("ALARM(a) AND", "`(` is missing"),
            ("(ALARM(a)", "`)` is missing"),
            ("ALARMS(a)", "missing before `ALARMS"),
        ] {
            let error = Rule::parse(rule).unwrap_err();
            assert!(error.contains(why), "{rule}: {error}");
        }
        assert!(Rule::parse(&format!("{}ALARM(a)", "NOT ".repeat(9000))).is_err());
    }
}
