//! What needs attention, one sentence per problem, and what happened lately.

pub(in crate::admin_plane) mod handle;

use maud::{Markup, html};

use super::agents::no_agents;
use super::layers::{layer_links, publish_to};
use super::layout::{page_head, section};
use super::parts::{
    Banner, BannerKind, Event, Problem, Status, ago, banner, count, duration_words, live, post_button,
    problems, tally, timeline, visible,
};
use super::scene::{Scene, agents_href, encoded};
use crate::app::overview::{Few, Overview, Recent, RecentKind, Trouble, TroubleKind};
use crate::auth::permission::Permission;
use crate::fleet::agent::HoldReason;
use crate::fleet::ids::RolloutId;
use crate::fleet::name::Name;
use crate::fleet::suspension::Terms;
use crate::fleet::target::LayerRef;
use crate::fleet::time::Timestamp;

/// What the page listens to.
const TOPICS: [&str; 5] = ["agents", "groups", "configs", "rollouts", "enrolment"];
/// So much of an agent's own words is shown in a sentence.
const REASON_CHARACTERS: usize = 160;

/// The page.
#[must_use]
pub fn overview(view: &Overview, scene: &Scene<'_>) -> Markup {
    let of_the_server = |kind: &TroubleKind| {
        matches!(
            kind,
            TroubleKind::ReadOnly { .. } | TroubleKind::Unreadable { .. } | TroubleKind::TaskDied { .. }
        )
    };
    let troubled = view.troubles.iter().any(|trouble| of_the_server(&trouble.kind));
    if view.agents.total() == 0 && !troubled {
        return html! {
            (page_head(&html! { "Overview" }, None, None))
            (live("overview", &TOPICS, "/", &first_hour(view, scene)))
        };
    }
    html! {
        (page_head(&html! { "Overview" }, None, None))
        (live("overview", &TOPICS, "/", &html! {
            (held(view, scene))
            (counts(view))
            (section("What needs attention", None, &needs(view, scene)))
            @if !view.recent.is_empty() { (section("Lately", None, &lately(&view.recent, scene))) }
        }))
    }
}

/// The first hour: nothing is here, and this is what comes.
fn first_hour(view: &Overview, scene: &Scene<'_>) -> Markup {
    html! {
        (no_agents(scene))
        @if !view.troubles.is_empty() { (section("What needs attention", None, &needs(view, scene))) }
        (section("The first hour", None, &html! {
            ol.steps {
                li { strong { "Add an agent." } " A line that you paste on its host; what it runs already becomes revision 1 of a config, so that telemetry never stops." }
                li { strong { "Make a group." } " It claims agents by their labels. " a href="/groups" { "Groups" } }
                li { strong { "Edit and publish a config." } " Saving is not deploying: publishing shows first whom it reaches. " a href="/configs" { "Configs" } }
                li { strong { "See it applied" } ", or refused with the reason and the line." }
            }
        }))
    }
}

/// The banner of a server whose store went back in time.
fn held(view: &Overview, scene: &Scene<'_>) -> Markup {
    let held = view.troubles.iter().find_map(|trouble| {
        if let TroubleKind::FleetHeld { reason } = trouble.kind {
            Some(reason)
        } else {
            None
        }
    });
    html! {
        @if let Some(reason) = held {
            (banner(&Banner { kind: BannerKind::Warning, words: fleet_held(reason), link: None }))
            @if scene.may(Permission::Publish) {
                div.buttons { (post_button("Release the fleet", "/fleet/release", &[], scene.form_token)) }
            }
        }
    }
}

