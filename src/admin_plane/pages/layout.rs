//! The frame that every page shares: head, top bar, rail, main. And the content security policy that it is written for.

use maud::{DOCTYPE, Markup, html};

use super::parts::{Banner, Icon, banner, form_token, icon, mark, visible, visible_text};
use crate::admin_plane::assets;
use crate::fleet::time::Timestamp;

/// Sent with every page: nothing inline, nothing from elsewhere.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The places of the rail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nav {
    /// What needs attention.
    Overview,
    /// The fleet's agents.
    Agents,
    /// Groups of agents.
    Groups,
    /// Configs and their revisions.
    Configs,
    /// What is on its way to agents.
    Rollouts,
    /// Tokens with which agents join, and approvals.
    Enrolment,
    /// People's accounts.
    Users,
    /// What people did.
    Audit,
    /// The server itself.
    System,
    /// How things are done here.
    Help,
}

impl Nav {
    const ALL: [Self; 10] = [
        Self::Overview,
        Self::Agents,
        Self::Groups,
        Self::Configs,
        Self::Rollouts,
        Self::Enrolment,
        Self::Users,
        Self::Audit,
        Self::System,
        Self::Help,
    ];

    const fn place(self) -> (&'static str, &'static str, Icon) {
        match self {
            Self::Overview => ("Overview", "/", Icon::Overview),
            Self::Agents => ("Agents", "/agents", Icon::Agents),
            Self::Groups => ("Groups", "/groups", Icon::Groups),
            Self::Configs => ("Configs", "/configs", Icon::Configs),
            Self::Rollouts => ("Rollouts", "/rollouts", Icon::Compare),
            Self::Enrolment => ("Enrolment", "/enrolment", Icon::Enrolment),
            Self::Users => ("Users", "/users", Icon::Account),
            Self::Audit => ("Audit", "/audit", Icon::Audit),
            Self::System => ("System", "/system", Icon::System),
            Self::Help => ("Help", "/help", Icon::Help),
        }
    }

    /// Whether a little space separates it from the place above: the fleet's nouns from those about access.
    const fn starts_section(self) -> bool {
        matches!(self, Self::Enrolment)
    }
}

/// A page of a signed-in person.
#[derive(Debug)]
pub struct Page<'a> {
    /// What the page is about, for the window's title: "web-01" or "Agents".
    pub title: &'a str,
    /// The name of this installation, from the settings.
    pub site: &'a str,
    /// The signed-in person's name.
    pub user: &'a str,
    /// The place in the rail that the page belongs to.
    pub active: Option<Nav>,
    /// The way here (words, href), below two levels only; the page itself is not part of it.
    pub crumbs: &'a [(&'a str, &'a str)],
    /// The topics that regions of the page listen to (see [`mod@super::parts::live`]); empty: the page isn't live.
    pub topics: &'a [&'a str],
    /// The result of the last act, or a state of the whole site.
    pub banner: Option<&'a Banner<'a>>,
    /// Whether the page holds a [`super::parts::editor`].
    pub editor: bool,
    /// The form token of the session, for logging out.
    pub form_token: &'a str,
    /// The server's present time, from which ages tick on.
    pub now: Timestamp,
    /// The page itself, starting with [`page_head`].
    pub body: Markup,
}

