//! Collecting contents that nothing refers to any more.

use std::collections::BTreeSet;
use std::sync::mpsc;

use super::Store;
use super::database::{self, BODIES};
use super::error::{CommitError, ReadError, Unavailable};
use super::key::Key as _;
use super::writer::Job;
use crate::fleet::hash::Digest;

/// What a collection removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// How many contents.
    pub bodies: u64,
    /// Their length, in bytes.
    pub bytes: u64,
}

/// Why a collection failed. What it removed until then was not referred to.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// What is referred to can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Nothing can be removed.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// Contents removed in one commit, at the most.
const BODIES_A_COMMIT: usize = 1_000;

impl Store {
    /// Removes the contents that are not in what `referenced` returns, in commits of a bounded size. Stamps stay: content
    /// that comes back keeps its hash. Blocks the thread.
    ///
    /// `referenced` is asked after the store began to remember what is put, and must answer from the store, not from
    /// memory that may lag behind it. A content that a batch puts meanwhile stays. So a batch that refers to a content
    /// must put it, unless a record that exists refers to it.
    ///
    /// # Errors
    /// When `referenced` fails, or the storage.
    pub fn collect_bodies(
        &self,
        referenced: impl FnOnce() -> Result<BTreeSet<Digest>, ReadError>,
    ) -> Result<Collected, CollectError> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.writer.send(Job::Watch(reply)).map_err(CommitError::from)?;
        answer.recv().map_err(|_| CommitError::from(self.writer.gone()))?;
        let unreferenced = referenced().and_then(|referenced| {
            let mut digests = self.body_digests()?;
            digests.retain(|digest| !referenced.contains(digest));
            Ok(digests)
        });
        let unreferenced = match unreferenced {
            Ok(digests) => digests,
            Err(error) => {
                // What is put needs to be remembered no longer.
                drop(self.remove_bodies(&[], true));
                return Err(error.into());
            }
        };
        let mut collected = Collected::default();
        let mut left = unreferenced.as_slice();
        loop {
            let (digests, rest) = left.split_at(left.len().min(BODIES_A_COMMIT));
            let removed = match self.remove_bodies(digests, rest.is_empty()) {
                Ok(removed) => removed,
                Err(error) => {
                    drop(self.remove_bodies(&[], true));
                    return Err(error.into());
                }
            };
            collected.bodies += removed.bodies;
            collected.bytes += removed.bytes;
            left = rest;
            if left.is_empty() {
                return Ok(collected);
            }
        }
    }

    fn remove_bodies(&self, digests: &[Digest], last: bool) -> Result<Collected, CommitError> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.writer.send(Job::Remove {
            digests: digests.to_vec(),
            last,
            reply,
        })?;
        let answer: Result<Result<Collected, CommitError>, Unavailable> =
            answer.recv().map_err(|_| self.writer.gone());
        answer?
    }

    fn body_digests(&self) -> Result<Vec<Digest>, ReadError> {
        self.read(|transaction| {
            let Some(table) = database::table(transaction, BODIES)? else {
                return Ok(Vec::new());
            };
            let mut digests = Vec::new();
            for row in table.range::<&[u8]>(..)? {
                digests.extend(Digest::from_bytes(row?.0.value()));
            }
            Ok(digests)
        })
    }
}
