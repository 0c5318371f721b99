//! The list of agents: filtered and sorted by its URL, worst first, with acts on many.

pub mod bulk;
pub(in crate::admin_plane) mod handle;

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::layout::page_head;
use super::parts::{
    BulkAction, BulkBar, Chip, Column, Empty, FilterBar, Pager, Row, Sort, Status, Table, badge, bulk_form,
    button_link, count, empty, filter_bar, labels, live, since, table, visible, visible_text,
};
use super::scene::{Scene, encoded};
use crate::app::agents::{AgentPage, AgentSort, AgentSummary, Tally};
use crate::auth::permission::Permission;
use crate::fleet::agent::Verdict;
use crate::fleet::agent::health::Condition;
use crate::fleet::agent::presence::Presence;
use crate::fleet::name::Name;
use crate::fleet::time::Timestamp;

/// The filter that lists archived agents.
const ARCHIVED: &str = "standing = archived";
/// So many labels of an agent are shown in its row.
const LABELS_SHOWN: usize = 3;

/// The list and what it was asked for.
#[derive(Debug)]
pub struct AgentsView<'a> {
    /// The filter as it was typed.
    pub filter: &'a str,
    /// The order.
    pub sort: AgentSort,
    /// Where this part of the list begins; `None` = at its beginning.
    pub after: Option<&'a str>,
    /// How many agents are archived, which are listed only when they are asked for.
    pub archived: u64,
    /// The agents, or what is wrong with the filter.
    pub page: Result<&'a AgentPage, &'a str>,
    /// How the whole fleet is.
    pub fleet: Tally,
    /// How the configurations of the whole fleet stand.
    pub verdicts: &'a BTreeMap<Verdict, usize>,
    /// The groups with the most agents, for quick filters.
    pub groups: &'a [(Name, u64)],
}

/// The page.
#[must_use]
pub fn agents(view: &AgentsView<'_>, scene: &Scene<'_>) -> Markup {
    let add = scene
        .may(Permission::EnrolAgents)
        .then(|| button_link("Add agents", "/agents/add", true));
    let counts = state(&view.fleet);
    let state = match view.page {
        // This page is an answer about a mistake: there is nothing to ask for again.
        Err(_) => counts,
        // The counts stand outside of the form, so they are a region of their own.
        Ok(_) => live("counts", &["agents"], &view.here(), &counts),
    };
    html! {
        (page_head(&html! { "Agents" }, Some(&state), add.as_ref()))
        (filters(view))
        @match view.page {
            Err(_) => p.soft { "Nothing is listed while the filter can't be read." },
            Ok(page) => (bulk_form(&bulk_bar(view, page, scene).bar(), &live("list", &["agents"], &view.here(), &html! {
                @if !page.agents.is_empty() { (list(view, page, scene)) }
                @else if view.is_of_nobody() { div.nobody { (no_agents(scene)) } }
                @else { (nothing_matches(view)) }
            }))),
        }
    }
}

/// What stands where no agent is yet.
#[must_use]
pub fn no_agents(scene: &Scene<'_>) -> Markup {
    empty(&Empty {
        title: "No agents yet",
        words: html! {
            "An agent is one OpenTelemetry Collector, or any other program that speaks OpAMP. It joins with a line that you paste on its host; what it runs already keeps running."
        },
        fill: scene
            .may(Permission::EnrolAgents)
            .then(|| button_link("Add agents", "/agents/add", true)),
    })
}

/// The shape of an agent's status, and the word that says most.
#[must_use]
pub fn standing(agent: &AgentSummary) -> (Status, &'static str) {
    let status = shape_of(agent.status.condition);
    let word = match (agent.status.condition, agent.presence, agent.config.state) {
        (Condition::Down, Presence::Offline { .. }, _) => "Offline",
        (Condition::Degraded, _, Verdict::Failed | Verdict::SelfReverted) => "Refused",
        (Condition::Degraded, _, Verdict::Held) => "Held",
        (Condition::Unknown, Presence::NeverSeen, _) => "Waiting",
        (Condition::Unknown, Presence::Awaited { .. }, _) => "Awaited",
        (Condition::InProgress, _, _) => "Applying",
        _ => status.word(),
    };
    (status, word)
}