fn fleet_held(reason: HoldReason) -> Markup {
    html! {
        @match reason {
            HoldReason::StoreWentBack => "Nothing is sent to any agent: agents know a newer state than this server's store, so the store went back in time, after a restore or an old snapshot. Look at what is published before you release the fleet.",
            HoldReason::Operator | HoldReason::Group => "Nothing is sent to any agent: the fleet is held by an operator.",
            HoldReason::NothingLeft | HoldReason::Unreadable | HoldReason::NotRendered | HoldReason::NothingToGoBackTo | HoldReason::OwnWord => "Nothing is sent to any agent: what they should run can't be read from the store.",
        }
        " " a href={ (agents_href("held = \"went back\"")) } { "Agents that are held" }
    }
}

fn counts(view: &Overview) -> Markup {
    let counted = &view.agents;
    let all = [
        (Status::Down, "Down", counted.down, "status = down"),
        (
            Status::Degraded,
            "Degraded",
            counted.degraded,
            "status = degraded",
        ),
        (Status::Unknown, "Unknown", counted.unknown, "status = unknown"),
        (
            Status::InProgress,
            "Applying",
            counted.in_progress,
            "status = applying",
        ),
        (Status::Healthy, "Healthy", counted.healthy, "status = healthy"),
    ];
    let hrefs: Vec<String> = all.iter().map(|(_, _, _, filter)| agents_href(filter)).collect();
    let shown: Vec<(Status, &str, u64, &str)> = all
        .iter()
        .zip(&hrefs)
        .filter(|((_, _, count, _), _)| *count > 0)
        .map(|((status, word, count, _), href)| (*status, *word, *count as u64, href.as_str()))
        .collect();
    tally(&shown)
}

fn needs(view: &Overview, scene: &Scene<'_>) -> Markup {
    let listed: Vec<Problem<'_>> = view
        .troubles
        .iter()
        // That one is the banner.
        .filter(|trouble| !matches!(trouble.kind, TroubleKind::FleetHeld { .. }))
        .map(|trouble| {
            let (status, word, sentence) = told(trouble, scene);
            Problem {
                status,
                word: Some(word),
                sentence,
                since: trouble.since,
            }
        })
        .collect();
    html! {
        @if listed.is_empty() { p.soft { "Nothing. All agents are connected, healthy and run what is wanted of them." } }
        @else { (problems(&listed, scene.now)) }
    }
}

fn pending(agents: &Few) -> Markup {
    html! { (few(agents, "standing = pending")) " " (verb(agents, "waits", "wait")) " to be approved: " a href="/enrolment" { "decide" } }
}

