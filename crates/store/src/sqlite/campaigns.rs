//! Campaigns and routes as people see them: created, changed, read, listed.

use super::writer::Effect;
use crate::Change;
use campaign::{
    Action, CampaignId, Channel, ListId, Outcome, RouteId, SendAs, Sender, Status, Totals,
    lifecycle::{self, Cause},
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Store, audit, calls, lists, ms, operate, pools, settings, time};
use crate::{
    By, Campaign, CampaignFilter, CampaignSort, Deed, Definition, Place, Problem, Result, Route, RouteConfig,
    RouteKind, StoreError, TimelineEntry, save,
};

/// A campaign's row, without its totals.
pub(super) struct Loaded {
    pub(super) id: CampaignId,
    pub(super) definition: Definition,
    pub(super) status: Status,
    pub(super) archived_from: Option<Status>,
    pub(super) version: i64,
    pub(super) epoch: i64,
    pub(super) fields: Vec<String>,
    pub(super) audience: i64,
    pub(super) created_by: String,
    pub(super) starts_at: Option<i64>,
    pub(super) created_at: i64,
    pub(super) scheduled_at: Option<i64>,
    pub(super) started_at: Option<i64>,
    pub(super) finished_at: Option<i64>,
    pub(super) restarted_at: Option<i64>,
}

impl Loaded {
    /// Where its deliveries are that are claimed.
    pub(super) const fn under_way(&self) -> Place {
        Place::under_way(self.definition.channel())
    }

    /// Where its deliveries are that will not leave any more.
    pub(super) fn left(&self) -> Place {
        Place::left([Some(self.status), self.archived_from].contains(&Some(Status::Errored)))
    }
}

const COLUMNS: &str = "id, definition, status, archived_from, version, epoch, fields, audience, created_at, scheduled_at, \
                       started_at, finished_at, created_by, starts_at, restarted_at";

fn row(r: &Row<'_>) -> rusqlite::Result<Loaded> {
    let json = |at: usize, e: serde_json::Error| {
        rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, Box::new(e))
    };
    let status: String = r.get(2)?;
    let archived_from: Option<String> = r.get(3)?;
    Ok(Loaded {
        id: CampaignId(r.get(0)?),
        definition: serde_json::from_str(r.get_ref(1)?.as_str()?).map_err(|e| json(1, e))?,
        status: Status::from_word(&status).ok_or(rusqlite::Error::InvalidQuery)?,
        archived_from: archived_from.as_deref().and_then(Status::from_word),
        version: r.get(4)?,
        epoch: r.get(5)?,
        fields: serde_json::from_str(r.get_ref(6)?.as_str()?).map_err(|e| json(6, e))?,
        audience: r.get(7)?,
        created_at: r.get(8)?,
        scheduled_at: r.get(9)?,
        started_at: r.get(10)?,
        finished_at: r.get(11)?,
        created_by: r.get(12)?,
        starts_at: r.get(13)?,
        restarted_at: r.get(14)?,
    })
}

/// The fewest characters to search for: the search's index is made of runs of three.
const SHORTEST_INDEXED: usize = 3;

/// The conditions of a [`CampaignFilter`].
const WANTED: &str = "id < ?1 AND (?2 IS NULL OR status = ?2) AND (?3 OR status <> 'archived')
    AND (?4 IS NULL OR instr(lower(campaign.name), lower(?4)) > 0) AND (?5 IS NULL OR channel = ?5)
    AND (?6 IS NULL OR campaign.sender IN (SELECT value FROM json_each(?6)))
    AND (?7 IS NULL OR starts_at >= ?7) AND (?8 IS NULL OR starts_at < ?8)";

