//! Secrets in command lines, as shells, process lists and containers log them.
//!
//! Most tools write what is secret with a flag of their own, and the same flag means a port or a path to the next: so
//! a flag counts only behind its tool.

use std::ops::Range;

use super::rules::is_prose;

/// What may stand between a flag and its value: a blank, or, in a list, quotes and a comma.
const BEHIND: &str = r#"(?:\s{1,4}|=|\\{0,3}["']\s{0,2},\s{0,2}(?:\\{0,3}["'])?)"#;
/// What may stand between a tool and its flag.
const ON: &str = r#"[^\n|;]{0,200}?[\s"']"#;

/// `mysql -pSECRET`: with a blank it asks for one.
pub(super) const MYSQL: &str = r#"\b(?:mysql(?:dump|admin|import|show|check|slap|pump|binlog)?|mariadb(?:-[a-z]{2,12})?)(?:\.exe)?\\{0,3}[\s"',](?:{ON})?-p(?:\\{0,3}["'])?(?P<secret>[^\s"'\\;|,-][^\s"'\\;|]*)"#;
/// Tools whose flag takes a blank before its value.
pub(super) const TOOL: &str = r#"\b(?:redis-cli\b{ON}(?:-a|--pass)|(?:docker|podman|nerdctl|buildah|skopeo|crane|oras|helm registry|az|oc|argocd)\slogin\b{ON}-p|mongo(?:sh|dump|restore|export|import|stat|top)?\b{ON}-p|ldap(?:search|modify|add|delete|whoami|passwd|compare)\b{ON}-w|(?:sqlcmd|bcp|isql|ipmitool)\b{ON}-P|rabbitmqadmin\b{ON}-p|kinit\b{ON}--password|snmp[a-z]{3,8}\b{ON}-[AX]){BEHIND}(?:\\{0,3}["'])?(?P<secret>[^\s"'\\;|-][^\s"'\\;|]{2,})"#;
pub(super) const TOOL_HINT: &str = r"redis-cli|(?:docker|podman|nerdctl|buildah|skopeo|crane|oras|registry|az|oc|argocd)\slogin|mongo|ldap[a-z]|sqlcmd|\bbcp\b|isql|ipmitool|rabbitmqadmin|kinit|snmp";
/// `sshpass -pSECRET`, with a blank or without.
pub(super) const SSHPASS: &str =
    r#"\bsshpass\b{ON}-p(?:{BEHIND}|\s{0,4})(?:\\{0,3}["'])?(?P<secret>[^\s"'\\;|-][^\s"'\\;|]*)"#;
/// `--user NAME:SECRET`.
pub(super) const USER: &str = r#"(?i)\b(?:curl|wget|etcdctl)\b[^\n|;]{0,200}?[\s"'](?:-u|--user|--proxy-user|--auth)(?:{BEHIND}|\s{0,4})(?:\\{0,3}["'])?[^\s:"'\\/]{1,64}:(?P<secret>[^\s"'\\/][^\s"'\\]*)"#;
/// `smbclient -U NAME%SECRET`, `sqlplus NAME/SECRET@BASE`.
pub(super) const NAME_AND: &str = r#"\b(?:(?:smbclient|rpcclient|smbget|wmic|net rpc)\b[^\n|;]{0,200}?\s-U\s{0,4}[^\s%"']{1,64}%|(?:sqlplus|expdp|impdp|sqlldr|rman target)\s(?:-[A-Za-z]+\s){0,4}["']?[A-Za-z0-9_$#.]{1,60}/)(?P<secret>[^\s"'@%;|]{2,})"#;
/// `openssl … -passin pass:SECRET`.
pub(super) const OPENSSL: &str = r#"\s-pass(?:in|out|word)?\s{1,4}pass:(?P<secret>[^\s"']+)"#;
/// Flags that say so themselves, whatever the tool.
pub(super) const FLAG: &str = r#"(?i)(?:^|[\s"'\[(])--?[a-z0-9-]*(?:password|passwd|passphrase|storepass|keypass|secret|token|api-?key|secret-key)(?:\s{1,4}(?:\\{0,3}["'])?|\\{0,3}["']\s{0,2},\s{0,2}\\{0,3}["'])(?P<secret>[^\s=",'\\-][^\s"'\\]{3,})"#;
/// Of Redis by itself, and of mail servers: with nothing behind it.
pub(super) const AUTH: &str = r#"(?m)(?:^|[>$"'`:\]]|\b[Cc]ommand|\b[Ss]ent)\s?AUTH\s{1,2}(?:[^\s"'`\\]{1,64}\s{1,2})?(?P<secret>[^\s"'`\\]{4,})["'`]?\s{0,2}(?:$|[\r\n,;)\]}])"#;
/// Of Redis as its MONITOR tells it.
pub(super) const MONITORED: &str =
    r#""AUTH\\{0,3}"\s{1,2}\\{0,3}"(?:[^\s"\\]{1,64}\\{0,3}"\s{1,2}\\{0,3}")?(?P<secret>[^\s"\\]+)\\{0,3}""#;

/// The patterns of tools with what stands between their parts.
pub(super) fn whole(pattern: &str) -> String {
    pattern.replace("{ON}", ON).replace("{BEHIND}", BEHIND)
}

/// No port, no variable and no word of a usage text.
pub(super) fn argument(text: &str, span: Range<usize>) -> Option<Range<usize>> {
    let value = text.get(span.clone())?;
    let is_port = value.bytes().all(|b| b.is_ascii_digit() || matches!(b, b':' | b'.' | b'/' | b'-'));
    let is_named = value.starts_with(['$', '<', '{', '%', '[', '(', '/']) || is_prose(value);
    (!is_port && !is_named).then_some(span)
}

/// What is glued to `-p`: no `-port` and `-pool-size`, which are words of a tool that takes its flags so.
pub(super) fn glued(text: &str, span: Range<usize>) -> Option<Range<usize>> {
    const WORDS: [&str; 10] = [
        "ort",
        "rotocol",
        "rompt",
        "ool",
        "arallel",
        "assword",
        "rofile",
        "rint-defaults",
        "lugin",
        "reserve",
    ];
    let value = text.get(span.clone())?;
    let is_word = WORDS.iter().any(|word| {
        value.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '=', 's']))
    });
    // `docker exec mysql ls -plah /var`: another command stands between, and letters alone are its flags.
    let start = text.floor_char_boundary(span.start.saturating_sub(200));
    let between = text.get(start..span.start)?;
    let is_of_another = value.len() <= 6
        && value.bytes().all(|b| b.is_ascii_lowercase())
        && [" ls ", " rsync ", " cp ", " mkdir ", " kubectl ", " helm ", " tar ", " ps "]
            .iter()
            .any(|other| between.contains(other));
    argument(text, span).filter(|_| !is_word && !is_of_another)
}

/// `AUTH PLAIN LOGIN` names ways to log in; what is sent by one has letters of both cases, or digits.
pub(super) fn sent(text: &str, span: Range<usize>) -> Option<Range<usize>> {
    let value = text.get(span.clone())?;
    let has = |of: fn(&u8) -> bool| value.as_bytes().iter().any(of);
    let chosen = has(u8::is_ascii_lowercase)
        && (has(u8::is_ascii_digit) || has(u8::is_ascii_uppercase) || has(|b| b"!#$%^&*=+".contains(b)));
    (chosen && !is_prose(value)).then_some(span)
}
