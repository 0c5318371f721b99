//! The list of agents: filtered, sorted, a page at a time.

mod words;

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::view::AgentSummary;
use crate::app::App;
use crate::app::error::Error;
use crate::app::live::Snapshot;
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::fleet::agent::health::{Condition, status};
use crate::fleet::agent::{HoldReason, Standing, Verdict};
use crate::fleet::attributes::Facts;
use crate::fleet::ids::AgentId;
use crate::fleet::name::Name;
use crate::fleet::selector::{Filter, Known, Source};
use crate::fleet::time::Timestamp;

/// What part of the list is asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AgentQuery {
    /// A filter: words to find in names, and requirements as in a selector.
    pub filter: String,
    /// The order.
    pub sort: AgentSort,
    /// The cursor of the page before; `None` = from the beginning.
    pub after: Option<String>,
    /// The most agents; 0 = 100, and never more than 1,000.
    pub limit: usize,
    /// Whether archived agents are listed too; a filter by `standing` lists them anyhow.
    pub archived: bool,
}

/// The orders of the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentSort {
    /// Worst first, then by name.
    #[default]
    Status,
    /// By name.
    Name,
    /// By group, then by name.
    Group,
    /// By version, then by name.
    Version,
    /// Last heard of first.
    LastSeen,
}

/// A page of the list.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AgentPage {
    /// The agents.
    pub agents: Vec<AgentSummary>,
    /// How many agents the filter takes in all.
    pub matching: usize,
    /// How many of those are in which condition.
    pub tally: Tally,
    /// How many of those have a configuration that stands how; words that no agent has are left out.
    pub verdicts: BTreeMap<Verdict, usize>,
    /// The cursor of the next page; `None` = this is the last.
    pub next: Option<String>,
}

/// How many agents are how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Tally {
    /// Not reachable.
    pub down: usize,
    /// Something is wrong.
    pub degraded: usize,
    /// Not said.
    pub unknown: usize,
    /// Taking a configuration.
    pub in_progress: usize,
    /// Well.
    pub healthy: usize,
}

impl Tally {
    /// All together.
    #[must_use]
    pub fn total(&self) -> usize {
        self.down + self.degraded + self.unknown + self.in_progress + self.healthy
    }

    pub(in crate::app) fn count(&mut self, condition: Condition) {
        match condition {
            Condition::Down => self.down += 1,
            Condition::Degraded => self.degraded += 1,
            Condition::Unknown => self.unknown += 1,
            Condition::InProgress => self.in_progress += 1,
            Condition::Healthy => self.healthy += 1,
        }
    }
}

/// A row before it is shown: what sorting needs.
struct Row {
    snapshot: Snapshot,
    condition: Condition,
    verdict: Verdict,
    key: SortKey,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct SortKey(u64, String, String, AgentId);

impl App {
    /// A page of the list of agents.
    ///
    /// # Errors
    /// When the actor may not, or filter or cursor can't be read.
    pub fn agents(&self, actor: &Actor, query: &AgentQuery) -> Result<AgentPage, Error> {
        actor.may(Permission::ViewFleet)?;
        let after = query.after.as_deref().map(read_cursor).transpose()?;
        let limit = if query.limit == 0 {
            100
        } else {
            query.limit.min(1_000)
        };
        let now = self.clock.now();
        let mut tally = Tally::default();
        let mut rows = self.rows(query, now)?;
        let mut verdicts = BTreeMap::new();
        for row in &rows {
            tally.count(row.condition);
            *verdicts.entry(row.verdict).or_default() += 1;
        }
        let matching = rows.len();
        if let Some(after) = after {
            rows.retain(|row| row.key > after);
        }
        let by_key = |a: &Row, b: &Row| -> Ordering { a.key.cmp(&b.key) };
        let more = rows.len() > limit;
        if more {
            rows.select_nth_unstable_by(limit, by_key);
            rows.truncate(limit);
        }
        rows.sort_unstable_by(by_key);
        let next = if more {
            rows.last().map(|row| write_cursor(&row.key))
        } else {
            None
        };
        let agents = rows
            .iter()
            .map(|row| self.summarise(&row.snapshot, now))
            .collect();
        Ok(AgentPage {
            agents,
            matching,
            tally,
            verdicts,
            next,
        })
    }

