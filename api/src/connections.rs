//! Connections: how many there may be, and how long one may stand still.
//!
//! Only HTTP/1.1 is spoken: without TLS no browser speaks HTTP/2, which would let one connection carry many requests. A proxy in front that
//! terminates TLS offers it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::extract::connect_info::IntoMakeServiceWithConnectInfo;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures::FutureExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use remaster_shared::client::canonical;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tower::Service;

use crate::proxies::TrustedProxies;

/// The pause after a connection could not be accepted, as when the process has too many open files.
const BREATH: Duration = Duration::from_millis(200);

/// How many connections may wait to be accepted when the service is asked to stop.
const BACKLOG: usize = 1024;

/// The limits on connections.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// The most connections. A further one is closed at once.
    pub all: usize,
    /// The most connections from one address (of IPv6, one /64), unless it is a trusted proxy.
    pub per_address: usize,
    /// The proxies whose connections are those of many callers.
    pub proxies: TrustedProxies,
    /// How long the head of the next request may take, and so how long a connection may be idle.
    pub head: Duration,
    /// How long a caller may take nothing of an answer.
    pub write: Duration,
    /// How long connections stay open after a request to stop, for requests that are on their way. Each answer in this time says that its
    /// connection ends with it.
    pub leave: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        // Longer than the usual minute for which proxies keep idle connections, so that none is closed under a request.
        let (head, write) = (Duration::from_secs(75), Duration::from_secs(60));
        let leave = Duration::from_secs(1);
        Self { all: 4096, per_address: 256, proxies: TrustedProxies::default(), head, write, leave }
    }
}

/// Serves until `stop` completes, and then lets the running requests end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let mut services = router.into_make_service_with_connect_info::<SocketAddr>();
    let (open, graceful) = (Open::new(&limits), GracefulShutdown::new());
    let stopping = Arc::new(AtomicBool::new(false));
    let mut welcome = async |stream, peer: SocketAddr| {
        let Some(place) = open.admit(peer.ip()) else {
            tracing::debug!("a connection was closed, because there are too many");
            return;
        };
        let connection = graceful.watch(speak(stream, peer, (&limits, &stopping), &mut services).await);
        tokio::spawn(async move {
            // Callers go away and take their time; neither is this service's fault.
            let _ = connection.await;
            drop(place);
        });
    };
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            // The caller has gone away again.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => continue,
            Err(error) => {
                tracing::error!(%error, "a connection cannot be accepted");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        welcome(stream, peer).await;
    }
    // Who has connected already is answered too.
    for _ in 0..BACKLOG {
        let Some(Ok((stream, peer))) = listener.accept().now_or_never() else { break };
        welcome(stream, peer).await;
    }
    drop(listener);
    // A proxy sends the next request over a connection that it has. Were the idle ones closed at once, it could be on its way already.
    stopping.store(true, Ordering::Relaxed);
    let all_closed = open.all.acquire_many(open.places);
    let _ = tokio::time::timeout(limits.leave, all_closed).await;
    graceful.shutdown().await;
}

/// HTTP/1.1 over `stream`.
async fn speak(
    stream: TcpStream,
    peer: SocketAddr,
    (limits, stopping): (&ConnectionLimits, &Arc<AtomicBool>),
    services: &mut IntoMakeServiceWithConnectInfo<Router, SocketAddr>,
) -> impl GracefulConnection<Error = hyper::Error> + Send + 'static + use<> {
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.write));
    let Ok(service) = Service::<SocketAddr>::call(services, peer).await;
    let stopping = Arc::clone(stopping);
    let answer = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (mut service, stopping) = (service.clone(), Arc::clone(&stopping));
        async move {
            let mut response = service.call(request).await.unwrap_or_else(|never| match never {});
            if stopping.load(Ordering::Relaxed) {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<Response, Infallible>(response)
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head);
    http.serve_connection(TokioIo::new(Box::pin(stream)), answer)
}

/// How many connections each address has.
type Counts = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// The open connections.
struct Open {
    all: Arc<Semaphore>,
    places: u32,
    of: Counts,
    per_address: usize,
    proxies: TrustedProxies,
}

/// One open connection.
struct Place {
    _of_all: OwnedSemaphorePermit,
    /// Where those of its address are counted, if they are.
    counted: Option<(Counts, IpAddr)>,
}

impl Open {
    fn new(limits: &ConnectionLimits) -> Self {
        let places = u32::try_from(limits.all.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        let all = Arc::new(Semaphore::new(places as usize));
        Self { all, places, of: Arc::default(), per_address: limits.per_address, proxies: limits.proxies.clone() }
    }

    /// A place for one more connection; `None` when there are too many.
    fn admit(&self, address: IpAddr) -> Option<Place> {
        let _of_all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        if self.proxies.trusts(address) {
            return Some(Place { _of_all, counted: None });
        }
        let address = canonical(address);
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let count = of.entry(address).or_default();
        if *count >= self.per_address {
            return None;
        }
        *count += 1;
        Some(Place { _of_all, counted: Some((Arc::clone(&self.of), address)) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((of, address)) = &self.counted else { return };
        let mut of = of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = of.get_mut(address) {
            *count -= 1;
            if *count == 0 {
                of.remove(address);
            }
        }
    }
}
