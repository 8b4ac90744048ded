//! The shapes of secrets. Each rule names the span of the secret itself.
//!
//! One pass of a small [`RegexSet`] of hints says which rules can match at all; an ordinary line
//! stops there. Everything is matched as ASCII over bytes, which is ten times as fast as Unicode
//! classes; each span begins and ends beside an ASCII character, so it never cuts another one.

use std::{
    ops::Range,
    sync::{LazyLock, OnceLock},
};

use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use super::{Found, Kind, SecretKind, commands, prose, providers};

const AWS_KEY_ID: &str = r"\b(?:AKIA|ASIA|ABIA)[A-Z0-9]{16}\b";
/// A session token: what all of them begin with is their version and kind.
const AWS_SESSION: &str = r"\b(?:IQoJb3JpZ2lu|FwoGZXIvYXdz|FQoGZXIvYXdz)[A-Za-z0-9+/=_%-]{4,}";
/// A secret access key close behind its id, as in CSV exports and `id:secret` pairs.
const AWS_PAIR: &str = r"(?:AKIA|ASIA|ABIA)[A-Z0-9]{16}[^A-Za-z0-9/+]{1,8}(?:[A-Za-z0-9_]{1,24}[^A-Za-z0-9/+]{1,8})?(?P<secret>[A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+]|$)";
const TOKEN: &str = r"\b(?:eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*){0,3}|v[1-4]\.(?:public|local)\.[A-Za-z0-9_-]{20,}(?:\.[A-Za-z0-9_-]+)?)";
const BEARER: &str = r"(?i)\bbearer(?:\s+|%20|:\s*)(?P<secret>[A-Za-z0-9._~+/=-]{8,})";
const AUTHORIZATION: &str = r#"(?i)\b(?:proxy-)?authorization\\{0,3}["']?\s{0,4}[:=]\s{0,4}\\{0,3}["']?(?:(?:basic|bearer|digest|token|negotiate|apikey)\s+)?(?P<secret>[A-Za-z0-9._~+/=:-]{6,})"#;
const SIGNATURE: &str =
    r"(?i)\b(?:x-amz-signature|x-amz-security-token|signature|sig)=(?P<secret>[A-Za-z0-9%+/=_-]{32,})";
const COOKIE: &str = r#"(?i)\b(?:set-)?cookie\\{0,3}["']?\s{0,4}[:=]\s{0,4}\\{0,3}["']?[A-Za-z0-9_.-]+=(?P<secret>[^\s"'\\][^\r\n"'\\]*)"#;
const SESSION_COOKIE: &str =
    r"(?i)\b(?:jsessionid|phpsessid|asp\.net_sessionid|connect\.sid)=(?P<secret>[A-Za-z0-9%._~!+/-]{8,})";
const URL_PASSWORD: &str = r#"\b[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@"'<>]*:(?P<secret>[^\s/"'<>]+)@"#;
const JDBC_ORACLE: &str = r"(?i)jdbc:oracle:[a-z]+:[^\s/@]+/(?P<secret>[^\s@/]+)@";
const EMAIL: &str = r"(?P<secret>[A-Za-z0-9._%+'-]+@(?:[A-Za-z0-9][A-Za-z0-9-]*\.)+[A-Za-z]{2,24})";
const CARD: &str = r"\b(?:[2-6][0-9]{15}|3[47][0-9]{13}|[2-6][0-9]{3}(?:[ .-][0-9]{4}){3}|3[47][0-9]{2}[ .-][0-9]{6}[ .-][0-9]{5})\b";
const KEY: &str = r#"(?i)(?P<key>passwords?|passwd|passphrase|passcode|pwd|secrets?|(?:secret|api|access|private|shared|account|signing|encryption|master|license|service|storage|subscription)[_ .-]?key|apikey|tokens?|credentials?|auth|connection[_ -]?string)[0-9]{0,2}\\{0,3}["'`\]]?\s{0,4}(?:=>|:=|={1,2}|:)\s{0,4}"#;
const XML: &str = r"(?i)<[a-z0-9:._-]*(?:password|passwd|pwd|secret|token|apikey|api[_-]key)(?:\s[^<>]*)?>\s{0,4}(?P<secret>[^<>\s][^<>]*)</";
/// Only with `=`: `pass: 12, fail: 0` is a count.
const PASS: &str = r#"(?i)(?:\b|_)pass\\{0,3}["']?\s{0,2}=\s{0,2}\\{0,3}["']?(?P<secret>[^\s"'\\&;,]{4,})"#;
const SQL: &str =
    r#"(?i)\b(?:password|identified\s{1,4}by(?:\s{1,4}password)?)\s{1,4}\\{0,3}["'](?P<secret>[^"'\\\s]+)"#;
