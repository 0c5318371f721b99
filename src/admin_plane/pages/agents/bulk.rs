//! Acts on many agents: what they are called, what is asked before they are done, and what came of them.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::admin_plane::pages::layout::page_head;
use crate::admin_plane::pages::parts::{
    Choice, Confirm, Field, Input, Status, badge, button_link, confirm, count, field, select_field, visible,
};
use crate::admin_plane::pages::scene::{Errors, Scene, agents_href};
use crate::admin_plane::pages::terms::TermsForm;
use crate::app::agents::{AgentAct, BulkResult};
use crate::app::enrolment::check_labels;
use crate::app::terms::OnTerms;
use crate::auth::permission::Permission;
use crate::fleet::ids::AgentId;
use crate::fleet::name::Name;
use crate::fleet::time::Timestamp;

/// So many agents are named; the others are counted.
const NAMED: usize = 12;

/// An act on many agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkAct {
    /// Set and remove labels.
    Label,
    /// Put into a group.
    Pin,
    /// Restart.
    Restart,
    /// Send nothing.
    Hold,
    /// Send again.
    Release,
    /// Only observe.
    Detach,
    /// Give back to the groups.
    Attach,
    /// Offer again what was refused.
    Retry,
    /// Offer again what was taken.
    Reapply,
    /// Put away.
    Archive,
    /// Bring back.
    Restore,
    /// Revoke credentials.
    Revoke,
}

impl BulkAct {
    /// All of them, the most harmless first.
    pub const ALL: [Self; 12] = [
        Self::Label,
        Self::Pin,
        Self::Restart,
        Self::Hold,
        Self::Release,
        Self::Retry,
        Self::Reapply,
        Self::Detach,
        Self::Attach,
        Self::Archive,
        Self::Restore,
        Self::Revoke,
    ];

    /// The act that a path names.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|act| act.path().ends_with(&format!("/{name}")))
    }

    /// Where its form posts to.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Label => "/agents/bulk/label",
            Self::Pin => "/agents/bulk/pin",
            Self::Restart => "/agents/bulk/restart",
            Self::Hold => "/agents/bulk/hold",
            Self::Release => "/agents/bulk/release",
            Self::Retry => "/agents/bulk/retry",
            Self::Reapply => "/agents/bulk/reapply",
            Self::Detach => "/agents/bulk/detach",
            Self::Attach => "/agents/bulk/attach",
            Self::Archive => "/agents/bulk/archive",
            Self::Restore => "/agents/bulk/restore",
            Self::Revoke => "/agents/bulk/revoke",
        }
    }

    /// Its verb, to be followed by "12 agents".
    #[must_use]
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Label => "Label",
            Self::Pin => "Pin",
            Self::Restart => "Restart",
            Self::Hold => "Hold",
            Self::Release => "Release",
            Self::Retry => "Retry",
            Self::Reapply => "Re-apply to",
            Self::Detach => "Detach",
            Self::Attach => "Attach",
            Self::Archive => "Archive",
            Self::Restore => "Bring back",
            Self::Revoke => "Revoke",
        }
    }

    /// What was done, before "12 agents": "Restarted".
    const fn past(self) -> &'static str {
        match self {
            Self::Label => "Labelled",
            Self::Pin => "Pinned",
            Self::Restart => "Ordered a restart of",
            Self::Hold => "Held",
            Self::Release => "Released",
            Self::Retry => "Retrying",
            Self::Reapply => "Re-applying to",
            Self::Detach => "Detached",
            Self::Attach => "Attached",
            Self::Archive => "Archived",
            Self::Restore => "Brought back",
            Self::Revoke => "Revoked",
        }
    }

    /// What it takes to do it.
    #[must_use]
    pub fn permission(self) -> Permission {
        match self {
            Self::Label | Self::Restart | Self::Hold | Self::Detach | Self::Archive => {
                Permission::OperateAgents
            }
            Self::Pin | Self::Release | Self::Attach | Self::Retry | Self::Reapply | Self::Restore => {
                Permission::Publish
            }
            Self::Revoke => Permission::RevokeAgents,
        }
    }

    /// What will happen, in sentences.
    const fn consequences(self) -> &'static str {
        match self {
            Self::Label => {
                "Labels that you set replace those of the same key; others stay. Agents may move to other groups by their labels, and are then sent what those groups publish."
            }
            Self::Pin => {
                "They stay in this group whatever selectors say, and are sent what is published to it."
            }
            Self::Restart => {
                "Each stops and starts its collector once; its telemetry pauses for some seconds. Agents that aren't connected restart when they come back."
            }
            Self::Hold => "Nothing is sent to them until they are released. What they run keeps running.",
            Self::Release => "They are sent what is wanted of them, from now on.",
            Self::Retry => {
                "They are offered once more what they refused. What they run keeps running if they refuse again."
            }
            Self::Reapply => {
                "They are offered once more what is wanted of them. Those that run something else replace it; most restart their collector."
            }
            Self::Detach => {
                "They stay in their groups and are only observed: nothing is sent to them until they are attached again. What they run keeps running."
            }
            Self::Attach => "They are sent what their groups publish, from now on.",
            Self::Archive => {
                "They disappear from lists and are sent nothing. What they run keeps running, and they can be brought back."
            }
            Self::Restore => "They are listed again, and sent what is wanted of them.",
            Self::Revoke => {
                "Their connections close within two seconds, and they can't come back until they are enrolled again. What they run keeps running."
            }
        }
    }
}

