//! Routes of pages and their forms.

use super::Row;

pub(super) fn rows() -> Vec<Row> {
    vec![]
}
