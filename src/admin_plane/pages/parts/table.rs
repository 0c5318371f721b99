//! Tables with sorting, paging, filters and bulk acts, all of it in the URL.

use maud::{Markup, html};

use super::form::form_token;
use super::icon::{Icon, icon};
use super::live::live;
use super::text::{count, grouped};

/// How a column is sorted at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Smallest first.
    Up,
    /// Largest first.
    Down,
}

/// The head of one column.
#[derive(Clone, Copy, Debug, Default)]
pub struct Column<'a> {
    /// Its words.
    pub words: &'a str,
    /// Whether it holds numbers, which stand to the right.
    pub number: bool,
    /// The URL that sorts by it, where that is possible.
    pub sort_href: Option<&'a str>,
    /// How it is sorted at present, if it is.
    pub sorted: Option<Sort>,
    /// Whether narrow screens leave it out.
    pub wide_only: bool,
}

impl<'a> Column<'a> {
    /// A column of words, on screens of any width.
    #[must_use]
    pub const fn of(words: &'a str) -> Self {
        Self {
            words,
            number: false,
            sort_href: None,
            sorted: None,
            wide_only: false,
        }
    }

    /// It holds numbers, times or buttons.
    #[must_use]
    pub const fn numbers(self) -> Self {
        Self { number: true, ..self }
    }

    /// Narrow screens leave it out.
    #[must_use]
    pub const fn wide(self) -> Self {
        Self {
            wide_only: true,
            ..self
        }
    }
}

/// One row.
#[derive(Debug)]
pub struct Row {
    /// What tells it from others, stable over time: part of the row's id, and what a ticked box posts as `pick`.
    pub key: String,
    /// Its name for the label of the box.
    pub name: String,
    /// One cell per column. The cell of the name is [`Row::name_cell`].
    pub cells: Vec<Markup>,
}

impl Row {
    /// The cell that names the row: a link, with a second line in smaller type where something has to be said.
    #[must_use]
    pub fn name_cell(name: &Markup, href: &str, sub: Option<&Markup>) -> Markup {
        html! {
            div.name { a href=(href) { (name) } @if let Some(sub) = sub { span.sub { (sub) } } }
        }
    }
}

/// Where to go from this part of the list. Keyset paging: there is no page number.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pager<'a> {
    /// The URL of the first part, when this isn't it.
    pub first: Option<&'a str>,
    /// The URL of the next part, if there is one.
    pub next: Option<&'a str>,
    /// How many there are in all.
    pub total: Option<u64>,
}

/// A table.
#[derive(Debug)]
pub struct Table<'a> {
    /// A short id, unique in the page.
    pub id: &'a str,
    /// What it lists, for screen readers: "Agents, worst first".
    pub caption: &'a str,
    /// The heads.
    pub columns: &'a [Column<'a>],
    /// The rows in their order.
    pub rows: &'a [Row],
    /// Whether each row has a box to tick (inside [`bulk_form`]).
    pub picks: bool,
    /// What one row is, and several are: ("agent", "agents").
    pub noun: (&'a str, &'a str),
    /// Where to go from here; `None` shows no foot.
    pub pager: Option<Pager<'a>>,
}

/// A table with sticky heads. What it shows when it has no rows is the caller's ([`super::empty`]).
#[must_use]
pub fn table(table: &Table<'_>) -> Markup {
    html! {
        div.table-box {
            table.table #(table.id) {
                caption.hush { (table.caption) }
                thead {
                    tr {
                        @if table.picks {
                            th.pick-cell scope="col" {
                                input.pick-all type="checkbox" hidden aria-label={ "Select all " (table.noun.1) " shown" };
                                span.hush { "Selected" }
                            }
                        }
                        @for column in table.columns { (head(column)) }
                    }
                }
                tbody { @for row in table.rows { (body_row(table, row)) } }
            }
        }
        @if let Some(pager) = &table.pager { (foot(table, pager)) }
    }
}

fn head(column: &Column<'_>) -> Markup {
    let sorted = column.sorted.map(|sort| match sort {
        Sort::Up => "ascending",
        Sort::Down => "descending",
    });
    html! {
        th.number[column.number].wide[column.wide_only] scope="col" aria-sort=[sorted] {
            @if let Some(href) = column.sort_href {
                a href=(href) {
                    (column.words)
                    @match column.sorted { Some(Sort::Up) => (icon(Icon::Up)), Some(Sort::Down) => (icon(Icon::Down)), None => {} }
                }
            } @else { (column.words) }
        }
    }
}

fn body_row(table: &Table<'_>, row: &Row) -> Markup {
    html! {
        tr id={ (table.id) "-" (row.key) } {
            @if table.picks {
                td.pick-cell { input.pick type="checkbox" name="pick" value=(row.key) aria-label={ "Select " (row.name) }; }
            }
            @for (at, cell) in row.cells.iter().enumerate() {
                @let column = table.columns.get(at).copied().unwrap_or_default();
                td.number[column.number].wide[column.wide_only] { (cell) }
            }
        }
    }
}

fn foot(table: &Table<'_>, pager: &Pager<'_>) -> Markup {
    let shown = u64::try_from(table.rows.len()).unwrap_or(u64::MAX);
    html! {
        div.table-foot {
            @match pager.total {
                Some(total) if total != shown => span {
                    (grouped(shown)) " of " (count(total, table.noun.0, table.noun.1)) " shown"
                },
                _ => span { (count(shown, table.noun.0, table.noun.1)) },
            }
            @if pager.first.is_some() || pager.next.is_some() {
                nav.pager aria-label="Parts of the list" {
                    @if let Some(href) = pager.first { a.button.button-small href=(href) { "First" } }
                    @if let Some(href) = pager.next { a.button.button-small href=(href) rel="next" { "Next" } }
                }
            }
        }
    }
}

