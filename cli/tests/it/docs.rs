//! The commands of README.md and docs/api.md, as they are written, against a real service; and what docs/api.md shows of a job.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{Server, photo, run, stderr};

/// The address and the id that the pages use.
const BASE: &str = "http://127.0.0.1:8000";
const ID: &str = "67e55044-10b1-426f-9247-bb680e5fe0c8";

/// Commands that other tests run: building, and these tests.
const ELSEWHERE: [&str; 2] = ["cargo run --release", "cargo xtask test"];

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The contents of the blocks of this kind.
fn blocks(page: &str, kind: &str) -> Vec<String> {
    let parts = page.split("```").skip(1).step_by(2);
    parts.filter_map(|block| block.strip_prefix(kind)?.strip_prefix('\n')).map(str::to_owned).collect()
}

struct Reader {
    folder: tempfile::TempDir,
    server: Server,
    /// The id of the last job or batch.
    id: String,
}

impl Reader {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["photo.jpg", "a.jpg", "b.jpg"] {
            std::fs::write(folder.path().join(name), photo(32, 24)).unwrap();
        }
        std::fs::create_dir(folder.path().join("photos")).unwrap();
        std::fs::write(folder.path().join("photos/one.jpg"), photo(24, 24)).unwrap();
        let data = folder.path().join("service");
        std::fs::create_dir(&data).unwrap();
        let models = crate::harness::models_folder(&data, &[remaster_testkit::SMALL_MODEL], false);
        let settings = [("MODELS_DIR", models.to_str().unwrap()), ("WEBHOOK_ALLOW", "127.0.0.0/8")];
        let server = Server::start_with(&data, &settings);
        Self { folder, server, id: String::new() }
    }

    /// Runs one command as a person would: what waits is repeated until there is nothing to wait for.
    fn type_in(&mut self, command: &str) {
        for _ in 0..100 {
            let said = self.run(command);
            let open =
                ["queued", "processing", "open"].iter().any(|word| said.contains(&format!("\"status\":\"{word}\"")));
            if !(command.contains("?wait=") && open) {
                return;
            }
        }
        panic!("{command} waits for ever");
    }

    /// Runs one command and returns what it prints.
    fn run(&mut self, command: &str) -> String {
        let real = command.replace(BASE, &self.server.base).replace(ID, &self.id).replace("{id}", &self.id);
        // There is no receiver behind the example's name.
        let real = real.replace("https://example.org/hook", "http://127.0.0.1:1099/");
        // An answer that is an error fails the command.
        let real = real.replace("curl ", "curl -sS --fail-with-body ");
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_remaster"));
        let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
        let done = run(Command::new("bash").args(["-c", &real]).env("PATH", path).current_dir(self.folder.path()));
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success(), "{real}: {said}{}", stderr(&done));
        let json = said.rsplit("\r\n\r\n").next().and_then(|body| serde_json::from_str::<Value>(body).ok());
        if let Some(id) = json.as_ref().and_then(|json| json["id"].as_str()) {
            self.id = id.to_owned();
        }
        said
    }

    fn read(&mut self, name: &str) -> usize {
        let mut commands = 0;
        for block in blocks(&page(name), "console") {
            for command in block.lines().filter_map(|line| line.strip_prefix("$ ")) {
                if !ELSEWHERE.contains(&command) {
                    self.type_in(command);
                    commands += 1;
                }
            }
        }
        commands
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_readme_work() {
    let mut reader = Reader::new();
    assert!(reader.read("README.md") >= 7);
    for name in ["out.png", "sharp/one.png"] {
        assert!(reader.folder.path().join(name).is_file(), "{name}");
    }
    let archives = std::fs::read_dir(reader.folder.path()).unwrap();
    let archives =
        archives.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|kind| kind == "zip"));
    assert_eq!(archives.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_api_page_work() {
    let mut reader = Reader::new();
    assert!(reader.read("docs/api.md") >= 8);
    assert!(reader.folder.path().join("result.png").is_file());
}

/// The names of all members, with those of the members' own.
fn members(value: &Value, path: &str) -> Vec<String> {
    let Some(object) = value.as_object() else { return vec![path.to_owned()] };
    object.iter().flat_map(|(name, value)| members(value, &format!("{path}.{name}"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_job_on_the_api_page_is_like_a_real_one() {
    let reader = Reader::new();
    let shown: Value = serde_json::from_str(&blocks(&page("docs/api.md"), "json")[0]).unwrap();
    let job: Value = reader.server.post("/jobs", photo(32, 24)).await.json().await.unwrap();
    let real = reader.server.finished(job["id"].as_str().unwrap()).await;
    assert_eq!(members(&shown, ""), members(&real, ""));
    assert_eq!(shown["status"], real["status"]);
}
