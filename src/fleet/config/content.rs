//! The content of an offer: named entries with opaque bodies, in one canonical encoding.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fleet::hash::Digest;

/// One entry: OpAMP's `AgentConfigObject`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigFile {
    /// The body, byte for byte. In JSON as text where it is UTF-8, else base64 behind `base64:`.
    #[serde(with = "text_or_base64")]
    #[schemars(with = "String")]
    pub body: Vec<u8>,
    /// A MIME type; empty when not stated.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub content_type: String,
    /// The role of the entry, as the agent type defines it; empty when not stated.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub role: String,
}

/// Entries by name: OpAMP's `AgentConfigMap`. The empty name is legal and is what a Supervisor uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ConfigMap {
    /// The entries.
    pub files: BTreeMap<String, ConfigFile>,
}

/// Stored bytes that are not a canonical encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored configuration content is damaged")]
pub struct ContentError;

impl ConfigMap {
    /// One document under the empty name, as collectors take it.
    #[must_use]
    pub fn document(yaml: &str) -> Self {
        let file = ConfigFile {
            body: yaml.as_bytes().to_vec(),
            content_type: "text/yaml".into(),
            role: String::new(),
        };
        Self {
            files: BTreeMap::from([(String::new(), file)]),
        }
    }

    /// The canonical encoding: for each entry in name order, name, content type, role and body, each behind its length
    /// (8 bytes, big endian). Unambiguous, so different contents never share a digest (S-132).
    #[must_use]
    pub fn to_canonical(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.size() + self.files.len() * 32);
        for (name, file) in &self.files {
            for part in [
                name.as_bytes(),
                file.content_type.as_bytes(),
                file.role.as_bytes(),
                &file.body,
            ] {
                bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
                bytes.extend_from_slice(part);
            }
        }
        bytes
    }

    /// Reads the canonical encoding.
    ///
    /// # Errors
    /// [`ContentError`] when the bytes are not one.
    pub fn from_canonical(mut bytes: &[u8]) -> Result<Self, ContentError> {
        fn part<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], ContentError> {
            let (length, rest) = bytes.split_first_chunk::<8>().ok_or(ContentError)?;
            let length = usize::try_from(u64::from_be_bytes(*length)).map_err(|_| ContentError)?;
            let (part, rest) = rest.split_at_checked(length).ok_or(ContentError)?;
            *bytes = rest;
            Ok(part)
        }
        fn text(bytes: &mut &[u8]) -> Result<String, ContentError> {
            String::from_utf8(part(bytes)?.to_vec()).map_err(|_| ContentError)
        }
        let mut files = BTreeMap::new();
        while !bytes.is_empty() {
            let name = text(&mut bytes)?;
            let content_type = text(&mut bytes)?;
            let role = text(&mut bytes)?;
            let body = part(&mut bytes)?.to_vec();
            files.insert(
                name,
                ConfigFile {
                    body,
                    content_type,
                    role,
                },
            );
        }
        Ok(Self { files })
    }

    /// The digest of the canonical encoding.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_canonical())
    }

    /// The bytes of all bodies, names, types and roles together.
    #[must_use]
    pub fn size(&self) -> usize {
        self.files
            .iter()
            .map(|(n, f)| n.len() + f.body.len() + f.content_type.len() + f.role.len())
            .sum()
    }

    /// Whether there is no entry: an instruction to run nothing, not the absence of a configuration.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

pub(crate) mod text_or_base64 {
    use std::borrow::Cow;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    const MARK: &str = "base64:";

    pub(crate) fn serialize<S: Serializer>(body: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(body) {
            Ok(text) if !text.starts_with(MARK) => serializer.serialize_str(text),
            _ => serializer.collect_str(&format_args!("{MARK}{}", STANDARD.encode(body))),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        match text.strip_prefix(MARK) {
            Some(encoded) => STANDARD.decode(encoded).map_err(serde::de::Error::custom),
            None => Ok(text.into_owned().into_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &[u8])]) -> ConfigMap {
        let file = |body: &[u8]| ConfigFile {
            body: body.to_vec(),
            ..ConfigFile::default()
        };
        ConfigMap {
            files: entries
                .iter()
                .map(|(name, body)| ((*name).to_owned(), file(body)))
                .collect(),
        }
    }

    #[test]
    fn names_and_bodies_can_not_run_into_each_other() {
        assert_ne!(map(&[("a", b"bc")]).digest(), map(&[("ab", b"c")]).digest());
        let mut typed = map(&[("a", b"bc")]);
        typed.files.get_mut("a").unwrap().content_type = "text/yaml".into();
        assert_ne!(typed.digest(), map(&[("a", b"bc")]).digest());
        let mut role = map(&[("a", b"bc")]);
        role.files.get_mut("a").unwrap().role = "text/yaml".into();
        assert_ne!(typed.digest(), role.digest());
    }

    #[test]
    fn the_canonical_encoding_reads_back_and_damage_is_noticed() {
        let map = map(&[("", b"x: 1"), ("b", &[0, 255, 1])]);
        let bytes = map.to_canonical();
        assert_eq!(ConfigMap::from_canonical(&bytes), Ok(map));
        assert_eq!(
            ConfigMap::from_canonical(&bytes[..bytes.len() - 1]),
            Err(ContentError)
        );
    }

    #[test]
    fn any_body_survives_json() {
        for body in [&b"x: 1"[..], b"base64:", &[0xff, 0xfe], b""] {
            let map = map(&[("", body)]);
            let json = serde_json::to_string(&map).unwrap();
            assert_eq!(serde_json::from_str::<ConfigMap>(&json).unwrap(), map);
        }
    }
}
