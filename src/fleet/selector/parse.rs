//! Reading and quoting the text of selectors and filters.

use std::fmt::{self, Write as _};

use super::pattern::Pattern;
use super::{Key, Requirement, SelectorError, SelectorProblem, Source, Test};

/// The longest text, in bytes.
const LONGEST: usize = 4096;
/// The most requirements (and, in a filter, words).
const MOST: usize = 32;

/// The requirements of a selector; none for `*`.
pub(super) fn selector(text: &str) -> Result<Vec<Requirement>, SelectorError> {
    let mut reader = Reader::new(text)?;
    reader.skip_blanks();
    if reader.at_end() {
        return Err(reader.error(SelectorProblem::Empty));
    }
    if reader.everything() {
        return Ok(Vec::new());
    }
    let mut requirements = Vec::new();
    loop {
        if requirements.len() == MOST {
            return Err(reader.error(SelectorProblem::TooMany(MOST)));
        }
        requirements.push(reader.requirement()?);
        reader.skip_blanks();
        if reader.at_end() {
            return Ok(requirements);
        }
        if !reader.take(',') {
            return Err(reader.expected("a comma or the end"));
        }
    }
}

/// The words and requirements of a list's filter, in which separators may be left out.
pub(super) fn filter(text: &str) -> Result<(Vec<String>, Vec<Requirement>), SelectorError> {
    let mut reader = Reader::new(text)?;
    let (mut words, mut requirements) = (Vec::new(), Vec::new());
    reader.skip_blanks();
    if reader.everything() {
        return Ok((words, requirements));
    }
    loop {
        while reader.take(',') {}
        if reader.at_end() {
            return Ok((words, requirements));
        }
        if words.len() + requirements.len() == MOST {
            return Err(reader.error(SelectorProblem::TooMany(MOST)));
        }
        let start = reader.at;
        let is_requirement = reader.is_requirement()?;
        reader.at = start;
        if is_requirement {
            requirements.push(reader.requirement()?);
        } else {
            words.push(reader.word("a word to search for, or a requirement")?);
        }
    }
}

/// A key or value as it is printed: bare where that reads back the same, else in quotes.
pub(super) struct Word<'a>(pub(super) &'a str);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.is_empty() && self.0.chars().all(is_word) {
            f.write_str(self.0)
        } else {
            quoted(f, self.0)
        }
    }
}

