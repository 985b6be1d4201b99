//! What an inference runtime does: it loads a graph, runs it, and ends a run for which nobody waits any more.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ndarray::ArrayViewD;

use crate::error::{Cause, EngineError};
use crate::port::{Output, Tensor};

/// The floating-point type in which a graph is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Float {
    /// float16, which the graph's own weights have.
    Float16,
    /// bfloat16, which the runtime converts to.
    BFloat16,
    /// float32.
    Float32,
}

impl Float {
    /// The name that the setting `PRECISION` has for it.
    pub fn name(self) -> &'static str {
        match self {
            Float::Float16 => "fp16",
            Float::BFloat16 => "bf16",
            Float::Float32 => "fp32",
        }
    }
}

/// Where a graph in the format of ONNX is.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    File(&'a Path),
    Memory(&'a [u8]),
}

/// The sizes of what a graph is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sizes {
    /// Any, from one run to the next.
    Any,
    /// Those of so many pixels or more come several times, as the tiles of a picture do. A runtime may prepare the graph for each, which takes
    /// it less memory.
    Repeated(usize),
}

/// A runtime on one device.
pub trait Runtime: Send {
    /// Loads a graph that is to be computed in `float`, on inputs of `sizes`.
    ///
    /// # Errors
    /// The runtime refuses the graph.
    fn load(&mut self, source: Source<'_>, float: Float, sizes: Sizes) -> Result<Box<dyn Graph>, Cause>;
}

/// A loaded graph.
pub trait Graph: Send {
    /// Runs the graph on `[n, c, h, w]` and shows `read` each of its outputs by name, in the order of the graph.
    ///
    /// # Errors
    /// The run fails, or was stopped, or `read` fails.
    fn run_and_read(&mut self, input: Tensor, stop: &Stop, read: &mut Reader<'_>) -> Result<(), EngineError>;

    /// Runs the graph and returns a copy of all its outputs.
    ///
    /// # Errors
    /// The run fails, or was stopped.
    fn run(&mut self, input: Tensor, stop: &Stop) -> Result<Vec<Output>, EngineError> {
        let mut outputs = Vec::new();
        self.run_and_read(input, stop, &mut |name, values| {
            outputs.push(Output { name: name.to_owned(), values: values.to_owned() });
            Ok(())
        })?;
        Ok(outputs)
    }
}

/// Looks at an output where the runtime has it.
pub type Reader<'a> = dyn FnMut(&str, ArrayViewD<'_, f32>) -> Result<(), EngineError> + 'a;

/// Ends a run from another thread.
#[derive(Default)]
pub struct Stop(Mutex<State>);

#[derive(Default)]
struct State {
    stopped: bool,
    action: Option<Box<dyn FnOnce() + Send>>,
}

impl Stop {
    /// Ends the run.
    pub fn stop(&self) {
        let action = {
            let mut state = self.state();
            state.stopped = true;
            state.action.take()
        };
        if let Some(action) = action {
            action();
        }
    }

    /// Whether the run is to end.
    pub fn is_stopped(&self) -> bool {
        self.state().stopped
    }

    /// Calls `action` when the run is to end, in the place of an earlier action; at once, if it is to end already.
    pub fn on_stop(&self, action: impl FnOnce() + Send + 'static) {
        {
            let mut state = self.state();
            if !state.stopped {
                state.action = Some(Box::new(action));
                return;
            }
        }
        action();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn the_latest_action_is_called_once_also_when_it_comes_late() {
        let (stop, calls) = (Stop::default(), Arc::new(AtomicU32::new(0)));
        let add = |number| {
            let calls = Arc::clone(&calls);
            move || {
                calls.fetch_add(number, Ordering::Relaxed);
            }
        };
        stop.on_stop(add(1));
        stop.on_stop(add(10));
        assert!(!stop.is_stopped());
        stop.stop();
        stop.stop();
        assert!(stop.is_stopped());
        assert_eq!(calls.load(Ordering::Relaxed), 10);
        stop.on_stop(add(100));
        assert_eq!(calls.load(Ordering::Relaxed), 110);
    }
}