/// A condition as the shape that shows it.
#[must_use]
pub fn shape_of(condition: Condition) -> Status {
    match condition {
        Condition::Down => Status::Down,
        Condition::Degraded => Status::Degraded,
        Condition::Unknown => Status::Unknown,
        Condition::InProgress => Status::InProgress,
        Condition::Healthy => Status::Healthy,
    }
}

/// How long something has held; nothing when that isn't known.
#[must_use]
pub fn age(at: Timestamp, now: Timestamp) -> Markup {
    html! { @if at != Timestamp::EPOCH { "for " (since(at, now)) } }
}

fn state(fleet: &Tally) -> Markup {
    let number = |count: usize| count.to_string();
    html! {
        (number(fleet.total()))
        @if fleet.down > 0 { ", " a href="/agents?q=status%20%3D%20down" { (number(fleet.down)) " down" } }
        @if fleet.degraded > 0 { ", " a href="/agents?q=status%20%3D%20degraded" { (number(fleet.degraded)) " degraded" } }
    }
}

impl AgentsView<'_> {
    /// Whether there is no agent to be listed in any way. The page is whole all the same, for the first one may come while
    /// it is open; what is of no use before is hidden by its style.
    fn is_of_nobody(&self) -> bool {
        self.fleet.total() == 0 && self.filter.is_empty() && self.archived == 0
    }

    fn here(&self) -> String {
        list_href(self.filter, self.sort, self.after)
    }
}

/// The list with a filter, order or beginning.
fn list_href(filter: &str, sort: AgentSort, after: Option<&str>) -> String {
    let parts = [
        (!filter.is_empty()).then(|| format!("q={}", encoded(filter))),
        (sort != AgentSort::default()).then(|| format!("sort={}", sort_word(sort))),
        after.map(|after| format!("after={}", encoded(after))),
    ];
    let query: Vec<String> = parts.into_iter().flatten().collect();
    if query.is_empty() {
        return "/agents".to_owned();
    }
    format!("/agents?{}", query.join("&"))
}

/// The word of an order in the URL.
#[must_use]
pub fn sort_word(sort: AgentSort) -> &'static str {
    match sort {
        AgentSort::Status => "status",
        AgentSort::Name => "name",
        AgentSort::Group => "group",
        AgentSort::Version => "version",
        AgentSort::LastSeen => "last_seen",
    }
}

fn filters(view: &AgentsView<'_>) -> Markup {
    let fleet = &view.fleet;
    let conditions = [
        ("All", String::new(), fleet.total()),
        ("Down", "status = down".to_owned(), fleet.down),
        ("Degraded", "status = degraded".to_owned(), fleet.degraded),
        ("Unknown", "status = unknown".to_owned(), fleet.unknown),
        ("Applying", "status = applying".to_owned(), fleet.in_progress),
        ("Healthy", "status = healthy".to_owned(), fleet.healthy),
    ];
    let conditions = conditions
        .iter()
        .map(|(words, filter, count)| (*words, filter.clone(), *count as u64));
    // Only what needs a look: the others are most of the fleet, or short.
    let verdicts = [
        ("Self-reverted", Verdict::SelfReverted),
        ("Drifted", Verdict::Drifted),
        ("Held", Verdict::Held),
        ("Unverified", Verdict::Unverified),
    ];
    let verdicts = verdicts.iter().map(|(words, verdict)| {
        let count = view.verdicts.get(verdict).copied().unwrap_or_default();
        (*words, format!("config = {}", verdict.words()), count as u64)
    });
    let groups = view
        .groups
        .iter()
        .map(|(name, count)| (name.as_str(), format!("group = {name}"), *count));
    let archived = ("Archived", ARCHIVED.to_owned(), view.archived);
    let chips: Vec<(&str, u64, String, bool)> = conditions
        .chain(verdicts)
        .chain(groups)
        .chain([archived])
        .filter(|(words, filter, count)| *count > 0 || filter == view.filter || *words == "All")
        .map(|(words, filter, count)| {
            let current = filter == view.filter;
            (words, count, list_href(&filter, view.sort, None), current)
        })
        .collect();
    let chips: Vec<Chip<'_>> = chips
        .iter()
        .map(|(words, count, href, current)| Chip {
            words,
            count: Some(*count),
            href,
            current: *current,
        })
        .collect();
    let mut keep = Vec::new();
    if view.sort != AgentSort::default() {
        keep.push(("sort", sort_word(view.sort)));
    }
    let error = view.page.err().map(visible_text);
    let here = view.here();
    filter_bar(&FilterBar {
        action: "/agents",
        query: view.filter,
        example: "web, label.region = eu, fact.os.type = linux",
        error: error.as_deref(),
        chips: &chips,
        live: view.page.is_ok().then_some((&["agents"], &here)),
        keep: &keep,
    })
}

