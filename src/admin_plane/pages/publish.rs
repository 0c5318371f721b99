//! Publishing: what it would do, before it is done.

pub(in crate::admin_plane) mod handle;

use maud::{Markup, html};

use super::differences::differences;
use super::groups::STRATEGY_HELP;
use super::layers::{overlaps, publish_to, rendered_at, variable_names};
use super::layout::{page_head, section};
use super::parts::{
    Choice, Column, DiffView, Field, Input, Row, Status, Table, ago, badge, button, check, count, field,
    form_token, select_field, table, tally, visible,
};
use super::scene::{Errors, Scene, agents_href};
use crate::app::intentions::Preview;
use crate::fleet::config::Problem;
use crate::fleet::ids::RolloutId;
use crate::fleet::name::Name;
use crate::fleet::target::{
    AffectedAgent, Blocker, Confirmation, ConfirmationReason, Effect, LayerRef, in_words,
};

/// The most agents that are listed.
const MOST_LISTED: usize = 200;

/// What is chosen, and what there is to choose from.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    /// The group; empty before one is chosen.
    pub group: String,
    /// The config; empty before one is chosen.
    pub config: String,
    /// The revision; empty for the newest.
    pub revision: String,
    /// All groups.
    pub groups: Vec<Name>,
    /// All configs.
    pub configs: Vec<Name>,
    /// What is wrong with the choice.
    pub errors: Errors,
}

/// What was typed into the form that publishes.
#[derive(Clone, Debug, Default)]
pub struct PublishForm {
    /// Why.
    pub message: String,
    /// The number that was typed to confirm.
    pub confirm: String,
    /// How it reaches the agents; `None` before anything was typed.
    pub strategy: Option<String>,
    /// What to do about a rollout that isn't over: `refuse`, `queue` or `replace`.
    pub if_running: String,
    /// Whether an empty configuration is meant.
    pub allow_blank: bool,
    /// What is wrong.
    pub errors: Errors,
}

/// The page: the choice, and below it what it would do.
#[must_use]
pub fn publish(
    chosen: &Chosen,
    preview: Option<(&Preview, &PublishForm)>,
    view: DiffView,
    scene: &Scene<'_>,
) -> Markup {
    let title = if let Some((preview, _)) = preview {
        html! {
            "Publish " (what(preview)) " to " (visible(preview.group.as_str()))
        }
    } else {
        html! { "Publish" }
    };
    let nothing = Errors::default();
    let errors = preview.map_or(&nothing, |(_, form)| &form.errors);
    html! {
        (page_head(&title, None, None))
        (chosen.errors.summary())
        (errors.summary())
        @match preview {
            Some((preview, form)) => {
                (impact(preview, form, view, scene))
                details { summary { "Publish something else" } (choice(chosen)) }
            }
            None => (choice(chosen)),
        }
    }
}

fn choice(chosen: &Chosen) -> Markup {
    let options = |names: &'_ [Name]| -> Vec<(String, String)> {
        std::iter::once((String::new(), "Choose".to_owned()))
            .chain(names.iter().map(|name| (name.to_string(), name.to_string())))
            .collect()
    };
    let (groups, configs) = (options(&chosen.groups), options(&chosen.configs));
    let pick = |all: &[(String, String)], field: &Field<'_>| {
        let options: Vec<_> = all
            .iter()
            .map(|(value, label)| Choice {
                value,
                label,
                help: "",
            })
            .collect();
        select_field(field, &options)
    };
    html! {
        form.form method="get" action="/publish" {
            (pick(&groups, &Field { name: "group", label: "To the group", value: &chosen.group, error: chosen.errors.field("group"), ..Field::default() }))
            (pick(&configs, &Field { name: "config", label: "The config", value: &chosen.config, error: chosen.errors.field("config"), ..Field::default() }))
            (field(&Field {
                name: "revision",
                label: "Its revision",
                value: &chosen.revision,
                help: "Empty for the newest. An older one goes back.",
                error: chosen.errors.field("revision"),
                input: Input::Number,
                optional: true,
                ..Field::default()
            }))
            div.buttons { (button("Show what it does", true)) }
            p.soft { "Nothing is sent yet." }
        }
    }
}

