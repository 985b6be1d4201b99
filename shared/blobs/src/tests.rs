use std::{path::Path, time::Duration};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use remaster_shared::blob_key::{BlobKey, OutputName};
use remaster_shared::fence::Fence;
use remaster_shared::job::JobId;
use remaster_testkit::S3Server;

use super::blobs::{PART_SIZE, path};
use super::folder::MAX_STAGED_AGE;
use super::*;

fn open(url: &str) -> Result<Blobs, StorageError> {
    Blobs::open(&Storage::at(url), [])
}

async fn listed(blobs: &Blobs, age: Duration) -> Vec<BlobKey> {
    blobs.older_than(age).await.unwrap().try_collect().await.unwrap()
}

async fn round_trip(blobs: Blobs) {
    let job = JobId::random();
    let source = tempfile::NamedTempFile::new().unwrap();
    let content: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    std::fs::write(source.path(), &content).unwrap();
    let name = OutputName::Attempt(2);
    for key in [BlobKey::Input(job), BlobKey::Output(job, name)] {
        assert!(matches!(blobs.get(key).await, Err(BlobError::NotFound(missing)) if missing == key));
        blobs.put_file(key, source.path()).await.unwrap();
        assert_eq!(blobs.get(key).await.unwrap(), content);
        let part = blobs.stream(key, Some(10..20)).await.unwrap();
        assert_eq!(part.size, content.len() as u64);
        let bytes: Vec<Bytes> = part.body.try_collect().await.unwrap();
        assert_eq!(bytes.concat(), content[10..20]);
    }
    let mut keys = listed(&blobs, Duration::ZERO).await;
    keys.sort_by_key(ToString::to_string);
    assert_eq!(keys, [BlobKey::Input(job), BlobKey::Output(job, name)]);
    assert!(listed(&blobs, Duration::from_secs(60)).await.is_empty());
    blobs.delete(keys[0]).await.unwrap();
    blobs.delete(keys[0]).await.unwrap();
    // Also what is already gone is gone.
    let (mut gone, failed) = blobs.delete_all(keys.clone()).await;
    gone.sort_by_key(ToString::to_string);
    assert!(failed.is_none(), "{failed:?}");
    assert_eq!(gone, keys);
    assert!(listed(&blobs, Duration::ZERO).await.is_empty());
    blobs.ping().await.unwrap();
    for (owner, theirs) in [("one", true), ("other", false), ("one", true)] {
        assert_eq!(blobs.belong_to(owner).await.unwrap(), theirs, "{owner}");
    }
    assert!(listed(&blobs, Duration::ZERO).await.is_empty());
    let withdrawal = Withdrawal::of(vec![job, JobId::random()]).unwrap();
    blobs.note_withdrawal("one", &withdrawal).await.unwrap();
    assert_eq!(blobs.withdrawals("one").await.unwrap(), std::slice::from_ref(&withdrawal));
    assert!(listed(&blobs, Duration::ZERO).await.is_empty(), "a note is no picture");
    assert_eq!(blobs.withdrawals("other").await.unwrap(), []);
    blobs.withdrawn("one", &withdrawal).await.unwrap();
    blobs.withdrawn("one", &withdrawal).await.unwrap();
    assert_eq!(blobs.withdrawals("one").await.unwrap(), []);
}

#[tokio::test]
async fn a_folder_keeps_objects() {
    let folder = tempfile::tempdir().unwrap();
    round_trip(Blobs::in_folder(folder.path()).unwrap()).await;
}

#[tokio::test]
async fn memory_keeps_objects() {
    round_trip(open("memory:///").unwrap()).await;
}

fn open_s3(server: &S3Server, storage: Storage) -> Blobs {
    Blobs::open(&storage, server.vars()).unwrap()
}

#[tokio::test]
async fn a_bucket_keeps_objects() {
    let server = S3Server::start();
    round_trip(open_s3(&server, Storage::at(server.url()))).await;
}

#[tokio::test]
async fn a_large_object_goes_in_parts_and_comes_back_whole() {
    let server = S3Server::start();
    let blobs = open_s3(&server, Storage::at(server.url()));
    let source = tempfile::NamedTempFile::new().unwrap();
    let content: Vec<u8> = (0..2 * PART_SIZE as u32 + 4321).map(|i| (i % 253) as u8).collect();
    std::fs::write(source.path(), &content).unwrap();
    let key = BlobKey::Output(JobId::random(), Fence::random().into());
    blobs.put_file(key, source.path()).await.unwrap();
    assert!(blobs.get(key).await.unwrap() == content);
    let metadata = blobs.store.head(&path(key)).await.unwrap();
    assert!(metadata.e_tag.is_some_and(|tag| tag.contains("-3")), "three parts");
}

