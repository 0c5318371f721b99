//! Publishing: what it would do, before it is done.

mod decide;
pub(in crate::admin_plane) mod handle;
mod impact;

use maud::{Markup, html};

use super::layout::page_head;
use super::parts::{Choice, DiffView, Field, Input, button, field, form_token, select_field, visible};
use super::scene::{Errors, Scene};
use super::strategy::StrategyForm;
use crate::app::intentions::Preview;
use crate::fleet::config::Revision;
use crate::fleet::name::Name;
use crate::fleet::suspension::Terms;
use crate::fleet::target::{LayerRef, in_words};

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

/// How the group stands that is published to.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// The layers, from base to most specific.
    pub layers: Vec<LayerChoice>,
    /// Whether the group says how things roll out to it.
    pub has_strategy: bool,
    /// On which terms the group is held, if it is.
    pub hold: Option<Terms>,
}

/// A layer, with the revisions that there are of it.
#[derive(Clone, Debug)]
pub struct LayerChoice {
    /// The config.
    pub config: Name,
    /// The revision that is looked at.
    pub chosen: u64,
    /// The revision that is published to the group.
    pub in_force: Option<u64>,
    /// All of them, newest first.
    pub revisions: Vec<Revision>,
}

/// What was typed into the form that publishes.
#[derive(Clone, Debug, Default)]
pub struct PublishForm {
    /// Layers in the place of those that are shown, one a line; empty for those.
    pub other: String,
    /// Why.
    pub message: String,
    /// The number that was typed to confirm.
    pub confirm: String,
    /// How it reaches the agents.
    pub strategy: StrategyForm,
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
    preview: Option<(&Preview, &Standing, &PublishForm)>,
    view: DiffView,
    scene: &Scene<'_>,
) -> Markup {
    let title = if let Some((preview, ..)) = preview {
        html! {
            "Publish " (impact::what(preview)) " to " (visible(preview.group.as_str()))
        }
    } else {
        html! { "Publish" }
    };
    html! {
        (page_head(&title, None, None))
        (chosen.errors.summary())
        @match preview {
            Some((preview, standing, form)) => {
                (form.errors.summary())
                (decide::held(standing, scene))
                form.publish method="post" action="/publish" {
                    (form_token(scene.form_token))
                    input type="hidden" name="group" value=(preview.group);
                    input type="hidden" name="layers" value=(in_words(&preview.layers));
                    input type="hidden" name="expected_revision" value=(preview.group_revision);
                    (decide::layers(standing, form))
                    (impact::impact(preview, view, scene))
                    (decide::decide(preview, standing, form))
                }
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

/// One layer in words, several in one line.
pub(super) fn in_short(layers: &[LayerRef]) -> String {
    match layers {
        [only] => format!("revision {} of {}", only.revision, only.config),
        several => in_words(several),
    }
}
