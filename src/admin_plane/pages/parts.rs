//! Building blocks of pages: pure functions from plain values to markup.
//!
//! Every string that an agent or a person chose goes through [`visible`] (most parts do it themselves; where one takes
//! [`Markup`] the caller does). Nothing here carries an inline style or an inline script: the content security policy
//! of [`super::layout`] forbids both.

mod action;
mod code;
mod diff;
mod facts;
mod form;
mod icon;
mod list;
pub mod live;
mod notice;
mod status;
mod table;
mod text;
mod time;
mod tree;

pub use action::{Confirm, button, button_link, confirm, post_button};
pub use code::{code_block, copy_inline, numbered_code};
pub use diff::{DiffKind, DiffLine, DiffView, Span, diff, diff_with};
pub use facts::{Fact, Tab, facts, label, labels, tabs};
pub use form::{
    Choice, Field, FieldError, Input, check, choices, editor, error_summary, field, form_token, select_field,
};
pub use icon::{Icon, icon, mark};
pub use list::{Event, Problem, problems, timeline};
pub use live::live;
pub use notice::{Banner, BannerKind, Empty, ProgressPart, banner, empty, progress};
pub use status::{Status, badge, shape, status_line, tally};
pub use table::{
    BulkAction, BulkBar, Chip, Column, FilterBar, Pager, Row, Sort, Table, bulk_form, filter_bar, table,
};
pub use text::{count, visible, visible_text};
pub use time::{absolute, ago, duration_words, since};
pub use tree::{HealthNode, health_tree};

#[doc(no_inline)]
pub use maud::Markup;
