//! From a reply to bytes: offers encoded once, and nothing over the size limit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;

use crate::fleet::agent::{Offer, Reply, Update};
use crate::fleet::hash::Digest;
use crate::fleet::ids::InstanceUid;
use crate::opamp::{ServerCapabilities, encode_offer, encode_with};

/// What we can do, as every first answer says.
pub(super) const CAPABILITIES: ServerCapabilities = ServerCapabilities::SERVED;

/// The wire form of offers in use, by content: a fleet is offered few.
#[derive(Debug, Default)]
pub(super) struct Offers(Mutex<HashMap<Digest, (Weak<Offer>, Bytes)>>);

impl Offers {
    /// The bytes of an offer.
    fn encoded(&self, offer: &Arc<Offer>) -> Bytes {
        let mut offers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, bytes)) = offers.get(&offer.stamp.digest)
            && known.upgrade().is_some_and(|known| Arc::ptr_eq(&known, offer))
        {
            return bytes.clone();
        }
        offers.retain(|_, (known, _)| known.strong_count() > 0);
        let bytes = encode_offer(offer);
        offers.insert(offer.stamp.digest, (Arc::downgrade(offer), bytes.clone()));
        bytes
    }

    /// Puts the bytes of a reply behind what is in `bytes`. An offer that makes it larger than `limit` is left out: the
    /// agent still gets its acknowledgement, and the fact is logged (S-016, S-034).
    pub(super) fn write(&self, mut bytes: Vec<u8>, uid: &[u8], reply: &Reply, limit: usize) -> Vec<u8> {
        let start = bytes.len();
        encode_with(&mut bytes, uid, reply, CAPABILITIES, |offer| self.encoded(offer));
        if bytes.len() <= limit {
            return bytes;
        }
        let offered = match reply {
            Reply::Update(update) => update.remote_config.as_ref().map(|offer| offer.stamp.digest),
            Reply::Error(_) | Reply::Command(_) => None,
        };
        tracing::error!(
            instance_uid = <[u8; 16]>::try_from(uid)
                .ok()
                .map(|uid| tracing::field::display(InstanceUid(uid))),
            config = offered.map(tracing::field::display),
            size_bytes = bytes.len(),
            limit_bytes = limit,
            "a configuration doesn't fit into a message and was not sent: raise limits.message_size or publish a smaller one"
        );
        bytes.truncate(start);
        let small = match reply {
            Reply::Update(update) => Reply::Update(Update {
                remote_config: None,
                ..update.clone()
            }),
            Reply::Error(_) | Reply::Command(_) => reply.clone(),
        };
        encode_with(&mut bytes, uid, &small, CAPABILITIES, |offer| self.encoded(offer));
        bytes
    }
}
