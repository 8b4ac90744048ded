//! The words of Logs Insights QL: what is code, what is a value, and how deep it stands in brackets.
//! Pure. It need not know the language, only never take code for a value.

use std::ops::Range;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name, a number or a keyword.
    Word,
    /// A text in quotes or backticks, with them.
    Quoted,
    /// `/…/`
    Regex,
    Pipe,
    Open,
    Close,
    /// Any other sign.
    Sign(char),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) at: Range<usize>,
    /// Brackets around it; those of a pair stand outside of themselves.
    pub(crate) depth: u32,
}

/// A query cut into tokens; comments and blanks are none.
#[derive(Debug, Default)]
pub(crate) struct Lexed {
    pub(crate) tokens: Vec<Token>,
    comments: Vec<Range<usize>>,
    /// A quote or bracket that the query ends within, or a bracket that closes nothing.
    pub(crate) open: Option<char>,
    /// A quote is escaped somewhere: whoever reads that otherwise sees other code.
    pub(crate) has_escaped_quote: bool,
}

/// The text without its comments, which end with their line. A `#` in a value begins none.
pub(crate) fn without_comments(query: &str) -> String {
    let mut out = String::with_capacity(query.len());
    let mut from = 0;
    for comment in lex(query).comments {
        out.push_str(query.get(from..comment.start).unwrap_or_default());
        from = comment.end;
    }
    out.push_str(query.get(from..).unwrap_or_default());
    out
}

/// Cuts a query into tokens.
pub(crate) fn lex(query: &str) -> Lexed {
    let mut lexed = Lexed::default();
    let mut depth = 0_u32;
    // The first word of the command, at any depth.
    let mut command = String::new();
    let mut at = 0;
    while let Some(rest) = query.get(at..)
        && let Some(c) = rest.chars().next()
    {
        let begins = lexed.tokens.last().is_none_or(|last| matches!(last.kind, Kind::Pipe | Kind::Open));
        let (kind, len) = match c {
            _ if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '#' => {
                let end = rest.find('\n').map_or(query.len(), |len| at + len);
                lexed.comments.push(at..end);
                at = end;
                continue;
            }
            '"' | '\'' | '`' => (Kind::Quoted, delimited(rest, c, &mut lexed)),
            '/' if is_regex(query, &lexed.tokens, &command) => (Kind::Regex, delimited(rest, c, &mut lexed)),
            '|' => (Kind::Pipe, 1),
            '(' | '[' => (Kind::Open, 1),
            ')' | ']' => {
                if depth == 0 {
                    lexed.open.get_or_insert(c);
                }
                depth = depth.saturating_sub(1);
                (Kind::Close, 1)
            }
            _ if is_word(c) => (Kind::Word, rest.find(|c| !is_word(c)).unwrap_or(rest.len())),
            _ => (Kind::Sign(c), c.len_utf8()),
        };
        if kind == Kind::Word && begins {
            command = rest.get(..len).unwrap_or_default().to_ascii_lowercase();
        }
        lexed.tokens.push(Token { kind, at: at..at + len, depth });
        if kind == Kind::Open {
            depth += 1;
        }
        at += len;
    }
    if depth > 0 {
        lexed.open.get_or_insert('(');
    }
    lexed
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '@' | '.' | '$')
}

/// The length of a value with its signs at both ends; an open one goes to the end.
fn delimited(rest: &str, quote: char, lexed: &mut Lexed) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => {
                lexed.has_escaped_quote |= c == quote && quote != '/';
                escaped = false;
            }
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    lexed.open.get_or_insert(quote);
    rest.len()
}

/// A slash begins a regular expression where no value can end before it; after a value it divides. But
/// `parse` takes a field and then a pattern, and divides nothing.
fn is_regex(query: &str, before: &[Token], command: &str) -> bool {
    let Some(last) = before.last() else { return true };
    match last.kind {
        Kind::Word => {
            let word = query.get(last.at.clone()).unwrap_or_default().to_ascii_lowercase();
            command == "parse" || matches!(word.as_str(), "like" | "not" | "and" | "or" | "filter" | "regex")
        }
        Kind::Quoted => command == "parse",
        Kind::Regex | Kind::Close => false,
        Kind::Pipe | Kind::Open | Kind::Sign(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(query: &str) -> Vec<(Kind, &str)> {
        lex(query).tokens.into_iter().map(|token| (token.kind, query.get(token.at).unwrap())).collect()
    }

    #[test]
    fn a_slash_divides_after_a_value_and_else_begins_a_pattern() {
        for (query, regex) in [
            ("parse msg /(?<a>x|y)/", "/(?<a>x|y)/"),
            ("parse @log /a|b/ as c", "/a|b/"),
            ("parse `my field` /a|b/ as c", "/a|b/"),
            ("filter @message like /a\\/|b/", "/a\\/|b/"),
            ("filter @message not like /a'b/", "/a'b/"),
            ("filter @message =~ /a|b/", "/a|b/"),
            ("stats sum(regexp(msg, /a|b/))", "/a|b/"),
        ] {
            assert!(kinds(query).contains(&(Kind::Regex, regex)), "{query}: {:?}", kinds(query));
        }
        for query in ["fields @memorySize/1000000", "stats sum(a)/sum(b)", "fields a / b | filter c / 2 > 1"]
        {
            assert!(kinds(query).iter().all(|(kind, _)| *kind != Kind::Regex), "{query}");
            assert!(kinds(query).contains(&(Kind::Sign('/'), "/")), "{query}");
        }
    }

    #[test]
    fn comments_end_with_their_line_and_are_none_in_a_value() {
        for (query, left) in [
            ("fields a # it's a comment", "fields a "),
            ("# one\nfields a\n  # 'two\n| limit 3 # x", "\nfields a\n  \n| limit 3 "),
            ("filter a like /#1/ and b = '# 2' # c", "filter a like /#1/ and b = '# 2' "),
            ("fields a", "fields a"),
        ] {
            assert_eq!(without_comments(query), left, "{query}");
        }
    }

    #[test]
    fn depth_counts_brackets_outside_of_values() {
        let deep = |query: &str| lex(query).tokens.last().unwrap().depth;
        assert_eq!([deep("a in (b"), deep("a in ('(' , b)"), deep("(a like /(/) b")], [1, 0, 0]);
        assert_eq!([lex("(a").open, lex("a)").open, lex("'a").open], [Some('('), Some(')'), Some('\'')]);
        assert!(lex(r"a = '\''").has_escaped_quote && !lex(r"a like /\//").has_escaped_quote);
    }

    proptest::proptest! {
        #[test]
        fn every_sign_is_in_one_token_or_blank(query in "[a-z|/()'\"`#\\\\ \n]{0,60}") {
            let text = without_comments(&query);
            proptest::prop_assert!(lex(&text).comments.is_empty());
            let mut end = 0;
            for token in lex(&text).tokens {
                proptest::prop_assert!(text.get(end..token.at.start).unwrap().trim().is_empty());
                end = token.at.end;
            }
            let is_whole = text.get(end..).unwrap().trim().is_empty();
            proptest::prop_assert!(is_whole, "{text:?} from {end}");
        }
    }
}