/// Ends of names of secrets.
const NAME: &str = r"(?:password|passwd|passphrase|passcode|pwd|secret|(?:secret|api|access|private|shared|account|signing|encryption|master|license|storage|subscription)[_ .-]?key|apikey|token|credentials?|authorization|connection[_-]?string)s?[0-9]{0,2}";
/// Name and value side by side, as ECS, Kubernetes and CloudFormation write settings.
const NAMED: &str = r#"(?i)(?:name|key)\\{0,3}["']?\s{0,4}[:=]\s{0,4}\\{0,3}["']?[a-z0-9_./:-]{0,60}?{NAME}\\{0,3}["']?\s{0,4}[,;]?\s{0,4}\\{0,3}["']?[a-z]{0,12}value\\{0,3}["']?\s{0,4}[:=]\s{0,4}\\{0,3}["']?(?P<secret>[^\s"'\\,;}\])]+)"#;
/// A list of two, as headers are handed on.
const PAIR: &str = r#"(?i)[\[(]\s{0,4}\\{0,3}["'][a-z0-9_.-]{0,40}{NAME}\\{0,3}["']\s{0,4},\s{0,4}\\{0,3}["'](?P<secret>[^"'\\]{6,})"#;
const PEM: &str = "PRIVATE KEY";
/// A line that is nothing but base64: the body of a key whose lines came as separate events.
const PEM_BODY: &str = r"(?m)^[ \t]*(?P<secret>[A-Za-z0-9+/]{60,76}={0,2})[ \t]*\r?$";

type Check = fn(&str, Range<usize>) -> Option<Range<usize>>;

