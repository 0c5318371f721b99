//! Help: a few short pages on what people do here, and the references, which are made from what they refer to.

mod api;
mod command_line;
mod configs;
pub(in crate::admin_plane) mod handle;
mod joining;
mod publishing;
mod security;
mod settings;
mod troubleshooting;

pub use command_line::verb;
use maud::{Markup, html};

use super::layout::{page_head, section};
use crate::admin_plane::Site;

/// What the program says of itself on the pages of help, so that nothing stands there a second time.
#[derive(Clone, Debug, Default)]
pub struct Manual {
    /// The verbs of the command line, in their order.
    pub verbs: Vec<VerbHelp>,
    /// The settings, in the order of their file.
    pub settings: Vec<SettingHelp>,
    /// The commented file that holds every setting with its default.
    pub settings_file: &'static str,
}

/// One verb of the command line.
#[derive(Clone, Debug)]
pub struct VerbHelp {
    /// As it is typed after the program's name: "groups create".
    pub name: String,
    /// What it does, in a line.
    pub about: String,
    /// What `--help` prints.
    pub help: String,
}

/// One setting.
#[derive(Clone, Debug)]
pub struct SettingHelp {
    /// Its name in the file.
    pub name: &'static str,
    /// The environment variable that sets it.
    pub variable: String,
    /// What is allowed, as the end of a sentence.
    pub allowed: &'static str,
    /// Its default, as in the file.
    pub default: String,
}

/// The pages of help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// How agents join.
    Joining,
    /// Configs, groups and selectors.
    Configs,
    /// Publishing.
    Publishing,
    /// The command line, verb by verb.
    CommandLine,
    /// The API, route by route.
    Api,
    /// The settings, one by one.
    Settings,
    /// Who is trusted with what.
    Security,
    /// What to look at when something is wrong.
    Troubleshooting,
}

impl Topic {
    /// All of them, in the order in which one would read them.
    pub const ALL: [Self; 8] = [
        Self::Joining,
        Self::Configs,
        Self::Publishing,
        Self::Troubleshooting,
        Self::Security,
        Self::CommandLine,
        Self::Api,
        Self::Settings,
    ];

    /// Its name in the URL.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Configs => "configs",
            Self::Publishing => "publishing",
            Self::CommandLine => "command-line",
            Self::Api => "api",
            Self::Settings => "settings",
            Self::Security => "security",
            Self::Troubleshooting => "troubleshooting",
        }
    }

    /// Its title.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Joining => "Joining agents",
            Self::Configs => "Configs and groups",
            Self::Publishing => "Publishing",
            Self::CommandLine => "Command line",
            Self::Api => "API",
            Self::Settings => "Settings",
            Self::Security => "Security",
            Self::Troubleshooting => "Troubleshooting",
        }
    }

    /// What stands there, in a sentence.
    #[must_use]
    pub fn lead(self) -> &'static str {
        match self {
            Self::Joining => "From a host, a container or any OpAMP client to an agent in the list.",
            Self::Configs => "What is kept, who belongs where, and how selectors are written.",
            Self::Publishing => "How a revision reaches hosts, what is checked before, and how to go back.",
            Self::CommandLine => "Every verb with its arguments, as the program itself prints it.",
            Self::Api => "How scripts sign in, and every route.",
            Self::Settings => "Every setting with what is allowed, its default and its variable.",
            Self::Security => "Who is trusted with what, and where the secrets lie.",
            Self::Troubleshooting => "What the words of an agent's status mean, and what to do.",
        }
    }

    /// The topic of this name in the URL.
    #[must_use]
    pub fn of(slug: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.slug() == slug)
    }
}

/// The list of topics.
#[must_use]
pub fn index() -> Markup {
    html! {
        (page_head(&html! { "Help" }, None, None))
        (topics(None))
        p.soft { "The key " kbd { "?" } " lists what the keyboard does. Every verb of the command line has " code { "--help" } "." }
    }
}

/// One page of help.
#[must_use]
pub fn page(topic: Topic, site: &Site) -> Markup {
    html! {
        (page_head(&html! { (topic.title()) }, None, None))
        p.soft { (topic.lead()) }
        @match topic {
            Topic::Joining => (joining::page(site)),
            Topic::Configs => (configs::page()),
            Topic::Publishing => (publishing::page()),
            Topic::CommandLine => (command_line::page(&site.manual)),
            Topic::Api => (api::page(site)),
            Topic::Settings => (settings::page(&site.manual)),
            Topic::Security => (security::page(site)),
            Topic::Troubleshooting => (troubleshooting::page(site)),
        }
        (section("More help", None, &topics(Some(topic))))
    }
}

fn topics(without: Option<Topic>) -> Markup {
    html! {
        dl.facts {
            @for topic in Topic::ALL.into_iter().filter(|topic| Some(*topic) != without) {
                div {
                    dt { a href={ "/help/" (topic.slug()) } { (topic.title()) } }
                    dd { (topic.lead()) }
                }
            }
        }
    }
}

/// A titled part of a page, of paragraphs and lists.
fn part(title: &str, inner: &Markup) -> Markup {
    section(title, None, &html! { div.prose { (inner) } })
}
