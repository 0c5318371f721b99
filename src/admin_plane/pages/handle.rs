//! What handlers of pages share: the scene of a call, and texts as forms post them.

use super::scene::Scene;
use crate::admin_plane::call::Call;
use crate::auth::permission::Role;
use crate::fleet::time::Timestamp;

/// A [`Scene`] that owns what it lends.
#[derive(Clone, Debug)]
pub(in crate::admin_plane) struct Stage {
    now: Timestamp,
    form_token: String,
    role: Role,
}

impl Stage {
    /// The stage of a call.
    pub(in crate::admin_plane) fn of(call: &Call) -> Self {
        Self {
            now: call.now(),
            form_token: call.form_token(),
            role: call.actor.role,
        }
    }

    /// What page functions are given.
    pub(in crate::admin_plane) fn scene(&self) -> Scene<'_> {
        Scene {
            now: self.now,
            form_token: &self.form_token,
            role: self.role,
        }
    }
}

/// A text as it was before a browser posted it: line ends of a text area come back as CRLF. A text that had CRLF before
/// keeps it.
pub(in crate::admin_plane) fn posted_text(text: &str, before: Option<&str>) -> String {
    let plain = text.replace("\r\n", "\n");
    if before.is_some_and(|before| before.contains("\r\n")) {
        plain.replace('\n', "\r\n")
    } else {
        plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_survive_a_text_area() {
        assert_eq!(posted_text("a\r\nb\r\n", None), "a\nb\n");
        assert_eq!(posted_text("a\r\nb\r\n", Some("x\ny\n")), "a\nb\n");
        assert_eq!(posted_text("a\r\nb\r\n", Some("x\r\n")), "a\r\nb\r\n");
    }
}
