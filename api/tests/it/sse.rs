//! Reading Server-Sent Events one by one.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use reqwest::Response;
use serde_json::Value;

/// The longest that a test waits for an event.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// One event with its data as JSON.
#[derive(Debug, Clone)]
pub struct Event {
    pub name: String,
    pub id: Option<String>,
    pub data: Value,
}

/// The events of a response.
pub struct Events {
    body: BoxStream<'static, Vec<u8>>,
    /// Bytes after the last event.
    buffer: Vec<u8>,
}

impl Events {
    pub fn new(response: Response) -> Self {
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let body = response.bytes_stream().map(|piece| piece.unwrap().to_vec());
        Self { body: body.boxed(), buffer: Vec::new() }
    }

    /// The next event, or `None` at the end of the stream. It may be dropped before it completes without losing an event.
    pub async fn next(&mut self) -> Option<Event> {
        tokio::time::timeout(MAX_WAIT, self.read()).await.expect("there is an event or the end of the stream")
    }

    /// All events up to the first one that is `wanted`.
    pub async fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        while !events.last().is_some_and(&wanted) {
            events.push(self.next().await.expect("the stream goes on"));
        }
        events
    }

    /// All events up to the end of the stream.
    pub async fn rest(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }

    async fn read(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                if let Some(event) = parse(std::str::from_utf8(&block).unwrap()) {
                    return Some(event);
                }
                continue;
            }
            self.buffer.extend(self.body.next().await?);
        }
    }
}

/// The event in a block of lines; a block without data is a comment that keeps the connection open.
fn parse(block: &str) -> Option<Event> {
    let field = |name| block.lines().find_map(|line| line.strip_prefix(name)).map(|text| text.trim().to_owned());
    let data = serde_json::from_str(&field("data:")?).unwrap();
    Some(Event { name: field("event:").unwrap(), id: field("id:"), data })
}
