//! Code, identifiers and commands that people copy.

use maud::{Markup, html};

use super::icon::{Icon, icon};
use super::text::visible;

/// A block of code or a command, with a button that copies it. `label` says what is copied ("the join command").
#[must_use]
pub fn code_block(code: &str, label: &str) -> Markup {
    html! {
        div.copyable {
            pre tabindex="0" aria-label=(label) { code { (visible(code)) } }
            (copy_button(label, code))
        }
    }
}

/// An identifier in a line of text, with a small button that copies it.
#[must_use]
pub fn copy_inline(text: &str, label: &str) -> Markup {
    html! { span.copy-inline { code { (visible(text)) } (copy_button(label, text)) } }
}

/// Code with line numbers that copying leaves out, each line an anchor `#L14`.
#[must_use]
pub fn numbered_code(code: &str) -> Markup {
    html! {
        pre.code.numbered tabindex="0" {
            code { @for (at, line) in code.lines().enumerate() { span.line id={ "L" (at + 1) } { (visible(line)) "\n" } } }
        }
    }
}

/// Hidden until the script has shown it, since without script it could do nothing.
fn copy_button(label: &str, text: &str) -> Markup {
    html! {
        button.button.button-small.copy type="button" hidden data-copy=(text) aria-label={ "Copy " (label) } {
            (icon(Icon::Copy)) span { "Copy" }
        }
    }
}
