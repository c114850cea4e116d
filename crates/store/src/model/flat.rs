//! Inputs that are one flat JSON object, made of a common part and a part by kind. Each part takes its own fields, so
//! that an unknown field is refused by name (serde's `flatten` would let it pass).

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Problem;

type Fields = Map<String, Value>;

/// Divides `value`, which is called `what`, into the fields named in `common` and all others.
pub(super) fn parts(value: Value, common: &[&str], what: &str) -> Result<(Fields, Fields), Problem> {
    let Value::Object(whole) = value else {
        return Err(Problem::new("", format!("a {what} must be an object")));
    };
    Ok(whole.into_iter().partition(|(field, _)| common.contains(&field.as_str())))
}

/// Reads one part.
pub(super) fn part<T: DeserializeOwned>(fields: Fields) -> Result<T, Problem> {
    serde_path_to_error::deserialize(Value::Object(fields)).map_err(|e| {
        let path = e.path().to_string();
        Problem::new(if path == "." { String::new() } else { path }, e.into_inner())
    })
}

/// A problem as a serde error.
pub(super) fn error<E: serde::de::Error>(problem: &Problem) -> E {
    match problem.field.as_str() {
        "" => E::custom(&problem.message),
        field => E::custom(format!("{field}: {}", problem.message)),
    }
}
