//! What an error text is about: the kind of trouble it speaks of, and whom it names.
//!
//! General vocabulary of runtimes, protocols and AWS, never the texts of one incident.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::Regex;

/// The kind of trouble an error text speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// A managed resource, or another service, refuses requests over a limit.
    Throttling,
    /// No memory.
    Memory,
    /// A pool, queue or other limit inside the service is used up.
    Limit,
    /// Something that is called does not answer, or answers with an error.
    Call,
    /// A time-out that names nobody.
    Timeout,
    /// The program itself: an exception, a missing setting, a schema that does not fit.
    Program,
}

fn pattern(text: &str) -> Option<Regex> {
    // The texts are constants: a test compiles them all.
    Regex::new(text).ok()
}

macro_rules! regexes {
    ($($name:ident = $text:expr;)*) => {
        $(static $name: LazyLock<Option<Regex>> = LazyLock::new(|| pattern($text));)*
        #[cfg(test)]
        pub(super) fn all_compile() -> bool {
            [$($name.is_some()),*].into_iter().all(|ok| ok)
        }
    };
}

regexes! {
    THROTTLING = r"(?i)throttl|ProvisionedThroughput|throughput.{0,40}exceed|(request )?rate (limit )?(was )?exceed|rate exceeded|rate.?limit(ed|ing)?\b|RequestLimitExceeded|TooManyRequests|too many requests|SlowDown|\bslow down\b|(status|code|http|error)[ =:/\d.]{0,12}\b429\b|\b429 too\b|write capacity|read capacity";
    MEMORY = r"(?i)OutOfMemory|out of memory|\bOOM(ed|-?kill(ed|er)?)?\b|java heap space|heap limit|GC overhead limit|cannot allocate memory|MemoryError|memory (limit|exhausted|pressure)|exit(ed)?( with)?( code)?[ =:]*137";
    LIMIT = r"(?i)pool.{0,30}(exhaust|empty|full|time|limit|reached|no (free|idle|available))|(exhaust|no (free|idle|available)|wait(ing)? for( a| an)?( free| idle)?|acquir\w+|unable to (get|obtain|check ?out|acquire)).{0,40}(pool|connection from|worker|thread|slot|permit)|connection is not available, request timed out|pool-\d+ - connection|thread ?pool|RejectedExecution|queue.{0,20}(is )?full|queue (capacity|limit|depth)|backlog|too many (open files|connections|clients|threads|concurrent)|max(imum)?[ _-](pool|connections|threads|workers|clients|concurren)\w*|connection slots|EMFILE|worker_connections are not enough|load ?shed|overload|server (is )?too busy|concurrency limit|(pool|thread|worker|executor|queue|concurren)\w*.{0,20}saturat|all workers (are )?busy|maximum number of (connections|threads|workers)";
    CALL = r"(?i)connection (was )?(refused|reset|closed|aborted|timed? ?out)|(could|can|did|was|is|are) ?(not|n't)( able to)? (connect|reach|resolve)|unable to (connect|reach|resolve)|fail(ed|ure)? (to|while|when) (connect|reach|resolve|call)\w*|ECONN(REFUSED|RESET|ABORTED)|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|UnknownHost|unknown host|no such host|no route to host|(host|network|server|upstream|backend)( is)? unreachable|name or service not known|name resolution|NXDOMAIN|SERVFAIL|getaddrinfo|\bDNS\b|(ConnectException|ConnectError|ConnectionError|ConnectTimeout|SocketTimeout|ReadTimeout|NoRouteToHost)|(read|connect|dial|i/o|socket|handshake) ?time(d )?-?out|bad gateway|service unavailable|gateway time-?out|\b(status|code|http|returned|responded|answered|replied|response|got|with|received|error)\b[^\d]{0,16}\b5\d\d\b|\b5(00|02|03|04)\b.{0,24}\b(from|by|returned)\b|upstream (connect|request|error|prematurely|timed)|no healthy upstream|circuit.?breaker.{0,20}open|\bUNAVAILABLE\b|DEADLINE_EXCEEDED|connection could not be (established|opened|made)|(SSL|TLS)[ _]?(handshake|connect|routines|alert)|SSL(Handshake|Error|Exception)|handshake.fail|x509:|PKIX path|CERTIFICATE_VERIFY_FAILED|certificate\b.{0,40}\b(expired|invalid|not (yet )?valid|untrusted|not trusted|unknown|self.?signed|verif\w+ fail\w*)|broken pipe|communications link failure|server has gone away|terminating connection|the database system is|not accepting connections|leader not available|brokers? (are )?(down|not available)|remote end closed|dependency (failed|failure|error)";
    ANSWERED = r"(?i)unavailable|answered|replied|responded|returned|refus|reject|declin|unreachable|\bis down\b|no (response|answer|reply)|gave up|\b5\d\d\b|fail";
    ACCESS = r#"^\s*(?:\S+ ){0,4}"?(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS|<\*>) /[^ ]*"?(?: HTTP/[\d.]+"?)? (?:<[^>]*>|\d+)|^(?i:http request)\b.{0,30}\b5(?:xx|\d\d)\b"#;
    TIMEOUT = r"(?i)time(d)?[ -]?out|deadline (was )?exceeded|took too long";
    URL = r"(?i)\b[a-z][a-z0-9+.:-]{1,20}://(?:[^/\s@]{1,80}@)?([a-z0-9][a-z0-9._-]*)";
    HOST_PORT = r"(?i)\b([a-z0-9][a-z0-9._-]*[a-z0-9]):(\d{2,5})\b";
    DOMAIN = r"\b((?:[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?\.)+[A-Za-z]{2,})\b";
    PHRASE = r#"(?i)\b(?:to|from|call|calling|called|upstream|downstream|cluster|service|host|hostname|peer|backend|endpoint|server|dependency|provider|client|target|reach|resolve|lookup|ENOTFOUND|EAI_AGAIN)[ :=]+["'`\[(]?([a-z][a-z0-9]*(?:[-_][a-z0-9]+)+)\b"#;
    TABLE = r#"(?i)\b(?:table|stream|bucket|queue|index|topic|function|keyspace|shard|secret|parameter|key)(?:[ _]?name)?(?:\s*[:=/]\s*|\s+)["'`\[(]?([A-Za-z][A-Za-z0-9]*(?:[-_.][A-Za-z0-9]+)*)"#;
    TABLE_BEFORE = r#"(?i)["'`]?\b([a-z][a-z0-9]*(?:[-_.][a-z0-9]+)+)["'`]?\s+(?:table|stream|bucket|queue|index|topic)\b"#;
}

