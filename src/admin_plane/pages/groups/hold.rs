//! Holding what a group publishes, and releasing it.

use maud::{Markup, html};

use super::handle::page;
use crate::admin_plane::call::{Call, done};
use crate::admin_plane::failure::Outcome;
use crate::admin_plane::pages::handle::Stage;
use crate::admin_plane::pages::layout::page_head;
use crate::admin_plane::pages::parts::{Confirm, confirm, count, visible};
use crate::admin_plane::pages::scene::{Errors, Scene};
use crate::admin_plane::pages::terms::TermsForm;
use crate::app::intentions::GroupSummary;

/// What is asked before a group is held.
#[must_use]
pub fn hold(group: &GroupSummary, terms: &TermsForm, errors: &Errors, scene: &Scene<'_>) -> Markup {
    let name = group.group.name.as_str();
    let agents = count(u64::from(group.members.all), "agent", "agents");
    let revision = group.revision.to_string();
    html! {
        (page_head(&html! { "Hold " (visible(name)) }, None, None))
        (errors.summary())
        (confirm(&Confirm {
            question: &format!("Hold what is published to {name}?"),
            consequences: html! {
                p { "Nothing is sent to its " (agents) " until it is released. What they run keeps running; agents with a configuration of their own are not touched." }
                (terms.fields("When somebody releases it", errors))
            },
            typed: None,
            error: None,
            button: &format!("Hold {name}"),
            destructive: false,
            action: &format!("/groups/{name}/hold"),
            fields: &[("revision", &revision)],
            cancel: &format!("/groups/{name}"),
            form_token: scene.form_token,
        }))
    }
}

pub(super) async fn ask_hold(call: Call) -> Outcome {
    render(&call, &TermsForm::default(), &Errors::default())
}

pub(super) async fn put_hold(call: Call) -> Outcome {
    let typed = call.typed();
    let terms = TermsForm::of(&typed);
    let seen = typed.iter().find(|(name, _)| name == "revision");
    let expected = seen.and_then(|(_, revision)| revision.parse().ok());
    let errors = match terms.asked(call.app().clock().now()) {
        Err(errors) => errors,
        Ok(asked) => {
            let name = call.param("name");
            let held = call
                .app()
                .intentions
                .hold_group(&call.actor, name, asked, expected)
                .await;
            match held {
                Ok(_) => {
                    let path = format!("/groups/{name}");
                    return Ok(done(&path, "The group is held: nothing is sent to its agents."));
                }
                Err(error) => Errors::of(error)?,
            }
        }
    };
    render(&call, &terms, &errors)
}

pub(super) async fn release(call: Call) -> Outcome {
    let name = call.param("name");
    call.app()
        .intentions
        .release_group(&call.actor, name, None)
        .await?;
    Ok(done(
        &format!("/groups/{name}"),
        "The group is released: its agents are sent what is published to it.",
    ))
}

fn render(call: &Call, terms: &TermsForm, errors: &Errors) -> Outcome {
    let name = call.param("name");
    let detail = call
        .app()
        .intentions
        .group(&call.actor, name, &call.app().fleet())?;
    let body = hold(&detail.summary, terms, errors, &Stage::of(call).scene());
    let href = format!("/groups/{name}");
    Ok(page(
        call,
        errors.status(),
        &format!("Hold {name}"),
        &[("Groups", "/groups"), (name, &href)],
        &[],
        body,
    ))
}
