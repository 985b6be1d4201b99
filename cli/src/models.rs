//! The models folder and how missing models are fetched, for every command; and the commands below `remaster models`.

use std::process::ExitCode;

use anyhow::{Context, bail};
use indicatif::HumanBytes;
use remaster_engine::{Device, Precision};
use remaster_models::{
    Asset, AssetError, ImportOptions, Kind, Library, Manifest, PullOptions, PullOutcome, Pulled, Verdict, default_dir,
    import, install_bundled, missing_defaults, pull, status,
};

use crate::args::{EngineArgs, ModelsArgs, ModelsCommand, PullArgs};
use crate::engine::configured_runtime;
use crate::exit;
use crate::progress::Bars;

/// The models folder, the manifest of known models, and how missing ones are fetched.
#[derive(Clone)]
pub struct Models {
    /// The models that this release knows.
    pub manifest: Manifest,
    /// The models folder.
    pub library: Library,
    options: PullOptions,
    /// Whether missing models are fetched without a request for them (`PULL_MODELS`).
    pub pulls: bool,
    /// Whether the runtime for GPUs is to be fetched and used.
    pub gpus: bool,
}

impl Models {
    /// Opens the folder.
    ///
    /// # Errors
    /// It cannot be created or read, or there is no home folder to put it in.
    pub fn open(args: ModelsArgs) -> anyhow::Result<Self> {
        let folder = args.models_dir.or_else(default_dir).context("there is no home folder; set MODELS_DIR")?;
        let mirror = args.asset_mirror.filter(|mirror| !mirror.is_empty());
        Ok(Self {
            manifest: Manifest::embedded()?,
            library: Library::open(folder)?,
            options: PullOptions { mirror, ..PullOptions::default() },
            pulls: true,
            gpus: false,
        })
    }

    /// Opens the folder for a command that runs models, and installs the models that are part of the binary. Missing models
    /// are fetched later if `pull` permits it.
    ///
    /// # Errors
    /// As [`open`](Self::open), or a bundled model cannot be written.
    pub fn open_to_use(args: ModelsArgs, pull: &PullArgs, engine: &EngineArgs) -> anyhow::Result<Self> {
        let models = Self { pulls: pull.pull_models, ..Self::open(args)?.with_engine(engine) };
        install_bundled(&models.manifest, &models.library)?;
        Ok(models)
    }

    /// With the runtime for GPUs, if that engine may use it.
    pub fn with_engine(self, engine: &EngineArgs) -> Self {
        // A GPU has no bfloat16 here.
        let prefers_cpu = engine.device == Device::Auto && engine.precision == Precision::BFloat16;
        let gpus = configured_runtime(engine).is_none() && !prefers_cpu && engine.device.may_use_gpus();
        Self { gpus, ..self }
    }

    /// Fetches `ids` beside a running service, and returns the failures. It blocks. Where sources fail is told by the failures only.
    ///
    /// # Errors
    /// An id is unknown, or the folder cannot be used.
    pub fn pull_beside(&self, ids: &[&str]) -> anyhow::Result<Vec<String>> {
        let outcomes = pull(&self.manifest, &self.library, ids, &self.options, &Bars::without_notes())?;
        let failed = |outcome: PullOutcome| Some(with_id(&outcome.id, &outcome.result.err()?));
        Ok(outcomes.into_iter().filter_map(failed).collect())
    }

    /// Fetches `ids`, prints one line for each failure, and returns the number of failures. It blocks.
    ///
    /// # Errors
    /// An id is unknown, or the folder cannot be used.
    pub fn pull(&self, ids: &[&str]) -> anyhow::Result<usize> {
        self.pull_each(ids, |_, _| ())
    }

    /// Like [`pull`](Self::pull), and calls `on_success` for each model that is installed now.
    fn pull_each(&self, ids: &[&str], on_success: impl Fn(&str, &Pulled)) -> anyhow::Result<usize> {
        let mut failed = 0;
        for outcome in pull(&self.manifest, &self.library, ids, &self.options, &Bars::default())? {
            match outcome.result {
                Ok(pulled) => on_success(&outcome.id, &pulled),
                Err(error) => {
                    eprintln!("error: {}", with_id(&outcome.id, &error));
                    failed += 1;
                }
            }
        }
        Ok(failed)
    }

