//! The only place that asks the operating system for randomness.

use super::error::Error;

/// `N` bytes that nobody can foresee.
///
/// # Errors
/// [`Error::Internal`] when the system gives none: nothing is made without it.
pub fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(Error::internal)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn randomness_does_not_repeat() {
        assert_ne!(random::<16>().unwrap(), random::<16>().unwrap());
    }
}
