//! Making, editing, deleting a group, and withdrawing what is published to it.

use maud::{Markup, html};

use crate::admin_plane::pages::layout::page_head;
use crate::admin_plane::pages::parts::{
    Confirm, Field, Input, button, check, confirm, count, field, form_token, visible,
};
use crate::admin_plane::pages::scene::{Errors, Scene, encoded};
use crate::admin_plane::pages::strategy::StrategyForm;
use crate::app::intentions::GroupSummary;
use crate::fleet::group::Group;
use crate::fleet::name::Name;
use crate::fleet::rollout::Strategy;

/// A group as it is typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupForm {
    /// Its name; not asked when it exists.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// One selector a line.
    pub selectors: String,
    /// The priority.
    pub priority: String,
    /// Whether agents join by what they say of themselves.
    pub joins_by_facts: bool,
    /// How many people besides the author approve.
    pub approvals: String,
    /// One config a line, from base to most specific.
    pub layers: String,
    /// How what is published rolls out.
    pub strategy: StrategyForm,
    /// The revision of the group that the form was made from; 0 for a new one.
    pub revision: u64,
}

impl GroupForm {
    /// The form of a group as it is.
    #[must_use]
    pub fn of(group: &Group, revision: u64) -> Self {
        let selectors: Vec<_> = group.selectors.iter().map(ToString::to_string).collect();
        let layers: Vec<_> = group.layers.iter().map(Name::as_str).collect();
        Self {
            name: group.name.to_string(),
            description: group.description.clone(),
            selectors: selectors.join("\n"),
            priority: group.priority.to_string(),
            joins_by_facts: group.joins_by_facts,
            approvals: group.approvals.to_string(),
            layers: layers.join("\n"),
            strategy: StrategyForm::of(group.strategy.as_ref(), &Strategy::default_for(2)),
            revision,
        }
    }
}

/// What the default comes to.
const BY_DEFAULT: &str = "One agent, a tenth, half, all. A group of one agent gets it at once.";

/// The form of a new group.
#[must_use]
pub fn new(form: &GroupForm, configs: &[Name], errors: &Errors, scene: &Scene<'_>) -> Markup {
    html! {
        (page_head(&html! { "New group" }, None, None))
        (errors.summary())
        form.form method="post" action="/groups/-/new" {
            (form_token(scene.form_token))
            (by_return("Make group"))
            (field(&Field {
                name: "name",
                label: "Name",
                value: &form.name,
                help: "Small letters, digits, hyphens, dots and underscores. It stays.",
                error: errors.field("name"),
                focus: errors.is_empty(),
                ..Field::default()
            }))
            (fields(form, configs, errors))
            div.buttons { (button("Make group", true)) a.button href="/groups" { "Cancel" } }
        }
    }
}

/// The form of a group that there is. `now` is the group as it is, where somebody else changed it meanwhile.
#[must_use]
pub fn edit(
    form: &GroupForm,
    now: Option<&GroupSummary>,
    configs: &[Name],
    errors: &Errors,
    scene: &Scene<'_>,
) -> Markup {
    let href = format!("/groups/{}", encoded(&form.name));
    html! {
        (page_head(&html! { "Edit " (visible(&form.name)) }, None, None))
        (errors.summary())
        @if let Some(now) = now { (meanwhile(now)) }
        form.form method="post" action={ (href) "/edit" } {
            (form_token(scene.form_token))
            (by_return("Save group"))
            input type="hidden" name="revision" value=(form.revision);
            (fields(form, configs, errors))
            div.buttons { (button("Save group", true)) a.button href=(href) { "Cancel" } }
        }
    }
}

/// What the return key presses: the first button of a form, which would otherwise be the one for more rows.
fn by_return(words: &str) -> Markup {
    html! { button.hush type="submit" tabindex="-1" aria-hidden="true" { (words) } }
}

/// What somebody else made of the group while the form was filled in.
fn meanwhile(now: &GroupSummary) -> Markup {
    let group = &now.group;
    html! {
        section.section {
            h2 { "As it is now" }
            p.soft { "Somebody changed it since you opened this form. Below is what you typed; saving it replaces this:" }
            dl.facts {
                div { dt { "Selectors" } dd { @for selector in &group.selectors { code { (visible(&selector.to_string())) } br; } @if group.selectors.is_empty() { "none" } } }
                div { dt { "Priority" } dd { (group.priority) } }
                div { dt { "By facts" } dd { @if group.joins_by_facts { "agents join" } @else { "agents are only proposed" } } }
                div { dt { "Layers" } dd { @for (at, config) in group.layers.iter().enumerate() { @if at > 0 { ", " } (config) } @if group.layers.is_empty() { "none" } } }
                @if !group.description.is_empty() { div { dt { "Description" } dd { (visible(&group.description)) } } }
            }
        }
    }
}

