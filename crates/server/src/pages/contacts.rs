//! Contacts: lists and one person's page.

use askama::Template;
use axum::{
    Router,
    extract::{Multipart, Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use campaign::{ListId, Msisdn, SkipReason};
use serde::Deserialize;
use store::{Barred, Consent, Contact, ImportState, ImportTarget, PersonDelivery, StoreError, Suppressed};

use super::{
    Me, Posted, Refused, Shown, Wrong, again,
    imports::{receive, with_file},
    page, t, words,
};
use crate::{App, auth::Caller, problem::Problem};

/// Contacts on one page of a list.
const MEMBERS: u32 = 50;
/// Campaigns whose messages a person's page shows.
const CAMPAIGNS: u32 = 100;
/// People that a search shows.
const FOUND: usize = 50;
/// Imports shown with a list.
const IMPORTS: u32 = 10;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/contacts", get(lists).post(new_list))
        .route("/contacts/lists/{id}", get(list).merge(post(import).layer(with_file())))
        .route("/contacts/lists/{id}/rename", post(rename_list))
        .route("/contacts/lists/{id}/delete", post(delete_list))
        .route("/contacts/{number}", get(person))
        .route("/contacts/{number}/leave", post(leave))
        .route("/contacts/{number}/block", post(block))
        .route("/contacts/{number}/unblock", post(unblock))
        .route("/contacts/{number}/consent", post(consent))
        .route("/contacts/{number}/delete", post(delete))
}

#[derive(Template)]
#[template(path = "contacts.html")]
struct ListsPage {
    me: Me,
    lists: Vec<(ListId, String, i64)>,
    /// The name of a new list, as typed.
    name: String,
    q: String,
    /// The people that a search found; none if there was no search.
    found: Option<Vec<Contact>>,
    /// Whether there are more people.
    more: bool,
    /// Whether contacts were stored that a search by name does not know yet.
    due: bool,
    wrong: Wrong,
}

#[derive(Deserialize)]
struct Search {
    #[serde(default)]
    q: String,
}

/// The number in an address or a form.
pub(super) fn number(text: &str) -> Result<Msisdn, Problem> {
    Msisdn::parse(text, None).map_err(|e| Problem::field("number", e))
}

async fn lists(State(app): State<App>, caller: Caller, Query(search): Query<Search>) -> Shown {
    let (mut found, mut more, mut due) = (None, false, false);
    if !search.q.trim().is_empty() {
        if let Ok(number) = number(&search.q) {
            return Ok(Redirect::to(&format!("/contacts/{number}")).into_response());
        }
        let (people, others) = app.store.find_contacts(search.q.clone(), FOUND).await?;
        (found, more) = (Some(people), others);
        due = app.store.names_are_due().await?;
    }
    let lists = app.store.lists().await?;
    let (me, name, wrong) = (Me::new(caller, "contacts"), String::new(), Wrong::default());
    Ok(page(&ListsPage { me, lists, name, q: search.q, found, more, due, wrong }))
}

#[derive(Deserialize)]
struct NewList {
    #[serde(default)]
    name: String,
}

async fn new_list(State(app): State<App>, caller: Caller, Posted(new): Posted<NewList>) -> Shown {
    match app.store.create_list(new.name.trim().to_owned(), caller.by()).await {
        Ok(id) => Ok(Redirect::to(&format!("/contacts/lists/{id}")).into_response()),
        Err(e) => {
            let wrong = Wrong(Problem::from(e).into_fields()?);
            let lists = app.store.lists().await?;
            let (me, q) = (Me::new(caller, "contacts"), String::new());
            let page =
                ListsPage { me, lists, name: new.name, q, found: None, more: false, due: false, wrong };
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
    /// The address of actions on this list.
    fn address(&self, what: &str) -> String {
        format!("/contacts/lists/{}/{what}", self.id)
    }

    async fn new(app: &App, caller: Caller, path: &str, after: Option<Msisdn>) -> Result<Self, Refused> {
        let id = list_id(path)?;
        let (name, size) = app.store.list(id).await?;
        let members = app.store.members(id, after, MEMBERS).await?;
        let next = if members.len() == MEMBERS as usize { members.last().map(|c| c.number) } else { None };
        let imports = app.store.imports(Some(id), IMPORTS).await?;
        Ok(Self { me: Me::new(caller, "contacts"), id, name, size, imports, members, next, wrong: None })
    }
}

fn list_id(path: &str) -> Result<ListId, Problem> {
    path.parse().map_err(|_| Problem::not_found("there is no such list"))
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

/// The page of a list with a change that was refused.
async fn list_refused(app: &App, caller: Caller, path: &str, e: StoreError) -> Shown {
    let problem = Problem::from(e);
    let (status, mut list) = (problem.status(), List::new(app, caller, path, None).await?);
    list.wrong = Some(problem.into_detail());
    Ok(again(&list, status))
}

async fn rename_list(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    Posted(new): Posted<NewList>,
) -> Shown {
    let id = list_id(&path)?;
    match app.store.rename_list(id, new.name, caller.by()).await {
        Ok(()) => Ok(Redirect::to(&format!("/contacts/lists/{id}")).into_response()),
        Err(e) => list_refused(&app, caller, &path, e).await,
    }
}

async fn delete_list(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    match app.store.delete_list(list_id(&path)?, caller.by()).await {
        Ok(()) => Ok(Redirect::to("/contacts").into_response()),
        Err(e @ StoreError::Invalid(_)) => list_refused(&app, caller, &path, e).await,
        Err(e) => Err(e.into()),
    }
}

/// Takes in a file; its page asks how to read it.
async fn import(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    headers: HeaderMap,
    form: Multipart,
) -> Shown {
    let by = caller.by();
    let mut list = List::new(&app, caller, &path, None).await?;
    match receive(&app, &headers, form, by, |_| Ok(ImportTarget::List(list.id))).await {
        Ok(begun) => Ok(begun),
        Err(problem) => {
            let status = problem.status();
            list.wrong = Some(problem.into_detail());
            Ok(again(&list, status))
        }
    }
}

#[derive(Template)]
#[template(path = "person.html")]
struct Person {
    me: Me,
    c: Contact,
    /// Messages that were or will be sent to it, newest first.
    messages: Vec<PersonDelivery>,
}

impl Person {
    fn is_blocked(&self) -> bool {
        self.c.suppressed.iter().any(|s| s.reason == SkipReason::Blocked.word())
    }

    /// The address of actions on this person.
    fn address(&self, what: &str) -> String {
        format!("/contacts/{}/{what}", self.c.number)
    }

    fn title(&self) -> String {
        self.c.name().unwrap_or_else(|| self.c.number.to_string())
    }
}

/// Why nothing is sent to a number, and since when.
fn held(s: &Suppressed) -> t::Markup {
    let channel = words::for_purpose(t::word("held-of", &s.channel), &s.purpose);
    t::html("held-since", ("why", t::word("skipped", &s.reason), "channel", channel, "at", t::time(s.at)))
}

async fn person(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    let number = number(&path).map_err(|_| Problem::not_found("this is no telephone number"))?;
    let c = app.store.contact(number).await?;
    let messages = app.store.deliveries_to(number, CAMPAIGNS).await?;
    Ok(page(&Person { me: Me::new(caller, "contacts"), c, messages }))
}

fn back(number: Msisdn) -> Response {
    Redirect::to(&format!("/contacts/{number}")).into_response()
}

async fn block(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    let number = number(&path)?;
    app.store.suppress(number, Barred::All, SkipReason::Blocked.word(), caller.by()).await?;
    Ok(back(number))
}

async fn unblock(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    let number = number(&path)?;
    for suppressed in app.store.contact(number).await?.suppressed {
        let channel = Barred::from_word(&suppressed.channel);
        // Only the person can lift their own opt-out.
        if let Some(channel) = channel.filter(|_| suppressed.reason == SkipReason::Blocked.word()) {
            app.store.unsuppress(number, channel, SkipReason::Blocked.word(), caller.by()).await?;
        }
    }
    Ok(back(number))
}

#[derive(Deserialize)]
struct LeaveForm {
    list: ListId,
}

/// Takes a person off a list.
async fn leave(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    Posted(form): Posted<LeaveForm>,
) -> Shown {
    let number = number(&path)?;
    app.store.leave_list(form.list, number, caller.by()).await?;
    Ok(back(number))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ConsentForm {
    source: String,
    withdraw: String,
}

/// Records that a person consents to messages, or no longer does.
async fn consent(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    Posted(form): Posted<ConsentForm>,
) -> Shown {
    let number = number(&path)?;
    let by = caller.by();
    let source = form.source.trim().to_owned();
    if !form.withdraw.is_empty() {
        app.store.set_consent(number, None, by).await?;
    } else if !source.is_empty() {
        app.store.set_consent(number, Some(Consent { source, at: by.at, by: caller.name }), by).await?;
    }
    Ok(back(number))
}

async fn delete(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    if app.store.delete_contact(number(&path)?, caller.by()).await? {
        Ok(Redirect::to("/contacts").into_response())
    } else {
        Err(StoreError::NotFound("contact").into())
    }
}