fn nothing_matches(view: &AgentsView<'_>) -> Markup {
    if view.filter.is_empty() {
        return empty(&Empty {
            title: "No agent is in use",
            words: html! { "All of them are archived." },
            fill: Some(button_link(
                "Show archived agents",
                &super::scene::agents_href(ARCHIVED),
                false,
            )),
        });
    }
    empty(&Empty {
        title: "No agent matches",
        words: html! {
            "None of " (count(view.fleet.total() as u64, "agent", "agents")) " matches " code { (visible(view.filter)) } "."
        },
        fill: Some(button_link("Show all agents", "/agents", false)),
    })
}

fn list(view: &AgentsView<'_>, page: &AgentPage, scene: &Scene<'_>) -> Markup {
    let sorted = |sort: AgentSort| {
        let href = list_href(view.filter, sort, None);
        let shown = (view.sort == sort).then_some(match sort {
            AgentSort::Status | AgentSort::LastSeen => Sort::Down,
            AgentSort::Name | AgentSort::Group | AgentSort::Version => Sort::Up,
        });
        (href, shown)
    };
    let [status, name, group, version, heard] = [
        AgentSort::Status,
        AgentSort::Name,
        AgentSort::Group,
        AgentSort::Version,
        AgentSort::LastSeen,
    ]
    .map(sorted);
    let columns = [
        Column {
            words: "Status",
            sort_href: Some(&status.0),
            sorted: status.1,
            ..Column::default()
        },
        Column {
            words: "Agent",
            sort_href: Some(&name.0),
            sorted: name.1,
            ..Column::default()
        },
        Column {
            words: "Why",
            wide_only: true,
            ..Column::default()
        },
        Column {
            words: "Group",
            sort_href: Some(&group.0),
            sorted: group.1,
            wide_only: true,
            ..Column::default()
        },
        Column {
            words: "Configuration",
            wide_only: true,
            ..Column::default()
        },
        Column {
            words: "Labels",
            wide_only: true,
            ..Column::default()
        },
        Column {
            words: "Version",
            sort_href: Some(&version.0),
            sorted: version.1,
            wide_only: true,
            ..Column::default()
        },
        Column {
            words: "Heard",
            sort_href: Some(&heard.0),
            sorted: heard.1,
            number: true,
            ..Column::default()
        },
    ];
    let rows: Vec<Row> = page.agents.iter().map(|agent| row(agent, scene)).collect();
    let first = view.after.map(|_| list_href(view.filter, view.sort, None));
    let next = page
        .next
        .as_deref()
        .map(|next| list_href(view.filter, view.sort, Some(next)));
    table(&Table {
        id: "agents",
        caption: "Agents",
        columns: &columns,
        rows: &rows,
        picks: scene.may(Permission::OperateAgents),
        noun: ("agent", "agents"),
        pager: Some(Pager {
            first: first.as_deref(),
            next: next.as_deref(),
            total: Some(page.matching as u64),
        }),
    })
}

