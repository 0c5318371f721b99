//! Making a config, saving a revision, deleting.

use maud::{Markup, html};

use super::problems;
use crate::admin_plane::pages::differences::differences;
use crate::admin_plane::pages::layout::page_head;
use crate::admin_plane::pages::parts::{
    Confirm, DiffView, Fact, Field, Input, button, check, confirm, editor, facts, field, form_token, visible,
};
use crate::admin_plane::pages::scene::{Errors, Scene, encoded};
use crate::app::intentions::ConfigSummary;
use crate::fleet::config::{ConfigFile, Content, Diff, Kind, Problem, STARTERS, Starter, StarterSummary};

/// Where an editor has its text checked while it is typed.
const CHECK: &str = "/configs/-/check";

/// A config as it is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigForm {
    /// The name; not asked when it exists.
    pub name: String,
    /// What it is for; asked of a new one.
    pub description: String,
    /// What it holds.
    pub kind: Kind,
    /// The document of a collector config.
    pub yaml: String,
    /// The files of a config of files.
    pub files: Vec<FileForm>,
    /// Why.
    pub message: String,
    /// The revision that was edited; 0 for a new config.
    pub base: u64,
    /// Whether a content that stops agents is meant.
    pub allow_blank: bool,
    /// The name of the starter that it began with; empty for none.
    pub starter: String,
}

/// One file as it is typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileForm {
    /// Its name; emptied to remove it.
    pub name: String,
    /// Its MIME type; may be empty.
    pub content_type: String,
    /// Its text; what is no text stands as base64 behind `base64:`.
    pub body: String,
}

/// What somebody else saved while the form was filled in.
#[derive(Clone, Debug)]
pub struct Meanwhile {
    /// The newest revision now.
    pub latest: u64,
    /// Who saved it.
    pub author: String,
    /// What differs from it to what was typed.
    pub diff: Diff,
}

impl ConfigForm {
    /// An empty form for a new config.
    #[must_use]
    pub fn empty(kind: Kind) -> Self {
        Self {
            name: String::new(),
            description: String::new(),
            kind,
            yaml: if kind == Kind::Collector {
                STARTER.to_owned()
            } else {
                String::new()
            },
            files: Vec::new(),
            message: String::new(),
            base: 0,
            allow_blank: false,
            starter: String::new(),
        }
    }

    /// The form of a new config that begins with a starter.
    #[must_use]
    pub fn begun_with(starter: StarterSummary, content: &Content) -> Self {
        Self {
            description: starter.summary,
            starter: starter.name.clone(),
            ..Self::of(&starter.name, content, 0)
        }
    }

    /// The form of a config with the content of its newest revision.
    #[must_use]
    pub fn of(name: &str, content: &Content, base: u64) -> Self {
        let (kind, yaml, files) = match content {
            Content::Yaml(yaml) => (Kind::Collector, yaml.clone(), Vec::new()),
            Content::Files(files) => {
                let files = files.iter().map(|(name, file)| FileForm::of(name, file));
                (Kind::Files, String::new(), files.collect())
            }
        };
        Self {
            name: name.to_owned(),
            yaml,
            files,
            base,
            ..Self::empty(kind)
        }
    }
}

impl FileForm {
    fn of(name: &str, file: &ConfigFile) -> Self {
        // The text form that the API has, base64 included.
        let json = serde_json::to_value(file).unwrap_or_default();
        let body = json
            .get("body")
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default();
        Self {
            name: name.to_owned(),
            content_type: file.content_type.clone(),
            body: body.to_owned(),
        }
    }
}

/// The least that a collector runs with, to begin from.
const STARTER: &str = "\
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: localhost:4317
      http:
        endpoint: localhost:4318

exporters:
  debug:

service:
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [debug]
    metrics:
      receivers: [otlp]
      exporters: [debug]
    logs:
      receivers: [otlp]
      exporters: [debug]
";

