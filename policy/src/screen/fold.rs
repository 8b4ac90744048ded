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
    let (mut space, mut place) = (false, 0);
    while let Some(rest) = text.get(place..)
        && let Some(c) = rest.chars().next()
    {
        let (c, len) = if c == '\\' { written(rest).unwrap_or((c, 1)) } else { (c, c.len_utf8()) };
        match plain(c) {
            Some(' ') if space => {}
            Some(plain) => {
                space = plain == ' ';
                view.push(plain, place);
            }
            None => {}
        }
        place += len;
    }
    view
}

/// A character that JSON wrote as an escape, however often, and how long that is: `\n` before a word hides where the
/// word begins, and whoever writes ASCII only writes every other alphabet so.
pub(crate) fn written(text: &str) -> Option<(char, usize)> {
    // A text within a text within a text; more of them are no escape, and are not counted again from each on.
    let backslashes = text.bytes().take(9).take_while(|byte| *byte == b'\\').count();
    let sign = text.get(backslashes..)?;
    match sign.chars().next().filter(|_| backslashes > 0)? {
        'n' => Some(('\n', backslashes + 1)),
        'r' | 't' => Some((' ', backslashes + 1)),
        'u' => {
            let unit = |text: &str| u16::from_str_radix(text.strip_prefix('u')?.get(..4)?, 16).ok();
            let first = unit(sign)?;
            let second = sign.get(5..).and_then(|rest| unit(rest.strip_prefix(text.get(..backslashes)?)?));
            let mut pair = char::decode_utf16([first].into_iter().chain(second));
            let c = pair.next()?.ok()?;
            // Two units are one sign where the first is half of one.
            let units = c.len_utf16();
            Some((c, units * (backslashes + 5)))
        }
        _ => None,
    }
}

