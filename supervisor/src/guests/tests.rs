//! What the operator's file may say, and what is said of what it may not.

use std::path::Path;

use midwatch_policy::Problem;

use super::*;

const KNOWN: [&str; 2] = ["log_analyst", "deploy_correlator"];

fn parse(text: &str) -> Result<GuestsFile, Vec<Problem>> {
    let set = |name: &str| (name == "TOKEN").then(|| "a-secret-of-the-environment".to_owned());
    GuestsFile::parse(text, Path::new("/etc/midwatch"), &KNOWN, &set)
}

fn wrong(text: &str) -> String {
    Problem::lines(&parse(text).map(drop).unwrap_err())
}

const GOOD: &str = r#"{
  "$schema": "x", "other": 1,
  "mcpServers": {
    "tickets": {
      "command": "./bin/tickets", "args": ["--key", "${TOKEN}"], "env": {"KEY": "${TOKEN}", "MODE": "${MODE:-slow}"},
      "alwaysAllow": ["delete"],
      "midwatch": {"specialists": ["log_analyst"], "tools": ["search"], "changes": ["comment"], "timeout_seconds": 3, "max_bytes": 2048}
    },
    "docs.example": {"type": "http", "url": "https://mcp.example.com/mcp?key=${TOKEN}", "headers": {"Authorization": "Bearer ${TOKEN}"}},
    "off": {"command": "x", "disabled": true}
  }
}"#;

#[test]
fn the_common_form_is_read_and_what_belongs_to_nobody_is_left_alone() {
    let file = parse(GOOD).unwrap();
    let [tickets] = &file.guests[..] else { panic!("{file:?}") };
    assert_eq!((tickets.limits.timeout.as_secs(), tickets.limits.max_bytes), (3, 2048));
    let Reach::Process { program, args, env, cwd } = &tickets.reach else { panic!() };
    assert_eq!(
        (program.as_str(), cwd.as_path()),
        ("/etc/midwatch/./bin/tickets", Path::new("/etc/midwatch"))
    );
    assert_eq!((args[1].as_str(), env["MODE"].as_str()), ("a-secret-of-the-environment", "slow"));
    assert!(tickets.reads.contains("search") && tickets.changes.contains("comment"));
    assert_eq!(file.strangers[0].name.as_str(), "docs-example");
    assert_eq!(file.disabled, ["off"]);
    // Secrets stand in arguments, environment, headers and queries.
    assert!(!format!("{file:?}").contains("a-secret"), "{file:?}");
}

#[test]
fn every_problem_is_said_at_once_and_no_secret_with_it() {
    let said = wrong(
        r#"{"mcpServers": {
        "logs": {"command": "x"},
        "a": {"command": "x", "arg": ["${TOKEN}"]},
        "b": {"command": "x", "url": "https://x"},
        "c": {},
        "d": {"command": 1},
        "e": {"command": "x", "args": "${TOKEN}"},
        "f": {"command": "x", "env": {"N": 1, "TOKEN": "${NONE}"}},
        "g": {"url": "http://mcp.example.com"},
        "h": {"url": "https://u:${TOKEN}@x"},
        "i": {"type": "sse", "url": "https://x"},
        "j": {"command": "x", "midwatch": {"specialist": ["log_analyst"]}},
        "k": {"command": "x", "midwatch": {"specialists": ["remediator"], "tools": ["t"], "changes": ["t"], "timeout_seconds": 0}},
        "l": {"command": "x", "midwatch": {"tools": ["t"]}},
        "m n": {"command": "x"}, "m-n": {"command": "x"},
        "o": {"command": "x", "headers": {}},
        "p": {"url": "https://x", "headers": {"a b": "x"}},
        "q": {"url": "https://x", "midwatch": {"specialists": ["log_analyst"], "pins": {"t": "12"}}},
        "r": [], "s": {"command": "x", "disabled": "yes"}
        }}"#,
    );
    for part in [
        "`logs` is the name of a server of Midwatch's own; give it another name",
        "`a`: there is no field `arg`; known are command",
        "`b`: it has both `command` and `url`",
        "`c`: it has neither",
        "`d`: `command` is no text",
        "`e`: `args` is no list of texts",
        "`f`: `env.N` is no text",
        "`f`: `env.TOKEN` refers to `NONE`",
        "`g`: `url` is plain HTTP",
        "`h`: `url` holds a user or password",
        "`i`: `type` is `sse`",
        "`j`: `midwatch`: unknown field `specialist`",
        "`k`: no specialist `remediator` can be given tools; there are log_analyst, deploy_correlator",
        "`k`: `t` is in `tools` and in `changes`",
        "`k`: `timeout_seconds` is 0; write 1 to 40",
        "`l`: `midwatch` names no specialist",
        "`m-n` and another server are both called `m-n` here",
        "`o`: `headers` stands without `url`",
        "`p`: `a b` in `headers` is no header",
        "`q`: the pin of `t` is no SHA-256",
        "`r`: it is no object",
        "`s`: `disabled` is neither",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    assert!(!said.contains("a-secret"), "{said}");
}

#[test]
fn a_file_of_another_kind_is_told_from_one_with_a_slip() {
    assert!(wrong(r#"{"mcpservers": {}}"#).contains("there is no `mcpServers`, only `mcpservers`"));
    assert!(wrong(r#"{"mcpServers": []}"#).contains("no object"));
    let twice = wrong("{\"mcpServers\": {\n\"a\": {\"command\": \"x\"},\n\"a\": {\"command\": \"y\"}}}");
    assert!(twice.starts_with("line 3: `a` stands there twice"), "{twice}");
    assert!(wrong("{\n\"mcpServers\": {,}}").starts_with("line 2: "), "{}", wrong("{\n\"mcpServers\": {,}}"));
    assert!(parse(r#"{"mcpServers": {}}"#).unwrap().guests.is_empty());
}