/// Each order ends in the id, so that pages of equal campaigns neither miss nor repeat any.
fn order(sort: CampaignSort, reverse: bool) -> String {
    let (by, newest_first) = match sort {
        CampaignSort::Created => ("id", true),
        CampaignSort::Current => (CURRENT, false),
        CampaignSort::Status => ("status", false),
        CampaignSort::Name => ("campaign.name COLLATE NOCASE", false),
        CampaignSort::Start => ("starts_at", false),
        CampaignSort::CreatedBy => ("created_by COLLATE NOCASE", false),
        CampaignSort::Messages => ("sends", false),
        CampaignSort::List => ("list_name COLLATE NOCASE", false),
        CampaignSort::Progress => ("progress", false),
    };
    let way = if newest_first == reverse { "ASC" } else { "DESC" };
    match by {
        "id" => format!("id {way}"),
        CURRENT => CURRENT.replace(" END,", &format!(" END {way},")) + way,
        _ => format!("{by} {way}, id {way}"),
    }
}

/// The expressions of the index `campaign_current`.
const CURRENT: &str = "CASE status WHEN 'running' THEN 0 WHEN 'scheduled' THEN 1 ELSE 2 END, \
     CASE status WHEN 'scheduled' THEN starts_at ELSE -id END, id ";

pub(super) fn load(c: &Connection, id: CampaignId) -> Result<Loaded> {
    c.prepare_cached(&format!("SELECT {COLUMNS} FROM campaign WHERE id = ?1"))?
        .query_row([id.0], row)
        .optional()?
        .ok_or(StoreError::NotFound("campaign"))
}

/// Campaigns that the engine must look at.
pub(super) fn active(c: &Connection) -> Result<Vec<CampaignId>> {
    Ok(c.prepare_cached("SELECT id FROM campaign WHERE status IN ('scheduled', 'running') ORDER BY id")?
        .query_map([], |r| Ok(CampaignId(r.get(0)?)))?
        .collect::<rusqlite::Result<_>>()?)
}

pub(super) fn full(c: &Connection, l: Loaded) -> Result<Campaign> {
    let totals = totals(c, &l)?;
    let steps = calls::steps(c, &l)?;
    let held = c
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM wave WHERE campaign_id = ?1 AND open AND held AND next_seq < to_seq)
                 OR EXISTS (SELECT 1 FROM retry WHERE campaign_id = ?1 AND open AND held)
                 OR EXISTS (SELECT 1 FROM spending JOIN campaign ON id = campaign_id
                            WHERE campaign_id = ?1 AND billed >= budget AND NOT lifted AND status = 'running')")?
        .query_row([l.id.0], |r| r.get(0))?;
    Ok(Campaign {
        id: l.id,
        definition: l.definition,
        status: l.status,
        archived_from: l.archived_from,
        version: l.version,
        audience: l.audience,
        held,
        created_by: l.created_by,
        starts_at: l.starts_at.map(time),
        created_at: time(l.created_at),
        scheduled_at: l.scheduled_at.map(time),
        started_at: l.started_at.map(time),
        finished_at: l.finished_at.map(time),
        totals,
        steps,
    })
}

/// Totals of each message: stored outcomes from the tally, the rest from waves, claims and retries.
fn totals(c: &Connection, l: &Loaded) -> Result<Vec<Totals>> {
    let id = l.id;
    let mut totals = vec![Totals::default(); l.definition.content.deliveries()];
    let mut add = |sql: &str, put: &dyn Fn(&mut Totals, i64, i64)| -> Result<()> {
        let mut statement = c.prepare_cached(sql)?;
        let mut rows = statement.query([id.0])?;
        while let Some(r) = rows.next()? {
            let n: u32 = r.get(0)?;
            if let Some(t) = n.checked_sub(1).and_then(|at| totals.get_mut(at as usize)) {
                put(t, r.get(1)?, r.get(2)?);
            }
        }
        Ok(())
    };
    add(
        "SELECT message_no, outcome, sum(count) FROM tally WHERE campaign_id = ?1 GROUP BY 1, 2",
        &|t, outcome, n| {
            if let Some(outcome) = Outcome::from_code(outcome as u8) {
                t[Place::Settled(outcome)] += n;
            }
        },
    )?;
    let (under_way, left) = (l.under_way(), l.left());
    let unsent = |t: &mut Totals, open: i64, n: i64| t[if open == 1 { Place::Pending } else { left }] += n;
    add(
        "SELECT message_no, open, sum(to_seq - next_seq) FROM wave WHERE campaign_id = ?1 GROUP BY 1, 2",
        &unsent,
    )?;
    add(
        "SELECT message_no, open, count(*) FROM retry WHERE campaign_id = ?1 AND claim_id IS NULL GROUP BY 1, 2",
        &unsent,
    )?;
    add("SELECT message_no, 1, sum(left_over) FROM claim WHERE campaign_id = ?1 GROUP BY 1", &|t, _, n| {
        t[under_way] += n;
    })?;
    Ok(totals)
}

