//! `carillon demo`: a server with a simulated carrier and something to look at.

use std::{net::SocketAddr, time::Duration};

use campaign::{ListId, RouteId};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use simulator::{PhoneProfile, Phones, Profile, Smsc};
use store::{By, CampaignFilter, Consent, ImportChunk, NewContact, Role, RouteKind, Settings, Store};

use voice::audio::Pcm;

use crate::{cli, data, serve, telephony};

/// Recipients of the sample list.
const PEOPLE: i64 = 2_000;
/// Slow enough to be watched: about a minute and a half for the sample list.
const RATE: u32 = 25;
const ADMIN: &str = "admin@demo.example";
const PASSWORD_LENGTH: usize = 16;
const FIRST_NAMES: [&str; 16] = [
    "Ana", "Ben", "Chloé", "David", "Elif", "Farid", "Grace", "Hiro", "Ines", "Jonas", "Kateryna", "Luis",
    "Maya", "Noah", "Olga", "Priya",
];
const LAST_NAMES: [&str; 15] = [
    "Almeida",
    "Brown",
    "Chen",
    "Dubois",
    "Evans",
    "Fischer",
    "García",
    "Haddad",
    "Ivanova",
    "Johnson",
    "Kowalski",
    "Lindqvist",
    "Moreau",
    "Nguyen",
    "Okafor",
];
const CLINICS: [&str; 4] = ["Maple Street", "Harbour", "Old Mill", "Northgate"];
/// Where the people of the sample live: the beginnings of their numbers, in four time zones.
const AREAS: [i64; 4] = [212, 312, 303, 213];
/// What phones show of the sample's calls.
const CALLER_ID: &str = "+12025550199";
/// The trunk of the sample's calls, and one that refuses all of them.
const TRUNK: &str = "Simulated trunk";
const REFUSING_TRUNK: &str = "Trunk that refuses us";
const CHIME_SECONDS: f64 = 3.0;
const TIMES: [&str; 8] = ["8:30", "9:00", "9:45", "10:15", "11:00", "13:30", "14:15", "15:45"];

pub async fn run(options: cli::Demo) -> anyhow::Result<()> {
    // The temporary folder is removed when the demo ends.
    let temporary = if options.data.is_none() { Some(tempfile::tempdir()?) } else { None };
    let folder = options.data.or_else(|| temporary.as_ref().map(|t| t.path().to_owned()));
    let store = Store::open(&folder.unwrap_or_default())?;
    let smsc = carrier(&store).await?;
    let phones = telephones(&store, TRUNK, people()).await?;
    let refuses = PhoneProfile { refuses: true, ..people() };
    let refusing = telephones(&store, REFUSING_TRUNK, refuses).await?;
    if store.campaigns(CampaignFilter { archived: true, ..CampaignFilter::default() }, 1).await?.is_empty() {
        let speaks = telephony::engine(&options.speech).await.is_ok();
        let trunks = [(TRUNK, phones.address()), (REFUSING_TRUNK, refusing.address())];
        samples(&store, smsc.address(), trunks, speaks).await?;
    }
    let token = data::new_token(&store, "demo admin".into(), Role::Admin).await?;
    let password = admin(&store).await?;
    let server = serve::start(store, &options.web, Some(&options.speech)).await?;
    println!("listening on {}", server.address);
    println!("open http://{}/ and sign in as {ADMIN} with the password {password}", server.address);
    println!("API token {token}");
    match temporary {
        Some(_) => println!("Ctrl-C ends the demo, and its data are deleted"),
        None => println!("Ctrl-C ends the demo; its data stay in the folder"),
    }
    server.until_asked_to_stop().await
}

/// The author of what the demo begins with.
fn by() -> By {
    By::new("demo", Timestamp::now())
}

/// The demo's admin, with a new password at every start.
async fn admin(store: &Store) -> anyhow::Result<String> {
    let password: String = server::secret::new().chars().take(PASSWORD_LENGTH).collect();
    let hash = server::secret::hash(password.clone()).await?;
    match store.user_by_email(ADMIN).await? {
        Some((user, _)) => store.set_password(user.id, hash, by()).await?,
        None => drop(store.add_user(ADMIN, Role::Admin, hash, by()).await?),
    }
    Ok(password)
}

