//! Behaviours one by one, over one small log.

use super::{Outcome, Record, compile};

const DAY: i64 = 86_400_000;
/// 2026-11-21 06:25:00.796 UTC.
const START: i64 = 20_778 * DAY + (6 * 60 + 25) * 60_000 + 796;

const LINES: [(&str, &str); 7] = [
    (
        "web/1",
        r#"{"level":"INFO","status":200,"ms":12.5,"user":{"id":"u1","vip":true},"tags":["a","b"],"path":"/cart"}"#,
    ),
    (
        "web/1",
        r#"{"level":"ERROR","status":502,"ms":900,"user":{"id":"u2","vip":false},"error":"pool exhausted"}"#,
    ),
    ("web/2", r#"{"level":"ERROR","status":"503","ms":1100,"user":{"id":"u1"},"error":"pool exhausted"}"#),
    ("web/2", "GET /cart status=500 took 31ms user=ann"),
    ("web/2", "GET /pay status=200 took 7ms user=bob"),
    ("web/1", "java.lang.IllegalStateException: boom\n\tat a.b.C(C.java:7)"),
    ("web/1", r#"{"level":"WARN","@timestamp":"mine","a.b":"dotted","ip":"10.0.0.7"}"#),
];

fn run(query: &str) -> Outcome {
    let records = LINES.iter().zip(0i64..).map(|((stream, message), index)| Record {
        account: "111122223333",
        group: "/ecs/web",
        stream,
        timestamp_ms: START + index * 60_000,
        ingestion_ms: START + index * 60_000 + 250,
        message,
        id: index.unsigned_abs(),
        bytes: message.len() as u64,
    });
    compile(query).unwrap_or_else(|error| panic!("{query}: {error:?}")).run(records, None)
}

/// The rows as `name=value` cells, without `@ptr`.
fn rows(query: &str) -> Vec<String> {
    run(query)
        .rows
        .iter()
        .map(|row| {
            let cells = row.iter().filter(|(name, _)| &**name != "@ptr");
            cells.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        })
        .collect()
}

/// Each query against the rows it gives.
fn table(cases: &[(&str, &[&str])]) {
    for (query, expected) in cases {
        assert_eq!(rows(query), *expected, "{query}");
    }
}

#[test]
fn raw_rows_come_latest_first_with_time_and_pointer() {
    let outcome = run("filter level = 'ERROR' | fields @timestamp, status");
    let row: Vec<String> = outcome.rows[0].iter().map(|(name, value)| format!("{name}={value}")).collect();
    let pointer = super::pointer(2);
    assert_eq!(row, ["@timestamp=2026-11-21 06:27:00.796", "status=503", &format!("@ptr={pointer}")]);
    assert_eq!(super::event_of_pointer(&pointer), Some(2));
    assert_eq!(outcome.statistics.records_matched, 2);
    assert_eq!(outcome.statistics.records_scanned, 7);
    let bytes: usize = LINES.iter().map(|(_, line)| line.len()).sum();
    assert_eq!(outcome.statistics.bytes_scanned, bytes as u64);
}

#[test]
fn without_fields_time_and_message_are_shown() {
    assert_eq!(
        rows("filter @message like 'bob'"),
        ["@timestamp=2026-11-21 06:29:00.796 @message=GET /pay status=200 took 7ms user=bob"]
    );
}

#[test]
fn filters() {
    let count = |condition: &str| {
        let rows = rows(&format!("filter {condition} | stats count(*) as n"));
        rows.first().map_or(0, |row| row.trim_start_matches("n=").parse::<u32>().unwrap())
    };
    for (condition, expected) in [
        ("status >= 500", 2),
        ("status = 502 or status = 503", 2),
        ("status in [502, '503']", 2),
        ("ispresent(status) and status not in [502, 503]", 1),
        ("level = 'ERROR' and not user.id = 'u1'", 1),
        ("level != 'ERROR' and ispresent(level)", 2),
        // A missing field differs from every value.
        ("level != 'ERROR'", 5),
        ("level = 'error'", 0),
        ("@message like /(?i)exception|error/", 3),
        ("@message like 'status=5'", 1),
        ("@message =~ /status=\\d+ took/", 2),
        ("@message not like /\\{/", 3),
        ("@message like /GET \\/pay/", 1),
        ("(level = 'INFO' or level = 'WARN') and ispresent(user.id)", 1),
        ("user.vip = 1", 1),
        ("user.vip = true", 1),
        ("user.vip = 'false'", 1),
        ("tags.1 = \"b\"", 1),
        ("`a.b` = 'dotted'", 1),
        ("a.b = 'dotted'", 1),
        ("@@timestamp = 'mine'", 1),
        ("strcontains(@message, 'pool')", 2),
        ("isempty(error) and ispresent(level)", 2),
        ("isvalidip(ip)", 1),
        ("ms * 2 > 1000 and ms / 2 < 500", 1),
        ("@logStream = 'web/2'", 3),
        ("@log = '111122223333:/ecs/web'", 7),
        ("2 ^ 3 ^ 2 = 512 and 10 % 3 = 1 and -2 + 5 = 3", 7),
        ("1 / 0 = 1", 0),
        ("FILTERED = 1 OR @message LIKE 'GET'", 2),
    ] {
        assert_eq!(count(condition), expected, "{condition}");
    }
}

#[test]
fn parses_globs_and_regular_expressions() {
    table(&[
        (
            "parse @message \"GET * status=* took *ms user=*\" as path, code, took, who | filter ispresent(code) | display path, code, took, who",
            &["path=/pay code=200 took=7 who=bob", "path=/cart code=500 took=31 who=ann"],
        ),
        (
            "parse /status=(?<code>\\d+) took (?<took>\\d+)ms/ | filter took > 10 | fields code",
            &["code=500 took=31"],
        ),
        (
            "parse @message /user=(\\w+)/ as who | filter ispresent(who) | sort who | display who",
            &["who=ann", "who=bob"],
        ),
        (
            "parse error '* exhausted' as what | stats count(*) by what | filter ispresent(what)",
            &["what=pool count(*)=2"],
        ),
        (
            "parse @message '*: *' as class, reason | filter class like 'Exception' | display class, reason",
            &["class=java.lang.IllegalStateException reason=boom\n\tat a.b.C(C.java:7)"],
        ),
    ]);
}

#[test]
fn aggregates() {
    table(&[
        ("stats count(*)", &["count(*)=7"]),
        ("stats count(level), count_distinct(level) as kinds", &["count(level)=4 kinds=3"]),
        (
            "stats sum(ms), avg(ms), min(ms), max(ms)",
            &["sum(ms)=2012.5 avg(ms)=670.8333 min(ms)=12.5 max(ms)=1100"],
        ),
        ("stats pct(ms, 50) as p50, pct(ms, 99) as p99, pct(ms, 0) as p0", &["p50=900 p99=1100 p0=12.5"]),
        ("stats stddev(ms) as sd", &["sd=578.8368"]),
        (
            "stats count(*) as n by level | sort n desc, level",
            &["n=3", "level=ERROR n=2", "level=INFO n=1", "level=WARN n=1"],
        ),
        (
            "stats count(*) as n by bin(5m) as t, @logStream as s | sort t, s desc",
            &[
                "t=2026-11-21 06:25:00.000 s=web/2 n=3",
                "t=2026-11-21 06:25:00.000 s=web/1 n=2",
                "t=2026-11-21 06:30:00.000 s=web/1 n=2",
            ],
        ),
        ("stats count(*) by bin(1 hour)", &["bin(1 hour)=2026-11-21 06:00:00.000 count(*)=7"]),
        (
            "stats min(@timestamp) as first, max(@timestamp) as last",
            &["first=2026-11-21 06:25:00.796 last=2026-11-21 06:31:00.796"],
        ),
        ("stats earliest(status) as e, latest(status) as l", &["e=200 l=503"]),
        ("stats sum(status >= 500) / count(status) * 100 as percent", &["percent=66.6667"]),
        ("stats count(*) as n by level | stats max(n) as most, count(*) as groups", &["most=3 groups=4"]),
        ("stats count(*) as n by level | filter n > 2 | fields n * 10 as tens", &["n=3 tens=30"]),
        ("filter level = 'none' | stats count(*)", &[]),
    ]);
}

#[test]
fn orders_limits_and_deduplicates() {
    table(&[
        ("filter ispresent(ms) | sort ms asc | limit 2 | fields ms", &["ms=12.5", "ms=900"]),
        (
            "fields level | filter ispresent(level) | dedup level | sort level",
            &["level=ERROR", "level=INFO", "level=WARN"],
        ),
        ("fields level | dedup level | stats count(*) as n", &["n=6"]),
        (
            "fields strlen(level) as n, level | filter n = 4 | sort level desc",
            &["n=4 level=WARN", "n=4 level=INFO"],
        ),
    ]);
    // Text before numbers, digits inside text by value.
    let messages = ["10", "9", "item10", "item9", "b"];
    let records = messages.iter().zip(0i64..).map(|(message, index)| Record {
        account: "a",
        group: "g",
        stream: "s",
        timestamp_ms: index,
        ingestion_ms: index,
        message,
        id: index.unsigned_abs(),
        bytes: message.len() as u64,
    });
    let sorted = compile("fields @message | sort @message asc").unwrap().run(records, None);
    let order: Vec<&str> = sorted.rows.iter().map(|row| row[0].1.as_str()).collect();
    assert_eq!(order, ["b", "item9", "item10", "9", "10"]);
}

#[test]
fn functions() {
    for (expression, expected) in [
        ("concat('a', 1, '-', 2.50)", "a1-2.5"),
        ("toupper('abc')", "ABC"),
        ("tolower('ABC')", "abc"),
        ("substr('xyZfooxyZ', 3, 3)", "foo"),
        ("substr('xyZfoo', 3)", "foo"),
        ("trim('xyZfooxyZ', 'xyZ')", "foo"),
        ("ltrim('  a ')", "a "),
        ("rtrim('  a ')", "  a"),
        ("replace('foo', 'o', '0')", "f00"),
        ("strlen('né')", "2"),
        ("strcontains('abc', 'b')", "1"),
        ("floor(2.7) + ceil(2.1) + abs(-1)", "6"),
        ("greatest(1, 5, 3) - least(4, 2)", "3"),
        ("sqrt(16)", "4"),
        ("log(1)", "0"),
        ("coalesce(nothing, 'else')", "else"),
        ("datefloor(@timestamp, 1h)", "2026-11-21 06:00:00.000"),
        ("dateceil(@timestamp, 1h)", "2026-11-21 07:00:00.000"),
        ("datefloor(@timestamp, 1mo)", "2026-11-01 00:00:00.000"),
        ("datefloor(@timestamp, 1w)", "2026-11-16 00:00:00.000"),
        ("dateceil(@timestamp, 1q)", "2027-01-01 00:00:00.000"),
        ("fromMillis(1795242300796)", "2026-11-21 06:25:00.796"),
        ("toMillis(@timestamp)", "1795242300796"),
        ("1 = 1", "1"),
        ("1 / 3", "0.3333"),
    ] {
        let found = rows(&format!("filter level = 'INFO' | fields {expression} as v"));
        assert_eq!(found, [format!("v={expected}")], "{expression}");
    }
}

#[test]
fn comments_case_and_quotes() {
    table(&[(
        "FIELDS level # the level\n| Filter level LIKE \"ERR\" # only errors\n| SORT @timestamp ASC\n| LIMIT 1",
        &["level=ERROR"],
    )]);
}

#[test]
fn estimate_reads_nothing() {
    let outcome = run("fields @message | filter @message like 'x' | estimate");
    let bytes: usize = LINES.iter().map(|(_, line)| line.len()).sum();
    assert_eq!(outcome.rows.len(), 1);
    assert_eq!(outcome.rows[0][0].1, bytes.to_string());
    assert_eq!(outcome.statistics.bytes_scanned, 0);
}

#[test]
fn mistakes_are_located() {
    for (query, start, end, message) in [
        ("", 0, 0, "the query is empty"),
        ("feilds @message", 0, 6, "unknown command `feilds`"),
        ("fields @message | pattern @message", 18, 25, "command `pattern` is not supported here"),
        ("fields @timestamp, @message | count()", 30, 35, "unknown command `count`"),
        ("filter level == 'ERROR'", 14, 15, "equality is written `=`"),
        ("filter level = 'ERROR", 15, 21, "the string is not closed"),
        ("filter @message like /(/", 21, 24, "the regular expression is not valid"),
        ("filter lower(level) = 'x'", 7, 12, "did you mean `tolower`?"),
        ("filter count(*) > 3", 7, 12, "allowed in `stats` only"),
        ("stats level", 6, 11, "takes aggregations"),
        ("stats count(*) by bin(5)", 23, 24, "expected a period"),
        ("stats count(*) by bin(5x)", 22, 24, "is not a period"),
        ("stats sum(avg(ms))", 10, 13, "not nested"),
        ("fields @message limit 5", 16, 21, "expected `|` or the end"),
        ("limit 0", 6, 7, "whole number from 1 to 100000"),
        ("fields strlen() as n", 7, 15, "takes 1 argument, not 0"),
        ("parse @message 'a*b*' as x", 15, 21, "has 2 `*` but 1 names"),
        ("parse @message /(\\d+)/", 15, 22, "no named group"),
        ("fields 1 as x, 2 as x", 20, 21, "Ephemeral field is already defined: x"),
        ("estimate | limit 5", 9, 10, "must be the last command"),
        ("filter é = 1 and", 16, 16, "unexpected the end of the query"),
        ("filter foo-bar}", 14, 15, "unexpected character `}`"),
    ] {
        let error = compile(query).expect_err(query);
        assert!(error.message.contains(message), "{query}: {}", error.message);
        assert_eq!((error.start, error.end), (start, end), "{query}: {}", error.message);
    }
    assert!(compile(&format!("filter {}1{}", "(".repeat(500), ")".repeat(500))).is_err());
    assert!(compile(&format!("filter {}1", "1+".repeat(4000))).is_err());
    assert!(compile(&"a".repeat(10_001)).is_err());
    assert!(compile("filter @message like /(a{1000}){1000}/").is_err());
}