fn row(agent: &AgentSummary, scene: &Scene<'_>) -> Row {
    let (status, word) = standing(agent);
    let reason =
        html! { (visible(&agent.status.reason)) " " span.quiet { (age(agent.status.since, scene.now)) } };
    let told = agent.status.condition != Condition::Healthy;
    let sub = html! { @if told { span.narrow { (reason) } } };
    Row {
        key: agent.id.to_string(),
        name: visible_text(&agent.name),
        cells: vec![
            badge(status, Some(word)),
            Row::name_cell(
                &visible(&agent.name),
                &format!("/agents/{}", agent.id),
                told.then_some(&sub),
            ),
            html! { @if told { span.reason { (reason) } } },
            group_cell(agent),
            config_cell(agent),
            label_cell(agent),
            html! { @if agent.service_version.is_empty() { span.quiet { "not reported" } } @else { (visible(&agent.service_version)) } },
            heard(agent, scene.now),
        ],
    }
}

fn group_cell(agent: &AgentSummary) -> Markup {
    html! {
        @if agent.group == Name::unassigned() { span.quiet { "unassigned" } }
        @else { a href={ "/groups/" (agent.group) } { (agent.group) } }
        @if let Some(proposed) = &agent.proposed_group { " " span.quiet { "proposes " (proposed) } }
    }
}

fn config_cell(agent: &AgentSummary) -> Markup {
    let status = verdict_shape(agent.config.state);
    html! {
        @if agent.config.state == Verdict::ObserveOnly { span.quiet { (agent.config.state.words()) } }
        @else { a.plain href={ "/agents/" (agent.id) "/configuration" } { (badge(status, Some(agent.config.state.words()))) } }
    }
}

/// The shape that goes with where a configuration stands.
#[must_use]
pub fn verdict_shape(verdict: Verdict) -> Status {
    match verdict {
        Verdict::Failed | Verdict::SelfReverted => Status::Down,
        Verdict::Drifted | Verdict::Held | Verdict::NotCapable => Status::Degraded,
        Verdict::Pending | Verdict::Applying => Status::InProgress,
        Verdict::Unknown | Verdict::Unverified | Verdict::ObserveOnly => Status::Unknown,
        Verdict::InSync => Status::Healthy,
    }
}

fn label_cell(agent: &AgentSummary) -> Markup {
    let shown = agent.labels.iter().take(LABELS_SHOWN);
    let more = agent.labels.len().saturating_sub(LABELS_SHOWN);
    html! {
        (labels(shown.map(|(key, value)| (key.as_str(), value.as_str()))))
        @if more > 0 { " " span.quiet { "and " (more) " more" } }
    }
}

/// When an agent last spoke: "now" as long as it is connected.
#[must_use]
pub fn heard(agent: &AgentSummary, now: Timestamp) -> Markup {
    html! {
        @match (agent.presence, agent.last_seen) {
            (_, None) => span.quiet { "never" },
            (_, Some(at)) => (super::parts::ago(at, now)),
        }
    }
}

/// The acts on many that somebody may do.
struct Bar<'a> {
    actions: Vec<BulkAction<'a>>,
    matching: u64,
    query: &'a str,
    form_token: &'a str,
}

fn bulk_bar<'a>(view: &AgentsView<'a>, page: &AgentPage, scene: &Scene<'a>) -> Bar<'a> {
    let actions = bulk::BulkAct::ALL
        .into_iter()
        .filter(|act| scene.may(act.permission()))
        // Only who asks for a standing sees archived agents.
        .filter(|act| *act != bulk::BulkAct::Restore || view.filter.contains("standing"));
    Bar {
        actions: actions
            .map(|act| BulkAction {
                verb: act.verb(),
                action: act.path(),
            })
            .collect(),
        matching: page.matching as u64,
        query: view.filter,
        form_token: scene.form_token,
    }
}

impl Bar<'_> {
    fn bar(&self) -> BulkBar<'_> {
        BulkBar {
            actions: &self.actions,
            noun: ("agent", "agents"),
            matching: Some(self.matching),
            query: self.query,
            form_token: self.form_token,
        }
    }
}
