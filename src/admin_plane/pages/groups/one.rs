//! One group: its agents, what is published, who else claims them, what was published before.

use maud::{Markup, html};

use super::claims::{proposals, ties};
use super::moves::moves;
use super::{REFUSED, WAITING, members};
use crate::admin_plane::pages::layers::{layer_links, publish_to};
use crate::admin_plane::pages::layout::{page_head, section};
use crate::admin_plane::pages::parts::{
    Column, Empty, Fact, ProgressPart, Row, Status, Table, ago, badge, button_link, count, empty, facts,
    live, post_button, progress, status_line, table, visible,
};
use crate::admin_plane::pages::rollouts::{of_group, state_badge};
use crate::admin_plane::pages::scene::{Scene, agents_href, bytes, encoded, quiet};
use crate::admin_plane::pages::terms::told;
use crate::app::claims::GroupClaims;
use crate::app::intentions::{GroupDetail, GroupSummary};
use crate::app::rollouts::{GroupMoves, RolloutSummary};
use crate::auth::permission::Permission;
use crate::fleet::rollout::{Kind, State};
use crate::fleet::target::{Rendering, Target};

/// The most rollouts that are named in a sentence.
const MOST_NAMED: usize = 3;

/// The page.
#[must_use]
pub fn group(
    detail: &GroupDetail,
    claims: &GroupClaims,
    moving: &GroupMoves,
    rollouts: &[RolloutSummary],
    scene: &Scene<'_>,
) -> Markup {
    // A move that runs, too; otherwise what brought what is published.
    let running = rollouts.iter().find(|summary| !summary.rollout.is_ended());
    let latest = rollouts
        .iter()
        .find(|summary| Some(summary.rollout.id) == detail.summary.group.rollout);
    let rollout = running.or(latest);
    let (summary, group) = (&detail.summary, &detail.summary.group);
    let href = format!("/groups/{}", group.name);
    html! {
        (page_head(&visible(group.name.as_str()), Some(&html! { (count(u64::from(summary.members.all), "agent", "agents")) }), Some(&actions(summary, &href, scene))))
        @if !group.description.is_empty() { p.soft { (visible(&group.description)) } }
        (live("group", &["groups", "agents", "rollouts"], &href, &html! {
            (state(summary, rollouts, rollout, scene))
            (under_way(summary))
            @if let Some(rollout) = rollout { (of_group(rollout, scene)) }
            div.columns {
                (section("Agents", None, &facts(&[
                    Fact::new("In it", members(group.name.as_str(), &summary.members, summary.published.is_some())),
                    Fact::new("Takes", takes(summary)),
                    Fact::new("Priority", html! { (group.priority) " " (quiet(&html! { "the highest of the groups that claim an agent gets it" })) }),
                    Fact::new("Rolls out", html! { @match &group.strategy { Some(strategy) => (visible(&strategy.to_string())), None => (quiet(&html! { "by default: one agent, a tenth, half, all; one agent alone at once" })) } }),
                    Fact::new("By facts", by_facts(summary)),
                    Fact {
                        term: "Protected",
                        value: group.is_protected().then(|| html! {
                            "what is published waits until " (count(u64::from(group.approvals), "other person approves", "other people approve")) " it"
                        }),
                    },
                ])))
                (section("Published", None, &now_published(summary, rollouts, scene)))
            }
            (changed_inputs(summary, scene))
            (moves(moving, scene))
            @if !group.layers.is_empty() {
                (section("Layers", Some(&html! { a href={ (href) "/rendered" } { "What they come to" } }), &layers(summary)))
            }
            (proposals(group.name.as_str(), claims, scene))
            (ties(claims))
        }))
        (section("What was published", None, &history(detail, rollouts, scene)))
    }
}

/// What agents can bring about by what they say of themselves.
fn by_facts(summary: &GroupSummary) -> Markup {
    if summary.group.joins_by_facts && summary.group.is_protected() {
        return html! { "agents would join by what they say of themselves; the group is protected, so it only proposes them" };
    }
    let words = match (summary.group.joins_by_facts, summary.sends_secrets) {
        (false, _) => "what agents say of themselves only proposes them",
        (true, false) => "agents join by what they say of themselves",
        (true, true) => {
            "agents would join by what they say of themselves; what is published holds secrets, so it only proposes them"
        }
    };
    html! { (words) }
}