fn hit(regex: &LazyLock<Option<Regex>>, text: &str) -> bool {
    regex.as_ref().is_some_and(|regex| regex.is_match(text))
}

fn captures<'t>(regex: &LazyLock<Option<Regex>>, text: &'t str) -> Vec<&'t str> {
    regex
        .iter()
        .flat_map(|regex| regex.captures_iter(text))
        .filter_map(|found| found.get(1).map(|group| group.as_str()))
        .collect()
}

/// The kind of trouble a text speaks of. Order matters: a pool that ran out says "timed out" too,
/// and a throttled call is an HTTP error as well.
pub fn classify(text: &str) -> ErrorClass {
    if hit(&THROTTLING, text) {
        ErrorClass::Throttling
    } else if hit(&MEMORY, text) {
        ErrorClass::Memory
    } else if hit(&LIMIT, text) {
        ErrorClass::Limit
    } else if hit(&CALL, text) {
        ErrorClass::Call
    } else if hit(&TIMEOUT, text) {
        ErrorClass::Timeout
    } else {
        ErrorClass::Program
    }
}

const TOP_LEVEL: [&str; 20] = [
    "com",
    "net",
    "org",
    "io",
    "dev",
    "cloud",
    "app",
    "co",
    "internal",
    "local",
    "lan",
    "corp",
    "cluster",
    "consul",
    "svc",
    "aws",
    "private",
    "intranet",
    "localdomain",
    "eu",
];
const SOURCE_FILES: [&str; 16] =
    ["java", "py", "js", "ts", "go", "rb", "rs", "php", "cs", "kt", "scala", "c", "cpp", "jsx", "tsx", "ex"];