/// The carrier, at the address where earlier sample data expects it.
async fn carrier(store: &Store) -> anyhow::Result<Smsc> {
    let smsc = store.routes().await?.into_iter().find_map(|route| match route.config.kind {
        RouteKind::Smpp(smpp) => Some(smpp.port),
        RouteKind::Sip(_) => None,
    });
    let port = smsc.unwrap_or(0);
    let profile = Profile {
        seed: 42,
        answer_within: Duration::from_millis(40),
        receipt_within: Duration::from_secs(4),
        refused: 0.01,
        undelivered: 0.03,
        no_receipt: 0.02,
        twice: 0.01,
        early: 0.01,
        replies: 0.02,
        stops: 0.3,
        keep: false,
        ..Profile::default()
    };
    Ok(Smsc::start(SocketAddr::from(([127, 0, 0, 1], port)), profile).await?)
}

/// The phones of a trunk, at the address where earlier sample data expects them.
async fn telephones(store: &Store, trunk: &str, profile: PhoneProfile) -> anyhow::Result<Phones> {
    let named = |route: &store::Route| route.config.name == trunk;
    let port = store.routes().await?.into_iter().find(named).and_then(|route| match route.config.kind {
        RouteKind::Smpp(_) => None,
        RouteKind::Sip(trunk) => trunk.port,
    });
    Ok(Phones::start(SocketAddr::from(([127, 0, 0, 1], port.unwrap_or(0))), profile).await?)
}

/// What becomes of the sample's calls.
fn people() -> PhoneProfile {
    PhoneProfile {
        seed: 42,
        answer_within: Duration::from_secs(8),
        busy: 0.08,
        no_answer: 0.15,
        rejected: 0.03,
        unreachable: 0.03,
        keys: "1".into(),
        presses: 0.6,
        hangs_up: 0.1,
        speaks: 0.9,
        machines: 0.15,
        ..PhoneProfile::default()
    }
}

async fn contacts(store: &Store) -> anyhow::Result<ListId> {
    let list = store.create_list("Patients".into(), by()).await?;
    let import = store.begin_import(list, by()).await?;
    let agreed = Timestamp::now() - SignedDuration::from_hours(90 * 24);
    let people = (0..PEOPLE)
        .map(|i| {
            let at = i as usize;
            // 555 is nobody's: the numbers are invented.
            let number = AREAS[at % AREAS.len()] * 10_000_000 + 5_550_000 + i / AREAS.len() as i64;
            let number = campaign::Msisdn::from_digits(10_000_000_000 + number);
            let fields = json!({"first_name": FIRST_NAMES[at % FIRST_NAMES.len()],
                "last_name": LAST_NAMES[at % LAST_NAMES.len()], "clinic": CLINICS[at / 3 % CLINICS.len()],
                "appointment": TIMES[at / 5 % TIMES.len()]});
            NewContact {
                number,
                zones: campaign::zone::of_number(number).map(str::to_owned),
                fields: Some(fields.to_string()),
                consent: Some(Consent { source: "registration form".into(), at: agreed, by: "demo".into() }),
            }
        })
        .collect();
    let theirs = store.clone();
    tokio::task::spawn_blocking(move || {
        theirs.import_chunk(
            import,
            ImportChunk { contacts: people, ..ImportChunk::default() },
            Timestamp::now(),
        )?;
        theirs.end_import(import, vec!["appointment".into(), "clinic".into()], None)?;
        theirs.index_names()
    })
    .await??;
    Ok(list)
}

