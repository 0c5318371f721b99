//! Serves the pages that add agents.

use http::StatusCode;
use serde::Deserialize;

use super::super::agents::bulk::read_labels;
use super::super::handle::Stage;
use super::super::layout::Nav;
use super::super::scene::{Errors, lines};
use super::{AddForm, JoiningView, Way, choose, joining};
use crate::admin_plane::call::{Call, View};
use crate::admin_plane::failure::{Failure, Outcome};
use crate::admin_plane::routes::Row;
use crate::app::agents::{AgentPage, AgentQuery};
use crate::app::enrolment::NewEnrolmentToken;
use crate::auth::permission::Permission;
use crate::fleet::enrolment::EnrolmentToken;
use crate::fleet::ids::EnrolmentTokenId;
use crate::fleet::name::Name;
use crate::http::{Response, problem};

pub(in crate::admin_plane) fn rows() -> Vec<Row> {
    vec![
        Row::page("/agents/add", Permission::EnrolAgents, form),
        Row::form("/agents/add", Permission::EnrolAgents, make),
        Row::page("/agents/add/{token}", Permission::EnrolAgents, waiting),
    ]
}

#[derive(Deserialize)]
#[serde(default)]
struct Posted {
    way: String,
    group: String,
    labels: String,
    uses: String,
    valid_seconds: String,
    many: String,
    networks: String,
    note: String,
    by_hand: bool,
}

impl Default for Posted {
    fn default() -> Self {
        Self {
            way: Way::default().word().to_owned(),
            group: String::new(),
            labels: String::new(),
            uses: "1".to_owned(),
            valid_seconds: "3600".to_owned(),
            many: String::new(),
            networks: String::new(),
            note: String::new(),
            by_hand: false,
        }
    }
}

impl Posted {
    /// What is asked of the use case, or what is wrong with what was typed.
    fn wish(&self) -> Result<NewEnrolmentToken, Errors> {
        fn number<T: std::str::FromStr>(field: &str, text: &str) -> Result<T, Errors> {
            let wrong = |_| Errors::at(field, "write a whole number, such as 1");
            text.trim().parse().map_err(wrong)
        }
        let group = self.group.trim();
        let group = (!group.is_empty())
            .then(|| Name::new(group).map_err(|_| Errors::at("group", "choose a group")))
            .transpose()?;
        let many = self.many.trim();
        Ok(NewEnrolmentToken {
            note: self.note.trim().to_owned(),
            uses: Some(number("uses", &self.uses)?),
            valid_seconds: Some(number("valid_seconds", &self.valid_seconds)?),
            many: (!many.is_empty()).then(|| number("many", many)).transpose()?,
            labels: read_labels("labels", &self.labels)?,
            group,
            networks: lines(&self.networks).map(|(_, line)| line.to_owned()).collect(),
            by_hand: self.by_hand,
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Chosen {
    way: String,
}

/// `GET /agents/add`
async fn form(call: Call) -> Outcome {
    let chosen: Chosen = call.query()?;
    let posted = Posted {
        way: Way::named(&chosen.way).word().to_owned(),
        ..Posted::default()
    };
    Ok(form_page(&call, StatusCode::OK, &posted, &Errors::default()))
}

/// `POST /agents/add`: the only answer that shows the token's secret.
async fn make(call: Call) -> Outcome {
    let posted: Posted = call.form()?;
    let wish = match posted.wish() {
        Ok(wish) => wish,
        Err(errors) => {
            return Ok(form_page(
                &call,
                StatusCode::UNPROCESSABLE_ENTITY,
                &posted,
                &errors,
            ));
        }
    };
    match call.app().create_enrolment_token(&call.actor, wish).await {
        Ok(made) => token_page(&call, Way::named(&posted.way), &made.token, Some(&made.secret)),
        Err(error) => {
            let errors = Errors::of(error)?;
            Ok(form_page(
                &call,
                StatusCode::UNPROCESSABLE_ENTITY,
                &posted,
                &errors,
            ))
        }
    }
}

/// `GET /agents/add/{token}`: who has joined with it so far.
async fn waiting(call: Call) -> Outcome {
    let id: EnrolmentTokenId = call.parse("token")?;
    let chosen: Chosen = call.query()?;
    let tokens = call.app().enrolment_tokens(&call.actor)?;
    let token = tokens.into_iter().find(|token| token.id == id);
    let token = token.ok_or_else(problem::not_found)?;
    token_page(&call, Way::named(&chosen.way), &token, None)
}

fn token_page(call: &Call, way: Way, token: &EnrolmentToken, secret: Option<&str>) -> Outcome {
    let agents = joined(call, token.id)?;
    let stage = Stage::of(call);
    let view = JoiningView {
        site: &call.plane.site,
        called: call.host(),
        way,
        token,
        secret,
        agents: &agents,
    };
    let body = joining(&view, &stage.scene());
    Ok(shown(call, StatusCode::OK, body))
}

/// The agents that joined with a token.
fn joined(call: &Call, token: EnrolmentTokenId) -> Result<AgentPage, Failure> {
    let query = AgentQuery {
        filter: format!("token = {token}"),
        archived: true,
        ..AgentQuery::default()
    };
    Ok(call.app().agents(&call.actor, &query)?)
}

fn form_page(call: &Call, status: StatusCode, posted: &Posted, errors: &Errors) -> Response {
    let index = call.app().intentions.index();
    let groups: Vec<Name> = index.groups().map(|head| head.group.name.clone()).collect();
    let form = AddForm {
        way: Way::named(&posted.way),
        group: &posted.group,
        labels: &posted.labels,
        uses: &posted.uses,
        valid_seconds: &posted.valid_seconds,
        many: &posted.many,
        networks: &posted.networks,
        note: &posted.note,
        by_hand: posted.by_hand,
        errors,
    };
    let stage = Stage::of(call);
    let body = choose(&form, &groups, &stage.scene());
    shown(call, status, body)
}

fn shown(call: &Call, status: StatusCode, body: maud::Markup) -> Response {
    call.page(
        status,
        View {
            title: "Add agents",
            active: Some(Nav::Agents),
            crumbs: &[("Agents", "/agents")],
            topics: &["agents", "enrolment"],
            body,
            ..View::default()
        },
    )
}
