//! An HTTP server that serves one file, resumes by range, and can drop connections in the middle of a body.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

pub struct Server {
    pub url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone, Copy)]
pub struct Behaviour {
    /// Closes the connection after the first number of bytes of the body, as often as the second number says.
    pub drop_after: Option<(usize, usize)>,
    /// Answers a range with 206; otherwise the whole file is sent.
    pub ranges: bool,
    /// Answers every request with this status.
    pub status: Option<u16>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self { drop_after: None, ranges: true, status: None }
    }
}

impl Server {
    /// Serves `body` at every path until the process ends.
    pub fn start(body: Vec<u8>, behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming() {
                answer(&stream.unwrap(), &body, behaviour, &log);
            }
        });
        Self { url, seen }
    }

    /// The path and the start of the range of each request, as `PATH RANGE`.
    pub fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn answer(mut stream: &TcpStream, body: &[u8], behaviour: Behaviour, log: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let path = lines.next().unwrap_or_default().split(' ').nth(1).unwrap_or_default().to_owned();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).map(|line| line.to_lowercase()).collect();
    let range =
        headers.iter().find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-')).map(str::to_owned);
    let count = {
        let mut log = log.lock().unwrap();
        log.push(format!("{path} {}", range.clone().unwrap_or_default()));
        log.len()
    };
    if let Some(status) = behaviour.status {
        let _ = write!(stream, "HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return;
    }
    let from = range.filter(|_| behaviour.ranges).and_then(|range| range.parse().ok()).unwrap_or(0);
    let (status, rest) = if from > 0 { ("206 Partial Content", &body[from..]) } else { ("200 OK", body) };
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nContent-Range: bytes {from}-{}/{}\r\nConnection: close\r\n\r\n",
        rest.len(),
        body.len() - 1,
        body.len()
    );
    let end = match behaviour.drop_after {
        Some((bytes, times)) if count <= times => bytes.min(rest.len()),
        _ => rest.len(),
    };
    let _ = stream.write_all(&rest[..end]);
}