/// One sentence per problem, with the link to where it can be dealt with.
fn told(trouble: &Trouble, scene: &Scene<'_>) -> (Status, &'static str, Markup) {
    let agents = &trouble.agents;
    match &trouble.kind {
        TroubleKind::FleetHeld { reason } => (Status::Down, "Held", fleet_held(*reason)),
        TroubleKind::ReadOnly { reason } => (Status::Down, "Read-only", read_only(reason)),
        TroubleKind::Unreadable { records, tables } => {
            (Status::Down, "Damaged", unreadable(*records, tables))
        }
        TroubleKind::TaskDied { task, reason } => (Status::Degraded, "Restarted", restarted(task, reason)),
        TroubleKind::WentBack => (
            Status::Down,
            "Held",
            html! { (few(agents, "held = \"went back\"")) " " (verb(agents, "knows", "know")) " a newer state than the store and " (verb(agents, "is", "are")) " held" },
        ),
        TroubleKind::Offline { group } => (
            Status::Down,
            "Offline",
            html! { (few(agents, &format!("presence = offline, standing = active, group = {group}"))) (of_group(group.as_str())) " " (verb(agents, "is", "are")) " not connected" },
        ),
        TroubleKind::RolloutPaused {
            rollout,
            group,
            reason,
        } => (
            Status::Degraded,
            "Paused",
            html! { (rollout_to(*rollout, group)) " is paused and waits for a decision" (said(reason)) },
        ),
        TroubleKind::AwaitsApproval { rollout, group, by } => awaits_approval(*rollout, group, by),
        TroubleKind::RolledBack {
            rollout,
            group,
            reason,
        } => (
            Status::Degraded,
            "Brought back",
            html! { (rollout_to(*rollout, group)) " failed, and its agents are brought back" (said(reason)) },
        ),
        TroubleKind::Refused { group, layers, error } => {
            (Status::Degraded, "Refused", refused(agents, group, layers, error))
        }
        TroubleKind::Unanswered { group } => (Status::Degraded, "Stuck", unanswered(agents, group)),
        TroubleKind::Drifted { group } => (
            Status::Degraded,
            "Drifted",
            html! { (few(agents, &format!("config = drifted, group = {group}"))) (of_group(group.as_str())) " drifted: " (verb(agents, "it runs", "they run")) " something else than what is wanted" },
        ),
        TroubleKind::Unhealthy { group, reason } => (
            Status::Degraded,
            "Unhealthy",
            html! { (few(agents, &format!("health = unhealthy, presence = online, group = {group}"))) (of_group(group.as_str())) " " (verb(agents, "reports", "report")) " being unhealthy" (said(reason)) },
        ),
        TroubleKind::Quarantined { credentials } => {
            (Status::Degraded, "Quarantine", quarantined(*credentials))
        }
        TroubleKind::Conflict => (Status::Degraded, "Conflict", conflict(agents)),
        TroubleKind::Pending => (Status::Unknown, "To approve", pending(agents)),
        TroubleKind::Recovering => (
            Status::Degraded,
            "Coming back",
            html! { (few(agents, "status = degraded, presence = online")) " came back with a credential that was replaced, " (verb(agents, "doesn't", "don't")) " take the present one, and " (verb(agents, "is", "are")) " given nothing else: give " (verb(agents, "it", "them")) " a new one, or enrol " (verb(agents, "its host", "their hosts")) " again" },
        ),
        TroubleKind::CertificateEnding { at } => (Status::Degraded, "Ends", certificate_ending(*at, scene)),
        TroubleKind::Proposed { group } => (Status::Unknown, "Waiting", proposed(agents, group, scene)),
        TroubleKind::Awaited => (
            Status::Unknown,
            "Awaited",
            html! { (few(agents, "presence = awaited, standing = active")) " " (verb(agents, "was", "were")) " not heard of since the server started" },
        ),
        TroubleKind::NeverHeard => (
            Status::Unknown,
            "Silent",
            html! { (few(agents, "presence = \"never seen\", standing = active")) " " (verb(agents, "was", "were")) " enrolled and never spoke" },
        ),
        TroubleKind::HeldByOperator => (
            Status::Unknown,
            "Held",
            html! { (few(agents, "held = operator")) " " (verb(agents, "is", "are")) " held: nothing is sent until released" },
        ),
        TroubleKind::GroupHeld { group, terms } => (Status::Unknown, "Held", group_held(group, terms, scene)),
        TroubleKind::Detached => (Status::Unknown, "Detached", detached(agents)),
        TroubleKind::TokensExpiring { tokens } => (Status::Unknown, "Expiring", expiring(*tokens)),
        TroubleKind::Unpublished {
            group,
            published,
            newest,
        } => (Status::Unknown, "Saved", unpublished(group, published, *newest)),
        TroubleKind::InputsChanged { group, layers } => (
            Status::Unknown,
            "Inputs changed",
            inputs_changed(agents, group, layers, scene),
        ),
        TroubleKind::Unassigned => (
            Status::Unknown,
            "Unassigned",
            html! { (few(agents, "group = unassigned, presence = online")) " " (verb(agents, "belongs", "belong")) " to no group and " (verb(agents, "is", "are")) " sent nothing" },
        ),
    }
}

fn awaits_approval(rollout: RolloutId, group: &Name, by: &str) -> (Status, &'static str, Markup) {
    let words = html! {
        (rollout_to(rollout, group)) ", which " (visible(by)) " proposed, waits for somebody else to approve it"
    };
    (Status::Unknown, "Waits for approval", words)
}

