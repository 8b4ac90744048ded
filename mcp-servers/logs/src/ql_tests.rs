use midwatch_mcp::ErrorKind;
use proptest::prelude::*;

use super::*;

fn window(hours: i64) -> Window {
    let from: midwatch_policy::Timestamp = "2026-11-21T02:00:00Z".parse().unwrap();
    Window { from, to: from + midwatch_policy::SignedDuration::from_hours(hours) }
}

fn linted(query: &str) -> String {
    lint(query, window(1)).unwrap_or_else(|error| panic!("{query}: {error}")).query
}

#[test]
fn a_limit_is_added_or_lowered() {
    for (query, bounded) in [
        ("fields @message", "fields @message | limit 1000"),
        ("fields @message | limit 20", "fields @message | limit 20"),
        ("fields @message | limit 9999", "fields @message | limit 1000"),
        ("fields @message | limit 99999999999999999999999", "fields @message | limit 1000"),
        ("fields @message | head 100000", "fields @message | head 1000"),
        ("fields @message | tail 5000", "fields @message | tail 1000"),
        ("fields @message | HEAD", "fields @message | HEAD"),
        (
            "filter @message like /a|limit 3/ | stats count(*)",
            "filter @message like /a|limit 3/ | stats count(*) | limit 1000",
        ),
        ("filter msg = '| limit 3'", "filter msg = '| limit 3' | limit 1000"),
        ("# what is it | unmask\nfields @message", "fields @message | limit 1000"),
    ] {
        assert_eq!(linted(query), bounded);
    }
}

#[test]
fn what_aws_takes_is_taken() {
    for query in [
        "parse msg /(?<a>x|y)/",
        "parse @log /ecs|eks/",
        "parse @message '[*] *' as level, text",
        "fields @memorySize/1000000 as mb | sort mb desc",
        "filter source = 'aws.ecs' | stats count(*) by source",
        "filter (source = 'aws.ecs' or a in ['b', \"c\"])",
        "filter ispresent(source) and source like /ecs|eks/",
        "fields @message | limit 20 # it's a comment",
        "stats count(*) by bin(5m), status as s",
        "stats count(*) by strlen(@message) > 100 as is_long",
        "stats count(*) by @message like /timeout/ as timed_out, datefloor(@timestamp, 1h)",
        "fields @timestamp, strlen(@message) as n | stats count(*) by n",
        "stats count(*) by concat(host, '@message')",
        "stats count(*) by substr(@message, 0, 40), strcontains(@message, 'timeout') as timed_out",
        "stats count(*) by substr(concat(host, @message), 0, 12)",
        "stats count(*) by dateceil(@timestamp, 1mo), floor(strlen(@message) / 100)",
        "stats count(*) by concat(status, @message like /slow/)",
        "parse @message '[*] *' as level, text | stats count(*) by level, text",
        "parse @message '* * * *' as day, time, level, rest | stats count(*) by level",
        "parse level '*' as l | stats count(*) by l",
        "parse @message '*' as m | filter m like /x/ | dedup m",
        "fields @message as m | pattern m",
        "fields @message as m | stats count(*) by host as m2, strlen(m)",
        "parse @message 'Failed password for * from * port *' as user, ip, port | stats count(*) by ip",
        "parse @message /status=(?<status>\\d+) took (?<ms>\\d+) ms/ | stats avg(ms) by status",
        "parse @message 'token expired for session *' as session",
        "stats count_distinct(fields.id) by coalesce(a, b)",
    ] {
        let bounded = linted(query);
        assert!(bounded.contains("limit"), "{bounded}");
    }
}

