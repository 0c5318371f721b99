//! The settings, from their own table.

use maud::{Markup, html};

use super::{Manual, part};
use crate::admin_plane::pages::layout::section;
use crate::admin_plane::pages::parts::{Column, Row, Table, code_block, table, visible};
use crate::app::join::SERVER_UNIT;

pub(super) fn page(manual: &Manual) -> Markup {
    let rows: Vec<Row> = manual
        .settings
        .iter()
        .map(|setting| Row {
            key: setting.name.to_owned(),
            name: setting.name.to_owned(),
            cells: vec![
                html! { code { (setting.name) } },
                html! { code { (visible(&setting.default)) } },
                html! { (visible(setting.allowed)) },
                html! { code { (setting.variable) } },
            ],
        })
        .collect();

    html! {
        (part("Where they come from", &html! {
            p { "A file, then the environment, then flags: each beats the one before. The file is " code { "--settings FILE" } ", or " code { "muster.toml" } " in the data folder. A mistake is named with its line before any port is bound; " code { "muster check" } " shows what holds and where it came from." }
        }))
        (section("All settings", None, &table(&Table {
            id: "settings",
            caption: "All settings",
            columns: &[Column::of("Setting"), Column::of("Default"), Column::of("Allowed"), Column::of("Variable")],
            rows: &rows,
            picks: false,
            noun: ("setting", "settings"),
            pager: None,
        })))
        (section("The server as a service", None, &html! {
            p { "A unit for systemd, with its filters: exposed to less than 2.5 of 10 by " code { "systemd-analyze security" } "." }
            (code_block(SERVER_UNIT, "the unit"))
        }))
        (section("The file, with every default", None, &code_block(manual.settings_file, "the settings file")))
    }
}
