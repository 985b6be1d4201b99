//! What a node says on the terminal once it runs: what it is, where it is found, what it runs on and what is missing.

use remaster_engine::SharedEngine;
use remaster_models::{AssetStatus, Kind, status};
use remaster_shared::version::VERSION;

use crate::args::{ApiArgs, StoreArgs};
use crate::models::Models;

/// What the lines are made of.
pub struct Banner<'a> {
    /// The URL of the page.
    pub url: &'a str,
    /// The settings of the API.
    pub api: &'a ApiArgs,
    /// The settings of the store.
    pub store: &'a StoreArgs,
    /// The models and the engine of the worker in this process, if there is one.
    pub worker: Option<(&'a Models, &'a SharedEngine)>,
}

impl Banner<'_> {
    /// Prints the lines on stderr.
    pub fn print(&self) {
        self.lines().iter().for_each(|line| eprintln!("{line}"));
    }

    fn lines(&self) -> Vec<String> {
        let url = self.url;
        let mut lines = vec![format!("Remaster {} makes old, small and blurry photos sharp", *VERSION)];
        let mut line = |name: &str, text: String| lines.push(format!("  {name:9} {text}"));
        line("page", format!("{url}   (API: {url}/docs)"));
        if let Some((models, engine)) = self.worker {
            let running = engine.running_on();
            let unknown = || "not known until the inference runtime is installed".to_owned();
            line(
                "device",
                running.map_or_else(unknown, |on| format!("{}, {} ({})", on.device, on.precision, on.reason)),
            );
            let known = status(&models.manifest, &models.library).unwrap_or_default();
            let ids = |wanted: fn(&AssetStatus) -> bool| -> Vec<String> {
                known.iter().filter(|asset| wanted(asset)).map(|asset| asset.id.clone()).collect()
            };
            let installed = ids(|asset| asset.installed && asset.kind.is_model());
            line("models", if installed.is_empty() { "none yet".to_owned() } else { installed.join(", ") });
            let missing = ids(|asset| !asset.installed && asset.default && asset.kind != Kind::Photo);
            if !missing.is_empty() {
                line("missing", format!("{}   (remaster models pull)", missing.join(", ")));
            }
        }
        let data = self.store.data_dir.display();
        let redis = self.store.redis_url.as_deref().is_some_and(|url| !url.is_empty());
        line("store", if redis { "Redis".to_owned() } else { format!("{data}/remaster.sqlite") });
        let storage = self.store.storage_url.as_deref().filter(|url| !url.is_empty());
        line("storage", storage.map_or_else(|| format!("{data}/blobs"), str::to_owned));
        let kept = humantime::format_duration(self.store.result_ttl);
        line("limits", format!("{} images per client and day; results are kept for {kept}", self.api.free_daily_limit));
        line("try", format!("curl -F file=@photo.jpg '{url}/enhance?scale=2' -o out.png"));
        lines
    }
}
