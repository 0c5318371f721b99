//! What the pages of enrolment do.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::Deserialize;

use super::{EnrolmentPage, TokenForm, decide, enrolment, made, new, revoke, withdraw, words_to_revoke};
use crate::admin_plane::call::{Call, View, done};
use crate::admin_plane::failure::Outcome;
use crate::admin_plane::pages::handle::Stage;
use crate::admin_plane::pages::layout::Nav;
use crate::admin_plane::pages::parts::Markup;
use crate::admin_plane::pages::scene::{Errors, lines};
use crate::admin_plane::routes::Row;
use crate::app::agents::AgentAct;
use crate::app::enrolment::NewEnrolmentToken;
use crate::app::error::Error;
use crate::auth::permission::Permission;
use crate::fleet::ids::{AgentId, EnrolmentTokenId};
use crate::fleet::name::Name;
use crate::http::Response;

pub(in crate::admin_plane) fn rows() -> Vec<Row> {
    let (enrol, revoke) = (Permission::EnrolAgents, Permission::RevokeAgents);
    vec![
        Row::page("/enrolment", enrol, show),
        Row::page("/enrolment/new", enrol, show_new),
        Row::form("/enrolment/new", enrol, make),
        Row::page("/enrolment/tokens/{id}/withdraw", enrol, ask_withdraw),
        Row::form("/enrolment/tokens/{id}/withdraw", enrol, take_back),
        Row::page("/enrolment/credentials/{id}/revoke", revoke, ask_revoke),
        Row::form("/enrolment/credentials/{id}/revoke", revoke, revoke_it),
        Row::form("/enrolment/credentials/{id}/release", revoke, release),
        Row::page("/enrolment/waiting/{id}", Permission::ViewFleet, ask_decision),
        Row::form("/enrolment/waiting/{id}/approve", Permission::Publish, approve),
        Row::form("/enrolment/waiting/{id}/refuse", Permission::Publish, refuse),
        Row::form("/enrolment/waiting/{id}/merge", revoke, merge),
    ]
}