fn impact(preview: &Preview, form: &PublishForm, view: DiffView, scene: &Scene<'_>) -> Markup {
    let impact = &preview.impact;
    let group = format!("group = {}", preview.group);
    let href = agents_href(&group);
    let all: [(Status, &str, u32); 4] = [
        (Status::InProgress, "will change", impact.will_change),
        (Status::Healthy, "run it already", impact.runs_it),
        (Status::Down, "blocked", impact.blocked),
        (
            Status::Unknown,
            "with a configuration of their own",
            impact.own_target,
        ),
    ];
    let told: Vec<_> = all
        .into_iter()
        .filter(|(_, _, number)| *number > 0)
        .map(|(status, word, number)| (status, word, u64::from(number), href.as_str()))
        .collect();
    html! {
        @if preview.already_published {
            p.status-line { (badge(Status::Healthy, Some("Published"))) " " span.reason { "Just this is published to the group already; publishing it again changes nothing." } }
        }
        (tally(&told))
        (lacking(preview))
        (warnings(&preview.warnings))
        (section("What agents are sent", Some(&html! { a href=(rendered_at(preview.group.as_str(), &preview.layers, None)) { "The whole, with the layer of each line" } }), &html! {
            @if preview.contents > 1 {
                p { (count(u64::from(preview.contents), "content", "different contents")) ", by " (variable_names(&preview.variables)) ". This is what changes for the first agent below." }
            }
            (differences(
            &before(preview),
            &what(preview),
            &preview.diff,
            view,
            Some(&switch(preview, view)),
            ))
        }))
        (overlaps(&preview.layers, &preview.overlaps))
        (section("Agents", None, &agents(preview, scene)))
        (decide(preview, form, scene))
    }
}

/// What agents aren't built with, and how many of them.
fn lacking(preview: &Preview) -> Markup {
    html! {
        @for (component, agents) in preview.impact.lacking() {
            p.status-line {
                (badge(Status::Down, Some("Lacking"))) " "
                span.reason { (agents) " of " (count(u64::from(preview.impact.members), "agent", "agents")) ": " (visible(component)) }
            }
        }
    }
}

fn before(preview: &Preview) -> String {
    match preview.published.as_ref().map(|target| &target.content) {
        None | Some(None) => "nothing".to_owned(),
        Some(Some(content)) => in_short(&content.layers),
    }
}

fn what(preview: &Preview) -> String {
    in_short(&preview.layers)
}

/// One layer in words, several in one line.
pub(super) fn in_short(layers: &[LayerRef]) -> String {
    match layers {
        [only] => format!("revision {} of {}", only.revision, only.config),
        several => in_words(several),
    }
}

fn switch(preview: &Preview, view: DiffView) -> String {
    let here = publish_to(preview.group.as_str(), &preview.layers);
    match view {
        DiffView::Unified => format!("{here}&view=split"),
        DiffView::Split => here,
    }
}

fn warnings(warnings: &[Problem]) -> Markup {
    html! {
        @if !warnings.is_empty() {
            (section("Worth a look", None, &super::configs::problems(warnings, None)))
        }
    }
}

fn agents(preview: &Preview, scene: &Scene<'_>) -> Markup {
    let agents = &preview.impact.agents;
    if agents.is_empty() {
        return html! { p.soft { "No agent is in this group. The publication waits for the first." } };
    }
    let row = |agent: &AffectedAgent| Row {
        key: agent.id.to_string(),
        name: agent.title.clone(),
        cells: vec![
            effect(&agent.effect),
            Row::name_cell(&visible(&agent.title), &format!("/agents/{}", agent.id), None),
            html! {
                (why(&agent.effect, scene))
                @if preview.contents > 1 { " " a href=(rendered_at(preview.group.as_str(), &preview.layers, Some(agent.id))) { "What it is sent" } }
            },
        ],
    };
    let rows: Vec<_> = agents.iter().take(MOST_LISTED).map(row).collect();
    html! {
        (table(&Table {
            id: "affected",
            caption: "Agents of the group, those that need a look first",
            columns: &[
                Column { words: "Effect", ..Column::default() },
                Column { words: "Agent", ..Column::default() },
                Column { words: "Why", ..Column::default() },
            ],
            rows: &rows,
            picks: false,
            noun: ("agent", "agents"),
            pager: Some(super::parts::Pager { total: u64::try_from(agents.len()).ok(), ..super::parts::Pager::default() }),
        }))
    }
}

fn effect(effect: &Effect) -> Markup {
    match effect {
        Effect::Blocked {
            because: Blocker::Offline,
        } => badge(Status::Unknown, Some("Later")),
        Effect::Blocked {
            because: Blocker::MissingComponents { .. },
        } => badge(Status::Down, Some("Will refuse")),
        Effect::Blocked { .. } => badge(Status::Down, Some("Blocked")),
        Effect::Changes => badge(Status::InProgress, Some("Changes")),
        Effect::OwnTarget => badge(Status::Unknown, Some("Keeps its own")),
        Effect::RunsIt => badge(Status::Healthy, Some("Runs it")),
    }
}