fn actions(summary: &GroupSummary, href: &str, scene: &Scene<'_>) -> Markup {
    let publish = format!("/publish?group={}", encoded(summary.group.name.as_str()));
    html! {
        @if scene.may(Permission::EditGroups) {
            (button_link("Delete", &format!("{href}/delete"), false))
            (button_link("Edit", &format!("{href}/edit"), false))
        }
        @if summary.group.hold.is_some() {
            @if scene.may(Permission::Publish) { (post_button("Release", &format!("{href}/release"), &[], scene.form_token)) }
        } @else if scene.may(Permission::OperateAgents) { (button_link("Hold", &format!("{href}/hold"), false)) }
        @if scene.may(Permission::Publish) { (button_link("Publish", &publish, true)) }
    }
}

/// The rollouts of publications, newest first.
fn publications(rollouts: &[RolloutSummary]) -> impl Iterator<Item = &RolloutSummary> {
    rollouts
        .iter()
        .filter(|summary| summary.rollout.kind == Kind::Publish)
}

fn rollout_link(summary: &RolloutSummary) -> Markup {
    let id = summary.rollout.id;
    html! { a href={ "/rollouts/" (id) } { "rollout " (id) } }
}

/// The line on top while no publication has reached everybody; `None` when nothing was published.
fn not_everywhere(rollouts: &[RolloutSummary]) -> Option<Markup> {
    let all: Vec<_> = publications(rollouts).collect();
    // The oldest of those that aren't over: others wait for it.
    let open = all.iter().rev().find(|summary| !summary.rollout.is_ended());
    let Some(open) = open.filter(|open| !matches!(open.rollout.state, State::RollingBack { .. })) else {
        let why = html! {
            "No publication has reached everybody yet; its agents have what "
            @for (at, summary) in all.iter().take(MOST_NAMED).enumerate() {
                @if at > 0 { " and " } (rollout_link(summary))
            }
            " left them with"
        };
        let line = status_line(Status::Degraded, Some("Not everywhere"), &why, &html! {});
        return (!all.is_empty()).then_some(line);
    };
    let id = open.rollout.id;
    let why = html! {
        a href={ "/rollouts/" (id) } { "Rollout " (id) } " is bringing " (visible(&open.brings))
        " to it; agents that it hasn't reached have what they had"
    };
    Some(status_line(
        Status::InProgress,
        Some("Under way"),
        &why,
        &html! {},
    ))
}

fn state(
    summary: &GroupSummary,
    rollouts: &[RolloutSummary],
    rollout: Option<&RolloutSummary>,
    scene: &Scene<'_>,
) -> Markup {
    let members = &summary.members;
    let Some(target) = &summary.published else {
        if let Some(line) = not_everywhere(rollouts) {
            return line;
        }
        return status_line(
            Status::Unknown,
            Some("Observed"),
            &html! { "Nothing was ever published to it, so its agents are sent nothing" },
            &html! {},
        );
    };
    let age = ago(target.published_at, scene.now);
    let Some(content) = &target.content else {
        let why = html! { "What was published is withdrawn; nothing is sent, and hosts keep what they run" };
        return status_line(Status::Unknown, Some("Withdrawn"), &why, &age);
    };
    let what = layer_links(&content.layers).unwrap_or_default();
    let agents = |number: u32| count(u64::from(number), "agent", "agents");
    if members.failed > 0 {
        let href = agents_href(&format!("group = {}, {REFUSED}", summary.group.name));
        let why = html! { a href=(href) { (agents(members.failed)) } " refused " (what) };
        return status_line(Status::Down, Some("Refused"), &why, &age);
    }
    if let Some(terms) = &summary.group.hold {
        let why = html! { "Held " (told(terms, scene.now)) " Nothing is sent to its agents, and what they run keeps running" };
        return status_line(Status::Degraded, Some("Held"), &why, &html! {});
    }
    if members.drifted > 0 {
        let href = agents_href(&format!("group = {}, config = drifted", summary.group.name));
        let why = html! { a href=(href) { (agents(members.drifted)) } @if members.drifted == 1 { " runs" } @else { " run" } " something else than " (what) };
        return status_line(Status::Degraded, Some("Drifted"), &why, &age);
    }
    if summary.moving > 0 {
        let why = html! { (agents(summary.moving)) " of " (members.all) @if summary.moving == 1 { " waits" } @else { " wait" } " to move to " (what) ", with what runs there unchanged" };
        return status_line(Status::InProgress, Some("Moving"), &why, &age);
    }
    if summary.left_behind > 0 {
        let why = html! { (agents(summary.left_behind)) " of " (members.all) @if summary.left_behind == 1 { " runs" } @else { " run" } " something else than " (what) ", since the move to it came to nothing" };
        return status_line(Status::Degraded, Some("Left behind"), &why, &age);
    }
    if members.waiting > 0 {
        let filter = format!("group = {}, {WAITING}", summary.group.name);
        let why = html! { a href=(agents_href(&filter)) { (agents(members.waiting)) } " of " (members.all) " are not at " (what) " yet" };
        return status_line(Status::InProgress, Some("Under way"), &why, &age);
    }
    let is_going =
        rollout.is_some_and(|summary| !summary.rollout.is_ended() && !summary.rollout.is_at_once());
    let words = if members.all == 0 { "No agents" } else { "In sync" };
    let status = if members.all == 0 {
        Status::Unknown
    } else {
        Status::Healthy
    };
    let why = html! {
        @if members.all == 0 { "Its first agent will be sent " (what) }
        @else if members.own_target == members.all { "Every agent has a configuration of its own" }
        @else {
            (agents(members.current)) " " @if members.current == 1 { "runs " } @else { "run " }
            // Some may have what the rollout brings.
            @if is_going { "what is wanted of " @if members.current == 1 { "it" } @else { "them" } } @else { (what) }
        }
    };
    status_line(status, Some(words), &why, &age)
}