/// Whom a text names: `known` names that stand in it (whole or by their distinctive words), else
/// hosts. The service itself and local addresses are nobody else.
pub fn named_parties(text: &str, own: Option<&str>, known: &[String]) -> Vec<String> {
    let lower = text.to_lowercase();
    let mut found: Vec<String> = Vec::new();
    let mut add = |name: String| {
        if !name.is_empty() && !found.contains(&name) {
            found.push(name);
        }
    };
    for name in known {
        if contains_word(&lower, &name.to_lowercase()) {
            add(name.clone());
        }
    }
    let mut hosts: Vec<String> = captures(&URL, text).into_iter().map(str::to_lowercase).collect();
    hosts.extend(hosts_with_port(text));
    hosts
        .extend(captures(&DOMAIN, text).into_iter().filter(|h| ends_like_a_domain(h)).map(str::to_lowercase));
    hosts.extend(
        captures(&PHRASE, text).into_iter().map(str::to_lowercase).filter(|name| is_service_like(name)),
    );
    for host in hosts {
        let host = host.trim_matches(['.', '-', '_']).to_owned();
        if is_local(&host) || own.is_some_and(|own| belongs_to(&host, own)) {
            continue;
        }
        match known.iter().find(|name| belongs_to(&host, name)) {
            Some(name) => add(name.clone()),
            None => add(host),
        }
    }
    if found.is_empty() {
        // `payments service returned 503` names `payments-api`.
        let own_words = words(own.unwrap_or_default());
        let mut by_word: Vec<&String> = known
            .iter()
            .filter(|name| {
                let mut distinctive =
                    words(name).into_iter().filter(|w| !GENERIC.contains(&w.as_str())).peekable();
                distinctive.peek().is_some()
                    && distinctive.all(|w| !own_words.contains(&w) && contains_word(&lower, &w))
            })
            .collect();
        by_word.extend(by_technology(&lower, known));
        by_word.dedup();
        if let [only] = by_word.as_slice() {
            found.push((*only).clone());
        }
    }
    // A name says more than an address, and what is known more than what is not.
    let is_address = |name: &String| name.split('.').all(|part| part.parse::<u8>().is_ok());
    if found.iter().any(|name| known.contains(name)) {
        found.retain(|name| known.contains(name));
    } else if found.iter().any(|name| !is_address(name)) {
        found.retain(|name| !is_address(name));
    }
    // A longer name that contains a shorter one says more.
    let all = found.clone();
    found.retain(|name| {
        !all.iter().any(|other| other != name && known.contains(other) && belongs_to(name, other))
    });
    found
}

const GENERIC: [&str; 22] = [
    "api",
    "service",
    "svc",
    "server",
    "app",
    "web",
    "prod",
    "production",
    "staging",
    "internal",
    "backend",
    "the",
    "main",
    "core",
    "primary",
    "v1",
    "v2",
    "us",
    "eu",
    "db",
    "cache",
    "queue",
];

/// `Redis connection refused` names the one dependency that is a Redis.
fn by_technology<'k>(lower: &str, known: &'k [String]) -> Vec<&'k String> {
    const TECHNOLOGIES: [(&[&str], &[&str]); 5] = [
        (
            &["postgres", "postgresql", "mysql", "mariadb", "aurora", "jdbc", "database", "psycopg2"],
            &["db", "database", "postgres", "mysql", "aurora", "rds", "sql"],
        ),
        (
            &["redis", "memcached", "elasticache", "valkey"],
            &["redis", "cache", "memcached", "elasticache", "valkey"],
        ),
        (&["kafka", "broker", "brokers"], &["kafka", "msk", "events", "stream"]),
        (&["rabbitmq", "amqp"], &["rabbitmq", "rabbit", "mq", "amqp", "queue"]),
        (&["elasticsearch", "opensearch"], &["elasticsearch", "opensearch", "search", "es"]),
    ];
    TECHNOLOGIES
        .iter()
        .filter(|(texts, _)| texts.iter().any(|word| contains_word(lower, word)))
        .flat_map(|(_, parts)| {
            known.iter().filter(|name| words(name).iter().any(|w| parts.contains(&w.as_str())))
        })
        .collect()
}

