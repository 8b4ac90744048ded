//! What a configuration may say.

use super::*;

const GOOD: &str = r#"
store = "kept/incidents.db"
catalog = "catalog.toml"
mcp_servers = "mcp.json"
model = "bedrock"
[http]
listen = "0.0.0.0:8484"
behind_tls = true
hosts = ["midwatch.example.com"]
[[caller]]
name = "grafana"
sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
may = ["alarms", "metrics"]
[sns]
topics = ["arn:aws:sns:us-east-1:123456789012:alarms"]
[[sqs]]
url = "https://sqs.us-east-1.amazonaws.com/123456789012/alarms"
dead_letter = "https://sqs.us-east-1.amazonaws.com/123456789012/alarms-dead"
[work]
at_once = 4
waiting = 100
grace = "10s"
[grouping]
related = "5m"
[[silence]]
id = "canary"
reason = "known"
until = 2026-12-01T00:00:00Z
alarms = ["canary-*"]
[desk]
url = "https://desk.example.com"
token_file = "desk.token"
[remediation]
url = "https://remediation.example.com/mcp"
token_file = "/secrets/remediation.token"
"#;

#[test]
fn what_is_said_is_read_and_paths_are_relative_to_the_file() {
    let config = Config::parse(GOOD, Path::new("/etc/midwatch")).unwrap();
    config.check().unwrap();
    assert_eq!(config.store.unwrap(), Path::new("/etc/midwatch/kept/incidents.db"));
    assert_eq!(config.mcp_servers.unwrap(), Path::new("/etc/midwatch/mcp.json"));
    assert_eq!(config.desk.unwrap().token_file, Path::new("/etc/midwatch/desk.token"));
    assert_eq!(config.remediation.unwrap().token_file, Path::new("/secrets/remediation.token"));
    assert_eq!((config.at_once, config.waiting, config.grace), (4, 100, Duration::from_secs(10)));
    assert_eq!(config.grouping.related.as_secs(), 300);
    assert_eq!(config.queues[0].name, "alarms");
    assert!(config.callers[0].knows("test") && !config.callers[0].knows("tset"));
    assert!(!format!("{:?}", config.callers).contains("test"));
}

#[test]
fn every_problem_is_said_at_once_with_its_line_and_its_remedy() {
    let text = r#"
catalogue = "x"
model = "gpt"
[http]
listen = "everywhere"
[[caller]]
name = "a"
sha256 = "12"
[sns]
topics = ["arn:aws:sqs:x"]
[[sqs]]
url = "alarms"
[work]
at_once = 0
grace = "soon"
[[silence]]
id = "all"
reason = "?"
until = "tomorrow"
alarms = ["*"]
[money]
ceiling = 1
[money.ceilings]
hour_micro_usd = "much"
[[money.large]]
provider = "bedrock"
[desk]
url = "https://desk.example.com"
"#;
    let error = Config::parse(text, Path::new("")).unwrap_err().to_string();
    for said in [
        "line 2: there is no field `catalogue`; known are store",
        "there is no model `gpt`; write `model",
        "line 5: [http]: `listen`",
        "`sha256` is not 64 hexadecimal digits",
        "`arn:aws:sqs:x` is no topic's ARN",
        "`alarms` is no URL",
        "`at_once` is 0",
        "`grace` is `soon`",
        "`until` is `tomorrow`",
        "`*` would silence everything",
        "line 22: [money]: there is no field `ceiling`; known are ceilings",
        "line 24: [money.ceilings]: `hour_micro_usd`: invalid type: string \"much\", expected u64; write it like",
        "line 25: [[money.large]] 1: there is no `model`; say which",
        "there is no `token_file`",
    ] {
        assert!(error.contains(said), "{said}\n{error}");
    }
}