#[test]
fn what_reads_more_than_was_named_is_refused() {
    for query in [
        "SOURCE logGroups() | fields @message",
        "source logGroups(namePrefix: ['/a']) | fields @message",
        "fields @message | SOURCE '/secret'",
        "filter id in (SOURCE \"/secret\" | fields id)",
        "filter id in (SOURCE \"/secret\" | fields id | limit 5)",
        "filter id in (SOURCE \"/secret\")",
        "filter id in (\n source\n'/secret')",
        "filter id in (fields id | filter a = 'b')",
        "filter id in (fields id)",
        r#"filter a = "\" in (SOURCE '/secret' | fields id) and b = \"""#,
        "fields @message | unmask(@message)",
        "fields a | join type=left (SOURCE '/b' | fields c) where a = c",
        "fields @message | lookup t a",
        "fields @message | estimate",
        "stats count(*) by @message",
        "stats count(*) by host, @ptr",
        "stats count(*) by\n@timestamp",
        "stats count(*) by host, `@message`",
        "stats count(*) by trim(@message)",
        "stats count(*) by concat(@message, '')",
        "stats count(*) by tolower(concat('a', `@message`))",
        "fields @message as m | stats count(*) by m",
        "filter @message like /x/ | stats count(*) by substr(@message, 0)",
        "stats count(*) by substr(@message, 0, 1000)",
        "stats count(*) by concat('x', substr(`@message`, 3))",
        "fields substr(@message, 2) as m | stats count(*) by m",
        "stats count(*) by floor(@timestamp)",
        "stats count(*) by concat(@message, strlen(host) > 3)",
        "parse @message '*' as m | stats count(*) by m",
        "parse @message /(?<m>.*)/ | stats count(*) by m",
        "parse @message /(?<m>.+)/ | fields tolower(m) as n | stats count(*) by host, n",
        "fields trim(@message) as t | parse t '*' as m | stats count(*) by m",
        "parse concat(@message, '') '*' as m | stats count(*) by `m`",
        "fields level, trim(@message) as m | display m as n | stats count(*) by level, n",
        "parse @message /password=(?<x>\\S+)/ | fields x",
        "parse @message /\"api_key\"\\s*:\\s*\"(?<x>[^\"]+)\"/ | fields x",
        "parse @message 'user=* password=*' as u, x | fields x",
        "parse @message /(?i)authorization: bearer (?<x>.+)/",
    ] {
        let error = lint(query, window(1)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused, "{query}: {error}");
    }
}

#[test]
fn mistakes_are_caught_before_they_run() {
    for (query, says) in [
        (" ", "empty"),
        ("# only a comment", "empty"),
        ("select * from logs", "not a command"),
        ("fields @message | | limit 3", "between two"),
        ("fields @message | limit all", "no whole number"),
        ("fields @message | limit", "no whole number"),
        ("fields @message | limit 3 | tail -9", "no whole number"),
        ("filter @message like 'open", "not closed"),
        ("filter @message like /open", "not closed"),
        ("stats count(* by bin(1m)", "not closed"),
        ("stats count(*)) by bin(1m)", "closes nothing"),
    ] {
        let error = lint(query, window(1)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid, "{query}");
        assert!(error.message.contains(says), "{query}: {}", error.message);
    }
    assert_eq!(lint(&"x".repeat(5000), window(1)).unwrap_err().kind, ErrorKind::Invalid);
}

#[test]
fn bins_are_bounded_and_the_shortest_that_works_is_named() {
    assert!(lint("stats count(*) by bin(1s)", window(2)).is_ok());
    for query in [
        "stats count(*) by bin(1s)",
        "stats count(*) by host, bin( 1 s ) as t",
        "stats count(*) by datefloor(@timestamp, 1s)",
        "stats count(*) by dateceil(@ingestionTime, 500 ms)",
        "stats count(*) by concat(host, bin(30s))",
        "stats count(*) by floor(bin(1msec))",
    ] {
        let error = lint(query, window(24 * 7)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused, "{query}");
        assert!(error.mend.contains("bin(2m)"), "{query}: {}", error.mend);
    }
    let error = lint("stats count(*) by datefloor(@timestamp, 1ms)", window(1)).unwrap_err();
    assert!(
        error.message.starts_with("`datefloor(@timestamp,1ms)` cuts the window into 3600000 bins"),
        "{error}"
    );
    for query in [
        "fields bin(1s) as t | stats count(*) by t",
        "fields datefloor(@timestamp, 1s) as t | stats count(*) by t",
    ] {
        assert_eq!(lint(query, window(24 * 7)).unwrap_err().kind, ErrorKind::Refused, "{query}");
        assert!(lint(query, window(2)).is_ok(), "{query}");
    }
    assert!(lint("stats count(*) by datefloor(@timestamp, 1m)", window(24)).is_ok());
    assert_eq!(lint("stats count(*) by bin(1h) | diff", window(24)).unwrap().passes, 2);
}