/// The resource a throttling text names.
pub fn throttled_resource(text: &str, known: &[String]) -> Option<String> {
    const NOT_A_NAME: [&str; 22] = [
        "is",
        "was",
        "has",
        "or",
        "and",
        "in",
        "for",
        "with",
        "on",
        "not",
        "of",
        "to",
        "the",
        "a",
        "an",
        "name",
        "level",
        "request",
        "requests",
        "exceeded",
        "does",
        "throughput",
    ];
    captures(&TABLE, text)
        .into_iter()
        .chain(captures(&TABLE_BEFORE, text))
        .find(|name| !NOT_A_NAME.contains(&name.to_lowercase().as_str()) && !name.ends_with("Exception"))
        .map(|name| name.rsplit_once("table/").map_or(name, |(_, name)| name).to_owned())
        .or_else(|| {
            let lower = text.to_lowercase();
            known.iter().find(|name| contains_word(&lower, &name.to_lowercase())).cloned()
        })
}

/// Known names that stand in the text as they are.
pub fn named_outright(text: &str, known: &[String]) -> Vec<String> {
    let lower = text.to_lowercase();
    known.iter().filter(|name| contains_word(&lower, &name.to_lowercase())).cloned().collect()
}

/// The kind of trouble of a text that names something the service calls: an error that is about
/// another's answer is a failing call, however its own exception is called.
pub fn classify_naming(text: &str) -> ErrorClass {
    match classify(text) {
        ErrorClass::Program if hit(&ANSWERED, text) => ErrorClass::Call,
        class => class,
    }
}

/// A line of an access log: it shows that requests fail, not why.
pub fn is_access_log(template: &str) -> bool {
    hit(&ACCESS, template)
}

/// Distinctive words of a text, lower case: what two texts about the same thing share.
pub fn words(text: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let mut word = String::new();
    let mut last_lower = false;
    for c in text.chars().chain(std::iter::once(' ')) {
        let camel = last_lower && c.is_uppercase();
        if c.is_alphanumeric() && !camel {
            word.extend(c.to_lowercase());
        } else {
            if !word.is_empty() {
                out.insert(std::mem::take(&mut word));
            }
            if camel {
                word.extend(c.to_lowercase());
            }
        }
        last_lower = c.is_lowercase();
    }
    out
}

/// Whether `word` stands in `text` with no letter or digit beside it. Both lower case.
pub fn contains_word(text: &str, word: &str) -> bool {
    !word.is_empty()
        && text.match_indices(word).any(|(at, _)| {
            let before = text.get(..at).and_then(|t| t.chars().next_back());
            let after = text.get(at + word.len()..).and_then(|t| t.chars().next());
            [before, after].into_iter().flatten().all(|c| !c.is_alphanumeric())
        })
}

/// Whether a host is one of `name`'s: `payments-db.prod.internal` is `payments-db`'s.
fn belongs_to(host: &str, name: &str) -> bool {
    let (host, name) = (host.to_lowercase(), name.to_lowercase());
    host == name || contains_word(&host, &name) || host.replace('_', "-") == name.replace('_', "-")
}

fn is_local(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "0.0.0.0" | "::1") || host.starts_with("169.254.")
}

/// `redis:6379`, `10.0.0.7:5432`, `db-1.internal:3306`, but neither `line:12` nor `Client.java:120`.
fn hosts_with_port(text: &str) -> Vec<String> {
    let found = HOST_PORT.iter().flat_map(|regex| regex.captures_iter(text)).filter_map(|found| {
        let (host, port) = (found.get(1)?.as_str().to_lowercase(), found.get(2)?.as_str());
        let dotted_number =
            host.split('.').count() == 4 && host.split('.').all(|part| part.parse::<u8>().is_ok());
        let is_file = host.rsplit_once('.').is_some_and(|(_, end)| SOURCE_FILES.contains(&end));
        let has_letter = host.chars().any(|c| c.is_ascii_alphabetic());
        let is_name = host.contains(['.', '-']) || PORTS.contains(&port);
        let is_host = dotted_number || (has_letter && !is_file && is_name && !begins_with_a_date(&host));
        is_host.then_some(host)
    });
    found.collect()
}

