//! Making, editing and deleting groups, and withdrawing what is published to them.

use http::StatusCode;
use serde::Deserialize;

use super::handle::page;
use super::{GroupForm, delete, edit, new, withdraw};
use crate::admin_plane::call::{Call, done};
use crate::admin_plane::failure::{Failure, Outcome};
use crate::admin_plane::pages::handle::Stage;
use crate::admin_plane::pages::parts::count;
use crate::admin_plane::pages::scene::{Errors, lines, sentence};
use crate::admin_plane::pages::strategy::PostedStrategy;
use crate::app::agents::AgentAct;
use crate::app::error::Error;
use crate::app::groups::{GroupEdit, NewGroup};
use crate::app::intentions::GroupSummary;
use crate::fleet::name::Name;

fn below<'a>(name: &'a str, href: &'a str) -> [(&'a str, &'a str); 2] {
    [("Groups", "/groups"), (name, href)]
}

fn summary(call: &Call, name: &str) -> Result<GroupSummary, Error> {
    Ok(call
        .app()
        .intentions
        .group(&call.actor, name, &call.app().fleet())?
        .summary)
}

fn config_names(call: &Call) -> Result<Vec<Name>, Error> {
    let configs = call.app().intentions.configs(&call.actor)?;
    Ok(configs.into_iter().map(|summary| summary.config.name).collect())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Posted {
    name: String,
    description: String,
    selectors: String,
    priority: String,
    joins_by_facts: bool,
    approvals: String,
    layers: String,
    revision: u64,
    /// More `rows` for stages; nothing to save.
    act: String,
}

impl Posted {
    fn into_form(self, strategy: PostedStrategy) -> GroupForm {
        GroupForm {
            name: self.name,
            description: self.description.replace("\r\n", "\n"),
            selectors: self.selectors.replace("\r\n", "\n"),
            priority: self.priority,
            joins_by_facts: self.joins_by_facts,
            approvals: self.approvals,
            layers: self.layers.replace("\r\n", "\n"),
            strategy: strategy.into_form(),
            revision: self.revision,
        }
    }
}

/// What was typed, and whether only more rows are wanted.
fn posted(call: &Call) -> Result<(GroupForm, bool), Failure> {
    let posted: Posted = call.form()?;
    let wants_rows = posted.act == "rows";
    Ok((posted.into_form(call.form()?), wants_rows))
}

/// The edit that a form asks for.
fn wish(form: &GroupForm) -> Result<GroupEdit, Errors> {
    let priority = match form.priority.trim() {
        "" => 0,
        number => number
            .parse()
            .map_err(|_| Errors::at("priority", "a priority is a whole number, such as 10 or -5"))?,
    };
    let approvals = match form.approvals.trim() {
        "" => 0,
        number => number
            .parse()
            .map_err(|_| Errors::at("approvals", "write a whole number, such as 0 or 1"))?,
    };
    let strategy = form.strategy.read()?;
    Ok(GroupEdit {
        approvals: Some(approvals),
        description: Some(form.description.trim().to_owned()),
        selectors: Some(lines(&form.selectors).map(|(_, line)| line.to_owned()).collect()),
        priority: Some(priority),
        joins_by_facts: Some(form.joins_by_facts),
        layers: Some(lines(&form.layers).map(|(_, line)| line.to_owned()).collect()),
        strategy: Some(strategy),
    })
}

/// What a use case says of selectors and layers, at the fields of the form.
fn at_fields(error: Error, form: &GroupForm) -> Result<Errors, Error> {
    let by_line = |text: &str| {
        let numbers: Vec<usize> = lines(text).map(|(number, _)| number).collect();
        move |rest: &str, message: &str| {
            let at: Option<usize> = rest.trim_start_matches('[').trim_end_matches(']').parse().ok();
            match at.and_then(|at| numbers.get(at)) {
                Some(number) => format!("Line {number}: {message}"),
                None => message.to_owned(),
            }
        }
    };
    let errors = Errors::of(error)?.gathered("selectors", "selectors", by_line(&form.selectors));
    Ok(errors.gathered("layers", "layers", by_line(&form.layers)))
}

pub(super) async fn show_new(call: Call) -> Outcome {
    let form = GroupForm {
        priority: "0".to_owned(),
        approvals: "0".to_owned(),
        ..GroupForm::default()
    };
    render_new(&call, &form, &Errors::default())
}

fn render_new(call: &Call, form: &GroupForm, errors: &Errors) -> Outcome {
    let body = new(form, &config_names(call)?, errors, &Stage::of(call).scene());
    Ok(page(
        call,
        errors.status(),
        "New group",
        &[("Groups", "/groups")],
        &[],
        body,
    ))
}

pub(super) async fn make(call: Call) -> Outcome {
    let (mut form, wants_rows) = posted(&call)?;
    if wants_rows {
        form.strategy.add_rows();
        return render_new(&call, &form, &Errors::default());
    }
    let edit = match wish(&form) {
        Ok(edit) => edit,
        Err(errors) => return render_new(&call, &form, &errors),
    };
    let wanted = NewGroup {
        name: form.name.trim().to_owned(),
        edit,
    };
    let app = call.app();
    match app
        .intentions
        .create_group(&call.actor, wanted, app.known_keys())
        .await
    {
        Ok(_) => Ok(done(
            &format!("/groups/{}", form.name.trim()),
            "The group is made. It sends nothing until you publish to it.",
        )),
        Err(error) => render_new(&call, &form, &at_fields(error, &form)?),
    }
}

fn render_edit(call: &Call, form: &GroupForm, now: Option<&GroupSummary>, errors: &Errors) -> Outcome {
    let href = format!("/groups/{}", form.name);
    let body = edit(form, now, &config_names(call)?, errors, &Stage::of(call).scene());
    Ok(page(
        call,
        errors.status(),
        &format!("Edit {}", form.name),
        &below(&form.name, &href),
        &[],
        body,
    ))
}

pub(super) async fn show_edit(call: Call) -> Outcome {
    let summary = summary(&call, call.param("name"))?;
    let form = GroupForm::of(&summary.group, summary.revision);
    render_edit(&call, &form, None, &Errors::default())
}

pub(super) async fn save(call: Call) -> Outcome {
    let name = call.param("name").to_owned();
    let (form, wants_rows) = posted(&call)?;
    let mut form = GroupForm {
        name: name.clone(),
        ..form
    };
    if wants_rows {
        form.strategy.add_rows();
        return render_edit(&call, &form, None, &Errors::default());
    }
    let edit = match wish(&form) {
        Ok(edit) => edit,
        Err(errors) => return render_edit(&call, &form, None, &errors),
    };
    let app = call.app();
    let saved = app
        .intentions
        .edit_group(&call.actor, &name, edit, Some(form.revision), app.known_keys())
        .await;
    match saved {
        Ok(_) => Ok(done(&format!("/groups/{name}"), "The group is saved.")),
        Err(Error::Stale) => {
            let now = summary(&call, &name)?;
            // What is shown now is what saving again replaces.
            form.revision = now.revision;
            let errors = Errors::of(Error::Conflict(
                "Somebody else changed the group meanwhile; look at what it is now, then save again"
                    .to_owned(),
            ))?;
            render_edit(&call, &form, Some(&now), &errors)
        }
        Err(error) => render_edit(&call, &form, None, &at_fields(error, &form)?),
    }
}

pub(super) async fn ask_delete(call: Call) -> Outcome {
    render_delete(&call, None, StatusCode::OK)
}

fn render_delete(call: &Call, error: Option<&str>, status: StatusCode) -> Outcome {
    let summary = summary(call, call.param("name"))?;
    let name = summary.group.name.as_str();
    let href = format!("/groups/{name}");
    let body = delete(&summary, error, &Stage::of(call).scene());
    Ok(page(
        call,
        status,
        &format!("Delete {name}"),
        &below(name, &href),
        &[],
        body,
    ))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Removal {
    confirm: String,
    revision: Option<u64>,
    members: u32,
}

pub(super) async fn remove(call: Call) -> Outcome {
    let posted: Removal = call.form()?;
    let name = call.param("name");
    let fleet = call.app().fleet();
    let with_members = posted.members > 0;
    if with_members && posted.confirm.trim() != name {
        let error = format!("Type {name} to delete the group with its agents");
        return render_delete(&call, Some(&error), StatusCode::UNPROCESSABLE_ENTITY);
    }
    let deleted = call
        .app()
        .intentions
        .delete_group(&call.actor, name, posted.revision, with_members, &fleet)
        .await;
    match deleted {
        Ok(deleted) if deleted.members == 0 => Ok(done("/groups", &format!("The group {name} is deleted."))),
        Ok(deleted) => {
            let agents = count(u64::from(deleted.members), "agent", "agents");
            Ok(done(
                "/groups",
                &format!("The group {name} is deleted; {agents} fell to other groups or to none."),
            ))
        }
        Err(error @ (Error::Stale | Error::Conflict(_))) => {
            render_delete(&call, Some(&sentence(&error.to_string())), StatusCode::CONFLICT)
        }
        Err(error) => Err(Failure::from(error)),
    }
}

pub(super) async fn ask_withdraw(call: Call) -> Outcome {
    render_withdraw(&call, &Errors::default())
}

fn render_withdraw(call: &Call, errors: &Errors) -> Outcome {
    let summary = summary(call, call.param("name"))?;
    let name = summary.group.name.as_str();
    let href = format!("/groups/{name}");
    let body = withdraw(&summary, errors, &Stage::of(call).scene());
    Ok(page(
        call,
        errors.status(),
        &format!("Withdraw from {name}"),
        &below(name, &href),
        &[],
        body,
    ))
}

pub(super) async fn take_back(call: Call) -> Outcome {
    let posted: Removal = call.form()?;
    let name = call.param("name");
    match call
        .app()
        .intentions
        .withdraw(&call.actor, name, "", posted.revision)
        .await
    {
        Ok(_) => Ok(done(
            &format!("/groups/{name}"),
            "What was published is withdrawn. Hosts keep what they run.",
        )),
        Err(error) => render_withdraw(&call, &Errors::of(error)?),
    }
}

#[derive(Debug, Deserialize)]
struct Which {
    agent: String,
}

pub(super) async fn confirm(call: Call) -> Outcome {
    let which: Which = call.form()?;
    let id = which
        .agent
        .parse()
        .map_err(|_| Error::not_found("agent", &which.agent))?;
    let group = summary(&call, call.param("name"))?.group.name;
    let act = AgentAct::ConfirmGroup { group };
    call.app().act(&call.actor, id, &act).await?;
    Ok(done(
        &format!("/groups/{}", call.param("name")),
        "The agent is in this group now.",
    ))
}
