//! Secrets that a sentence tells, and those between a user and a host.
//!
//! Behind `password is` stands far oftener what is wrong with it than what it is: a value counts where no word would
//! look so. That leaves out a password that is a plain word, which nothing tells from one of the sentence.

use std::ops::Range;

use super::{Found, Kind, SecretKind, rules::is_prose};

/// `the password is …`, `password for db: …`, `logged in with password …`.
pub(super) const TOLD: &str = concat!(
    r"(?i)\b(?:(?:with|using|and|by|or)\s(?:the\s|a\s)?(?:password|passphrase|passwd|pwd)\s{1,2}",
    r#"|(?:password|passwd|passphrase|passcode|pwd|secret(?:[ _-]key)?|(?:api|access|private|auth)[ _-]?(?:key|token)|token|credentials?)\\{0,3}["'`]?"#,
    r"(?:\s(?:for|of|on|to|at|in)\s[^\s:=][^:=\n]{0,60}?)??(?:\s(?:(?:(?:has\sbeen|is|was|to\sbe)\s)?(?:now\s)?(?:set|changed|reset|rotated|updated)\s(?:to|as)|is|was|are|becomes|now|be)(?:\s(?:now|still|just))?:?\s{1,2}|\s?(?:->|=>)\s?)",
    r"|(?:password|passwd|passphrase|passcode|pwd|credentials?)\s(?:for|of|on|to|at|in)\s[^\s:=][^:=\n]{0,60}?:\s{1,2})",
    r#"\\{0,3}["'`]?(?P<secret>[^\s"'`\\]+)"#,
);
pub(super) const TOLD_HINT: &str = r"(?i)(?:pass(?:word|wd|phrase|code)|pwd|secret|key|token|credentials?)\W{0,4}\s(?:for|of|on|to|at|in|is|was|are|becomes|now|be|has|set|changed|reset|rotated|updated)\s|(?:key|token|word|secret)\s?[=-]>|(?:with|using|and|by|or)\s(?:the\s|a\s)?(?:password|passphrase|passwd|pwd)\s";

/// Words with a digit or a sign in them that are said of passwords and keys.
const OF_KEYS: [&str; 25] = [
    "base",
    "sha",
    "md5",
    "md4",
    "bcrypt",
    "scrypt",
    "argon",
    "pbkdf",
    "aes",
    "rsa",
    "ecdsa",
    "ed255",
    "utf",
    "oauth",
    "x509",
    "x.509",
    "pkcs",
    "ldap",
    "http",
    "krb5",
    "ipv",
    "log4j",
    "scram",
    "caching_",
    "mysql_native",
];

/// Tokens that are no secret.
const OF_TOKENS: [&str; 10] = [
    "lock",
    "lease",
    "fencing",
    "sync",
    "continuation",
    "idempotency",
    "next",
    "page",
    "pagination",
    "upload",
];

/// `AccessDenied403`, `ExpiredTokenException400`
fn is_error(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let named = lower.trim_end_matches(|c: char| !c.is_ascii_alphabetic());
    ["exception", "error", "denied", "failed", "fault", "timeout"].iter().any(|end| named.ends_with(end))
}