/// The counts as a line of progress, while something is on its way or was refused.
fn under_way(summary: &GroupSummary) -> Markup {
    let members = &summary.members;
    let is_published = summary
        .published
        .as_ref()
        .is_some_and(|target| target.content.is_some());
    let part = |status, word, number: u32| ProgressPart {
        status,
        word,
        count: u64::from(number),
    };
    html! {
        @if is_published && members.waiting + members.failed + members.elsewhere > 0 {
            (progress("How far the agents are", &[
                part(Status::Healthy, "run it", members.current),
                part(Status::InProgress, "not there yet", members.waiting),
                part(Status::Down, "refused it", members.failed),
                part(Status::InProgress, "came with something else", members.elsewhere),
                part(Status::Degraded, "run something else", members.drifted),
                part(Status::Unknown, "held", members.held),
                part(Status::Unknown, "with a configuration of their own", members.own_target),
            ], None))
        }
    }
}

fn takes(summary: &GroupSummary) -> Markup {
    let selectors = &summary.group.selectors;
    html! {
        @if selectors.is_empty() { "only agents that are put into it by hand or by an enrolment token" }
        @for (at, selector) in selectors.iter().enumerate() {
            @if at > 0 { " " span.quiet { "or" } br; }
            @let text = selector.to_string();
            a href=(agents_href(&text)) { code { (visible(&text)) } }
        }
    }
}

fn now_published(summary: &GroupSummary, rollouts: &[RolloutSummary], scene: &Scene<'_>) -> Markup {
    let name = summary.group.name.as_str();
    let Some((target, content)) = summary
        .published
        .as_ref()
        .and_then(|target| Some((target, target.content.as_ref()?)))
    else {
        let configs = summary.group.layers.first();
        let latest = publications(rollouts)
            .next()
            .filter(|_| summary.published.is_none());
        let (title, words) = match latest {
            None => (
                "Nothing is published",
                html! { "Publishing sends a revision of a config to all agents of this group. You see first what that changes." },
            ),
            Some(latest) => (
                "Nothing has reached everybody yet",
                html! { "What is published counts for the whole group once its rollout has ended well. The latest is " (rollout_link(latest)) ", with " (visible(&latest.brings)) "." },
            ),
        };
        return empty(&Empty {
            title,
            words,
            fill: scene.may(Permission::Publish).then(|| {
                let href = match configs {
                    Some(config) => format!(
                        "/publish?group={}&config={}",
                        encoded(name),
                        encoded(config.as_str())
                    ),
                    None => format!("/publish?group={}", encoded(name)),
                };
                button_link("Publish", &href, false)
            }),
        });
    };
    html! {
        (facts(&[
            Fact { term: "What", value: layer_links(&content.layers) },
            Fact::new("Since", ago(target.published_at, scene.now)),
            Fact::text("By", Some(&target.published_by)),
            Fact::text("Why", Some(&target.message)),
            Fact { term: "Size", value: size(&content.document) },
            Fact { term: "Digest", value: content.common().map(|digest| html! { code { (digest.short()) } }) },
        ]))
        div.buttons {
            @if scene.may(Permission::Publish) {
                @for newer in &summary.newer {
                    (button_link(&format!("Publish revision {} of {}", newer.revision, newer.config), &publish_to(name, &content.with(newer)), false))
                }
            }
            @if scene.may(Permission::Publish) { a href={ "/groups/" (name) "/withdraw" } { "Withdraw" } }
        }
    }
}

