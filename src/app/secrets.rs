//! Secrets: values that layers name and nobody is shown. They are sealed in the store and resolved only into what an agent
//! is sent.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::changes::Topic;
use super::configs::short;
use super::error::Error;
use super::intentions::{Index, Intentions};
use super::vault::{SealKey, Sealed};
use crate::auth::actor::Actor;
use crate::auth::permission::Permission;
use crate::fleet::config::Variable;
use crate::fleet::name::Name;
use crate::fleet::time::Timestamp;
use crate::observability::Secret as Hidden;
use crate::store::{Batch, Record};

/// The shortest value, in bytes: what is shorter can't be told from other text where agents report it.
const SHORTEST_BYTES: usize = 4;
/// The longest value, in bytes.
const LONGEST_BYTES: usize = 16 * 1024;
/// So many values before the present one are kept, to keep them out of what agents report.
const REMEMBERED: usize = 4;

/// A secret as the store keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SecretRecord {
    /// Its identity.
    pub name: Name,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// How often its value was set.
    pub version: u64,
    /// When its value or description was last set.
    pub updated_at: Timestamp,
    /// Who did.
    pub updated_by: String,
    /// The value.
    pub value: Sealed,
    /// The values before, newest first.
    #[serde(default)]
    pub before: Vec<Sealed>,
}

/// A secret in memory.
#[derive(Debug)]
pub struct SecretHead {
    /// What the store has.
    pub record: SecretRecord,
    /// The value; `None` when it can't be opened.
    pub value: Option<Hidden<String>>,
    /// The values before that can be opened.
    pub before: Vec<Hidden<String>>,
}

/// A secret as people see it: everything but the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretView {
    /// Its name: `${muster:secret.NAME}` stands for it.
    pub name: Name,
    /// What it is for.
    pub description: String,
    /// How often its value was set.
    pub version: u64,
    /// When it was last set.
    pub updated_at: Timestamp,
    /// Who did.
    pub updated_by: String,
    /// Whether its value can't be opened: the key in the data folder is another. Set it again.
    pub unreadable: bool,
    /// The groups whose published layers name it.
    pub groups: Vec<Name>,
}

/// A secret that is to be set.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetSecret {
    /// The value; the present one stays when it is left out.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub value: Option<HiddenText>,
    /// What it is for; the present description stays when it is left out.
    #[serde(default)]
    pub description: Option<String>,
}

/// A text that prints as `***`.
#[derive(Debug)]
pub struct HiddenText(pub Hidden<String>);

impl<'de> Deserialize<'de> for HiddenText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Hidden::new(text)))
    }
}

impl SecretHead {
    /// A record with its values opened; those that can't be are logged.
    pub(super) fn open(record: SecretRecord, key: &SealKey) -> Self {
        let open = |sealed: &Sealed| {
            let opened = key.open(SecretRecord::TABLE, record.name.as_str(), sealed)?;
            String::from_utf8(opened.to_vec()).ok().map(Hidden::new)
        };
        let value = open(&record.value);
        if value.is_none() {
            tracing::error!(secret = %record.name, "a secret can't be opened: the key in the data folder is another");
        }
        Self {
            value,
            before: record.before.iter().filter_map(open).collect(),
            record,
        }
    }
}

impl SecretView {
    fn of(index: &Index, head: &SecretHead) -> Self {
        let record = &head.record;
        Self {
            name: record.name.clone(),
            description: record.description.clone(),
            version: record.version,
            updated_at: record.updated_at,
            updated_by: record.updated_by.clone(),
            unreadable: head.value.is_none(),
            groups: index.groups_with_variable(&Variable::Secret(record.name.clone())),
        }
    }
}

impl Intentions {
    /// All secrets in the order of their names, without their values.
    ///
    /// # Errors
    /// When the actor may not look at the fleet.
    pub fn secrets(&self, actor: &Actor) -> Result<Vec<SecretView>, Error> {
        actor.may(Permission::ViewFleet)?;
        let index = self.index();
        Ok(index.secrets().map(|head| SecretView::of(&index, head)).collect())
    }