/// Whether a value is one that somebody chose, or a machine, and no word, measure, time, code of an error or name.
fn looks_chosen(value: &str) -> bool {
    let bytes = value.as_bytes();
    let count = |of: fn(&u8) -> bool| bytes.iter().filter(|b| of(b)).count();
    let (digits, letters) = (count(u8::is_ascii_digit), count(u8::is_ascii_alphabetic));
    let lower = value.to_ascii_lowercase();
    let rest = lower.trim_start_matches(|c: char| c.is_ascii_digit());
    // `8-character`, `30days`, `2nd`; and `2026-11-21T02:01:07Z`.
    let is_measure = rest.len() < lower.len()
        && lower.len() - rest.len() <= 4
        && rest.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    let is_time = letters <= 2 && bytes.iter().any(|b| matches!(b, b':' | b'-' | b'.')) && digits >= 4;
    // `ORA-01017`, `HTTP401`, `SQLSTATE[28P01]`
    let head = value.trim_start_matches(|c: char| c.is_ascii_uppercase());
    let is_code = head.len() + 1 < value.len()
        && head.trim_start_matches(['-', '_']).bytes().all(|b| b.is_ascii_digit())
        || value.starts_with("SQLSTATE");
    let is_placeholder = value.starts_with(['<', '{', '$', '%', '[', '(', '/', '.', '-', '~'])
        || value.contains("://")
        || value.contains("()")
        || is_prose(value);
    if value.len() < 6 || is_measure || is_time || is_code || is_error(value) || is_placeholder {
        return false;
    }
    let is_said = OF_KEYS.iter().any(|word| lower.starts_with(word));
    let inside = value.trim_end_matches(|c: char| !c.is_alphanumeric());
    let has_sign = inside.bytes().any(|b| b"!#$%^&@~*+".contains(&b)) && letters >= 3;
    (letters > 0 && digits > 0 || has_sign) && !is_said
}

/// Whether so much of it in one piece has letters and digits mixed that it was made by chance.
fn looks_made(value: &str) -> bool {
    value.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '/'))).any(|run| {
        let has = |of: fn(&u8) -> bool| run.as_bytes().iter().any(of);
        let mixed = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
        has(u8::is_ascii_digit)
            && has(u8::is_ascii_alphabetic)
            && (run.len() >= 20 || run.len() >= 12 && mixed)
    })
}

/// The value of a sentence about a password, a key or a token.
pub(super) fn told(text: &str, span: Range<usize>) -> Option<Range<usize>> {
    let whole = text.get(span.clone())?;
    let value = whole.trim_end_matches(['.', ',', ';', ':', ')', ']', '}', '>']);
    let start = text.floor_char_boundary(span.start.saturating_sub(110));
    let before = text.get(start..span.start)?.to_ascii_lowercase();
    let before = before.trim_end_matches(['"', '\'', '`', '\\']);
    // The word it is about, and what is said before that.
    let word = ["pass", "pwd", "secret", "key", "token", "credential"];
    let (at, word) = word.iter().filter_map(|word| Some((before.rfind(word)?, *word))).max()?;
    let is_strong = matches!(word, "pass" | "pwd");
    // Those say who is next, not who may.
    let which = before.get(..at)?.trim_end().rsplit(|c: char| !c.is_ascii_alphanumeric()).next()?;
    if word == "token" && OF_TOKENS.contains(&which) {
        return None;
    }
    if let Some(label) = before.trim_end().strip_suffix(':') {
        let of = label.rsplit([' ', '\t']).next().unwrap_or_default();
        let names_someone =
            ["user", "username", "login", "account", "email", "host", "client", "name", "role", "id", "from"]
                .contains(&of);
        let happened = before.get(..at).is_some_and(|said| {
            let last = said.trim_end().rsplit([' ', '\t']).next().unwrap_or_default();
            ["failed", "accepted", "invalid", "incorrect", "wrong", "bad", "no", "expired"].contains(&last)
        });
        if names_someone || happened || whole.ends_with(':') {
            return None;
        }
    }
    let is_number = is_strong && value.len() >= 6 && value.bytes().all(|b| b.is_ascii_digit()) && {
        let rest = text.get(span.start + value.len()..).unwrap_or_default();
        rest.is_empty() || rest.starts_with(['.', ',', ';', '"', '\'', '`', ')', '\n'])
    };
    let is_secret = if is_strong {
        looks_chosen(value) || is_number
    } else {
        looks_made(value) && !is_error(value) && !is_prose(value)
    };
    is_secret.then_some(span.start..span.start + value.len())
}

