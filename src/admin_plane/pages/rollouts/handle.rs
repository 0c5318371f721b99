//! Routes of rollouts.

use http::StatusCode;
use serde::Deserialize;

use super::one::act_of;
use super::{act, decide, rollout, rollouts};
use crate::admin_plane::api::rollouts::named;
use crate::admin_plane::call::{Call, View, done};
use crate::admin_plane::failure::{Failure, Outcome};
use crate::admin_plane::pages::handle::Stage;
use crate::admin_plane::pages::layout::Nav;
use crate::admin_plane::pages::scene::Errors;
use crate::admin_plane::routes::Row;
use crate::app::error::Error;
use crate::app::rollouts::{Decide, Decision, Steer};
use crate::auth::permission::Permission;
use crate::fleet::ids::RolloutId;
use crate::fleet::rollout::Act;

pub(in crate::admin_plane) fn rows() -> Vec<Row> {
    vec![
        Row::page("/rollouts", Permission::ViewFleet, list),
        Row::page("/rollouts/{id}", Permission::ViewFleet, show),
        Row::page("/rollouts/{id}/acts/{act}", Permission::Publish, ask),
        Row::form("/rollouts/{id}/acts/{act}", Permission::Publish, submit),
        Row::page(
            "/rollouts/{id}/decisions/{decision}",
            Permission::Approve,
            ask_decision,
        ),
        Row::form(
            "/rollouts/{id}/decisions/{decision}",
            Permission::Approve,
            submit_decision,
        ),
    ]
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Before {
    before: Option<u64>,
}

async fn list(call: Call) -> Outcome {
    let all = call.app().list_rollouts(&call.actor, None)?;
    let asked: Before = call.query()?;
    let body = rollouts(&all, asked.before.map(RolloutId), &Stage::of(&call).scene());
    Ok(call.page(
        StatusCode::OK,
        View {
            title: "Rollouts",
            active: Some(Nav::Rollouts),
            topics: &["rollouts"],
            body,
            ..View::default()
        },
    ))
}

async fn show(call: Call) -> Outcome {
    let id = named(&call)?;
    let detail = call.app().rollout(&call.actor, id)?;
    let body = rollout(&detail, &Stage::of(&call).scene());
    let (title, topic) = (format!("Rollout {id}"), format!("rollout-{id}"));
    Ok(call.page(
        StatusCode::OK,
        View {
            title: &title,
            active: Some(Nav::Rollouts),
            crumbs: &[("Rollouts", "/rollouts")],
            topics: &[&topic, "agents"],
            body,
            ..View::default()
        },
    ))
}

/// The act that the address names.
fn asked(call: &Call) -> Result<Act, Error> {
    let word = call.param("act");
    act_of(word).ok_or_else(|| Error::not_found("act", word))
}

async fn ask(call: Call) -> Outcome {
    render(&call, &asked(&call)?, "", &Errors::default())
}

fn render(call: &Call, wanted: &Act, reason: &str, errors: &Errors) -> Outcome {
    let id = named(call)?;
    let detail = call.app().rollout(&call.actor, id)?;
    let body = act(&detail.summary, wanted, reason, errors, &Stage::of(call).scene());
    let (title, href) = (format!("Rollout {id}"), format!("/rollouts/{id}"));
    Ok(call.page(
        errors.status(),
        View {
            title: &title,
            active: Some(Nav::Rollouts),
            crumbs: &[("Rollouts", "/rollouts"), (&title, &href)],
            body,
            ..View::default()
        },
    ))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Posted {
    reason: String,
}

async fn submit(call: Call) -> Outcome {
    let wanted = asked(&call)?;
    let posted: Posted = call.form()?;
    let id = named(&call)?;
    let steer = Steer {
        act: wanted.clone(),
        reason: posted.reason.trim().to_owned(),
    };
    match call.app().steer_rollout(&call.actor, id, &steer).await {
        Ok(state) => Ok(done(
            &format!("/rollouts/{id}"),
            &format!("The rollout {}.", state.words()),
        )),
        Err(error) => {
            let errors = Errors::of(error).map_err(Failure::from)?;
            render(&call, &wanted, &posted.reason, &errors)
        }
    }
}

async fn ask_decision(call: Call) -> Outcome {
    render_decision(&call, "", &Errors::default())
}

fn render_decision(call: &Call, reason: &str, errors: &Errors) -> Outcome {
    let id = named(call)?;
    let decision = call.param("decision");
    if !["approve", "reject", "withdraw"].contains(&decision) {
        return Err(Error::not_found("decision", decision).into());
    }
    let detail = call.app().rollout(&call.actor, id)?;
    let href = format!("/rollouts/{id}");
    let Some(view) = &detail.proposal else {
        return Ok(done(
            &href,
            &format!(
                "The rollout {}; there is nothing to decide.",
                detail.summary.rollout.state.words()
            ),
        ));
    };
    let body = decide(&detail, view, decision, reason, errors, &Stage::of(call).scene());
    let title = format!("Rollout {id}");
    Ok(call.page(
        errors.status(),
        View {
            title: &title,
            active: Some(Nav::Rollouts),
            crumbs: &[("Rollouts", "/rollouts"), (&title, &href)],
            body,
            ..View::default()
        },
    ))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Decided {
    reason: String,
    binds: String,
}

async fn submit_decision(call: Call) -> Outcome {
    let posted: Decided = call.form()?;
    let id = named(&call)?;
    let decision = match call.param("decision") {
        "approve" => {
            let Ok(binds) = posted.binds.parse() else {
                let errors = Errors::conflict("look at what it does, then approve it");
                return render_decision(&call, &posted.reason, &errors);
            };
            Decision::Approve { binds }
        }
        "reject" => Decision::Reject,
        "withdraw" => Decision::Withdraw,
        other => return Err(Error::not_found("decision", other).into()),
    };
    let wish = Decide {
        decision,
        reason: posted.reason.trim().to_owned(),
    };
    match call.app().decide(&call.actor, id, &wish).await {
        Ok(state) => Ok(done(
            &format!("/rollouts/{id}"),
            &format!("The rollout {}.", state.words()),
        )),
        Err(error) => render_decision(&call, &posted.reason, &Errors::of(error)?),
    }
}
