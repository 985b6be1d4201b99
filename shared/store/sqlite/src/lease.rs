//! Leases that no worker can be blamed for, by `remaster_store::rules::lease`.

use remaster_store::rules::lease::was_out_of_reach;
use rusqlite::named_params;

use super::rows::millis;
use super::write::Write;

/// A worker calls: where the store was out of reach until now, every lease is extended before any is looked at.
pub fn spare(write: &mut Write<'_>) -> rusqlite::Result<()> {
    let last = write.last_call.0.replace(write.now);
    if !was_out_of_reach(last, write.now, write.policy.lease) {
        return Ok(());
    }
    let spared = write
        .db
        .prepare_cached("UPDATE jobs SET lease_until = :until WHERE lease_until IS NOT NULL")?
        .execute(named_params! { ":until": millis(write.now) + write.policy.lease.as_millis() as i64 })?;
    if spared > 0 {
        tracing::warn!(leases = spared, "the store or its clock stood still; the leases of running jobs are extended");
    }
    Ok(())
}
