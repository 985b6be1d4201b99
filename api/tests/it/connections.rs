//! Connections that take places, take their time, or speak something else.

use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use axum::routing::get;
use remaster_api::proxies::TrustedProxies;
use remaster_api::{ConnectionLimits, Hosts, Router, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::harness::{Harness, problem};

/// A server that answers `/` with as many bytes as a picture has.
async fn server(limits: ConnectionLimits) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let large = get(|| async { vec![b'x'; 32 << 20] });
    let router = Router::new().route("/", large).route("/small", get(|| async { "small" }));
    tokio::spawn(serve(listener, router, limits, pending()));
    address
}

fn short(time: u64) -> ConnectionLimits {
    let time = Duration::from_millis(time);
    ConnectionLimits { head: time, write: time, ..ConnectionLimits::default() }
}

/// What is answered until the connection is closed.
async fn told(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    rest(stream).await
}

async fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.expect("it is closed");
    String::from_utf8_lossy(&answer).into_owned()
}

const SMALL: &[u8] = b"GET /small HTTP/1.1\r\nhost: a\r\n\r\n";

/// Opens a connection and uses it, so that it has its place.
async fn open(address: SocketAddr) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(SMALL).await.ok()?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.ok()?;
    assert_eq!(&answer, b"HTTP/1.1 200");
    Some(stream)
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_a_proxy_has_all() {
    let limits = ConnectionLimits { per_address: 3, all: 5, ..ConnectionLimits::default() };
    let address = server(limits.clone()).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(open(address).await.unwrap());
    }
    assert!(open(address).await.is_none());
    held.pop();
    // The server has to notice that it is gone.
    let mut again = None;
    for _ in 0..100 {
        again = open(address).await;
        if again.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(again.is_some());

    let proxies: TrustedProxies = "loopback".parse().unwrap();
    let address = server(ConnectionLimits { proxies, ..limits }).await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(open(address).await.unwrap());
    }
    assert!(open(address).await.is_none());
}

#[tokio::test]
async fn a_head_without_an_end_and_an_idle_connection_are_closed() {
    let address = server(short(300)).await;
    assert!(!told(address, b"GET / HTTP/1.1\r\nhost: a\r\nx: ").await.contains("200"));
    let idle = told(address, SMALL).await;
    assert!(idle.starts_with("HTTP/1.1 200") && idle.ends_with("small"), "{idle}");
}

#[tokio::test]
async fn a_caller_who_takes_nothing_of_an_answer_is_left() {
    let address = server(short(300)).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(rest(stream).await.len() < 32 << 20, "the answer is whole");
    // One who takes it in time has all of it.
    let whole = told(address, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(whole.len() > 32 << 20);
}

#[tokio::test]
async fn http_2_without_tls_is_not_spoken() {
    let address = server(ConnectionLimits::default()).await;
    let answer = told(address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    assert!(!answer.contains("\u{4}\0\0") && !answer.contains("200"), "{answer:?}");
}

#[tokio::test]
async fn a_request_on_its_way_at_the_stop_is_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/", get(|| async { "small" }));
    let stop = CancellationToken::new();
    let server = tokio::spawn(serve(listener, router, ConnectionLimits::default(), stop.clone().cancelled_owned()));
    let ask = async |stream: &mut TcpStream| {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..length]).to_lowercase()
    };
    let mut stream = TcpStream::connect(address).await.unwrap();
    assert!(!ask(&mut stream).await.contains("connection: close"));
    stop.cancel();
    // The listener is closed, and the idle connection is not.
    while TcpStream::connect(address).await.is_ok() {}
    let answer = ask(&mut stream).await;
    assert!(answer.starts_with("http/1.1 200") && answer.contains("connection: close"), "{answer}");
    // Nobody is left to wait for.
    tokio::time::timeout(Duration::from_millis(900), server).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_name_that_is_not_the_service_s_is_refused() {
    let own = || Hosts::of([127, 0, 0, 1].into(), &[], Some("photos.example"));
    let harness = Harness::builder().settings(move |settings| settings.hosts = own()).start().await;
    let asked = async |host: &str| {
        let url = format!("{}/quota", harness.base);
        harness.http.get(url).header("host", host).send().await.unwrap()
    };
    for own in ["photos.example", "localhost:8000", "127.0.0.1"] {
        assert_eq!(asked(own).await.status(), 200, "{own}");
    }
    let refused = asked("page.example").await;
    assert_eq!(refused.status(), 421);
    assert_eq!(problem(refused).await["code"], "unknown_host");
}
