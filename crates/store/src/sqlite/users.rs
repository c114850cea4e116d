//! People who sign in: passwords (hashed by the caller), sessions, invitations; and tokens.

use campaign::UserId;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row};
use sha2::{Digest, Sha256};

use super::{Store, audit, ms, settings, time};
use crate::{ActorId, By, Deed, Invitation, Problem, Result, Role, StoreError, TokenRow, User};

/// How long a session lives unused.
const IDLE: SignedDuration = SignedDuration::from_hours(12);
/// How long a session lives at most.
const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How often the use of a session is stored.
const SEEN_EVERY: SignedDuration = SignedDuration::from_mins(1);
/// How long an invitation is valid.
const INVITED_FOR: SignedDuration = SignedDuration::from_hours(3 * 24);

fn hash(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}

/// What lets a caller in, to be checked again while an answer to the caller goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// An API token, by its number.
    Token(i64),
    /// A person's session, by the hash of its secret.
    Session(Vec<u8>),
}

impl Grant {
    /// The session with this secret.
    pub fn of_session(secret: &str) -> Self {
        Self::Session(hash(secret))
    }
}

/// Whether a session that was begun and last used at these times is still valid.
fn lives(created: i64, seen: i64, now: i64) -> bool {
    now - created < LONGEST.as_millis() as i64 && now - seen < IDLE.as_millis() as i64
}

fn user(r: &Row<'_>) -> rusqlite::Result<User> {
    let role: String = r.get(2)?;
    Ok(User {
        id: UserId(r.get(0)?),
        email: r.get(1)?,
        role: Role::from_word(&role).ok_or(rusqlite::Error::InvalidQuery)?,
        created_at: time(r.get(3)?),
        seen_at: r.get::<_, Option<i64>>(4)?.map(time),
    })
}

fn token(r: &Row<'_>) -> rusqlite::Result<TokenRow> {
    let scope: String = r.get(2)?;
    Ok(TokenRow {
        id: r.get(0)?,
        name: r.get(1)?,
        role: Role::from_scope(&scope).ok_or(rusqlite::Error::InvalidQuery)?,
        created_at: time(r.get(3)?),
    })
}

const USER: &str = "SELECT u.id, u.email, u.role, u.created_at, \
                    (SELECT max(seen_at) FROM session s WHERE s.user_id = u.id) FROM user u";

/// An address in the form in which addresses are compared.
fn address(email: &str) -> Result<String> {
    let email = email.trim().to_lowercase();
    if campaign::email::is_address(&email) {
        Ok(email)
    } else {
        Err(StoreError::Invalid(vec![Problem::new(
            "email",
            "give an e-mail address, such as ana@clinic.example",
        )]))
    }
}

/// A person's address.
fn email(c: &Connection, id: UserId) -> Result<String> {
    c.prepare_cached("SELECT email FROM user WHERE id = ?1")?
        .query_row([id.0], |r| r.get(0))
        .optional()?
        .ok_or(StoreError::NotFound("user"))
}

/// Refuses a change that would leave no admin.
fn keep_an_admin(c: &Connection) -> Result<()> {
    if c.prepare_cached("SELECT 1 FROM user WHERE role = 'admin'")?.exists([])? {
        return Ok(());
    }
    Err(StoreError::Invalid(vec![Problem::new("role", "this is the only admin; make another one first")]))
}

fn insert(c: &Connection, email: &str, role: Role, password: &str, now: i64) -> Result<UserId> {
    let taken = c.prepare_cached("SELECT 1 FROM user WHERE email = ?1")?.exists([email])?;
    if taken {
        return Err(StoreError::Invalid(vec![Problem::new(
            "email",
            format!("{email} has an account already"),
        )]));
    }
    c.execute(
        "INSERT INTO user (email, role, password, created_at) VALUES (?1, ?2, ?3, ?4)",
        (email, role.word(), password, now),
    )?;
    Ok(UserId(c.last_insert_rowid()))
}

impl Store {
    /// Whether there is anybody who can sign in.
    pub async fn has_users(&self) -> Result<bool> {
        self.read(|c| Ok(has_users(c)?)).await
    }

