//! Enrolment tokens in memory.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use crate::fleet::enrolment::EnrolmentToken;
use crate::fleet::hash::Digest;
use crate::fleet::ids::EnrolmentTokenId;

/// The tokens by id and by their secret's digest.
#[derive(Debug, Default)]
pub(super) struct Tokens(RwLock<Index>);

#[derive(Debug, Default)]
struct Index {
    tokens: HashMap<EnrolmentTokenId, EnrolmentToken>,
    by_secret: HashMap<Digest, EnrolmentTokenId>,
}

impl Tokens {
    /// Adds or replaces a token.
    pub(super) fn put(&self, token: EnrolmentToken) {
        let mut index = self.0.write().unwrap_or_else(PoisonError::into_inner);
        index.by_secret.insert(token.secret_digest, token.id);
        index.tokens.insert(token.id, token);
    }

    /// The token with this id.
    pub(super) fn get(&self, id: EnrolmentTokenId) -> Option<EnrolmentToken> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .tokens
            .get(&id)
            .cloned()
    }

    /// The token with this secret.
    pub(super) fn find(&self, digest: &Digest) -> Option<EnrolmentTokenId> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .by_secret
            .get(digest)
            .copied()
    }

    /// All tokens, in no order.
    pub(super) fn all(&self) -> Vec<EnrolmentToken> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .tokens
            .values()
            .cloned()
            .collect()
    }
}
