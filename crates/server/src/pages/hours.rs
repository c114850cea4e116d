//! The form of a sending window, for campaigns and for the account.

use campaign::Window;
use serde::Deserialize;
use serde_json::{Value, json};

/// The days of a week, as forms and the API name them.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The fields of the sending hours.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Hours {
    /// `any`; otherwise the hours below hold.
    window: String,
    days: Vec<String>,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) except: String,
}

impl Hours {
    pub(super) fn of(window: Option<&Window>) -> Self {
        // Initial hours, if there are none so far.
        let hours = serde_json::to_value(window.cloned().unwrap_or_default()).unwrap_or_default();
        let text = |key: &str| hours.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let list = |key: &str| -> Vec<String> {
            let values = hours.get(key).and_then(Value::as_array).into_iter().flatten();
            values.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Self {
            window: if window.is_none() { "any" } else { "hours" }.to_owned(),
            days: list("days"),
            from: text("from"),
            to: text("to"),
            except: list("except").join(", "),
        }
    }

    /// The value as the API takes it.
    pub(super) fn change(&self) -> Value {
        if self.any() {
            return Value::Null;
        }
        let except: Vec<&str> = self.except.split([',', ' ', '\n', '\r']).filter(|d| !d.is_empty()).collect();
        json!({"days": self.days, "from": self.from, "to": self.to, "except": except})
    }

    pub(super) fn any(&self) -> bool {
        self.window == "any"
    }

    pub(super) fn days(&self) -> [&'static str; 7] {
        DAYS
    }

    pub(super) fn has_day(&self, day: &str) -> bool {
        self.days.iter().any(|d| d == day)
    }
}
