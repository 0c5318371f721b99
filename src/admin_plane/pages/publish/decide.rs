//! What is published, how it goes out, and the decision.

use maud::{Markup, html};

use super::{LayerChoice, PublishForm, Standing, impact::what};
use crate::admin_plane::pages::layout::section;
use crate::admin_plane::pages::parts::{
    Choice, Field, Input, Status, badge, button, check, count, field, select_field, visible,
};
use crate::admin_plane::pages::scene::{Scene, encoded};
use crate::app::intentions::Preview;
use crate::fleet::ids::RolloutId;
use crate::fleet::target::{Confirmation, ConfirmationReason};

/// So many revisions are offered, besides the one in force.
const MOST_OFFERED: usize = 50;
/// So much of a revision's message is shown.
const MESSAGE_CHARACTERS: usize = 48;

/// The layers, each with the choice of its revision.
pub(super) fn layers(standing: &Standing, form: &PublishForm) -> Markup {
    let errors = &form.errors;
    let wrong = errors.field("layers");
    section(
        "Layers",
        None,
        &html! {
            div.form {
                fieldset.field.field-error[wrong.is_some()] #layers {
                    legend { "Revisions" }
                    p.help { "From base to most specific: what a lower one says takes the place of what an upper one says." }
                    @if let Some(error) = wrong { p.error { (error) } }
                    div.input.layer-rows {
                        @for (at, layer) in standing.layers.iter().enumerate() { (revisions(at, layer)) }
                    }
                }
                details open[errors.field("other").is_some() || !form.other.is_empty()] {
                    summary { "Other layers, or another order" }
                    (field(&Field {
                        name: "other",
                        label: "Layers instead of these",
                        value: &form.other,
                        help: "One a line with its revision, from base to most specific, as in base@3. The group has these from then on.",
                        error: errors.field("other"),
                        input: Input::Lines(3),
                        optional: true,
                        ..Field::default()
                    }))
                }
                div.buttons { button.button type="submit" name="act" value="look" formnovalidate { "Show what it does" } }
            }
        },
    )
}

fn revisions(at: usize, layer: &LayerChoice) -> Markup {
    let id = format!("revision-{at}");
    let newest = layer.revisions.first().map(|revision| revision.number);
    let kept = |number: u64| Some(number) == layer.in_force || number == layer.chosen;
    let offered = layer.revisions.iter().enumerate();
    let offered = offered.filter(|(at, revision)| *at < MOST_OFFERED || kept(revision.number));
    html! {
        div.layer-row {
            label for=(id) { (visible(layer.config.as_str())) }
            input type="hidden" name="layer" value=(layer.config);
            select #(id) name="revision" {
                @for (_, revision) in offered {
                    option value=(revision.number) selected[revision.number == layer.chosen] {
                        (revision.number)
                        @if Some(revision.number) == newest { ", newest" }
                        @if Some(revision.number) == layer.in_force { ", in force" }
                        @let message: String = revision.message.chars().take(MESSAGE_CHARACTERS).collect();
                        @if !message.is_empty() { ": " (visible(&message)) @if message.len() < revision.message.len() { "…" } }
                    }
                }
            }
            span.quiet {
                @match layer.in_force {
                    Some(number) if number == layer.chosen => "in force",
                    Some(number) => {
                        "in force: " a href={ "/configs/" (encoded(layer.config.as_str())) "/diff?from=" (number) "&to=" (layer.chosen) } { "revision " (number) }
                    },
                    None => "not published yet",
                }
            }
        }
    }
}

/// How it goes out, and the button that sends it.
pub(super) fn decide(preview: &Preview, standing: &Standing, form: &PublishForm) -> Markup {
    let impact = &preview.impact;
    let words = format!(
        "{} {} to {}",
        if preview.approvals > 0 {
            "Propose to send"
        } else {
            "Send"
        },
        what(preview),
        count(u64::from(impact.reached()), "agent", "agents")
    );
    let wants_blank = form.allow_blank || form.errors.field("allow_blank").is_some();
    let usual = if standing.has_strategy {
        "As the group says"
    } else {
        "As by default for a group of this size"
    };
    section(
        "How it goes out",
        None,
        &html! {
            div.form {
                (form.strategy.fields("How fast", (usual, &preview.strategy.to_string()), &form.errors))
                @if let Some(other) = preview.under_way { (in_the_way(other, form)) }
                (field(&Field {
                    name: "message",
                    label: "Why",
                    value: &form.message,
                    help: "It stands in the group's history and the audit log.",
                    error: form.errors.field("message"),
                    optional: true,
                    ..Field::default()
                }))
                @if let Some(confirmation) = impact.confirmation { (typed(confirmation, impact.fleet, form)) }
                @if wants_blank {
                    @if let Some(error) = form.errors.field("allow_blank") { p.error #allow_blank { (error) } }
                    (check("allow_blank", "An empty configuration is meant", "The agents stop collecting.", form.allow_blank))
                }
                @if preview.approvals > 0 {
                    p { "The group is protected: nothing is sent until " (count(u64::from(preview.approvals), "other person approves", "other people approve")) " just this. A change of what is sent, of the agents or of how it goes out makes an approval void." }
                }
                @if preview.is_stopped() {
                    p.error { "It can't be sent: the errors above stop it. Mend them in a layer, or choose other layers or revisions." }
                }
                div.buttons {
                    @if !preview.is_stopped() { (button(&words, true)) }
                    a.button href={ "/groups/" (preview.group) } { "Cancel" }
                }
            }
        },
    )
}

/// That the group is held, where it is.
pub(super) fn held(standing: &Standing, scene: &Scene<'_>) -> Markup {
    html! {
        @if let Some(terms) = &standing.hold {
            p.status-line {
                (badge(Status::Degraded, Some("Held"))) " "
                span.reason {
                    "The group is held " (crate::admin_plane::pages::terms::told(terms, scene.now))
                    " What you publish waits for its release."
                }
            }
        }
    }
}

/// What becomes of a rollout that isn't over.
fn in_the_way(other: RolloutId, form: &PublishForm) -> Markup {
    let (value, help) = (
        if form.if_running.is_empty() {
            "refuse"
        } else {
            &form.if_running
        },
        format!("Rollout {other} to this group isn't over."),
    );
    let options = [
        ("refuse", "Publish nothing"),
        ("queue", "Wait until it has ended"),
        (
            "replace",
            "Take its place; agents keep what they have until they are reached",
        ),
    ];
    let options = options.map(|(value, label)| Choice {
        value,
        label,
        help: "",
    });
    select_field(
        &Field {
            name: "if_running",
            label: "The rollout under way",
            value,
            help: &help,
            error: form.errors.field("if_running"),
            ..Field::default()
        },
        &options,
    )
}

fn typed(confirmation: Confirmation, fleet: u32, form: &PublishForm) -> Markup {
    let number = confirmation.count;
    let help = match confirmation.because {
        ConfirmationReason::ReachesNobody => {
            "No agent is in this group: perhaps another one was meant. Type 0 to go on.".to_owned()
        }
        ConfirmationReason::LacksComponents => format!(
            "Some agents lack components that it uses and will refuse it. Type the number of agents that it reaches, {number}, to go on."
        ),
        ConfirmationReason::LargeShare => format!(
            "It reaches {number} of the {fleet} agents of the fleet. Type that number, {number}, to go on."
        ),
    };
    field(&Field {
        name: "confirm",
        label: "Number of agents",
        value: &form.confirm,
        help: &help,
        error: form.errors.field("confirm"),
        input: Input::Number,
        ..Field::default()
    })
}
