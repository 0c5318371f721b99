//! Buttons that say what they do to what, and the panel that asks before it is done.

use maud::{Markup, html};

use super::form::form_token;

/// A submit button of the surrounding form. `words` state the consequence: "Restart 12 agents".
#[must_use]
pub fn button(words: &str, primary: bool) -> Markup {
    html! { button.button.button-primary[primary] type="submit" { (words) } }
}

/// A link that looks like a button, for going to where something is done.
#[must_use]
pub fn button_link(words: &str, href: &str, primary: bool) -> Markup {
    html! { a.button.button-primary[primary] href=(href) { (words) } }
}

/// A whole form of one button, for an act that needs no further input. It posts `fields` (name, value) to `action`.
#[must_use]
pub fn post_button(words: &str, action: &str, fields: &[(&str, &str)], token: &str) -> Markup {
    html! {
        form method="post" action=(action) {
            (form_token(token))
            @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
            button.button type="submit" { (words) }
        }
    }
}

/// What is asked before something is done that is hard to take back.
#[derive(Debug)]
pub struct Confirm<'a> {
    /// The question, with object and count: "Revoke the credentials of 12 agents?".
    pub question: &'a str,
    /// What will happen, as one or more sentences or a list.
    pub consequences: Markup,
    /// The words that the person has to type, where the act deserves it. The use case checks them again.
    pub typed: Option<&'a str>,
    /// What is wrong with what was typed, after a refused attempt.
    pub error: Option<&'a str>,
    /// The button: object and count again ("Revoke 12 credentials").
    pub button: &'a str,
    /// Whether the act destroys something: then the button turns red once armed.
    pub destructive: bool,
    /// Where the form posts to.
    pub action: &'a str,
    /// Further fields (name, value) that are posted with it.
    pub fields: &'a [(&'a str, &'a str)],
    /// Where "Cancel" leads.
    pub cancel: &'a str,
    /// The form token of the session.
    pub form_token: &'a str,
}

/// A panel that asks, posts the field `confirm` when words had to be typed, and can be left without doing anything.
#[must_use]
pub fn confirm(ask: &Confirm<'_>) -> Markup {
    let arms = ask.destructive && ask.typed.is_some();
    let armed = ask.destructive && ask.typed.is_none();
    html! {
        form.confirm method="post" action=(ask.action) aria-labelledby="confirm-question" {
            (form_token(ask.form_token))
            @for (name, value) in ask.fields { input type="hidden" name=(name) value=(value); }
            h2 #confirm-question { (ask.question) }
            div.prose { (ask.consequences) }
            @if let Some(words) = ask.typed {
                div.field.field-error[ask.error.is_some()] {
                    label for="confirm" { "Type " code { (words) } " to confirm" }
                    div.input {
                        input.confirm-words #confirm type="text" name="confirm" required pattern=(literal(words))
                            autocomplete="off" autocapitalize="off" spellcheck="false"
                            aria-invalid=[ask.error.map(|_| "true")] aria-describedby=[ask.error.map(|_| "confirm-error")];
                    }
                    @if let Some(error) = ask.error { p.error #confirm-error { (error) } }
                }
            }
            div.buttons {
                button.button.button-arms[arms].button-armed[armed].button-primary[!ask.destructive] type="submit" { (ask.button) }
                a.button href=(ask.cancel) { "Cancel" }
            }
        }
    }
}

/// A pattern that matches exactly these words.
fn literal(words: &str) -> String {
    let mut pattern = String::with_capacity(words.len());
    for character in words.chars() {
        if "\\^$.*+?()[]{}|/-&!#%,:;<=>@`~".contains(character) {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(typed: Option<&str>, destructive: bool) -> String {
        confirm(&Confirm {
            question: "Revoke 2 credentials?",
            consequences: html! { p { "Their connections close." } },
            typed,
            error: None,
            button: "Revoke 2 credentials",
            destructive,
            action: "/agents/revoke",
            fields: &[("agent", "a1"), ("agent", "a2")],
            cancel: "/agents",
            form_token: "t0k",
        })
        .into_string()
    }

    #[test]
    fn a_destructive_button_is_red_only_once_armed() {
        assert!(panel(Some("revoke 2"), true).contains("class=\"button button-arms\""));
        assert!(panel(None, true).contains("class=\"button button-armed\""));
        assert!(panel(None, false).contains("class=\"button button-primary\""));
    }

    #[test]
    fn the_words_to_type_are_taken_literally() {
        assert!(panel(Some("a.b*"), true).contains("pattern=\"a\\.b\\*\""));
    }

    #[test]
    fn the_panel_posts_its_fields_and_the_form_token() {
        let html = panel(None, true);
        assert!(html.contains("name=\"form_token\" value=\"t0k\""));
        assert_eq!(html.matches("name=\"agent\"").count(), 2);
    }
}