fn unanswered(agents: &Few, group: &Name) -> Markup {
    html! { (few(agents, &format!("status = degraded, config = applying, group = {group}"))) (of_group(group.as_str())) " " (verb(agents, "was", "were")) " offered a configuration and " (verb(agents, "doesn't", "don't")) " say what became of it" }
}

fn read_only(reason: &str) -> Markup {
    html! { "Nothing can be changed for want of room: " (visible(reason)) ". Agents stay connected. " a href="/system#store" { "See what takes it" } }
}

fn unreadable(records: usize, tables: &[String]) -> Markup {
    let they_are = if records == 1 { "it is" } else { "they are" };
    html! {
        a href="/system#unreadable" { (count(records as u64, "record", "records")) } " in " (visible(&tables.join(", ")))
        " can't be read: " (they_are) " left as " (they_are) ", and everything else goes on"
    }
}

fn restarted(task: &str, reason: &str) -> Markup {
    html! { "The server's task " (task) " failed and is started again" (said(reason)) }
}

fn conflict(agents: &Few) -> Markup {
    html! { (few(agents, "standing = conflict")) " " (verb(agents, "uses", "use")) " the credential, uid or host name of another agent and " (verb(agents, "is", "are")) " given nothing until somebody decides" }
}

fn certificate_ending(at: Timestamp, scene: &Scene<'_>) -> Markup {
    html! {
        "The certificate that was given for these pages (" a href="/system" { "admin_plane.tls_cert" } ") "
        @if at <= scene.now { "ended " (ago(at, scene.now)) } @else { "ends in " (duration_words(at.since(scene.now))) }
        ": put a new one in its place; it is taken up by itself"
    }
}

/// "Rollout 12 to edge", as links.
fn rollout_to(rollout: RolloutId, group: &Name) -> Markup {
    html! { a href={ "/rollouts/" (rollout) } { "Rollout " (rollout) } " to " a href={ "/groups/" (group) } { (group) } }
}

fn refused(agents: &Few, group: &Name, layers: &[LayerRef], error: &str) -> Markup {
    html! {
        (few(agents, &format!("config in (failed, self-reverted), group = {group}"))) (of_group(group.as_str())) " refused "
        @match layer_links(layers) { Some(links) => (links), None => "the configuration" }
        (said(error))
    }
}

fn quarantined(credentials: usize) -> Markup {
    html! {
        a href="/enrolment" { (count(credentials as u64, "credential", "credentials")) } " kept presenting the uids of other agents and "
        @if credentials == 1 { "is" } @else { "are" } " not accepted until released"
    }
}

fn proposed(agents: &Few, group: &Name, scene: &Scene<'_>) -> Markup {
    html! {
        (few(agents, &format!("proposed = {group}"))) " " (verb(agents, "waits", "wait")) " to be put into " a href={ "/groups/" (group) } { (group) }
        ", as " (verb(agents, "its", "their")) " reports propose"
        @if !scene.may(Permission::Publish) { "; a deployer can confirm it" }
    }
}

fn expiring(tokens: usize) -> Markup {
    html! {
        a href="/enrolment" { (count(tokens as u64, "enrolment token", "enrolment tokens")) } " with uses left "
        @if tokens == 1 { "ends" } @else { "end" } " within two days"
    }
}

fn unpublished(group: &Name, published: &LayerRef, newest: u64) -> Markup {
    let config = encoded(published.config.as_str());
    html! {
        a href={ "/configs/" (config) "/revisions/" (newest) } { "Revision " (newest) } " of " a href={ "/configs/" (config) } { (published.config) }
        " is saved and not published to " a href={ "/groups/" (group) } { (group) } ", which has revision " (published.revision)
    }
}

