//! Markdown cut into pieces that make sense alone: one per section, long sections at paragraphs.
//!
//! A piece carries the path of headings above it, because `## Steps` says nothing by itself.
//! A Markdown parser was rejected: headings and code fences are all that matters here, and what
//! this reader does not understand it keeps as text.

/// A section longer than this is cut at the next paragraph.
const LONG: usize = 1500;

/// A piece of a runbook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The headings above it, outermost first.
    pub headings: Vec<String>,
    /// Its text, without the headings.
    pub text: String,
}

/// The title of a document: its first heading.
pub fn title(markdown: &str) -> Option<String> {
    chunks(markdown).into_iter().find_map(|chunk| chunk.headings.into_iter().next())
}

/// Cuts a document. Every line that is not a heading is in exactly one piece, in order; a section
/// that holds only further sections yields an empty piece, so that its heading can be found.
pub fn chunks(markdown: &str) -> Vec<Chunk> {
    let mut cutter = Cutter::default();
    let mut fence: Option<&str> = None;
    let mut lines = markdown.lines().peekable();
    while let Some(line) = lines.next() {
        let trimmed = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| trimmed.starts_with(mark));
        match (fence, mark) {
            (Some(open), Some(mark)) if open == mark => fence = None,
            (None, Some(mark)) => fence = Some(mark),
            _ => {}
        }
        if fence.is_some() || mark.is_some() {
            cutter.line(line);
        } else if let Some((level, text)) = heading(line) {
            cutter.open(level, text);
        } else if let Some(level) = lines.peek().copied().and_then(underline).filter(|_| can_be_title(line)) {
            lines.next();
            cutter.open(level, line.trim());
        } else {
            if trimmed.is_empty() {
                cutter.paragraph();
            }
            cutter.line(line);
        }
    }
    cutter.close()
}

/// `## Steps ##` → level 2, `Steps`.
fn heading(line: &str) -> Option<(usize, &str)> {
    // Four spaces make it code.
    let line = line.strip_prefix("   ").or_else(|| line.strip_prefix("  ")).unwrap_or(line);
    let line = line.strip_prefix(' ').unwrap_or(line);
    let level = line.bytes().take_while(|b| *b == b'#').count();
    let text = line.get(level..)?;
    if !(1..=6).contains(&level) || !(text.is_empty() || text.starts_with([' ', '\t'])) {
        return None;
    }
    Some((level, text.trim().trim_end_matches('#').trim_end()))
}

/// A line of `=` or `-` below a title.
fn underline(line: &str) -> Option<usize> {
    let line = line.trim_end();
    let all = |c: char| line.len() >= 3 && line.chars().all(|x| x == c);
    if all('=') {
        Some(1)
    } else if all('-') {
        Some(2)
    } else {
        None
    }
}

fn can_be_title(line: &str) -> bool {
    let text = line.trim();
    !text.is_empty() && !line.starts_with("    ") && !text.starts_with(['-', '*', '+', '>', '|'])
}

#[derive(Debug, Default)]
struct Cutter {
    path: Vec<(usize, String)>,
    text: String,
    done: Vec<Chunk>,
}

impl Cutter {
    fn open(&mut self, level: usize, text: &str) {
        self.flush();
        self.path.retain(|(above, _)| *above < level);
        self.path.push((level, text.to_owned()));
        // A heading alone can be what somebody looks for.
        self.done.push(Chunk { headings: self.headings(), text: String::new() });
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn paragraph(&mut self) {
        if self.text.len() > LONG {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let text = std::mem::take(&mut self.text);
        let text = text.trim_matches('\n').trim_end();
        if text.is_empty() {
            return;
        }
        let headings = self.headings();
        match self.done.last_mut() {
            Some(last) if last.text.is_empty() && last.headings == headings => {
                text.clone_into(&mut last.text);
            }
            _ => self.done.push(Chunk { headings, text: text.to_owned() }),
        }
    }

    fn headings(&self) -> Vec<String> {
        self.path.iter().map(|(_, text)| text.clone()).collect()
    }

    fn close(mut self) -> Vec<Chunk> {
        self.flush();
        self.done
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sections_carry_the_headings_above_them() {
        let text =
            "intro\n\nTitle\n=====\nabout\n## A\n```sh\n# not a heading\n```\n### A.1\none\n## B ##\ntwo\n";
        let found: Vec<String> = chunks(text)
            .iter()
            .map(|c| format!("{}|{}", c.headings.join(">"), c.text.replace('\n', "/")))
            .collect();
        assert_eq!(
            found,
            ["|intro", "Title|about", "Title>A|```sh/# not a heading/```", "Title>A>A.1|one", "Title>B|two"]
        );
        assert_eq!(title(text).as_deref(), Some("Title"));
    }

    #[test]
    fn tables_lists_and_rules_are_no_titles() {
        let text = "# T\n- item\n---\n| a |\n---\n#hashtag\n\n---\nend";
        assert_eq!(chunks(text).len(), 1, "{:?}", chunks(text));
    }

    #[test]
    fn a_long_section_is_cut_between_paragraphs() {
        let paragraph = format!("{}\n\n", "word ".repeat(200));
        let found = chunks(&format!("# T\n{}", paragraph.repeat(5)));
        assert!(found.len() >= 2 && found.iter().all(|c| c.headings == ["T"] && c.text.len() < 2 * LONG));
    }

    proptest! {
        #[test]
        fn no_word_is_lost(text in "([#=`~ -]{0,4}[a-z ]{0,6}\n){0,20}") {
            let words = |t: &str| {
                t.split(|c: char| !c.is_ascii_lowercase()).filter(|w| !w.is_empty()).map(str::to_owned).collect::<Vec<_>>()
            };
            let mut kept = Vec::new();
            let mut last: Vec<String> = Vec::new();
            for chunk in chunks(&text) {
                if chunk.headings != last {
                    kept.extend(chunk.headings.last().map(|h| words(h)).unwrap_or_default());
                }
                last.clone_from(&chunk.headings);
                kept.extend(words(&chunk.text));
            }
            // A heading repeated word for word under itself is the only thing that may fold.
            let all = words(&text);
            prop_assert!(kept.len() <= all.len());
            for word in &all {
                prop_assert!(kept.contains(word), "{word} of {text:?}");
            }
        }
    }
}
