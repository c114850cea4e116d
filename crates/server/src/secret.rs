//! Passwords and the secrets of links, cookies and tokens.

use std::{
    num::NonZeroUsize,
    sync::{Arc, LazyLock},
};

use argon2::{
    Argon2, PasswordHasher as _, PasswordVerifier as _,
    password_hash::{PasswordHash, Salt, SaltString},
};
use rand::{Rng as _, distr::Alphanumeric};
use store::{Problem, StoreError};
use tokio::sync::Semaphore;

/// Characters of a secret: 62 to the power of 43 is more than 256 bits.
const LENGTH: usize = 43;
/// The shortest password, where it is the only factor (NIST SP 800-63B §3.1.1.2).
const SHORTEST_PASSWORD: usize = 12;
/// The longest password, far longer than anybody types: hashing what a stranger sends is expensive.
const LONGEST_PASSWORD: usize = 200;

/// A new secret.
pub fn new() -> String {
    rand::rng().sample_iter(Alphanumeric).take(LENGTH).map(char::from).collect()
}

fn salt() -> argon2::password_hash::Result<SaltString> {
    let mut bytes = [0; Salt::RECOMMENDED_LENGTH];
    rand::rng().fill(&mut bytes);
    SaltString::encode_b64(&bytes)
}

/// The Argon2id hash of a new password.
///
/// # Errors
/// [`StoreError::Invalid`] if it is too short or too long.
pub async fn hash(password: String) -> store::Result<String> {
    let length = password.chars().count();
    if !(SHORTEST_PASSWORD..=LONGEST_PASSWORD).contains(&length) {
        let message = format!("choose a password of {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters");
        return Err(StoreError::Invalid(vec![Problem::new("password", message)]));
    }
    blocking(move || {
        let broken = |e: argon2::password_hash::Error| StoreError::Database(e.to_string());
        let salt = salt().map_err(broken)?;
        let hashed = Argon2::default().hash_password(password.as_bytes(), &salt);
        hashed.map(|hash| hash.to_string()).map_err(broken)
    })
    .await?
}

/// Whether a password fits a hash. Without a hash it takes as long and does not fit: the time of an answer does not
/// tell who has an account.
pub(crate) async fn fits(mut password: String, mut hash: Option<String>) -> store::Result<bool> {
    // Nobody has a password that long; an attempt with one costs as much time as any other.
    if password.len() > LONGEST_PASSWORD * 4 {
        password.clear();
        hash = None;
    }
    blocking(move || {
        let Some(hash) = hash else {
            let _ = salt().map(|salt| Argon2::default().hash_password(password.as_bytes(), &salt).is_ok());
            return false;
        };
        let known = PasswordHash::new(&hash);
        known.is_ok_and(|known| Argon2::default().verify_password(password.as_bytes(), &known).is_ok())
    })
    .await
}

/// The most hashes at a time: each takes a core for tens of milliseconds and 19 MiB, by design.
static ROOM: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    Arc::new(Semaphore::new(cores))
});

async fn blocking<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> store::Result<T> {
    let broken = |e: &dyn std::fmt::Display| StoreError::Database(e.to_string());
    let room = ROOM.clone().acquire_owned().await.map_err(|e| broken(&e))?;
    let hashing = tokio::task::spawn_blocking(move || {
        // The client may hang up: the slot is taken for as long as the hash is.
        let _room = room;
        f()
    });
    hashing.await.map_err(|e| broken(&e))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_more_is_hashed_at_a_time_than_there_are_cores_even_where_whoever_asked_hangs_up() {
        static NOW: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        static DONE: AtomicUsize = AtomicUsize::new(0);
        let work = || {
            MOST.fetch_max(NOW.fetch_add(1, SeqCst) + 1, SeqCst);
            std::hint::black_box((0..200_000_u64).map(|n| n ^ (n << 7)).fold(0, u64::wrapping_add));
            NOW.fetch_sub(1, SeqCst);
            DONE.fetch_add(1, SeqCst);
        };
        let all: Vec<_> = (0..64).map(|_| tokio::spawn(blocking(work))).collect();
        for (at, one) in all.into_iter().enumerate() {
            if at % 2 == 0 {
                one.abort();
            } else {
                one.await.unwrap().unwrap();
            }
        }
        let cores = std::thread::available_parallelism().unwrap().get();
        assert!(MOST.load(SeqCst) <= cores, "{MOST:?}");
        assert!(DONE.load(SeqCst) >= 32, "{DONE:?}");
    }
}
