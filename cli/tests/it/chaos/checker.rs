//! What has to hold of every client's log, whatever went wrong meanwhile.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// What one client knows when everything is over.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// The client.
    pub client: u8,
    /// Jobs that the service accepted, in order.
    pub accepted: Vec<String>,
    /// Submits without a key whose answer never came: the service may have accepted them.
    pub unanswered: u64,
    /// How each accepted job ended.
    pub ends: HashMap<String, End>,
    /// Units that the service says the client has used.
    pub used: u64,
}

/// The end of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Its status.
    pub status: String,
    /// From its submit to its end.
    pub took: Duration,
    /// When the client heard of it.
    pub heard: Instant,
    /// The hash that the service tells, and that of the bytes that it gives.
    pub hashes: (String, String),
}

/// What was found out beside the clients.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// The jobs whose webhooks arrived.
    pub told: HashSet<String>,
    /// What webhooks said of jobs that should have succeeded and did not, and attempts that were lost without a fault, in words.
    pub failed: HashSet<String>,
    /// The jobs whose every attempt met a fault: they fail, and their units are given back.
    pub poison: HashSet<String>,
    /// Pictures without a use that were not deleted.
    pub left: Vec<String>,
    /// The longest that a job may take.
    pub longest: Duration,
}

/// Everything that does not hold, in words; nothing when all is well.
pub fn violations(logs: &[Log], findings: &Findings) -> Vec<String> {
    let Findings { told, failed, poison, left, longest } = findings;
    let mut found: Vec<_> = left.iter().map(|picture| format!("{picture} is left behind")).collect();
    found.extend(failed.iter().cloned());
    let mut all = HashSet::new();
    for log in logs {
        let client = log.client;
        for id in &log.accepted {
            if !all.insert(id.clone()) {
                found.push(format!("client {client}: {id} was accepted twice"));
            }
            let Some(end) = log.ends.get(id) else {
                found.push(format!("client {client}: {id} never ended"));
                continue;
            };
            let expected = if poison.contains(id) { "failed" } else { "succeeded" };
            if end.status != expected {
                found.push(format!("client {client}: {id} ended as {}", end.status));
            }
            if end.hashes.0 != end.hashes.1 {
                found.push(format!("client {client}: the bytes of {id} are not those of its sha256"));
            }
            if end.took > *longest {
                found.push(format!("client {client}: {id} took {:?}", end.took));
            }
            if !told.contains(id) && !poison.contains(id) {
                found.push(format!("client {client}: nobody was told of {id}"));
            }
        }
        let accepted = log.accepted.iter().filter(|id| !poison.contains(*id)).count() as u64;
        if !(accepted..=accepted + log.unanswered).contains(&log.used) {
            let unanswered = log.unanswered;
            found.push(format!("client {client}: {} units for {accepted} jobs ({unanswered} unanswered)", log.used));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> (Vec<Log>, Findings) {
        let log = |client: u8| {
            let accepted: Vec<_> = (0..3).map(|number| format!("{client}-{number}")).collect();
            let (took, heard) = (Duration::from_secs(1), Instant::now());
            let end = || End { status: "succeeded".into(), took, heard, hashes: ("ab".into(), "ab".into()) };
            let ends = accepted.iter().map(|id| (id.clone(), end())).collect();
            Log { client, accepted, unanswered: 0, ends, used: 3 }
        };
        let logs = vec![log(1), log(2)];
        let told = logs.iter().flat_map(|log| log.accepted.clone()).collect();
        (logs, Findings { told, longest: Duration::from_secs(60), ..Findings::default() })
    }

    fn found(plant: impl Fn(&mut Vec<Log>, &mut Findings)) -> Vec<String> {
        let (mut logs, mut findings) = sound();
        plant(&mut logs, &mut findings);
        violations(&logs, &findings)
    }

    #[test]
    fn each_violation_is_found() {
        assert_eq!(found(|_, _| ()), [""; 0]);
        let end = |logs: &mut Vec<Log>, change: fn(&mut End)| change(logs[0].ends.get_mut("1-1").unwrap());
        let poison = |findings: &mut Findings| assert!(findings.poison.insert("1-1".into()));
        let planted: [&dyn Fn() -> Vec<String>; 12] = [
            &|| found(|logs, _| drop(logs[0].ends.remove("1-1"))),
            &|| found(|logs, _| end(logs, |end| end.status = "failed".into())),
            &|| found(|logs, _| end(logs, |end| end.hashes.1 = "cd".into())),
            &|| found(|_, findings| poison(findings)),
            &|| {
                found(|logs, findings| {
                    poison(findings);
                    end(logs, |end| end.status = "failed".into());
                })
            },
            &|| found(|logs, _| end(logs, |end| end.took = Duration::from_secs(61))),
            &|| found(|logs, _| logs[1].used = 4),
            &|| found(|logs, _| logs[1].used = 2),
            &|| found(|logs, _| logs[1].accepted[0] = "1-0".into()),
            &|| found(|_, findings| assert!(findings.told.remove("2-2"))),
            &|| found(|_, findings| findings.left.push("inputs/1-1".into())),
            &|| found(|_, findings| assert!(findings.failed.insert("a webhook says job.failed of 1-1".into()))),
        ];
        for (number, violation) in planted.iter().enumerate() {
            assert!(!violation().is_empty(), "violation {number} is not found");
        }
        // A job whose every attempt met a fault fails, and costs nothing.
        let failed = found(|logs, findings| {
            poison(findings);
            end(logs, |end| end.status = "failed".into());
            logs[0].used = 2;
        });
        assert_eq!(failed, [""; 0]);
        // A submit without a key and without an answer may have been accepted.
        assert_eq!(found(|logs, _| (logs[1].unanswered, logs[1].used) = (1, 4)), [""; 0]);
    }
}