/// What is to be done to whom, before it is done.
#[derive(Debug)]
pub struct BulkView<'a> {
    /// The act.
    pub act: BulkAct,
    /// The names of the first few agents.
    pub names: &'a [String],
    /// The agents that were ticked; empty when all are meant that match.
    pub picks: &'a [AgentId],
    /// How many agents.
    pub count: u64,
    /// Which agents, in one word: what is done is done to these and no others.
    pub expected: &'a str,
    /// How many others it reaches: they share a credential with one of these.
    pub besides: u64,
    /// The filter, when all are meant that match it.
    pub filter: &'a str,
    /// Whether all are meant that match the filter.
    pub matching: bool,
    /// The groups that they could be put into.
    pub groups: &'a [Name],
    /// The labels to set, as they were typed.
    pub set: &'a str,
    /// The keys to remove, as they were typed.
    pub remove: &'a str,
    /// The group, as it was chosen.
    pub group: &'a str,
    /// The terms, as they were typed.
    pub terms: &'a TermsForm,
    /// What is wrong with what was posted.
    pub errors: &'a Errors,
}

/// "And 497 others that share their credentials": whom revoking reaches besides; empty when nobody.
#[must_use]
pub fn others_behind(besides: u64, whose: &str) -> String {
    match besides {
        0 => String::new(),
        1 => format!(", and 1 other that shares {whose}"),
        _ => format!(", and {} that share {whose}", count(besides, "other", "others")),
    }
}

/// The words to type before many agents are revoked; `count` is that of all whom it reaches.
#[must_use]
pub fn words_to_type(act: BulkAct, count: u64) -> Option<String> {
    (act == BulkAct::Revoke).then(|| format!("revoke {}", self::count(count, "agent", "agents")))
}

/// The page that asks.
#[must_use]
pub fn ask(view: &BulkView<'_>, scene: &Scene<'_>) -> Markup {
    let whom = count(view.count, "agent", "agents");
    let verb = view.act.verb();
    let others = others_behind(view.besides, "their credentials");
    let question = format!("{verb} {whom}{others}?");
    let button = format!("{verb} {whom}{others}");
    let typed = words_to_type(view.act, view.count + view.besides);
    let picks: Vec<String> = view.picks.iter().map(ToString::to_string).collect();
    let mut fields = vec![("go", "1"), ("query", view.filter), ("expected", view.expected)];
    if view.matching {
        fields.push(("matching", "1"));
    } else {
        fields.extend(picks.iter().map(|pick| ("pick", pick.as_str())));
    }
    let back = if view.filter.is_empty() {
        "/agents".to_owned()
    } else {
        agents_href(view.filter)
    };
    let inputs = html! {
        p { (view.act.consequences()) }
        (whose(view))
        @match view.act {
            BulkAct::Label => (label_fields(view)),
            BulkAct::Pin => { (group_field(view)) (view.terms.fields("When somebody ends it", view.errors)) }
            BulkAct::Hold => (view.terms.fields("When somebody releases them", view.errors)),
            BulkAct::Detach => (view.terms.fields("When somebody attaches them", view.errors)),
            _ => {}
        }
    };
    html! {
        (page_head(&html! { (verb) " agents" }, None, None))
        (view.errors.summary())
        (confirm(&Confirm {
            question: &question,
            consequences: inputs,
            typed: typed.as_deref(),
            error: view.errors.field("confirm"),
            button: &button,
            destructive: matches!(view.act, BulkAct::Revoke),
            action: view.act.path(),
            fields: &fields,
            cancel: &back,
            form_token: scene.form_token,
        }))
    }
}

