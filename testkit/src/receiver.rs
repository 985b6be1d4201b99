//! A receiver of webhooks on this machine: an HTTP server that behaves as it is told to and keeps what it is sent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the receiver does with a request.
#[derive(Debug, Clone, Copy)]
pub enum Manner {
    /// A status line after the version, and further header lines.
    Answers(&'static str),
    /// Reads, and says nothing.
    Silent,
    /// Reads, and hangs up.
    Closes,
}

/// Runs for as long as the runtime that it was started on.
#[derive(Clone)]
pub struct Receiver {
    pub port: u16,
    manner: Arc<Mutex<Manner>>,
    received: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    pub async fn start(manner: Manner) -> Self {
        // On every address of this machine: each is another host.
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let receiver = Self { port, manner: Arc::new(Mutex::new(manner)), received: Arc::default() };
        let serving = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().answer(stream));
            }
        });
        receiver
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn behave(&self, manner: Manner) {
        *self.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
    }

    async fn answer(self, mut stream: TcpStream) {
        let mut request = Vec::new();
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut piece).await {
            request.extend_from_slice(&piece[..count]);
            let text = String::from_utf8_lossy(&request);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() == length.parse::<usize>().unwrap() {
                break;
            }
        }
        let request = String::from_utf8(request).unwrap();
        self.received.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        let manner = *self.manner.lock().unwrap_or_else(PoisonError::into_inner);
        match manner {
            Manner::Answers(head) => {
                let answer = format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
            Manner::Silent => std::future::pending().await,
            Manner::Closes => {}
        }
    }

    /// The requests since the last call, as they came.
    pub fn received(&self) -> Vec<String> {
        std::mem::take(&mut *self.received.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn first(&self) -> Option<String> {
        let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        if received.is_empty() { None } else { Some(received.remove(0)) }
    }

    /// The next request, which has to come within `at_most`.
    pub async fn next(&self, at_most: Duration) -> String {
        let come = async {
            loop {
                if let Some(request) = self.first() {
                    return request;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(at_most, come).await.expect("a webhook comes in time")
    }
}

/// The value of a request's header.
pub fn header<'a>(request: &'a str, name: &str) -> &'a str {
    let found = request.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    found.unwrap_or_else(|| panic!("{name} in {request}"))
}

/// What a request says after its headers.
pub fn body(request: &str) -> &str {
    request.split_once("\r\n\r\n").unwrap().1
}