pub(super) fn taken(e: rusqlite::Error, name: &str) -> StoreError {
    match e.sqlite_error_code() {
        Some(rusqlite::ErrorCode::ConstraintViolation) => StoreError::NameTaken(name.to_owned()),
        _ => e.into(),
    }
}

pub(super) fn encode(definition: &Definition) -> Result<String> {
    serde_json::to_string(definition).map_err(|e| StoreError::Database(e.to_string()))
}

/// Whether the route carries what is defined.
pub(super) fn carried(c: &Connection, d: &Definition) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    let Some(id) = d.route_id else { return Ok(problems) };
    let Some(route) = route(c, id)? else {
        problems.push(Problem::new("route_id", format!("there is no route {id}")));
        return Ok(problems);
    };
    if route.kind.channel() != d.channel() {
        let message = format!("the route '{}' carries {} alone", route.name, route.kind.carries());
        problems.push(Problem::new("route_id", message));
    }
    Ok(problems)
}

/// Whether the caller ID is one of the route's own numbers.
pub(super) fn shown(c: &Connection, d: &Definition) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    let Some(id) = d.route_id else { return Ok(problems) };
    if let Some(RouteConfig { kind: RouteKind::Sip(sip), name, .. }) = route(c, id)? {
        let shown = match d.content.send_as() {
            Some(SendAs::One(number)) => vec![number.clone()],
            Some(SendAs::Pool(pool)) => pools::senders_of(c, *pool)?,
            None => Vec::new(),
        };
        for number in shown.iter().filter(|number| !sip.numbers.contains(number)) {
            let message = format!("{number} is none of the numbers of the route '{name}'");
            problems.push(Problem::new("caller_id", message));
        }
    }
    Ok(problems)
}

/// Gives campaigns at work on a trunk that show a number which is not its own any more another one, and records that.
/// Returns these campaigns.
fn show_others(c: &Connection, id: RouteId, numbers: &[Sender], by: &By) -> Result<Vec<CampaignId>> {
    let mut changed = Vec::new();
    for campaign in active(c)? {
        let mut l = load(c, campaign)?;
        if l.definition.route_id != Some(id) || l.definition.content.calls().is_none() {
            continue;
        }
        let Some(first) = numbers.first() else {
            let message = format!(
                "the campaign '{}' calls over this trunk: leave it at least one number",
                l.definition.name
            );
            return Err(vec![Problem::new("numbers", message)].into());
        };
        let gone = match l.definition.content.send_as() {
            Some(SendAs::One(shown)) if !numbers.contains(shown) => {
                let gone = vec![(shown.clone(), first.clone())];
                l.definition.content.show(first.clone());
                c.execute(
                    "UPDATE campaign SET definition = ?2 WHERE id = ?1",
                    (campaign.0, encode(&l.definition)?),
                )?;
                gone
            }
            Some(SendAs::Pool(_)) => pools::show_others(c, campaign, numbers)?,
            Some(SendAs::One(_)) | None => Vec::new(),
        };
        if !gone.is_empty() {
            pools::note_replaced(c, campaign, l.status, &gone, by)?;
            changed.push(campaign);
        }
    }
    Ok(changed)
}

/// The settings of a route.
pub(super) fn route(c: &Connection, id: RouteId) -> Result<Option<RouteConfig>> {
    let json: Option<String> = c
        .prepare_cached("SELECT config FROM route WHERE id = ?1")?
        .query_row([id.0], |r| r.get(0))
        .optional()?;
    json.map(|json| serde_json::from_str(&json).map_err(|e| StoreError::Database(e.to_string()))).transpose()
}