/// `NAME:SECRET@HOST` without a scheme, and the address of a database as Go writes it. Looked for by hand: it may stand
/// before every `@`, of which some logs have one in each line.
pub(super) fn authorities(text: &str, found: &mut Vec<Found>) {
    for (at, _) in text.match_indices('@') {
        let before = text.as_bytes().get(..at).unwrap_or_default();
        let is_end = |byte: &u8| byte.is_ascii_whitespace() || b":@/\"'`<>,;(){}[]".contains(byte);
        let Some(start) = before.iter().rposition(is_end).filter(|start| before.get(*start) == Some(&b':'))
        else {
            continue;
        };
        if let Some(at) = authority(text, start + 1..at).filter(|at| !at.is_empty()) {
            found.push(Found { at, kind: Kind::Known(SecretKind::Password) });
        }
    }
}

/// With a port and a database behind it that is what it looks like; else the secret has to look like one, for
/// `email:jane@example.com`, `image:1.2@registry` and `LeaseRenewer:hdfs@namenode:9000` look so, too.
fn authority(text: &str, span: Range<usize>) -> Option<Range<usize>> {
    const NAMES: [&str; 34] = [
        "user",
        "username",
        "login",
        "account",
        "from",
        "to",
        "cc",
        "bcc",
        "mail",
        "email",
        "e-mail",
        "mailto",
        "sip",
        "sips",
        "sender",
        "recipient",
        "rcpt",
        "author",
        "by",
        "owner",
        "host",
        "ssh",
        "git",
        "scp",
        "id",
        "name",
        "uid",
        "client",
        "principal",
        "contact",
        "reply-to",
        "address",
        "acct",
        "xmpp",
    ];
    const PROTOCOLS: [&str; 9] = ["http", "https", "tcp", "udp", "grpc", "amqp", "redis", "mysql", "ssh"];
    let value = text.get(span.clone())?;
    let before = text.get(..span.start)?.strip_suffix(':')?;
    let user =
        before.rsplit(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))).next()?;
    let said = before.get(..before.len() - user.len()).unwrap_or_default();
    let begins =
        said.is_empty() || said.ends_with(|c: char| c.is_ascii_whitespace() || "\"'`=(<[{,".contains(c));
    if !begins || !user.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return None;
    }
    let said = said
        .get(said.floor_char_boundary(said.len().saturating_sub(24))..)
        .unwrap_or_default()
        .to_ascii_lowercase();
    let after = text.get(span.end..)?.strip_prefix('@')?;
    let host_len =
        after.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))).unwrap_or(after.len());
    let (host, rest) = after.split_at_checked(host_len)?;
    if host.is_empty() {
        return None;
    }
    let user = user.to_ascii_lowercase();
    if NAMES.contains(&user.as_str())
        || PROTOCOLS.contains(&value)
        || is_prose(value)
        || value.starts_with(['$', '{', '%', '<'])
    {
        return None;
    }
    let is_call = rest.starts_with('(') && ["tcp", "tcp6", "udp", "unix"].contains(&host);
    let ends = |rest: &str| {
        rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_whitespace() || "/?\"'`,;)]}>".contains(c))
    };
    let is_version = host.starts_with(|c: char| c.is_ascii_digit())
        && !(host.split('.').count() == 4 && host.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
    let is_dialled =
        ["connect", "dsn", "dial", "conn", "database", "datasource"].iter().any(|word| said.contains(word));
    // `HOST:PORT/BASE`; without the last it may be a part of a program that speaks for a user to a host.
    let port = rest.strip_prefix(':').map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    let is_database = port.is_some_and(|rest| rest.starts_with(['/', '?']));
    if !is_call && !ends(port.unwrap_or(rest)) {
        return None;
    }
    // What is called at a host is a build, a version or a queue as often: those have no such signs.
    let has_sign = looks_chosen(value) && value.bytes().any(|b| b"!#$%^&*+~".contains(&b));
    let is_host = host.contains('.') || host == "localhost" || port.is_some();
    let is_secret =
        is_call || !is_version && (is_database || is_dialled || is_host && (has_sign || looks_made(value)));
    is_secret.then_some(span)
}
