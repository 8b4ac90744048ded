use super::*;

const CONFIG: &str = r#"
    [ceilings]
    hour_micro_usd = 1_000_000
    [breaker]
    error_percent = 30
    [limits]
    tokens_per_minute = 200_000
    [[small]]
    provider = "openai"
    model = "coder"
    base_url = "http://127.0.0.1:8080/v1"
    calling = "schema"
    price = { input = 0, output = 0 }
    [[large]]
    provider = "bedrock"
    model = "us.anthropic.claude-sonnet-4-6"
    region = "us-east-1"
    [[large]]
    provider = "bedrock"
    model = "us.anthropic.claude-sonnet-4-6"
    region = "us-west-2"
    limits = { requests_per_minute = 30 }
    [[large]]
    provider = "openai"
    model = "coder"
    base_url = "http://127.0.0.1:8080/v1"
"#;

#[test]
fn chains_are_built_in_order_with_one_gate_for_each_place() {
    let config = MoneyConfig::parse(CONFIG).unwrap();
    assert_eq!((config.ceilings.hour_micro_usd, config.ceilings.incident_micro_usd), (1_000_000, 500_000));
    let aws = SdkConfig::builder().behavior_version(aws_config::BehaviorVersion::latest()).build();
    let models = config.build(Some(&aws), Prices::embedded().unwrap(), &Gates::default()).unwrap();
    let gates: Vec<&str> = models.bounds.gates.names().collect();
    assert_eq!(
        gates,
        [
            "http://127.0.0.1:8080/v1 coder",
            "us-east-1 us.anthropic.claude-sonnet-4-6",
            "us-west-2 us.anthropic.claude-sonnet-4-6"
        ]
    );
    assert_eq!((models.small.id(), models.small.fallbacks().len()), ("openai/coder", 0));
    let after: Vec<&str> = models.large.fallbacks().iter().map(|m| m.id()).collect();
    assert_eq!(after, ["us.anthropic.claude-sonnet-4-6", "openai/coder"]);
    let now = "2026-11-21T02:04:00Z".parse().unwrap();
    assert_eq!(models.prices.of("openai/coder", now), Some(Price::FREE));
    let none = MoneyConfig::default().build(None, Prices::default(), &Gates::default()).unwrap();
    assert_eq!((none.small.id(), none.bounds.gates.names().count()), ("playbook", 0));
}

#[test]
fn what_cannot_work_is_said_before_the_first_alarm() {
    let gates = Gates::default();
    let build =
        |text: &str| MoneyConfig::parse(text).unwrap().build(None, Prices::default(), &gates).unwrap_err();
    let bedrock = build("[[small]]\nprovider = \"bedrock\"\nmodel = \"m\"\n");
    assert!(matches!(bedrock, ModelsError::NoAws(_)));
    let openai = "[[small]]\nprovider = \"openai\"\nmodel = \"m\"\n";
    let no_key = build(&format!("{openai}base_url = \"https://h/v1\"\nkey_env = \"MIDWATCH_NO_SUCH_KEY\"\n"));
    assert_eq!(
        no_key.to_string(),
        "the key of model `m` cannot be read from `MIDWATCH_NO_SUCH_KEY`: it is not set"
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_its_line_and_its_remedy() {
    let text = r#"
switch = "off"
[ceilings]
year_micro_usd = 1
hour_micro_usd = -1
[breaker]
probes = "two"
[limits]
requests_per_minute = 0
[[small]]
provider = "other"
model = "m"
[[small]]
model = "m"
[[small]]
provider = "bedrock"
typo = 1
limits = { requests_per_minute = 0, tokens_per_minute = 0 }
[[large]]
provider = "openai"
model = "near"
base_url = "http://models.internal/v1"
calling = "shouting"
price = { input = 1, cached = 2 }
[[large]]
provider = "openai"
model = "near"
base_url = "https://h/v1"
"#;
    let problems: Vec<String> =
        MoneyConfig::parse(text).unwrap_err().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(problems.join("\n"));
}

#[test]
fn names_are_known_without_keys_and_without_a_region_of_the_environment() {
    let text = r#"
[[small]]
provider = "openai"
model = "coder"
base_url = "https://h/v1"
key_env = "MIDWATCH_NO_SUCH_KEY"
[[large]]
provider = "bedrock"
model = "m"
[[large]]
provider = "bedrock"
model = "m"
region = "us-west-2"
"#;
    let mut config = MoneyConfig::parse(text).unwrap();
    let names: Vec<String> = config.names().into_iter().collect();
    assert_eq!(names, ["bedrock m", "https://h/v1 coder", "us-west-2 m"]);
    // The gates of whoever has the keys, wherever it is, are called the same.
    config.small.clear();
    let region = Some(Region::new("eu-west-1"));
    let aws = SdkConfig::builder().behavior_version(aws_config::BehaviorVersion::latest()).region(region);
    let models = config.build(Some(&aws.build()), Prices::default(), &Gates::default()).unwrap();
    assert!(models.bounds.gates.names().eq(["bedrock m", "us-west-2 m"]));
}
