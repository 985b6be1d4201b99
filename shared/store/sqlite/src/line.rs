//! The clients' lines: who waits since when, and whose turn it is, by `remaster_store::rules::fairness`.

use remaster_shared::client::ClientKey;
use remaster_shared::job::Status;
use remaster_store::ClaimRequest;
use remaster_store::rules::fairness::{self, Order};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, named_params};

use super::rows::{JobRow, read_job};
use super::totals;
use super::write::Write;

/// What is kept of the queue as a whole.
struct Clock {
    virtual_now: f64,
    claims: u64,
    /// Clients with ready jobs.
    waiting: u64,
}

fn clock(db: &Connection) -> rusqlite::Result<Clock> {
    db.prepare_cached("SELECT virtual_now, claims, waiting FROM service")?
        .query_row([], |row| Ok(Clock { virtual_now: row.get(0)?, claims: row.get(1)?, waiting: row.get(2)? }))
}

fn set_virtual_now(db: &Connection, now: f64) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE service SET virtual_now = :now")?.execute(named_params! { ":now": now }).map(drop)
}

/// The next moment: an order for clients whose oldest job changes.
fn moment(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached("UPDATE service SET moments = moments + 1 RETURNING moments")?.query_row([], |row| row.get(0))
}

/// The client's start and its count of ready jobs.
fn client(db: &Connection, client: ClientKey) -> rusqlite::Result<Option<(f64, u64)>> {
    db.prepare_cached("SELECT vstart, ready FROM clients WHERE client = :client")?
        .query_row(named_params! { ":client": client.0 }, |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// Counts `jobs` more of the client's jobs as ready.
pub fn join(write: &Write<'_>, key: ClientKey, jobs: u64) -> rusqlite::Result<()> {
    if jobs == 0 {
        return Ok(());
    }
    let db = write.db;
    let known = client(db, key)?;
    if known.is_some_and(|(_, ready)| ready > 0) {
        return db
            .prepare_cached("UPDATE clients SET ready = ready + :jobs WHERE client = :client")?
            .execute(named_params! { ":jobs": jobs, ":client": key.0 })
            .map(drop);
    }
    let left_off = known.map_or(0.0, |(start, _)| start);
    let (now, start) = fairness::arrive(clock(db)?.virtual_now, left_off);
    set_virtual_now(db, now)?;
    db.prepare_cached("UPDATE service SET waiting = waiting + 1")?.execute([])?;
    db.prepare_cached(
        "INSERT OR REPLACE INTO clients (client, vstart, ready, head_since) VALUES (:client, :start, :jobs, :since)",
    )?
    .execute(named_params! { ":client": key.0, ":start": start, ":jobs": jobs, ":since": moment(db)? })
    .map(drop)
}

/// One of the client's ready jobs leaves its line. `claimed` says that it was the client's oldest job, so the
/// next one is the oldest from now on.
pub fn leave(write: &Write<'_>, key: ClientKey, claimed: bool) -> rusqlite::Result<()> {
    let db = write.db;
    let since = if claimed { Some(moment(db)?) } else { None };
    let left: u64 = db
        .prepare_cached(
            "UPDATE clients SET ready = ready - 1, head_since = coalesce(:since, head_since) WHERE client = :client
             RETURNING ready",
        )?
        .query_row(named_params! { ":since": since, ":client": key.0 }, |row| row.get(0))?;
    if left == 0 {
        db.prepare_cached("UPDATE service SET waiting = waiting - 1")?.execute([])?;
    }
    Ok(())
}

/// The client is given a job of this price for the first time.
pub fn serve(write: &Write<'_>, key: ClientKey, price: f64) -> rusqlite::Result<()> {
    let Clock { virtual_now, waiting, .. } = clock(write.db)?;
    let start = client(write.db, key)?.map_or(virtual_now, |(start, _)| start);
    let (now, start) = fairness::serve(virtual_now, start, price, waiting);
    set_virtual_now(write.db, now)?;
    write
        .db
        .prepare_cached("UPDATE clients SET vstart = :start WHERE client = :client")?
        .execute(named_params! { ":start": start, ":client": key.0 })
        .map(drop)
}

/// Called when no job waits and none runs: moves virtual time to the largest start of any client.
pub fn settle(db: &Connection) -> rusqlite::Result<()> {
    let latest: Option<f64> = db
        .prepare_cached("SELECT max(vstart) FROM clients INDEXED BY clients_idle WHERE ready = 0")?
        .query_row([], |row| row.get(0))?;
    set_virtual_now(db, fairness::settle(clock(db)?.virtual_now, latest.unwrap_or(0.0)))
}

/// How many clients a claim looks at, in their order, before it gives up. Those whose oldest job needs a skill that the worker
/// lacks are passed over, and count.
const LOOKED_AT: usize = 64;

/// The oldest ready job of the client whose turn it is, of the clients whose oldest job needs one of the worker's skills or none. Those that
/// are busy come after the others that are looked at. Counts a claim when there is one.
pub fn next(db: &Connection, request: &ClaimRequest) -> rusqlite::Result<Option<JobRow>> {
    let (first, second) = match fairness::order(clock(db)?.claims) {
        Order::Start => (Order::Start, Order::LongestWait),
        Order::LongestWait => (Order::LongestWait, Order::Start),
    };
    // The second order is looked at when the first is full of clients whose oldest job needs another skill.
    let row = match next_by(db, first, request)? {
        Some(Found { row, busy: false }) => Some(row),
        Some(Found { row, busy: true }) => {
            let other = next_by(db, second, request)?.filter(|found| !found.busy);
            Some(other.map_or(row, |found| found.row))
        }
        None => next_by(db, second, request)?.map(|found| found.row),
    };
    if row.is_some() {
        db.prepare_cached("UPDATE service SET claims = claims + 1")?.execute([])?;
    }
    Ok(row)
}

/// A job that the worker can do.
struct Found {
    row: JobRow,
    /// Whether its client is busy.
    busy: bool,
}

/// The first job in this order, of a client that is not busy if there is one.
fn next_by(db: &Connection, order: Order, request: &ClaimRequest) -> rusqlite::Result<Option<Found>> {
    let ClaimRequest { skills, busy, .. } = request;
    let order = match order {
        Order::Start => "vstart, head_since",
        Order::LongestWait => "head_since",
    };
    let mut oldest = db.prepare_cached(&format!(
        "SELECT (SELECT seq FROM jobs
                 WHERE jobs.client = clients.client AND status = 'queued' AND not_before IS NULL ORDER BY seq LIMIT 1)
         FROM clients WHERE ready > 0 ORDER BY {order} LIMIT {LOOKED_AT}"
    ))?;
    let mut clients = oldest.query([])?;
    let mut of_busy = None;
    while let Some(client) = clients.next()? {
        let row = db
            .prepare_cached("SELECT * FROM jobs WHERE seq = :seq")?
            .query_row(named_params! { ":seq": client.get::<_, Option<i64>>(0)? }, |row| {
                Ok((row.get::<_, Option<String>>("model")?, read_job(row)?))
            })
            .optional()?;
        if let Some((needed, row)) = row
            && needed.is_none_or(|needed| skills.iter().any(|own| own.as_str() == needed))
        {
            if !busy.contains(&row.record.client) {
                return Ok(Some(Found { row, busy: false }));
            }
            of_busy = of_busy.or(Some(Found { row, busy: true }));
        }
    }
    Ok(of_busy)
}

/// An idle client whose start lies in the past is the same as one that was never seen.
pub fn forget_idle(db: &Connection) -> rusqlite::Result<()> {
    db.prepare_cached(
        "DELETE FROM clients INDEXED BY clients_idle WHERE ready = 0 AND vstart <= (SELECT virtual_now FROM service)
             AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.client = clients.client AND finished_at IS NULL)",
    )?
    .execute([])
    .map(drop)
}

