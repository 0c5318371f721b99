//! What is asked before something is done about a rollout.

use maud::{Markup, html};

use crate::admin_plane::pages::layout::page_head;
use crate::admin_plane::pages::parts::{Field, button, count, field, form_token, visible};
use crate::admin_plane::pages::scene::{Errors, Scene};
use crate::app::rollouts::RolloutSummary;
use crate::fleet::rollout::Act;

/// The page that asks.
#[must_use]
pub fn act(summary: &RolloutSummary, act: &Act, reason: &str, errors: &Errors, scene: &Scene<'_>) -> Markup {
    let href = format!("/rollouts/{}", summary.rollout.id);
    let (title, consequence, words) = told(summary, act);
    html! {
        (page_head(&html! { (title) }, Some(&html! { "rollout " (summary.rollout.id) " to " (visible(summary.rollout.group.as_str())) }), None))
        (errors.summary())
        form.form method="post" action={ (href) "/acts/" (act.word()) } {
            (form_token(scene.form_token))
            p { (consequence) }
            (field(&Field {
                name: "reason",
                label: "Why",
                value: reason,
                help: "It stands in the rollout's history and the audit log.",
                error: errors.field("reason"),
                optional: true,
                focus: errors.is_empty(),
                ..Field::default()
            }))
            div.buttons { (button(&words, true)) a.button href=(href) { "Cancel" } }
        }
    }
}

/// Title, consequence, and the words of the button.
fn told(summary: &RolloutSummary, act: &Act) -> (&'static str, String, String) {
    let total = &summary.total;
    let agents = |number: u32| count(u64::from(number), "agent", "agents");
    let given = total.unproven + total.proven + total.lost;
    let stage = summary.rollout.stage().map_or(1, |stage| stage + 1);
    match act {
        Act::Pause => (
            "Pause",
            format!(
                "No further agent is given the new content until you resume. {} that have it keep it, and are brought back if they fail.",
                agents(given)
            ),
            format!("Pause; {} wait", agents(total.waiting + total.blocked)),
        ),
        Act::Resume => (
            "Resume",
            format!(
                "Agents are released again. The failures so far, {}, are accepted and don't stop it again.",
                total.failed
            ),
            "Resume the rollout".to_owned(),
        ),
        Act::Promote => (
            "Pass this stage now",
            format!(
                "Stage {stage} is passed without waiting for its gates, and the next begins. In the last stage everybody gets the new content."
            ),
            format!("Pass stage {stage}"),
        ),
        Act::RollBack => (
            "Bring everybody back",
            format!(
                "{} that were given the new content get what they had before.",
                agents(given)
            ),
            format!("Bring back {}", agents(given)),
        ),
        Act::Abort => (
            "Abort",
            format!(
                "The rollout ends. {} keep the new content, {} keep what they had, until something is published again. Those that came into the group with something else can be moved again from here.",
                agents(given),
                agents(total.waiting + total.blocked)
            ),
            "Abort the rollout".to_owned(),
        ),
        Act::Retry { .. } if summary.left_behind > 0 => (
            "Move again",
            format!(
                "{} that this rollout left behind keep what they have and wait for another, which brings them what the group has then.",
                agents(summary.left_behind)
            ),
            format!("Move {} again", agents(summary.left_behind)),
        ),
        Act::Retry { .. } => (
            "Retry",
            format!(
                "{} that failed are offered the new content once more.",
                agents(total.failed)
            ),
            format!("Retry {}", agents(total.failed)),
        ),
    }
}
