//! Files of contacts: uploaded, looked at column by column, imported; into lists and onto do-not-contact lists.

use std::borrow::Cow;

use askama::Template;
use axum::{
    Router,
    extract::{
        DefaultBodyLimit, Multipart, Path, Query, State,
        multipart::{Field, MultipartError},
    },
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use campaign::{ImportId, Msisdn, SkipReason};
use futures::TryStreamExt;
use jiff::Timestamp;
use serde::Deserialize;
use store::{Barred, By, ImportPlan, ImportStage, ImportState, ImportTarget, RowError, Suppressed};

use super::{Me, Posted, Refused, Shown, Wrong, again, contacts::number, page, t, words};
use crate::{
    App,
    auth::Caller,
    import::{self, COLUMNS, Look, Reading},
    limits::{AROUND_FILE, LARGEST_FIELD, LARGEST_FILE},
    problem::Problem,
    uploads,
};

/// How many errors of an import its page shows; the file has all of them.
const ERRORS: usize = 20;
/// Numbers on one page of the do-not-contact lists.
const NUMBERS: u32 = 50;
/// How many imports are shown with them.
const IMPORTS: u32 = 10;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/contacts/do-not-contact", get(barred).post(bar))
        .route("/contacts/do-not-contact/import", post(import_barred).layer(with_file()))
        .route("/contacts/imports/{id}", get(state).post(begin))
}

/// The limit for a form with a file: the file is written to disk as it arrives, and has a limit of its own.
pub(super) fn with_file() -> DefaultBodyLimit {
    DefaultBodyLimit::max((LARGEST_FILE + AROUND_FILE) as usize)
}

fn broken(e: &MultipartError) -> Problem {
    if e.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Problem::too_large("the form is larger than this page takes")
    } else {
        Problem::unreadable(e.body_text())
    }
}

/// A text field beside the file.
async fn word(mut field: Field<'_>) -> Result<String, Problem> {
    let mut word = Vec::new();
    while let Some(bytes) = field.chunk().await.map_err(|e| broken(&e))? {
        word.extend_from_slice(&bytes);
        if word.len() > LARGEST_FIELD {
            return Err(Problem::too_large("a field of the form is larger than this page takes"));
        }
    }
    Ok(String::from_utf8_lossy(&word).into_owned())
}

/// Takes in the file of a form; `into` makes its target from the fields before it.
pub(super) async fn receive(
    app: &App,
    headers: &HeaderMap,
    mut form: Multipart,
    by: By,
    into: impl Fn(Option<&str>) -> Result<ImportTarget, Problem>,
) -> Result<Response, Problem> {
    uploads::fits(headers, app.store.free_space()?)?;
    let mut channel: Option<String> = None;
    while let Some(field) = form.next_field().await.map_err(|e| broken(&e))? {
        match field.name() {
            Some("channel") => channel = Some(word(field).await?),
            Some("file") => {
                let id = file(app, field, into(channel.as_deref())?, by).await?;
                return Ok(Redirect::to(&format!("/contacts/imports/{id}")).into_response());
            }
            _ => {}
        }
    }
    Err(Problem::field("file", t::say("choose-file")))
}

async fn file(app: &App, field: Field<'_>, into: ImportTarget, by: By) -> Result<ImportId, Problem> {
    if field.file_name().is_none_or(str::is_empty) {
        return Err(Problem::field("file", t::say("choose-file")));
    }
    uploads::receive(&app.store, into, by, field.map_err(|e| broken(&e))).await
}

/// A column of a file that waits to be imported.
struct Column {
    name: String,
    /// What the column is taken for; empty: left out.
    is: String,
    /// The field of the column's own name, if there can be one.
    own: Option<String>,
    samples: Vec<String>,
}

/// A file that waits to be imported, as its page shows it.
struct Waits {
    header: bool,
    columns: Vec<Column>,
    /// How the first rows would be read.
    read_as: Vec<Result<Msisdn, RowError>>,
}

#[derive(Template)]
#[template(path = "import.html")]
struct ImportPage {
    me: Me,
    import: ImportState,
    /// The count of changes before this was read.
    seen: u64,
    /// The target of the import: address and name.
    into: (String, String),
    waits: Option<Waits>,
    form: PlanForm,
    errors: Vec<RowError>,
    wrong: Wrong,
}