async fn samples(
    store: &Store,
    smsc: SocketAddr,
    trunks: [(&str, SocketAddr); 2],
    speaks: bool,
) -> anyhow::Result<()> {
    // Where the people of the sample are.
    let place = Settings {
        time_zone: "America/New_York".into(),
        country: Some("US".into()),
        ..store.settings().await?
    };
    store.change_settings(place, by()).await?;
    let list = contacts(store).await?;
    let route = store
        .create_route(serde_json::from_value(json!({"name": "Simulated carrier", "kind": "smpp",
            "host": smsc.ip().to_string(), "port": smsc.port(), "system_id": "carillon", "rate_per_second": RATE,
            "price_per_segment": "0.0079"}))?, by())
        .await?
        .id;
    let senders =
        ["+12125550190", "+13125550191"].map(|number| json!({"sender": number, "rate_per_second": 10}));
    let pool = json!({"name": "Local numbers", "senders": senders});
    store.create_pool(serde_json::from_value(pool)?, by()).await?;
    let now = Timestamp::now();
    let next_week = now + SignedDuration::from_hours(7 * 24);
    let reminder = "Hello {{ first_name | default('there') }}, your appointment at {{ clinic }} is tomorrow at {{ appointment }}. Reply STOP to opt out.";
    let warning =
        "⚡ Storm warning from 18:00 to 23:00. Stay inside, charge your phone, keep torches at hand.";
    let planned = make(
        store,
        "Flu shots, two messages",
        json!([{"text": "Flu shots are here, {{ first_name | default('neighbour') }}.", "send": {"at": next_week.to_string()}},
               {"text": "Last days for your flu shot.", "send": {"after": "P2D", "time": "10:00"}}]),
        (list, route),
    )
    .await?;
    make(store, "Storm warning (draft)", json!([{"text": warning, "send": {"now": true}}]), (list, route))
        .await?;
    let [trunk, refusing] = trunks;
    let hello = hello(store, speaks).await?;
    // One that its trunk ends in error, to look at.
    let recall = calls(store, list, refusing, "Recall notice", hello.clone()).await?;
    let calls = calls(store, list, trunk, "Appointment calls", hello).await?;
    // The campaign made last is first on the Index.
    let running = make(
        store,
        "Appointment reminders",
        json!([{"text": reminder, "send": {"now": true}}]),
        (list, route),
    )
    .await?;
    for id in [planned, recall, calls, running] {
        store.schedule(id, by()).await?;
    }
    Ok(())
}

/// The step that greets.
async fn hello(store: &Store, speaks: bool) -> anyhow::Result<Value> {
    if speaks {
        return Ok(
            json!({"say": "Hello {{ first_name }}. Your appointment at {{ clinic }} is tomorrow at {{ appointment }}.", "next": "ask"}),
        );
    }
    // Where this machine has no speech engine, calls play a recording.
    let chime = store.add_audio("Chime".into(), CHIME_SECONDS, chime(), by()).await?;
    Ok(json!({"play": chime.id, "next": "ask"}))
}

/// A voice campaign that calls everybody to confirm the appointment.
async fn calls(
    store: &Store,
    list: ListId,
    (trunk, phones): (&str, SocketAddr),
    name: &str,
    hello: Value,
) -> anyhow::Result<campaign::CampaignId> {
    let trunk = json!({"name": trunk, "kind": "sip", "host": phones.ip().to_string(), "port": phones.port(),
        "numbers": [CALLER_ID], "max_calls": 40, "calls_per_second": 4, "price_per_minute": "0.0140"});
    let route = store.create_route(serde_json::from_value(trunk)?, by()).await?.id;
    let retry = json!({"most": 3, "busy": {"after": "PT5M", "times": 2}, "no_answer": {"after": "PT15M", "times": 1}});
    let definition = serde_json::from_value(
        json!({"channel": "voice", "name": name, "owner": "Demo clinic",
        "route_id": route, "caller_id": CALLER_ID, "list_ids": [list], "opt_in_acknowledged": true, "window": null,
        "start": {"now": true}, "ring_time": "PT20S", "retry": retry, "opt_out_key": "9", "goal": "thanks",
        "script": {"first": "hello", "steps": {"hello": hello,
            "ask": {"gather": {"digits": 1, "timeout": "PT5S", "tries": 2}, "on": {"1": "thanks"}, "none": "bye"},
            "thanks": {"hang_up": true}, "bye": {"hang_up": true}}}}),
    )?;
    Ok(store.create_campaign(definition, by()).await?.id)
}

/// A few notes.
fn chime() -> Vec<u8> {
    let samples = (0..(CHIME_SECONDS * 8_000.0) as usize).map(|at| {
        let seconds = at as f64 / 8_000.0;
        let pitch = [523.0, 659.0, 784.0][(seconds * 2.0) as usize % 3];
        ((seconds * pitch * std::f64::consts::TAU).sin() * 8_000.0) as i16
    });
    Pcm::new(8_000, samples.collect()).to_wav()
}

async fn make(
    store: &Store,
    name: &str,
    messages: Value,
    (list, route): (ListId, RouteId),
) -> anyhow::Result<campaign::CampaignId> {
    let definition = serde_json::from_value(json!({"channel": "sms", "name": name, "owner": "Demo clinic",
        "route_id": route, "sender": "+12025550199", "list_ids": [list], "opt_in_acknowledged": true, "window": null,
        "messages": messages}))?;
    Ok(store.create_campaign(definition, by()).await?.id)
}
