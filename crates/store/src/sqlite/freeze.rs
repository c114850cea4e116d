//! Scheduling: the audience is frozen and the waves are planned.
//!
//! Rows are written in chunks by the bulk lane, so that stops, opt-outs and cycles go before them; they
//! stay invisible until one small transaction at the end makes the campaign Scheduled. What a crash
//! leaves behind is swept before the next try.

use super::writer::Effect;
use crate::Change;
use std::collections::HashMap;

use campaign::{
    Action, CampaignId, ListId, Msisdn, Status, Window, ZoneGroup,
    content::Complete,
    lifecycle::{self, Cause},
    wave::{self, Group, PlannedWave},
};
use jiff::Timestamp;
use rusqlite::Connection;

use super::{
    Store, audience, audio,
    campaigns::{self, full, load},
    contacts, lists, ms, operate, pools, settings, spending,
    writer::Lane,
};
use crate::{By, Campaign, Deed, Definition, Held, Problem, Result, StoreError, save};

/// Rows written in one go: less than 20 ms on the slowest machine that we know.
const CHUNK: usize = 4_000;
/// The zone of recipients for whom contact, number, campaign and account name none.
const FALLBACK_ZONE: &str = "UTC";

struct Row {
    seq: i64,
    number: i64,
    fields: Option<String>,
}

