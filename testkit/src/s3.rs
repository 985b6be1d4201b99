//! An S3 server over a folder, on a free port. It speaks the real protocol and checks signatures.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::S3Result;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const KEY: &str = "test-key";
const SECRET: &str = "test-secret";
const BUCKET: &str = "photos";

/// A server that ends when it is dropped. Its objects survive a restart, but not the drop.
pub struct S3Server {
    /// The runtime of the server. Shutting it down ends every connection at once.
    runtime: Option<Runtime>,
    address: SocketAddr,
    folder: TempDir,
    fails: Arc<AtomicBool>,
}

impl S3Server {
    /// Starts a server with one empty bucket.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let fails = Arc::new(AtomicBool::new(false));
        let (runtime, address) = serve("127.0.0.1:0".parse().unwrap(), folder.path().to_owned(), fails.clone());
        Self { runtime: Some(runtime), address, folder, fails }
    }

    /// What `STORAGE_URL` takes.
    pub fn url(&self) -> String {
        format!("s3://{BUCKET}/some/prefix")
    }

    /// What `AWS_ENDPOINT_URL` takes.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// While this is set, it answers every request with the status 500.
    pub fn set_failing(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    /// The environment variables that a process needs to use the server.
    pub fn vars(&self) -> Vec<(String, String)> {
        self.vars_at(self.address)
    }

    /// The same for a process that reaches it at another address.
    pub fn vars_at(&self, address: SocketAddr) -> Vec<(String, String)> {
        let endpoint = format!("http://{address}");
        let vars = [
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_ENDPOINT_URL", &endpoint),
            ("AWS_REGION", "us-east-1"),
        ];
        vars.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    /// The files in which the server keeps objects and unfinished uploads.
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

    /// Makes every object older by `age`, as if it had been written so much earlier.
    pub fn age(&self, age: Duration) {
        for path in self.files() {
            // A node may delete an object meanwhile.
            let Ok(file) = std::fs::File::options().write(true).open(path) else { continue };
            let modified = file.metadata().unwrap().modified().unwrap();
            file.set_modified(modified - age).unwrap();
        }
    }

    /// Stops the server.
    pub fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Stops the server and starts it again, on the same port and with the same objects.
    pub fn restart(&mut self) {
        self.stop();
        let (runtime, _) = serve(self.address, self.folder.path().to_owned(), self.fails.clone());
        self.runtime = Some(runtime);
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Lets in whoever has signed, unless the server is to fail.
struct Access(Arc<AtomicBool>);

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if self.0.load(Ordering::SeqCst) {
            return Err(s3s::s3_error!(InternalError));
        }
        if context.credentials().is_none() { Err(s3s::s3_error!(AccessDenied)) } else { Ok(()) }
    }
}

fn serve(address: SocketAddr, folder: PathBuf, fails: Arc<AtomicBool>) -> (Runtime, SocketAddr) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder).unwrap());
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        builder.set_access(Access(fails));
        let service = builder.build();
        let listener = bind(address).await;
        sender.send(listener.local_addr().unwrap()).unwrap();
        while let Ok((socket, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                let http = Builder::new(TokioExecutor::new());
                // A client may close its connection at any time.
                let _ = http.serve_connection(TokioIo::new(socket), service).await;
            });
        }
    });
    let address = receiver.recv_timeout(Duration::from_secs(15)).expect("the S3 server listens");
    (runtime, address)
}

/// Binds the address. After a restart it becomes free once the connections of the stopped server are closed.
async fn bind(address: SocketAddr) -> TcpListener {
    for _ in 0..100 {
        if let Ok(listener) = TcpListener::bind(address).await {
            return listener;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{address} does not become free within two seconds");
}
