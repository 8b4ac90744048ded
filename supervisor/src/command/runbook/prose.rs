//! What is unclear in the Markdown of a runbook.

use std::path::Path;

use super::Found;

/// Words that leave to the reader what the writer knew.
const VAGUE: [&str; 18] = [
    "as needed",
    "if needed",
    "as appropriate",
    "if appropriate",
    "where appropriate",
    "if necessary",
    "as necessary",
    "when necessary",
    "use your judgement",
    "use your judgment",
    "contact the team",
    "ask the team",
    "contact the owner",
    "the usual way",
    "and so on",
    "etc.",
    "todo",
    "tbd",
];

/// A step that has more characters is several.
const LONGEST_STEP: usize = 400;

/// The vague words in a text in lower case, if it has any.
pub(super) fn vague(lower: &str) -> Option<&'static str> {
    VAGUE.into_iter().find(|word| {
        lower.match_indices(word).any(|(at, _)| {
            let edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
            edge(lower.get(..at).and_then(|before| before.chars().next_back()))
                && edge(lower.get(at + word.len()..).and_then(|after| after.chars().next()))
        })
    })
}

/// `first` is the line of the file on which the Markdown begins.
pub(super) fn lint(body: &str, first: usize, directory: &Path, found: &mut Found<'_>) {
    if body.trim().is_empty() {
        let remedy = "say what is seen, what to do, and how to tell that it worked";
        found.error(first, "there is no text: nobody could follow it", remedy);
        return;
    }
    let prose = without_code(body);
    let mut fenced = false;
    let mut step: Option<(usize, usize)> = None;
    for (n, line) in body.lines().enumerate() {
        let at = first + n;
        let trimmed = line.trim_start();
        if trimmed.starts_with("```") || trimmed.starts_with("~~~") {
            fenced = !fenced;
            continue;
        }
        if fenced {
            commands(line, at, body, &prose, found);
            continue;
        }
        let (words, code) = apart(line);
        for code in code.iter().filter(|code| code.trim().contains(' ')) {
            commands(code, at, body, &prose, found);
        }
        if let Some(word) = vague(&words.to_lowercase()) {
            let remedy = "say who, what and when: a name, a command, a number";
            found.warn(at, format!("`{word}` leaves open what to do"), remedy);
        }
        links(line, at, directory, found);
        step = measure(trimmed, at, step, found);
    }
    if fenced {
        found.warn(first, "a block of code does not end", "close it with three backticks");
    }
}

/// How long the step is that this line belongs to, and where it began.
fn measure(
    line: &str,
    at: usize,
    step: Option<(usize, usize)>,
    found: &mut Found<'_>,
) -> Option<(usize, usize)> {
    let numbered = line.split_once(". ").is_some_and(|(n, _)| n.parse::<u32>().is_ok());
    let length = line.chars().count();
    let step = if line.is_empty() || line.starts_with('#') {
        None
    } else if numbered || line.starts_with("- ") || line.starts_with("* ") {
        Some((at, length))
    } else {
        step.map(|(begun, before)| (begun, before + length))
    };
    let (begun, total) = step?;
    if total > LONGEST_STEP {
        let remedy = "make it several steps, each with one thing to do";
        found.warn(begun, format!("a step of more than {LONGEST_STEP} characters"), remedy);
        return None;
    }
    step
}

/// Placeholders that nothing in the runbook explains.
fn commands(code: &str, at: usize, body: &str, prose: &str, found: &mut Found<'_>) {
    for name in between(code, "<", ">").into_iter().chain(between(code, "{{", "}}")) {
        let plain = !name.is_empty()
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ' ' | '.'));
        if plain && !prose.to_lowercase().contains(&name.trim().to_lowercase()) {
            let message = format!("nobody can fill `{name}` in: nothing here says what it is");
            found.error(at, message, "say where the value is found, by the same name, or write it out");
        }
    }
    for (n, after) in code.split('$').enumerate().skip(1) {
        let after = after.strip_prefix('{').unwrap_or(after);
        let name: String = after.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let shouted = name.len() > 1 && name.chars().all(|c| !c.is_ascii_lowercase());
        let numbered = name.starts_with(|c: char| c.is_ascii_digit());
        let set = body.contains(&format!("{name}=")) || prose.contains(&name) || name.starts_with("AWS_");
        let known = matches!(name.as_str(), "HOME" | "PWD" | "USER" | "PATH");
        if n > 0 && shouted && !numbered && !set && !known {
            let message = format!("nobody can fill `${name}` in: nothing here sets it");
            found.error(at, message, "say how it is set, or write the value out");
        }
    }
}

fn between<'t>(text: &'t str, open: &str, close: &str) -> Vec<&'t str> {
    let parts = text.split(open).skip(1);
    parts.filter_map(|part| Some(part.split_once(close)?.0)).collect()
}

/// Links to files that are not there. What has a scheme, or is a heading, is not looked at.
fn links(line: &str, at: usize, directory: &Path, found: &mut Found<'_>) {
    let (words, _) = apart(line);
    for target in words.split("](").skip(1).filter_map(|part| Some(part.split_once(')')?.0)) {
        let file = target.split(['#', ' ']).next().unwrap_or_default();
        if file.is_empty() || file.contains(':') || file.starts_with('/') {
            continue;
        }
        if !directory.join(file).exists() {
            let remedy = "correct the link, or add the file";
            found.error(at, format!("the link to `{file}` leads nowhere"), remedy);
        }
    }
}

/// The words of a line, and the code in it.
fn apart(line: &str) -> (String, Vec<&str>) {
    let (mut words, mut code) = (String::new(), Vec::new());
    for (n, part) in line.split('`').enumerate() {
        if n % 2 == 0 {
            words.push_str(part);
        } else {
            code.push(part);
            words.push('…');
        }
    }
    (words, code)
}

/// All text outside blocks of code; short code within a line names things, so it stays.
fn without_code(body: &str) -> String {
    let mut fenced = false;
    let mut prose = String::new();
    for line in body.lines() {
        if line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~") {
            fenced = !fenced;
        } else if !fenced {
            let (words, code) = apart(line);
            prose.push_str(&words);
            for code in code.into_iter().filter(|code| !code.trim().contains(' ')) {
                prose.push(' ');
                prose.push_str(code);
            }
            prose.push('\n');
        }
    }
    prose
}