/// What a text has to contain for the rule to be tried, the pattern, the kind, and what has to
/// hold besides. A rule finds the group `secret`, or the whole.
const RULES: [(&str, &str, SecretKind, Check); 36] = [
    (r"AKIA|ASIA|ABIA", AWS_PAIR, SecretKind::AwsSecret, always),
    (r"AKIA|ASIA|ABIA", AWS_KEY_ID, SecretKind::AwsKeyId, always),
    (r"eyJ|v[1-4]\.(?:public|local)", TOKEN, SecretKind::Token, always),
    (r"IQoJb3|FwoGZX|FQoGZX", AWS_SESSION, SecretKind::AwsSecret, always),
    (r"(?i)authorization", AUTHORIZATION, SecretKind::Bearer, header_value),
    (r"(?i)bearer", BEARER, SecretKind::Bearer, header_value),
    (r"(?i)(?:sig|signature|token)=", SIGNATURE, SecretKind::Bearer, always),
    (r"(?i)cookie", COOKIE, SecretKind::Bearer, always),
    (r"(?i)sessid=|sessionid=|connect\.sid=", SESSION_COOKIE, SecretKind::Bearer, always),
    (r"://", URL_PASSWORD, SecretKind::Password, always),
    (r"(?i)jdbc:oracle", JDBC_ORACLE, SecretKind::Password, always),
    (providers::API_KEY_HINT, providers::API_KEY, SecretKind::ApiKey, always),
    (r"sk-", providers::SK_KEY, SecretKind::ApiKey, has_digit),
    (r"[0-9]Q~", providers::ENTRA, SecretKind::ApiKey, always),
    (r"1//0", providers::GOOGLE_REFRESH, SecretKind::ApiKey, always),
    (r"[0-9]:AA", providers::TELEGRAM, SecretKind::ApiKey, always),
    (r"AC[a-f0-9]{8}", providers::TWILIO, SecretKind::ApiKey, always),
    (providers::WEBHOOK_HINT, providers::WEBHOOK, SecretKind::ApiKey, providers::path),
    (r"@", EMAIL, SecretKind::Email, address),
    (r"[0-9]{4}[ .-]?[0-9]{4}", CARD, SecretKind::Card, card),
    (r"(?i)-[a-z0-9-]*(?:pass|secret|token|key)", commands::FLAG, SecretKind::Password, not_prose),
    (r"(?i)curl|wget|etcdctl", commands::USER, SecretKind::Password, always),
    (r"mysql|mariadb", commands::MYSQL, SecretKind::Password, commands::glued),
    (commands::TOOL_HINT, commands::TOOL, SecretKind::Password, commands::argument),
    (r"sshpass", commands::SSHPASS, SecretKind::Password, commands::argument),
    (
        r"\s-U|sqlplus|expdp|impdp|sqlldr|rman target",
        commands::NAME_AND,
        SecretKind::Password,
        commands::argument,
    ),
    (r"pass:", commands::OPENSSL, SecretKind::Password, commands::argument),
    (r"AUTH\s", commands::AUTH, SecretKind::Password, commands::sent),
    (r#""AUTH\\{0,3}""#, commands::MONITORED, SecretKind::Password, commands::argument),
    (prose::TOLD_HINT, prose::TOLD, SecretKind::Password, prose::told),
    (r"(?i)pass", PASS, SecretKind::Password, pass),
    (r#"(?i)(?:password|identified\s{1,4}by)\s{1,4}\\{0,3}["']"#, SQL, SecretKind::Password, not_prose),
    (r#"(?i)value\\{0,3}["']?\s{0,4}[:=]"#, NAMED, SecretKind::Password, named_elsewhere),
    (r#"["']\s{0,4},"#, PAIR, SecretKind::Password, paired),
    (r"</", XML, SecretKind::Password, always),
    (r"(?i)pass|pwd|secret|key|token|credential|auth|connection", KEY, SecretKind::Password, named_value),
];

static COMPILED: [OnceLock<Regex>; RULES.len()] = [const { OnceLock::new() }; RULES.len()];
static BODY: LazyLock<Regex> = LazyLock::new(|| compile(PEM_BODY));
static HINTS: LazyLock<RegexSet> = LazyLock::new(hints);
static PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| compile(r"\[redacted:[a-z_]{1,24}\]"));

#[expect(clippy::expect_used, reason = "constant patterns; the tests compile every one")]
pub(super) fn compile(pattern: &str) -> Regex {
    RegexBuilder::new(pattern).unicode(false).build().expect("pattern compiles")
}

#[expect(clippy::expect_used, reason = "constant patterns; the tests compile every one")]
fn hints() -> RegexSet {
    RegexSetBuilder::new(RULES.iter().map(|rule| rule.0)).unicode(false).build().expect("hints compile")
}

/// Placeholders that an earlier pass left, in order.
pub(super) fn placeholders(text: &str) -> Vec<Range<usize>> {
    if text.contains("[redacted:") {
        PLACEHOLDER.find_iter(text.as_bytes()).map(|found| found.range()).collect()
    } else {
        Vec::new()
    }
}

/// Every secret in the text, in no order; spans may overlap.
pub(super) fn find(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    if text.contains(PEM) {
        private_keys(text, &mut found);
    }
    for index in HINTS.matches(text.as_bytes()) {
        let (Some((_, pattern, kind, check)), Some(compiled)) = (RULES.get(index), COMPILED.get(index))
        else {
            continue;
        };
        let compiled = compiled.get_or_init(|| compile(&commands::whole(&pattern.replace("{NAME}", NAME))));
        take(text, compiled, *kind, *check, &mut found);
    }
    prose::authorities(text, &mut found);
    if has_long_run(text.as_bytes()) {
        take(text, &BODY, SecretKind::PrivateKey, base64_body, &mut found);
    }
    found
}

/// Whether so many signs of base64 follow each other that it may be the body of a key. Not among the hints: a set of
/// patterns that counts that far and knows many words besides is ten times as slow.
fn has_long_run(text: &[u8]) -> bool {
    const RUN: usize = 60;
    let mut from = 0;
    while let Some(window) = text.get(from..from + RUN) {
        let is_other = |byte: &u8| !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
        match window.iter().rposition(is_other) {
            Some(at) => from += at + 1,
            None => return true,
        }
    }
    false
}

/// Adds what one rule finds.
fn take(text: &str, compiled: &Regex, kind: SecretKind, check: Check, found: &mut Vec<Found>) {
    let mut at = 0;
    while let Some(captures) = compiled.captures_at(text.as_bytes(), at) {
        let Some(whole) = captures.get(0) else { break };
        let span = captures.name("secret").unwrap_or(whole).range();
        // A key is followed by its value, which is not part of the match.
        let span = if captures.name("key").is_some() { whole.range() } else { span };
        at = whole.end().max(at + 1);
        if let Some(span) = check(text, span) {
            at = at.max(span.end);
            found.push(Found { at: span, kind: Kind::Known(kind) });
        }
        while !text.is_char_boundary(at) {
            at += 1;
        }
        if at > text.len() {
            break;
        }
    }
}

/// `-----BEGIN … PRIVATE KEY-----` up to its end, or, in a text that was cut, as far as base64
/// goes. Looks for each end at most once, so that many beginnings without an end stay linear.
fn private_keys(text: &str, found: &mut Vec<Found>) {
    static BEGIN: LazyLock<Regex> =
        LazyLock::new(|| compile(r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"));
    static END: LazyLock<Regex> =
        LazyLock::new(|| compile(r"-----END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"));
    static BODY: LazyLock<Regex> = LazyLock::new(|| compile(r"\A(?:(?:\s|\\[nr])*[A-Za-z0-9+/=]{16,})+"));
    let mut at = 0;
    let mut ends = true;
    while let Some(begin) = BEGIN.find_at(text.as_bytes(), at) {
        let end = if ends { END.find_at(text.as_bytes(), begin.end()).map(|end| end.end()) } else { None };
        ends = end.is_some();
        let rest = text.get(begin.end()..).unwrap_or_default();
        let body = || BODY.find(rest.as_bytes()).map_or(begin.end(), |body| begin.end() + body.end());
        at = end.unwrap_or_else(body);
        found.push(Found { at: begin.start()..at, kind: Kind::Known(SecretKind::PrivateKey) });
    }
}

#[expect(clippy::unnecessary_wraps, reason = "one signature for every check")]
fn always(_: &str, span: Range<usize>) -> Option<Range<usize>> {
    Some(span)
}

fn part(text: &str, span: &Range<usize>) -> String {
    text.get(span.clone()).unwrap_or_default().to_owned()
}

fn has_digit(text: &str, span: Range<usize>) -> Option<Range<usize>> {
    text.get(span.clone())?.bytes().any(|b| b.is_ascii_digit()).then_some(span)
}

/// `bearer authentication failed` is prose; a credential has a digit or a capital inside, or is long.
fn header_value(text: &str, span: Range<usize>) -> Option<Range<usize>> {
    let value = text.get(span.clone())?;
    let mixed = value.bytes().skip(1).any(|b| b.is_ascii_uppercase())
        && value.bytes().any(|b| b.is_ascii_lowercase());
    (value.len() >= 24 || mixed || value.bytes().any(|b| b.is_ascii_digit())).then_some(span)
}

fn not_prose(text: &str, span: Range<usize>) -> Option<Range<usize>> {
    (!is_prose(&part(text, &span))).then_some(span)
}

/// `pass=true` and `pass=100` are results of checks.
fn pass(text: &str, span: Range<usize>) -> Option<Range<usize>> {
    let value = text.get(span.clone())?;
    let is_count = value.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'%' | b'/'));
    not_prose(text, span).filter(|_| !is_count)
}

/// Whether a value looks like one that was made by chance, and not like a word.
fn looks_random(value: &str) -> bool {
    value.len() >= 8 && value.bytes().any(|b| b.is_ascii_digit()) && !value.contains(' ') || value.len() >= 24
}

/// A setting by its name: a `token` may also be one for a page, or a count of them.
fn named_elsewhere(text: &str, span: Range<usize>) -> Option<Range<usize>> {
    let value = text.get(span.clone())?;
    let before = text.get(text.floor_char_boundary(span.start.saturating_sub(60))..span.start)?;
    let before = before.to_ascii_lowercase();
    let is_strong = ["pass", "pwd", "secret", "key"].iter().any(|word| {
        // `key` as the name of the field says nothing.
        before.rfind(word).is_some_and(|at| at > before.find([':', '=']).unwrap_or(0))
    });
    let ordinary = value.starts_with("arn:") || !is_strong && !looks_random(value);
    not_prose(text, span).filter(|_| !ordinary)
}

/// `("password", "email")` is a list of fields; a header's value is no word.
fn paired(text: &str, span: Range<usize>) -> Option<Range<usize>> {
    let value = text.get(span.clone())?;
    (looks_random(value) && !value.starts_with("arn:")).then_some(span)
}

/// Host names of machines, `git@host:repo` and `package@1.2.3` are not addresses of people.
fn address(text: &str, span: Range<usize>) -> Option<Range<usize>> {
    let value = text.get(span.clone())?;
    let (local, domain) = value.split_once('@')?;
    let machine = [".internal", ".local", ".localdomain", ".lan", ".svc", ".amazonaws.com", ".compute"];
    let version = domain.trim_start_matches('v').bytes().next().is_some_and(|b| b.is_ascii_digit());
    let lower = domain.to_ascii_lowercase();
    let ordinary = local == "git" || machine.iter().any(|end| lower.ends_with(end)) || version;
    (!ordinary).then_some(span)
}

/// Luhn, the ranges of the networks, and no neighbour that makes it part of a longer identifier.
fn card(text: &str, span: Range<usize>) -> Option<Range<usize>> {
    let before = text.get(..span.start)?.chars().next_back();
    let after = text.get(span.end..)?.chars().next();
    let joins =
        |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '@'));
    let ends_number = after == Some('.')
        && !text.get(span.end + 1..).is_some_and(|rest| rest.starts_with(|c: char| c.is_alphanumeric()));
    if joins(before) || (joins(after) && !ends_number) {
        return None;
    }
    let digits: Vec<u32> = text.get(span.clone())?.chars().filter_map(|c| c.to_digit(10)).collect();
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => *digit,
            (_, double) if double > 9 => double - 9,
            (_, double) => double,
        })
        .sum();
    let head = digits.iter().take(4).fold(0, |head, digit| head * 10 + digit);
    let network = matches!(head, 2221..=2720 | 3400..=3499 | 3528..=3589 | 3700..=3799 | 4000..=4999
        | 5018 | 5020 | 5038 | 5100..=5599 | 6011 | 6200..=6299 | 6304 | 6440..=6599 | 6759 | 6761..=6763);
    let varied = digits.iter().any(|digit| Some(digit) != digits.first());
    (sum.is_multiple_of(10) && network && varied).then_some(span)
}

