//! `remaster backup`: a copy of `DATA_DIR`, of a service that goes on meanwhile.
//!
//! The pictures are copied, then the database, and then the pictures that are new. A job of the copied database was accepted before the
//! last step, and so its picture is there: it is kept for a while after the job's end, and a copy that takes longer than that is refused.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail};
use remaster_store::rules::job::INPUT_KEPT;
use remaster_store_sqlite::back_up;
use walkdir::WalkDir;

use crate::args::BackupArgs;
use crate::backends::{PICTURES, non_empty};
use crate::spool::make_private;

/// The most times that the pictures are copied before the database is: each time there are fewer new ones.
const ROUNDS: usize = 5;

/// Copies the database and the pictures to an empty folder.
///
/// # Errors
/// Jobs or pictures are not kept in `DATA_DIR`, the folder is not empty, or something cannot be copied, or not in time.
pub fn run(args: &BackupArgs) -> anyhow::Result<ExitCode> {
    if non_empty(&args.redis_url).or(non_empty(&args.storage_url)).is_some() {
        bail!(
            "REDIS_URL or STORAGE_URL is set, and this copies DATA_DIR only; docs/operations.md says how to back up the others"
        );
    }
    let (data, to) = (&args.data_dir, &args.to);
    make_private(to).with_context(|| format!("{} cannot be made", to.display()))?;
    if fs::read_dir(to)?.next().is_some() {
        bail!("{} is not empty; a backup goes to a folder of its own", to.display());
    }
    let pictures = (data.join(PICTURES), to.join(PICTURES));
    let mut copied = 0;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        copied += copy_new(&pictures.0, &pictures.1)?;
        if began.elapsed() < INPUT_KEPT / 4 {
            break;
        }
    }
    let began = Instant::now();
    back_up(data, to)?;
    copied += copy_new(&pictures.0, &pictures.1)?;
    if began.elapsed() >= INPUT_KEPT {
        bail!(
            "new pictures come faster than they can be copied to {}, so that some may be missing there",
            to.display()
        );
    }
    println!("{copied} files and the database are in {}; DATA_DIR={0} starts a service with them", to.display());
    Ok(ExitCode::SUCCESS)
}

/// Copies the files that `to` does not have, and returns how many these were. A file is linked where that is possible: it is never written
/// to, only replaced or removed.
fn copy_new(from: &Path, to: &Path) -> anyhow::Result<u64> {
    fs::create_dir_all(to)?;
    let mut copied = 0;
    for entry in WalkDir::new(from) {
        let entry = match entry {
            Ok(entry) => entry,
            // It was deleted meanwhile, or there are no pictures yet.
            Err(error) if error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::NotFound) => continue,
            Err(error) => return Err(error.into()),
        };
        let target = to.join(entry.path().strip_prefix(from)?);
        if entry.file_type().is_dir() {
            fs::create_dir_all(target)?;
            continue;
        }
        // An unfinished write has a name with a number.
        let is_unfinished = entry.file_name().to_string_lossy().contains('#');
        if is_unfinished || target.exists() {
            continue;
        }
        match fs::hard_link(entry.path(), &target).or_else(|_| copy(entry.path(), &target)) {
            Ok(()) => copied += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("{} cannot be copied", entry.path().display())),
        }
    }
    sync_folders(to)?;
    Ok(copied)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    File::open(to)?.sync_all()
}

/// Makes sure that the names of the copies are on the disk, where the system can tell.
fn sync_folders(folder: &Path) -> anyhow::Result<()> {
    if cfg!(unix) {
        for entry in WalkDir::new(folder).into_iter().filter_entry(|entry| entry.file_type().is_dir()) {
            File::open(entry?.path())?.sync_all()?;
        }
    }
    Ok(())
}
