//! A cursor over Protobuf bytes: the few reads that both scanning and framing need. Total, and allocates nothing.

/// Why the next piece could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The bytes end inside a field.
    #[error("the message ends in the middle of a field")]
    Truncated,
    /// A number of more than 64 bits.
    #[error("a number has more than 64 bits")]
    Number,
    /// A field number that no field can have.
    #[error("a field has a number that Protobuf doesn't allow")]
    FieldNumber,
    /// A wire type that Protobuf doesn't define, or the groups of old.
    #[error("a field has a wire type that OpAMP doesn't use")]
    WireType,
    /// A known field in another form than the schema's.
    #[error("a field has another type than OpAMP gives it")]
    FieldType,
}

/// One field's value as it stands on the wire.
#[derive(Clone, Copy, Debug)]
pub(super) enum Raw<'a> {
    /// A number of variable length.
    Varint(u64),
    /// Eight bytes.
    Fixed64,
    /// Four bytes, which OpAMP uses nowhere.
    Fixed32,
    /// Bytes behind their length: texts, byte strings and messages alike.
    Delimited(&'a [u8]),
}

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    /// Whether everything was read.
    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The next number: at most 10 bytes, at most 64 bits.
    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, Broken> {
        match self.0 {
            // All of OpAMP's tags and most of its lengths.
            [byte @ ..0x80, rest @ ..] => {
                self.0 = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Broken> {
        let mut value = 0;
        let mut shift = 0;
        while let [byte, rest @ ..] = self.0 {
            self.0 = rest;
            // The tenth byte has room for one bit.
            if shift == 63 && *byte > 1 {
                return Err(Broken::Number);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
        Err(Broken::Truncated)
    }

    /// The next field: its number and its value.
    pub(super) fn field(&mut self) -> Result<(u32, Raw<'a>), Broken> {
        let key = u32::try_from(self.varint()?).map_err(|_| Broken::FieldNumber)?;
        let number = key >> 3;
        if number == 0 {
            return Err(Broken::FieldNumber);
        }
        let raw = match key & 7 {
            0 => Raw::Varint(self.varint()?),
            1 => self.take(8).map(|_| Raw::Fixed64)?,
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length).map_err(|_| Broken::Truncated)?;
                Raw::Delimited(self.take(length)?)
            }
            5 => self.take(4).map(|_| Raw::Fixed32)?,
            _ => return Err(Broken::WireType),
        };
        Ok((number, raw))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Broken> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Broken::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }
}