/// The form of a new config.
#[must_use]
pub fn new(form: &ConfigForm, found: &[Problem], errors: &Errors, scene: &Scene<'_>) -> Markup {
    let other = match form.kind {
        Kind::Collector => html! { a href="/configs/-/new?kind=files" { "Files for other agents instead" } },
        Kind::Files => html! { a href="/configs/-/new" { "A collector's YAML instead" } },
    };
    html! {
        (page_head(&html! { "New config" }, None, None))
        p.soft { "Saving sends it to nobody: you publish it to a group after. " (other) }
        (errors.summary())
        @if form.kind == Kind::Collector { (starters(form, errors)) }
        form.form.form-wide method="post" action="/configs/-/new" novalidate {
            (form_token(scene.form_token))
            input type="hidden" name="kind" value=(super::kind_words(form.kind));
            @if !form.starter.is_empty() { input type="hidden" name="starter" value=(form.starter); }
            div.form {
                (field(&Field {
                    name: "name",
                    label: "Name",
                    value: &form.name,
                    help: "Small letters, digits, hyphens, dots and underscores. It stays.",
                    error: errors.field("name"),
                    focus: errors.is_empty(),
                    ..Field::default()
                }))
                (field(&Field {
                    name: "description",
                    label: "Description",
                    value: &form.description,
                    error: errors.field("description"),
                    optional: true,
                    ..Field::default()
                }))
            }
            (content(form, found, errors))
            div.buttons { (button("Make config", true)) a.button href="/configs" { "Cancel" } }
        }
    }
}

/// What to begin with. Links, since each is a page of its own; folded once one was chosen or something was typed.
fn starters(form: &ConfigForm, errors: &Errors) -> Markup {
    let chosen = Starter::named(&form.starter).map(Starter::summary);
    html! {
        @if let Some(starter) = &chosen {
            section.section.starter {
                h2 { "Begun with: " (starter.title) }
                (facts(&[
                    Fact::new("Needs", words(&starter.needs)),
                    Fact::new("Change", words(&starter.change)),
                ]))
            }
        }
        details.starters open[chosen.is_none() && errors.is_empty()] {
            summary { @if chosen.is_some() { "Begin with another" } @else { "Begin with one of these" } }
            ul {
                @for starter in STARTERS.iter().map(Starter::summary) {
                    li {
                        a href={ "/configs/-/new?starter=" (starter.name) } aria-current=[(starter.name == form.starter).then_some("true")] { (starter.title) }
                        p.help { (starter.summary) }
                    }
                }
            }
        }
    }
}