#[test]
fn readers_may_run_elsewhere_and_tokens_go_there_in_the_open_only_where_that_is_said() {
    let server = |name: &str, more: &str| {
        format!("[[server]]\nname = \"{name}\"\nurl = \"http://{name}:8710/mcp\"\ntoken_file = \"t\"\n{more}")
    };
    let text = format!("{}{}", server("logs", "private_network = true\n"), server("metrics", ""));
    let config = Config::parse(&text, Path::new("/etc")).unwrap();
    let read: Vec<_> = config.readers.iter().map(|r| (r.reader.name(), r.place.network)).collect();
    assert_eq!(read, [("logs", Network::Private), ("metrics", Network::Open)]);
    assert_eq!(config.readers[0].place.token_file, Path::new("/etc/t"));
    let wrong = format!("{}{}{}", server("logs", ""), server("logs", ""), server("remediation", ""));
    let error = Config::parse(&wrong, Path::new("")).unwrap_err().to_string();
    for said in ["`logs` stands there twice", "there is no server `remediation` that only reads"] {
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn others_on_a_private_network_need_a_token_and_no_tls() {
    let known = "[[caller]]\nname = \"a\"\nsha256 = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"\n";
    let open = "[http]\nlisten = \"0.0.0.0:1\"\nprivate_network = true\n";
    Config::parse(&format!("{open}{known}"), Path::new("")).unwrap().check().unwrap();
    let error = Config::parse(open, Path::new("")).unwrap().check().unwrap_err().to_string();
    assert!(error.contains("nobody is known") && !error.contains("loopback"), "{error}");
}

#[test]
fn nobody_else_is_listened_to_without_tls_and_a_name() {
    let alarm = "[http]\nlisten='0.0.0.0:1'\n";
    let error = Config::parse(alarm, Path::new("")).unwrap().check().unwrap_err().to_string();
    for said in ["is not a loopback address", "behind_tls = true", "nobody is known", "no alarm can come in"]
    {
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn what_only_a_start_can_change_is_named() {
    let began = Config::parse(GOOD, Path::new("/etc/midwatch")).unwrap();
    let again = |text: &str| Config::parse(text, Path::new("/etc/midwatch")).unwrap().needs_a_restart(&began);
    assert!(again(GOOD).is_empty());
    assert!(again(&GOOD.replace("canary-*", "other-*")).is_empty());
    let other = GOOD.replace("at_once = 4", "at_once = 5").replace("\"alarms\", \"metrics\"", "\"alarms\"");
    assert_eq!(again(&other), ["`[[caller]]`", "`work.at_once`"]);
    let other = GOOD
        .replace("kept/incidents", "other/incidents")
        .replace("grace = ", "aws_calls_per_second = 1\ngrace = ");
    assert_eq!(again(&other), ["`store`", "`work.aws_calls_per_second`"]);
    let moved = GOOD.replace("0.0.0.0:8484", "0.0.0.0:8485");
    assert_eq!(again(&moved), ["`http.listen`"]);
    // What a flag says stays what it is, whatever the file said before and says now.
    let flag = Config { listen: "127.0.0.1:1".parse().unwrap(), ..began.clone() };
    assert!(began.needs_a_restart(&flag).is_empty());
}

#[test]
fn flags_go_over_what_the_file_says_whenever_it_is_read() {
    let over = Over { catalog: Some("flag.toml".into()), ..Over::default() };
    let read = |text: &str| Config::parse(text, Path::new("/etc/midwatch")).unwrap().under(&over);
    assert_eq!(read(GOOD).catalog.unwrap(), Path::new("flag.toml"));
    let again = read(&GOOD.replace("catalog.toml", "other.toml").replace("bedrock", "playbook"));
    assert_eq!(again.catalog.unwrap(), Path::new("flag.toml"));
    assert_eq!(again.model, ModelChoice::Playbook, "what no flag says is as the file says it now");
}

#[test]
fn own_patterns_are_taken_out_by_the_logs_server_here() {
    let of = |text: &str| Config::parse(text, Path::new("/etc/midwatch"));
    let good = of("[redact]\ncustomer = 'C-[0-9]{3}'\n").unwrap();
    assert_eq!(good.redact.redact("of C-123").text, "of [redacted:customer]");
    let said = of("[redact]\na = '('\nemail = 'x'\n").unwrap_err().to_string();
    assert!(said.contains("`a` is no regular expression") && said.contains("`email` is built in"), "{said}");
    let said = of("redact = 'C-1'\n").unwrap_err().to_string();
    assert!(said.contains("`redact = { customer ="), "{said}");
    let elsewhere =
        "[redact]\na = 'x'\n[[server]]\nname = 'logs'\nurl = 'http://127.0.0.1:1/mcp'\ntoken_file = 't'\n";
    assert!(of(elsewhere).unwrap_err().to_string().contains("the logs server runs elsewhere"));
}