    /// Everybody who can sign in, by address.
    pub async fn users(&self) -> Result<Vec<User>> {
        self.read(|c| {
            Ok(c.prepare_cached(&format!("{USER} ORDER BY u.email"))?
                .query_map([], user)?
                .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Adds a person; `password` is its hash.
    pub async fn add_user(&self, email: &str, role: Role, password: String, by: By) -> Result<UserId> {
        let email = address(email)?;
        self.write(move |c| {
            let id = insert(c, &email, role, &password, ms(by.at))?;
            audit::note(c, &by, Deed::PersonAdded, &email)?;
            Ok(id)
        })
        .await
    }

    /// A person and the hash of their password, by address.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<(User, String)>> {
        let email = email.trim().to_lowercase();
        self.read(move |c| {
            let found = c
                .prepare_cached(&format!("{USER} WHERE u.email = ?1"))?
                .query_row([&email], user)
                .optional()?;
            let Some(found) = found else { return Ok(None) };
            let password = c
                .prepare_cached("SELECT password FROM user WHERE id = ?1")?
                .query_row([found.id.0], |r| r.get(0))?;
            Ok(Some((found, password)))
        })
        .await
    }

    /// Changes what a person may do.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] where no admin would be left.
    pub async fn set_role(&self, id: UserId, role: Role, by: By) -> Result<()> {
        self.write(move |c| {
            if c.execute("UPDATE user SET role = ?2 WHERE id = ?1", (id.0, role.word()))? == 0 {
                return Err(StoreError::NotFound("user"));
            }
            audit::note(c, &by, Deed::RoleChanged, format!("{} {}", email(c, id)?, role.word()))?;
            keep_an_admin(c)
        })
        .await
    }

    /// Sets a person's password, to this hash, and ends all their sessions.
    pub async fn set_password(&self, id: UserId, password: String, by: By) -> Result<()> {
        self.write(move |c| {
            c.execute("UPDATE user SET password = ?2 WHERE id = ?1", (id.0, password))?;
            c.execute("DELETE FROM session WHERE user_id = ?1", [id.0])?;
            audit::note(c, &by, Deed::PasswordSet, email(c, id)?)
        })
        .await
    }

    /// Removes a person; what they did stays in the histories.
    ///
    /// # Errors
    /// As [`Store::set_role`].
    pub async fn remove_user(&self, id: UserId, by: By) -> Result<()> {
        self.write(move |c| {
            audit::note(c, &by, Deed::PersonRemoved, email(c, id)?)?;
            c.execute("DELETE FROM session WHERE user_id = ?1", [id.0])?;
            if c.execute("DELETE FROM user WHERE id = ?1", [id.0])? == 0 {
                return Err(StoreError::NotFound("user"));
            }
            keep_an_admin(c)
        })
        .await
    }

    /// Begins a session; its secret goes into the person's cookie and nowhere else.
    pub async fn begin_session(&self, id: UserId, secret: &str, now: Timestamp) -> Result<()> {
        let hash = hash(secret);
        self.write(move |c| {
            c.execute("DELETE FROM session WHERE created_at < ?1", [ms(now) - LONGEST.as_millis() as i64])?;
            c.execute("INSERT INTO session VALUES (?1, ?2, ?3, ?3)", (hash, id.0, ms(now)))?;
            let by = By::known(ActorId::User(id), email(c, id)?, now);
            audit::note(c, &by, Deed::SignedIn, &by.actor)
        })
        .await
    }

    /// The person whose session has this secret; none where it has ended.
    pub async fn session(&self, secret: &str, now: Timestamp) -> Result<Option<User>> {
        let hash = hash(secret);
        let theirs = hash.clone();
        let found = self
            .read(move |c| {
                let row: Option<(i64, i64, i64)> = c
                    .prepare_cached("SELECT user_id, created_at, seen_at FROM session WHERE hash = ?1")?
                    .query_row([theirs], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
                    .optional()?;
                let row = row.filter(|(_, created, seen)| lives(*created, *seen, ms(now)));
                let Some((id, _, seen)) = row else { return Ok(None) };
                let user =
                    c.prepare_cached(&format!("{USER} WHERE u.id = ?1"))?.query_row([id], user).optional()?;
                Ok(user.map(|user| (user, seen)))
            })
            .await?;
        let Some((user, seen)) = found else { return Ok(None) };
        if ms(now) - seen > SEEN_EVERY.as_millis() as i64 {
            self.write(move |c| {
                c.execute("UPDATE session SET seen_at = ?2 WHERE hash = ?1", (hash, ms(now)))?;
                Ok(())
            })
            .await?;
        }
        Ok(Some(user))
    }

    /// The role of each of these at `now`, in one read; none where it has ended. Does not count as a use.
    pub async fn granted(&self, grants: Vec<Grant>, now: Timestamp) -> Result<Vec<Option<Role>>> {
        self.read(move |c| {
            let mut tokens = c.prepare_cached("SELECT scope FROM token WHERE id = ?1")?;
            let mut sessions = c.prepare_cached(
                "SELECT u.role, s.created_at, s.seen_at FROM session s JOIN user u ON u.id = s.user_id WHERE s.hash = ?1",
            )?;
            let mut granted = |grant| -> Result<Option<Role>> {
                Ok(match grant {
                    Grant::Token(id) => {
                        let scope: Option<String> = tokens.query_row([id], |r| r.get(0)).optional()?;
                        scope.as_deref().and_then(Role::from_scope)
                    }
                    Grant::Session(hash) => {
                        let row: Option<(String, i64, i64)> =
                            sessions.query_row([hash], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?))).optional()?;
                        let row = row.filter(|(_, created, seen)| lives(*created, *seen, ms(now)));
                        row.and_then(|(role, ..)| Role::from_word(&role))
                    }
                })
            };
            grants.into_iter().map(&mut granted).collect()
        })
        .await
    }

    /// Ends a session: its cookie no longer works.
    pub async fn end_session(&self, secret: &str, by: By) -> Result<()> {
        let hash = hash(secret);
        self.write(move |c| {
            c.execute("DELETE FROM session WHERE hash = ?1", [hash])?;
            audit::note(c, &by, Deed::SignedOut, &by.actor)
        })
        .await
    }

    /// Stores an invitation: its secret lets one person make an account of this role.
    pub async fn invite(&self, role: Role, secret: &str, by: By) -> Result<()> {
        let hash = hash(secret);
        self.write(move |c| {
            let now = by.at;
            c.execute("DELETE FROM invitation WHERE expires_at < ?1", [ms(now)])?;
            let until = ms(now) + INVITED_FOR.as_millis() as i64;
            c.execute("INSERT INTO invitation VALUES (?1, ?2, ?3)", (hash, role.word(), until))?;
            audit::note(c, &by, Deed::PersonInvited, role.word())
        })
        .await
    }

    /// The invitation with this secret; none where it was used or is too old.
    pub async fn invitation(&self, secret: &str, now: Timestamp) -> Result<Option<Invitation>> {
        let hash = hash(secret);
        self.read(move |c| invited(c, &hash, ms(now))).await
    }

    /// Accepts an invitation with a new account. Only the first person also gives the time zone of the settings: a zone
    /// that somebody later gives is ignored.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] with the field that is wrong; nothing is changed then.
    pub async fn accept_invitation(
        &self,
        secret: &str,
        email: &str,
        password: String,
        time_zone: Option<String>,
        now: Timestamp,
    ) -> Result<UserId> {
        let (hash, email) = (hash(secret), address(email)?);
        self.write(move |c| {
            let invitation = invited(c, &hash, ms(now))?.ok_or(StoreError::NotFound("invitation"))?;
            c.execute("DELETE FROM invitation WHERE hash = ?1", [hash])?;
            let id = insert(c, &email, invitation.role, &password, ms(now))?;
            let by = By::known(ActorId::User(id), email, now);
            audit::note(c, &by, Deed::AccountMade, &by.actor)?;
            if let Some(zone) = time_zone.filter(|_| invitation.is_first) {
                settings::set_time_zone(c, zone, &by)?;
            }
            Ok(id)
        })
        .await
    }

    /// Stores an API token; only its hash is kept.
    pub async fn add_token(&self, name: String, role: Role, secret: &str, by: By) -> Result<()> {
        let hash = hash(secret);
        self.write(move |c| {
            c.execute(
                "INSERT INTO token (name, scope, hash, created_at) VALUES (?1, ?2, ?3, ?4)",
                (&name, role.scope(), hash, ms(by.at)),
            )?;
            audit::note(c, &by, Deed::TokenMade, name)
        })
        .await
    }

    /// The token with this secret, if there is one.
    pub async fn token(&self, secret: &str) -> Result<Option<TokenRow>> {
        let hash = hash(secret);
        self.read(move |c| {
            Ok(c.prepare_cached("SELECT id, name, scope, created_at FROM token WHERE hash = ?1")?
                .query_row([hash], token)
                .optional()?)
        })
        .await
    }

    /// Every token, newest first.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>> {
        self.read(|c| {
            Ok(c.prepare_cached("SELECT id, name, scope, created_at FROM token ORDER BY id DESC")?
                .query_map([], token)?
                .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Ends a token.
    pub async fn remove_token(&self, id: i64, by: By) -> Result<()> {
        self.write(move |c| {
            let name: Option<String> = c
                .prepare_cached("DELETE FROM token WHERE id = ?1 RETURNING name")?
                .query_row([id], |r| r.get(0))
                .optional()?;
            audit::note(c, &by, Deed::TokenEnded, name.ok_or(StoreError::NotFound("token"))?)
        })
        .await
    }
}

fn has_users(c: &Connection) -> rusqlite::Result<bool> {
    c.prepare_cached("SELECT 1 FROM user")?.exists([])
}

fn invited(c: &Connection, hash: &[u8], now: i64) -> Result<Option<Invitation>> {
    let role: Option<String> = c
        .prepare_cached("SELECT role FROM invitation WHERE hash = ?1 AND expires_at > ?2")?
        .query_row((hash, now), |r| r.get(0))
        .optional()?;
    let Some(role) = role.as_deref().and_then(Role::from_word) else { return Ok(None) };
    Ok(Some(Invitation { role, is_first: role == Role::Admin && !has_users(c)? }))
}