/// A text with what stands between backticks as code.
fn words(text: &str) -> Markup {
    html! {
        @for (at, part) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// The form that saves a further revision.
#[must_use]
pub fn edit(
    form: &ConfigForm,
    found: &[Problem],
    meanwhile: Option<&Meanwhile>,
    errors: &Errors,
    scene: &Scene<'_>,
) -> Markup {
    let href = format!("/configs/{}", encoded(&form.name));
    let next = meanwhile.map_or(form.base, |now| now.latest) + 1;
    html! {
        (page_head(&html! { "Edit " (visible(&form.name)) }, Some(&html! { "revision " (form.base) }), None))
        p.soft { "Saving makes revision " (next) " and sends it to nobody: you publish it after." }
        (errors.summary())
        @if let Some(now) = meanwhile { (conflict(now, form)) }
        form.form.form-wide method="post" action={ (href) "/edit" } novalidate {
            (form_token(scene.form_token))
            input type="hidden" name="base" value=(meanwhile.map_or(form.base, |now| now.latest));
            input type="hidden" name="kind" value=(super::kind_words(form.kind));
            (content(form, found, errors))
            div.form {
                (field(&Field {
                    name: "description",
                    label: "Description",
                    value: &form.description,
                    help: "What the config is for. It belongs to the config, not to the revision.",
                    error: errors.field("description"),
                    optional: true,
                    ..Field::default()
                }))
                (field(&Field {
                    name: "message",
                    label: "Why",
                    value: &form.message,
                    help: "What changed and what for; it stands in the list of revisions.",
                    error: errors.field("message"),
                    optional: true,
                    ..Field::default()
                }))
            }
            div.buttons { (button(&format!("Save revision {next}"), true)) a.button href=(href) { "Cancel" } }
        }
    }
}

fn conflict(now: &Meanwhile, form: &ConfigForm) -> Markup {
    html! {
        section.section {
            h2 { "Somebody saved revision " (now.latest) " meanwhile" }
            p.prose { "It was saved by " (visible(&now.author)) " after you had opened revision " (form.base) ". What you typed is below, and saving it now takes the place of what " (visible(&now.author)) " wrote. This is what differs:" }
            (differences(&format!("revision {}", now.latest), "what you typed", &now.diff, DiffView::Unified, None))
        }
    }
}

fn content(form: &ConfigForm, found: &[Problem], errors: &Errors) -> Markup {
    let blank = form.allow_blank || errors.field("allow_blank").is_some();
    html! {
        @match form.kind {
            Kind::Collector => {
                (editor(&Field {
                    name: "content",
                    label: "Configuration",
                    value: &form.yaml,
                    help: "The collector's YAML: all of it, or a part that the other layers of a group complete.",
                    error: errors.field("content"),
                    optional: false,
                    ..Field::default()
                }, Some(CHECK)))
                // With script the editor tells the same, and keeps it true while it is mended.
                @if !found.is_empty() { noscript { (problems(found, None)) } }
            }
            Kind::Files => (files(form, errors)),
        }
        @if blank {
            @if let Some(error) = errors.field("allow_blank") { p.error #allow_blank { (error) } }
            (check("allow_blank", "An empty configuration is meant", "Agents that get it stop collecting.", form.allow_blank))
        }
    }
}

fn files(form: &ConfigForm, errors: &Errors) -> Markup {
    let blank = FileForm::default();
    // One more than there are, for the next.
    let slots = form.files.iter().chain(std::iter::once(&blank)).enumerate();
    html! {
        fieldset.field.files.field-error[errors.field("content").is_some()] #content {
            legend { "Files" }
            p.help { "Sent untouched, under their names. Empty a name to remove the file; the last one, empty, is for another." }
            @if let Some(error) = errors.field("content") { p.error { (error) } }
            @for (at, file) in slots {
                div.inline-form {
                    (field_at(at, "file_name", "Name", &file.name, Input::Code))
                    (field_at(at, "file_type", "MIME type", &file.content_type, Input::Code))
                }
                (field_at(at, "file_body", "Text", &file.body, Input::Lines(8)))
            }
        }
    }
}

/// A field of one of several files: all post under one name, each has its own id.
fn field_at(at: usize, name: &str, label: &str, value: &str, input: Input) -> Markup {
    let id = format!("{name}-{at}");
    html! {
        div.field {
            label for=(id) { (label) @if name == "file_type" { " " span.optional { "(optional)" } } }
            div.input {
                @match input {
                    Input::Lines(rows) => textarea.code #(id) name=(name) rows=(rows) spellcheck="false" { "\n" (value) },
                    _ => input.mono #(id) type="text" name=(name) value=(value) autocomplete="off" spellcheck="false";
                }
            }
        }
    }
}

/// What is asked before a config is deleted.
#[must_use]
pub fn delete(summary: &ConfigSummary, errors: &Errors, scene: &Scene<'_>) -> Markup {
    let name = summary.config.name.as_str();
    let revisions = crate::admin_plane::pages::parts::count(summary.config.latest, "revision", "revisions");
    html! {
        (page_head(&html! { "Delete " (visible(name)) }, None, None))
        (errors.summary())
        (confirm(&Confirm {
            question: &format!("Delete the config {name}?"),
            consequences: html! {
                p { "Its " (revisions) " are deleted with it. What was published from them stays with the hosts that run it, and in the history of their groups." }
                @if !summary.groups.is_empty() { p { "These groups use it, so it can't be deleted yet: " (super::used_by(&summary.groups)) } }
            },
            typed: Some(name),
            error: None,
            button: &format!("Delete {name} with {revisions}"),
            destructive: true,
            action: &format!("/configs/{name}/delete"),
            fields: &[],
            cancel: &format!("/configs/{name}"),
            form_token: scene.form_token,
        }))
    }
}
