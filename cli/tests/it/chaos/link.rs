//! A network link that breaks on request: a port that leads to a server.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// What becomes of bytes on the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// They arrive.
    Flows,
    /// They are kept back, in both directions, and no connection is closed: a partition. They arrive when it ends.
    Halts,
    /// Connections are closed, and new ones too.
    IsRefused,
    /// Each piece arrives after this time.
    IsSlow(Duration),
    /// So many bytes of each connection reach the server, and then it is closed: what was being written is written by half.
    BreaksOffAfter(usize),
}

#[derive(Debug, Clone, Copy)]
struct State {
    traffic: Traffic,
    server: SocketAddr,
    /// Connections made under another generation are closed.
    generation: u64,
}

/// A link, which ends when it is dropped.
pub struct Link {
    runtime: Option<Runtime>,
    address: SocketAddr,
    state: watch::Sender<State>,
}

impl Link {
    /// Opens a link to `server`.
    pub fn to(server: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (state, seen) = watch::channel(State { traffic: Traffic::Flows, server, generation: 0 });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(accept(listener, seen));
        Self { runtime: Some(runtime), address, state }
    }

    /// Where the link begins.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on this becomes of the bytes, also on connections that are open.
    pub fn set(&self, traffic: Traffic) {
        self.state.send_modify(|state| state.traffic = traffic);
    }

    /// Leads to another server from now on, and closes the connections to the one before.
    pub fn lead_to(&self, server: SocketAddr) {
        self.state.send_modify(|state| (state.server, state.generation) = (server, state.generation + 1));
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: std::net::TcpListener, state: watch::Receiver<State>) {
    let listener = TcpListener::from_std(listener).unwrap();
    while let Ok((near, _)) = listener.accept().await {
        let mut state = state.clone();
        tokio::spawn(async move {
            let begun = state.borrow_and_update().generation;
            let server = state.borrow().server;
            let Ok(far) = TcpStream::connect(server).await else { return };
            let _ = (near.set_nodelay(true), far.set_nodelay(true));
            let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
            let (forth, back) = (carry(from_near, to_far, state.clone()), carry(from_far, to_near, state.clone()));
            let closed = state.wait_for(|state| state.traffic == Traffic::IsRefused || state.generation != begun);
            // Both halves are dropped with it, which closes the connection.
            tokio::select! {
                _ = forth => {}
                _ = back => {}
                _ = closed => {}
            }
        });
    }
}

/// Carries bytes in one direction until either side closes.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut state: watch::Receiver<State>) -> io::Result<()> {
    let (mut piece, mut carried) = (vec![0; 16 * 1024], 0);
    loop {
        let count = from.read(&mut piece).await?;
        if count == 0 {
            return Ok(());
        }
        let traffic = {
            let flows = state.wait_for(|state| state.traffic != Traffic::Halts).await;
            flows.map_err(io::Error::other)?.traffic
        };
        if let Traffic::IsSlow(time) = traffic {
            tokio::time::sleep(time).await;
        }
        let mut kept = count;
        if let Traffic::BreaksOffAfter(bytes) = traffic {
            kept = bytes.saturating_sub(carried).min(count);
        }
        to.write_all(&piece[..kept]).await?;
        if kept < count {
            return Ok(());
        }
        carried += count;
    }
}
