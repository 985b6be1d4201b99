//! Turns: how many uploads are received at once, and how many jobs are followed, in all and of one client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use remaster_shared::client::ClientKey;
use remaster_shared::error::ErrorCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::{ApiResult, Problem};

/// How long a request waits for its turn, with its body unread.
const PATIENCE: Duration = Duration::from_secs(10);
/// The number of clients from which on those that hold no turn are forgotten.
const MANY: usize = 1024;

/// The turns of one kind of request.
pub struct Turns {
    /// What too many requests of this kind are told.
    busy: &'static str,
    all: Arc<Semaphore>,
    per_client: usize,
    clients: Mutex<HashMap<ClientKey, Weak<Semaphore>>>,
}

/// The turn of one request, which ends when this is dropped.
pub struct Turn {
    _of_all: OwnedSemaphorePermit,
    _of_client: OwnedSemaphorePermit,
}

impl Turns {
    /// `all` turns at once, of which one client has at most `per_client`: a client whose requests take long holds up nobody else. `busy`
    /// says what there is too much of.
    pub fn new(all: usize, per_client: usize, busy: &'static str) -> Self {
        Self { busy, all: Arc::new(Semaphore::new(all)), per_client, clients: Mutex::default() }
    }

    /// The turn of one more request of `client`.
    ///
    /// # Errors
    /// 503 `overloaded` when there is none within ten seconds.
    pub async fn take(&self, client: ClientKey) -> ApiResult<Turn> {
        let own = self.of(client);
        let turn = async {
            // First the client's own, so that it does not hold one of all while it waits. Neither is ever closed.
            let _of_client = own.acquire_owned().await.ok()?;
            let _of_all = Arc::clone(&self.all).acquire_owned().await.ok()?;
            Some(Turn { _of_all, _of_client })
        };
        let busy = || {
            let detail =
                format!("{}, of which one client may have {}; nothing was charged.", self.busy, self.per_client);
            Problem::new(ErrorCode::Overloaded, detail)
        };
        tokio::time::timeout(PATIENCE, turn).await.ok().flatten().ok_or_else(busy)
    }

    fn of(&self, client: ClientKey) -> Arc<Semaphore> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = clients.get(&client).and_then(Weak::upgrade) {
            return own;
        }
        if clients.len() >= MANY {
            clients.retain(|_, own| own.strong_count() > 0);
        }
        let own = Arc::new(Semaphore::new(self.per_client));
        clients.insert(client, Arc::downgrade(&own));
        own
    }
}

#[cfg(test)]
mod tests {
    use remaster_shared::client::ClientHasher;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_holds_all_its_turns_holds_up_nobody_else() {
        let turns = Turns::new(3, 2, "Too many uploads are being received");
        let hasher = ClientHasher::new([1; 32]);
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|address| hasher.key(address.parse().unwrap()));
        let held = [turns.take(one).await.unwrap(), turns.take(one).await.unwrap()];
        let refused = turns.take(one).await.err().unwrap();
        assert_eq!((refused.code, refused.retry_after), (ErrorCode::Overloaded, Some(5)));
        let of_other = turns.take(other).await.unwrap();
        assert_eq!(turns.take(other).await.err().unwrap().code, ErrorCode::Overloaded);
        drop((held, of_other));
        assert!(turns.take(one).await.is_ok());
    }
}
