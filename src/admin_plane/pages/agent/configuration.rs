//! What an agent is to run, what it said about that, and what it runs.

use maud::{Markup, html};

use super::super::agents::verdict_shape;
use super::super::differences::differences;
use super::super::layout::section;
use super::super::parts::{
    Column, DiffView, Empty, Fact, Row, Tab, Table, ago, badge, button_link, code_block, count, empty, facts,
    numbered_code, post_button, table, tabs, visible, visible_text,
};
use super::super::scene::{Scene, bytes, encoded};
use super::{hold_words, path};
use crate::admin_plane::pages::layers::layer_links;
use crate::app::adopt::AdoptResult;
use crate::app::agents::{AgentConfiguration, AgentDetail, Wanted};
use crate::auth::permission::Permission;
use crate::fleet::agent::Verdict;
use crate::fleet::agent::report::RemoteConfigOutcome;
use crate::fleet::config::{Change, ConfigMap, Difference, Drift, Shown};
use crate::fleet::time::Timestamp;

/// So many differing places are shown.
const PLACES_SHOWN: usize = 40;

/// What of a configuration is shown in full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// What differs from what is wanted to what it runs.
    #[default]
    Difference,
    /// What is wanted.
    Wanted,
    /// What it runs.
    Runs,
}

impl Side {
    /// Its word in the URL.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Difference => "difference",
            Self::Wanted => "wanted",
            Self::Runs => "runs",
        }
    }

    /// The side that a URL names; anything else is the first.
    #[must_use]
    pub fn named(word: &str) -> Self {
        match word {
            "wanted" => Self::Wanted,
            "runs" => Self::Runs,
            _ => Self::Difference,
        }
    }
}

/// The tab.
#[must_use]
pub fn configuration(
    detail: &AgentDetail,
    view: &AgentConfiguration,
    side: Side,
    diff: DiffView,
    scene: &Scene<'_>,
) -> Markup {
    html! {
        (standing(detail, view, scene))
        @if detail.summary.config.state.is_refusal() { (refusal(detail, view, scene)) }
        (sides(detail, view, side, diff, scene))
    }
}

fn standing(detail: &AgentDetail, view: &AgentConfiguration, scene: &Scene<'_>) -> Markup {
    let state = detail.summary.config.state;
    let since = detail.summary.config.since;
    html! {
        (facts(&[
            Fact::new("Stands", html! {
                (badge(verdict_shape(state), Some(state.words())))
                @if since != Timestamp::EPOCH { " " span.quiet { (ago(since, scene.now)) } }
            }),
            Fact::new("Wanted", wanted(detail, view, scene)),
            Fact {
                term: "It said",
                value: Some(match &view.said {
                    None => html! { span.quiet { "nothing about a configuration yet" } },
                    Some(said) => html! {
                        (outcome(said.outcome)) " "
                        @match layer_links(&said.layers) { Some(links) => (links), None => "a configuration that is none of ours" }
                        " " span.quiet { (ago(said.at, scene.now)) }
                    },
                }),
            },
            Fact::new("It runs", runs(detail, view, scene)),
        ]))
    }
}

fn outcome(outcome: RemoteConfigOutcome) -> &'static str {
    match outcome {
        RemoteConfigOutcome::Unset => "received",
        RemoteConfigOutcome::Applied => "applied",
        RemoteConfigOutcome::Applying => "is applying",
        RemoteConfigOutcome::Failed => "refused",
    }
}