/// The place in line of a job that waits, by [`fairness::position`].
pub fn position(db: &Connection, key: ClientKey, seq: i64) -> rusqlite::Result<u64> {
    let Some((start, ready)) = client(db, key)? else { return Ok(1) };
    let waiting = clock(db)?.waiting;
    let earlier = rank(db, &OWN_JOBS, Value::from(key.0.to_vec()), (Value::from(seq), ready))?;
    let before = rank(db, &CLIENTS, Value::Null, (Value::from(start), waiting))?;
    let after = waiting.saturating_sub(before + 1);
    Ok(fairness::position(earlier, before, after, totals::count(db, Status::Queued)?))
}

/// How many entries of an index are counted one by one. Beyond them the number is estimated, so that it never takes long.
const COUNTED: u64 = 100;

/// An ordered index.
struct Index {
    column: &'static str,
    rows: &'static str,
}

const OWN_JOBS: Index =
    Index { column: "seq", rows: "jobs WHERE client = :owner AND status = 'queued' AND not_before IS NULL" };
const CLIENTS: Index = Index { column: "vstart", rows: "clients WHERE :owner IS NULL AND ready > 0" };

/// How many of the index's `all` entries lie before `value`. The entries beyond those that are counted are taken to be spread
/// evenly.
fn rank(db: &Connection, index: &Index, owner: Value, (value, all): (Value, u64)) -> rusqlite::Result<u64> {
    let Index { column, rows } = index;
    let counted: u64 = db
        .prepare_cached(&format!("SELECT count(*) FROM (SELECT 1 FROM {rows} AND {column} < :value LIMIT {COUNTED})"))?
        .query_row(named_params! { ":owner": owner, ":value": value }, |row| row.get(0))?;
    if counted < COUNTED {
        return Ok(counted);
    }
    let share: f64 = db
        .prepare_cached(&format!(
            "SELECT (:value - least) / max(1e-9, most - least) FROM
                 (SELECT {column} + 0.0 AS least FROM {rows} ORDER BY {column} LIMIT 1),
                 (SELECT {column} + 0.0 AS most FROM {rows} ORDER BY {column} DESC LIMIT 1)"
        ))?
        .query_row(named_params! { ":owner": owner, ":value": value }, |row| row.get(0))?;
    // The counts are of different moments: `all` may have fallen below what was counted.
    Ok(((share * all as f64) as u64).clamp(COUNTED.min(all), all))
}
