//! Where passwords are hashed: two at a time, with a short queue. Each takes 19 MiB and some 25 ms of a processor.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::app::error::Error;
use crate::app::randomness::random;
use crate::auth::password::{Password, PasswordHash};

/// How many are hashed at a time.
const CONCURRENCY: usize = 2;
/// How many are hashed or wait; who comes then is sent away at once.
const QUEUE: usize = 16;

#[derive(Debug)]
pub(super) struct Hashing {
    running: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    decoy: PasswordHash,
}

impl Hashing {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self {
            running: Arc::new(Semaphore::new(CONCURRENCY)),
            queue: Arc::new(Semaphore::new(QUEUE)),
            decoy: PasswordHash::decoy(random()?).map_err(Error::internal)?,
        })
    }

    /// What the password of an account that doesn't exist is compared with.
    pub(super) fn decoy(&self) -> PasswordHash {
        self.decoy.clone()
    }

    /// The hash of a password.
    pub(super) async fn hash(&self, password: &Password) -> Result<PasswordHash, Error> {
        let password = password.clone();
        let salt = random()?;
        let hash = self.run(move || PasswordHash::new(&password, salt)).await?;
        hash.map_err(Error::internal)
    }

    /// Runs `work` where it blocks nobody. It keeps its place until it is done, also when nobody waits for it any more.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let busy = Error::TooMany {
            retry_after: Duration::from_secs(1),
        };
        let Ok(place) = Arc::clone(&self.queue).try_acquire_owned() else {
            return Err(busy);
        };
        let running = Arc::clone(&self.running)
            .acquire_owned()
            .await
            .map_err(Error::internal)?;
        let work = tokio::task::spawn_blocking(move || {
            let result = work();
            drop((running, place));
            result
        });
        work.await.map_err(Error::internal)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn two_run_at_a_time_and_who_finds_the_queue_full_is_sent_away() {
        let hashing = Hashing::new().unwrap();
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let attempts = (0..100).map(|_| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            let password = Password::new("wrong");
            let decoy = hashing.decoy();
            hashing.run(move || {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let verdict = decoy.verify(&password);
                running.fetch_sub(1, Ordering::SeqCst);
                verdict
            })
        });
        let results = futures_util::future::join_all(attempts).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), QUEUE);
        assert!(most.load(Ordering::SeqCst) <= CONCURRENCY);
    }
}
