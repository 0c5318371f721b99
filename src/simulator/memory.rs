//! What a simulation keeps in a file, so that a later one goes on as the same agents.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fleet::config::ConfigMap;
use crate::fleet::ids::InstanceUid;
use crate::fleet::time::Timestamp;

/// The agents of a simulation. Holds credentials: the file is readable by its owner alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// The version of this layout.
    pub version: u32,
    /// The seed, which host names are made of.
    pub seed: u64,
    /// The credential of all agents, where they share one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// The agents by number.
    pub agents: BTreeMap<u32, KeptAgent>,
    /// The configurations that they run, by the server's hash in hexadecimal digits.
    #[serde(default)]
    pub configs: BTreeMap<String, ConfigMap>,
}

/// One agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptAgent {
    /// The uid that it uses.
    pub uid: InstanceUid,
    /// The number of its next message.
    pub sequence: u64,
    /// When it started.
    pub started_at: Timestamp,
    /// Whether it has told everything once, and nothing of that is pending.
    pub introduced: bool,
    /// Its credential, where each has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// The hash of what it runs, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<String>,
}

/// Why agents can't be kept or found again.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The file can't be used.
    #[error("cannot use {}", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// Something else is in it.
    #[error("{} holds no agents of a simulation", .0.display())]
    Content(PathBuf, #[source] serde_json::Error),
    /// Another version wrote it.
    #[error("{} was written by another version of muster", .0.display())]
    Version(PathBuf),
}

impl Memory {
    /// The only layout so far.
    pub const VERSION: u32 = 1;

    /// Reads the file at `path`; `None` when there is none.
    ///
    /// # Errors
    /// [`MemoryError`] when it can't be read.
    pub fn load(path: &Path) -> Result<Option<Self>, MemoryError> {
        let text = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(MemoryError::File(path.to_owned(), error)),
            Ok(text) => text,
        };
        let memory: Self =
            serde_json::from_slice(&text).map_err(|error| MemoryError::Content(path.to_owned(), error))?;
        if memory.version == Self::VERSION {
            Ok(Some(memory))
        } else {
            Err(MemoryError::Version(path.to_owned()))
        }
    }

    /// Writes the file at `path`, replacing it whole.
    ///
    /// # Errors
    /// [`MemoryError`] when it can't be written.
    pub fn save(&self, path: &Path) -> Result<(), MemoryError> {
        let failed = |error| MemoryError::File(path.to_owned(), error);
        let text = serde_json::to_vec(self).map_err(|error| MemoryError::Content(path.to_owned(), error))?;
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let new = PathBuf::from(name);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&new).map_err(failed)?;
        file.write_all(&text).map_err(failed)?;
        fs::rename(&new, path).map_err(failed)
    }
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a text can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes that hexadecimal digits stand for; `None` when they are none.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_survive_the_file_and_nobody_else_reads_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agents.json");
        assert_eq!(Memory::load(&path).unwrap(), None);
        let agent = KeptAgent {
            uid: InstanceUid([3; 16]),
            sequence: 9,
            started_at: Timestamp(5_000_000_001),
            introduced: true,
            credential: Some("mst_agent_x".into()),
            running: Some(hex(&[1, 255])),
        };
        let memory = Memory {
            version: Memory::VERSION,
            seed: 7,
            credential: None,
            agents: BTreeMap::from([(4, agent)]),
            configs: BTreeMap::from([(hex(&[1, 255]), ConfigMap::document("a: 1"))]),
        };
        memory.save(&path).unwrap();
        memory.save(&path).unwrap();
        assert_eq!(Memory::load(&path).unwrap(), Some(memory));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(unhex("01ff"), Some(vec![1, 255]));
        assert_eq!(unhex("0é"), None);
    }

    #[test]
    fn something_else_in_the_file_is_no_agents() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, "{\"version\":2,\"seed\":1,\"agents\":{}}").unwrap();
        assert!(matches!(Memory::load(&path), Err(MemoryError::Version(_))));
        fs::write(&path, "version: 1").unwrap();
        assert!(matches!(Memory::load(&path), Err(MemoryError::Content(..))));
    }
}
