//! Fields of forms: label above, help under the label, the error beside the field and summed up on top.
//!
//! Forms are plain: they post and get a page back, with what was typed still in place. Every form that changes
//! something carries [`form_token`].

use maud::{Markup, html};

use super::text::visible;

/// The hidden field that proves that a form came from one of our own pages: `form_token`.
#[must_use]
pub fn form_token(token: &str) -> Markup {
    html! { input type="hidden" name="form_token" value=(token); }
}

/// The kind of a one-line or longer field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Input {
    /// One line of text.
    #[default]
    Text,
    /// One line of text in a fixed-width face: identifiers, selectors.
    Code,
    /// A password, never filled in again after an error.
    Password,
    /// A password that is being chosen.
    NewPassword,
    /// A name that a password manager should know.
    Username,
    /// A whole number.
    Number,
    /// Several lines; the number of rows.
    Lines(u8),
}

/// One field of a form.
#[derive(Clone, Copy, Debug, Default)]
pub struct Field<'a> {
    /// Its name in the form, also its id.
    pub name: &'a str,
    /// The words above it.
    pub label: &'a str,
    /// What the person typed, or the present value.
    pub value: &'a str,
    /// One or two sentences under the label; empty for none.
    pub help: &'a str,
    /// What is wrong with the value and what to do.
    pub error: Option<&'a str>,
    /// What kind it is.
    pub input: Input,
    /// Whether it may be left empty; then the label says so.
    pub optional: bool,
    /// Whether the page opens with the cursor in it.
    pub focus: bool,
}

/// A field with label, help and error.
#[must_use]
pub fn field(field: &Field<'_>) -> Markup {
    let (id, wrong) = (field.name, field.error.map(|_| "true"));
    let described = described_by(field);
    let required = !field.optional;
    html! {
        (wrapped(field, &html! {
            @match field.input {
                Input::Lines(rows) => textarea #(id) name=(id) rows=(rows) required[required] autofocus[field.focus]
                    aria-invalid=[wrong] aria-describedby=[described.as_deref()] { "\n" (field.value) },
                Input::Password | Input::NewPassword => input #(id) name=(id) type="password" required[required]
                    autofocus[field.focus] aria-invalid=[wrong] aria-describedby=[described.as_deref()]
                    autocomplete=(if field.input == Input::Password { "current-password" } else { "new-password" });
                Input::Number => input #(id) name=(id) type="text" inputmode="numeric" value=(field.value)
                    required[required] autofocus[field.focus] aria-invalid=[wrong]
                    aria-describedby=[described.as_deref()] autocomplete="off";
                Input::Username => input #(id) name=(id) type="text" value=(field.value) required[required]
                    autofocus[field.focus] aria-invalid=[wrong] aria-describedby=[described.as_deref()]
                    autocomplete="username" autocapitalize="off" spellcheck="false";
                Input::Text | Input::Code => input #(id).mono[field.input == Input::Code] name=(id) type="text"
                    value=(field.value) required[required] autofocus[field.focus] aria-invalid=[wrong]
                    aria-describedby=[described.as_deref()] autocomplete="off"
                    spellcheck=[(field.input == Input::Code).then_some("false")];
            }
        }))
    }
}

/// One possibility of a choice.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// The value that is posted.
    pub value: &'a str,
    /// The words beside it.
    pub label: &'a str,
    /// One sentence under the words; empty for none. Not shown by [`select_field`].
    pub help: &'a str,
}

/// A choice from a list that folds out; `field.value` is the chosen value.
#[must_use]
pub fn select_field(field: &Field<'_>, options: &[Choice<'_>]) -> Markup {
    let described = described_by(field);
    wrapped(
        field,
        &html! {
            select #(field.name) name=(field.name) autofocus[field.focus] aria-invalid=[field.error.map(|_| "true")]
                aria-describedby=[described.as_deref()] {
                @for option in options {
                    option value=(option.value) selected[option.value == field.value] { (visible(option.label)) }
                }
            }
        },
    )
}

/// A choice of one from a few, all of them in sight; `field.value` is the chosen value.
#[must_use]
pub fn choices(field: &Field<'_>, options: &[Choice<'_>]) -> Markup {
    let described = described_by(field);
    html! {
        fieldset.field.field-error[field.error.is_some()] #(field.name) aria-describedby=[described.as_deref()] {
            legend { (field.label) }
            (help_text(field))
            @if let Some(error) = field.error { p.error #{ (field.name) "-error" } { (error) } }
            div.input {
                @for option in options {
                    label.choice {
                        input type="radio" name=(field.name) value=(option.value) checked[option.value == field.value];
                        span { (visible(option.label)) }
                        @if !option.help.is_empty() { span.help { (option.help) } }
                    }
                }
            }
        }
    }
}