impl ImportPage {
    fn runs(&self) -> bool {
        self.import.state == ImportStage::Running
    }

    fn numbers_only(&self) -> bool {
        matches!(self.import.into, ImportTarget::DoNotContact(_))
    }

    /// Whether there is anything to look at: refused rows, values that were left out.
    fn wants_a_look(&self) -> bool {
        self.import.rejected > 0 || !self.import.left_out.is_empty()
    }

    fn percent(&self) -> i64 {
        self.import.size.filter(|size| *size > 0).map_or(0, |size| (100 * self.import.read / size).min(100))
    }
}

/// How to read a file, as its page sends it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct PlanForm {
    /// `look` only shows the result; anything else begins the import.
    action: String,
    /// The meaning of each column; empty: left out.
    column: Vec<String>,
    /// `yes` if the first row names the columns.
    header: String,
    country: String,
    consent: String,
}

impl PlanForm {
    fn columns(&self) -> Vec<Option<String>> {
        self.column.iter().map(|name| Some(name.clone()).filter(|name| !name.is_empty())).collect()
    }

    fn plan(&self, by: &str) -> ImportPlan {
        ImportPlan {
            header: self.header == "yes",
            columns: self.columns(),
            country: Some(self.country.clone()),
            consent: Some(self.consent.trim().to_owned()).filter(|source| !source.is_empty()),
            by: by.to_owned(),
        }
    }
}

fn id(path: &str) -> Result<ImportId, Refused> {
    path.parse().map_err(|_| Problem::not_found("there is no such import").into())
}

/// Looks at a file on a thread that may block: only its end may tell its encoding.
async fn look(
    app: &App,
    import: ImportId,
    form: Option<&PlanForm>,
    country: Option<String>,
) -> Result<Look, Problem> {
    let file = uploads::open(&app.store, import)?;
    let (columns, header) = match form {
        Some(form) => (form.columns(), Some(form.header == "yes")),
        None => (Vec::new(), None),
    };
    tokio::task::spawn_blocking(move || import::look(file, country.as_deref(), &columns, header))
        .await
        .map_err(Problem::broken)?
        .map_err(|why| Problem::field("file", why))
}

impl Waits {
    fn of(look: Look, read_as: Vec<Result<Msisdn, RowError>>) -> Self {
        let own = import::guesses(&look);
        let columns = look.names.into_iter().enumerate().map(|(at, name)| Column {
            name,
            is: look.columns[at].clone().unwrap_or_default(),
            own: own[at].clone().filter(|own| !COLUMNS.contains(&own.as_str())),
            samples: look.rows.iter().map(|row| row.get(at).cloned().unwrap_or_default()).collect(),
        });
        Self { columns: columns.collect(), header: look.header, read_as }
    }
}

async fn read(
    app: &App,
    caller: Caller,
    id: ImportId,
    form: Option<PlanForm>,
) -> Result<ImportPage, Refused> {
    let seen = app.store.change_count();
    let import = app.store.import(id).await?;
    let into = match import.into {
        ImportTarget::List(list) => (format!("/contacts/lists/{list}"), app.store.list(list).await?.0),
        ImportTarget::DoNotContact(_) => {
            ("/contacts/do-not-contact".to_owned(), t::say("do-not-contact").into_owned())
        }
    };
    let mut wrong = Wrong::default();
    let mut waits = None;
    if import.state == ImportStage::Queued {
        let given = form.as_ref().map(|form| form.country.clone());
        let country = import::country(&app.store, given).await;
        // A country that does not exist is refused with the numbers; the file is looked at all the same.
        let of_file = country.as_ref().ok().cloned().flatten();
        match look(app, id, form.as_ref(), of_file).await {
            Ok(look) => {
                let plan = form.clone().unwrap_or_default().plan(&caller.name);
                let plan = ImportPlan { header: look.header, columns: look.columns.clone(), ..plan };
                let read_as = match country {
                    Ok(country) => {
                        let numbers_only = matches!(import.into, ImportTarget::DoNotContact(_));
                        let plan = ImportPlan { country, ..plan };
                        let reading = Reading { plan, skip: 0, numbers_only, now: Timestamp::now() };
                        import::read_as(&look, &reading).map_err(|why| Problem::field("column", why))
                    }
                    Err(e) => Err(e.into()),
                };
                let read_as = match read_as {
                    Ok(read_as) => read_as,
                    Err(problem) => {
                        wrong = Wrong(problem.into_fields()?);
                        Vec::new()
                    }
                };
                waits = Some(Waits::of(look, read_as));
            }
            Err(problem) => wrong = Wrong(problem.into_fields()?),
        }
    }
    let errors = app.store.import_errors(id, 0, ERRORS).await?;
    let form = form.unwrap_or_default();
    Ok(ImportPage { me: Me::new(caller, "contacts"), import, seen, into, waits, form, errors, wrong })
}

