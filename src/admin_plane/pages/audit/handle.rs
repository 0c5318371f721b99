//! The audit log, a part at a time.

use http::StatusCode;
use serde::Deserialize;

use super::{AuditPage, audit, matches};
use crate::admin_plane::call::{Call, View};
use crate::admin_plane::failure::Outcome;
use crate::admin_plane::pages::handle::Stage;
use crate::admin_plane::pages::layout::Nav;
use crate::admin_plane::routes::Row;
use crate::app::audit::PAGE;
use crate::auth::permission::Permission;

/// Records on a page.
const SHOWN: usize = 100;
/// The most records that one request looks through for the words of a query.
const LOOKED_THROUGH: usize = 20 * PAGE;

pub(in crate::admin_plane) fn rows() -> Vec<Row> {
    vec![Row::page("/audit", Permission::ViewAudit, show)]
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Query {
    q: String,
    before: Option<u64>,
    verify: bool,
}

async fn show(call: Call) -> Outcome {
    let query: Query = call.query()?;
    let (mut records, mut before, mut looked) = (Vec::new(), query.before, 0);
    let log = &call.app().audit;
    let step = if query.q.trim().is_empty() {
        SHOWN + 1
    } else {
        PAGE
    };
    let mut is_end = false;
    while records.len() <= SHOWN && looked < LOOKED_THROUGH && !is_end {
        let part = log.page(&call.actor, before, step)?;
        is_end = part.len() < step;
        looked += part.len();
        before = part.last().map(|record| record.number).or(before);
        records.extend(part.into_iter().filter(|record| matches(record, &query.q)));
    }
    let is_more = records.len() > SHOWN || !is_end;
    records.truncate(SHOWN);
    let last = if looked >= LOOKED_THROUGH && records.len() < SHOWN {
        before
    } else {
        records.last().map(|record| record.number)
    };
    let verdict = if query.verify {
        Some(log.verify(&call.actor).await?)
    } else {
        None
    };
    let view = AuditPage {
        records,
        query: query.q,
        before: query.before,
        next: last.filter(|number| is_more && *number > 1),
        verdict,
    };
    let stage = Stage::of(&call);
    let body = audit(&view, &stage.scene());
    Ok(call.page(
        StatusCode::OK,
        View {
            title: "Audit",
            active: Some(Nav::Audit),
            body,
            ..View::default()
        },
    ))
}
