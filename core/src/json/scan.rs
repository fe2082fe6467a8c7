//! Reading JSON texts (RFC 8259): values are passed over and stay as they are written, and nothing recurses.

use alloc::string::String;
use alloc::vec::Vec;
use core::str::Chars;

/// The members of an object, or the elements of a list, which have no names: each with its value as it is written. `None`
/// where the text is anything else. A name that is no text (an escape that is half a character) counts as none.
pub(super) fn parts(json: &str, [open, close]: [u8; 2]) -> Option<Vec<(Option<String>, &str)>> {
    let mut scanner = Scanner { text: json, at: 0 };
    let mut parts = Vec::new();
    let mut more = scanner.next() == open;
    if !more {
        return None;
    }
    if scanner.peek() == close {
        scanner.at += 1;
        more = false;
    }
    while more {
        let name = scanner.begin(close)?;
        parts.push((string(name), scanner.value()?));
        more = scanner.goes_on(close)?;
    }
    (scanner.peek() == END && scanner.at == json.len()).then_some(parts)
}

/// The string that a value is. It has all its room from the beginning, as it may be a secret: a buffer that grows leaves
/// copies behind.
pub(super) fn string(json: &str) -> Option<String> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        text.push(if c == '\\' { escaped(&mut rest)? } else { c });
    }
    Some(text)
}

/// What follows a backslash.
fn escaped(rest: &mut Chars<'_>) -> Option<char> {
    Some(match rest.next()? {
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => {
            let first = unit(rest)?;
            if !(0xd800..0xdc00).contains(&first) {
                return char::from_u32(first);
            }
            let second = rest.as_str().strip_prefix("\\u")?;
            *rest = second.chars();
            let second = unit(rest)?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
            return char::from_u32(0x10000 + ((first - 0xd800) << 10) + second);
        }
        c => c,
    })
}

/// One unit of UTF-16, in four digits.
fn unit(rest: &mut Chars<'_>) -> Option<u32> {
    (0..4).try_fold(0, |unit, _| Some(unit * 16 + rest.next()?.to_digit(16)?))
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

/// Stands for the byte after the last one. In a JSON text it may be nowhere.
const END: u8 = 0;

impl<'a> Scanner<'a> {
    fn byte(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(END)
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> u8 {
        while matches!(self.byte(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        self.byte()
    }

    fn next(&mut self) -> u8 {
        let byte = self.peek();
        self.at += 1;
        byte
    }

    /// Passes over the byte, if it is there.
    fn has(&mut self, byte: u8) -> bool {
        let there = self.byte() == byte;
        self.at += usize::from(there);
        there
    }

    /// After a value: whether there is another one before the bracket that closes.
    fn goes_on(&mut self, close: u8) -> Option<bool> {
        match self.next() {
            b',' => Some(true),
            byte => (byte == close).then_some(false),
        }
    }

    /// What comes before a value: in an object its name, in a list nothing.
    fn begin(&mut self, close: u8) -> Option<&'a str> {
        if close == b'}' { self.name() } else { Some("") }
    }

    /// The name of a member, with the colon.
    fn name(&mut self) -> Option<&'a str> {
        self.peek();
        let start = self.at;
        self.string()?;
        let name = &self.text[start..self.at];
        (self.next() == b':').then_some(name)
    }

    /// A value of any kind.
    fn value(&mut self) -> Option<&'a str> {
        self.peek();
        let start = self.at;
        // What closes the lists and objects that are open.
        let mut open = Vec::new();
        loop {
            let bracket = match self.peek() {
                b'{' => Some(b'}'),
                b'[' => Some(b']'),
                _ => None,
            };
            match bracket {
                None => self.scalar()?,
                Some(close) => {
                    self.at += 1;
                    if self.peek() != close {
                        open.push(close);
                        self.begin(close)?;
                        continue;
                    }
                    self.at += 1;
                }
            }
            loop {
                let Some(&close) = open.last() else { return Some(&self.text[start..self.at]) };
                if self.goes_on(close)? {
                    self.begin(close)?;
                    break;
                }
                open.pop();
            }
        }
    }

    fn scalar(&mut self) -> Option<()> {
        match self.byte() {
            b'"' => self.string(),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let there = self.text[self.at..].starts_with(word);
        self.at += word.len();
        there.then_some(())
    }

    /// At its first quote.
    fn string(&mut self) -> Option<()> {
        if !self.has(b'"') {
            return None;
        }
        loop {
            match self.byte() {
                b'"' => break,
                ..=0x1f => return None,
                b'\\' => {
                    self.at += 1;
                    match self.byte() {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                        b'u' => {
                            for _ in 0..4 {
                                self.at += 1;
                                self.byte().is_ascii_hexdigit().then_some(())?;
                            }
                        }
                        _ => return None,
                    }
                }
                _ => {}
            }
            self.at += 1;
        }
        self.at += 1;
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        self.has(b'-');
        if !self.has(b'0') {
            self.digits()?;
        }
        if self.has(b'.') {
            self.digits()?;
        }
        if self.has(b'e') || self.has(b'E') {
            let _ = self.has(b'+') || self.has(b'-');
            self.digits()?;
        }
        Some(())
    }

    /// One or more.
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.byte().is_ascii_digit() {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}
