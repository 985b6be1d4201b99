//! The space that is left on the disk of the spool folder. On a single machine results and the job store lie on the same disk, and a disk
//! without any would stop all of them.

use std::path::PathBuf;

/// How much space a worker leaves.
#[derive(Debug, Clone)]
pub struct Space {
    /// A folder on the disk.
    pub folder: PathBuf,
    /// With less space than this, in bytes, no jobs are taken.
    pub reserve: u64,
}

impl Space {
    /// Whether there is enough space for another job.
    ///
    /// # Errors
    /// There is not, or it cannot be told; why, in words.
    pub fn check(&self) -> Result<(), String> {
        let left = fs4::available_space(&self.folder).map_err(|error| error.to_string())?;
        if left >= self.reserve {
            return Ok(());
        }
        Err(format!("the disk of DATA_DIR has {left} bytes left, and {} are to stay free", self.reserve))
    }
}
