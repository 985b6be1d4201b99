//! Whose turn it is: start-time fair queueing over clients, with a bound on how often a client is passed over.
//!
//! Every client with jobs that are ready has a *start*, a point in virtual time, which is counted in the price of work. The
//! client with the smallest start goes next, and its start then moves on by the price of the job it was given. A client that
//! was idle starts at the present virtual time: idling saves up no turns. (Goyal, Vin, Cheng: *Start-time Fair Queueing*,
//! SIGCOMM 1996.)
//!
//! Two additions keep this fair even if new clients never stop arriving. Virtual time moves on with the service that is given and by a
//! little with every arrival, so that newcomers line up behind those who wait. And every [`LONGEST_WAIT_EVERY`]th claim goes
//! to the client whose oldest job has been its oldest for longest. From this follows the bound: while a job is its client's
//! oldest, at most [`LONGEST_WAIT_EVERY`] times as many claims pass it over as there were clients waiting when it became the
//! oldest. (A worker that lacks models looks at a limited number of clients, and may pass over those that it cannot serve. A
//! client that already has half of a worker's jobs is passed over by that worker while others wait.)

/// Every claim of this number (the 8th, the 16th and so on) goes to the client whose oldest job has been its oldest for longest.
pub const LONGEST_WAIT_EVERY: u64 = 8;

/// How far virtual time moves on with an arrival: the price of one pixel. Nobody's share changes by it; it puts clients that
/// arrive between two claims in the order in which they came.
pub const ARRIVAL: f64 = 1e-6;

/// By which of the two orders a claim chooses its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The smallest start.
    Start,
    /// The longest wait of its present oldest job.
    LongestWait,
}

/// The order for a claim when `claims` were served before it.
pub fn order(claims: u64) -> Order {
    if claims % LONGEST_WAIT_EVERY == LONGEST_WAIT_EVERY - 1 { Order::LongestWait } else { Order::Start }
}

/// A client that was idle, or is new, gets jobs that are ready. `left_off` is where its last job left its start, and 0 when it
/// is not known. Returns the virtual time after the arrival, and the client's start.
pub fn arrive(virtual_now: f64, left_off: f64) -> (f64, f64) {
    let now = virtual_now + ARRIVAL;
    (now, now.max(left_off))
}

/// A client is given a job of this `price` for the first time. `waiting` counts the clients with ready jobs, this one
/// included. Returns the virtual time after it, and the client's start.
///
/// Virtual time moves to the start of the job that is served, and further by what that job takes from everybody's share. With
/// nobody else waiting that is nothing, so that a newcomer goes before the rest of a large batch.
pub fn serve(virtual_now: f64, start: f64, price: f64, waiting: u64) -> (f64, f64) {
    let clients = waiting.max(1) as f64;
    (virtual_now.max(start) + price * (clients - 1.0) / (clients * clients), start + price)
}

/// An estimate of a job's place in line, from 1, from counts that are cheap to have: its client's earlier jobs, the other clients
/// with a smaller and with a larger start, and the jobs that wait in all. Every client is taken to have enough jobs for its
/// turns, and newcomers are not foreseen.
pub fn position(earlier: u64, clients_before: u64, clients_after: u64, waiting: u64) -> u64 {
    let others = clients_before.saturating_mul(earlier + 1).saturating_add(clients_after.saturating_mul(earlier));
    others.saturating_add(earlier + 1).min(waiting).max(1)
}

