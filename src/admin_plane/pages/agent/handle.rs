//! Serves the pages of one agent, and the acts on it.

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;
use maud::Markup;
use serde::Deserialize;

use super::super::agents::bulk::{read_labels, write_labels};
use super::super::handle::Stage;
use super::super::layout::Nav;
use super::super::parts::DiffView;
use super::super::scene::{Errors, encoded};
use super::super::terms::TermsForm;
use super::acts::{self, Act};
use super::configuration::Side;
use super::edit::EditForm;
use super::messages::{self, MessageForm};
use super::{
    AgentTab, components, configuration, edit, frame, health, identity, overview, own, timeline, topic,
};
use crate::admin_plane::call::{Call, View, done};
use crate::admin_plane::failure::{Failure, Outcome};
use crate::admin_plane::routes::Row;
use crate::app::adopt::Adoption;
use crate::app::agents::{AgentAct, AgentDetail};
use crate::app::error::Error;
use crate::app::terms::OnTerms;
use crate::auth::permission::Permission;
use crate::fleet::config::Kind;
use crate::fleet::custom::CustomMessage;
use crate::fleet::ids::AgentId;
use crate::fleet::name::Name;
use crate::fleet::target::LayerRef;
use crate::fleet::time::Timestamp;
use crate::http::{Response, problem};

pub(in crate::admin_plane) fn rows() -> Vec<Row> {
    let (look, operate) = (Permission::ViewFleet, Permission::OperateAgents);
    vec![
        Row::page("/agents/{id}", look, overview_tab),
        Row::page("/agents/{id}/configuration", look, configuration_tab),
        Row::page("/agents/{id}/health", look, health_tab),
        Row::page("/agents/{id}/components", look, components_tab),
        Row::page("/agents/{id}/timeline", look, timeline_tab),
        Row::page("/agents/{id}/identity", look, identity_tab),
        Row::page(
            "/agents/{id}/messages",
            Permission::ViewEffectiveConfig,
            messages_tab,
        ),
        Row::form("/agents/{id}/messages", Permission::Publish, send_message),
        Row::page("/agents/{id}/edit", operate, edit_form),
        Row::form("/agents/{id}/edit", operate, save),
        Row::page("/agents/{id}/group", Permission::Publish, group_form),
        Row::form("/agents/{id}/group", Permission::Publish, pin),
        Row::page("/agents/{id}/publish", Permission::Publish, own_form),
        Row::form("/agents/{id}/publish", Permission::Publish, publish_own),
        Row::page("/agents/{id}/adopt", Permission::EditConfigs, adopt_form),
        Row::form("/agents/{id}/adopt", Permission::EditConfigs, adopt),
        // Each act takes a permission of its own, which the use case looks at.
        Row::page("/agents/{id}/act/{act}", operate, ask),
        Row::form("/agents/{id}/act/{act}", operate, act),
    ]
}

/// So much of a timeline is shown.
const ENTRIES: usize = 200;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Sides {
    view: String,
    diff: String,
}

/// `GET /agents/{id}`
async fn overview_tab(call: Call) -> Outcome {
    let (detail, stage) = found(&call)?;
    let inner = overview::overview(&detail, &stage.scene());
    Ok(tab(&call, &detail, AgentTab::Overview, &inner))
}

/// `GET /agents/{id}/configuration`
async fn configuration_tab(call: Call) -> Outcome {
    let (detail, stage) = found(&call)?;
    let asked: Sides = call.query()?;
    let view = call.app().agent_configuration(&call.actor, detail.summary.id)?;
    let diff = if asked.diff == "split" {
        DiffView::Split
    } else {
        DiffView::Unified
    };
    let scene = stage.scene();
    let inner = configuration::configuration(&detail, &view, Side::named(&asked.view), diff, &scene);
    Ok(tab(&call, &detail, AgentTab::Configuration, &inner))
}

