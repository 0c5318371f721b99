//! A proposal to a protected group: what it would do, who agreed, and the decision.

use maud::{Markup, html};

use crate::admin_plane::pages::differences::differences;
use crate::admin_plane::pages::layout::{page_head, section};
use crate::admin_plane::pages::parts::{
    DiffView, Fact, Field, absolute, ago, button, button_link, count, duration_words, facts, field,
    form_token, visible,
};
use crate::admin_plane::pages::scene::{Errors, Scene, encoded};
use crate::app::claims::NamedAgent;
use crate::app::rollouts::{ProposalView, RolloutDetail};

/// So many agents are named.
const MOST_NAMED: usize = 40;

/// The proposal on the page of its rollout.
pub(super) fn proposal(detail: &RolloutDetail, view: &ProposalView, scene: &Scene<'_>) -> Markup {
    let id = detail.summary.rollout.id;
    let link = |decision: &str| format!("/rollouts/{id}/decisions/{decision}");
    html! {
        div.buttons {
            @for decision in &view.decisions {
                @let words = match decision.as_str() {
                    "approve" => "Approve",
                    "reject" => "Reject",
                    _ => "Withdraw",
                };
                (button_link(words, &link(decision), decision == "approve"))
            }
        }
        @if !view.not_you.is_empty() { p.soft { (sentence(&view.not_you)) } }
        (section("What is asked for", None, &asked(detail, view, scene)))
        (section("What changes", None, &changes(view)))
    }
}

fn sentence(words: &str) -> String {
    let mut sentence = crate::admin_plane::pages::scene::sentence(words);
    sentence.push('.');
    sentence
}

fn asked(detail: &RolloutDetail, view: &ProposalView, scene: &Scene<'_>) -> Markup {
    let rollout = &detail.summary.rollout;
    facts(&[
        Fact::new("Proposed by", visible(&rollout.started_by)),
        Fact {
            term: "Why",
            value: (!view.message.is_empty()).then(|| visible(&view.message)),
        },
        Fact::new(
            "Approved by",
            html! {
                @for (at, given) in view.given.iter().enumerate() {
                    @if at > 0 { ", " }
                    (visible(&given.by)) " " span.quiet { (ago(given.at, scene.now)) }
                }
                @if view.given.is_empty() { "nobody yet" }
                "; " (count(u64::from(view.missing), "person", "people")) " to go"
            },
        ),
        Fact::new("Reaches", reaches(&view.agents)),
        Fact::new(
            "Contents",
            html! { (count(u64::from(view.contents), "content", "different contents")) },
        ),
        Fact::new("Strategy", visible(&detail.summary.plan)),
        Fact::new(
            "Ends",
            html! {
                "unapproved in "
                time datetime=(view.expires_at) title=(absolute(view.expires_at)) { (duration_words(view.expires_at.since(scene.now))) }
            },
        ),
        Fact::new(
            "Bound by",
            html! { code title=(view.binds) { (view.binds.short()) } " " span.quiet { "another byte, agent or strategy, and it has to be approved again" } },
        ),
    ])
}

fn reaches(agents: &[NamedAgent]) -> Markup {
    html! {
        (count(agents.len() as u64, "agent", "agents"))
        @if !agents.is_empty() {
            ": "
            @for (at, agent) in agents.iter().take(MOST_NAMED).enumerate() {
                @if at > 0 { ", " }
                a href={ "/agents/" (encoded(&agent.id.to_string())) } { (visible(&agent.title)) }
            }
            @if agents.len() > MOST_NAMED { " and " (agents.len() - MOST_NAMED) " more" }
        }
    }
}

fn changes(view: &ProposalView) -> Markup {
    html! {
        @if view.diff.files.is_empty() { p.soft { "Nothing differs from what is published." } }
        @else {
            @if view.contents > 1 { p.soft { "Agents get different contents; this is what changes for the first of them." } }
            (differences("published", "proposed", &view.diff, DiffView::Unified, None))
        }
    }
}

/// The page that asks before a decision counts.
#[must_use]
pub fn decide(
    detail: &RolloutDetail,
    view: &ProposalView,
    decision: &str,
    reason: &str,
    errors: &Errors,
    scene: &Scene<'_>,
) -> Markup {
    let rollout = &detail.summary.rollout;
    let href = format!("/rollouts/{}", rollout.id);
    let agents = count(view.agents.len() as u64, "agent", "agents");
    let (title, consequence, words) = match decision {
        "approve" => (
            "Approve",
            if view.missing <= 1 {
                format!(
                    "It begins at once, or when the rollout before it is over: {} to {agents}.",
                    detail.summary.brings
                )
            } else {
                format!(
                    "Your approval is noted; {} more are needed before anything is sent.",
                    view.missing - 1
                )
            },
            if view.missing <= 1 {
                format!("Approve, and send to {agents}")
            } else {
                "Approve".to_owned()
            },
        ),
        "reject" => (
            "Reject",
            "Nothing is sent. Its author sees why, and can propose something else.".to_owned(),
            "Reject the proposal".to_owned(),
        ),
        _ => (
            "Withdraw",
            "Nothing is sent, and nobody is asked any more.".to_owned(),
            "Withdraw the proposal".to_owned(),
        ),
    };
    html! {
        (page_head(&html! { (title) }, Some(&html! { "rollout " (rollout.id) " to " (visible(rollout.group.as_str())) }), None))
        (errors.summary())
        @if decision == "approve" {
            (section("What is asked for", None, &asked(detail, view, scene)))
            (section("What changes", None, &changes(view)))
        }
        form.form method="post" action={ (href) "/decisions/" (decision) } {
            (form_token(scene.form_token))
            @if decision == "approve" { input type="hidden" name="binds" value=(view.binds); }
            p { (visible(&consequence)) }
            (field(&Field {
                name: "reason",
                label: "Why",
                value: reason,
                help: "It stands in the rollout's history and the audit log.",
                error: errors.field("reason"),
                optional: decision != "reject",
                ..Field::default()
            }))
            div.buttons { (button(&words, true)) a.button href=(href) { "Cancel" } }
        }
    }
}