fn inputs_changed(agents: &Few, group: &Name, layers: &[LayerRef], scene: &Scene<'_>) -> Markup {
    html! {
        @match (agents.count, &agents.first) {
            (1, Some((id, name))) => { "A label, a fact or a secret that the configuration of " a href={ "/agents/" (id) } { (visible(name)) } (of_group(group.as_str())) " is made of has changed since it was published" },
            (number, _) => { "Labels, facts or secrets that the configurations of " (count(number as u64, "agent", "agents")) (of_group(group.as_str())) " are made of have changed since they were published" },
        }
        @if scene.may(Permission::Publish) { ": " a href=(publish_to(group.as_str(), layers)) { "publish to deliver" } }
    }
}

fn group_held(group: &Name, terms: &Terms, scene: &Scene<'_>) -> Markup {
    html! { a href={ "/groups/" (group) } { (group) } " is held " (super::terms::told(terms, scene.now)) }
}

fn detached(agents: &Few) -> Markup {
    html! {
        (few(agents, "suspended = detached")) " " (verb(agents, "is", "are")) " detached: what "
        (verb(agents, "its group publishes", "their groups publish")) " doesn't reach " (verb(agents, "it", "them"))
    }
}

/// "web-01" with a link to it, or "12 agents" with a link to the list of them.
fn few(agents: &Few, filter: &str) -> Markup {
    match (agents.count, &agents.first) {
        (1, Some((id, name))) => html! { a href={ "/agents/" (id) } { (visible(name)) } },
        (number, _) => html! { a href=(agents_href(filter)) { (count(number as u64, "agent", "agents")) } },
    }
}

fn verb(agents: &Few, one: &'static str, many: &'static str) -> &'static str {
    if agents.count == 1 { one } else { many }
}

fn of_group(group: &str) -> Markup {
    html! {
        @if group == "unassigned" { " of no group" }
        @else { " of " a href={ "/groups/" (group) } { (group) } }
    }
}

/// What an agent said, after a colon and on one line.
fn said(text: &str) -> Markup {
    let line = text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default()
        .trim();
    let cut: String = line.chars().take(REASON_CHARACTERS).collect();
    html! { @if !cut.is_empty() { ": " span.reason { (visible(&cut)) @if cut.len() < line.len() { "…" } } } }
}

fn lately(recent: &[Recent], scene: &Scene<'_>) -> Markup {
    let events: Vec<Event> = recent
        .iter()
        .map(|recent| {
            let (status, what) = happened(recent);
            Event {
                at: recent.at,
                status,
                what,
                detail: None,
            }
        })
        .collect();
    timeline(&events, scene.now)
}

fn happened(recent: &Recent) -> (Status, Markup) {
    let who = match (recent.agents.count, &recent.agents.first) {
        (1, Some((id, name))) => html! { a href={ "/agents/" (id) } { (visible(name)) } },
        (number, _) => html! { (count(number as u64, "agent", "agents")) },
    };
    let which = |layers| layer_links(layers).unwrap_or_else(|| html! { "a configuration" });
    match &recent.kind {
        RecentKind::Enrolled => (Status::Healthy, html! { (who) " enrolled" }),
        RecentKind::Connected => (Status::Healthy, html! { (who) " connected" }),
        RecentKind::Disconnected => (Status::Down, html! { (who) " went offline" }),
        RecentKind::Applied { layers } => (Status::Healthy, html! { (who) " applied " (which(layers)) }),
        RecentKind::Refused { layers } => (Status::Degraded, html! { (who) " refused " (which(layers)) }),
        RecentKind::Unhealthy => (Status::Degraded, html! { (who) " became unhealthy" }),
        RecentKind::Published { by, group, layers } => (
            Status::InProgress,
            html! {
                (visible(by))
                @match layer_links(layers) {
                    Some(links) => { " published " (links) " to " },
                    None => " withdrew the configuration of ",
                }
                a href={ "/groups/" (group) } { (group) }
            },
        ),
    }
}
