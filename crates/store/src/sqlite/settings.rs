//! The account's settings, as one value.

use rusqlite::{Connection, OptionalExtension};

use super::{Store, audit};
use crate::{By, Deed, Result, Settings, StoreError};

const ACCOUNT: &str = "account";

pub(super) fn read(c: &Connection) -> Result<Settings> {
    let json: Option<String> = c
        .prepare_cached("SELECT value FROM setting WHERE name = ?1")?
        .query_row([ACCOUNT], |r| r.get(0))
        .optional()?;
    json.map_or_else(
        || Ok(Settings::default()),
        |json| serde_json::from_str(&json).map_err(|e| StoreError::Database(format!("settings: {e}"))),
    )
}

/// Replaces the settings, which were checked.
fn replace(c: &Connection, settings: &Settings, by: &By) -> Result<()> {
    let value = |s: &Settings| serde_json::to_value(s).map_err(|e| StoreError::Database(e.to_string()));
    let (old, fresh) = (value(&read(c)?)?, value(settings)?);
    let fields = fresh.as_object().into_iter().flatten();
    let changed: Vec<&str> =
        fields.filter(|(name, now)| old.get(name) != Some(now)).map(|(name, _)| name.as_str()).collect();
    audit::note(c, by, Deed::SettingsChanged, changed.join(", "))?;
    c.execute("INSERT OR REPLACE INTO setting VALUES (?1, ?2)", (ACCOUNT, fresh.to_string()))?;
    Ok(())
}

/// Sets the account's time zone.
///
/// # Errors
/// [`StoreError::Invalid`] for `time_zone` where there is no such zone.
pub(super) fn set_time_zone(c: &Connection, time_zone: String, by: &By) -> Result<()> {
    let settings = Settings { time_zone, ..read(c)? }.check().map_err(StoreError::Invalid)?;
    replace(c, &settings, by)
}

impl Store {
    /// The account's settings.
    pub async fn settings(&self) -> Result<Settings> {
        self.read(read).await
    }

    /// Replaces the account's settings.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] with each field that is wrong; nothing is changed then.
    pub async fn change_settings(&self, settings: Settings, by: By) -> Result<Settings> {
        let settings = settings.check().map_err(StoreError::Invalid)?;
        self.write(move |c| {
            replace(c, &settings, &by)?;
            Ok(settings)
        })
        .await
    }
}