/// A whole document for a signed-in person.
#[must_use]
pub fn page(page: &Page<'_>) -> Markup {
    let topics = page.topics.join(",");
    document(
        page.title,
        page.site,
        page.now,
        page.editor,
        &html! {
            a.skip href="#main" { "Skip to the content" }
            header.topbar {
                button.tool.menu-button type="button" popovertarget="places" { (icon(Icon::Menu)) span.hush { "Menu" } }
                a.site href="/" { (mark()) span { (visible(page.site)) } }
                form.search method="get" action="/agents" role="search" aria-label="Search agents" {
                    (icon(Icon::Search))
                    input type="search" name="q" placeholder="Search agents" aria-label="Search agents" autocomplete="off"
                        autocapitalize="off" spellcheck="false";
                    kbd aria-hidden="true" { "/" }
                }
                div.topbar-end {
                    @if !page.topics.is_empty() {
                        span.live #live-state hidden data-state="connecting" { span { "Connecting" } }
                    }
                    button.tool #theme type="button" hidden { (icon(Icon::Theme)) span { "Auto" } }
                    button.tool type="button" popovertarget="account" {
                        (icon(Icon::Account)) span { (visible(page.user)) } span.hush { "Account" }
                    }
                    div.account #account popover {
                        p { "Signed in as " strong { (visible(page.user)) } }
                        a href="/account" { "Account and password" }
                        button #keys type="button" hidden { "Keyboard" }
                        form method="post" action="/logout" { (form_token(page.form_token)) button type="submit" { "Log out" } }
                    }
                }
            }
            @if !page.topics.is_empty() {
                div.not-live #not-live role="status" hidden {
                    strong { "Not live. " } span { } " " a href="" { "Reload" }
                }
            }
            div.frame {
                div.rail {
                    nav #places popover aria-label="Places" {
                        ul {
                            @for place in Nav::ALL {
                                @let (words, href, picture) = place.place();
                                li.gap[place.starts_section()] {
                                    a href=(href) aria-current=[(page.active == Some(place)).then_some("page")] {
                                        (icon(picture)) (words)
                                    }
                                }
                            }
                        }
                    }
                }
                main #main tabindex="-1" {
                    div.column {
                        @if !page.crumbs.is_empty() {
                            nav aria-label="Way here" {
                                ol.crumbs { @for (words, href) in page.crumbs { li { a href=(href) { (visible(words)) } } } }
                            }
                        }
                        @if let Some(notice) = page.banner { (banner(notice)) }
                        (page.body)
                    }
                }
            }
            @if !page.topics.is_empty() {
                div #stream hidden hx-sse:connect={ "/events?topics=" (topics) } hx-swap="none" {}
            }
            (help())
        },
    )
}

/// A document for somebody who isn't signed in: setup, login, an error before that.
#[must_use]
pub fn bare_page(
    title: &str,
    site: &str,
    now: Timestamp,
    notice: Option<&Banner<'_>>,
    body: &Markup,
) -> Markup {
    document(
        title,
        site,
        now,
        false,
        &html! {
            div.bare {
                main #main {
                    span.site { (mark()) span { (visible(site)) } }
                    div.column {
                        @if let Some(notice) = notice { (banner(notice)) }
                        (body)
                    }
                }
            }
        },
    )
}

/// The head of a page: its title, its state in words ("412, 3 down"), and at most a few actions at the right, the
/// primary one last.
#[must_use]
pub fn page_head(title: &Markup, state: Option<&Markup>, actions: Option<&Markup>) -> Markup {
    html! {
        div.page-head {
            h1 { (title) }
            @if let Some(state) = state { span.state { (state) } }
            @if let Some(actions) = actions { div.actions { (actions) } }
        }
    }
}

/// A titled section of a page, with small links or buttons at the right of the title.
#[must_use]
pub fn section(title: &str, actions: Option<&Markup>, inner: &Markup) -> Markup {
    html! {
        section.section {
            div.section-head {
                h2 { (title) }
                @if let Some(actions) = actions { div.actions { (actions) } }
            }
            (inner)
        }
    }
}

fn document(title: &str, site: &str, now: Timestamp, editor: bool, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { (visible_text(title)) " · " (visible_text(site)) }
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="same-origin";
                meta name="color-scheme" content="light dark";
                // A chosen theme is set before anything is painted.
                script src=(assets::url("theme.js")) {}
                link rel="stylesheet" href=(assets::url("app.css"));
                link rel="icon" type="image/svg+xml" href=(assets::url("favicon.svg"));
                meta name="htmx-config" content="{\"prefix\":\"\",\"history\":false,\"includeIndicatorCSS\":false,\"defaultTimeout\":20000,\"extensions\":\"sse,muster\"}";
                @if editor { script src=(assets::url("editor.js")) defer {} }
            }
            body data-now=(now.millis()) {
                (body)
                // Not deferred: htmx starts at DOMContentLoaded only while the document is still loading, and
                // otherwise before its extensions are there.
                script src=(assets::url("htmx.min.js")) {}
                script src=(assets::url("hx-sse.min.js")) {}
                script src=(assets::url("app.js")) {}
            }
        }
    }
}

/// What the keyboard does, opened by `?`.
fn help() -> Markup {
    let keys = [
        ("/", "Search, or the filter of this list"),
        ("g o", "Overview"),
        ("g a", "Agents"),
        ("g g", "Groups"),
        ("g c", "Configs"),
        ("g r", "Rollouts"),
        ("?", "This list"),
    ];
    html! {
        dialog #help aria-labelledby="help-title" {
            h2 #help-title { "Keyboard" }
            dl {
                @for (key, words) in keys {
                    dt { @for part in key.split(' ') { kbd { (part) } " " } }
                    dd { (words) }
                }
            }
            p { a href="/help" { "More help" } }
            form method="dialog" { button.button type="submit" { "Close" } }
        }
    }
}
