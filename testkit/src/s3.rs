//! An S3 server on a port of its own, over a folder: the real protocol, signatures checked.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const KEY: &str = "test-key";
const SECRET: &str = "test-secret";
const BUCKET: &str = "photos";

/// Ended when dropped. Its objects outlive a restart, not this value.
pub struct S3Server {
    /// Dropping it ends every connection at once.
    runtime: Option<Runtime>,
    address: SocketAddr,
    folder: TempDir,
}

impl S3Server {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let (runtime, address) = serve("127.0.0.1:0".parse().unwrap(), folder.path().to_owned());
        Self { runtime: Some(runtime), address, folder }
    }

    /// What `STORAGE_URL` takes.
    pub fn url(&self) -> String {
        format!("s3://{BUCKET}/some/prefix")
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The environment that a process needs to use it.
    pub fn vars(&self) -> Vec<(String, String)> {
        let endpoint = self.endpoint();
        let vars = [
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_ENDPOINT_URL", &endpoint),
            ("AWS_REGION", "us-east-1"),
        ];
        vars.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    /// Objects and unfinished uploads, as files.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.folder.path().to_owned()];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files
    }

    pub fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Starts it again, on the same port and objects.
    pub fn restart(&mut self) {
        self.stop();
        let (runtime, _) = serve(self.address, self.folder.path().to_owned());
        self.runtime = Some(runtime);
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn serve(address: SocketAddr, folder: PathBuf) -> (Runtime, SocketAddr) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (told, hears) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder).unwrap());
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = builder.build();
        let listener = bind(address).await;
        told.send(listener.local_addr().unwrap()).unwrap();
        while let Ok((socket, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                let http = Builder::new(TokioExecutor::new());
                // A client that goes away is its own affair.
                let _ = http.serve_connection(TokioIo::new(socket), service).await;
            });
        }
    });
    let address = hears.recv().expect("the S3 server listens");
    (runtime, address)
}

/// The port of a server that was just stopped is free a moment later.
async fn bind(address: SocketAddr) -> TcpListener {
    for _ in 0..100 {
        if let Ok(listener) = TcpListener::bind(address).await {
            return listener;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{address} does not become free");
}
