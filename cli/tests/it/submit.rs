//! `remaster submit` against a service that dies, and a command that is interrupted: every image is made, and none is paid twice.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Server, photo, remaster, run, stderr};

const GOOD: usize = 37;
const PATIENCE: Duration = Duration::from_secs(90);

fn submit(folder: &Path, base: &str, further: &[&str]) -> Command {
    let mut command = remaster(folder);
    command.args(["submit", "in", "--output", "out", "--server", base, "--scale", "4", "--background", "false"]);
    command.args(further);
    command
}

fn outputs(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder.join("out")).into_iter().flatten();
    entries.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|kind| kind == "png")).count()
}

fn until_outputs(folder: &Path, count: usize, command: &mut Child) {
    let deadline = Instant::now() + PATIENCE;
    while outputs(folder) < count {
        assert!(command.try_wait().unwrap().is_none(), "the command ended early");
        assert!(Instant::now() < deadline, "{} of {count} results are there", outputs(folder));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_images_survive_a_dead_server_and_an_interruption() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in");
    std::fs::create_dir_all(input.join("deeper")).unwrap();
    for number in 0..GOOD as u32 {
        let name = if number % 5 == 0 { format!("deeper/{number}.jpg") } else { format!("{number}.jpg") };
        std::fs::write(input.join(name), photo(300 - number, 200)).unwrap();
    }
    let cut = photo(300, 200);
    std::fs::write(input.join("cut.jpg"), &cut[..cut.len() / 2]).unwrap();
    std::fs::write(input.join("text.jpg"), b"this is no picture").unwrap();
    std::fs::write(input.join("empty.png"), b"").unwrap();

    let settings = [("USE_REALESRGAN", "0"), ("WORKER_JOBS", "1")];
    let server = Server::start_with(folder.path(), &settings);
    let (base, address) = (server.base.clone(), server.base.trim_start_matches("http://").to_owned());
    let mut command = submit(folder.path(), &base, &["--concurrency", "4"]);
    let mut command = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until_outputs(folder.path(), 3, &mut command);
    server.signal("KILL");
    drop(server);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let server = Server::start_at(folder.path(), &address, &settings);
    until_outputs(folder.path(), 10, &mut command);
    let interrupt = Command::new("kill").args(["-INT", &command.id().to_string()]).status();
    assert!(interrupt.unwrap().success());
    assert_eq!(command.wait().unwrap().code(), Some(130));
    assert!(outputs(folder.path()) < GOOD, "it was interrupted too late");

    let again = run(&mut submit(folder.path(), &base, &[]));
    let said = stderr(&again);
    assert_eq!(again.status.code(), Some(1), "{said}");
    for bad in ["cut.jpg", "text.jpg", "empty.png"] {
        assert!(said.contains(&format!("failed: in/{bad}")), "{bad} in {said}");
    }
    assert!(said.contains("3 failed"), "{said}");
    let mut made = 0;
    for number in 0..GOOD as u32 {
        let name = if number % 5 == 0 { format!("deeper/{number}.png") } else { format!("{number}.png") };
        let result =
            image::open(folder.path().join("out").join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((result.width(), result.height()), ((300 - number) * 4, 800), "{name}");
        made += 1;
    }
    assert_eq!(made, GOOD);
    assert_eq!(server.json("/quota").await["used"], GOOD, "each was charged once");

    // A third run finds everything, and asks about the bad ones again, which costs nothing.
    let third = run(&mut submit(folder.path(), &base, &["--json"]));
    let lines = String::from_utf8(third.stdout.clone()).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = |status: &str| lines.iter().filter(|line| line["status"] == status).count();
    assert_eq!((count("skipped"), count("failed"), lines.len()), (GOOD, 3, GOOD + 3));
    let text = lines.iter().find(|line| line["input"] == "in/text.jpg").unwrap();
    assert_eq!(text["error"]["code"], "unsupported_format");
    assert_eq!(server.json("/quota").await["used"], GOOD);
    let left = walkdir::WalkDir::new(folder.path().join("out")).into_iter();
    let files = left.filter(|entry| entry.as_ref().unwrap().file_type().is_file()).count();
    assert_eq!(files, GOOD, "nothing else is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_room_is_named_once_patience_ends() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("in")).unwrap();
    for number in 0..3 {
        std::fs::write(folder.path().join(format!("in/{number}.jpg")), photo(40 + number, 30)).unwrap();
    }
    let server = Server::start_with(folder.path(), &[("USE_REALESRGAN", "0"), ("FREE_DAILY_LIMIT", "2")]);
    let done = run(&mut submit(folder.path(), &server.base, &["--patience", "2s", "--concurrency", "1"]));
    let said = stderr(&done);
    assert_eq!((done.status.code(), outputs(folder.path())), (Some(1), 2), "{said}");
    assert!(said.contains("2 of 2 images are used today") && said.contains("try again in"), "{said}");

    let nobody = run(&mut submit(folder.path(), "http://127.0.0.1:9", &["--patience", "1s"]));
    let said = stderr(&nobody);
    assert!(nobody.status.code() == Some(1) && said.contains("the connection failed"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn images_come_from_the_web_from_a_list_and_from_a_watched_folder() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &[("USE_REALESRGAN", "0")]);
    // Any web server will do: this one serves the result of a job.
    let job: Value = server.post("/jobs?background=false", photo(40, 30)).await.json().await.unwrap();
    let done = server.finished(job["id"].as_str().unwrap()).await;
    std::fs::write(folder.path().join("local.jpg"), photo(30, 30)).unwrap();
    std::fs::write(folder.path().join("list"), format!("{}\nlocal.jpg\n", done["result"]["url"].as_str().unwrap()))
        .unwrap();
    let mut listed = remaster(folder.path());
    listed.args(["submit", "-", "-o", "out", "--background", "false", "--server", &server.base]);
    let listed = listed.stdin(std::fs::File::open(folder.path().join("list")).unwrap()).output().unwrap();
    assert!(listed.status.success(), "{}", stderr(&listed));
    assert_eq!(image::open(folder.path().join("out/result.png")).unwrap().width(), 160);
    assert_eq!(image::open(folder.path().join("out/local.png")).unwrap().width(), 60);

    std::fs::create_dir(folder.path().join("inbox")).unwrap();
    let mut watching = remaster(folder.path());
    watching.args(["submit", "--watch", "inbox", "-o", "watched", "--background", "false", "--server", &server.base]);
    let mut watching = watching.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    for number in [20, 25] {
        std::fs::write(folder.path().join(format!("inbox/{number}.jpg")), photo(number, 20)).unwrap();
        let (result, deadline) = (folder.path().join(format!("watched/{number}.png")), Instant::now() + PATIENCE);
        while !result.exists() {
            assert!(Instant::now() < deadline && watching.try_wait().unwrap().is_none());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    watching.kill().unwrap();
    watching.wait().unwrap();
}