/// A value that holds whatever code looks like, in quotes or as a pattern.
fn value() -> impl Strategy<Value = String> {
    let inside = "[a-z(), ]{0,8}(\\| ?limit 5|SOURCE x|#|\\)| by @message)?[a-z(|]{0,5}";
    (inside, prop::sample::select(vec!['"', '\'', '/']))
        .prop_map(|(text, quote)| format!("{quote}{text}{quote}"))
}

/// A command that says nothing but what it says.
fn command() -> impl Strategy<Value = String> {
    prop_oneof![
        value().prop_map(|value| format!("filter a like {value}")),
        value().prop_map(|value| format!("parse msg {value} as b")),
        (value(), value()).prop_map(|(a, b)| format!("filter (a like {a} or not b like {b})")),
        Just("fields a / 2 as b, c".to_owned()),
        Just("stats count(*) as n by bin(1m), host".to_owned()),
        (0_u64..30_000).prop_map(|n| format!("limit {n}")),
        (0_u64..30_000).prop_map(|n| format!("tail {n}")),
    ]
}

proptest! {
    /// Every limit of what runs is bounded, there is one, and values are left as they were.
    #[test]
    fn what_runs_is_bounded_and_says_what_was_asked(commands in prop::collection::vec(command(), 1..5), comment in "( #[a-z'|(]{0,9})?") {
        let query = commands.join("\n|") + &comment;
        let linted = lint(&query, window(1)).unwrap_or_else(|error| panic!("{query}: {error}")).query;
        let lexed = lex(&linted);
        let parts: Vec<&str> = lexed.tokens.split(|t| t.kind == Kind::Pipe).map(|c| text_of(&linted, c)).collect();
        let mut limits = 0;
        for (n, part) in parts.iter().enumerate() {
            if let Some(("limit" | "tail", rows)) = part.split_once(' ') {
                limits += 1;
                prop_assert!(rows.parse::<usize>().unwrap() <= MAX_ROWS, "{}", linted);
            } else {
                prop_assert_eq!(*part, &commands[n]);
            }
        }
        prop_assert!(limits >= 1, "{}", linted);
        prop_assert_eq!(&lint(&linted, window(1)).unwrap().query, &linted);
    }

    /// Another group is read by no way of writing it, wherever it stands outside of a value.
    #[test]
    fn source_is_refused_wherever_it_is_code(
        before in command(),
        blank in "[ \n\t]{0,3}",
        source in "[sS][oO][uU][rR][cC][eE]",
        what in prop::sample::select(vec!["\"/x\"", "'/x'", " logGroups()", "(namePrefix: 'a')", " ['/x']"]),
        rest in prop::sample::select(vec!["", " | fields id", " | limit 5"]),
        shape in 0_u8..4,
    ) {
        let read = format!("{blank}{source}{blank}{what}{rest}");
        let query = match shape {
            0 => format!("{before} | filter id in ({read})"),
            1 => format!("{before} | filter (a = 1 and (id in ({read})))"),
            2 => read,
            _ => format!("{before} |{read}"),
        };
        prop_assert_eq!(lint(&query, window(1)).map_err(|error| error.kind), Err(ErrorKind::Refused));
    }

    #[test]
    fn any_text_is_bounded_or_refused(query in "(fields|filter|stats|limit|sort)? ?\\PC{0,120}") {
        if let Ok(linted) = lint(&query, window(1)) {
            prop_assert_eq!(&lint(&linted.query, window(1)).unwrap().query, &linted.query);
        }
    }
}