/// Mixed letters and digits: a line of hexadecimal is a hash, a line of one letter is a ruler.
fn base64_body(text: &str, span: Range<usize>) -> Option<Range<usize>> {
    let value = text.get(span.clone())?;
    let has = |of: fn(&u8) -> bool| value.as_bytes().iter().any(of);
    (has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit)).then_some(span)
}

/// The value behind a key such as `password=`: quoted up to its quote, bare up to a separator.
fn named_value(text: &str, span: Range<usize>) -> Option<Range<usize>> {
    let key = text.get(span.clone())?;
    let name: String =
        key.chars().take_while(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase();
    let prefix: String = text
        .get(..span.start)?
        .bytes()
        .rev()
        .take(24)
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        .map(|b| b.to_ascii_lowercase() as char)
        .collect();
    let rest = text.get(span.end..)?;
    let escapes = rest.len() - rest.trim_start_matches('\\').len();
    let quote = rest.get(escapes..)?.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'));
    let value = match quote {
        Some(quote) => {
            let start = span.end + escapes + 1;
            start..start + quoted_len(text.get(start..)?, quote, escapes)
        }
        None => span.end..span.end + bare_len(rest),
    };
    let secret = text.get(value.clone())?;
    let weak = matches!(
        name.as_str(),
        "token" | "tokens" | "auth" | "credential" | "credentials" | "access" | "service"
    );
    let reversed = |word: &str| prefix.starts_with(&word.chars().rev().collect::<String>());
    let paging = weak
        && ["next", "next_", "page", "page_", "continuation", "idempotency", "clientrequest", "pagination"]
            .iter()
            .any(|word| reversed(word));
    let looks_secret = secret.len() >= 12 && secret.bytes().any(|b| b.is_ascii_digit()) || secret.len() >= 24;
    let working_directory = name == "pwd" && secret.starts_with(['/', '~']);
    // `"tokens": {…}` and `secrets: […]` are structures; what is in them is looked at by itself.
    let structure = quote.is_none() && secret.starts_with(['{', '[', '<', '(']) && secret.len() < 2;
    // Of Secrets Manager an ARN says which secret, and no more.
    let start = text.floor_char_boundary(span.start.saturating_sub(64));
    let of_an_arn = name == "secret" && text.get(start..span.start)?.contains(":secretsmanager:");
    let ordinary = secret.is_empty()
        || structure
        || of_an_arn
        || paging
        || working_directory
        || secret.starts_with("arn:")
        || (weak && (!looks_secret || secret.contains(char::is_whitespace)))
        || is_prose(secret);
    (!ordinary).then_some(value)
}

/// Length up to the closing quote; within `\"…\"` the closing quote is escaped as deeply.
fn quoted_len(text: &str, quote: char, escapes: usize) -> usize {
    let mut backslashes = 0;
    for (at, c) in text.char_indices() {
        if c == '\\' {
            backslashes += 1;
            continue;
        }
        if c == quote && backslashes <= escapes && (escapes > 0 || backslashes == 0) {
            return at - backslashes;
        }
        if c == '\n' {
            return at;
        }
        backslashes = 0;
    }
    text.len()
}

fn bare_len(text: &str) -> usize {
    let end =
        text.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '&' | ';' | ',' | '`' | '\\'));
    let value = text.get(..end.unwrap_or(text.len())).unwrap_or_default();
    if value.starts_with(['$', '{', '%']) {
        return value.len();
    }
    value.trim_end_matches(['}', ')', ']', '.']).len()
}

