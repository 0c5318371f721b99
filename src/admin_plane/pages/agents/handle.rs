//! Serves the list of agents, and the acts on many of them.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::Deserialize;

use super::super::handle::Stage;
use super::super::layout::Nav;
use super::super::scene::{Errors, agents_href, sentence};
use super::super::terms::TermsForm;
use super::bulk::{self, BulkAct, BulkView};
use super::{AgentsView, sort_word};
use crate::admin_plane::call::{Call, View, done, see_other};
use crate::admin_plane::failure::Outcome;
use crate::admin_plane::routes::Row;
use crate::app::agents::{AgentQuery, AgentSort};
use crate::app::error::Error;
use crate::auth::permission::Permission;
use crate::fleet::hash::Digest;
use crate::fleet::ids::AgentId;
use crate::fleet::name::Name;
use crate::http::{Response, problem};

pub(in crate::admin_plane) fn rows() -> Vec<Row> {
    vec![
        Row::page("/agents", Permission::ViewFleet, list),
        // Each act takes a permission of its own, which the use case looks at.
        Row::form("/agents/bulk/{act}", Permission::OperateAgents, bulk),
    ]
}

/// So many groups have a quick filter.
const GROUPS_SHOWN: usize = 6;
/// So many agents are named before an act on many.
const NAMED: usize = 12;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    q: String,
    sort: String,
    after: Option<String>,
}