    /// Makes a secret, or sets its value or description. Nothing is sent: groups that use it are marked.
    ///
    /// # Errors
    /// [`Error::Invalid`] says what must change.
    pub async fn set_secret(&self, actor: &Actor, name: &str, set: SetSecret) -> Result<SecretView, Error> {
        actor.may(Permission::ManageSecrets)?;
        let name = Name::new(name).map_err(|error| Error::invalid("name", error.to_string()))?;
        if let Some(description) = &set.description {
            short("description", description)?;
        }
        let value = set.value.as_ref().map(|value| value.0.reveal().as_str());
        value.map_or(Ok(()), acceptable)?;
        let mut writing = self.begin().await?;
        let mut index = writing.index();
        let known = index.secret(&name).map(Arc::clone);
        let record = self.next_record(actor, &name, known.as_ref().map(|head| &head.record), &set)?;
        let mut batch = Batch::new();
        batch.put(&name, &record);
        let told = match (value.is_some(), &known) {
            (true, None) => "made",
            (true, Some(_)) => "its value was set",
            (false, _) => "its description was set",
        };
        let object = format!("secret/{name}");
        batch.audit(self.audited(actor, "secret.set", object, told.to_owned()));
        writing.commit(batch).await?;
        let head = SecretHead::open(record, self.seal_key());
        index.put_secret(head);
        let view = index.secret(&name).map(|head| SecretView::of(&index, head));
        writing.install(index, [Topic::Configs, Topic::Groups], true);
        view.ok_or_else(|| Error::not_found("secret", &name))
    }

    fn next_record(
        &self,
        actor: &Actor,
        name: &Name,
        known: Option<&SecretRecord>,
        set: &SetSecret,
    ) -> Result<SecretRecord, Error> {
        let sealed = |value: &HiddenText| {
            let plain = value.0.reveal().as_bytes();
            self.seal_key().seal(SecretRecord::TABLE, name.as_str(), plain)
        };
        let description = set.description.clone();
        let (now, by) = (self.now(), actor.name.clone());
        let Some(known) = known else {
            let value = set.value.as_ref();
            let value = value.ok_or_else(|| Error::invalid("value", "a new secret needs a value"))?;
            return Ok(SecretRecord {
                name: name.clone(),
                description: description.unwrap_or_default(),
                version: 1,
                updated_at: now,
                updated_by: by,
                value: sealed(value)?,
                before: Vec::new(),
            });
        };
        let mut record = SecretRecord {
            updated_at: now,
            updated_by: by,
            ..known.clone()
        };
        if let Some(description) = description {
            record.description = description;
        }
        if let Some(value) = &set.value {
            record.version += 1;
            record
                .before
                .insert(0, std::mem::replace(&mut record.value, sealed(value)?));
            record.before.truncate(REMEMBERED);
        }
        Ok(record)
    }

    /// Deletes a secret that no published layer names.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] names the groups that use it.
    pub async fn delete_secret(&self, actor: &Actor, name: &str) -> Result<(), Error> {
        actor.may(Permission::ManageSecrets)?;
        let mut writing = self.begin().await?;
        let mut index = writing.index();
        let found = Name::new(name)
            .ok()
            .and_then(|name| index.secret(&name).map(Arc::clone));
        let head = found.ok_or_else(|| Error::not_found("secret", name))?;
        let groups = SecretView::of(&index, &head).groups;
        if !groups.is_empty() {
            let groups: Vec<_> = groups.iter().map(Name::as_str).collect();
            return Err(Error::Conflict(format!(
                "what is published to the groups {} uses it",
                groups.join(", ")
            )));
        }
        let name = head.record.name.clone();
        let mut batch = Batch::new();
        batch.delete::<SecretRecord>(&name);
        batch.audit(self.audited(actor, "secret.delete", format!("secret/{name}"), String::new()));
        writing.commit(batch).await?;
        index.remove_secret(&name);
        writing.install(index, [Topic::Configs], true);
        Ok(())
    }
}

fn acceptable(value: &str) -> Result<(), Error> {
    let length = value.len();
    if length < SHORTEST_BYTES {
        let why = format!(
            "a secret has at least {SHORTEST_BYTES} bytes: a shorter one can't be kept out of reports"
        );
        return Err(Error::invalid("value", why));
    }
    if length > LONGEST_BYTES {
        let why = format!("a secret has at most {LONGEST_BYTES} bytes; this has {length}");
        return Err(Error::invalid("value", why));
    }
    if value
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r'))
    {
        return Err(Error::invalid("value", "a secret has no control characters"));
    }
    Ok(())
}
