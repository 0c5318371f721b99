//! What the server has, as far as a folder tells it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::group_fields;
use crate::app::intentions::ConfigDetail;
use crate::cli::agents::matching;
use crate::cli::client::segment;
use crate::cli::columns::{list_at, number_at, text_at};
use crate::cli::session::Session;
use crate::fleet::config::Content;
use crate::fleet::name::Name;

/// What the server has.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Present {
    pub(in crate::cli) configs: BTreeMap<String, PresentConfig>,
    pub(in crate::cli) groups: BTreeMap<String, PresentGroup>,
    pub(in crate::cli) agents: BTreeMap<String, PresentAgent>,
}

/// A config of the server.
#[derive(Clone, Debug)]
pub(in crate::cli) struct PresentConfig {
    pub(in crate::cli) description: String,
    /// The number of its newest revision.
    pub(in crate::cli) latest: u64,
    /// The content of that.
    pub(in crate::cli) content: Content,
}

/// A group of the server.
#[derive(Clone, Debug)]
pub(in crate::cli) struct PresentGroup {
    /// Fields of a group's edit.
    pub(in crate::cli) fields: Map<String, Value>,
    pub(in crate::cli) revision: u64,
    /// How many agents are in it.
    pub(in crate::cli) members: u64,
    /// Whether something is published to it.
    pub(in crate::cli) in_force: bool,
}

/// An agent of the server.
#[derive(Clone, Debug)]
pub(in crate::cli) struct PresentAgent {
    /// What people call it.
    pub(in crate::cli) title: String,
    /// The name that an operator gave it; `None` when it goes by its own.
    pub(in crate::cli) given: Option<String>,
    pub(in crate::cli) labels: BTreeMap<String, String>,
}

impl Present {
    /// Asks the server.
    ///
    /// # Errors
    /// When it can't be asked.
    pub(in crate::cli) async fn ask(session: &Session<'_>) -> anyhow::Result<Self> {
        Ok(Self {
            configs: configs(session).await?,
            groups: groups(session).await?,
            agents: agents(session).await?,
        })
    }
}

async fn configs(session: &Session<'_>) -> anyhow::Result<BTreeMap<String, PresentConfig>> {
    let listed: Value = session.get("/api/v1/configs").await?;
    let mut configs = BTreeMap::new();
    for config in list_at(&listed, "/configs") {
        let name = text_at(config, "/name");
        let detail: ConfigDetail = session.get(&format!("/api/v1/configs/{}", segment(name))).await?;
        let present = PresentConfig {
            description: detail.summary.config.description,
            latest: detail.summary.config.latest,
            content: detail.content,
        };
        configs.insert(name.to_owned(), present);
    }
    Ok(configs)
}

async fn groups(session: &Session<'_>) -> anyhow::Result<BTreeMap<String, PresentGroup>> {
    let listed: Value = session.get("/api/v1/groups").await?;
    let known = group_fields();
    let group = |group: &Value| {
        let field = |name: &String| {
            Some((
                name.clone(),
                group.get(name).filter(|value| !value.is_null())?.clone(),
            ))
        };
        let present = PresentGroup {
            fields: known.iter().filter_map(field).collect(),
            revision: number_at(group, "/revision"),
            members: number_at(group, "/members/all"),
            in_force: group
                .pointer("/published/content")
                .is_some_and(|content| !content.is_null()),
        };
        (text_at(group, "/name").to_owned(), present)
    };
    let groups = list_at(&listed, "/groups").iter().map(group);
    let unassigned = Name::unassigned();
    Ok(groups.filter(|(name, _)| name != unassigned.as_str()).collect())
}

async fn agents(session: &Session<'_>) -> anyhow::Result<BTreeMap<String, PresentAgent>> {
    let found = matching(session, "", usize::MAX, &[("sort", "name")]).await?;
    let mut agents = BTreeMap::new();
    for agent in &found.agents {
        let (id, title) = (
            text_at(agent, "/id").to_owned(),
            text_at(agent, "/name").to_owned(),
        );
        // Its own name when it is its host's; otherwise only its record tells who gave it.
        let given = if title == text_at(agent, "/host_name") {
            None
        } else {
            let detail: Value = session.get(&format!("/api/v1/agents/{id}")).await?;
            detail
                .pointer("/registration/name")
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let labels = agent.get("labels").cloned().unwrap_or_default();
        let labels = serde_json::from_value(labels).unwrap_or_default();
        agents.insert(id, PresentAgent { title, given, labels });
    }
    Ok(agents)
}
