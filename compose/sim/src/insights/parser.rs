//! Commands of a query. Expressions are in [`expression`].

mod columns;
mod expression;
mod stats;

use std::sync::Arc;

use super::{
    MAX_LIMIT, MAX_QUERY_CHARS,
    ast::{Aggregate, Command, Direction, Expr, Field, Query},
    error::{CompileError, Span},
    extract,
    lexer::{Lexer, Token},
    value::whole,
};
use columns::Columns;

const COMMANDS: &str = "fields, display, filter, parse, stats, sort, dedup, limit, estimate";
/// Commands of the language that this engine does not have.
const NOT_HERE: [&str; 12] = [
    "pattern",
    "diff",
    "anomaly",
    "unmask",
    "unnest",
    "lookup",
    "join",
    "filterindex",
    "source",
    "addtotals",
    "tail",
    "search",
];
/// Words that are never fields unless back-quoted.
const RESERVED: [&str; 7] = ["and", "or", "not", "like", "in", "as", "by"];

type Result<T> = std::result::Result<T, CompileError>;

pub(super) fn parse(source: &str) -> Result<Query> {
    let mut parser = Parser::new(source)?;
    let mut commands = Vec::new();
    loop {
        if parser.command(&mut commands)? {
            return Ok(parser.finish(commands));
        }
    }
}

struct Parser<'q> {
    source: &'q str,
    lexer: Lexer<'q>,
    token: Token,
    span: Span,
    /// End of the token before the current one.
    last_end: usize,
    columns: Columns,
    /// Collects the aggregations of a `stats`; `None` elsewhere.
    aggregates: Option<Vec<Aggregate>>,
    /// Nesting and number of operators of the expression being read.
    depth: usize,
    operators: usize,
    estimate: bool,
}

impl<'q> Parser<'q> {
    fn new(source: &'q str) -> Result<Self> {
        let whole = Span { start: 0, end: source.len() };
        if source.chars().count() > MAX_QUERY_CHARS {
            let message = format!("the query is longer than {MAX_QUERY_CHARS} characters");
            return Err(CompileError::at(source, whole, message));
        }
        let mut lexer = Lexer::new(source);
        let (token, span) = lexer.next()?;
        if token == Token::End {
            return Err(CompileError::at(
                source,
                whole,
                format!("the query is empty; commands are {COMMANDS}"),
            ));
        }
        Ok(Self {
            source,
            lexer,
            token,
            span,
            last_end: 0,
            columns: Columns::default(),
            aggregates: None,
            depth: 0,
            operators: 0,
            estimate: false,
        })
    }

    fn finish(self, commands: Vec<Command>) -> Query {
        let (columns, shape) = self.columns.finish();
        Query { commands, columns, shape, estimate: self.estimate }
    }

    fn advance(&mut self) -> Result<Token> {
        self.last_end = self.span.end;
        let (token, span) = self.lexer.next()?;
        self.span = span;
        Ok(std::mem::replace(&mut self.token, token))
    }

