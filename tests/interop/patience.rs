//! Waiting for what other programs do.

use std::time::{Duration, Instant};

/// How long anything may take that is no matter of seconds by its nature.
pub(crate) const SOON: Duration = Duration::from_secs(15);
/// How long a Supervisor may take to start its collector and have it running.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// Looks until `look` finds something; what it found, and how long that took.
#[track_caller]
pub(crate) fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            println!("{what}: after {:.2} s", start.elapsed().as_secs_f32());
            return found;
        }
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Looks for the whole of `time`, in which `look` must never find anything.
#[track_caller]
pub(crate) fn never<T: std::fmt::Debug>(what: &str, time: Duration, mut look: impl FnMut() -> Option<T>) {
    let start = Instant::now();
    while start.elapsed() < time {
        let found = look();
        assert!(found.is_none(), "{what}: {found:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
