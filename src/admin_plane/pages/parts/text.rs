//! Text that others wrote, and counts in words.

use maud::{Markup, html};

/// Shows a string that an agent or a person chose, so that what is read is what is there: control characters,
/// line separators and characters that change the direction or hide themselves appear as their names in a mark.
///
/// Ordinary text passes unchanged (and escaped); line feeds and tabs pass too, since HTML shows them as space.
#[must_use]
pub fn visible(text: &str) -> Markup {
    if !text.chars().any(is_hidden) {
        return html! { (text) };
    }
    html! {
        @for piece in pieces(text) {
            @match piece {
                Piece::Plain(plain) => (plain),
                Piece::Hidden(character) => span.control-mark { (name_of(character)) },
            }
        }
    }
}

/// As [`visible`], where only text can stand (titles, attributes, labels for screen readers).
#[must_use]
pub fn visible_text(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Plain(plain) => shown.push_str(plain),
            Piece::Hidden(character) => shown.push_str(&name_of(character)),
        }
    }
    shown
}

/// "1 agent", "12 agents", "4,096 agents": a count with its noun. `many` is the plural.
#[must_use]
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// A number with a comma between thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

enum Piece<'a> {
    Plain(&'a str),
    Hidden(char),
}

fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    text.split_inclusive(is_hidden).flat_map(|part| {
        let hidden = part.chars().next_back().filter(|last| is_hidden(*last));
        let plain = hidden.map_or(part, |last| part.strip_suffix(last).unwrap_or(part));
        let plain = (!plain.is_empty()).then_some(Piece::Plain(plain));
        plain.into_iter().chain(hidden.map(Piece::Hidden))
    })
}

/// Characters that a reader would not see, or that change how their neighbours are read.
fn is_hidden(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        '\u{00ad}' // soft hyphen
        | '\u{034f}' // combining grapheme joiner
        | '\u{061c}' // Arabic letter mark
        | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' // fillers
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}' // zero width, direction marks
        | '\u{2028}'..='\u{202e}' // separators, embeddings and overrides
        | '\u{2060}'..='\u{206f}' // joiners, isolates, deprecated formatting
        | '\u{fe00}'..='\u{fe0f}' // variation selectors
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}' => true, // tags and variation selectors
        other => other.is_control(),
    }
}

fn name_of(character: char) -> String {
    let name = match character {
        '\0' => "NUL",
        '\r' => "CR",
        '\u{1b}' => "ESC",
        '\u{200b}' => "ZWSP",
        '\u{200e}' => "LRM",
        '\u{200f}' => "RLM",
        '\u{202a}' => "LRE",
        '\u{202b}' => "RLE",
        '\u{202c}' => "PDF",
        '\u{202d}' => "LRO",
        '\u{202e}' => "RLO",
        '\u{2066}' => "LRI",
        '\u{2067}' => "RLI",
        '\u{2068}' => "FSI",
        '\u{2069}' => "PDI",
        other => return format!("U+{:04X}", u32::from(other)),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_text_passes_and_is_escaped() {
        assert_eq!(
            visible("Zürich <1> & 東京\n").into_string(),
            "Zürich &lt;1&gt; &amp; 東京\n"
        );
        assert_eq!(visible_text("web-01"), "web-01");
    }

    #[test]
    fn characters_that_hide_or_turn_text_are_shown_by_name() {
        assert_eq!(visible_text("a\u{202e}txt.exe"), "aRLOtxt.exe");
        assert_eq!(visible_text("\0\u{1b}[31m\u{7f}\u{9b}"), "NULESC[31mU+007FU+009B");
        assert_eq!(
            visible("x\u{2066}<b>").into_string(),
            "x<span class=\"control-mark\">LRI</span>&lt;b&gt;"
        );
    }

    #[test]
    fn no_hidden_character_survives_in_any_position() {
        for code in (0..=0x0010_ffff)
            .filter_map(char::from_u32)
            .filter(|c| is_hidden(*c))
        {
            let shown = visible_text(&format!("{code}a{code}{code}b{code}"));
            assert!(!shown.chars().any(is_hidden), "{code:?}");
        }
    }

    #[test]
    fn counts_carry_their_noun_and_thousands() {
        assert_eq!(count(1, "agent", "agents"), "1 agent");
        assert_eq!(count(0, "agent", "agents"), "0 agents");
        assert_eq!(count(1_234_567, "agent", "agents"), "1,234,567 agents");
    }
}
