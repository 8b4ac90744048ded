//! Metric math, as far as alarms on rates need it: `+ - * /`, parentheses, numbers, ids,
//! `FILL(m, n)`, and over single series `SUM`, `AVG`, `MIN`, `MAX`, `ABS`.

use std::collections::BTreeMap;

/// Values by the start of their period.
pub(crate) type Points = BTreeMap<i64, f64>;

#[derive(Debug, Clone)]
enum Operand {
    Number(f64),
    Series(Points),
}

/// Computes an expression over series by id; `periods` are all starts that a fill may fill.
pub(crate) fn evaluate(
    text: &str,
    series: &BTreeMap<String, Points>,
    periods: &[i64],
) -> Result<Points, String> {
    let mut parser = Parser { rest: text.trim(), series, periods, depth: 0 };
    let value = parser.sum()?;
    if !parser.rest.is_empty() {
        return Err(format!("unexpected `{}`", parser.rest));
    }
    Ok(match value {
        Operand::Series(points) => points,
        Operand::Number(n) => periods.iter().map(|at| (*at, n)).collect(),
    })
}

struct Parser<'a> {
    rest: &'a str,
    series: &'a BTreeMap<String, Points>,
    periods: &'a [i64],
    depth: usize,
}

impl Parser<'_> {
    fn eat(&mut self, c: char) -> bool {
        match self.rest.trim_start().strip_prefix(c) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn sum(&mut self) -> Result<Operand, String> {
        let mut left = self.product()?;
        loop {
            if self.eat('+') {
                left = combine(left, self.product()?, |a, b| a + b);
            } else if self.eat('-') {
                left = combine(left, self.product()?, |a, b| a - b);
            } else {
                return Ok(left);
            }
        }
    }

    fn product(&mut self) -> Result<Operand, String> {
        let mut left = self.atom()?;
        loop {
            if self.eat('*') {
                left = combine(left, self.atom()?, |a, b| a * b);
            } else if self.eat('/') {
                left = combine(left, self.atom()?, |a, b| a / b);
            } else {
                return Ok(left);
            }
        }
    }

    fn atom(&mut self) -> Result<Operand, String> {
        self.depth += 1;
        if self.depth > 64 {
            return Err("the expression is nested too deeply".to_owned());
        }
        let value = self.unbounded_atom();
        self.depth -= 1;
        value
    }

    fn unbounded_atom(&mut self) -> Result<Operand, String> {
        if self.eat('-') {
            return Ok(combine(Operand::Number(0.0), self.atom()?, |a, b| a - b));
        }
        if self.eat('(') {
            let inner = self.sum()?;
            return if self.eat(')') { Ok(inner) } else { Err("`)` is missing".to_owned()) };
        }
        let rest = self.rest.trim_start();
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '.').unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        self.rest = after.trim_start();
        if word.is_empty() {
            return Err("an operand is missing".to_owned());
        }
        if let Ok(number) = word.parse() {
            return Ok(Operand::Number(number));
        }
        if self.eat('(') {
            return self.function(&word.to_ascii_uppercase());
        }
        self.series
            .get(word)
            .map(|points| Operand::Series(points.clone()))
            .ok_or_else(|| format!("there is no metric `{word}`"))
    }

    fn function(&mut self, name: &str) -> Result<Operand, String> {
        let first = self.sum()?;
        let second = if self.eat(',') { Some(self.sum()?) } else { None };
        if !self.eat(')') {
            return Err("`)` is missing".to_owned());
        }
        let Operand::Series(points) = first else { return Ok(first) };
        Ok(match (name, second) {
            ("FILL", Some(Operand::Number(n))) => {
                let filled = self.periods.iter().map(|at| (*at, points.get(at).copied().unwrap_or(n)));
                Operand::Series(filled.collect())
            }
            ("ABS", None) => Operand::Series(points.into_iter().map(|(at, v)| (at, v.abs())).collect()),
            ("SUM", None) => Operand::Number(points.values().sum()),
            ("AVG", None) => Operand::Number(points.values().sum::<f64>() / points.len().max(1) as f64),
            ("MIN", None) => Operand::Number(points.values().copied().fold(f64::INFINITY, f64::min)),
            ("MAX", None) => Operand::Number(points.values().copied().fold(f64::NEG_INFINITY, f64::max)),
            _ => return Err(format!("`{name}` is not played by this world")),
        })
    }
}

/// Period by period; a period that one side lacks is absent, and so is what is not finite.
fn combine(left: Operand, right: Operand, f: impl Fn(f64, f64) -> f64) -> Operand {
    let points =
        |pairs: Vec<(i64, f64)>| Operand::Series(pairs.into_iter().filter(|(_, v)| v.is_finite()).collect());
    match (left, right) {
        (Operand::Number(a), Operand::Number(b)) => Operand::Number(f(a, b)),
        (Operand::Number(a), Operand::Series(b)) => {
            points(b.into_iter().map(|(at, b)| (at, f(a, b))).collect())
        }
        (Operand::Series(a), Operand::Number(b)) => {
            points(a.into_iter().map(|(at, a)| (at, f(a, b))).collect())
        }
        (Operand::Series(a), Operand::Series(b)) => {
            points(a.into_iter().filter_map(|(at, a)| Some((at, f(a, *b.get(&at)?)))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_computed_and_gaps_are_filled() {
        let series = BTreeMap::from([
            ("errors".to_owned(), BTreeMap::from([(60, 5.0)])),
            ("requests".to_owned(), BTreeMap::from([(0, 50.0), (60, 50.0)])),
        ]);
        let run = |text: &str| evaluate(text, &series, &[0, 60]);
        assert_eq!(run("100 * FILL(errors, 0) / requests").unwrap(), BTreeMap::from([(0, 0.0), (60, 10.0)]));
        assert_eq!(run("errors/requests*100").unwrap(), BTreeMap::from([(60, 10.0)]));
        assert_eq!(run("(requests - errors) / 0").unwrap(), BTreeMap::new());
        for bad in ["", "errors +", "nobody", "RATE(errors)", "(errors", "errors requests", &"(".repeat(99)] {
            assert!(run(bad).is_err(), "{bad}");
        }
    }
}
