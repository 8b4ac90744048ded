//! One TOML file in place of flags: each key is a flag's long name. What stands on the command line or
//! in the environment goes before it. A flag that takes `NAME=…` is a table of names.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use clap::{Arg, ArgAction, Command, Parser, builder::ValueParser, error::ErrorKind, parser::ValueSource};
use toml::Value;

/// What a file cannot say: it makes the program do something else, and end.
const COMMAND_LINE_ONLY: [&str; 6] = ["config", "help", "version", "list-tools", "iam-policy", "new-caller"];

/// The arguments of this process, with those of the file that `--config` names.
pub fn arguments<A: Parser>() -> A {
    arguments_of(std::env::args_os().collect())
}

/// These arguments, the program's name first, with those of the file that `--config` names. What cannot
/// be used is said on stderr, as for a wrong flag, and ends the process.
pub fn arguments_of<A: Parser>(given: Vec<OsString>) -> A {
    let mut command = A::command();
    match with_file(&mut command, given) {
        Ok(all) => A::parse_from(all),
        Err(why) => command.error(ErrorKind::ValueValidation, why).exit(),
    }
}

/// The arguments with those of the file, where one is named; of the subcommand, where one is called.
fn with_file(command: &mut Command, given: Vec<OsString>) -> Result<Vec<OsString>, String> {
    command.build();
    // What else is wrong with them is said when they are parsed.
    let Ok(mut matches) = command.clone().ignore_errors(true).try_get_matches_from(&given) else {
        return Ok(given);
    };
    let mut flags = &*command;
    while let Some((name, of_it)) = matches.remove_subcommand() {
        let Some(found) = flags.find_subcommand(&name) else { break };
        (flags, matches) = (found, of_it);
    }
    let Ok(Some(path)) = matches.try_get_one::<PathBuf>("config") else { return Ok(given) };
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read the configuration `{}`: {error}", path.display()))?;
    let table: toml::Table =
        text.parse().map_err(|error: toml::de::Error| format!("in `{}`: {error}", path.display()))?;
    let base = path.parent().unwrap_or(Path::new(""));
    let mut all = given;
    for (key, value) in &table {
        let wrong = |why: &str| format!("in `{}`: `{key}` {why}", path.display());
        let flag =
            known(flags, key).ok_or_else(|| wrong(&format!("is no setting; there are: {}", names(flags))))?;
        let said = matches.value_source(flag.get_id().as_str());
        if !matches!(said, Some(ValueSource::CommandLine | ValueSource::EnvVariable)) {
            all.extend(as_arguments(flag, value, base).map_err(|why| wrong(&why))?);
        }
    }
    Ok(all)
}

/// The flags that a file may set.
fn settings(flags: &Command) -> impl Iterator<Item = (&str, &Arg)> {
    let named = flags.get_arguments().filter_map(|flag| Some((flag.get_long()?, flag)));
    named.filter(|(name, _)| !COMMAND_LINE_ONLY.contains(name))
}

fn known<'a>(flags: &'a Command, key: &str) -> Option<&'a Arg> {
    settings(flags).find(|(name, _)| name.replace('-', "_") == key).map(|(_, flag)| flag)
}

fn names(flags: &Command) -> String {
    settings(flags).map(|(name, _)| name.replace('-', "_")).collect::<Vec<_>>().join(", ")
}

fn as_arguments(flag: &Arg, value: &Value, base: &Path) -> Result<Vec<OsString>, String> {
    let name = OsString::from(format!("--{}", flag.get_long().unwrap_or_default()));
    if matches!(flag.get_action(), ArgAction::SetTrue) {
        let on = value.as_bool().ok_or("is true or false")?;
        return Ok(if on { vec![name] } else { Vec::new() });
    }
    let many = matches!(flag.get_action(), ArgAction::Append);
    if let (Value::Table(entries), true) = (value, many && takes_pairs(flag)) {
        let pair = |(key, value): (&String, &Value)| {
            let value = value.as_str().ok_or_else(|| format!("has `{key}`, which is no text"))?;
            // In one argument, as below.
            Ok(OsString::from(format!("--{}={key}={value}", flag.get_long().unwrap_or_default())))
        };
        return entries.iter().map(pair).collect();
    }
    let values: &[Value] = match value {
        Value::Array(values) if many => values,
        one => std::slice::from_ref(one),
    };
    let is_path = flag.get_value_parser().type_id() == ValueParser::path_buf().type_id();
    let mut all = Vec::new();
    for value in values {
        let text = match value {
            Value::String(text) if is_path => base.join(text).into_os_string(),
            Value::String(text) => text.into(),
            Value::Integer(number) if !takes_pairs(flag) => number.to_string().into(),
            _ if many && takes_pairs(flag) => return Err("is a table of texts".to_owned()),
            _ if many => return Err("is a list of texts".to_owned()),
            _ => return Err("is a text or a number".to_owned()),
        };
        // In one argument: a value that begins with a dash is a value.
        all.push([name.as_os_str(), OsStr::new("="), &text].into_iter().collect());
    }
    Ok(all)
}

