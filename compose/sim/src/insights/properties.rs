//! Properties: no query text panics; filters and aggregations agree with a naive computation.

use proptest::prelude::*;

use super::{Record, compile};

fn record(timestamp_ms: i64, message: &str, id: u64) -> Record<'_> {
    Record {
        account: "111122223333",
        group: "/app",
        stream: "s",
        timestamp_ms,
        ingestion_ms: timestamp_ms,
        message,
        id,
        bytes: message.len() as u64,
    }
}

/// Fragments of queries, so that random text gets past the first token often.
fn fragment() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "fields",
        "filter",
        "parse",
        "stats",
        "sort",
        "limit",
        "dedup",
        "display",
        "by",
        "as",
        "and",
        "or",
        "not",
        "like",
        "in",
        "@message",
        "@timestamp",
        "a.b",
        "`x-y`",
        "\"a*b\"",
        "/(?<n>[0-9]+)/",
        "/",
        "count(*)",
        "avg(",
        "pct(n,",
        "bin(5m)",
        "datefloor(@timestamp, 1mo)",
        "substr(@message,",
        "(",
        ")",
        "[",
        "]",
        ",",
        "|",
        "=",
        "!=",
        "<=",
        "=~",
        "+",
        "-",
        "*",
        "^",
        "%",
        "10",
        "0.5",
        "5m",
        "#",
        "'",
        "desc",
        "estimate",
        "true",
    ]);
    prop_oneof![8 => known.prop_map(str::to_owned), 1 => "\\PC{0,6}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_text_compiles_or_fails_with_an_offset_inside_it(text in "\\PC{0,120}") {
        check(&text);
    }

    #[test]
    fn any_words_of_the_language_compile_or_fail_with_an_offset(words in prop::collection::vec(fragment(), 0..24)) {
        check(&words.join(" "));
    }

    #[test]
    fn filter_and_stats_agree_with_a_naive_computation(
        values in prop::collection::vec((-1000i64..1000, "[a-c]{1}", 0i64..600_000), 0..60),
        bound in -1000i64..1000,
    ) {
        let lines: Vec<(i64, String)> = values
            .iter()
            .map(|(number, kind, at)| (*at, format!(r#"{{"n":{number},"kind":"{kind}"}}"#)))
            .collect();
        let records = || lines.iter().zip(0..).map(|((at, line), id)| record(*at, line, id));
        let query = compile(&format!(
            "filter n > {bound} | stats count(*) as c, sum(n) as s, min(n) as lo, max(n) as hi, count_distinct(kind) as d by bin(1m) as t | sort t asc"
        )).unwrap();
        let outcome = query.run(records(), None);

        let mut naive = std::collections::BTreeMap::<i64, Vec<(i64, &str)>>::new();
        for (number, kind, at) in values.iter().filter(|(number, _, _)| *number > bound) {
            naive.entry(at / 60_000).or_default().push((*number, kind));
        }
        prop_assert_eq!(outcome.statistics.records_matched, naive.values().map(Vec::len).sum::<usize>() as u64);
        prop_assert_eq!(outcome.statistics.records_scanned, values.len() as u64);
        let expected: Vec<Vec<String>> = naive
            .iter()
            .map(|(minute, group)| {
                let kinds: std::collections::BTreeSet<&str> = group.iter().map(|(_, kind)| *kind).collect();
                let numbers = || group.iter().map(|(number, _)| *number);
                vec![
                    format!("1970-01-01 00:{minute:02}:00.000"),
                    group.len().to_string(),
                    numbers().sum::<i64>().to_string(),
                    numbers().min().unwrap().to_string(),
                    numbers().max().unwrap().to_string(),
                    kinds.len().to_string(),
                ]
            })
            .collect();
        let found: Vec<Vec<String>> =
            outcome.rows.iter().map(|row| row.iter().map(|(_, value)| value.clone()).collect()).collect();
        prop_assert_eq!(found, expected);
    }
}

/// Compiles the text; runs it if it compiled, and looks at the offsets if it did not.
fn check(text: &str) {
    let lines = [r#"{"a":{"b":1},"n":"7","x-y":null,"list":[1,{"k":true}]}"#, "GET /x 200 12ms", "", "a b é"];
    match compile(text) {
        Ok(query) => {
            let records =
                lines.iter().zip(1..).map(|(line, id)| record(1_000_000 * id, line, id.unsigned_abs()));
            let outcome = query.run(records, Some(3));
            assert!(query.is_estimate() || outcome.statistics.records_scanned == 4);
        }
        Err(error) => {
            assert!(error.start <= error.end, "{error:?}");
            assert!(error.end <= text.chars().count(), "{error:?}");
            assert!(!error.message.is_empty());
        }
    }
}