/// Writes `text` in double quotes.
pub(super) fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            c if c.is_control() => write!(f, "\\u{{{:x}}}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

/// Whether a bare key of this name would read as something else without quotes.
pub(super) fn needs_quotes_as_key(name: &str) -> bool {
    name == "exists" || name.starts_with("label.") || name.starts_with("fact.")
}

/// Whether a pattern reads back the same without quotes.
pub(super) fn is_bare_pattern(text: &str) -> bool {
    let mut reader = Reader { text, at: 0 };
    !text.starts_with(['"', '\'']) && reader.bare_pattern() == text && reader.at_end()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric()
        || matches!(
            c,
            '-' | '_' | '.' | '/' | ':' | '@' | '+' | '%' | '#' | '~' | '&' | '$' | ';'
        )
}

/// A place in a text.
struct Reader<'a> {
    text: &'a str,
    /// In bytes, always at the beginning of a character.
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Result<Self, SelectorError> {
        let reader = Self { text, at: 0 };
        if text.len() > LONGEST {
            return Err(reader.error(SelectorProblem::TooLong(LONGEST)));
        }
        Ok(reader)
    }

    /// `key operator …`, `exists key` or `!exists key`.
    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        self.skip_blanks();
        if self.take('!') {
            if !self.take_keyword("exists") {
                return Err(self.expected("`exists` after `!`"));
            }
            let (key, test) = (self.key()?, Test::Absent);
            return Ok(Requirement { key, test });
        }
        if self.take_keyword("exists") {
            let (key, test) = (self.key()?, Test::Exists);
            return Ok(Requirement { key, test });
        }
        let key = self.key()?;
        let test = self.test()?;
        Ok(Requirement { key, test })
    }

    fn key(&mut self) -> Result<Key, SelectorError> {
        const EXPECTED: &str = "a key, such as label.region or fact.host.name";
        self.skip_blanks();
        let prefixes = [("label.", Source::Label), ("fact.", Source::Fact)];
        let named = prefixes.into_iter().find(|(prefix, _)| self.take_text(prefix));
        if named.is_some() && self.peek().is_none_or(char::is_whitespace) {
            return Err(self.expected(EXPECTED));
        }
        let start = self.at;
        let name = self.word(EXPECTED)?;
        if name.is_empty() {
            self.at = start;
            return Err(self.expected(EXPECTED));
        }
        let source = named.map(|(_, source)| source);
        Ok(Key { source, name })
    }

    fn test(&mut self) -> Result<Test, SelectorError> {
        const EXPECTED: &str = "a value; one with blanks or other signs goes in quotes";
        if self.take_text("=~") {
            return self.pattern().map(Test::Matches);
        }
        if self.take_text("!=") {
            return self.word(EXPECTED).map(Test::IsNot);
        }
        if self.take_text("==") || self.take('=') {
            return self.word(EXPECTED).map(Test::Is);
        }
        if self.take_keyword("in") {
            return self.set().map(Test::In);
        }
        if self.take_keyword("notin") {
            return self.set().map(Test::NotIn);
        }
        Err(self.expected("one of = != =~ in notin"))
    }

    fn set(&mut self) -> Result<Vec<String>, SelectorError> {
        if !self.take('(') {
            return Err(self.expected("values in parentheses, such as (a, b)"));
        }
        let mut values = Vec::new();
        loop {
            values.push(self.word("a value")?);
            if self.take(')') {
                values.sort();
                values.dedup();
                return Ok(values);
            }
            if !self.take(',') {
                return Err(self.expected("a comma or `)`"));
            }
        }
    }

    fn pattern(&mut self) -> Result<Pattern, SelectorError> {
        self.skip_blanks();
        let start = self.at;
        let text = if matches!(self.peek(), Some('"' | '\'')) {
            self.word("a pattern")?
        } else {
            self.bare_pattern().to_owned()
        };
        if self.at == start {
            return Err(self.expected("a pattern"));
        }
        Pattern::new(&text).map_err(|error| {
            self.at = start;
            self.error(error.into())
        })
    }

    /// Up to a blank, or a comma that stands in no bracket.
    fn bare_pattern(&mut self) -> &'a str {
        let rest = self.rest();
        let (mut depth, mut class, mut escaped) = (0_usize, false, false);
        let end = rest.char_indices().find(|(_, c)| {
            if c.is_whitespace() || c.is_control() {
                return true;
            }
            if std::mem::take(&mut escaped) {
                return false;
            }
            match c {
                '\\' => escaped = true,
                ']' if class => class = false,
                _ if class => {}
                '[' => class = true,
                '(' | '{' => depth += 1,
                ')' | '}' => depth = depth.saturating_sub(1),
                ',' => return depth == 0,
                _ => {}
            }
            false
        });
        let end = end.map_or(rest.len(), |(at, _)| at);
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// A bare or quoted word.
    fn word(&mut self, expected: &'static str) -> Result<String, SelectorError> {
        self.skip_blanks();
        if let Some(quote @ ('"' | '\'')) = self.peek() {
            return self.quoted(quote);
        }
        let rest = self.rest();
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default();
        self.at += end;
        match self.peek() {
            Some('*') => Err(self.error(SelectorProblem::Wildcard)),
            _ if word.is_empty() => Err(self.expected(expected)),
            _ => Ok(word.to_owned()),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, SelectorError> {
        let start = self.at;
        let mut word = String::new();
        self.next();
        loop {
            let at = self.at;
            match self.next() {
                Some(c) if c == quote => return Ok(word),
                Some('\\') => {
                    let Some(c) = self.escape() else {
                        self.at = at;
                        return Err(self.error(SelectorProblem::Escape));
                    };
                    word.push(c);
                }
                Some(c) => word.push(c),
                None => {
                    self.at = start;
                    return Err(self.error(SelectorProblem::Unclosed));
                }
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        match self.next()? {
            c @ ('\\' | '"' | '\'') => Some(c),
            'n' => Some('\n'),
            't' => Some('\t'),
            'u' => {
                let (digits, rest) = self.rest().strip_prefix('{')?.split_once('}')?;
                self.at = self.text.len() - rest.len();
                u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)
            }
            _ => None,
        }
    }

    /// `*` and nothing else.
    fn everything(&mut self) -> bool {
        let alone = self.rest().trim() == "*";
        if alone {
            self.at = self.text.len();
        }
        alone
    }

    /// Whether what follows is a requirement and not a word to search for. Leaves the place anywhere.
    fn is_requirement(&mut self) -> Result<bool, SelectorError> {
        self.skip_blanks();
        if matches!(self.peek(), Some('!' | '=')) || self.take_keyword("exists") {
            return Ok(true);
        }
        // Quotes may follow a prefix: `label."a b"`.
        let prefixed = self.take_text("label.") || self.take_text("fact.");
        let named = self.word("a word to search for, or a requirement");
        if prefixed && named.is_err() {
            return Ok(false);
        }
        named?;
        if self.take('=') || self.take_text("!=") {
            return Ok(true);
        }
        Ok((self.take_keyword("in") || self.take_keyword("notin")) && self.take('('))
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn at_end(&self) -> bool {
        self.rest().trim_start().is_empty()
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn take(&mut self, c: char) -> bool {
        self.skip_blanks();
        let there = self.peek() == Some(c);
        if there {
            self.at += c.len_utf8();
        }
        there
    }

    fn take_text(&mut self, text: &str) -> bool {
        self.skip_blanks();
        let there = self.rest().starts_with(text);
        if there {
            self.at += text.len();
        }
        there
    }

    /// The word `keyword`, not merely a word that begins with it.
    fn take_keyword(&mut self, keyword: &str) -> bool {
        self.skip_blanks();
        let there = self
            .rest()
            .strip_prefix(keyword)
            .is_some_and(|rest| !rest.starts_with(is_word));
        if there {
            self.at += keyword.len();
        }
        there
    }

    fn error(&self, problem: SelectorProblem) -> SelectorError {
        let before = self.text.get(..self.at).unwrap_or(self.text);
        let column = before.chars().count() + 1;
        SelectorError { column, problem }
    }

    fn expected(&self, expected: &'static str) -> SelectorError {
        let found = match self.peek() {
            None => "the end".to_owned(),
            Some('*') => return self.error(SelectorProblem::Wildcard),
            Some(c) if is_word(c) => {
                let word: String = self.rest().chars().take_while(|c| is_word(*c)).take(32).collect();
                format!("`{word}`")
            }
            Some(c) if c.is_control() => format!("{c:?}"),
            Some(c) => format!("`{c}`"),
        };
        self.error(SelectorProblem::Expected { expected, found })
    }
}