/// `2026-11-21T02` of `2026-11-21T02:01:07Z` has the shape of a host before a port.
fn begins_with_a_date(host: &str) -> bool {
    let mut parts = host.splitn(3, '-');
    let mut next = |least: usize| {
        parts.next().is_some_and(|part| part.bytes().take_while(u8::is_ascii_digit).count() >= least)
    };
    next(4) && next(2) && next(2)
}

/// Ports that make a bare word before them a host.
const PORTS: [&str; 26] = [
    "80", "443", "1433", "1521", "2181", "3000", "3306", "4222", "5000", "5432", "5671", "5672", "6379",
    "6380", "8000", "8080", "8081", "8443", "9000", "9042", "9092", "9200", "11211", "26379", "27017",
    "50051",
];

/// Not the name of a thread, a pool, an id or a header.
fn is_service_like(name: &str) -> bool {
    const OTHER: [&str; 16] = [
        "thread", "pool", "worker", "task", "retry", "timeout", "keep", "user", "request", "response",
        "content", "re", "non", "time", "up", "end",
    ];
    name.split(['-', '_']).all(|part| {
        !OTHER.contains(&part) && part.bytes().filter(u8::is_ascii_digit).count() < 3 && !part.is_empty()
    })
}

fn ends_like_a_domain(text: &str) -> bool {
    text.rsplit_once('.').is_some_and(|(_, end)| TOP_LEVEL.contains(&end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_not_a_host() {
        let line = r#"{"timestamp":"2026-11-21T02:01:07.113Z","at":"2026-11-21 02:01","level":"ERROR","message":"no tariff"}"#;
        assert_eq!(hosts_with_port(line), Vec::<String>::new());
        assert_eq!(hosts_with_port("dial db-2.internal:5432 at 2026-11-21T02:01:07Z"), ["db-2.internal"]);
    }

    #[test]
    fn texts_are_classed_by_what_they_speak_of() {
        assert!(all_compile());
        let cases = [
            ("ConnectionTimeoutException: PostgreSQL connection pool exhausted", ErrorClass::Limit),
            (
                "HikariPool-1 - Connection is not available, request timed out after 30000ms",
                ErrorClass::Limit,
            ),
            ("TimeoutError: QueuePool limit of size 5 overflow 10 reached", ErrorClass::Limit),
            ("java.util.concurrent.RejectedExecutionException: Task rejected", ErrorClass::Limit),
            ("FATAL: remaining connection slots are reserved", ErrorClass::Limit),
            ("dial tcp 10.0.3.7:5432: connect: connection refused", ErrorClass::Call),
            ("GET https://api.pay.example.com/v1 returned status 503", ErrorClass::Call),
            ("getaddrinfo ENOTFOUND inventory.internal", ErrorClass::Call),
            ("upstream connect error or disconnect/reset before headers", ErrorClass::Call),
            ("QuoteUnavailable: rates-gateway answered 503 for quote 81af", ErrorClass::Call),
            (
                "ProvisionedThroughputExceededException: The level of configured provisioned throughput",
                ErrorClass::Throttling,
            ),
            (
                "An error occurred (ThrottlingException) when calling PutItem: Rate exceeded",
                ErrorClass::Throttling,
            ),
            ("The SSL connection could not be established, see inner exception.", ErrorClass::Call),
            ("x509: certificate has expired or is not yet valid", ErrorClass::Call),
            ("javax.net.ssl.SSLHandshakeException: PKIX path building failed", ErrorClass::Call),
            ("certificate parser: field `serial` is missing", ErrorClass::Program),
            ("acquirer timed out", ErrorClass::Timeout),
            ("upstream replied HTTP 429", ErrorClass::Throttling),
            ("java.lang.OutOfMemoryError: Java heap space", ErrorClass::Memory),
            (
                "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
                ErrorClass::Memory,
            ),
            ("Task timed out after 3.00 seconds", ErrorClass::Timeout),
            ("TypeError: Cannot read properties of undefined (reading 'total')", ErrorClass::Program),
            ("KeyError: 'discount_code'", ErrorClass::Program),
            ("Missing required setting FEATURE_FLAGS_URL", ErrorClass::Program),
        ];
        for (text, class) in cases {
            assert_eq!(classify(text), class, "{text}");
        }
    }

    #[test]
    fn an_answer_of_another_is_a_failing_call_and_an_access_log_line_is_no_witness() {
        assert_eq!(
            classify_naming("PaymentDownException: bank-link answered 503 for order 7"),
            ErrorClass::Call
        );
        assert_eq!(classify_naming("KeyError in parser of bank-link"), ErrorClass::Program);
        for line in [
            "GET /v1/checkout/<num> <num> in <num> ms",
            "<*> /v1/items <num> in <num> ms",
            "10.0.0.1 - - POST /pay 503",
            "POST /<*>/<*> <num> in <num> ms",
            "HTTP request answered with 5xx",
        ] {
            assert!(is_access_log(line), "{line}");
        }
        for line in [
            "GET https://a.example/x failed: 503",
            "cannot GET /x",
            "UpstreamTimeoutException: GET https://maps.example/v2/route timed out",
        ] {
            assert!(!is_access_log(line), "{line}");
        }
    }

    fn parties(text: &str) -> Vec<String> {
        let known = ["payments-db", "inventory-api", "session-redis"].map(str::to_owned);
        named_parties(text, Some("checkout-api"), &known)
    }

    #[test]
    fn texts_name_dependencies_and_hosts_but_not_themselves() {
        assert_eq!(parties("dial tcp payments-db.prod.internal:5432: connection refused"), ["payments-db"]);
        assert_eq!(parties("GET http://inventory-api:8080/v1/items returned 503"), ["inventory-api"]);
        assert_eq!(
            parties("POST https://api.stripe.example.com/v1/charges: 502 Bad Gateway"),
            ["api.stripe.example.com"]
        );
        assert_eq!(parties("inventory service returned 503"), ["inventory-api"]);
        assert_eq!(parties("Redis connection refused"), ["session-redis"]);
        assert_eq!(parties("connect ECONNREFUSED 10.1.2.3:6379"), ["10.1.2.3"]);
        assert_eq!(parties("connection reset by 10.1.2.3:443 while calling push-gateway"), ["push-gateway"]);
        assert_eq!(parties("failed to call tax-engine: UNAVAILABLE"), ["tax-engine"]);
        assert!(parties("GET http://localhost:9000/x refused").is_empty());
        assert!(parties("POST http://checkout-api.internal/pay failed").is_empty());
        assert!(parties("java.net.SocketTimeoutException: Read timed out at Client.java:120").is_empty());
        assert!(parties("at 02:01:17 worker line:12 failed").is_empty());
    }

    #[test]
    fn throttling_texts_name_their_resource() {
        let of = |text: &str| throttled_resource(text, &["orders-table".to_owned()]);
        assert_eq!(of("Rate exceeded for table: sessions-v2").as_deref(), Some("sessions-v2"));
        assert_eq!(of("ThrottlingException TableName=carts").as_deref(), Some("carts"));
        assert_eq!(
            of("arn:aws:dynamodb:us-east-1:123456789012:table/user-events is throttled").as_deref(),
            Some("user-events")
        );
        assert_eq!(
            of("exceeded for the table or for one or more global secondary indexes of orders-table")
                .as_deref(),
            Some("orders-table")
        );
        assert_eq!(of("PutItem on 'order-events' table was throttled").as_deref(), Some("order-events"));
        assert_eq!(of("Rate exceeded"), None);
    }
}