/// One act on the ticked rows: a button of the bulk form.
#[derive(Clone, Copy, Debug)]
pub struct BulkAction<'a> {
    /// The verb, to be followed by count and noun: "Restart" becomes "Restart 12 agents".
    pub verb: &'a str,
    /// Where it posts to. The page that answers asks for confirmation where one is due.
    pub action: &'a str,
}

/// What can be done with the ticked rows.
#[derive(Clone, Copy, Debug)]
pub struct BulkBar<'a> {
    /// The acts.
    pub actions: &'a [BulkAction<'a>],
    /// What one row is, and several are.
    pub noun: (&'a str, &'a str),
    /// How many match the filter in all: offers the box `matching` (with the filter in `query`), which means all of
    /// them and not only those ticked.
    pub matching: Option<u64>,
    /// The filter that is in force, posted as `query`.
    pub query: &'a str,
    /// The form token of the session.
    pub form_token: &'a str,
}

/// A form around a table with boxes, with the bar that appears as soon as something is ticked. It posts `pick` once
/// per ticked row, `query`, and `matching=1` where all that match are meant. Without script the buttons say "selected"
/// where they would say the count.
#[must_use]
pub fn bulk_form(bar: &BulkBar<'_>, inner: &Markup) -> Markup {
    let (one, many) = bar.noun;
    html! {
        form method="post" data-bulk data-one=(one) data-many=(many) {
            (form_token(bar.form_token))
            input type="hidden" name="query" value=(bar.query);
            (inner)
            div.bulk role="group" aria-label="What to do with those selected" {
                span.count data-count { "Selected " (many) }
                @if let Some(total) = bar.matching {
                    label.matching {
                        input.pick-matching type="checkbox" name="matching" value="1" data-total=(total);
                        "All " (count(total, one, many)) " that match the filter"
                    }
                }
                @for act in bar.actions {
                    button.button.button-small type="submit" formaction=(act.action) data-verb=(act.verb) {
                        (act.verb) " selected " (many)
                    }
                }
            }
        }
    }
}

/// A filter as a link, with how many it would show.
#[derive(Clone, Copy, Debug)]
pub struct Chip<'a> {
    /// Its words: "Down".
    pub words: &'a str,
    /// How many it shows.
    pub count: Option<u64>,
    /// Where it leads.
    pub href: &'a str,
    /// Whether it is in force.
    pub current: bool,
}

/// The filters of a list.
#[derive(Clone, Copy, Debug)]
pub struct FilterBar<'a> {
    /// The list's own path; the query goes into `?q=`.
    pub action: &'a str,
    /// The query in force, in the selector's grammar.
    pub query: &'a str,
    /// An example of a query, shown while the field is empty.
    pub example: &'a str,
    /// What is wrong with the query.
    pub error: Option<&'a str>,
    /// Common filters.
    pub chips: &'a [Chip<'a>],
    /// The topics that change the counts of the common filters, and the URL of this very list; `None` when nothing does.
    pub live: Option<(&'a [&'a str], &'a str)>,
    /// Further parameters of the URL that a new query keeps (name, value).
    pub keep: &'a [(&'a str, &'a str)],
}

/// A query field and common filters.
#[must_use]
pub fn filter_bar(bar: &FilterBar<'_>) -> Markup {
    html! {
        form.filter method="get" action=(bar.action) role="search" aria-label="Filter this list" {
            @for (name, value) in bar.keep { input type="hidden" name=(name) value=(value); }
            div.query {
                (icon(Icon::Search))
                input #filter-query type="search" name="q" value=(bar.query) placeholder=(bar.example) aria-label="Filter"
                    autocomplete="off" autocapitalize="off" spellcheck="false" data-search
                    aria-invalid=[bar.error.map(|_| "true")] aria-describedby=[bar.error.map(|_| "filter-error")];
                button.button type="submit" { "Filter" }
            }
            @if !bar.chips.is_empty() {
                @match bar.live {
                    Some((topics, url)) => (live("chips", topics, url, &chips(bar.chips))),
                    None => (chips(bar.chips)),
                }
            }
            @if let Some(error) = bar.error { p.error #filter-error { (error) } }
        }
    }
}

fn chips(chips: &[Chip<'_>]) -> Markup {
    html! {
        ul.chips {
            @for chip in chips {
                li {
                    a href=(chip.href) aria-current=[chip.current.then_some("true")] {
                        (chip.words) @if let Some(count) = chip.count { b { (grouped(count)) } }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_boxes_carry_the_key_so_that_updates_never_move_a_tick() {
        let rows = [Row {
            key: "a1".to_owned(),
            name: "web-01".to_owned(),
            cells: vec![html! { "x" }],
        }];
        let html = table(&Table {
            id: "agents",
            caption: "Agents",
            columns: &[Column {
                words: "Agent",
                ..Column::default()
            }],
            rows: &rows,
            picks: true,
            noun: ("agent", "agents"),
            pager: Some(Pager {
                next: Some("/agents?after=a1"),
                total: Some(412),
                ..Pager::default()
            }),
        })
        .into_string();
        assert!(html.contains("<tr id=\"agents-a1\">"), "{html}");
        assert!(
            html.contains("name=\"pick\" value=\"a1\" aria-label=\"Select web-01\""),
            "{html}"
        );
        assert!(
            html.contains("1 of 412 agents shown") && html.contains("rel=\"next\""),
            "{html}"
        );
    }
}
