//! How fast queries are over a large log. Run with `--release -- --ignored --nocapture`.

use midwatch_sim::insights::{Record, compile};

#[test]
#[ignore = "a measurement, worth something in a release build only"]
#[expect(clippy::disallowed_methods, reason = "it measures real time")]
fn queries_over_a_hundred_thousand_events() {
    let lines: Vec<String> = (0..100_000u32)
        .map(|n| {
            let level = if n % 17 == 0 { "ERROR" } else { "INFO" };
            format!(
                r#"{{"level":"{level}","status":{},"ms":{},"path":"/cart/{}","user":{{"id":"u{}"}},"msg":"request {n} done"}}"#,
                200 + n % 5 * 100,
                n % 997,
                n % 31,
                n % 211
            )
        })
        .collect();
    let records: Vec<Record<'_>> = lines
        .iter()
        .zip(0u64..)
        .map(|(message, id)| Record {
            account: "123456789012",
            group: "/ecs/web",
            stream: "web/1",
            timestamp_ms: i64::try_from(id).unwrap() * 36,
            ingestion_ms: 0,
            message,
            id,
            bytes: message.len() as u64,
        })
        .collect();
    for text in [
        "fields @timestamp, @message | sort @timestamp desc | limit 20",
        "filter @message like /ERROR/ | stats count(*) by bin(1m)",
        "filter @message like 'ERROR' | limit 100",
        "filter level = 'ERROR' and status >= 500 | stats count(*), avg(ms), pct(ms, 99) by path",
        "parse @message '\"path\":\"*\"' as p | stats count(*) as n by p | sort n desc",
        "stats count_distinct(user.id) by bin(5m)",
    ] {
        let query = compile(text).unwrap();
        let start = std::time::Instant::now();
        let runs = 5;
        for _ in 0..runs {
            assert_eq!(query.run(records.iter().copied(), None).statistics.records_scanned, 100_000);
        }
        let each = start.elapsed().as_secs_f64() / f64::from(runs);
        println!("{:6.1} queries/s  {:6.1} ms  {text}", 1.0 / each, each * 1000.0);
    }
}