/// One box to tick. It posts `1` when ticked and nothing otherwise.
#[must_use]
pub fn check(name: &str, label: &str, help: &str, checked: bool) -> Markup {
    html! {
        label.choice {
            input type="checkbox" name=(name) value="1" checked[checked];
            span { (label) }
            @if !help.is_empty() { span.help { (help) } }
        }
    }
}

/// The text area that the editor enhances where there is script. `check_url` answers the text, posted as
/// `text/plain` with the form's token in `X-Form-Token`, with
/// `{"problems":[{"line":1,"column":2,"severity":"error","message":"…"}]}` (severity `error`, `warning` or `info`;
/// line and column count from 1). The page must set [`super::super::layout::Page::editor`].
#[must_use]
pub fn editor(field: &Field<'_>, check_url: Option<&str>) -> Markup {
    let described = described_by(field);
    wrapped(
        field,
        &html! {
            textarea.code #(field.name) name=(field.name) rows="24" data-editor="yaml" data-check=[check_url]
                spellcheck="false" autocomplete="off" autocapitalize="off" required[!field.optional]
                aria-invalid=[field.error.map(|_| "true")] aria-describedby=[described.as_deref()] { "\n" (field.value) }
        },
    )
}

/// What is wrong with one field, for the summary.
#[derive(Clone, Copy, Debug)]
pub struct FieldError<'a> {
    /// The field's name; empty for an error that belongs to no field.
    pub field: &'a str,
    /// What is wrong and what to do, the same words as beside the field.
    pub message: &'a str,
}

/// The errors of a form on top of it, each a link to its field. Nothing when there are none.
#[must_use]
pub fn error_summary(errors: &[FieldError<'_>]) -> Markup {
    html! {
        @if !errors.is_empty() {
            div.error-summary role="alert" tabindex="-1" data-focus {
                h2 { @if errors.len() == 1 { "There is a problem" } @else { "There are " (errors.len()) " problems" } }
                ul {
                    @for error in errors {
                        li {
                            @if error.field.is_empty() { (error.message) }
                            @else { a href={ "#" (error.field) } { (error.message) } }
                        }
                    }
                }
            }
        }
    }
}

fn wrapped(field: &Field<'_>, control: &Markup) -> Markup {
    html! {
        div.field.field-error[field.error.is_some()].field-short[field.input == Input::Number] {
            label for=(field.name) {
                (field.label)
                @if field.optional { " " span.optional { "(optional)" } }
            }
            (help_text(field))
            @if let Some(error) = field.error { p.error #{ (field.name) "-error" } { (error) } }
            div.input { (control) }
        }
    }
}

fn help_text(field: &Field<'_>) -> Markup {
    html! { @if !field.help.is_empty() { p.help #{ (field.name) "-help" } { (field.help) } } }
}

fn described_by(field: &Field<'_>) -> Option<String> {
    let help = (!field.help.is_empty()).then(|| format!("{}-help", field.name));
    let error = field.error.map(|_| format!("{}-error", field.name));
    match (help, error) {
        (Some(help), Some(error)) => Some(format!("{error} {help}")),
        (help, error) => help.or(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_kept_and_the_error_is_tied_to_its_field() {
        let html = field(&Field {
            name: "selector",
            label: "Selector",
            value: "label.region = \"<eu>\"",
            error: Some("Close the bracket"),
            help: "Which agents",
            ..Field::default()
        })
        .into_string();
        assert!(
            html.contains("value=\"label.region = &quot;&lt;eu&gt;&quot;\""),
            "{html}"
        );
        assert!(
            html.contains("aria-invalid=\"true\" aria-describedby=\"selector-error selector-help\""),
            "{html}"
        );
        assert!(
            error_summary(&[FieldError {
                field: "selector",
                message: "Close the bracket"
            }])
            .into_string()
            .contains("href=\"#selector\"")
        );
    }

    #[test]
    fn a_password_is_never_filled_in_again() {
        let html = field(&Field {
            name: "p",
            value: "hunter2",
            input: Input::Password,
            ..Field::default()
        });
        assert!(!html.into_string().contains("hunter2"));
    }

    #[test]
    fn a_text_area_keeps_a_leading_line_feed() {
        let html = editor(
            &Field {
                name: "body",
                value: "\na: 1",
                ..Field::default()
            },
            Some("/check"),
        )
        .into_string();
        assert!(html.contains(">\n\na: 1</textarea>"), "{html}");
    }
}