/// Words that follow `password:` in a sentence, and values that are already masked or unset.
pub(super) fn is_prose(value: &str) -> bool {
    const WORDS: [&str; 52] = [
        "true",
        "false",
        "null",
        "none",
        "nil",
        "undefined",
        "empty",
        "unset",
        "yes",
        "no",
        "on",
        "off",
        "required",
        "invalid",
        "incorrect",
        "wrong",
        "expired",
        "missing",
        "must",
        "should",
        "cannot",
        "is",
        "was",
        "not",
        "the",
        "has",
        "too",
        "does",
        "changed",
        "reset",
        "mismatch",
        "failed",
        "failure",
        "denied",
        "error",
        "check",
        "authentication",
        "unknown",
        "valid",
        "ok",
        "success",
        "accepted",
        "rejected",
        "using",
        "use",
        "for",
        "from",
        "to",
        "could",
        "unable",
        "redacted",
        "hidden",
    ];
    let bare = value.trim_matches(|c: char| !c.is_alphanumeric());
    let masked = value
        .chars()
        .all(|c| matches!(c, '*' | 'x' | 'X' | '.' | '-' | '•' | '<' | '>' | '[' | ']' | '(' | ')'));
    let reference = (value.starts_with("${") || value.starts_with("{{") || value.starts_with('%'))
        && value.ends_with(['}', '%']);
    masked || reference || WORDS.iter().any(|word| bare.eq_ignore_ascii_case(word))
}