/// The groups of a frozen audience.
pub(super) fn groups(c: &Connection, id: CampaignId) -> Result<Vec<Group>> {
    let rows: Vec<(String, i64, i64)> = c
        .prepare_cached(
            "SELECT zones, from_seq, to_seq FROM audience_group WHERE campaign_id = ?1 ORDER BY grp",
        )?
        .query_map([id.0], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    rows.into_iter()
        .map(|(zones, from_seq, to_seq)| Ok(Group { zones: zone(&zones)?, from_seq, to_seq }))
        .collect()
}

/// A stored group of zones.
pub(super) fn zone(name: &str) -> Result<ZoneGroup> {
    ZoneGroup::parse(name).map_err(|e| StoreError::Database(e.to_string()))
}

/// The most lists to merge; of more (SQLite joins 500 selections at most) members are picked out of a walk over all.
const MERGED: usize = 100;

/// The distinct numbers in the lists, in order. Lists are sorted by number, so this is a merge; for very many lists, a
/// walk along the index of all members by number.
pub(super) fn members(lists: &[ListId]) -> String {
    if lists.len() > MERGED {
        let ids: Vec<String> = lists.iter().map(|l| l.0.to_string()).collect();
        return format!(
            "SELECT number FROM list_member INDEXED BY list_member_number WHERE list_id IN ({}) GROUP BY number",
            ids.join(", ")
        );
    }
    lists
        .iter()
        .map(|l| format!("SELECT number FROM list_member WHERE list_id = {}", l.0))
        .collect::<Vec<_>>()
        .join(" UNION ")
}

/// The audience by zone group, in the order in which it will be frozen.
pub(super) fn count(c: &Connection, d: &Definition) -> Result<(Vec<Group>, HashMap<i64, usize>)> {
    let sql = format!(
        "SELECT c.zone_id, coalesce(z.name, ''), count(*) FROM ({}) m JOIN contact c USING (number)
         LEFT JOIN zone z ON z.id = c.zone_id GROUP BY 1, 2 ORDER BY 1",
        members(&d.list_ids)
    );
    let own = d.time_zone.as_deref().unwrap_or(FALLBACK_ZONE);
    let mut sizes: Vec<(String, i64)> = Vec::new();
    let mut place = HashMap::new();
    let mut statement = c.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(r) = rows.next()? {
        let (id, name, size): (i64, String, i64) = (r.get(0)?, r.get(1)?, r.get(2)?);
        let name = if name.is_empty() { own.to_owned() } else { name };
        let at = sizes.iter().position(|(n, _)| *n == name).unwrap_or_else(|| {
            sizes.push((name, 0));
            sizes.len() - 1
        });
        sizes[at].1 += size;
        place.insert(id, at);
    }
    let mut from_seq = 0;
    let groups = sizes
        .into_iter()
        .map(|(name, size)| {
            let group = Group { zones: zone(&name)?, from_seq, to_seq: from_seq + size };
            from_seq += size;
            Ok(group)
        })
        .collect::<Result<_>>()?;
    Ok((groups, place))
}

/// What is missing before a campaign can be scheduled.
pub(super) fn ready(c: &Connection, d: &Definition) -> Result<Complete> {
    let mut problems = campaigns::carried(c, d)?;
    problems.extend(campaigns::shown(c, d)?);
    let mut need = |ok: bool, field: &str, message: &str| {
        if !ok {
            problems.push(Problem::new(field, message));
        }
    };
    need(d.opt_in_acknowledged, "opt_in_acknowledged", d.content.acknowledgement());
    need(d.route_id.is_some(), "route_id", "choose the route that carries it");
    let account = settings::read(c)?.account();
    let content = d.content.complete(&lists::fields(c)?, d.purpose(), &account);
    let content = content.map_err(|more| problems.extend(more));
    for (field, upload) in d.content.uploads() {
        if !audio::exists(c, upload)? {
            problems.push(Problem::new(field, format!("there is no upload {upload}")));
        }
    }
    if d.list_ids.is_empty() {
        problems.push(Problem::new("list_ids", "choose at least one contact list"));
    }
    match content {
        Ok(content) if problems.is_empty() => Ok(content),
        _ => Err(problems.into()),
    }
}

pub(super) fn plan(d: &Definition, groups: &[Group], now: Timestamp) -> Result<Vec<PlannedWave>> {
    if groups.is_empty() {
        return Err(StoreError::Invalid(vec![Problem::new(
            "list_ids",
            "the audience is empty: the lists have no contacts; import some first",
        )]));
    }
    let sends = d.content.sends();
    let waves = wave::plan(groups, &sends, d.window.as_ref(), now)
        .map_err(|e| StoreError::Invalid(vec![Problem::new("messages", e)]))?;
    Ok(pilot(d, waves))
}

/// The definition as it is frozen: with the account's blackout dates in its window, and the account's time zone if the
/// campaign names none.
pub(super) fn frozen(c: &Connection, mut d: Definition) -> Result<Definition> {
    let settings = settings::read(c)?;
    d.time_zone.get_or_insert(settings.time_zone);
    let dates = settings.blackout_dates;
    if !dates.is_empty() {
        let window = d.window.take().unwrap_or_else(Window::any_time).except(dates);
        d.window = Some(window.map_err(|e| StoreError::Invalid(vec![Problem::new("window", e)]))?);
    }
    Ok(d)
}

/// Holds back everything behind the campaign's pilot.
pub(super) fn pilot(d: &Definition, waves: Vec<PlannedWave>) -> Vec<PlannedWave> {
    match d.pilot {
        Some(first) => wave::hold_behind(waves, first.get().into()),
        None => waves,
    }
}

/// Records who has ticked what the uploads of a campaign say.
fn note_ticked(c: &Connection, id: CampaignId, d: &Definition, by: &By) -> Result<()> {
    let ticked = d.content.calls().map(|voice| voice.audio_says.as_slice()).unwrap_or_default();
    if ticked.is_empty() {
        return Ok(());
    }
    let words: Vec<&str> = ticked.iter().map(|rule| rule.word()).collect();
    operate::note(
        c,
        id,
        by,
        &format!("acknowledged that uploads say: {}", words.join(", ")),
        Status::Scheduled,
    )
}

/// Stores when the first planned send is, for the Index.
pub(super) fn starts(c: &Connection, id: CampaignId) -> Result<()> {
    c.execute(
        "UPDATE campaign SET starts_at = (SELECT min(due_at) FROM wave WHERE campaign_id = ?1) WHERE id = ?1",
        [id.0],
    )?;
    Ok(())
}

/// Removes from a frozen audience those who were deleted on request while it was written: since the line `begun` of the
/// audit log.
fn forget_deleted(c: &Connection, id: CampaignId, begun: i64) -> Result<()> {
    let gone: Vec<String> = c
        .prepare_cached("SELECT object FROM audit WHERE id > ?1 AND action = ?2")?
        .query_map((begun, Deed::ContactDeleted.word()), |r| r.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for number in gone.iter().filter_map(|number| Msisdn::from_address(number)) {
        if let Some(seq) = audience::place(c, id, number)? {
            contacts::blank(c, id, seq)?;
        }
    }
    Ok(())
}

/// A frozen audience and its planned waves, not visible yet.
struct Planned {
    /// The definition as it was written.
    written: String,
    /// The definition as it was frozen.
    definition: Definition,
    fields: Vec<String>,
    groups: Vec<Group>,
    waves: Vec<PlannedWave>,
    audience: i64,
    /// The last line of the audit log before.
    begun: i64,
}

impl Planned {
    /// Makes it the plan of a campaign.
    fn put(&self, c: &Connection, id: CampaignId) -> Result<()> {
        let fields = serde_json::to_string(&self.fields).map_err(|e| StoreError::Database(e.to_string()))?;
        let json = campaigns::encode(&self.definition)?;
        c.execute(
            "UPDATE campaign SET audience = ?2, fields = ?3, definition = ?4, written = ?5 WHERE id = ?1",
            (id.0, self.audience, fields, json, &self.written),
        )?;
        for (at, g) in self.groups.iter().enumerate() {
            c.prepare_cached("INSERT INTO audience_group VALUES (?1, ?2, ?3, ?4, ?5)")?.execute((
                id.0,
                at as i64,
                g.zones.name(),
                g.from_seq,
                g.to_seq,
            ))?;
        }
        for w in &self.waves {
            c.prepare_cached(
                "INSERT INTO wave (campaign_id, message_no, grp, from_seq, to_seq, next_seq, settled_to, due_at, open, held)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?4, ?4, ?6, 1, ?7)",
            )?
            .execute((
                id.0,
                w.message_no,
                w.group as i64,
                w.from_seq,
                w.to_seq,
                ms(w.due_at),
                if w.held { Held::Pilot.code() } else { 0 },
            ))?;
        }
        forget_deleted(c, id, self.begun)?;
        pools::freeze(c, id, &self.definition)?;
        spending::begin(c, id, &self.definition)?;
        starts(c, id)
    }
}

/// Holds a campaign's place among those that are being frozen.
struct Freezing<'a>(&'a Store, CampaignId);

impl Drop for Freezing<'_> {
    fn drop(&mut self) {
        self.0.freezing().remove(&self.1);
    }
}