fn whose(view: &BulkView<'_>) -> Markup {
    let more = view.count.saturating_sub(view.names.len().min(NAMED) as u64);
    html! {
        @if view.matching {
            p { "All that match " @if view.filter.is_empty() { "no filter: the whole fleet" } @else { code { (visible(view.filter)) } } "." }
        }
        p {
            @for (at, name) in view.names.iter().take(NAMED).enumerate() {
                @if at > 0 { ", " }
                (visible(name))
            }
            @if more > 0 { " and " (count(more, "other", "others")) }
            "."
        }
    }
}

fn label_fields(view: &BulkView<'_>) -> Markup {
    html! {
        (field(&Field {
            name: "set",
            label: "Set",
            value: view.set,
            help: "One label a line: region = eu.",
            error: view.errors.field("set").or_else(|| view.errors.field("labels")),
            input: Input::Lines(3),
            optional: true,
            ..Field::default()
        }))
        (field(&Field {
            name: "remove",
            label: "Remove",
            value: view.remove,
            help: "Keys, separated by blanks.",
            error: view.errors.field("remove"),
            input: Input::Code,
            optional: true,
            ..Field::default()
        }))
    }
}

fn group_field(view: &BulkView<'_>) -> Markup {
    let choices: Vec<Choice<'_>> = std::iter::once(Choice {
        value: "",
        label: "Choose a group",
        help: "",
    })
    .chain(view.groups.iter().map(|name| Choice {
        value: name.as_str(),
        label: name.as_str(),
        help: "",
    }))
    .collect();
    select_field(
        &Field {
            name: "group",
            label: "Group",
            value: view.group,
            error: view.errors.field("group"),
            ..Field::default()
        },
        &choices,
    )
}

/// What was done, in one sentence.
#[must_use]
pub fn said(act: BulkAct, done: usize) -> String {
    format!("{} {}.", act.past(), count(done as u64, "agent", "agents"))
}

/// What came of an act that some agents refused: what was done, and why not for the others. `names` are those of the
/// agents.
#[must_use]
pub fn outcome(act: BulkAct, result: &BulkResult, names: &BTreeMap<AgentId, String>, back: &str) -> Markup {
    let mut reasons: BTreeMap<&str, Vec<AgentId>> = BTreeMap::new();
    for (id, why) in &result.refused {
        reasons.entry(why.as_str()).or_default().push(*id);
    }
    html! {
        (page_head(&html! { (act.verb()) " agents" }, None, None))
        @if !result.done.is_empty() { p { (badge(Status::Healthy, Some("Done"))) " " (said(act, result.done.len() + result.besides.len())) } }
        @for (why, ids) in &reasons {
            div {
                p {
                    (badge(Status::Degraded, Some("Not done"))) " for "
                    (count(ids.len() as u64, "agent", "agents")) ": " (visible(why))
                }
                ul.words {
                    @for id in ids.iter().take(NAMED) {
                        li { a href={ "/agents/" (id) } { (visible(names.get(id).map_or("an agent that is gone", String::as_str))) } }
                    }
                    @if ids.len() > NAMED { li { "and " (count((ids.len() - NAMED) as u64, "other", "others")) } }
                }
            }
        }
        div.buttons { (button_link("Back to the agents", back, true)) }
    }
}

/// What was typed for an act.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    /// The labels to set.
    pub set: &'a str,
    /// The keys to remove.
    pub remove: &'a str,
    /// The group.
    pub group: &'a str,
    /// The terms.
    pub terms: &'a TermsForm,
}

