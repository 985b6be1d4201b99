//! From a parsed request to jobs in the queue: the model is chosen, pixels are checked, pictures are stored, and the store
//! charges the client and queues the jobs in one step. What a refused submit has stored is rolled back.

mod batch;
mod cancel_on_drop;
mod enqueue;
mod job;
mod model;
pub mod rollback;
mod submitted;

pub use batch::submit_batch;
pub use cancel_on_drop::CancelOnDrop;
pub use job::submit_job;
pub use submitted::Submitted;
