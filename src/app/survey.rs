//! Every record of a store read once, whoever uses it: what can't be read is then known to the store.

use super::intentions::SealedContent;
use super::messages::Received;
use super::records::{ComponentSet, Pulses, TimelineEntry};
use super::secrets::SecretRecord;
use super::vault::SealKey;
use crate::auth::account::{Account, Setup};
use crate::auth::session::Session;
use crate::fleet::agent::{Delivery, Registration, Reported};
use crate::fleet::config::{Config, Revision};
use crate::fleet::enrolment::EnrolmentToken;
use crate::fleet::group::Group;
use crate::fleet::identity::Credential;
use crate::fleet::rollout::{Member, PendingMove, Rollout};
use crate::fleet::target::{Rendered, Target};
use crate::fleet::time::Timestamp;
use crate::store::{Place, ReadError, Record, Store};

/// What a look at all records found, beside [`Store::unreadable`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surveyed {
    /// The records of all kinds that can be read.
    pub records: u64,
    /// How many agents there are.
    pub agents: usize,
    /// How many secrets and contents with secrets there are.
    pub sealed: usize,
    /// How many of them the key opens.
    pub opened: usize,
    /// The tables whose records were read.
    pub tables: Vec<&'static str>,
    /// When the last act in the audit log happened; `None` when there is none.
    pub last_act: Option<Timestamp>,
}

/// Reads every record and verifies every row.
///
/// # Errors
/// When the storage fails.
pub fn survey(store: &Store, key: Option<&SealKey>) -> Result<Surveyed, ReadError> {
    let mut found = Surveyed::default();
    store.scrub(&Place::default(), u64::MAX)?;
    found.agents = readable::<Registration>(store, &mut found)?.len();
    readable::<Reported>(store, &mut found)?;
    readable::<Delivery>(store, &mut found)?;
    readable::<Pulses>(store, &mut found)?;
    readable::<TimelineEntry>(store, &mut found)?;
    readable::<ComponentSet>(store, &mut found)?;
    readable::<Received>(store, &mut found)?;
    readable::<Credential>(store, &mut found)?;
    readable::<EnrolmentToken>(store, &mut found)?;
    readable::<Account>(store, &mut found)?;
    readable::<Session>(store, &mut found)?;
    readable::<Setup>(store, &mut found)?;
    readable::<Group>(store, &mut found)?;
    readable::<Config>(store, &mut found)?;
    readable::<Revision>(store, &mut found)?;
    readable::<Target>(store, &mut found)?;
    readable::<Rendered>(store, &mut found)?;
    readable::<Rollout>(store, &mut found)?;
    readable::<Member>(store, &mut found)?;
    readable::<PendingMove>(store, &mut found)?;
    let contents = readable::<SealedContent>(store, &mut found)?;
    let secrets = readable::<SecretRecord>(store, &mut found)?;
    found.sealed = contents.len() + secrets.len();
    if let Some(key) = key {
        let contents = contents
            .iter()
            .map(|(digest, content)| (SealedContent::TABLE, digest.to_string(), &content.content));
        let secrets = secrets
            .iter()
            .map(|(name, secret)| (SecretRecord::TABLE, name.to_string(), &secret.value));
        found.opened = contents
            .chain(secrets)
            .filter(|(table, place, sealed)| key.open(table, place, sealed).is_some())
            .count();
    }
    found.last_act = store.audit(None, 1)?.first().map(|record| record.entry.at);
    Ok(found)
}

fn readable<R: Record>(store: &Store, found: &mut Surveyed) -> Result<Vec<(R::Key, R)>, ReadError> {
    let rows = store.survey::<R>()?.rows;
    found.records += rows.len() as u64;
    found.tables.push(R::TABLE);
    Ok(rows.into_iter().map(|(key, row)| (key, row.record)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{accounts, intentions, records};

    #[test]
    fn no_table_is_left_out() {
        let store = Store::in_memory().unwrap();
        let mut read = survey(&store, None).unwrap().tables;
        let mut all = [records::TABLES, intentions::TABLES, accounts::TABLES].concat();
        read.sort_unstable();
        all.sort_unstable();
        assert_eq!(read, all);
    }
}