/// A pattern whose words are written as one writes them, as they stand in a folded text.
pub(super) fn as_read(pattern: &str) -> String {
    pattern.chars().filter_map(|c| if c.is_ascii() { Some(c) } else { plain(c) }).collect()
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

/// A character beyond ASCII as the one of ASCII that it looks like; `None` for what a reader does not see.
pub(crate) fn look_alike(c: char) -> Option<char> {
    match c {
        // These have capitals of their own, which tell keys of one kind from others.
        '\u{ff01}'..='\u{ff5e}' => Some(u8::try_from(u32::from(c) - 0xfee0).map_or(c, char::from)),
        c => plain(c),
    }
}

/// The letter of a run of the alphabet that begins with `a` at this place.
fn nth(c: char, a: u32) -> char {
    u8::try_from((u32::from(c) - a) % 26).map_or(c, |n| char::from(b'a' + n))
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
        // The alphabets of mathematics (capitals and small letters by turns), and letters in circles and squares.
        '\u{1d400}'..='\u{1d6a3}' => nth(c, 0x1d400),
        '\u{1d7ce}'..='\u{1d7ff}' => {
            u8::try_from((u32::from(c) - 0x1d7ce) % 10).map_or(c, |n| char::from(b'0' + n))
        }
        '\u{24b6}'..='\u{24e9}' => nth(c, 0x24b6),
        '\u{1f130}'..='\u{1f149}' => nth(c, 0x1f130),
        '\u{1f150}'..='\u{1f169}' => nth(c, 0x1f150),
        '\u{1f170}'..='\u{1f189}' => nth(c, 0x1f170),
        // Of Vietnamese those with two marks: from U+1EA0 on.
        '\u{1ea0}'..='\u{1eb7}'
        | 'À'..='Å'
        | 'à'..='å'
        | 'ā'
        | 'ă'
        | 'ą'
        | 'ǎ'
        | 'а'
        | 'А'
        | 'α'
        | 'Α'
        | 'ɑ'
        | 'ᴀ'
        | 'Ꭺ' => 'a',
        'Ç' | 'ç' | 'ć' | 'č' | 'с' | 'С' | 'ϲ' | 'Ϲ' | 'ᴄ' | 'ⅽ' | 'Ꮯ' => 'c',
        '\u{1eb8}'..='\u{1ec7}'
        | 'È'..='Ë'
        | 'è'..='ë'
        | 'ē'
        | 'ę'
        | 'ě'
        | 'ė'
        | 'е'
        | 'Е'
        | 'ё'
        | 'Ё'
        | 'ε'
        | 'Ε'
        | 'ҽ'
        | 'ᴇ'
        | 'Ꭼ' => 'e',
        '\u{1ec8}'..='\u{1ecb}'
        | 'Ì'..='Ï'
        | 'ì'..='ï'
        | 'ī'
        | 'ı'
        | 'і'
        | 'І'
        | 'ї'
        | 'ι'
        | 'Ι'
        | 'ɩ'
        | 'ɪ'
        | 'ⅰ'
        | 'Ꭵ' => 'i',
        'Ñ' | 'ñ' | 'ń' | 'ň' | 'η' | 'Ν' | 'ո' | 'ɴ' => 'n',
        'ơ'
        | 'Ơ'
        | '\u{1ecc}'..='\u{1ee3}'
        | 'Ò'..='Ö'
        | 'Ø'
        | 'ò'..='ö'
        | 'ø'
        | 'ō'
        | 'ő'
        | 'о'
        | 'О'
        | 'ο'
        | 'Ο'
        | 'σ'
        | 'օ'
        | 'ᴏ' => 'o',
        'ư' | 'Ư' | '\u{1ee4}'..='\u{1ef1}' | 'Ù'..='Ü' | 'ù'..='ü' | 'ū' | 'ů' | 'ű' | 'υ' | 'ս' | 'ᴜ' => {
            'u'
        }
        '\u{1ef2}'..='\u{1ef9}' | 'Ý' | 'ý' | 'ÿ' | 'у' | 'У' | 'ү' | 'Ү' | 'γ' | 'Υ' | 'ʏ' | 'Ꮍ' => {
            'y'
        }
        'ß' | 'ś' | 'š' | 'ş' | 'ѕ' | 'Ѕ' | 'ꜱ' | 'Ꮪ' => 's',
        'р' | 'Р' | 'ρ' | 'Ρ' | 'ᴘ' | 'Ꮲ' => 'p',
        'х' | 'Х' | 'χ' | 'Χ' | 'ⅹ' => 'x',
        'В' | 'β' | 'Β' | 'ʙ' | 'Ᏼ' => 'b',
        'К' | 'κ' | 'Κ' | 'к' | 'ᴋ' | 'Ꮶ' => 'k',
        'М' | 'м' | 'Μ' | 'ᴍ' | 'ⅿ' | 'Ꮇ' => 'm',
        'Н' | 'н' | 'Η' | 'һ' | 'Һ' | 'հ' | 'ʜ' | 'Ꮋ' => 'h',
        'ť' | 'Т' | 'т' | 'Τ' | 'τ' | 'ᴛ' | 'Ꭲ' => 't',
        'ν' | 'ѵ' | 'ᴠ' | 'ⅴ' | 'Ꮩ' => 'v',
        'ј' | 'Ј' | 'ᴊ' | 'Ꭻ' => 'j',
        'Đ' | 'ԁ' | 'ď' | 'đ' | 'ᴅ' | 'ⅾ' | 'Ꭰ' => 'd',
        'ɡ' | 'ğ' | 'ց' | 'ɢ' | 'Ꮐ' => 'g',
        'ӏ' | 'Ӏ' | 'ł' | 'ʟ' | 'ⅼ' | 'Ꮮ' => 'l',
        'ź' | 'ž' | 'ż' | 'Ζ' | 'ᴢ' | 'Ꮓ' => 'z',
        'ř' | 'ʀ' | 'Ꮢ' => 'r',
        'ԛ' => 'q',
        'ԝ' | 'ω' | 'ᴡ' | 'Ꮃ' => 'w',
        'ꜰ' => 'f',
        '‘' | '’' | 'ʼ' | '`' | '´' => '\'',
        '“' | '”' | '„' | '«' | '»' => '"',
        '‐'..='―' | '−' => '-',
        c => c.to_lowercase().next().unwrap_or(c),
    })
}
