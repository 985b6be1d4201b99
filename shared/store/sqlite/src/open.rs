//! Opening the database: the folder's lock, the pragmas, the migrations, and what a crash left behind.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use rusqlite::Connection;

/// Numbered by their place; once released, a migration is never changed (see `migrations/README.md`).
const MIGRATIONS: &[&str] = &[
    include_str!("../../../../migrations/sqlite/0001_jobs.sql"),
    include_str!("../../../../migrations/sqlite/0002_idempotency.sql"),
    include_str!("../../../../migrations/sqlite/0003_batches_and_webhooks.sql"),
    include_str!("../../../../migrations/sqlite/0004_rules_in_one_place.sql"),
    include_str!("../../../../migrations/sqlite/0005_fences.sql"),
    include_str!("../../../../migrations/sqlite/0006_operations.sql"),
    include_str!("../../../../migrations/sqlite/0007_skills.sql"),
    include_str!("../../../../migrations/sqlite/0008_recipes.sql"),
];

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the folder.
    #[error("{0} is in use by another remaster process; stop it, or set another DATA_DIR")]
    InUse(PathBuf),
    /// The folder cannot be made or locked.
    #[error("{0} cannot be used: {1}")]
    Folder(PathBuf, #[source] std::io::Error),
    /// A newer release has been here.
    #[error("{path} was written by a newer remaster (schema {found}, this one knows {known}); update this one")]
    Newer {
        /// The database.
        path: PathBuf,
        /// Migrations that were applied to it.
        found: usize,
        /// Migrations that this binary has.
        known: usize,
    },
    /// The file is no database, or cannot be read.
    #[error("{0} cannot be opened: {1}")]
    Database(PathBuf, #[source] rusqlite::Error),
}

/// Held for as long as the process uses the folder; the system releases it when the process ends, however it ends.
pub fn lock(folder: &Path) -> Result<File, OpenError> {
    let io = |error| OpenError::Folder(folder.to_owned(), error);
    std::fs::create_dir_all(folder).map_err(io)?;
    let file = File::create(folder.join("lock")).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

/// Makes the database's file if it is missing, and lets no other user of the machine read it: it has the secrets of webhooks, and the one
/// that signing keys derive from. The files that SQLite adds have the same mode.
pub fn keep_private(path: &Path) -> Result<(), OpenError> {
    let io = |error| OpenError::Folder(path.to_owned(), error);
    let mut options = File::options();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(io)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let open_to_others = file.metadata().map_err(io)?.permissions().mode() & 0o077 != 0;
        // A file of another user cannot be changed, and on some file systems none can.
        if open_to_others && let Err(error) = file.set_permissions(PermissionsExt::from_mode(0o600)) {
            tracing::warn!(path = %path.display(), %error, "other users of this machine may read the database");
        }
    }
    Ok(())
}

pub fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // FULL: a commit is on the disk before anybody hears of it.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "busy_timeout", 5_000)?;
    // What a transaction within another one needs to undo its changes: a few pages, and no file for each.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

pub fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let database = |error| OpenError::Database(path.to_owned(), error);
    let transaction = connection.transaction().map_err(database)?;
    let found: usize = transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(database)?;
    let known = MIGRATIONS.len();
    if found > known {
        return Err(OpenError::Newer { path: path.to_owned(), found, known });
    }
    for migration in &MIGRATIONS[found..] {
        transaction.execute_batch(migration).map_err(database)?;
    }
    transaction.pragma_update(None, "user_version", known).map_err(database)?;
    transaction.commit().map_err(database)
}

/// This process is alone with the database, so whoever held a lease is gone: every lease ends now.
pub fn end_leases(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("UPDATE jobs SET lease_until = 0 WHERE lease_until IS NOT NULL", []).map(drop)
}