fn fields(form: &GroupForm, configs: &[Name], errors: &Errors) -> Markup {
    html! {
        (field(&Field {
            name: "description",
            label: "Description",
            value: &form.description,
            error: errors.field("description"),
            optional: true,
            ..Field::default()
        }))
        (field(&Field {
            name: "selectors",
            label: "Selectors",
            value: &form.selectors,
            help: "One a line; an agent belongs here when any line fits. None: only agents that are put here by hand or by an enrolment token. Agents that come from elsewhere keep what they have until a rollout moves them, in this group's stages.",
            error: errors.field("selectors"),
            input: Input::Lines(4),
            optional: true,
            ..Field::default()
        }))
        (grammar())
        (field(&Field {
            name: "priority",
            label: "Priority",
            value: &form.priority,
            help: "When several groups claim an agent, the highest number gets it.",
            error: errors.field("priority"),
            input: Input::Number,
            ..Field::default()
        }))
        (check(
            "joins_by_facts",
            "Let agents join by their facts",
            "Facts are what an agent says of itself. Whoever holds any agent's credential can say anything, and would then be sent this group's configuration. While what is published holds secrets, facts only propose all the same, and somebody confirms.",
            form.joins_by_facts,
        ))
        (field(&Field {
            name: "approvals",
            label: "Approvals",
            value: &form.approvals,
            help: "How many people besides the author have to approve what is published here; 0: nobody. With any, the group is protected. Agents then come and go by labels, pins and tokens alone; those that are here by their facts leave it and keep what they run. It takes an admin to move agents in or out, to lower this number, to change selectors or priority, and to delete the group.",
            error: errors.field("approvals"),
            input: Input::Number,
            ..Field::default()
        }))
        (field(&Field {
            name: "layers",
            label: "Layers",
            value: &form.layers,
            help: "One config a line, from base to most specific: maps merge, and the lower line has its way. Changing them sends nothing until you publish; removing all withdraws what is published.",
            error: errors.field("layers"),
            input: Input::Lines(4),
            optional: true,
            ..Field::default()
        }))
        @if !configs.is_empty() {
            p.help { "There are " @for (at, name) in configs.iter().enumerate() { @if at > 0 { ", " } code { (name) } } }
        }
        (form.strategy.fields("How what is published rolls out", ("By default", BY_DEFAULT), errors))
    }
}

/// The grammar of selectors by examples.
fn grammar() -> Markup {
    let examples = [
        ("label.region = eu", "agents with this label"),
        (
            "label.env in (prod, stage), fact.os.type = linux",
            "both must hold",
        ),
        ("label.env != prod", "also agents without such a label"),
        (
            "exists label.team, !exists label.retired",
            "whether there is one at all",
        ),
        ("fact.host.name =~ web-[0-9]+", "the whole value fits the pattern"),
        ("*", "every agent"),
    ];
    html! {
        details {
            summary { "How to write a selector" }
            dl.facts {
                @for (example, words) in examples { div { dt { code { (example) } } dd { (words) } } }
            }
            p.soft { "Labels are put on agents by operators and enrolment tokens; facts are what agents report. Values with other characters stand in quotes." }
        }
    }
}

/// What is asked before a group is deleted.
#[must_use]
pub fn delete(group: &GroupSummary, error: Option<&str>, scene: &Scene<'_>) -> Markup {
    let name = group.group.name.as_str();
    let members = group.members.all;
    let agents = count(u64::from(members), "agent", "agents");
    let revision = group.revision.to_string();
    let members_text = members.to_string();
    html! {
        (page_head(&html! { "Delete " (visible(name)) }, None, None))
        (confirm(&Confirm {
            question: &format!("Delete the group {name}?"),
            consequences: html! {
                @if members == 0 { p { "No agent is in it." } }
                @else {
                    p { "Its " (agents) " fall to another group that claims them, and are then sent what is published there; or to no group, and are then sent nothing and keep what they run." }
                }
                p { "What was published to it stays in the audit log. Configs are not deleted." }
            },
            typed: (members > 0).then_some(name),
            error,
            button: &if members == 0 { format!("Delete {name}") } else { format!("Delete {name} with its {agents}") },
            destructive: true,
            action: &format!("/groups/{name}/delete"),
            fields: &[("revision", &revision), ("members", &members_text)],
            cancel: &format!("/groups/{name}"),
            form_token: scene.form_token,
        }))
    }
}

/// What is asked before a publication is withdrawn.
#[must_use]
pub fn withdraw(group: &GroupSummary, errors: &Errors, scene: &Scene<'_>) -> Markup {
    let name = group.group.name.as_str();
    let agents = count(u64::from(group.members.all), "agent", "agents");
    let revision = group.revision.to_string();
    html! {
        (page_head(&html! { "Withdraw from " (visible(name)) }, None, None))
        (errors.summary())
        (confirm(&Confirm {
            question: &format!("Withdraw what is published to {name}?"),
            consequences: html! {
                p { "Nothing more is sent to its " (agents) ". They keep what they run: withdrawing never empties a host." }
                p { "Agents that join later are sent nothing until something is published again." }
            },
            typed: None,
            error: None,
            button: &if group.members.all == 0 { format!("Withdraw from {name}") } else { format!("Withdraw from {agents}") },
            destructive: true,
            action: &format!("/groups/{name}/withdraw"),
            fields: &[("revision", &revision)],
            cancel: &format!("/groups/{name}"),
            form_token: scene.form_token,
        }))
    }
}
