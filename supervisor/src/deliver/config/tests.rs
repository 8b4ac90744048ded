use super::*;
use crate::deliver::notice::Kind;

const GOOD: &str = r#"
[notify]
raw_alarm_after = "10m"

[notify.channel.pager]
kind = "pagerduty"
routing_key = { env = "PAGER" }

[notify.channel.team]
kind = "slack"
url = { env = "SLACK" }
at_a_time = 1

[notify.channel.hook]
kind = "webhook"
url = "https://hooks.example.com/in"
secret = { env = "HOOK" }

[notify.channel.topic]
kind = "sns"
topic_arn = "arn:aws:sns:eu-west-1:123456789012:oncall"
role_arn = "arn:aws:iam::123456789012:role/notify"

[[notify.route]]
name = "reports"
kinds = ["report"]
steps = [{ channel = "team" }]

[[notify.route]]
name = "nights"
services = ["payments-*"]
tiers = [0, 1]
severities = ["critical", "error"]
hours = "off"
steps = [{ channel = "pager", ack_within = "5m" }, { channel = "topic", attempts = 3 }]

[[notify.route]]
name = "rest"
steps = [{ channel = "pager", ack_within = "10m" }, { channel = "hook" }]

[notify.heartbeat]
every = "30s"
url = { env = "BEAT" }
metric = { namespace = "Midwatch", name = "Heartbeat", region = "eu-west-1" }
"#;

fn variable(name: &str) -> Option<String> {
    Some(match name {
        "PAGER" => "R0UTINGKEY".to_owned(),
        "SLACK" => "https://hooks.slack.com/services/T0/B0/path-secret".to_owned(),
        "HOOK" => "0123456789abcdef".to_owned(),
        "BEAT" => "https://beats.example.com/ping-secret".to_owned(),
        _ => return None,
    })
}

fn parse(text: &str) -> Result<NotifyConfig, NotifyError> {
    NotifyConfig::parse(text, &AwsSettings::default(), &variable)
}

#[test]
fn a_sound_configuration_is_read_and_shows_no_secret() {
    let config = parse(GOOD).unwrap();
    assert_eq!(config.route_names(), ["reports", "nights", "rest"]);
    assert_eq!(config.raw_alarm_after, Duration::from_mins(10));
    let nights = config.routes.named("nights").unwrap();
    assert_eq!(nights.links[0].attempts, ATTEMPTS);
    assert_eq!((nights.links[1].attempts, nights.links[1].ack_within), (3, None));
    assert_eq!(config.routes.named("rest").unwrap().links[1].attempts, LAST_ATTEMPTS);
    assert_eq!(config.routes.named("reports").unwrap().wanted.kinds, Some(vec![Kind::Report]));
    assert_eq!(config.channels["team"].at_a_time, 1);
    let shown = format!("{config:?} {:?}", config.channels_shown());
    for secret in ["R0UTINGKEY", "path-secret", "0123456789abcdef", "ping-secret"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert_eq!(config.channels_shown()["topic"], "sns arn:aws:sns:eu-west-1:123456789012:oncall");
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let text = r#"
[notify]
raw_alarm_after = "soon"
[notify.channel.pager]
kind = "pagerduty"
routing_key = { env = "NOT_SET" }
url = "http://events.example.com/"
[notify.channel.hook]
kind = "webhook"
url = "https://me:pw@hooks.example.com/in"
secret = { env = "PAGER" }
at_a_time = 0
[notify.channel.topic]
kind = "sns"
topic_arn = "oncall"
role_arn = "notify"
[[notify.route]]
name = "all"
steps = []
[[notify.route]]
name = "all"
kinds = []
steps = [{ channel = "nowhere", ack_within = "1s", attempts = 0 }]
[notify.heartbeat]
every = "1s"
"#;
    let NotifyError::Wrong(problems) = parse(text).unwrap_err() else { panic!("it is readable") };
    let all = problems.join("\n");
    for said in [
        "raw_alarm_after: `soon`",
        "`NOT_SET` is not set",
        "the URL is not https",
        "holds a user or a password",
        "fewer than 16",
        "`at_a_time` is 0",
        "`topic_arn` is no ARN",
        "`role_arn` is no ARN",
        "0 `steps`",
        "stands there twice",
        "is never reached",
        "an empty list",
        "no channel `nowhere`",
        "ack_within: `1s`",
        "`attempts` is 0",
        "every: `1s`",
        "neither `url` nor `metric`",
    ] {
        assert!(all.contains(said), "`{said}` is not in:\n{all}");
    }
}

#[test]
fn nothing_is_told_to_nobody() {
    assert!(matches!(parse("[other]").unwrap_err(), NotifyError::Absent));
    let without = GOOD.replace("name = \"rest\"\n", "name = \"rest\"\nalso = true\n");
    let error = parse(&without).unwrap_err().to_string();
    assert!(error.contains("no route catches all"), "{error}");
    let error = parse("[notify]").unwrap_err().to_string();
    assert!(error.contains("no route catches all") && error.contains("[notify.channel.NAME]"), "{error}");
    assert!(matches!(parse("[notify]\nraw_alarm = 3").unwrap_err(), NotifyError::Toml(_)));
}