/// Whether each of its values is `NAME=…`.
fn takes_pairs(flag: &Arg) -> bool {
    flag.get_value_names().is_some_and(|names| names.iter().any(|name| name.contains('=')))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use clap::{CommandFactory as _, Subcommand};

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(subcommand)]
        what: What,
    }

    #[derive(Debug, Subcommand)]
    enum What {
        Serve {
            #[arg(long)]
            config: Option<PathBuf>,
            #[arg(long)]
            catalog: Option<PathBuf>,
            #[arg(long)]
            allow_host: Vec<String>,
            #[arg(long, default_value = "info")]
            log: String,
            #[arg(long)]
            rate: Option<NonZeroU32>,
            #[arg(long, value_name = "NAME=REGEX")]
            hide: Vec<String>,
            #[arg(long)]
            plain: bool,
            #[arg(long)]
            list_tools: bool,
        },
    }

    fn with(file: &str, more: &[&str]) -> Result<String, String> {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("server.toml");
        std::fs::write(&path, file).unwrap();
        let given = ["program", "serve", "--config", path.to_str().unwrap()];
        let given = given.iter().chain(more).map(OsString::from).collect();
        let told = |text: String| text.replace(home.path().to_str().unwrap(), "DIR");
        let all = with_file(&mut Program::command(), given).map_err(told)?;
        let What::Serve { catalog, allow_host, log, rate, plain, hide, .. } =
            Program::try_parse_from(all).map_err(|error| error.to_string())?.what;
        let hide = if hide.is_empty() { String::new() } else { format!(" {hide:?}") };
        Ok(told(format!("{catalog:?} {allow_host:?} {log} {rate:?} {plain}{hide}")))
    }

    #[test]
    fn a_file_says_what_flags_would_and_they_go_before_it() {
        let file = "catalog = 'my.toml'\nallow_host = ['a', '-b']\nlog = 'warn'\nrate = 4\nplain = true";
        assert_eq!(with(file, &[]).unwrap(), "Some(\"DIR/my.toml\") [\"a\", \"-b\"] warn Some(4) true");
        let over = ["--log", "off", "--catalog", "/x", "--allow-host", "c"];
        assert_eq!(with(file, &over).unwrap(), "Some(\"/x\") [\"c\"] off Some(4) true");
        assert_eq!(with("plain = false", &[]).unwrap(), "None [] info None false");
        let none = ["program", "serve"].map(OsString::from).to_vec();
        assert_eq!(with_file(&mut Program::command(), none.clone()).unwrap(), none);
    }

    #[test]
    fn names_with_values_are_a_table() {
        let file = "[hide]\nid = '-\\d=x'\nb = 'c'";
        assert_eq!(with(file, &[]).unwrap(), r#"None [] info None false ["b=c", "id=-\\d=x"]"#);
        assert_eq!(with(file, &["--hide", "a=b"]).unwrap(), r#"None [] info None false ["a=b"]"#);
    }

    #[test]
    fn what_a_file_cannot_say_is_an_error_that_names_it() {
        for (file, wanted) in [
            ("loud = true", "`loud` is no setting; there are: catalog, allow_host, log, rate, hide, plain"),
            ("list_tools = true", "`list_tools` is no setting"),
            ("allow-host = ['a']", "`allow-host` is no setting"),
            ("plain = 'yes'", "`plain` is true or false"),
            ("log = ['a']", "`log` is a text or a number"),
            ("allow_host = [true]", "`allow_host` is a list of texts"),
            ("hide = 3", "`hide` is a table of texts"),
            ("[hide]\na = 3", "`hide` has `a`, which is no text"),
            ("[allow_host]\na = 'b'", "`allow_host` is a list of texts"),
            ("[log]\nlevel = 1", "`log` is a text or a number"),
            ("rate = 0", "invalid value '0' for '--rate"),
            ("log = ", "in `DIR/server.toml`"),
        ] {
            let why = with(file, &[]).unwrap_err();
            assert!(why.contains(wanted), "{file}: {why}");
        }
        let absent = ["program", "serve", "--config", "/nowhere/x.toml"].map(OsString::from).to_vec();
        let why = with_file(&mut Program::command(), absent).unwrap_err();
        assert!(why.contains("cannot read the configuration `/nowhere/x.toml`"), "{why}");
    }
}