/// `GET /agents/{id}/health`
async fn health_tab(call: Call) -> Outcome {
    let (detail, stage) = found(&call)?;
    let inner = health::health(&detail, &stage.scene());
    Ok(tab(&call, &detail, AgentTab::Health, &inner))
}

/// `GET /agents/{id}/components`
async fn components_tab(call: Call) -> Outcome {
    let (detail, _) = found(&call)?;
    let view = call.app().components(&call.actor, detail.summary.id)?;
    let inner = components::components(view.as_ref());
    Ok(tab(&call, &detail, AgentTab::Components, &inner))
}

/// `GET /agents/{id}/timeline`
async fn timeline_tab(call: Call) -> Outcome {
    let (detail, stage) = found(&call)?;
    let view = call.app().timeline(&call.actor, detail.summary.id, ENTRIES)?;
    let origins = call.app().origins();
    let layers = |digest| origins.layers(&detail.registration, digest);
    let inner = timeline::timeline(&view, layers, &stage.scene());
    Ok(tab(&call, &detail, AgentTab::Timeline, &inner))
}

/// `GET /agents/{id}/identity`
async fn identity_tab(call: Call) -> Outcome {
    let (detail, stage) = found(&call)?;
    let view = call.app().agent_identity(&call.actor, detail.summary.id)?;
    let inner = identity::identity(&detail, &view, &stage.scene());
    Ok(tab(&call, &detail, AgentTab::Identity, &inner))
}

/// `GET /agents/{id}/messages`
async fn messages_tab(call: Call) -> Outcome {
    render_messages(&call, &MessageForm::default(), &Errors::default())
}