    /// The default models that are missing, and before them the runtime for GPUs if it is to be used; none if `PULL_MODELS` is 0.
    pub fn missing_defaults(&self) -> Vec<&Asset> {
        if !self.pulls {
            return Vec::new();
        }
        let missing = |_: &&Asset| self.gpus && self.library.cuda_paths(&self.manifest).is_none();
        let cuda = self.manifest.cuda().filter(missing);
        cuda.into_iter().chain(missing_defaults(&self.manifest, &self.library)).collect()
    }

    /// Whether an upscaler is installed.
    pub fn has_upscaler(&self) -> bool {
        self.has(Kind::Upscaler)
    }

    /// Whether a model of this kind is installed.
    pub fn has(&self, kind: Kind) -> bool {
        self.library.installed().is_ok_and(|models| models.iter().any(|model| model.kind == kind))
    }
}

/// Runs a command below `remaster models`.
///
/// # Errors
/// The command has failed as a whole.
pub fn run(command: ModelsCommand) -> anyhow::Result<ExitCode> {
    match command {
        ModelsCommand::List { models } => list(&Models::open(models)?),
        ModelsCommand::Pull { ids, all, models } => fetch(&Models::open(models)?, ids, all),
        ModelsCommand::Import { file, id, scale, models } => {
            let models = Models::open(models)?;
            let options = ImportOptions { scale, ..ImportOptions::default() };
            let installed = import(&file, &id, &models.library, &options)?;
            println!(
                "installed {} (x{}, {}) as {}",
                installed.id,
                installed.scale,
                installed.architecture,
                installed.path.display()
            );
            Ok(ExitCode::SUCCESS)
        }
        ModelsCommand::Verify { models } => verify(&Models::open(models)?),
    }
}

/// The text of the error, preceded by the id unless it begins with the id anyway.
fn with_id(id: &str, error: &AssetError) -> String {
    let text = error.to_string();
    if text.starts_with(id) { text } else { format!("{id}: {text}") }
}

fn list(models: &Models) -> anyhow::Result<ExitCode> {
    println!("{:28} {:13} {:5} {:10} {:>10}  LICENCE", "ID", "KIND", "SCALE", "STATE", "SIZE");
    for asset in status(&models.manifest, &models.library)? {
        if asset.kind == Kind::Photo {
            continue;
        }
        let scale = asset.scale.map(|scale| format!("x{scale}")).unwrap_or_default();
        let state = if asset.installed { "installed" } else { "missing" };
        let licence = asset.licence.as_deref().unwrap_or("unknown (imported)");
        let note = asset.licence_note.map(|note| format!(" ({note})")).unwrap_or_default();
        let size = HumanBytes(asset.bytes).to_string();
        println!("{:28} {:13} {scale:5} {state:10} {size:>10}  {licence}{note}", asset.id, asset.kind.as_str());
    }
    println!("\nin {}", models.library.dir().display());
    Ok(ExitCode::SUCCESS)
}

fn fetch(models: &Models, ids: Vec<String>, all: bool) -> anyhow::Result<ExitCode> {
    let ids: Vec<String> = match (ids.is_empty(), all) {
        (_, true) => models.manifest.here().map(|asset| asset.id.clone()).collect(),
        (true, false) => models.manifest.here().filter(|asset| asset.default).map(|asset| asset.id.clone()).collect(),
        (false, false) => ids,
    };
    let known: Vec<&str> = models.manifest.here().map(|asset| asset.id.as_str()).collect();
    if let Some(unknown) = ids.iter().find(|id| !known.contains(&id.as_str())) {
        bail!("{unknown:?} is not a known asset; there are {}", known.join(", "));
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let failed = models.pull_each(&ids, |id, pulled| match pulled {
        Pulled::AlreadyThere(_) => println!("{id} is installed"),
        Pulled::Installed(path) => println!("{id} is now in {}", path.display()),
    })?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { exit::failure() })
}

fn verify(models: &Models) -> anyhow::Result<ExitCode> {
    let mut bad = false;
    for (id, verdict) in models.library.verify(&models.manifest)? {
        match verdict {
            Verdict::Intact => println!("{id}: intact"),
            other => {
                bad = true;
                println!("{id}: {}", describe(&other));
            }
        }
    }
    Ok(if bad { exit::failure() } else { ExitCode::SUCCESS })
}

fn describe(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Intact => "intact".into(),
        Verdict::Damaged { expected, got } => {
            format!("DAMAGED: hash is {got}, was {expected}; delete it and pull again")
        }
        Verdict::Unrecorded => "no hash was recorded; import or pull it again".into(),
        Verdict::Unreadable(error) => format!("cannot be read: {error}"),
    }
}
