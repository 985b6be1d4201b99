//! Bugs that are planted in the functions library, to see that the checker finds them.

use remaster_testkit::RedisServer;

use super::faults::Fault;

/// A bug: a piece of the library, and what stands there instead.
#[derive(Debug)]
pub struct Bug {
    right: &'static str,
    wrong: &'static str,
    /// The faults under which it shows.
    pub faults: &'static [Fault],
    /// What the checker says of it.
    pub said: &'static str,
}

pub static BUGS: [Bug; 3] = [
    // The key of a submit whose answer was lost is not known any more.
    Bug { right: "if same then\n", wrong: "if false then\n", faults: &[Fault::FreezeReplica], said: " units for " },
    // A job whose worker died is queued, but in no line.
    Bug {
        right: "      requeue(job)\n      join(job)\n      changed(job)",
        wrong: "      requeue(job)\n      changed(job)",
        faults: &[Fault::KillWorker],
        said: "never ended",
    },
    // Nobody is told of a job that took more than one attempt.
    Bug {
        right: "  arm(job.id, now)\n  if job.batch",
        wrong: "  if job.attempt == '1' then arm(job.id, now) end\n  if job.batch",
        faults: &[Fault::KillWorker],
        said: "nobody was told",
    },
];

impl Bug {
    /// Loads the library with the bug in place of the right one.
    pub fn plant(&self, redis: &RedisServer) {
        let listed = redis.command(&["FUNCTION", "LIST", "LIBRARYNAME", "remaster", "WITHCODE"]);
        let code = &listed[listed.find("#!lua").unwrap()..];
        assert_eq!(code.matches(self.right).count(), 1, "the library has another text than {:?}", self.right);
        let loaded = redis.command(&["FUNCTION", "LOAD", "REPLACE", &code.replace(self.right, self.wrong)]);
        assert_eq!(loaded, "remaster");
    }
}
