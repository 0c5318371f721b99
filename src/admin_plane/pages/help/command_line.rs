//! The command line, as it describes itself.

use maud::{Markup, html};

use super::{Manual, VerbHelp, part};
use crate::admin_plane::pages::layout::{page_head, section};
use crate::admin_plane::pages::parts::{code_block, visible};

pub(super) fn page(manual: &Manual) -> Markup {
    html! {
        (part("Where it works", &html! {
            p { "On the server's own host, verbs use the socket in the data folder: root, and the user that the server runs as, need no token. From elsewhere they need an API token, which is made under " a href="/account" { "Account" } ":" }
            (code_block("export MUSTER_SERVER=https://HOST:4321 MUSTER_TOKEN=… MUSTER_CA_SHA256=…\nmuster agents list", "the example"))
            p { "With " code { "--json" } " a verb prints what the API answered. Exit codes: 0 done, 1 failed, 2 wrong arguments or settings, 3 not reached, 4 refused." }
        }))
        (section("Verbs", None, &html! {
            dl.facts {
                @for verb in &manual.verbs {
                    div {
                        dt { a href=(href(verb)) { code { (verb.name) } } }
                        dd { (visible(&verb.about)) }
                    }
                }
            }
        }))
    }
}

/// The page of one verb, with those below it; `None` when there is no such verb.
#[must_use]
pub fn verb(name: &str, manual: &Manual) -> Option<Markup> {
    let found: Vec<&VerbHelp> = manual
        .verbs
        .iter()
        .filter(|verb| first_word(&verb.name) == name)
        .collect();
    (!found.is_empty()).then(|| {
        html! {
            (page_head(&html! { "muster " (visible(name)) }, None, None))
            @for verb in found {
                section.section id=(anchor(verb)) {
                    div.section-head { h2 { code { "muster " (verb.name) } } }
                    pre.code tabindex="0" aria-label={ "Help of muster " (verb.name) } { (visible(&verb.help)) }
                }
            }
        }
    })
}

fn first_word(name: &str) -> &str {
    name.split(' ').next().unwrap_or_default()
}

fn anchor(verb: &VerbHelp) -> String {
    verb.name.replace(' ', "-")
}

fn href(verb: &VerbHelp) -> String {
    format!("/help/command-line/{}#{}", first_word(&verb.name), anchor(verb))
}
