//! A backup of a service that goes on meanwhile, and a service that begins with it.

use serde_json::{Value, json};

use crate::harness::{Server, photo, run, stderr, with_models};

const JOBS: usize = 40;

#[tokio::test]
async fn nothing_that_was_acknowledged_before_the_backup_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let submit = async || -> String {
        let answer = server.post("/jobs?background=false&faces=off", photo(300, 200)).await;
        assert_eq!(answer.status(), 202);
        answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
    };
    let mut ids = Vec::new();
    while ids.len() < JOBS {
        ids.push(submit().await);
    }
    server.finished(&ids[0]).await;
    let command = || {
        let mut command = with_models(folder.path());
        command.args(["backup", "copy"]);
        command
    };
    let copied = tokio::task::spawn_blocking({
        let mut command = command();
        move || run(&mut command)
    });
    // The service goes on.
    let later = submit().await;
    let copied = copied.await.unwrap();
    assert!(copied.status.success(), "{}", stderr(&copied));
    assert_eq!(server.finished(&later).await["status"], "succeeded");
    let first = server.http.get(server.url(&format!("/jobs/{}/result", ids[0]))).send().await.unwrap();
    let first = first.bytes().await.unwrap();
    drop(server);
    let again = run(&mut command());
    assert!(stderr(&again).contains("copy is not empty"), "{}", stderr(&again));

    std::fs::remove_dir_all(folder.path().join("data")).unwrap();
    let restored = Server::start_with(folder.path(), &[("DATA_DIR", "copy")]);
    for id in &ids {
        let job = restored.finished(id).await;
        assert_eq!((&job["status"], &job["result"]["width"]), (&json!("succeeded"), &json!(600)), "{job}");
    }
    let same = restored.http.get(restored.url(&format!("/jobs/{}/result", ids[0]))).send().await.unwrap();
    assert_eq!(same.bytes().await.unwrap(), first);
    assert!(restored.json("/quota").await["used"].as_u64().unwrap() >= JOBS as u64);
}

#[test]
fn what_is_not_in_the_data_folder_is_not_backed_up() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |name: &str, value: &str| {
        let done = run(with_models(folder.path()).args(["backup", "copy"]).env(name, value));
        assert_eq!(done.status.code(), Some(1));
        stderr(&done)
    };
    assert!(refused("REDIS_URL", "redis://127.0.0.1").contains("docs/operations.md says how"));
    assert!(refused("DATA_DIR", "nothing").contains("nothing/remaster.sqlite cannot be copied"));
}