fn render_messages(call: &Call, form: &MessageForm, errors: &Errors) -> Outcome {
    let (detail, stage) = found(call)?;
    let view = call.app().agent_messages(&call.actor, detail.summary.id)?;
    let inner = messages::messages(&detail, &view, form, errors, &stage.scene());
    Ok(tab(call, &detail, AgentTab::Messages, &inner))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Typed {
    capability: String,
    r#type: String,
    text: String,
}

/// `POST /agents/{id}/messages`
async fn send_message(call: Call) -> Outcome {
    let typed: Typed = call.form()?;
    let id: AgentId = call.parse("id")?;
    let form = MessageForm {
        capability: typed.capability,
        kind: typed.r#type.trim().to_owned(),
        text: typed.text,
    };
    if form.kind.is_empty() {
        return render_messages(&call, &form, &Errors::at("type", "write the type of the message"));
    }
    let message = CustomMessage {
        capability: form.capability.clone(),
        kind: form.kind.clone(),
        data: form.text.clone().into_bytes(),
    };
    match call
        .app()
        .act(&call.actor, id, &AgentAct::Message { message })
        .await
    {
        Ok(()) => Ok(done(
            &format!("/agents/{id}/messages"),
            "The message goes out as soon as the agent can be reached.",
        )),
        Err(error) => render_messages(&call, &form, &Errors::of(error)?),
    }
}

/// `GET /agents/{id}/act/{act}`: asks.
async fn ask(call: Call) -> Outcome {
    let act = Act::named(call.param("act")).ok_or_else(problem::not_found)?;
    let (detail, stage) = found(&call)?;
    let needed = act.asked(OnTerms::default(), Name::unassigned()).permission();
    call.actor.may(needed).map_err(Error::from)?;
    let (terms, errors) = (TermsForm::default(), Errors::default());
    let asked = acts::Asked {
        act,
        besides: besides(&call, act, &detail),
        terms: &terms,
        errors: &errors,
    };
    let body = acts::ask(&detail, &asked, &stage.scene());
    Ok(shown(&call, &detail, StatusCode::OK, body))
}

/// `POST /agents/{id}/act/{act}`
async fn act(call: Call) -> Outcome {
    let act = Act::named(call.param("act")).ok_or_else(problem::not_found)?;
    let (detail, stage) = found(&call)?;
    let typed = call.typed();
    let terms = TermsForm::of(&typed);
    let besides = besides(&call, act, &detail);
    let errors = match wish((act, besides), &typed, &terms, call.app().clock().now()) {
        Err(errors) => errors,
        Ok(asked) => match call.app().act(&call.actor, detail.summary.id, &asked).await {
            Ok(()) => {
                let path = if act == Act::Archive {
                    "/agents".to_owned()
                } else if act == Act::Rotate {
                    format!("{}/identity", super::path(&detail))
                } else {
                    super::path(&detail)
                };
                return Ok(done(&path, act.done()));
            }
            Err(error) => Errors::of(error)?,
        },
    };
    let asked = acts::Asked {
        act,
        besides,
        terms: &terms,
        errors: &errors,
    };
    let body = acts::ask(&detail, &asked, &stage.scene());
    Ok(shown(&call, &detail, errors.status(), body))
}

/// How many other agents an act reaches.
fn besides(call: &Call, act: Act, detail: &AgentDetail) -> u64 {
    if act != Act::Revoke {
        return 0;
    }
    call.app().behind_credentials_of(&[detail.summary.id]).len() as u64
}

/// What is asked for, or what has to be typed first.
fn wish(
    (act, besides): (Act, u64),
    typed: &[(String, String)],
    terms: &TermsForm,
    now: Timestamp,
) -> Result<AgentAct, Errors> {
    let confirmed = typed.iter().find(|(name, _)| name == "confirm");
    let needed = acts::revoke_words(besides);
    if act == Act::Revoke && confirmed.is_none_or(|(_, words)| words.trim() != needed) {
        return Err(Errors::at("confirm", &format!("type {needed} to go on")));
    }
    let group = typed.iter().find(|(name, _)| name == "group");
    let group = group.and_then(|(_, group)| Name::new(group).ok());
    if act == Act::ConfirmGroup && group.is_none() {
        return Err(Errors::at("group", "its facts propose no group"));
    }
    Ok(act.asked(terms.asked(now)?, group.unwrap_or_else(Name::unassigned)))
}

/// `GET /agents/{id}/edit`
async fn edit_form(call: Call) -> Outcome {
    let (detail, stage) = found(&call)?;
    let labels = write_labels(&detail.registration.labels);
    let errors = Errors::default();
    let name = detail.registration.name.as_deref().unwrap_or_default();
    let form = EditForm {
        name,
        labels: &labels,
        opened: (name, &labels),
        errors: &errors,
    };
    let body = edit::edit(&detail, &form, &stage.scene());
    Ok(shown(&call, &detail, StatusCode::OK, body))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Edited {
    name: String,
    labels: String,
    /// Whether the form says what stood there when it was opened; else what stands there now counts.
    opened: bool,
    opened_name: String,
    opened_labels: String,
}

/// `POST /agents/{id}/edit`
async fn save(call: Call) -> Outcome {
    let edited: Edited = call.form()?;
    let (detail, stage) = found(&call)?;
    let saved = match wishes(&detail, &edited) {
        Ok(wanted) => do_all(&call, &detail, wanted).await?,
        Err(errors) => Err(errors),
    };
    let errors = match saved {
        Ok(()) => {
            let notice = match moved(&call, &detail) {
                Some(moved) => format!("Name and labels were saved. {moved}"),
                None => "Name and labels were saved.".to_owned(),
            };
            return Ok(done(&super::path(&detail), &notice));
        }
        Err(errors) => errors,
    };
    // Whoever was told that somebody else changed it and saves again means it.
    let conflict = errors.status() == StatusCode::CONFLICT;
    let (name, labels) = (
        detail.registration.name.clone().unwrap_or_default(),
        write_labels(&detail.registration.labels),
    );
    let opened = if conflict || !edited.opened {
        (name.as_str(), labels.as_str())
    } else {
        (edited.opened_name.as_str(), edited.opened_labels.as_str())
    };
    let form = EditForm {
        name: &edited.name,
        labels: &edited.labels,
        opened,
        errors: &errors,
    };
    let body = edit::edit(&detail, &form, &stage.scene());
    Ok(shown(&call, &detail, errors.status(), body))
}

/// That the agent is in another group than it was, if it is.
fn moved(call: &Call, before: &AgentDetail) -> Option<String> {
    let now = call.app().agent(&call.actor, before.summary.id).ok()?;
    let (from, to) = (&before.registration.group, &now.registration.group);
    (from != to).then(|| format!("The agent moved from group {from} to group {to}."))
}

/// What the form changes: compared with what stood there when it was opened, so that what others changed since stays.
fn wishes(detail: &AgentDetail, edited: &Edited) -> Result<Vec<AgentAct>, Errors> {
    let wanted = read_labels("labels", &edited.labels)?;
    let present = &detail.registration.labels;
    let opened = if edited.opened {
        read_labels("labels", &edited.opened_labels)?
    } else {
        present.clone()
    };
    let keys: BTreeSet<&String> = wanted.keys().chain(opened.keys()).collect();
    let changed = keys
        .into_iter()
        .filter(|key| wanted.get(*key) != opened.get(*key));
    let (mut set, mut remove, mut clashes) = (BTreeMap::new(), Vec::new(), Vec::new());
    for key in changed {
        let (mine, now) = (wanted.get(key), present.get(key));
        if now != opened.get(key) && now != mine {
            let now = now.map_or_else(|| "is gone".to_owned(), |value| format!("is {value:?}"));
            clashes.push(format!("{key} {now}"));
        }
        match mine {
            Some(value) => {
                set.insert(key.clone(), value.clone());
            }
            None => remove.push(key.clone()),
        }
    }
    let mut acts = Vec::new();
    // Labels first: they are what can be refused by more than their form.
    if !set.is_empty() || !remove.is_empty() {
        acts.push(AgentAct::Label { set, remove });
    }
    let now = detail.registration.name.as_deref().unwrap_or_default();
    let opened = if edited.opened {
        edited.opened_name.trim()
    } else {
        now
    };
    let mine = edited.name.trim();
    if mine != opened {
        if now != opened && now != mine {
            clashes.push(format!("its name is {now:?}"));
        }
        acts.push(AgentAct::Rename {
            name: mine.to_owned(),
        });
    }
    if clashes.is_empty() {
        return Ok(acts);
    }
    Err(Errors::conflict(&format!(
        "somebody else changed the same meanwhile: {}. Saving again replaces that",
        clashes.join(", ")
    )))
}

async fn do_all(
    call: &Call,
    detail: &AgentDetail,
    acts: Vec<AgentAct>,
) -> Result<Result<(), Errors>, Failure> {
    for act in acts {
        if let Err(error) = call.app().act(&call.actor, detail.summary.id, &act).await {
            return Ok(Err(Errors::of(error)?));
        }
    }
    Ok(Ok(()))
}

/// `GET /agents/{id}/group`
async fn group_form(call: Call) -> Outcome {
    let (detail, _) = found(&call)?;
    let chosen = detail.registration.pin.as_ref().map_or("", Name::as_str);
    let (terms, errors) = (TermsForm::default(), Errors::default());
    Ok(group_page(&call, &detail, chosen, &terms, &errors))
}

/// `POST /agents/{id}/group`
async fn pin(call: Call) -> Outcome {
    let (detail, _) = found(&call)?;
    let typed = call.typed();
    let terms = TermsForm::of(&typed);
    let chosen = typed.iter().find(|(name, _)| name == "group");
    let chosen = chosen.map(|(_, group)| group.clone()).unwrap_or_default();
    let asked = Name::new(&chosen).map_err(|_| Errors::at("group", "choose a group"));
    let errors = match asked.and_then(|group| Ok((group, terms.asked(call.app().clock().now())?))) {
        Err(errors) => errors,
        Ok((group, OnTerms { reason, until })) => {
            let pinned = AgentAct::Pin { group, reason, until };
            match call.app().act(&call.actor, detail.summary.id, &pinned).await {
                Ok(()) => return Ok(done(&super::path(&detail), "The agent was pinned to its group.")),
                Err(Error::NotFound { .. }) => Errors::at("group", "this group is gone; choose another"),
                Err(error) => Errors::of(error)?,
            }
        }
    };
    Ok(group_page(&call, &detail, &chosen, &terms, &errors))
}

fn group_page(
    call: &Call,
    detail: &AgentDetail,
    chosen: &str,
    terms: &TermsForm,
    errors: &Errors,
) -> Response {
    let index = call.app().intentions.index();
    let groups: Vec<Name> = index.groups().map(|head| head.group.name.clone()).collect();
    let stage = Stage::of(call);
    let form = edit::PinForm {
        chosen,
        terms,
        errors,
    };
    let body = edit::group(detail, &groups, &form, &stage.scene());
    shown(call, detail, errors.status(), body)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Chosen {
    config: String,
    revision: String,
    allow_blank: bool,
}

impl Chosen {
    /// The revision that is meant; `None` while no config was chosen.
    fn layer(&self, call: &Call) -> Result<Option<LayerRef>, Errors> {
        if self.config.is_empty() {
            return Ok(None);
        }
        let gone = || Errors::at("config", "this config is gone; choose another");
        let name = Name::new(&self.config).map_err(|_| gone())?;
        let index = call.app().intentions.index();
        let head = index.config(&name).ok_or_else(gone)?;
        let revision = match self.revision.trim() {
            "" => head.config.latest,
            number => number
                .parse()
                .ok()
                .filter(|number| head.numbered(*number).is_some())
                .ok_or_else(|| {
                    let newest = head.config.latest;
                    Errors::at(
                        "revision",
                        &format!("{name} has no such revision; its newest is {newest}"),
                    )
                })?,
        };
        Ok(Some(LayerRef {
            config: name,
            revision,
        }))
    }
}

/// `GET /agents/{id}/publish`: which config, then what it changes.
async fn own_form(call: Call) -> Outcome {
    let (detail, _) = found(&call)?;
    let chosen: Chosen = call.query()?;
    match chosen.layer(&call) {
        Ok(None) => which_page(&call, &detail, &Errors::default()),
        Err(errors) => which_page(&call, &detail, &errors),
        Ok(Some(layer)) => {
            let (terms, errors) = (TermsForm::default(), Errors::default());
            let form = own::OwnForm {
                terms: &terms,
                allow_blank: false,
                errors: &errors,
            };
            own_page(&call, &detail, &layer, &form)
        }
    }
}

/// `POST /agents/{id}/publish`: gives it a configuration of its own.
async fn publish_own(call: Call) -> Outcome {
    let (detail, _) = found(&call)?;
    let typed = call.typed();
    let terms = TermsForm::of(&typed);
    let chosen: Chosen = call.form()?;
    let layer = match chosen.layer(&call) {
        Ok(Some(layer)) => layer,
        Ok(None) => return which_page(&call, &detail, &Errors::at("config", "choose a config")),
        Err(errors) => return which_page(&call, &detail, &errors),
    };
    let errors = match terms.asked(call.app().clock().now()) {
        Err(errors) => errors,
        Ok(OnTerms { reason, until }) => {
            let (id, what) = (detail.summary.id, (&layer, reason.as_str()));
            let blank = chosen.allow_blank;
            match call
                .app()
                .publish_to_agent(&call.actor, id, what, blank, until)
                .await
            {
                Ok(()) => {
                    let words = format!("Revision {} of {} is its own now.", layer.revision, layer.config);
                    return Ok(done(&super::path(&detail), &words));
                }
                Err(error) => Errors::of(error)?,
            }
        }
    };
    let form = own::OwnForm {
        terms: &terms,
        allow_blank: chosen.allow_blank,
        errors: &errors,
    };
    own_page(&call, &detail, &layer, &form)
}

fn which_page(call: &Call, detail: &AgentDetail, errors: &Errors) -> Outcome {
    let configs = call.app().intentions.configs(&call.actor)?;
    let names: Vec<Name> = configs.into_iter().map(|summary| summary.config.name).collect();
    let body = own::which(detail, &names, errors);
    Ok(shown(call, detail, errors.status(), body))
}

fn own_page(call: &Call, detail: &AgentDetail, layer: &LayerRef, form: &own::OwnForm<'_>) -> Outcome {
    let preview = call.app().own_preview(&call.actor, detail.summary.id, layer)?;
    let body = own::ask(detail, &preview, form, &Stage::of(call).scene());
    Ok(shown(call, detail, form.errors.status(), body))
}

/// `GET /agents/{id}/adopt`: as what to keep what it runs.
async fn adopt_form(call: Call) -> Outcome {
    let (detail, _) = found(&call)?;
    let (name, config) = (Name::slug(&detail.summary.name).to_string(), String::new());
    let form = Kept { name, config };
    adopt_page(&call, &detail, &form, &Errors::default())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Kept {
    name: String,
    config: String,
}

/// `POST /agents/{id}/adopt`: keeps what it runs as a new config, or as a new revision of one.
async fn adopt(call: Call) -> Outcome {
    let kept: Kept = call.form()?;
    let (detail, _) = found(&call)?;
    let adoption = Adoption {
        name: kept.name.trim().to_owned(),
        config: Some(kept.config.clone()).filter(|config| !config.is_empty()),
    };
    match call.app().adopt(&call.actor, detail.summary.id, adoption).await {
        Ok(result) => {
            let path = format!("/configs/{}", encoded(result.saved.revision.config.as_str()));
            Ok(done(&path, &configuration::kept(&result)))
        }
        Err(Error::NotFound { .. }) => {
            let gone = Errors::at("config", "this config is gone; choose another");
            adopt_page(&call, &detail, &kept, &gone)
        }
        Err(error) => adopt_page(&call, &detail, &kept, &Errors::of(error)?),
    }
}

fn adopt_page(call: &Call, detail: &AgentDetail, kept: &Kept, errors: &Errors) -> Outcome {
    let configs = call.app().intentions.configs(&call.actor)?;
    let collectors = configs
        .iter()
        .filter(|summary| summary.config.kind == Kind::Collector);
    let names: Vec<Name> = collectors.map(|summary| summary.config.name.clone()).collect();
    let form = edit::AdoptForm {
        name: &kept.name,
        config: &kept.config,
        errors,
    };
    let body = edit::adopt(detail, &names, &form, &Stage::of(call).scene());
    Ok(shown(call, detail, errors.status(), body))
}

/// The agent of the path, and the stage.
fn found(call: &Call) -> Result<(AgentDetail, Stage), Failure> {
    call.actor.may(Permission::ViewFleet).map_err(Error::from)?;
    let id: AgentId = call.parse("id")?;
    Ok((call.app().agent(&call.actor, id)?, Stage::of(call)))
}

fn tab(call: &Call, detail: &AgentDetail, tab: AgentTab, inner: &Markup) -> Response {
    let stage = Stage::of(call);
    let here = call
        .parts
        .uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    let body = frame(detail, tab, here, inner, &stage.scene());
    shown(call, detail, StatusCode::OK, body)
}

fn shown(call: &Call, detail: &AgentDetail, status: StatusCode, body: Markup) -> Response {
    let topic = topic(detail);
    call.page(
        status,
        View {
            title: &detail.summary.name,
            active: Some(Nav::Agents),
            crumbs: &[("Agents", "/agents")],
            topics: &[&topic],
            body,
            ..View::default()
        },
    )
}