async fn state(State(app): State<App>, caller: Caller, Path(path): Path<String>) -> Shown {
    Ok(page(&read(&app, caller, id(&path)?, None).await?))
}

/// Begins to import a file that waits, or shows how it would be read.
async fn begin(
    State(app): State<App>,
    caller: Caller,
    Path(path): Path<String>,
    Posted(form): Posted<PlanForm>,
) -> Shown {
    let id = id(&path)?;
    let shown = read(&app, caller.clone(), id, Some(form.clone())).await?;
    if form.action == "look" || !shown.wrong.all().is_empty() || shown.waits.is_none() {
        let sound = shown.wrong.all().is_empty();
        return Ok(again(&shown, if sound { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY }));
    }
    uploads::begin(&app.store, id, form.plan(&caller.name), caller.by()).await?;
    Ok(Redirect::to(&format!("/contacts/imports/{id}")).into_response())
}

#[derive(Template)]
#[template(path = "barred.html")]
struct BarredPage {
    me: Me,
    numbers: Vec<(Msisdn, Suppressed)>,
    imports: Vec<ImportState>,
    next: Option<Msisdn>,
    number: String,
    wrong: Wrong,
}

impl BarredPage {
    async fn new(app: &App, caller: Caller, after: Option<Msisdn>) -> store::Result<Self> {
        let numbers = app.store.suppressions(after, NUMBERS).await?;
        let full = numbers.len() == NUMBERS as usize;
        Ok(Self {
            me: Me::new(caller, "barred"),
            next: numbers.last().filter(|_| full).map(|(number, _)| *number),
            numbers,
            imports: app.store.imports(None, IMPORTS).await?,
            number: String::new(),
            wrong: Wrong::default(),
        })
    }
}

/// What numbers on the list no longer get.
fn barred_from(s: &Suppressed) -> Cow<'static, str> {
    words::for_purpose(t::word("barred", &s.channel), &s.purpose)
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: String,
}

async fn barred(State(app): State<App>, caller: Caller, Query(after): Query<After>) -> Shown {
    let after = Msisdn::parse(&after.after, None).ok();
    Ok(page(&BarredPage::new(&app, caller, after).await?))
}

#[derive(Deserialize)]
struct Bar {
    #[serde(default)]
    number: String,
    channel: Barred,
}

/// Puts one number onto a do-not-contact list.
async fn bar(State(app): State<App>, caller: Caller, Posted(form): Posted<Bar>) -> Shown {
    match number(&form.number) {
        Ok(number) => {
            let reason = SkipReason::Blocked.word();
            app.store.suppress(number, form.channel, reason, caller.by()).await?;
            Ok(Redirect::to("/contacts/do-not-contact").into_response())
        }
        Err(problem) => {
            let wrong = Wrong(problem.into_fields()?);
            let page =
                BarredPage { wrong, number: form.number, ..BarredPage::new(&app, caller, None).await? };
            Ok(again(&page, StatusCode::UNPROCESSABLE_ENTITY))
        }
    }
}

async fn import_barred(State(app): State<App>, caller: Caller, headers: HeaderMap, form: Multipart) -> Shown {
    let into = |channel: Option<&str>| {
        let barred = channel.and_then(Barred::from_word);
        barred
            .map(ImportTarget::DoNotContact)
            .ok_or_else(|| Problem::field("channel", "choose what is barred"))
    };
    match receive(&app, &headers, form, caller.by(), into).await {
        Ok(begun) => Ok(begun),
        Err(problem) => {
            let status = problem.status();
            let wrong = Wrong(vec![store::Problem::new("file", problem.into_detail())]);
            let page = BarredPage { wrong, ..BarredPage::new(&app, caller, None).await? };
            Ok(again(&page, status))
        }
    }
}
