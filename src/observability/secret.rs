//! Values that must not be seen.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// A value that prints as `***` and leaves nothing in memory when dropped. Reading it is spelled out: [`Secret::reveal`].
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Hides `value`.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, for the place that needs it; not for logs, errors or pages.
    pub const fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<T: Zeroize> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints() {
        #[derive(Debug)]
        #[expect(dead_code, reason = "printed as a whole")]
        struct Login {
            user: &'static str,
            password: Secret<String>,
        }
        let password = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{password} {password:?}"), "*** ***");
        let login = format!(
            "{:?}",
            Login {
                user: "ann",
                password
            }
        );
        assert!(login.contains("ann") && !login.contains("hunter2"), "{login}");
    }
}