/// Called when the queue is empty and no job runs. Virtual time moves to the largest start of any client, so that earlier service is
/// forgotten.
pub fn settle(virtual_now: f64, latest_left_off: f64) -> f64 {
    virtual_now.max(latest_left_off)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, VecDeque};

    use proptest::prelude::*;

    use super::*;

    /// A queue that is nothing but these rules.
    #[derive(Default)]
    struct Queue {
        now: f64,
        claims: u64,
        arrivals: u64,
        clients: BTreeMap<u32, Client>,
    }

    #[derive(Default)]
    struct Client {
        jobs: VecDeque<f64>,
        start: f64,
        /// When its present oldest job became its oldest.
        since: u64,
        passed: u64,
        /// Clients that waited when its present oldest job became its oldest.
        behind: u64,
    }

    impl Queue {
        fn waiting(&self) -> u64 {
            self.clients.values().filter(|client| !client.jobs.is_empty()).count() as u64
        }

        fn submit(&mut self, id: u32, price: f64) {
            let behind = self.waiting();
            let client = self.clients.entry(id).or_default();
            if client.jobs.is_empty() {
                (self.now, client.start) = arrive(self.now, client.start);
                self.arrivals += 1;
                (client.since, client.passed, client.behind) = (self.arrivals, 0, behind + 1);
            }
            client.jobs.push_back(price);
        }

        /// The client that is served, and how often it had been passed over.
        fn claim(&mut self) -> Option<(u32, u64, u64)> {
            let waiting = self.waiting();
            let ready = || self.clients.iter().filter(|(_, client)| !client.jobs.is_empty());
            let id = match order(self.claims) {
                Order::Start => *ready().min_by(|a, b| a.1.start.total_cmp(&b.1.start))?.0,
                Order::LongestWait => *ready().min_by_key(|(_, client)| client.since)?.0,
            };
            self.claims += 1;
            for (_, other) in self.clients.iter_mut().filter(|(other, client)| **other != id && !client.jobs.is_empty())
            {
                other.passed += 1;
            }
            let client = self.clients.get_mut(&id)?;
            let price = client.jobs.pop_front()?;
            (self.now, client.start) = serve(self.now, client.start, price, waiting);
            let (passed, behind) = (client.passed, client.behind);
            self.arrivals += 1;
            (client.since, client.passed, client.behind) = (self.arrivals, 0, waiting);
            Some((id, passed, behind))
        }
    }

    proptest! {
        /// The bound, over any clients, prices and arrivals.
        #[test]
        fn nobody_is_passed_over_beyond_the_bound(steps in prop::collection::vec((0_u32..60, 1_u32..4000, 0_u32..4), 1..600)) {
            let mut queue = Queue::default();
            for (client, price, claims) in steps {
                queue.submit(client, f64::from(price) / 100.0);
                for _ in 0..claims {
                    let Some((_, passed, behind)) = queue.claim() else { break };
                    prop_assert!(passed <= LONGEST_WAIT_EVERY * behind, "passed over {passed} times behind {behind}");
                }
            }
        }
    }

    #[test]
    fn a_place_is_behind_a_turn_of_everybody_before() {
        assert_eq!(position(0, 0, 0, 1), 1);
        assert_eq!(position(0, 3, 5, 100), 4);
        assert_eq!(position(2, 1, 1, 100), 8);
        // Never behind more jobs than there are.
        assert_eq!(position(999, 10, 10, 1000), 1000);
        assert_eq!(position(0, 0, 0, 0), 1);
    }

    #[test]
    fn newcomers_without_end_starve_nobody() {
        let mut queue = Queue::default();
        (0..2000).for_each(|client| queue.submit(client, 0.5));
        let mut served = std::collections::BTreeSet::new();
        for newcomer in 2000..8000 {
            served.insert(queue.claim().unwrap().0);
            queue.submit(newcomer, 0.5);
        }
        assert!((0..2000).all(|client| served.contains(&client)), "the first two thousand are served");
    }

    #[test]
    fn a_batch_moves_on_among_newcomers() {
        let mut queue = Queue::default();
        (0..20).for_each(|_| queue.submit(0, 0.5));
        (1..100).for_each(|client| queue.submit(client, 0.5));
        let mut of_the_batch = 0;
        for newcomer in 100..3100 {
            of_the_batch += u32::from(queue.claim().unwrap().0 == 0);
            queue.submit(newcomer, 0.5);
        }
        // A fair share of 3,000 claims among a hundred clients would be thirty: all twenty are through.
        assert_eq!(of_the_batch, 20);
    }

    #[test]
    fn a_newcomer_goes_before_the_rest_of_a_batch() {
        let mut queue = Queue::default();
        (0..2000).for_each(|_| queue.submit(0, 0.5));
        for newcomer in 1..7 {
            assert_eq!(queue.claim().unwrap().0, 0);
            queue.submit(newcomer, 0.5);
            assert_eq!(queue.claim().unwrap().0, newcomer);
            // Not counted for the other order, so that this test is of starts alone.
            queue.claims = 0;
        }
    }

    #[test]
    fn equal_clients_get_equal_service_by_price() {
        let mut queue = Queue::default();
        for _ in 0..1000 {
            queue.submit(0, 4.0);
            queue.submit(1, 1.0);
        }
        let mut given = [0.0; 2];
        for _ in 0..500 {
            let client = queue.claim().unwrap().0;
            given[client as usize] += [4.0, 1.0][client as usize];
        }
        let ratio = given[0] / given[1];
        assert!((0.5..2.0).contains(&ratio), "{given:?}");
    }
}
