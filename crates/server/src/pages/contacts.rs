//! Contacts: lists, files that are imported into them, and one person's page.

use askama::Template;
use axum::{
    Router,
    extract::{DefaultBodyLimit, Multipart, Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use campaign::{ImportId, ListId, Msisdn, SkipReason, msisdn::Country};
use futures::TryStreamExt;
use jiff::Timestamp;
use serde::Deserialize;
use store::{Contact, ImportState, StoreError};

use super::{Me, Posted, Refused, Shown, Wrong, again, page, shown, words};
use crate::{
    App,
    api::lists::{begin_csv, fits, spool},
    auth::Caller,
    problem::Problem,
};

/// Contacts on a page of a list.
const MEMBERS: u32 = 50;
/// Imports shown with a list.
const IMPORTS: u32 = 10;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/contacts", get(lists).post(new_list))
        .route("/contacts/lists/{id}", get(list).post(import))
        // A file of contacts is written to the disk as it comes: `spool` has its own limit.
        .layer(DefaultBodyLimit::disable())
        .route("/contacts/imports/{id}", get(import_state))
        .route("/contacts/{number}", get(person))
        .route("/contacts/{number}/block", post(block))
        .route("/contacts/{number}/unblock", post(unblock))
        .route("/contacts/{number}/delete", post(delete))
}

#[derive(Template)]
#[template(path = "contacts.html")]
struct ListsPage {
    me: Me,
    lists: Vec<(ListId, String, i64)>,
    name: String,
    q: String,
    wrong: Wrong,
}

#[derive(Deserialize)]
struct Search {
    #[serde(default)]
    q: String,
}

/// The number of an address or a search field.
fn number(text: &str) -> Result<Msisdn, Problem> {
    Msisdn::parse(text, None).map_err(|e| Problem::field("q", e))
}

async fn lists(State(app): State<App>, caller: Caller, Query(search): Query<Search>) -> Shown {
    let mut wrong = Wrong::default();
    if !search.q.is_empty() {
        match number(&search.q) {
            Ok(number) => return Ok(Redirect::to(&format!("/contacts/{number}")).into_response()),
            Err(problem) => wrong.0 = problem.into_fields().unwrap_or_default(),
        }
    }
    let lists = app.store.lists().await?;
    Ok(page(&ListsPage { me: Me::new(caller, "contacts"), lists, name: String::new(), q: search.q, wrong }))
}

#[derive(Deserialize)]
struct NewList {
    #[serde(default)]
    name: String,
}

async fn new_list(State(app): State<App>, caller: Caller, Posted(new): Posted<NewList>) -> Shown {
    match app.store.create_list(new.name.trim().to_owned(), Timestamp::now()).await {
        Ok(id) => Ok(Redirect::to(&format!("/contacts/lists/{id}")).into_response()),
        Err(e) => {
            let wrong = Wrong(Problem::from(e).into_fields()?);
            let lists = app.store.lists().await?;
            let page =
                ListsPage { me: Me::new(caller, "contacts"), lists, name: new.name, q: String::new(), wrong };
            Ok(again(&page, StatusCode::UNPROCESSABLE_ENTITY))
        }
    }
}

#[derive(Template)]
#[template(path = "list.html")]
struct List {
    me: Me,
    id: ListId,
    name: String,
    size: i64,
    imports: Vec<ImportState>,
    members: Vec<Contact>,
    next: Option<Msisdn>,
    wrong: Option<String>,
}

impl List {
    async fn new(app: &App, caller: Caller, path: &str, after: Option<Msisdn>) -> Result<Self, Refused> {
        let id: ListId = path.parse().map_err(|_| Problem::not_found("there is no such list"))?;
        let (name, size) = app.store.list(id).await?;
        let members = app.store.members(id, after, MEMBERS).await?;
        let next = if members.len() == MEMBERS as usize { members.last().map(|c| c.number) } else { None };
        let imports = app.store.imports(id, IMPORTS).await?;
        Ok(Self { me: Me::new(caller, "contacts"), id, name, size, imports, members, next, wrong: None })
    }
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: String,
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    Query(after): Query<After>,
) -> Shown {
    let list = List::new(&app, caller, &path, Msisdn::parse(&after.after, None).ok()).await?;
    Ok(page(&list))
}

/// Takes a file and begins its import.
async fn import(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    headers: HeaderMap,
    mut form: Multipart,
) -> Shown {
    let mut list = List::new(&app, caller, &path, None).await?;
    let begun = match fits(&headers) {
        Ok(()) => receive(&app, list.id, &mut form).await,
        Err(problem) => Err(problem),
    };
    match begun {
        Ok(begun) => Ok(Redirect::to(&format!("/contacts/imports/{}", begun.id)).into_response()),
        Err(problem) => {
            let status = problem.status();
            list.wrong = Some(problem.into_detail());
            Ok(again(&list, status))
        }
    }
}

async fn receive(app: &App, list: ListId, form: &mut Multipart) -> Result<ImportState, Problem> {
    let broken = |e: axum::extract::multipart::MultipartError| Problem::unreadable(e.body_text());
    let mut country: Option<Country> = None;
    while let Some(field) = form.next_field().await.map_err(broken)? {
        match field.name() {
            Some("country") => {
                let code = field.text().await.map_err(broken)?;
                if !code.trim().is_empty() {
                    country = Some(code.trim().parse().map_err(|e| Problem::field("country", e))?);
                }
            }
            Some("file") => {
                if field.file_name().is_none_or(str::is_empty) {
                    return Err(Problem::field("file", "choose a file first"));
                }
                let file = spool(app, field.map_err(broken)).await?;
                return begin_csv(app, list, file, country).await;
            }
            _ => {}
        }
    }
    Err(Problem::field("file", "choose a file first"))
}

#[derive(Template)]
#[template(path = "import.html")]
struct ImportPage {
    me: Me,
    import: ImportState,
    list: ListId,
    name: String,
    errors: Vec<store::RowError>,
}

impl ImportPage {
    fn runs(&self) -> bool {
        self.import.state == "running"
    }
}

/// Errors of an import that its page shows; the file has all of them.
const ERRORS: usize = 20;

async fn import_state(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    let id: ImportId = path.parse().map_err(|_| Problem::not_found("there is no such import"))?;
    let import = app.store.import(id).await?;
    let list = app.store.list_of_import(id).await?;
    let (name, _) = app.store.list(list).await?;
    let errors = app.store.import_errors(id, Some(ERRORS)).await?;
    Ok(page(&ImportPage { me: Me::new(caller, "contacts"), import, list, name, errors }))
}

#[derive(Template)]
#[template(path = "person.html")]
struct Person {
    me: Me,
    c: Contact,
}

impl Person {
    fn is_blocked(&self) -> bool {
        self.c.suppressed.iter().any(|s| s.reason == SkipReason::Blocked.word())
    }

    fn title(&self) -> String {
        let part = |name: &str| self.c.fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        let name: Vec<&str> = [part("first_name"), part("last_name")].into_iter().flatten().collect();
        if name.is_empty() { self.c.number.to_string() } else { name.join(" ") }
    }
}

async fn person(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    let number = number(&path).map_err(|_| Problem::not_found("this is no telephone number"))?;
    let c = app.store.contact(number).await?;
    Ok(page(&Person { me: Me::new(caller, "contacts"), c }))
}

fn back(number: Msisdn) -> Response {
    Redirect::to(&format!("/contacts/{number}")).into_response()
}

async fn block(State(app): State<App>, Path(path): Path<String>) -> Shown {
    let number = number(&path)?;
    app.store.suppress(number, "all", SkipReason::Blocked.word(), Timestamp::now()).await?;
    Ok(back(number))
}

async fn unblock(State(app): State<App>, Path(path): Path<String>) -> Shown {
    let number = number(&path)?;
    for suppressed in app.store.contact(number).await?.suppressed {
        let channel = ["sms", "voice", "all"].into_iter().find(|c| *c == suppressed.channel);
        // What the person asked for themselves is only theirs to lift.
        if let Some(channel) = channel.filter(|_| suppressed.reason == SkipReason::Blocked.word()) {
            app.store.unsuppress(number, channel).await?;
        }
    }
    Ok(back(number))
}

async fn delete(State(app): State<App>, Path(path): Path<String>) -> Shown {
    if app.store.delete_contact(number(&path)?).await? {
        Ok(Redirect::to("/contacts").into_response())
    } else {
        Err(StoreError::NotFound("contact").into())
    }
}
