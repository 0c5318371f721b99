//! The layout of a WebSocket message: a header of one number, then the Protobuf bytes (S-010 to S-013).

use super::refusal::{Cause, Echo, Refusal};
use super::varint::Cursor;

/// How a peer writes its WebSocket messages, so that it can be answered in kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// A header of 0 in front, since OpAMP 0.7.
    #[default]
    Headed,
    /// Nothing in front, as before.
    Bare,
}

/// The Protobuf bytes of a WebSocket message, and the form that it came in.
///
/// A message that begins with the tag of `instance_uid` is one without a header: Protobuf never begins with a 0, and
/// header 10 is not defined. Longer spellings of 0 are taken too.
///
/// # Errors
/// [`Cause::Header`] for any other header, [`Cause::Broken`] for one that is no number.
pub fn open(message: &[u8]) -> Result<(Form, &[u8]), Refusal> {
    const INSTANCE_UID_TAG: u8 = 0x0a;
    match message.first() {
        None | Some(&INSTANCE_UID_TAG) => return Ok((Form::Bare, message)),
        Some(_) => {}
    }
    let refuse = |cause| Refusal {
        echo: Echo::default(),
        cause,
    };
    let mut cursor = Cursor(message);
    match cursor.varint() {
        Ok(0) => Ok((Form::Headed, cursor.0)),
        Ok(header) => Err(refuse(Cause::Header(header))),
        Err(broken) => Err(refuse(broken.into())),
    }
}

/// An empty WebSocket message of `form`, for the Protobuf bytes to be put behind: see
/// [`encode_with`](super::encode_with).
#[must_use]
pub fn start(form: Form) -> Vec<u8> {
    match form {
        Form::Headed => vec![0],
        Form::Bare => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_stripped_in_every_spelling_of_zero() {
        assert_eq!(open(&[0, 0x0a, 0x00]), Ok((Form::Headed, &[0x0a, 0x00][..])));
        assert_eq!(open(&[0]), Ok((Form::Headed, &[][..])));
        assert_eq!(open(&[0x80, 0, 0x0a]), Ok((Form::Headed, &[0x0a][..])));
        assert_eq!(open(&[0x80, 0x80, 0, 7]), Ok((Form::Headed, &[7][..])));
    }

    #[test]
    fn an_agent_of_old_times_needs_no_header_and_gets_none() {
        assert_eq!(open(&[0x0a, 0x10, 1]), Ok((Form::Bare, &[0x0a, 0x10, 1][..])));
        assert_eq!(open(&[]), Ok((Form::Bare, &[][..])));
        assert!(start(Form::Bare).is_empty());
        assert_eq!(start(Form::Headed), [0]);
    }

    #[test]
    fn any_other_header_is_refused() {
        let cause = |message: &[u8]| open(message).err().map(|refusal| refusal.cause);
        assert_eq!(cause(&[5, 0x0a, 0x00]), Some(Cause::Header(5)));
        assert_eq!(cause(&[0x80, 1]), Some(Cause::Header(128)));
        assert!(matches!(cause(&[0x80]), Some(Cause::Broken(_))));
        assert!(matches!(cause(&[0xff; 11]), Some(Cause::Broken(_))));
    }
}