/// `GET /agents`
async fn list(call: Call) -> Outcome {
    let asked: Asked = call.query()?;
    let orders = [
        AgentSort::Name,
        AgentSort::Group,
        AgentSort::Version,
        AgentSort::LastSeen,
    ];
    let sort = orders.into_iter().find(|sort| sort_word(*sort) == asked.sort);
    let query = AgentQuery {
        filter: asked.q.trim().to_owned(),
        sort: sort.unwrap_or_default(),
        after: asked.after.filter(|after| !after.is_empty()),
        limit: 0,
        archived: false,
    };
    let page = match call.app().agents(&call.actor, &query) {
        Ok(page) => Ok(page),
        // A cursor of another time: begin again.
        Err(Error::Invalid(errors)) if errors.iter().any(|error| error.field == "after") => {
            return Ok(see_other(&agents_href(&query.filter)));
        }
        Err(Error::Invalid(errors)) => Err(errors
            .first()
            .map_or_else(String::new, |error| sentence(&error.why))),
        Err(error) => return Err(error.into()),
    };
    let everything = AgentQuery {
        limit: 1,
        ..AgentQuery::default()
    };
    let groups = groups(&call);
    let archived = AgentQuery {
        filter: "standing = archived".to_owned(),
        limit: 1,
        ..AgentQuery::default()
    };
    let archived = call.app().agents(&call.actor, &archived)?;
    let fleet = call.app().agents(&call.actor, &everything)?;
    let view = AgentsView {
        filter: &query.filter,
        sort: query.sort,
        after: query.after.as_deref(),
        archived: archived.matching as u64,
        page: page.as_ref().map_err(String::as_str),
        fleet: fleet.tally,
        verdicts: &fleet.verdicts,
        groups: &groups,
    };
    let stage = Stage::of(&call);
    let body = super::agents(&view, &stage.scene());
    let status = if page.is_ok() {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    Ok(shown(&call, status, body))
}

/// `POST /agents/bulk/{act}`: asks first, and does it when the answer comes back.
async fn bulk(call: Call) -> Outcome {
    let act = BulkAct::named(call.param("act")).ok_or_else(problem::not_found)?;
    call.actor.may(act.permission()).map_err(Error::from)?;
    let posted = Posted::of(&call);
    let back = if posted.query.is_empty() {
        "/agents".to_owned()
    } else {
        agents_href(&posted.query)
    };
    let ids = if posted.matching {
        call.app().matching_agents(&call.actor, &posted.query)?
    } else {
        posted.picks.clone()
    };
    if ids.is_empty() {
        return Ok(done(&back, "Nothing was done: no agent was selected."));
    }
    let count = ids.len() as u64;
    // What revoking reaches is known for sure only where it is done; what is typed has to be that.
    let besides = match act {
        BulkAct::Revoke => call.app().behind_credentials_of(&ids).len() as u64,
        BulkAct::Label
        | BulkAct::Pin
        | BulkAct::Restart
        | BulkAct::Hold
        | BulkAct::Release
        | BulkAct::Detach
        | BulkAct::Attach
        | BulkAct::Retry
        | BulkAct::Reapply
        | BulkAct::Archive
        | BulkAct::Restore => 0,
    };
    let expected = one_word(&ids);
    let mut errors = Errors::default();
    if posted.go {
        if posted.matching && posted.expected != expected {
            errors.add(
                "",
                "the filter matches other agents than a moment ago; look again before you go on",
            );
        }
        if let Some(words) = bulk::words_to_type(act, count + besides)
            && posted.confirm.trim() != words
        {
            errors.add("confirm", &format!("type {words} to go on"));
        }
        match bulk::act_of(act, &posted.words(), call.app().clock().now()) {
            Err(wrong) => errors = wrong,
            Ok(asked) if errors.is_empty() => {
                let result = call.app().act_on_many(&call.actor, &ids, &asked).await?;
                if result.refused.is_empty() {
                    let reached = result.done.len() + result.besides.len();
                    return Ok(done(&back, &bulk::said(act, reached)));
                }
                let refused: Vec<AgentId> = result.refused.keys().copied().collect();
                let names = names(&call, &refused);
                return Ok(shown(
                    &call,
                    StatusCode::OK,
                    bulk::outcome(act, &result, &names, &back),
                ));
            }
            Ok(_) => {}
        }
    }
    let first: Vec<AgentId> = ids.iter().take(NAMED).copied().collect();
    let names: Vec<String> = names(&call, &first).into_values().collect();
    let index = call.app().intentions.index();
    let groups: Vec<Name> = index.groups().map(|head| head.group.name.clone()).collect();
    let stage = Stage::of(&call);
    let body = bulk::ask(
        &BulkView {
            act,
            names: &names,
            picks: &posted.picks,
            count,
            expected: &expected,
            besides,
            filter: &posted.query,
            matching: posted.matching,
            groups: &groups,
            set: &posted.set,
            remove: &posted.remove,
            group: &posted.group,
            terms: &posted.terms,
            errors: &errors,
        },
        &stage.scene(),
    );
    let status = if errors.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    Ok(shown(&call, status, body))
}

/// Which agents, in one word: their number alone doesn't tell them from others.
fn one_word(ids: &[AgentId]) -> String {
    let all: Vec<u8> = ids.iter().flat_map(|id| id.0).collect();
    Digest::of(&all).to_string()
}

/// What the bulk form posts.
#[derive(Default)]
struct Posted {
    picks: Vec<AgentId>,
    query: String,
    matching: bool,
    go: bool,
    expected: String,
    set: String,
    remove: String,
    group: String,
    confirm: String,
    terms: TermsForm,
}

impl Posted {
    fn words(&self) -> bulk::Words<'_> {
        bulk::Words {
            set: &self.set,
            remove: &self.remove,
            group: &self.group,
            terms: &self.terms,
        }
    }

    fn of(call: &Call) -> Self {
        let typed = call.typed();
        let mut posted = Self {
            terms: TermsForm::of(&typed),
            ..Self::default()
        };
        for (name, value) in typed {
            match name.as_str() {
                "pick" => posted.picks.extend(value.parse::<AgentId>().ok()),
                "query" => posted.query = value,
                "matching" => posted.matching = value == "1",
                "go" => posted.go = value == "1",
                "expected" => posted.expected = value,
                "set" => posted.set = value,
                "remove" => posted.remove = value,
                "group" => posted.group = value,
                "confirm" => posted.confirm = value,
                _ => {}
            }
        }
        posted.picks.sort_unstable();
        posted.picks.dedup();
        posted
    }
}

fn names(call: &Call, ids: &[AgentId]) -> BTreeMap<AgentId, String> {
    let named = ids.iter().filter_map(|id| {
        let detail = call.app().agent(&call.actor, *id).ok()?;
        Some((*id, detail.summary.name))
    });
    named.collect()
}

/// The groups with the most agents.
fn groups(call: &Call) -> Vec<(Name, u64)> {
    let mut counts: BTreeMap<Name, u64> = BTreeMap::new();
    for agent in call.app().fleet() {
        *counts.entry(agent.registration.group.clone()).or_default() += 1;
    }
    let mut groups: Vec<(Name, u64)> = counts.into_iter().collect();
    groups.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    groups.truncate(GROUPS_SHOWN);
    groups
}

fn shown(call: &Call, status: StatusCode, body: maud::Markup) -> Response {
    call.page(
        status,
        View {
            title: "Agents",
            active: Some(Nav::Agents),
            topics: &["agents"],
            body,
            ..View::default()
        },
    )
}