fn page(call: &Call, status: StatusCode, title: &str, topics: &[&str], body: Markup) -> Response {
    let crumbs: &[(&str, &str)] = if title == "Enrolment" {
        &[]
    } else {
        &[("Enrolment", "/enrolment")]
    };
    call.page(
        status,
        View {
            title,
            active: Some(Nav::Enrolment),
            crumbs,
            topics,
            body,
            ..View::default()
        },
    )
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Part {
    from: usize,
}

async fn show(call: Call) -> Outcome {
    let asked: Part = call.query()?;
    let app = call.app();
    let view = EnrolmentPage {
        tokens: app.enrolment_tokens(&call.actor)?,
        credentials: app.credential_views(&call.actor)?,
        waiting: app.waiting(&call.actor)?,
        from: asked.from,
    };
    let body = enrolment(&view, &Stage::of(&call).scene());
    Ok(page(
        &call,
        StatusCode::OK,
        "Enrolment",
        &["enrolment", "agents"],
        body,
    ))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Posted {
    note: String,
    uses: String,
    hours: String,
    many: String,
    labels: String,
    group: String,
    networks: String,
    by_hand: bool,
}

fn wish(form: &TokenForm) -> Result<NewEnrolmentToken, Errors> {
    let mut errors = Errors::default();
    let mut number = |field: &str, text: &str| {
        let parsed: Result<u32, _> = text.trim().parse();
        if parsed.is_err() {
            errors.add(field, "write a whole number, such as 1");
        }
        parsed.ok()
    };
    let uses = number("uses", &form.uses);
    let hours = number("hours", &form.hours);
    let many = if form.many.trim().is_empty() {
        None
    } else {
        number("many", &form.many)
    };
    let mut labels = BTreeMap::new();
    for (at, line) in lines(&form.labels) {
        match line.split_once('=') {
            Some((key, value)) => {
                labels.insert(key.trim().to_owned(), value.trim().to_owned());
            }
            None => errors.add("labels", &format!("line {at} is no label: write key = value")),
        }
    }
    let group = Some(form.group.trim()).filter(|group| !group.is_empty());
    let group = group.map(Name::new).transpose().unwrap_or_else(|error| {
        errors.add("group", &error.to_string());
        None
    });
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(NewEnrolmentToken {
        note: form.note.trim().to_owned(),
        uses,
        valid_seconds: hours.map(|hours| u64::from(hours) * 3600),
        many,
        labels,
        group,
        networks: lines(&form.networks).map(|(_, line)| line.to_owned()).collect(),
        by_hand: form.by_hand,
    })
}

async fn show_new(call: Call) -> Outcome {
    Ok(render_new(&call, &TokenForm::default(), &Errors::default()))
}

fn render_new(call: &Call, form: &TokenForm, errors: &Errors) -> Response {
    let index = call.app().intentions.index();
    let groups: Vec<Name> = index.groups().map(|head| head.group.name.clone()).collect();
    let body = new(form, &groups, errors, &Stage::of(call).scene());
    page(call, errors.status(), "New enrolment token", &[], body)
}

async fn make(call: Call) -> Outcome {
    let Posted {
        note,
        uses,
        hours,
        many,
        labels,
        group,
        networks,
        by_hand,
    } = call.form()?;
    let form = TokenForm {
        note,
        uses,
        hours,
        many,
        labels,
        group,
        networks,
        by_hand,
    };
    let wanted = match wish(&form) {
        Ok(wanted) => wanted,
        Err(errors) => return Ok(render_new(&call, &form, &errors)),
    };
    match call.app().create_enrolment_token(&call.actor, wanted).await {
        // Not a redirect: the secret is on this page only, and in no address.
        Ok(token) => {
            let body = made(&token, &Stage::of(&call).scene());
            Ok(page(&call, StatusCode::OK, "Enrolment token made", &[], body))
        }
        Err(error) => {
            let errors = Errors::of(error)?;
            let errors = errors.gathered("valid_seconds", "hours", |_, message| message.to_owned());
            Ok(render_new(&call, &form, &errors))
        }
    }
}

async fn ask_withdraw(call: Call) -> Outcome {
    let id: EnrolmentTokenId = call.parse("id")?;
    let tokens = call.app().enrolment_tokens(&call.actor)?;
    let token = tokens.iter().find(|token| token.id == id);
    let token = token.ok_or_else(|| Error::not_found("enrolment token", &id))?;
    let body = withdraw(token, &Stage::of(&call).scene());
    Ok(page(
        &call,
        StatusCode::OK,
        "Withdraw an enrolment token",
        &[],
        body,
    ))
}

async fn take_back(call: Call) -> Outcome {
    call.app()
        .withdraw_enrolment_token(&call.actor, call.parse("id")?)
        .await?;
    Ok(done(
        "/enrolment",
        "The token is withdrawn. The agents that it let in stay.",
    ))
}

fn render_revoke(call: &Call, errors: &Errors) -> Outcome {
    let view = call.app().credential_view(&call.actor, call.parse("id")?)?;
    let body = revoke(&view, errors, &Stage::of(call).scene());
    Ok(page(call, errors.status(), "Revoke a credential", &[], body))
}

async fn ask_revoke(call: Call) -> Outcome {
    render_revoke(&call, &Errors::default())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Confirmed {
    confirm: String,
}

async fn revoke_it(call: Call) -> Outcome {
    let posted: Confirmed = call.form()?;
    let id = call.parse("id")?;
    let view = call.app().credential_view(&call.actor, id)?;
    if let Some(words) = words_to_revoke(&view).filter(|words| posted.confirm.trim() != words) {
        return render_revoke(&call, &Errors::at("confirm", &format!("type {words} to go on")));
    }
    call.app().revoke_credential(&call.actor, id).await?;
    Ok(done(
        "/enrolment",
        "The credential is revoked, and its connections are closed.",
    ))
}

async fn release(call: Call) -> Outcome {
    call.app()
        .release_credential(&call.actor, call.parse("id")?)
        .await?;
    Ok(done("/enrolment", "The credential is accepted again."))
}

fn render_decision(call: &Call, id: AgentId, errors: &Errors) -> Outcome {
    let Some(waiting) = call.app().waits(&call.actor, id)? else {
        // Somebody decided meanwhile: its page says what.
        return Ok(done(&format!("/agents/{id}"), "It doesn't wait for a decision."));
    };
    let body = decide(&waiting, errors, &Stage::of(call).scene());
    Ok(page(call, errors.status(), "Serve it?", &[], body))
}

async fn ask_decision(call: Call) -> Outcome {
    render_decision(&call, call.parse("id")?, &Errors::default())
}

async fn decided(call: &Call, act: &AgentAct, done_words: &str) -> Outcome {
    let id: AgentId = call.parse("id")?;
    match call.app().act(&call.actor, id, act).await {
        Ok(()) => Ok(done("/enrolment", done_words)),
        Err(error) => render_decision(call, id, &Errors::of(error)?),
    }
}

async fn approve(call: Call) -> Outcome {
    decided(&call, &AgentAct::Approve, "The agent is served from now on.").await
}

async fn refuse(call: Call) -> Outcome {
    decided(&call, &AgentAct::Refuse, "The agent was refused.").await
}

#[derive(Debug, Deserialize)]
struct Which {
    into: String,
}

async fn merge(call: Call) -> Outcome {
    let which: Which = call.form()?;
    let into = which
        .into
        .parse()
        .map_err(|_| Error::not_found("agent", &which.into))?;
    let words = "The agent has its new credential, and keeps what it had.";
    decided(&call, &AgentAct::Merge { into }, words).await
}