/// Checks a definition and what it refers to.
fn check(c: &Connection, d: &Definition) -> Result<()> {
    let mut problems = save::definition(d, &lists::fields(c)?);
    problems.extend(carried(c, d)?);
    if let Some(purpose) = &d.purpose {
        let known = settings::read(c)?.purposes;
        if !known.contains(purpose) {
            let message = format!("'{purpose}' is none of the account's purposes: {}", known.join(", "));
            problems.push(Problem::new("purpose", message));
        }
    }
    let exists = |sql: &str, id: i64| -> Result<bool> { Ok(c.prepare_cached(sql)?.exists([id])?) };
    for (i, list) in d.list_ids.iter().enumerate() {
        if !exists("SELECT 1 FROM list WHERE id = ?1", list.0)? {
            problems.push(Problem::new(format!("list_ids[{i}]"), format!("there is no list {list}")));
        }
    }
    if let Some(SendAs::Pool(pool)) = d.content.send_as()
        && !exists("SELECT 1 FROM pool WHERE id = ?1", pool.0)?
    {
        problems.push(Problem::new("sender.pool", format!("there is no pool {pool}")));
    }
    Ok(Problem::none(problems)?)
}

/// Refuses a name that another campaign has, whatever its case.
fn free(c: &Connection, name: &str, own: Option<CampaignId>) -> Result<String> {
    let key = save::name_key(name);
    let other = c
        .prepare_cached("SELECT 1 FROM campaign WHERE name_key = ?1 AND id IS NOT ?2")?
        .exists((&key, own.map(|id| id.0)))?;
    if other { Err(StoreError::NameTaken(name.to_owned())) } else { Ok(key) }
}

fn insert(c: &Connection, d: &Definition, deed: Deed, by: &By) -> Result<CampaignId> {
    check(c, d)?;
    let d = &Definition { name: save::tidy(&d.name), ..d.clone() };
    let key = free(c, &d.name, None)?;
    c.execute(
        "INSERT INTO campaign (name, name_key, channel, sends, status, version, epoch, definition, created_at, created_by)
         VALUES (?1, ?2, ?3, ?4, 'defined', 1, 0, ?5, ?6, ?7)",
        (&d.name, key, d.channel().word(), d.content.deliveries() as i64, encode(d)?, ms(by.at), &by.actor),
    )
    .map_err(|e| taken(e, &d.name))?;
    let id = CampaignId(c.last_insert_rowid());
    operate::note(c, id, by, "created", Status::Defined)?;
    audit::note(c, by, deed, id)?;
    Ok(id)
}

/// Whether a campaign at `version` may become `d`.
pub(super) fn may_edit(c: &Connection, old: &Loaded, version: i64, d: &Definition) -> Result<()> {
    lifecycle::transition(old.definition.channel(), old.status, Cause::Act(Action::Edit))?;
    if old.version != version {
        return Err(StoreError::Stale { now: old.version });
    }
    if old.status != Status::Defined && old.definition.channel() != d.channel() {
        return Err(vec![Problem::new("channel", "the channel of a scheduled campaign cannot change")].into());
    }
    check(c, d)
}

/// Replaces a definition.
pub(super) fn replace(c: &Connection, old: &Loaded, d: Definition, by: &By) -> Result<()> {
    let id = old.id;
    let d = Definition { name: save::tidy(&d.name), ..d };
    let key = free(c, &d.name, Some(id))?;
    c.execute(
        "UPDATE campaign SET name = ?2, definition = ?3, version = version + 1, name_key = ?4, channel = ?5, sends = ?6
         WHERE id = ?1",
        (id.0, &d.name, encode(&d)?, key, d.channel().word(), d.content.deliveries() as i64),
    )
    .map_err(|e| taken(e, &d.name))?;
    operate::note(c, id, by, "edited", old.status)?;
    audit::note(c, by, Deed::CampaignEdited, id)
}

