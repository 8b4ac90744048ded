//! Reading samples: RFC 4180, by the columns' names.

use std::path::Path;

/// One system's sample.
pub(crate) struct System {
    pub(crate) name: String,
    pub(crate) lines: Vec<String>,
    /// By line: the group it truly belongs to, and its template.
    pub(crate) groups: Vec<String>,
    pub(crate) templates: Vec<String>,
}

pub(crate) fn read(dir: &Path) -> Result<Vec<System>, String> {
    let said = |error: std::io::Error| format!("{}: {error}", dir.display());
    let mut out = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(said)? {
        let folder = entry.map_err(said)?.path();
        let Ok(files) = std::fs::read_dir(&folder) else { continue };
        for file in files.filter_map(Result::ok).map(|file| file.path()) {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if let Some(system) = name.strip_suffix(".log_structured.csv") {
                let system = system.split('_').next().unwrap_or(system).to_owned();
                let bytes = std::fs::read(&file).map_err(said)?;
                out.push(parse(&system, &String::from_utf8_lossy(&bytes))?);
            }
        }
    }
    out.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(out)
}

fn parse(name: &str, text: &str) -> Result<System, String> {
    let mut rows = rows(text).into_iter();
    let head = rows.next().unwrap_or_default();
    let column = |wanted: &str| {
        head.iter().position(|found| found == wanted).ok_or(format!("{name} has no column {wanted}"))
    };
    let (content, id, template) = (column("Content")?, column("EventId")?, column("EventTemplate")?);
    let mut system = System { name: name.to_owned(), lines: vec![], groups: vec![], templates: vec![] };
    for row in rows.filter(|row| row.len() == head.len()) {
        let field = |n: usize| row.get(n).cloned().unwrap_or_default();
        system.lines.push(field(content));
        system.groups.push(field(id));
        system.templates.push(field(template));
    }
    Ok(system)
}

fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                field.push('"');
                chars.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field).trim_end_matches('\r').to_owned());
                rows.push(std::mem::take(&mut row));
            }
            other => field.push(other),
        }
    }
    if !field.is_empty() || !row.is_empty() {
        row.push(field);
        rows.push(row);
    }
    rows
}
