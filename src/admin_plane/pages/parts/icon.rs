//! The few icons, from the Lucide set (see `assets/LICENSES.md`), drawn inline so that they take the text's colour.
//!
//! An icon never stands without a label: it is hidden from screen readers and the words beside it say what it is.

use maud::{Markup, html};

/// The icons that exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icon {
    /// A gauge: the overview.
    Overview,
    /// Two servers: agents.
    Agents,
    /// Two layers: groups.
    Groups,
    /// A sheet: configs.
    Configs,
    /// A key: enrolment and trust.
    Enrolment,
    /// A scroll: the audit list.
    Audit,
    /// A plus sign.
    Plus,
    /// A magnifying glass.
    Search,
    /// Two sheets: copy.
    Copy,
    /// A chevron to the right: unfolds.
    Chevron,
    /// An arrow up: sorted upwards.
    Up,
    /// An arrow down: sorted downwards.
    Down,
    /// Three lines: the menu.
    Menu,
    /// A person: the account.
    Account,
    /// A half-filled disc: light and dark.
    Theme,
    /// Two branches: rollouts and differences.
    Compare,
    /// Two people: users.
    Users,
    /// A cogwheel: settings and the system.
    System,
    /// A question mark: help.
    Help,
}

/// An icon of 16 px in the colour of the text.
#[must_use]
pub fn icon(which: Icon) -> Markup {
    html! {
        svg.icon viewBox="0 0 24 24" aria-hidden="true" {
            @for path in paths(which) { path d=(path) {} }
        }
    }
}

/// The product's mark: a muster of dots, one of them standing out.
#[must_use]
pub fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 20 20" aria-hidden="true" fill="currentColor" {
            @for (x, y) in [("3.5", "3.5"), ("10", "3.5"), ("16.5", "3.5"), ("3.5", "10"), ("16.5", "10"), ("3.5", "16.5"), ("10", "16.5"), ("16.5", "16.5")] {
                circle cx=(x) cy=(y) r="1.7" {}
            }
            circle.mark-accent cx="10" cy="10" r="2.9" {}
        }
    }
}

const fn paths(which: Icon) -> &'static [&'static str] {
    match which {
        Icon::Overview => &["m12 14 4-4", "M3.34 19a10 10 0 1 1 17.32 0"],
        Icon::Agents => &[
            "M4 2h16a2 2 0 0 1 2 2v4a2 2 0 0 1-2 2H4a2 2 0 0 1-2-2V4a2 2 0 0 1 2-2z",
            "M4 14h16a2 2 0 0 1 2 2v4a2 2 0 0 1-2 2H4a2 2 0 0 1-2-2v-4a2 2 0 0 1 2-2z",
            "M6 6h.01",
            "M6 18h.01",
        ],
        Icon::Groups => &[
            "M13 13.74a2 2 0 0 1-2 0L2.5 8.87a1 1 0 0 1 0-1.74L11 2.26a2 2 0 0 1 2 0l8.5 4.87a1 1 0 0 1 0 1.74z",
            "m20 14.285 1.5.845a1 1 0 0 1 0 1.74L13 21.74a2 2 0 0 1-2 0l-8.5-4.87a1 1 0 0 1 0-1.74l1.5-.845",
        ],
        Icon::Configs => &[
            "M6 22a2 2 0 0 1-2-2V4a2 2 0 0 1 2-2h8a2.4 2.4 0 0 1 1.704.706l3.588 3.588A2.4 2.4 0 0 1 20 8v12a2 2 0 0 1-2 2z",
            "M14 2v5a1 1 0 0 0 1 1h5",
            "M10 9H8",
            "M16 13H8",
            "M16 17H8",
        ],
        Icon::Enrolment => &[
            "M2.586 17.414A2 2 0 0 0 2 18.828V21a1 1 0 0 0 1 1h3a1 1 0 0 0 1-1v-1a1 1 0 0 1 1-1h1a1 1 0 0 0 1-1v-1a1 1 0 0 1 1-1h.172a2 2 0 0 0 1.414-.586l.814-.814a6.5 6.5 0 1 0-4-4z",
            "M16.5 7.5h.01",
        ],
        Icon::Audit => &[
            "M15 12h-5",
            "M15 8h-5",
            "M19 17V5a2 2 0 0 0-2-2H4",
            "M8 21h12a2 2 0 0 0 2-2v-1a1 1 0 0 0-1-1H11a1 1 0 0 0-1 1v1a2 2 0 1 1-4 0V5a2 2 0 1 0-4 0v2a1 1 0 0 0 1 1h3",
        ],
        Icon::Help => &[
            "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20z",
            "M9.09 9a3 3 0 0 1 5.83 1c0 2-3 3-3 3",
            "M12 17h.01",
        ],
        Icon::Plus => &["M5 12h14", "M12 5v14"],
        Icon::Search => &["m21 21-4.34-4.34", "M11 3a8 8 0 1 0 0 16 8 8 0 0 0 0-16z"],
        Icon::Copy => &[
            "M10 8h10a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H10a2 2 0 0 1-2-2V10a2 2 0 0 1 2-2z",
            "M4 16c-1.1 0-2-.9-2-2V4c0-1.1.9-2 2-2h10c1.1 0 2 .9 2 2",
        ],
        Icon::Chevron => &["m9 18 6-6-6-6"],
        Icon::Up => &["m5 12 7-7 7 7", "M12 19V5"],
        Icon::Down => &["M12 5v14", "m19 12-7 7-7-7"],
        Icon::Menu => &["M4 5h16", "M4 12h16", "M4 19h16"],
        Icon::Account => &[
            "M17.925 20.056a6 6 0 0 0-11.851.001",
            "M12 7a4 4 0 1 0 0 8 4 4 0 0 0 0-8z",
            "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20z",
        ],
        Icon::Theme => &[
            "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20z",
            "M12 18a6 6 0 0 0 0-12z",
        ],
        Icon::Compare => &[
            "M18 15a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
            "M6 3a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
            "M13 6h3a2 2 0 0 1 2 2v7",
            "M11 18H8a2 2 0 0 1-2-2V9",
        ],
        Icon::Users => &[
            "M16 21v-2a4 4 0 0 0-4-4H6a4 4 0 0 0-4 4v2",
            "M16 3.128a4 4 0 0 1 0 7.744",
            "M22 21v-2a4 4 0 0 0-3-3.87",
            "M9 3a4 4 0 1 0 0 8 4 4 0 0 0 0-8z",
        ],
        Icon::System => &[
            "M9.671 4.136a2.34 2.34 0 0 1 4.659 0 2.34 2.34 0 0 0 3.319 1.915 2.34 2.34 0 0 1 2.33 4.033 2.34 2.34 0 0 0 0 3.831 2.34 2.34 0 0 1-2.33 4.033 2.34 2.34 0 0 0-3.319 1.915 2.34 2.34 0 0 1-4.659 0 2.34 2.34 0 0 0-3.32-1.915 2.34 2.34 0 0 1-2.33-4.033 2.34 2.34 0 0 0 0-3.831A2.34 2.34 0 0 1 6.35 6.051a2.34 2.34 0 0 0 3.319-1.915",
            "M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
        ],
    }
}