/// That publishing again would send some agents something else.
fn changed_inputs(summary: &GroupSummary, scene: &Scene<'_>) -> Markup {
    let content = summary
        .published
        .as_ref()
        .and_then(|target| target.content.as_ref());
    html! {
        @if let (Some(content), true) = (content, summary.changed_inputs > 0) {
            p.status-line {
                (badge(Status::Degraded, Some("Inputs changed"))) " "
                span.reason {
                    "A label, a fact or a secret that the layers use has changed for " (count(u64::from(summary.changed_inputs), "agent", "agents"))
                    @if scene.may(Permission::Publish) { ": " a href=(publish_to(summary.group.name.as_str(), &content.layers)) { "publish to deliver" } }
                    @else { ": publish to deliver" }
                }
            }
        }
    }
}

/// The layers in their order, each with what is published of it.
fn layers(summary: &GroupSummary) -> Markup {
    let content = summary
        .published
        .as_ref()
        .and_then(|target| target.content.as_ref());
    let published = content.map_or([].as_slice(), |content| content.layers.as_slice());
    html! {
        ol.layers {
            @for config in &summary.group.layers {
                li {
                    a href={ "/configs/" (encoded(config.as_str())) } { (visible(config.as_str())) } " "
                    @match published.iter().find(|layer| layer.config == *config) {
                        Some(layer) => (quiet(&html! { "revision " (layer.revision) " is published" })),
                        None => (quiet(&html! { "not published yet" })),
                    }
                }
            }
        }
        @if summary.group.layers.len() > 1 { p.soft { "From base to most specific: the lower one has its way." } }
    }
}

fn size(document: &Rendering) -> Option<Markup> {
    match document {
        Rendering::Common { size_bytes, .. } => Some(html! { (bytes(*size_bytes)) }),
        Rendering::PerAgent { .. } => None,
    }
}

fn history(detail: &GroupDetail, rollouts: &[RolloutSummary], scene: &Scene<'_>) -> Markup {
    // Those that didn't get to be what the group has.
    let others: Vec<_> = publications(rollouts)
        .filter(|summary| {
            let target = summary.rollout.target;
            detail.history.iter().all(|known| known.id != target)
        })
        .collect();
    if detail.history.is_empty() && others.is_empty() {
        return html! { p.soft { "Nothing yet." } };
    }
    let name = detail.summary.group.name.as_str();
    let row = |(at, target): (usize, &Target)| Row {
        key: target.id.to_string(),
        name: target.published_by.clone(),
        cells: vec![
            html! {
                @match &target.content {
                    Some(content) => (layer_links(&content.layers).unwrap_or_default()),
                    None => "withdrawn",
                }
                @if at == 0 { " " (quiet(&html! { "now" })) }
            },
            visible(&target.message),
            visible(&target.published_by),
            ago(target.published_at, scene.now),
            html! {
                @if let (Some(content), true) = (&target.content, at > 0 && scene.may(Permission::Publish)) {
                    a href=(publish_to(name, &content.layers)) { "Publish again" }
                }
            },
        ],
    };
    let other = |summary: &&RolloutSummary| Row {
        key: format!("rollout-{}", summary.rollout.id),
        name: summary.rollout.started_by.clone(),
        cells: vec![
            html! { (visible(&summary.brings)) " " (state_badge(&summary.rollout.state, &summary.total)) },
            html! { (rollout_link(summary)) },
            visible(&summary.rollout.started_by),
            ago(summary.rollout.created_at, scene.now),
            html! {},
        ],
    };
    let known = detail.history.iter().enumerate();
    let mut rows: Vec<_> = known.map(|entry| (entry.1.published_at, row(entry))).collect();
    rows.extend(
        others
            .iter()
            .map(|summary| (summary.rollout.created_at, other(summary))),
    );
    rows.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let rows: Vec<_> = rows.into_iter().map(|(_, row)| row).collect();
    table(&Table {
        id: "history",
        caption: "All that was published to this group, newest first",
        columns: &[
            Column::of("What"),
            Column::of("Why").wide(),
            Column::of("By").wide(),
            Column::of("When").numbers(),
            Column::of("").numbers(),
        ],
        rows: &rows,
        picks: false,
        noun: ("publication", "publications"),
        pager: None,
    })
}