#[tokio::test]
async fn a_signed_url_works_for_anybody_and_only_as_signed() {
    let server = S3Server::start();
    let blobs = open_s3(&server, Storage::at(server.url()));
    let source = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(source.path(), b"a picture").unwrap();
    let key = BlobKey::Output(JobId::random(), Fence::random().into());
    blobs.put_file(key, source.path()).await.unwrap();
    let url = blobs.signed(key, "a photo_x2.png", Duration::from_secs(60)).await.unwrap().unwrap();

    let response = reqwest::get(&url).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "image/png");
    assert_eq!(response.headers()["content-disposition"], "inline; filename=\"a photo_x2.png\"");
    assert_eq!(response.bytes().await.unwrap().as_ref(), b"a picture");
    let other = url.replace(&format!("{key}"), &format!("{}", BlobKey::Output(key.job(), Fence::random().into())));
    assert_ne!(other, url);
    assert_eq!(reqwest::get(&other).await.unwrap().status(), 403);
}

#[tokio::test]
async fn urls_are_signed_for_the_endpoint_that_callers_reach() {
    let server = S3Server::start();
    let key = BlobKey::Output(JobId::random(), Fence::random().into());
    let public = Storage { public_endpoint: Some("https://cdn.example.org".into()), ..Storage::at(server.url()) };
    let blobs = open_s3(&server, public);
    let url = blobs.signed(key, "x.png", Duration::from_secs(60)).await.unwrap().unwrap();
    assert!(url.starts_with("https://cdn.example.org/photos/some/prefix/outputs/"), "{url}");
    blobs.ping().await.unwrap();

    let unsigned = open_s3(&server, Storage { sign: false, ..Storage::at(server.url()) });
    assert_eq!(unsigned.signed(key, "x.png", Duration::from_secs(60)).await.unwrap(), None);
}

#[tokio::test]
async fn a_bucket_that_is_down_is_said_soon_and_used_again_later() {
    let mut server = S3Server::start();
    let blobs = open_s3(&server, Storage::at(server.url()));
    let key = BlobKey::Input(JobId::random());
    let source = tempfile::NamedTempFile::new().unwrap();
    server.stop();
    let began = std::time::Instant::now();
    assert!(blobs.put_file(key, source.path()).await.is_err());
    assert!(blobs.ping().await.is_err());
    assert!(began.elapsed() < Duration::from_secs(10));
    server.restart();
    blobs.put_file(key, source.path()).await.unwrap();
    assert_eq!(blobs.get(key).await.unwrap(), Bytes::new());
}

#[tokio::test]
async fn a_wrong_bucket_or_key_is_found_out_by_asking() {
    let server = S3Server::start();
    let missing = Blobs::open(&Storage::at("s3://elsewhere"), server.vars()).unwrap();
    assert!(missing.ping().await.is_err());
    let mut vars = server.vars();
    vars[1].1 = "wrong".into();
    let refused = Blobs::open(&Storage::at(server.url()), vars).unwrap();
    assert!(refused.ping().await.is_err());
}

#[tokio::test]
async fn the_other_clouds_sign_by_their_own_settings() {
    let vars = [("AZURE_STORAGE_ACCOUNT_NAME", "acct"), ("AZURE_STORAGE_ACCOUNT_KEY", "a2V5a2V5a2V5")];
    let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let blobs = Blobs::open(&Storage::at("az://photos/x"), vars).unwrap();
    let key = BlobKey::Output(JobId::random(), Fence::random().into());
    let url = blobs.signed(key, "x.png", Duration::from_secs(60)).await.unwrap().unwrap();
    assert!(url.starts_with("https://acct.blob.core.windows.net/photos/x/outputs/"), "{url}");
}

#[tokio::test]
async fn a_failed_write_leaves_nothing() {
    let blobs = Blobs::in_memory();
    let key = BlobKey::Input(JobId::random());
    assert!(blobs.put_file(key, Path::new("/nonexistent/file")).await.is_err());
    assert!(listed(&blobs, Duration::ZERO).await.is_empty());
}

#[test]
fn staged_writes_of_a_crash_are_removed_once_they_are_old() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("outputs/x");
    std::fs::create_dir_all(&place).unwrap();
    for name in ["1.png", "1.png#1", "2.png#1"] {
        let file = std::fs::File::create(place.join(name)).unwrap();
        if name != "2.png#1" {
            file.set_modified(std::time::SystemTime::now() - 2 * MAX_STAGED_AGE).unwrap();
        }
    }
    Blobs::in_folder(folder.path()).unwrap();
    let mut left: Vec<_> = std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["1.png", "2.png#1"]);
}

#[test]
fn an_unknown_storage_is_refused_by_name() {
    for (url, says) in [
        ("ftp://host/x", "ftp is not supported"),
        ("no url", "takes a URL"),
        ("s3:///prefix", "names no bucket"),
        ("s3://", "names no bucket"),
    ] {
        let error = open(url).err().unwrap().to_string();
        assert!(error.contains(says), "{url}: {error}");
    }
}
