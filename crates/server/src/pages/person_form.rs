//! A contact as a person types it: added to a list, or edited. What cannot be read is named by its field, and changes nothing.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use campaign::{ListId, Msisdn, ZoneGroup, email, msisdn::Country, zone};
use serde::Deserialize;
use store::{Consent, Contact, NewContact, Problem as FieldProblem, StoreError};

use super::{Me, Posted, Shown, Wrong, again, contacts::number, page, t};
use crate::{App, auth::Caller, limits::LONGEST_VALUE, problem::Problem, uploads};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/contacts/lists/{id}/add", get(new).post(add))
        .route("/contacts/{number}/edit", get(edit).post(save))
}

/// The fields that every contact may have, besides its number and its zone.
const FIELDS: [&str; 4] = ["first_name", "last_name", "email", "language"];

/// A contact as typed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PersonForm {
    number: String,
    time_zone: String,
    /// Where a new contact agreed, if it did.
    consent: String,
    #[serde(flatten)]
    fields: BTreeMap<String, String>,
}

impl PersonForm {
    fn of(contact: &Contact) -> Self {
        let fields: BTreeMap<String, String> = contact.fields.iter().cloned().collect();
        let time_zone = fields.get("time_zone").cloned().unwrap_or_default();
        Self { number: contact.number.to_string(), time_zone, consent: String::new(), fields }
    }

    fn value(&self, field: &str) -> &str {
        self.fields.get(field).map_or("", String::as_str)
    }

    /// The fields that this contact has of its own.
    fn own(&self) -> impl Iterator<Item = (&String, &String)> {
        self.fields.iter().filter(|(name, _)| !FIELDS.contains(&name.as_str()) && *name != "time_zone")
    }

    /// The contact, with the fields of `known` that it may have; `number` where it is a contact already.
    fn read(
        &self,
        known: &[String],
        country: Option<Country>,
        number: Option<Msisdn>,
    ) -> Result<NewContact, StoreError> {
        let mut problems = Vec::new();
        let mut wrong = |field: &str, message: String| problems.push(FieldProblem::new(field, message));
        let number = match number.map_or_else(|| Msisdn::parse(&self.number, country), Ok) {
            Ok(number) => Some(number),
            Err(e) => {
                wrong("number", e.to_string());
                None
            }
        };
        let mut zones = number.and_then(zone::of_number).map(str::to_owned);
        let mut fields: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, value) in &self.fields {
            let value = value.trim();
            if value.is_empty() || name == "time_zone" || !known.contains(name) {
                continue;
            }
            if value.chars().count() > LONGEST_VALUE {
                wrong(name, format!("Use at most {LONGEST_VALUE} characters."));
            } else if name == "email" && !email::is_address(value) {
                wrong(name, "Enter an email address such as ana@clinic.example.".to_owned());
            }
            fields.insert(name, value);
        }
        let own = self.time_zone.trim();
        if !own.is_empty() {
            match ZoneGroup::parse(own) {
                Ok(zone) => zones = Some(zone.name().to_owned()),
                Err(e) => wrong("time_zone", e.to_string()),
            }
            fields.insert("time_zone", own);
        }
        let fields = if fields.is_empty() { None } else { serde_json::to_string(&fields).ok() };
        match number {
            Some(number) if problems.is_empty() => Ok(NewContact { number, zones, fields, consent: None }),
            _ => Err(StoreError::Invalid(problems)),
        }
    }
}

#[derive(Template)]
#[template(path = "person_form.html")]
struct EditPerson {
    me: Me,
    /// The list that a new contact is added to, with its name.
    into: Option<(ListId, String)>,
    form: PersonForm,
    wrong: Wrong,
}

/// The list in an address, with its name.
async fn list(app: &App, path: &str) -> Result<(ListId, String), Problem> {
    let id: ListId = path.parse().map_err(|_| Problem::not_found("there is no such list"))?;
    Ok((id, app.store.list(id).await?.0))
}

async fn new(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    let into = Some(list(&app, &path).await?);
    let (form, wrong) = (PersonForm::default(), Wrong::default());
    Ok(page(&EditPerson { me: Me::new(caller, "contacts"), into, form, wrong }))
}

async fn add(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    Posted(form): Posted<PersonForm>,
) -> Shown {
    let into = list(&app, &path).await?;
    // It was checked when the settings were saved.
    let country = app.store.settings().await?.country.and_then(|code| code.parse().ok());
    let read = form.read(&app.store.fields().await?, country, None);
    let contact = match read {
        Ok(contact) => contact,
        Err(e) => return refused(caller, Some(into), form, e),
    };
    let (number, by) = (contact.number, caller.by());
    let source = form.consent.trim().to_owned();
    let consent = (!source.is_empty()).then(|| Consent { source, at: by.at, by: caller.name.clone() });
    app.store.add_contact(into.0, NewContact { consent, ..contact }, by).await?;
    uploads::index_names_soon(&app.store);
    Ok(Redirect::to(&format!("/contacts/{number}")).into_response())
}

async fn edit(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    let contact = known(&app, &path).await?;
    let (form, wrong) = (PersonForm::of(&contact), Wrong::default());
    Ok(page(&EditPerson { me: Me::new(caller, "contacts"), into: None, form, wrong }))
}

async fn known(app: &App, path: &str) -> Result<Contact, Problem> {
    let contact = app.store.contact(number(path)?).await?;
    if contact.known { Ok(contact) } else { Err(StoreError::NotFound("contact").into()) }
}

async fn save(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    Posted(form): Posted<PersonForm>,
) -> Shown {
    let contact = known(&app, &path).await?;
    // What a contact has stays a field of it, whatever became of the file that it came from.
    let mut fields = app.store.fields().await?;
    fields.extend(contact.fields.iter().map(|(name, _)| name.clone()));
    match form.read(&fields, None, Some(contact.number)) {
        Ok(changed) => {
            app.store.edit_contact(changed, caller.by()).await?;
            uploads::index_names_soon(&app.store);
            Ok(Redirect::to(&format!("/contacts/{}", contact.number)).into_response())
        }
        Err(e) => {
            let form = PersonForm { number: contact.number.to_string(), ..form };
            refused(caller, None, form, e)
        }
    }
}

/// The form again, with what is wrong in it.
fn refused(caller: Caller, into: Option<(ListId, String)>, form: PersonForm, e: StoreError) -> Shown {
    let wrong = Wrong(Problem::from(e).into_fields()?);
    let page = EditPerson { me: Me::new(caller, "contacts"), into, form, wrong };
    let again: Response = again(&page, StatusCode::UNPROCESSABLE_ENTITY);
    Ok(again)
}
