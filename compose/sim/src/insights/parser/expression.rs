//! Expressions, by precedence: or, and, not, comparison, sum, product, power, sign.

use regex::Regex;

use super::{Parser, Result};
use crate::insights::{
    ast::{Arithmetic, Comparison, Expr, Field, Pattern},
    error::{CompileError, Span},
    extract, functions,
    lexer::Token,
    period::{Edge, Period},
    value::{Value, whole},
};

/// Bounds on one expression, so that no query text can exhaust the stack.
const MAX_DEPTH: usize = 40;
const MAX_OPERATORS: usize = 250;

impl<'q> Parser<'q> {
    pub(super) fn whole_expression(&mut self) -> Result<Expr> {
        (self.depth, self.operators) = (0, 0);
        self.or()
    }

    /// An expression and how it was written, which names its column.
    pub(super) fn expression_with_text(&mut self) -> Result<(Expr, &'q str)> {
        let start = self.span.start;
        let expr = self.whole_expression()?;
        let text = self.source.get(start..self.last_end).unwrap_or_default();
        Ok((expr, text.trim()))
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= MAX_DEPTH {
            return self.error(format!("the expression is nested deeper than {MAX_DEPTH} levels"));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn count_operator(&mut self) -> Result<()> {
        self.operators += 1;
        if self.operators > MAX_OPERATORS {
            return self.error(format!("the expression has more than {MAX_OPERATORS} operators"));
        }
        Ok(())
    }

    /// The argument of an aggregation.
    pub(super) fn aggregate_argument(&mut self) -> Result<Expr> {
        self.or()
    }

    fn or(&mut self) -> Result<Expr> {
        let mut left = self.and()?;
        while self.take_word("or")? {
            self.count_operator()?;
            left = Expr::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr> {
        let mut left = self.not()?;
        while self.take_word("and")? {
            self.count_operator()?;
            left = Expr::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expr> {
        if self.take_word("not")? {
            return self.nested(|parser| Ok(Expr::Not(Box::new(parser.not()?))));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Expr> {
        let left = self.sum()?;
        let operator = match &self.token {
            Token::Symbol("=") => Comparison::Equal,
            Token::Symbol("!=") => Comparison::NotEqual,
            Token::Symbol("<") => Comparison::Less,
            Token::Symbol("<=") => Comparison::LessOrEqual,
            Token::Symbol(">") => Comparison::Greater,
            Token::Symbol(">=") => Comparison::GreaterOrEqual,
            Token::Symbol("=~") => {
                self.advance()?;
                return Ok(Expr::Like(Box::new(left), self.like_pattern("=~")?));
            }
            Token::Word(_) => return self.word_comparison(left),
            _ => return Ok(left),
        };
        self.count_operator()?;
        self.advance()?;
        if self.at_symbol("=") {
            return self.error("equality is written `=`");
        }
        Ok(Expr::Compare(operator, Box::new(left), Box::new(self.sum()?)))
    }

    fn word_comparison(&mut self, left: Expr) -> Result<Expr> {
        let negated = self.at_word("not");
        if negated {
            self.advance()?;
        }
        let test = if self.take_word("like")? {
            Expr::Like(Box::new(left), self.like_pattern("like")?)
        } else if self.take_word("in")? {
            self.need_symbol("[")?;
            let items = self.list(|parser| parser.nested(Self::sum))?;
            self.need_symbol("]")?;
            Expr::In(Box::new(left), items)
        } else if negated {
            return self.expected("`like` or `in` after `not`");
        } else {
            return Ok(left);
        };
        self.count_operator()?;
        Ok(if negated { Expr::Not(Box::new(test)) } else { test })
    }

    fn like_pattern(&mut self, operator: &str) -> Result<Pattern> {
        if self.at_symbol("/") {
            return Ok(Pattern::Regex(self.regex()?.0));
        }
        if let Token::Text(text) = &self.token {
            let text = text.clone();
            self.advance()?;
            return Ok(Pattern::Substring(text));
        }
        self.expected(&format!("a string or a regular expression between slashes after `{operator}`"))
    }

    /// The regular expression that starts at the current `/`.
    pub(super) fn regex(&mut self) -> Result<(Regex, Span)> {
        self.lexer.rewind(self.span.start);
        let (pattern, span) = self.lexer.pattern()?;
        let regex =
            extract::compile(&pattern).map_err(|message| CompileError::at(self.source, span, message))?;
        self.span = span;
        self.advance()?;
        Ok((regex, span))
    }

    fn sum(&mut self) -> Result<Expr> {
        let mut left = self.product()?;
        loop {
            let operator = match &self.token {
                Token::Symbol("+") => Arithmetic::Add,
                Token::Symbol("-") => Arithmetic::Subtract,
                _ => return Ok(left),
            };
            self.count_operator()?;
            self.advance()?;
            left = Expr::Arithmetic(operator, Box::new(left), Box::new(self.product()?));
        }
    }

    fn product(&mut self) -> Result<Expr> {
        let mut left = self.power()?;
        loop {
            let operator = match &self.token {
                Token::Symbol("*") => Arithmetic::Multiply,
                Token::Symbol("/") => Arithmetic::Divide,
                Token::Symbol("%") => Arithmetic::Remainder,
                _ => return Ok(left),
            };
            self.count_operator()?;
            self.advance()?;
            left = Expr::Arithmetic(operator, Box::new(left), Box::new(self.power()?));
        }
    }

    fn power(&mut self) -> Result<Expr> {
        let base = self.sign()?;
        if !self.take_symbol("^")? {
            return Ok(base);
        }
        self.count_operator()?;
        let exponent = self.nested(Self::power)?;
        Ok(Expr::Arithmetic(Arithmetic::Power, Box::new(base), Box::new(exponent)))
    }

    fn sign(&mut self) -> Result<Expr> {
        if self.take_symbol("-")? {
            return self.nested(|parser| Ok(Expr::Negate(Box::new(parser.sign()?))));
        }
        self.primary()
    }

    fn primary(&mut self) -> Result<Expr> {
        if self.take_symbol("(")? {
            let inner = self.nested(Self::or)?;
            self.need_symbol(")")?;
            return Ok(inner);
        }
        let span = self.span;
        let literal = match &self.token {
            Token::Number(number) => Value::Number(*number),
            Token::Text(text) => Value::text(text.clone()),
            Token::Word(word) if word.eq_ignore_ascii_case("true") => Value::Flag(true),
            Token::Word(word) if word.eq_ignore_ascii_case("false") => Value::Flag(false),
            Token::Word(_) => {
                let name = self.name("a value")?;
                if self.take_symbol("(")? {
                    return self.nested(|parser| parser.call(&name, span));
                }
                return Ok(Expr::Field(Field::named(&name)));
            }
            Token::Quoted(_) => return Ok(Expr::Field(Field::named(&self.name("a field")?))),
            Token::Symbol(_) | Token::End => return self.expected("a field, a value or a function"),
        };
        self.advance()?;
        Ok(Expr::Literal(literal))
    }

    /// A function call; its `(` has been read.
    fn call(&mut self, name: &str, span: Span) -> Result<Expr> {
        let lower = name.to_ascii_lowercase();
        match lower.as_str() {
            "bin" => {
                let period = self.period()?;
                self.need_symbol(")")?;
                let time = Box::new(Expr::Field(Field::named("@timestamp")));
                return Ok(Expr::Round(time, period, Edge::Start));
            }
            "datefloor" | "dateceil" => {
                let time = Box::new(self.or()?);
                self.need_symbol(",")?;
                let period = self.period()?;
                self.need_symbol(")")?;
                let edge = if lower == "datefloor" { Edge::Start } else { Edge::End };
                return Ok(Expr::Round(time, period, edge));
            }
            _ => {}
        }
        if let Some(aggregate) = self.aggregate(&lower, span)? {
            return Ok(aggregate);
        }
        let Some(function) = functions::find(&lower) else {
            let hint = functions::near(&lower).map(|known| format!("; did you mean `{known}`?"));
            let message = format!("unknown function `{name}`{}", hint.unwrap_or_default());
            return Err(CompileError::at(self.source, span, message));
        };
        let arguments =
            if self.at_symbol(")") { Vec::new() } else { self.list(|parser| parser.nested(Self::or))? };
        self.need_symbol(")")?;
        if !function.takes(arguments.len()) {
            let message = format!("function `{lower}` takes {}, not {}", function.arity(), arguments.len());
            return Err(CompileError::at(
                self.source,
                Span { start: span.start, end: self.last_end },
                message,
            ));
        }
        Ok(Expr::Call(function, arguments))
    }

    /// `5m`, `30 seconds`.
    fn period(&mut self) -> Result<Period> {
        let what = "a period such as `5m`, `1h` or `1d`";
        let Token::Number(number) = self.token else { return self.expected(what) };
        let start = self.span.start;
        self.advance()?;
        let Token::Word(unit) = &self.token else { return self.expected(what) };
        let period =
            whole(number).filter(|_| number.fract() == 0.0).and_then(|count| Period::new(count, unit));
        let Some(period) = period else {
            let span = Span { start, end: self.span.end };
            let message = format!("`{number}{unit}` is not a period; write for example `5m`, `1h` or `1d`");
            return Err(CompileError::at(self.source, span, message));
        };
        self.advance()?;
        Ok(period)
    }
}