    /// The ids of the agents that a filter takes, for acts on many.
    ///
    /// # Errors
    /// When the actor may not, or the filter can't be read.
    pub fn matching_agents(&self, actor: &Actor, filter: &str) -> Result<Vec<AgentId>, Error> {
        actor.may(Permission::ViewFleet)?;
        let query = AgentQuery {
            filter: filter.to_owned(),
            ..AgentQuery::default()
        };
        let rows = self.rows(&query, self.clock.now())?;
        let mut ids: Vec<AgentId> = rows.iter().map(|row| row.snapshot.agent.id()).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    fn rows(&self, query: &AgentQuery, now: Timestamp) -> Result<Vec<Row>, Error> {
        let filter =
            Filter::parse(&query.filter).map_err(|error| Error::invalid("filter", error.to_string()))?;
        let filter = words::understood(filter)?;
        let snapshots = self.live.snapshot();
        let filter = if filter.is_everything() {
            filter
        } else {
            resolve(&filter, &snapshots)?
        };
        let uses_facts = filter
            .selector
            .requirements()
            .iter()
            .any(|required| required.key.source == Some(Source::Fact));
        // Whoever asks for a standing means archived agents, too.
        let archived_too = query.archived
            || filter
                .selector
                .requirements()
                .iter()
                .any(|required| required.key.source.is_none() && required.key.name == "standing");
        let mut rows = Vec::with_capacity(snapshots.len());
        for snapshot in snapshots {
            let archived = matches!(snapshot.agent.registration.standing, Standing::Archived { .. });
            if archived && !archived_too {
                continue;
            }
            let judged = self.intentions.judge(&snapshot.agent);
            let condition = status(&snapshot.agent, snapshot.presence, &judged, now).condition;
            let verdict = judged.verdict;
            let hold = judged.hold;
            let title = snapshot.agent.title();
            let found = Found {
                condition,
                verdict,
                hold,
                title: &title,
            };
            let shown = filter.is_everything() || is_shown(&filter, &snapshot, &found, uses_facts);
            if shown {
                let key = sort_key(query.sort, &snapshot, condition, title);
                rows.push(Row {
                    snapshot,
                    condition,
                    verdict,
                    key,
                });
            }
        }
        Ok(rows)
    }

    /// What bare keys of selectors mean, by the labels and facts that agents have now.
    pub fn known_keys(&self) -> impl Fn(&str) -> Known + use<> {
        known(&self.live.snapshot(), &[])
    }
}

/// What filters look at besides the agent itself.
struct Found<'a> {
    condition: Condition,
    verdict: Verdict,
    hold: Option<HoldReason>,
    title: &'a str,
}

fn is_shown(filter: &Filter, snapshot: &Snapshot, found: &Found<'_>, uses_facts: bool) -> bool {
    let title = found.title;
    let agent = &snapshot.agent;
    let (registration, reported) = (&agent.registration, &agent.reported);
    let facts = match &reported.description {
        Some(description) if uses_facts => description.unpack().facts(),
        _ => Facts::new(),
    };
    let id = agent.id().to_string();
    let uid = registration.uid.map(|uid| uid.to_string()).unwrap_or_default();
    let token = registration.origin.token.map(|token| token.to_string());
    let token = token.unwrap_or_default();
    let texts = [
        title,
        &reported.host_name,
        &reported.service_name,
        &registration.origin.host,
        &id,
        &uid,
    ];
    filter.matches_with(&texts, |key| match key.source {
        Some(Source::Label) => registration.labels.get(&key.name).map(String::as_str),
        Some(Source::Fact) => facts.get(&key.name).map(String::as_str),
        None => match key.name.as_str() {
            "status" => Some(found.condition.word()),
            "group" => Some(registration.group.as_str()),
            "name" => Some(title),
            "version" => Some(reported.service_version.as_str()),
            "config" => Some(found.verdict.words()),
            "presence" => Some(words::of_presence(snapshot.presence)),
            "standing" => Some(words::of_standing(&registration.standing)),
            "health" => Some(words::of_health(reported.healthy)),
            "proposed" => registration.proposed_group.as_ref().map(Name::as_str),
            "held" => found.hold.map(HoldReason::short),
            "suspended" => registration
                .suspension
                .as_ref()
                .map(|found| words::of_suspension(found.kind)),
            "token" => Some(token.as_str()),
            _ => None,
        },
    })
}

/// The keys of filters that are no label and no fact.
const COLUMNS: [&str; 12] = [
    "status",
    "group",
    "name",
    "version",
    "config",
    "presence",
    "standing",
    "health",
    "proposed",
    "held",
    "suspended",
    "token",
];

fn resolve(filter: &Filter, snapshots: &[Snapshot]) -> Result<Filter, Error> {
    if filter
        .selector
        .requirements()
        .iter()
        .all(|required| required.key.source.is_some() || COLUMNS.contains(&required.key.name.as_str()))
    {
        return Ok(filter.clone());
    }
    filter
        .resolve(known(snapshots, &COLUMNS))
        .map_err(|error| Error::invalid("filter", error.to_string()))
}

fn known(snapshots: &[Snapshot], columns: &'static [&'static str]) -> impl Fn(&str) -> Known + use<> {
    let mut labels: HashSet<String> = HashSet::new();
    let mut facts: HashSet<String> = HashSet::new();
    for snapshot in snapshots {
        labels.extend(snapshot.agent.registration.labels.keys().cloned());
        if let Some(description) = &snapshot.agent.reported.description {
            facts.extend(description.unpack().facts().into_keys());
        }
    }
    move |key| match (columns.contains(&key), labels.contains(key), facts.contains(key)) {
        (true, ..) => Known::Field,
        (_, true, true) => Known::Both,
        (_, true, false) => Known::Label,
        (_, false, true) => Known::Fact,
        (_, false, false) => Known::Neither,
    }
}

fn sort_key(sort: AgentSort, snapshot: &Snapshot, condition: Condition, title: String) -> SortKey {
    let agent = &snapshot.agent;
    let id = agent.id();
    match sort {
        AgentSort::Status => SortKey(condition as u64, title, String::new(), id),
        AgentSort::Name => SortKey(0, title, String::new(), id),
        AgentSort::Group => SortKey(0, agent.registration.group.to_string(), title, id),
        AgentSort::Version => SortKey(0, agent.reported.service_version.clone(), title, id),
        AgentSort::LastSeen => SortKey(u64::MAX - snapshot.pulse.last_seen.0, title, String::new(), id),
    }
}

fn write_cursor(key: &SortKey) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(serde_json::to_vec(key).unwrap_or_default())
}

fn read_cursor(text: &str) -> Result<SortKey, Error> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).ok();
    bytes
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or_else(|| {
            Error::invalid(
                "after",
                "this is no cursor of this list; begin with the first page",
            )
        })
}