    fn error<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(CompileError::at(self.source, self.span, message))
    }

    fn expected<T>(&self, what: &str) -> Result<T> {
        self.error(format!("unexpected {}; expected {what}", self.token.describe()))
    }

    fn at_symbol(&self, symbol: &str) -> bool {
        matches!(&self.token, Token::Symbol(found) if *found == symbol)
    }

    fn take_symbol(&mut self, symbol: &str) -> Result<bool> {
        let found = self.at_symbol(symbol);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn need_symbol(&mut self, symbol: &str) -> Result<()> {
        if self.take_symbol(symbol)? { Ok(()) } else { self.expected(&format!("`{symbol}`")) }
    }

    fn at_word(&self, word: &str) -> bool {
        matches!(&self.token, Token::Word(found) if found.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> Result<bool> {
        let found = self.at_word(word);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    /// A field or alias name.
    fn name(&mut self, what: &str) -> Result<Arc<str>> {
        match &self.token {
            Token::Word(word) if RESERVED.iter().any(|reserved| word.eq_ignore_ascii_case(reserved)) => {
                self.expected(what)
            }
            Token::Word(name) | Token::Quoted(name) => {
                let name = Arc::from(name.as_str());
                self.advance()?;
                Ok(name)
            }
            _ => self.expected(what),
        }
    }

    /// A name that did not exist so far: a query may not redefine what it computed.
    fn new_name(&mut self) -> Result<Arc<str>> {
        let span = self.span;
        let name = self.name("a name after `as`")?;
        if self.columns.define(&name) {
            return Ok(name);
        }
        Err(CompileError::at(self.source, span, format!("Ephemeral field is already defined: {name}")))
    }

    fn alias(&mut self) -> Result<Option<Arc<str>>> {
        if self.take_word("as")? { self.new_name().map(Some) } else { Ok(None) }
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.take_symbol(",")? {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Reads one command; true when it was the last.
    fn command(&mut self, commands: &mut Vec<Command>) -> Result<bool> {
        let span = self.span;
        let Token::Word(word) = &self.token else { return self.expected("a command") };
        let name = word.to_ascii_lowercase();
        self.advance()?;
        match name.as_str() {
            "fields" => {
                let computed = self.list(Self::output_field)?;
                commands.push(Command::Fields(computed.into_iter().flatten().collect()));
            }
            "display" => {
                let names = self.list(|parser| parser.name("a field"))?;
                self.columns.display(names);
            }
            "filter" => commands.push(Command::Filter(self.whole_expression()?)),
            "parse" => commands.push(self.parse_command()?),
            "stats" => commands.push(Command::Stats(self.stats()?)),
            "sort" => commands.push(Command::Sort(self.list(Self::sort_key)?)),
            "limit" | "head" => commands.push(Command::Limit(self.limit()?)),
            "dedup" => {
                commands
                    .push(Command::Dedup(self.list(|parser| Ok(Field::named(&parser.name("a field")?)))?));
            }
            "estimate" => {
                self.estimate = true;
                if self.token != Token::End {
                    return self.error("`estimate` must be the last command of the query");
                }
            }
            _ if NOT_HERE.contains(&name.as_str()) => {
                let message = format!("command `{name}` is not supported here; commands are {COMMANDS}");
                return Err(CompileError::at(self.source, span, message));
            }
            _ => {
                let message = format!("unknown command `{name}`; commands are {COMMANDS}");
                return Err(CompileError::at(self.source, span, message));
            }
        }
        if self.token == Token::End {
            return Ok(true);
        }
        if self.take_symbol("|")? { Ok(false) } else { self.expected("`|` or the end of the query") }
    }

    /// One item of `fields`. A plain field computes nothing.
    fn output_field(&mut self) -> Result<Option<(Arc<str>, Expr)>> {
        let (expr, text) = self.expression_with_text()?;
        let alias = self.alias()?;
        let (name, computed) = match (alias, expr) {
            (None, Expr::Field(field)) => (field.name, None),
            (None, expr) => (Arc::from(text), Some(expr)),
            (Some(alias), expr) => (alias, Some(expr)),
        };
        self.columns.add(Arc::clone(&name));
        Ok(computed.map(|expr| (name, expr)))
    }

    fn sort_key(&mut self) -> Result<(Expr, Direction)> {
        let key = self.whole_expression()?;
        let direction = if self.take_word("desc")? {
            Direction::Descending
        } else {
            self.take_word("asc")?;
            Direction::Ascending
        };
        Ok((key, direction))
    }

    fn limit(&mut self) -> Result<usize> {
        let limit = match self.token {
            Token::Number(number) if number.fract() == 0.0 => {
                whole(number).and_then(|limit| usize::try_from(limit).ok())
            }
            _ => None,
        };
        match limit {
            Some(limit) if (1..=MAX_LIMIT).contains(&limit) => {
                self.advance()?;
                Ok(limit)
            }
            _ => self.error(format!("`limit` takes a whole number from 1 to {MAX_LIMIT}")),
        }
    }

    /// `parse [field] "glob *" as a, b` or `parse [field] /(?<a>…)/`.
    fn parse_command(&mut self) -> Result<Command> {
        let from = match self.token {
            Token::Word(_) | Token::Quoted(_) => Field::named(&self.name("a field")?),
            _ => Field::named("@message"),
        };
        let (compiled, span) = if self.at_symbol("/") {
            let (regex, span) = self.regex()?;
            (extract::Compiled::Regex(regex), span)
        } else if let Token::Text(glob) = &self.token {
            let glob = glob.clone();
            let span = self.span;
            self.advance()?;
            (extract::Compiled::Glob(glob), span)
        } else {
            return self.expected("a string with `*` or a regular expression between slashes");
        };
        let aliases = if self.take_word("as")? { self.list(Self::new_name)? } else { Vec::new() };
        let (pattern, names) =
            compiled.finish(aliases).map_err(|message| CompileError::at(self.source, span, message))?;
        for (_, name) in &names {
            self.columns.define(name);
            self.columns.extract(Arc::clone(name));
        }
        Ok(Command::Parse { from, pattern, names })
    }
}