fn wanted(detail: &AgentDetail, view: &AgentConfiguration, scene: &Scene<'_>) -> Markup {
    let Some(wanted) = &view.wanted else {
        if let Some(reason) = view.hold {
            return html! { (hold_words(reason)) };
        }
        if let Some(moving) = &detail.pending_move {
            return html! { "nothing for now: it waits to move into " a href={ "/groups/" (detail.registration.group) } { (detail.registration.group) } " (" (visible(&moving.waits)) "). What it runs stays." };
        }
        return html! {
            "nothing: " @if detail.registration.group.as_str() == "unassigned" { "it is in no group" }
            @else { "nothing was published to " a href={ "/groups/" (detail.registration.group) } { (detail.registration.group) } }
            ". It is observed, and what it runs stays."
        };
    };
    let from = wanted.target.as_ref();
    html! {
        @match from.and_then(|target| layer_links(&target.content.as_ref()?.layers)) {
            Some(links) => (links),
            None => "a configuration",
        }
        @if wanted.own { ", its own" } @else { ", by its group " a href={ "/groups/" (detail.registration.group) } { (detail.registration.group) } }
        @if let Some(target) = from {
            ", published " (ago(target.published_at, scene.now)) " by " (visible(&target.published_by))
            @if !target.message.is_empty() { ": " (visible(&target.message)) }
        }
        @if detail.pending_move.is_some() && !wanted.own { "; it keeps this until a rollout of its group moves it" }
        @if view.hold.is_some() { "; it is held" }
        @if wanted.own && scene.may(Permission::Publish) { " " a href={ (path(detail)) "/act/unpublish" } { "Give it up" } }
    }
}

fn runs(detail: &AgentDetail, view: &AgentConfiguration, scene: &Scene<'_>) -> Markup {
    let Some(known) = &detail.effective_config else {
        return html! { span.quiet { "not reported" } };
    };
    html! {
        @match (&view.drift, &view.wanted) {
            (Some(Drift::InSync), _) => "what is wanted",
            (Some(Drift::CannotVerify { reason }), _) => { "can't be compared: " (visible(reason)) }
            (Some(Drift::Differs { differences }), _) => {
                "something else, in " (count(differences.len() as u64, "place", "places"))
            }
            (None, None) => "what it was given elsewhere",
            (None, Some(_)) => "what it reports",
        }
        " " span.quiet { "(" (bytes(known.size)) ", the same since " (ago(known.at, scene.now)) ")" }
    }
}

/// Where what it runs differs from what is wanted, and what can be done.
fn drifted(detail: &AgentDetail, differences: &[Difference], scene: &Scene<'_>) -> Markup {
    let path = path(detail);
    let verdict = detail.summary.config.state;
    let value = |shown: Option<&Shown>| {
        html! { @match shown {
            Some(shown) => { code.break { (visible(&shown.text)) @if shown.cut { "…" } } }
            None => span.quiet { "nothing" },
        } }
    };
    let rows: Vec<Row> = differences
        .iter()
        .take(PLACES_SHOWN)
        .map(|found| Row {
            key: found.path.clone(),
            name: found.path.clone(),
            cells: vec![
                html! { code.break { @if found.path.is_empty() { "the whole" } @else { (visible(&found.path)) } } },
                html! { @match found.change { Change::Added => "added", Change::Removed => "missing", Change::Changed => "changed" } },
                value(found.offered.as_ref()),
                value(found.runs.as_ref()),
            ],
        })
        .collect();
    let column = |words| Column {
        words,
        ..Column::default()
    };
    let more = differences.len().saturating_sub(PLACES_SHOWN);
    section(
        "Where it differs",
        None,
        &html! {
            p.soft { "What supervisors add, settings that nobody wanted otherwise than by default, and the order of entries are left out; " code { "***" } " stands for a secret." }
            (table(&Table {
                id: "differences",
                caption: "Places that differ",
                columns: &[column("Where"), column("How"), column("Wanted"), column("Runs")],
                rows: &rows,
                picks: false,
                noun: ("place", "places"),
                pager: None,
            }))
            @if more > 0 { p.soft { "and " (count(more as u64, "more place", "more places")) } }
            div.buttons {
                @if verdict == Verdict::Drifted && scene.may(Permission::Publish) {
                    (button_link("Re-apply what is wanted", &format!("{path}/act/reapply"), true))
                }
                @if scene.may(Permission::EditConfigs) { (button_link("Adopt what it runs", &format!("{path}/adopt"), false)) }
            }
        },
    )
}

