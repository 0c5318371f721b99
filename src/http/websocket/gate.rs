//! Follows the frames in a stream of bytes, and hands them on one by one.

/// Knows where in a frame, and in a message, the bytes that were handed on have ended.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// The header so far: at most 2 bytes, 8 of extended length, 4 of mask.
    header: [u8; 14],
    header_length: usize,
    /// What is left of the payload once the header is complete.
    payload_left: Option<u64>,
    /// A fragmented message waits for its continuation.
    message_open: bool,
    /// The payloads of the message that is on the way, or was last: of all its frames so far, as announced.
    message_size: u64,
    /// The largest payload since the last [`Gate::settle`].
    largest: u64,
    /// What was read beyond the current frame. Empty, and without memory, unless the peer sends frames back to back.
    surplus: Vec<u8>,
    /// How much of `surplus` was handed on.
    surplus_taken: usize,
}

impl Gate {
    /// A gate in front of a stream from which `surplus` was read already.
    pub(super) fn new(surplus: Vec<u8>) -> Self {
        Self {
            surplus,
            ..Self::default()
        }
    }

    /// Fills `buffer` from what was read earlier; 0 when there is nothing.
    pub(super) fn take_surplus(&mut self, buffer: &mut [u8]) -> usize {
        if self.surplus.is_empty() {
            return 0;
        }
        let surplus = std::mem::take(&mut self.surplus);
        let rest = surplus.get(self.surplus_taken..).unwrap_or_default();
        let fits = rest.get(..buffer.len()).unwrap_or(rest);
        let taken = self.follow(fits);
        for (to, from) in buffer.iter_mut().zip(fits.iter().take(taken)) {
            *to = *from;
        }
        self.surplus_taken += taken;
        if self.surplus_taken < surplus.len() {
            self.surplus = surplus;
        } else {
            self.surplus_taken = 0;
        }
        taken
    }

    /// Keeps what of `bytes`, just read from the peer, lies beyond the current frame. How many lie within it.
    pub(super) fn keep_surplus(&mut self, bytes: &[u8]) -> usize {
        let taken = self.follow(bytes);
        if let Some(rest) = bytes.get(taken..) {
            self.surplus.extend_from_slice(rest);
        }
        taken
    }

    /// Whether no part of a message is on the way: nothing was handed on since the last message ended.
    pub(super) fn is_between_messages(&self) -> bool {
        !self.message_open && self.header_length == 0
    }

    /// The size of the message that is on the way, or was last, as far as its frames announced it; in bytes.
    pub(super) fn message_size(&self) -> u64 {
        self.message_size
    }

    /// The largest payload since [`Gate::settle`], in bytes.
    pub(super) fn largest(&self) -> u64 {
        self.largest
    }

    /// Forgets the largest payload.
    pub(super) fn settle(&mut self) {
        self.largest = 0;
    }

    /// Follows `bytes` to the end of the current frame, or to their own end. How many belong to the frame.
    fn follow(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        for byte in bytes {
            if self.payload_left.is_some() {
                break;
            }
            taken += 1;
            if let Some(place) = self.header.get_mut(self.header_length) {
                *place = *byte;
            }
            self.header_length += 1;
            if self.header_length == self.header_size() {
                let payload = self.payload_size();
                self.payload_left = Some(payload);
                self.largest = self.largest.max(payload);
                self.count(payload);
            }
        }
        let Some(left) = self.payload_left else {
            return taken;
        };
        let here = left.min((bytes.len() - taken) as u64);
        // Not more than the length of a slice.
        taken += usize::try_from(here).unwrap_or(0);
        self.payload_left = Some(left - here);
        if left == here {
            self.end_frame();
        }
        taken
    }

    fn count(&mut self, payload: u64) {
        let [first, ..] = self.header;
        if first & 0x08 != 0 {
            return;
        }
        let before = if self.message_open { self.message_size } else { 0 };
        self.message_size = before.saturating_add(payload);
    }

    fn end_frame(&mut self) {
        let [first, ..] = self.header;
        let (is_final, is_control) = (first & 0x80 != 0, first & 0x08 != 0);
        if !is_control {
            self.message_open = !is_final;
        }
        self.payload_left = None;
        self.header_length = 0;
    }

    /// The header's size as far as it is known.
    fn header_size(&self) -> usize {
        if self.header_length < 2 {
            return 2;
        }
        let [_, second, ..] = self.header;
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        2 + extended + mask
    }

    /// The payload's size, once the header is complete.
    fn payload_size(&self) -> u64 {
        let [_, second, extended @ ..] = &self.header;
        let bytes = match second & 0x7f {
            126 => 2,
            127 => 8,
            short => return short.into(),
        };
        extended
            .iter()
            .take(bytes)
            .fold(0, |size, byte| size << 8 | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_told_apart_at_every_length_and_cut() {
        for payload in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            for masked in [false, true] {
                let frame = super::super::socket::tests::frame(0x82, &vec![7; payload], masked);
                for cut in [0, 1, 2, 5, frame.len() - 1] {
                    let mut gate = Gate::default();
                    let mut bytes = frame.clone();
                    bytes.extend_from_slice(&[0x81, 0x00]);
                    let (first, second) = bytes.split_at(cut.min(frame.len() - 1));
                    assert_eq!(gate.follow(first), first.len());
                    assert_eq!(gate.is_between_messages(), first.is_empty());
                    assert_eq!(first.len() + gate.follow(second), frame.len());
                    assert!(gate.is_between_messages());
                    assert_eq!(gate.largest(), payload as u64);
                }
            }
        }
    }

    #[test]
    fn a_message_is_open_until_its_last_fragment_whatever_comes_between() {
        let mut gate = Gate::default();
        for (first, open) in [
            (0x02, true),
            (0x89, true),
            (0x00, true),
            (0x80, false),
            (0x8a, false),
        ] {
            gate.follow(&[first, 0]);
            assert_eq!(!gate.is_between_messages(), open, "{first:x}");
        }
    }

    #[test]
    fn a_message_is_as_large_as_its_fragments_and_pings_add_nothing() {
        let mut gate = Gate::default();
        for (first, payload, size) in [
            (0x02, 3, 3),
            (0x89, 5, 3),
            (0x00, 4, 7),
            (0x80, 1, 8),
            (0x82, 2, 2),
        ] {
            gate.follow(&[&[first, payload][..], &vec![7; payload.into()]].concat());
            assert_eq!(gate.message_size(), size, "{first:x}");
        }
    }

    #[test]
    fn surplus_is_handed_on_frame_by_frame_and_its_memory_given_back() {
        let mut gate = Gate::new(vec![0x82, 1, 7, 0x82, 0]);
        let mut buffer = [0; 9];
        assert_eq!(gate.take_surplus(&mut buffer), 3);
        assert_eq!(gate.take_surplus(&mut buffer[..1]), 1);
        assert_eq!(gate.take_surplus(&mut buffer), 1);
        assert_eq!(gate.take_surplus(&mut buffer), 0);
        assert_eq!(gate.surplus.capacity(), 0);
    }
}