/// Copies a campaign, for a list of its own where one is given.
fn copy(
    c: &Connection,
    source: Loaded,
    name: Option<String>,
    list: Option<ListId>,
    by: &By,
) -> Result<CampaignId> {
    lifecycle::transition(source.definition.channel(), source.status, Cause::Act(Action::Clone))?;
    let mut d = source.definition;
    // What was frozen into it came from the account on that day, not from a person.
    if let Some(written) = written(c, source.id)? {
        (d.window, d.time_zone) = (written.window, written.time_zone);
    }
    d.opt_in_acknowledged = false;
    if let Some(list) = list {
        d.list_ids = vec![list];
    }
    d.name = match name {
        Some(name) => name,
        None => free_name(c, &format!("Copy of {}", d.name))?,
    };
    insert(c, &d, Deed::CampaignCloned, by)
}

impl Store {
    /// Saves a new campaign.
    pub async fn create_campaign(&self, d: Definition, by: By) -> Result<Campaign> {
        self.write_begun(move |c, effects| {
            let id = insert(c, &d, Deed::CampaignMade, &by)?;
            effects.push(Effect::Told(Change::Campaign(id)));
            full(c, load(c, id)?)
        })
        .await
    }

    /// Replaces the definition of a campaign that may be edited; a Scheduled one is planned anew.
    ///
    /// # Errors
    /// As [`Store::schedule`] for a Scheduled one, whose old plan then stands.
    pub async fn edit_campaign(
        &self,
        id: CampaignId,
        version: i64,
        d: Definition,
        by: By,
    ) -> Result<Campaign> {
        if self.campaign(id).await?.status == Status::Scheduled {
            let store = self.clone();
            let planned = tokio::task::spawn_blocking(move || store.reschedule_now(id, version, d, &by));
            return planned.await.map_err(|e| StoreError::Database(e.to_string()))?;
        }
        if self.is_freezing(id) {
            return Err(StoreError::Busy);
        }
        self.change(id, move |c| {
            let old = load(c, id)?;
            may_edit(c, &old, version, &d)?;
            if old.status == Status::Scheduled {
                // It was scheduled at this moment.
                return Err(StoreError::Stale { now: old.version });
            }
            replace(c, &old, d, &by)?;
            full(c, load(c, id)?)
        })
        .await
    }

    /// Copies a campaign, except its acknowledgement, into a new Defined one.
    pub async fn clone_campaign(&self, id: CampaignId, name: Option<String>, by: By) -> Result<Campaign> {
        self.write_begun(move |c, effects| {
            let source = load(c, id)?;
            let copy = copy(c, source, name, None, &by)?;
            effects.push(Effect::Told(Change::Campaign(copy)));
            full(c, load(c, copy)?)
        })
        .await
    }

    /// Copies a voice campaign that ended early, for those whom it did not come to: they become a list of their own.
    /// Whom it may have called (In doubt) and deleted contacts are not among them.
    pub async fn clone_remaining(&self, id: CampaignId, name: Option<String>, by: By) -> Result<Campaign> {
        self.write_begun(move |c, effects| {
            let source = load(c, id)?;
            let ended = [Some(source.status), source.archived_from];
            if source.definition.content.calls().is_none()
                || !(ended.contains(&Some(Status::Stopped)) || ended.contains(&Some(Status::Errored)))
            {
                let (channel, status) = (source.definition.channel(), source.status);
                let cause = Cause::Act(Action::Clone);
                return Err(lifecycle::NotAllowed { channel, status, cause }.into());
            }
            let list = lists::remaining(c, id, &source.definition.name, by.at)?;
            audit::note(c, &by, Deed::ListMade, list)?;
            let copy = copy(c, source, name, Some(list), &by)?;
            effects.push(Effect::Told(Change::Campaign(copy)));
            full(c, load(c, copy)?)
        })
        .await
    }

    /// The definition of a campaign as it was written, before the account's dates and zone were frozen into it: what a
    /// change is made to.
    pub async fn written(&self, id: CampaignId) -> Result<Definition> {
        self.read(move |c| {
            let frozen = load(c, id)?.definition;
            Ok(written(c, id)?.unwrap_or(frozen))
        })
        .await
    }