/// The act with what was typed, or what is wrong with it.
///
/// # Errors
/// What to mend, by field.
pub fn act_of(act: BulkAct, words: &Words<'_>, now: Timestamp) -> Result<AgentAct, Errors> {
    Ok(match act {
        BulkAct::Label => {
            let set = read_labels("set", words.set)?;
            let remove: Vec<String> = words
                .remove
                .split([' ', ',', '\n', '\r', '\t'])
                .filter(|key| !key.is_empty())
                .map(str::to_owned)
                .collect();
            if set.is_empty() && remove.is_empty() {
                return Err(Errors::at("set", "say which labels to set or to remove"));
            }
            // What no agent can have is said here, before it is refused by each of them.
            check_labels(&set).map_err(|error| Errors::at("set", &error.to_string()))?;
            AgentAct::Label { set, remove }
        }
        BulkAct::Pin => {
            let group = Name::new(words.group).map_err(|_| Errors::at("group", "choose a group"))?;
            let OnTerms { reason, until } = words.terms.asked(now)?;
            AgentAct::Pin { group, reason, until }
        }
        BulkAct::Restart => AgentAct::Restart,
        BulkAct::Hold => {
            let OnTerms { reason, until } = words.terms.asked(now)?;
            AgentAct::Hold { reason, until }
        }
        BulkAct::Detach => {
            let OnTerms { reason, until } = words.terms.asked(now)?;
            AgentAct::Detach { reason, until }
        }
        BulkAct::Attach => AgentAct::Attach,
        BulkAct::Reapply => AgentAct::Reapply,
        BulkAct::Release => AgentAct::Release,
        BulkAct::Retry => AgentAct::Retry,
        BulkAct::Archive => AgentAct::Archive,
        BulkAct::Restore => AgentAct::Restore,
        BulkAct::Revoke => AgentAct::Revoke,
    })
}

/// Labels as people type them: `key = value`, one a line.
///
/// # Errors
/// The line that is none, for the field `name`.
pub fn read_labels(name: &str, text: &str) -> Result<BTreeMap<String, String>, Errors> {
    let mut labels = BTreeMap::new();
    for (number, line) in crate::admin_plane::pages::scene::lines(text) {
        let Some((key, value)) = line.split_once('=') else {
            let why = format!("line {number} is no label: write key = value");
            return Err(Errors::at(name, &why));
        };
        let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
        if labels.insert(key, value).is_some() {
            let why = format!("line {number} sets a label that another line sets too");
            return Err(Errors::at(name, &why));
        }
    }
    Ok(labels)
}

/// Labels as [`read_labels`] reads them.
#[must_use]
pub fn write_labels(labels: &BTreeMap<String, String>) -> String {
    let lines = labels.iter().map(|(key, value)| format!("{key} = {value}"));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_survive_the_form() {
        let labels: BTreeMap<String, String> = [
            ("region".to_owned(), "eu = west".to_owned()),
            ("a/b".to_owned(), String::new()),
        ]
        .into();
        assert_eq!(read_labels("labels", &write_labels(&labels)), Ok(labels));
        let wrong = read_labels("labels", "\nregion eu").unwrap_err();
        assert_eq!(
            wrong.field("labels"),
            Some("Line 2 is no label: write key = value")
        );
    }

    fn words<'a>(set: &'a str, remove: &'a str, group: &'a str) -> Words<'a> {
        static TERMS: TermsForm = TermsForm {
            reason: String::new(),
            ends: String::new(),
        };
        Words {
            set,
            remove,
            group,
            terms: &TERMS,
        }
    }

    #[test]
    fn every_act_is_found_by_the_path_that_it_posts_to_and_takes_what_the_use_case_takes() {
        for act in BulkAct::ALL {
            let name = act.path().rsplit('/').next().unwrap();
            assert_eq!(BulkAct::named(name), Some(act));
            let does = act_of(act, &words("a = b", "", "edge"), Timestamp::EPOCH).unwrap();
            assert_eq!(does.permission(), act.permission(), "{act:?}");
        }
        assert_eq!(BulkAct::named(""), None);
    }

    #[test]
    fn nothing_to_do_is_said_at_the_field() {
        assert!(
            act_of(BulkAct::Label, &words(" \n", " ", ""), Timestamp::EPOCH)
                .unwrap_err()
                .field("set")
                .is_some()
        );
        assert!(
            act_of(BulkAct::Pin, &words("", "", ""), Timestamp::EPOCH)
                .unwrap_err()
                .field("group")
                .is_some()
        );
    }
}