/// What keeping what an agent runs came to, in a sentence or two.
#[must_use]
pub fn kept(result: &AdoptResult) -> String {
    let mut words = if result.saved.created {
        "What the agent runs was kept. Nothing is sent until you publish it.".to_owned()
    } else {
        "The newest revision is what the agent runs; nothing was saved.".to_owned()
    };
    if !result.dropped.is_empty() {
        words.push_str(" What a supervisor adds was left out.");
    }
    let secrets = result.to_fill_in.len();
    if secrets > 0 {
        use std::fmt::Write as _;
        let _ = write!(
            words,
            " The agent hides {}: a variable stands for each, to be filled in before it can be published.",
            count(secrets as u64, "secret", "secrets")
        );
    }
    if !result.unreported.is_empty() {
        words.push_str(" Its collector doesn't report ");
        words.push_str(&result.unreported.join(", "));
        words.push_str(": add what belongs there before you publish it.");
    }
    words
}

/// Why it refused, with the lines that it names, and what can be done.
fn refusal(detail: &AgentDetail, view: &AgentConfiguration, scene: &Scene<'_>) -> Markup {
    let path = path(detail);
    let error = detail.summary.config.error.as_str();
    let named = named_lines(error);
    let content = view.wanted.as_ref().and_then(document);
    let edit = view
        .wanted
        .as_ref()
        .and_then(|wanted| wanted.target.as_ref()?.content.as_ref()?.layers.last())
        .map(|layer| format!("/configs/{}", encoded(layer.config.as_str())));
    section(
        "Why it refused",
        None,
        &html! {
            @if error.is_empty() { p { "It gave no reason. Its own log on the host may say more." } }
            @else { (code_block(error, "the reason")) }
            @if let Some(content) = content {
                @for number in &named {
                    @if let Some(line) = content.lines().nth(number.saturating_sub(1)) {
                        p { a href={ (path) "/configuration?view=wanted#L" (number) } { "Line " (number) } ": " code.break { (visible(line.trim_end())) } }
                    }
                }
            }
            p.soft { "What it ran before keeps running. The same content is not offered to it again by itself." }
            div.buttons {
                @if let Some(href) = &edit { (button_link("Edit the configuration", href, true)) }
                @if scene.may(Permission::Publish) { (post_button("Offer it once more", &format!("{path}/act/retry"), &[], scene.form_token)) }
            }
        },
    )
}

/// The lines that an agent's reason names: `line 14`, `(14:3)` is not taken.
fn named_lines(error: &str) -> Vec<usize> {
    let lower = error.to_ascii_lowercase();
    let mut lines: Vec<usize> = Vec::new();
    for rest in lower.split("line ").skip(1) {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).take(7).collect();
        if let Ok(number) = digits.parse::<usize>()
            && number > 0
            && !lines.contains(&number)
            && lines.len() < 5
        {
            lines.push(number);
        }
    }
    lines
}

fn document(wanted: &Wanted) -> Option<&str> {
    let files = &wanted.content.files;
    let only = (files.len() == 1).then(|| files.values().next()).flatten()?;
    std::str::from_utf8(&only.body).ok()
}

