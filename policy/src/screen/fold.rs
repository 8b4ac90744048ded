//! Views of a text: folded to plain lower-case ASCII where that is possible, with the place of
//! every byte in the original.

/// A view of a text and where its bytes came from.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) text: String,
    /// For every byte of `text`, the byte of the original that it stands for.
    places: Vec<usize>,
    len: usize,
}

impl View {
    fn push(&mut self, c: char, place: usize) {
        self.text.push(c);
        self.places.resize(self.text.len(), place);
    }

    /// The span of the original that a span of the view stands for.
    pub(super) fn original(&self, start: usize, end: usize) -> (usize, usize) {
        let place = |at: usize| self.places.get(at).copied().unwrap_or(self.len);
        let (a, b) = (place(start), place(end.saturating_sub(1)));
        let next = |at: usize| {
            let place_at = place(at);
            self.places.iter().skip(at).copied().find(|place| *place > place_at).unwrap_or(self.len)
        };
        if a <= b {
            (a, next(end.saturating_sub(1)).max(b + 1).min(self.len))
        } else {
            (b, (a + 1).min(self.len))
        }
    }
}

/// Lower case, accents and look-alikes to ASCII, invisible characters dropped, white space to one
/// space except line ends, which stay.
pub(super) fn fold(text: &str) -> View {
    let mut view = View { len: text.len(), ..View::default() };
    let mut space = false;
    for (place, c) in text.char_indices() {
        match plain(c) {
            Some(' ') if space => {}
            Some(plain) => {
                space = plain == ' ';
                view.push(plain, place);
            }
            None => {}
        }
    }
    view
}

/// The other readings of a folded text: digits as letters, rot13, backwards.
pub(super) fn disguises(folded: &View) -> Vec<View> {
    let mapped = |map: fn(char) -> char| View {
        text: folded.text.chars().map(map).collect(),
        places: folded.places.clone(),
        len: folded.len,
    };
    let mut views = Vec::with_capacity(4);
    if !folded.text.is_ascii() {
        // The maps below keep the length of ASCII only; other scripts are not disguised ASCII.
        return views;
    }
    if folded.text.bytes().any(|b| matches!(b, b'0' | b'1' | b'3' | b'4' | b'5' | b'7' | b'@' | b'$')) {
        views.push(mapped(|c| match c {
            '0' => 'o',
            '1' | '!' | '|' => 'i',
            '3' => 'e',
            '4' | '@' => 'a',
            '5' | '$' => 's',
            '7' | '+' => 't',
            c => c,
        }));
    }
    views.push(mapped(|c| match c {
        'a'..='m' => char::from(u8::try_from(c).unwrap_or(b'a') + 13),
        'n'..='z' => char::from(u8::try_from(c).unwrap_or(b'n') - 13),
        c => c,
    }));
    views.push(View {
        text: folded.text.chars().rev().collect(),
        places: folded.places.iter().rev().copied().collect(),
        len: folded.len,
    });
    views.extend(spaced_out(folded));
    views
}

/// `i g n o r e` and `i-g-n-o-r-e` read as words: single letters that follow each other are
/// joined, a wider gap separates words. Absent unless there is a run of them.
fn spaced_out(folded: &View) -> Option<View> {
    let bytes = folded.text.as_bytes();
    let mut view = View { len: folded.len, ..View::default() };
    let mut at = 0;
    let mut longest = 0;
    while let Some(byte) = bytes.get(at) {
        let mut run = 0;
        while let (Some(letter), Some(gap)) = (bytes.get(at + 2 * run), bytes.get(at + 2 * run + 1)) {
            if letter.is_ascii_lowercase() && matches!(gap, b' ' | b'-' | b'.' | b'_' | b'*') {
                run += 1;
            } else {
                break;
            }
        }
        if run >= 5 {
            longest = longest.max(run);
            for step in 0..run {
                if let (Some(letter), Some(place)) =
                    (bytes.get(at + 2 * step), folded.places.get(at + 2 * step))
                {
                    view.push(char::from(*letter), *place);
                }
            }
            at += 2 * run;
            view.push(' ', folded.places.get(at.saturating_sub(1)).copied().unwrap_or_default());
        } else {
            view.push(char::from(*byte), folded.places.get(at).copied().unwrap_or_default());
            at += 1;
        }
    }
    (longest >= 5).then_some(view)
}

/// One character, folded; `None` for what a reader does not see.
fn plain(c: char) -> Option<char> {
    Some(match c {
        '\r' | '\t' | ' ' | '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => ' ',
        'A'..='Z' => c.to_ascii_lowercase(),
        '\u{0}'..='\u{8}'
        | '\u{b}'
        | '\u{c}'
        | '\u{e}'..='\u{1f}'
        | '\u{e0000}'
        | '\u{e0001}'
        | '\u{e007f}'
        | '\u{ad}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{300}'..='\u{36f}' => return None,
        // Tag characters shadow ASCII.
        '\u{e0020}'..='\u{e007e}' => {
            char::from(u8::try_from(u32::from(c) - 0xe0000).unwrap_or(b' ')).to_ascii_lowercase()
        }
        // Full-width ASCII.
        '\u{ff01}'..='\u{ff5e}' => {
            char::from(u8::try_from(u32::from(c) - 0xfee0).unwrap_or(b' ')).to_ascii_lowercase()
        }
        'À'..='Å' | 'à'..='å' | 'ā' | 'ă' | 'ą' | 'а' | 'А' | 'α' | 'Α' => 'a',
        'Ç' | 'ç' | 'ć' | 'č' | 'с' | 'С' => 'c',
        'È'..='Ë' | 'è'..='ë' | 'ē' | 'ę' | 'ě' | 'е' | 'Е' | 'ё' | 'ε' | 'Ε' => 'e',
        'Ì'..='Ï' | 'ì'..='ï' | 'ī' | 'ı' | 'і' | 'І' | 'ї' | 'ι' | 'Ι' => 'i',
        'Ñ' | 'ñ' | 'ń' | 'ň' => 'n',
        'Ò'..='Ö' | 'Ø' | 'ò'..='ö' | 'ø' | 'ō' | 'ő' | 'о' | 'О' | 'ο' | 'Ο' => 'o',
        'Ù'..='Ü' | 'ù'..='ü' | 'ū' | 'ů' | 'ű' | 'υ' => 'u',
        'Ý' | 'ý' | 'ÿ' | 'у' | 'У' => 'y',
        'ß' | 'ś' | 'š' | 'ѕ' | 'Ѕ' => 's',
        'р' | 'Р' | 'ρ' | 'Ρ' => 'p',
        'х' | 'Х' | 'χ' | 'Χ' => 'x',
        'В' | 'β' | 'Β' => 'b',
        'К' | 'κ' | 'Κ' | 'к' => 'k',
        'М' | 'м' | 'Μ' => 'm',
        'Н' | 'н' | 'Η' => 'h',
        'Т' | 'т' | 'Τ' | 'τ' => 't',
        'ν' => 'v',
        'ј' | 'Ј' => 'j',
        'ԁ' => 'd',
        'ɡ' => 'g',
        'ӏ' | 'ł' => 'l',
        'ź' | 'ž' | 'ż' => 'z',
        '‘' | '’' | 'ʼ' | '`' | '´' => '\'',
        '“' | '”' | '„' | '«' | '»' => '"',
        '‐'..='―' | '−' => '-',
        c => c,
    })
}
