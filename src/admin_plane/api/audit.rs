//! The audit log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answer, Given, Nothing};
use crate::admin_plane::call::Call;
use crate::app::audit::{AuditRecord, AuditVerdict, PAGE};

/// Which part of the log.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::admin_plane) struct Before {
    /// Only records with a smaller number; the newest when it isn't given.
    #[serde(default)]
    before: Option<u64>,
    /// The most records, at most 500.
    #[serde(default)]
    limit: Option<usize>,
}

/// A part of the log.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::admin_plane) struct Records {
    /// The newest first.
    records: Vec<AuditRecord>,
    /// What to give as `before` for the next page; `None` = this is the last.
    next: Option<u64>,
}

pub(in crate::admin_plane) async fn page(call: Call, query: Before, _: Nothing) -> Given<Records> {
    let limit = query.limit.unwrap_or(100).clamp(1, PAGE);
    let records = call.app().audit.page(&call.actor, query.before, limit)?;
    let next = records
        .last()
        .map(|record| record.number)
        .filter(|number| *number > 1 && records.len() == limit);
    Ok(Answer::ok(Records { records, next }))
}

pub(in crate::admin_plane) async fn verify(call: Call, _: Nothing, _: Nothing) -> Given<AuditVerdict> {
    Ok(Answer::ok(call.app().audit.verify(&call.actor).await?))
}