fn why(effect: &Effect, scene: &Scene<'_>) -> Markup {
    let blocker = match effect {
        Effect::Changes | Effect::RunsIt => return html! {},
        Effect::OwnTarget => return html! { "A configuration of its own goes first" },
        Effect::Blocked { because } => because,
    };
    match blocker {
        Blocker::Offline => html! { "Not connected; it is sent when it comes back" },
        Blocker::NotCapable => html! { "It takes no configuration from a server" },
        Blocker::NotServed => html! { "It is archived, revoked or in conflict with another agent" },
        Blocker::FailedBefore { error, at } => html! {
            "Refused just this " (ago(*at, scene.now)) ": " span.reason { (visible(error)) }
            " " span.quiet { "It is sent again only by Retry on its page" }
        },
        Blocker::MissingComponents { components } => html! {
            "It isn't built with " @for (at, component) in components.iter().enumerate() {
                @if at > 0 { ", " } code { (visible(component)) }
            } ". It is sent all the same"
        },
        Blocker::Detached => html! { "An operator detached it from its group; it is only observed" },
        Blocker::Unresolved { variables } => html! {
            "It has no " @for (at, variable) in variables.iter().enumerate() {
                @if at > 0 { ", " } code { (visible(&variable.to_string())) }
            } ". Nothing can be published until it has"
        },
        Blocker::Held { hold } => html! { (held(*hold)) },
    }
}

fn held(hold: crate::fleet::agent::HoldReason) -> &'static str {
    use crate::fleet::agent::HoldReason;
    match hold {
        HoldReason::Operator => "An operator holds it",
        HoldReason::Group => "An operator holds its group",
        HoldReason::NothingLeft => "Its configuration was withdrawn",
        HoldReason::StoreWentBack => "This server's store went back in time; release the agent on its page",
        HoldReason::Unreadable => "Its configuration can't be read from the store",
        HoldReason::NotRendered => "Its configuration is not rendered yet",
        HoldReason::OwnWord => "It is in the group by its own word; put it there before it is sent secrets",
        HoldReason::NothingToGoBackTo => "A rollout failed, and there is nothing to bring it back to",
    }
}

fn decide(preview: &Preview, form: &PublishForm, scene: &Scene<'_>) -> Markup {
    let impact = &preview.impact;
    let reached = impact.reached();
    let words = format!(
        "Send {} to {}",
        what(preview),
        count(u64::from(reached), "agent", "agents")
    );
    let group_revision = preview.group_revision.to_string();
    let wants_blank = form.allow_blank || form.errors.field("allow_blank").is_some();
    html! {
        form.form method="post" action="/publish" {
            (form_token(scene.form_token))
            input type="hidden" name="group" value=(preview.group);
            input type="hidden" name="layers" value=(in_words(&preview.layers));
            input type="hidden" name="expected_revision" value=(group_revision);
            (field(&Field {
                name: "message",
                label: "Why",
                value: &form.message,
                help: "It stands in the group's history and the audit log.",
                error: form.errors.field("message"),
                optional: true,
                ..Field::default()
            }))
            (field(&Field {
                name: "strategy",
                label: "How it rolls out",
                value: form.strategy.as_deref().unwrap_or(&preview.strategy.to_string()),
                help: STRATEGY_HELP,
                error: form.errors.field("strategy"),
                optional: true,
                ..Field::default()
            }))
            @if let Some(other) = preview.under_way { (in_the_way(other, form)) }
            @if let Some(confirmation) = impact.confirmation { (typed(confirmation, impact.fleet, form)) }
            @if wants_blank {
                @if let Some(error) = form.errors.field("allow_blank") { p.error #allow_blank { (error) } }
                (check("allow_blank", "An empty configuration is meant", "The agents stop collecting.", form.allow_blank))
            }
            div.buttons {
                (button(&words, true))
                a.button href={ "/groups/" (preview.group) } { "Cancel" }
            }
        }
    }
}

/// What becomes of a rollout that isn't over.
fn in_the_way(other: RolloutId, form: &PublishForm) -> Markup {
    let (value, help) = (
        if form.if_running.is_empty() {
            "refuse"
        } else {
            &form.if_running
        },
        format!("Rollout {other} to this group isn't over."),
    );
    let options = [
        ("refuse", "Publish nothing"),
        ("queue", "Wait until it has ended"),
        (
            "replace",
            "Take its place; agents keep what they have until they are reached",
        ),
    ];
    let options = options.map(|(value, label)| Choice {
        value,
        label,
        help: "",
    });
    select_field(
        &Field {
            name: "if_running",
            label: "The rollout under way",
            value,
            help: &help,
            error: form.errors.field("if_running"),
            ..Field::default()
        },
        &options,
    )
}

fn typed(confirmation: Confirmation, fleet: u32, form: &PublishForm) -> Markup {
    let number = confirmation.count;
    let help = match confirmation.because {
        ConfirmationReason::ReachesNobody => {
            "No agent is in this group: perhaps another one was meant. Type 0 to go on.".to_owned()
        }
        ConfirmationReason::LacksComponents => format!(
            "Some agents lack components that it uses and will refuse it. Type the number of agents that it reaches, {number}, to go on."
        ),
        ConfirmationReason::LargeShare => format!(
            "It reaches {number} of the {fleet} agents of the fleet. Type that number, {number}, to go on."
        ),
    };
    field(&Field {
        name: "confirm",
        label: "Number of agents",
        value: &form.confirm,
        help: &help,
        error: form.errors.field("confirm"),
        input: Input::Number,
        ..Field::default()
    })
}
