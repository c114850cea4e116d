//! Passwords and the secrets of links, cookies and tokens.

use argon2::{
    Argon2, PasswordHasher as _, PasswordVerifier as _,
    password_hash::{PasswordHash, Salt, SaltString},
};
use rand::{Rng as _, distr::Alphanumeric};
use store::{Problem, StoreError};

/// Characters of a secret: 62 to the power of 43 is more than 256 bits.
const LENGTH: usize = 43;
/// NIST SP 800-63B §3.1.1.2, for passwords that stand alone.
const SHORTEST_PASSWORD: usize = 12;
/// Far more than anybody types: hashing what a stranger sends has its price.
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
/// [`StoreError::Invalid`] where it is too short or too long.
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

/// Whether a password fits a hash. Without a hash it takes as long, and does not fit: how long an answer takes
/// does not tell who has an account.
pub(crate) async fn fits(password: String, hash: Option<String>) -> store::Result<bool> {
    if password.len() > LONGEST_PASSWORD * 4 {
        return Ok(false);
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

async fn blocking<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> store::Result<T> {
    tokio::task::spawn_blocking(f).await.map_err(|e| StoreError::Database(e.to_string()))
}