    /// A campaign with its totals.
    pub async fn campaign(&self, id: CampaignId) -> Result<Campaign> {
        self.read(move |c| full(c, load(c, id)?)).await
    }

    /// A page of campaigns. Archived ones only where the filter asks.
    pub async fn campaigns(&self, filter: CampaignFilter, limit: u32) -> Result<Vec<Campaign>> {
        self.read(move |c| {
            let order = order(filter.sort, filter.reverse);
            let sent_as = filter.sender.map(|sender| pools::sent_as(c, sender)).transpose()?;
            // The search's own index finds nothing shorter.
            let indexed = filter.search.as_deref().filter(|q| q.chars().count() >= SHORTEST_INDEXED);
            let indexed = indexed.map(|q| format!("\"{}\"", q.replace('"', "\"\"")));
            let found = if indexed.is_some() {
                "campaign_search s CROSS JOIN campaign ON id = s.rowid WHERE s.campaign_search MATCH ?11 AND"
            } else {
                "campaign WHERE ?11 IS NULL AND"
            };
            // Both count the same; one of them is already in this order.
            let order = if indexed.is_some() { order.replace("id ", "s.rowid ") } else { order };
            let sql = format!("SELECT {COLUMNS} FROM {found} {WANTED} ORDER BY {order} LIMIT ?9 OFFSET ?10");
            let rows: Vec<Loaded> = c
                .prepare_cached(&sql)?
                .query_map(
                    params![
                        filter.before.map_or(i64::MAX, |b| b.0),
                        filter.status.map(Status::word),
                        filter.archived || filter.status == Some(Status::Archived),
                        filter.search.filter(|_| indexed.is_none()),
                        filter.channel.map(Channel::word),
                        sent_as,
                        filter.starts_from.map(ms),
                        filter.starts_before.map(ms),
                        limit,
                        filter.skip,
                        indexed,
                    ],
                    row,
                )?
                .collect::<rusqlite::Result<_>>()?;
            rows.into_iter().map(|l| full(c, l)).collect()
        })
        .await
    }

