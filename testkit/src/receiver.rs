//! A receiver of webhooks: an HTTP server with a configurable behaviour that keeps the requests.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the receiver does with a request that it has read.
#[derive(Debug, Clone, Copy)]
pub enum Behaviour {
    /// Responds with this status code and reason phrase, which further header lines may follow.
    Respond(&'static str),
    /// Never responds, and keeps the connection open.
    Hang,
    /// Closes the connection without a response.
    Disconnect,
}

/// A receiver that runs for as long as the async runtime on which it was started.
#[derive(Clone)]
pub struct Receiver {
    /// The port that it listens on, at every address of this machine.
    pub port: u16,
    behaviour: Arc<Mutex<Behaviour>>,
    received: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    /// Starts a receiver.
    pub async fn start(behaviour: Behaviour) -> Self {
        // It listens on every address of this machine, because each address counts as another host.
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let receiver = Self { port, behaviour: Arc::new(Mutex::new(behaviour)), received: Arc::default() };
        let serving = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().answer(stream));
            }
        });
        receiver
    }

    /// The URL of `path` at 127.0.0.1.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Changes the behaviour for all further requests.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap_or_else(PoisonError::into_inner) = behaviour;
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
        let behaviour = *self.behaviour.lock().unwrap_or_else(PoisonError::into_inner);
        match behaviour {
            Behaviour::Respond(head) => {
                let answer = format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
            Behaviour::Hang => std::future::pending().await,
            Behaviour::Disconnect => {}
        }
    }

    /// Takes the requests that have come since the last call, oldest first.
    pub fn received(&self) -> Vec<String> {
        std::mem::take(&mut *self.received.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn first(&self) -> Option<String> {
        let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        if received.is_empty() { None } else { Some(received.remove(0)) }
    }

    /// Takes the next request, which has to come within `at_most`.
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

    /// Waits until at least `count` requests are there, without taking them. They have to come within `at_most`.
    pub async fn wait_until_received(&self, count: usize, at_most: Duration) {
        let come = async {
            while self.received.lock().unwrap_or_else(PoisonError::into_inner).len() < count {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(at_most, come).await.expect("the webhooks come in time");
    }
}

/// The value of the header field `name` of a request.
pub fn header<'a>(request: &'a str, name: &str) -> &'a str {
    let found = request.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    found.unwrap_or_else(|| panic!("{name} in {request}"))
}

/// The body of a request.
pub fn body(request: &str) -> &str {
    request.split_once("\r\n\r\n").unwrap().1
}