fn sides(
    detail: &AgentDetail,
    view: &AgentConfiguration,
    side: Side,
    diff: DiffView,
    scene: &Scene<'_>,
) -> Markup {
    let base = format!("{}/configuration", path(detail));
    let href = |side: Side| format!("{base}?view={}", side.word());
    let hrefs = [base.clone(), href(Side::Wanted), href(Side::Runs)];
    let words = [
        (Side::Difference, "Difference"),
        (Side::Wanted, "What is wanted"),
        (Side::Runs, "What it runs"),
    ];
    let row: Vec<Tab<'_>> = words
        .iter()
        .zip(&hrefs)
        .map(|((which, words), href)| Tab {
            words,
            href,
            count: None,
            current: *which == side,
        })
        .collect();
    html! {
        (tabs("Sides of the configuration", &row))
        @match side {
            Side::Difference => {
                @if let Some(Drift::Differs { differences }) = &view.drift { (drifted(detail, differences, scene)) }
                (difference(detail, view, diff, &base))
            }
            Side::Wanted => (match &view.wanted {
                Some(wanted) => content(&wanted.content),
                None => empty(&Empty {
                    title: "Nothing is wanted of it",
                    words: html! { "What its group publishes appears here, or a configuration of its own." },
                    fill: scene.may(Permission::Publish).then(|| html! {
                        (button_link("Pin to a group", &format!("{}/group", path(detail)), false))
                        " " (button_link("Publish to this agent alone", &format!("{}/publish", path(detail)), false))
                    }),
                }),
            }),
            Side::Runs => (match &view.effective {
                Some(effective) => html! {
                    p.soft { "As the agent reports it. Supervisors add parts of their own, and collectors hide secrets as " code { "[REDACTED]" } "." }
                    @if scene.may(Permission::EditConfigs) {
                        div.buttons {
                            (post_button("Keep it as a new config", &format!("{}/adopt", path(detail)), &[], scene.form_token))
                            (button_link("Keep it as a revision", &format!("{}/adopt", path(detail)), false))
                        }
                    }
                    (content(&effective.content))
                },
                None => not_seen(view),
            }),
        }
    }
}

fn difference(detail: &AgentDetail, view: &AgentConfiguration, diff: DiffView, base: &str) -> Markup {
    let (Some(found), Some(_)) = (&view.diff, &view.effective) else {
        return if view.wanted.is_none() {
            empty(&Empty {
                title: "There is nothing to compare",
                words: html! {
                    "Nothing is wanted of " (visible(&detail.summary.name)) "."
                    @if view.effective.is_some() { " What it runs stands " a href={ (base) "?view=runs" } { "here" } "." }
                },
                fill: None,
            })
        } else {
            not_seen(view)
        };
    };
    let (view_now, other) = match diff {
        DiffView::Unified => (DiffView::Unified, format!("{base}?diff=split")),
        DiffView::Split => (DiffView::Split, base.to_owned()),
    };
    html! {
        @if matches!(view.drift, Some(Drift::InSync)) && !found.is_empty() {
            p.soft { "They mean the same: what differs is order, form, or what a supervisor adds." }
        }
        (differences("what is wanted", "what it runs", found, view_now, Some(&other)))
    }
}

fn not_seen(view: &AgentConfiguration) -> Markup {
    if view.effective_hidden {
        return empty(&Empty {
            title: "What it runs is not shown to you",
            words: html! { "A configuration may hold secrets, so it takes the role of an operator to see it." },
            fill: None,
        });
    }
    empty(&Empty {
        title: "What it runs is not reported",
        words: html! { "So it can't be told whether it runs what is wanted, only what it said about it. A Supervisor reports it with " code { "reports_effective_config: true" } "." },
        fill: None,
    })
}

fn content(map: &ConfigMap) -> Markup {
    let text = |body: &[u8]| std::str::from_utf8(body).ok().map(str::to_owned);
    html! {
        @if map.files.is_empty() { p.soft { "It is empty." } }
        @else if let (1, Some(only)) = (map.files.len(), map.files.values().next()) {
            (match text(&only.body) { Some(text) => numbered_code(&text), None => binary(only.body.len()) })
        } @else {
            @for (name, file) in &map.files {
                h3 { code { @if name.is_empty() { "(no name)" } @else { (visible(name)) } } }
                (match text(&file.body) { Some(text) => code_block(&text, &visible_text(name)), None => binary(file.body.len()) })
            }
        }
    }
}

fn binary(size: usize) -> Markup {
    html! { p.soft { "It is no text: " (bytes(size as u64)) "." } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_that_an_agent_names_are_found() {
        assert_eq!(
            named_lines("yaml: line 14: bad; at Line 3, line 14, line 0, line x"),
            [14, 3]
        );
        assert!(named_lines(&"line 99999999999999999999 ".repeat(3)).len() <= 1);
    }
}