    /// How many campaigns of a channel there are of each status that any has.
    pub async fn campaign_counts(&self, channel: Channel) -> Result<Vec<(Status, i64)>> {
        self.read(move |c| {
            let counted: Vec<(String, i64)> = c
                .prepare_cached("SELECT status, count(*) FROM campaign WHERE channel = ?1 GROUP BY status")?
                .query_map([channel.word()], |r| Ok((r.get(0)?, r.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?;
            Ok(counted.into_iter().filter_map(|(word, n)| Some((Status::from_word(&word)?, n))).collect())
        })
        .await
    }

    /// Every sender and pool that campaigns are or may be sent as: as saved, which is what a [`CampaignFilter`] takes,
    /// and as people read it: the sender, or the pool's name; and each sender of a pool.
    pub async fn senders(&self) -> Result<Vec<(String, String)>> {
        self.read(|c| {
            // Goes from one to the next along their index: DISTINCT would walk all of it.
            let saved: Vec<String> = c
                .prepare_cached(
                    "WITH RECURSIVE s (sender) AS (SELECT min(sender) FROM campaign UNION ALL
                         SELECT (SELECT min(c.sender) FROM campaign c WHERE c.sender > s.sender) FROM s WHERE sender IS NOT NULL)
                     SELECT sender FROM s WHERE sender IS NOT NULL",
                )?
                .query_map([], |r| r.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            // A number is searched for among the senders of pools, too.
            let dealt: Vec<String> = c
                .prepare_cached("SELECT DISTINCT sender FROM pool_sender ORDER BY sender")?
                .query_map([], |r| r.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            let dealt: Vec<String> = dealt.into_iter().filter(|sender| !saved.contains(sender)).collect();
            saved
                .into_iter()
                .chain(dealt)
                .map(|saved| {
                    let shown = match serde_json::from_str(&saved) {
                        Ok(SendAs::Pool(pool)) => pools::name(c, pool)?,
                        Ok(SendAs::One(_)) | Err(_) => saved.clone(),
                    };
                    Ok((saved, shown))
                })
                .collect()
        })
        .await
    }

    /// The history of a campaign, oldest first.
    pub async fn timeline(&self, id: CampaignId) -> Result<Vec<TimelineEntry>> {
        self.read(move |c| {
            load(c, id)?;
            let entry = |r: &Row<'_>| {
                let status: String = r.get(3)?;
                Ok(TimelineEntry {
                    at: time(r.get(0)?),
                    actor: r.get(1)?,
                    cause: r.get(2)?,
                    status: Status::from_word(&status).ok_or(rusqlite::Error::InvalidQuery)?,
                })
            };
            Ok(c.prepare_cached(
                "SELECT at, actor, cause, status FROM timeline WHERE campaign_id = ?1 ORDER BY rowid",
            )?
            .query_map([id.0], entry)?
            .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Saves a new route.
    pub async fn create_route(&self, config: RouteConfig, by: By) -> Result<Route> {
        Problem::none(save::route(&config))?;
        self.write(move |c| {
            let json = serde_json::to_string(&config).map_err(|e| StoreError::Database(e.to_string()))?;
            c.execute("INSERT INTO route (name, config) VALUES (?1, ?2)", (&config.name, json))
                .map_err(|e| taken(e, &config.name))?;
            let id = RouteId(c.last_insert_rowid());
            audit::note(c, &by, Deed::RouteAdded, id)?;
            Ok(Route { id, config })
        })
        .await
    }

    /// Replaces a route's settings; it keeps its id.
    pub async fn edit_route(&self, id: RouteId, config: RouteConfig, by: By) -> Result<Route> {
        Problem::none(save::route(&config))?;
        self.write_begun(move |c, effects| {
            if let RouteKind::Sip(sip) = &config.kind {
                let shown = show_others(c, id, &sip.numbers, &by)?;
                effects.extend(shown.into_iter().map(|id| Effect::Told(Change::Campaign(id))));
            }
            let json = serde_json::to_string(&config).map_err(|e| StoreError::Database(e.to_string()))?;
            let changed = c
                .execute("UPDATE route SET name = ?2, config = ?3 WHERE id = ?1", (id.0, &config.name, json))
                .map_err(|e| taken(e, &config.name))?;
            if changed == 0 {
                return Err(StoreError::NotFound("route"));
            }
            audit::note(c, &by, Deed::RouteChanged, id)?;
            Ok(Route { id, config })
        })
        .await
    }

    /// Every route.
    pub async fn routes(&self) -> Result<Vec<Route>> {
        self.read(|c| {
            c.prepare_cached("SELECT id, config FROM route ORDER BY id")?
                .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?
                .map(|row| stored_route(row?))
                .collect()
        })
        .await
    }

    /// One route.
    pub async fn route(&self, id: RouteId) -> Result<Route> {
        self.read(move |c| {
            let row = c
                .prepare_cached("SELECT id, config FROM route WHERE id = ?1")?
                .query_row([id.0], |r| Ok((r.get(0)?, r.get(1)?)))
                .optional()?;
            stored_route(row.ok_or(StoreError::NotFound("route"))?)
        })
        .await
    }
}

/// The definition as it was written, where it was frozen.
fn written(c: &Connection, id: CampaignId) -> Result<Option<Definition>> {
    let json: Option<String> = c
        .prepare_cached("SELECT written FROM campaign WHERE id = ?1")?
        .query_row([id.0], |r| r.get(0))
        .optional()?
        .flatten();
    json.map(|json| serde_json::from_str(&json).map_err(|e| StoreError::Database(e.to_string()))).transpose()
}

fn free_name(c: &Connection, wanted: &str) -> Result<String> {
    let mut name = wanted.to_owned();
    let mut n = 1;
    while c.prepare_cached("SELECT 1 FROM campaign WHERE name_key = ?1")?.exists([save::name_key(&name)])? {
        n += 1;
        name = format!("{wanted} ({n})");
    }
    Ok(name)
}

fn stored_route((id, json): (i64, String)) -> Result<Route> {
    let config = serde_json::from_str(&json).map_err(|e| StoreError::Database(e.to_string()))?;
    Ok(Route { id: RouteId(id), config })
}