impl Store {
    fn freezing(&self) -> std::sync::MutexGuard<'_, std::collections::HashSet<CampaignId>> {
        self.inner.freezing.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn is_freezing(&self, id: CampaignId) -> bool {
        self.freezing().contains(&id)
    }

    /// Freezes the audience and plans the waves: Defined → Scheduled.
    pub async fn schedule(&self, id: CampaignId, by: By) -> Result<Campaign> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || store.schedule_now(id, by))
            .await
            .map_err(|e| StoreError::Database(e.to_string()))?
    }

    /// Takes the campaign's place among those that are being frozen.
    fn begin_freezing(&self, id: CampaignId) -> Result<Freezing<'_>> {
        if self.freezing().insert(id) { Ok(Freezing(self, id)) } else { Err(StoreError::Busy) }
    }

    fn schedule_now(&self, id: CampaignId, by: By) -> Result<Campaign> {
        let _place = self.begin_freezing(id)?;
        let (version, plan) = self.read_now(|c| {
            let old = load(c, id)?;
            lifecycle::transition(old.definition.channel(), old.status, Cause::Act(Action::Schedule))?;
            Ok((old.version, self.freeze(c, id, old.definition, by.at)?))
        })?;
        self.inner.writer.run_now(Lane::Urgent, move |c, effects| {
            effects.push(Effect::Told(Change::Campaign(id)));
            let current = load(c, id)?;
            if current.version != version {
                return Err(StoreError::Stale { now: current.version });
            }
            operate::step(c, id, Cause::Act(Action::Schedule), &by)?;
            plan.put(c, id)?;
            note_ticked(c, id, &plan.definition, &by)?;
            full(c, load(c, id)?)
        })
    }

    /// Replaces the definition of a Scheduled campaign that may still be edited: frozen and planned aside, then swapped
    /// in one transaction. The old plan stands where anything is wrong with the new one, or comes due first.
    pub(super) fn reschedule_now(
        &self,
        id: CampaignId,
        version: i64,
        d: Definition,
        by: &By,
    ) -> Result<Campaign> {
        let _place = self.begin_freezing(id)?;
        let d = Definition { name: save::tidy(&d.name), ..d };
        let aside = CampaignId(-id.0);
        let plan = self.read_now(|c| {
            let old = load(c, id)?;
            campaigns::may_edit(c, &old, version, &d)?;
            self.freeze(c, aside, d.clone(), by.at)
        });
        let by = by.clone();
        let swapped = plan.and_then(|plan| {
            self.inner.writer.run_now(Lane::Urgent, move |c, effects| {
                effects.push(Effect::Told(Change::Campaign(id)));
                let old = load(c, id)?;
                campaigns::may_edit(c, &old, version, &d)?;
                campaigns::replace(c, &old, d, &by)?;
                for table in ["audience", "audience_group", "wave", "campaign_slot"] {
                    c.execute(&format!("DELETE FROM {table} WHERE campaign_id = ?1"), [id.0])?;
                }
                c.execute("UPDATE audience SET campaign_id = ?1 WHERE campaign_id = ?2", (id.0, aside.0))?;
                operate::reshape(c, id)?;
                plan.put(c, id)?;
                note_ticked(c, id, &plan.definition, &by)?;
                full(c, load(c, id)?)
            })
        });
        if swapped.is_err() {
            self.sweep(aside)?;
        }
        swapped
    }

    /// Freezes the audience of a definition under `rows`, and plans its waves.
    fn freeze(&self, c: &Connection, rows: CampaignId, d: Definition, now: Timestamp) -> Result<Planned> {
        let begun: i64 = c.query_row("SELECT coalesce(max(id), 0) FROM audit", [], |r| r.get(0))?;
        let content = ready(c, &d)?;
        let written = campaigns::encode(&d)?;
        let definition = frozen(c, d)?;
        let (groups, place) = count(c, &definition)?;
        let waves = plan(&definition, &groups, now)?;
        if definition.max_cost.is_some() {
            super::forecast::within_budget(c, &definition, now)?;
        }
        let fields = content.fields();
        self.sweep(rows)?;
        let audience = self.copy(c, rows, &definition, &fields, &groups, &place)?;
        Ok(Planned { written, definition, fields, groups, waves, audience, begun })
    }

    /// Removes what an interrupted freeze left behind.
    fn sweep(&self, id: CampaignId) -> Result<()> {
        loop {
            let gone = self.inner.writer.run_now(Lane::Bulk, move |c, _| {
                Ok(c.execute(
                    "DELETE FROM audience WHERE campaign_id = ?1 AND seq IN
                         (SELECT seq FROM audience WHERE campaign_id = ?1 LIMIT ?2)",
                    (id.0, CHUNK as i64),
                )?)
            })?;
            if gone == 0 {
                return Ok(());
            }
        }
    }

    fn copy(
        &self,
        c: &Connection,
        id: CampaignId,
        d: &Definition,
        fields: &[String],
        groups: &[Group],
        place: &HashMap<i64, usize>,
    ) -> Result<i64> {
        let mut next: Vec<i64> = groups.iter().map(|g| g.from_seq).collect();
        let sql = format!(
            "SELECT c.number, c.zone_id, {} FROM ({}) m JOIN contact c USING (number) ORDER BY c.number",
            if fields.is_empty() { "NULL" } else { "c.fields" },
            members(&d.list_ids)
        );
        let mut statement = c.prepare(&sql)?;
        let mut rows = statement.query([])?;
        let mut chunk: Vec<Row> = Vec::with_capacity(CHUNK);
        let mut total = 0;
        while let Some(r) = rows.next()? {
            let zone_id: i64 = r.get(1)?;
            let Some(group) = place.get(&zone_id) else { continue };
            let seq = next[*group];
            next[*group] += 1;
            let json: Option<&str> = r.get_ref(2)?.as_str().ok();
            chunk.push(Row { seq, number: r.get(0)?, fields: json.and_then(|json| pick(json, fields)) });
            total += 1;
            if chunk.len() == CHUNK {
                self.append(id, std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK)))?;
            }
        }
        self.append(id, chunk)?;
        Ok(total)
    }

    fn append(&self, id: CampaignId, mut chunk: Vec<Row>) -> Result<()> {
        chunk.sort_unstable_by_key(|r| r.seq);
        self.inner.writer.run_now(Lane::Bulk, move |c, _| {
            let mut insert = c.prepare_cached(
                "INSERT INTO audience (campaign_id, seq, number, fields) VALUES (?1, ?2, ?3, ?4)",
            )?;
            for r in &chunk {
                insert.execute((id.0, r.seq, r.number, &r.fields))?;
            }
            Ok(())
        })
    }
}

/// The values of `fields` out of a contact's JSON object, as a JSON array.
pub(super) fn pick(json: &str, fields: &[String]) -> Option<String> {
    let object: HashMap<&str, std::borrow::Cow<'_, str>> = serde_json::from_str(json).ok()?;
    let values: Vec<Option<&str>> =
        fields.iter().map(|f| object.get(f.as_str()).map(AsRef::as_ref)).collect();
    serde_json::to_string(&values).ok()
}
