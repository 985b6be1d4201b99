//! [OpenVINO](https://docs.openvino.ai) on the CPU. It computes in bfloat16 where the CPU has instructions for that, several times as
//! fast as in float32, and takes less memory.

use std::path::Path;
use std::time::Instant;

use ndarray::{ArrayD, IxDyn};
use openvino::{
    Core, DeviceType, ElementType, InferRequest, InferenceError, InferenceErrorKind, PropertyKey, RwPropertyKey, Shape,
    Tensor as Buffer,
};

use remaster_weights::dense_block;

use crate::error::{Cause, EngineError};
use crate::graph::{Float, Graph, Runtime, Source, Stop};
use crate::port::{Output, Tensor};

/// How often a run looks whether it is to end, in milliseconds. A run that is done is noticed at once.
const LOOK: i64 = 20;

/// What the network for measuring is given, and how often.
const SAMPLE: (usize, usize, usize, usize) = (1, 64, 64, 64);
const RUNS: usize = 3;
/// The part of the time in float32 that bfloat16 may take to be worth its error.
const MARKEDLY: f64 = 0.85;

/// OpenVINO on the CPU.
pub struct OpenVino {
    core: Core,
}

impl OpenVino {
    /// Loads `library`, the library of OpenVINO's interface for C; the parts that it needs lie beside it.
    ///
    /// # Errors
    /// The file is no such library, or OpenVINO refuses a setting.
    pub fn start(library: &Path, threads: usize) -> Result<Self, Cause> {
        openvino_sys::library::load_from(library.to_path_buf())?;
        let mut core = Core::new()?;
        let threads = threads.to_string();
        core.set_properties(
            &DeviceType::CPU,
            [
                (RwPropertyKey::InferenceNumThreads, threads.as_str()),
                // One run at a time gets all threads.
                (RwPropertyKey::HintPerformanceMode, "LATENCY"),
                // Two processes on a machine would be pinned to the same cores.
                (RwPropertyKey::HintEnableCpuPinning, "NO"),
            ],
        )?;
        Ok(Self { core })
    }

    /// Whether the CPU has instructions for bfloat16.
    pub fn has_bfloat16(&self) -> bool {
        let capabilities = self.core.get_property(&DeviceType::CPU, &PropertyKey::DeviceCapabilities);
        capabilities.is_ok_and(|names| names.split_whitespace().any(|name| name == "BF16"))
    }
}

impl OpenVino {
    /// Whether the CPU computes networks markedly faster in bfloat16, as a small one shows. There are CPUs with instructions for it, Intel's
    /// without AMX, that do not.
    ///
    /// # Errors
    /// The small network does not run.
    pub fn is_faster_in_bfloat16(&mut self) -> Result<bool, Cause> {
        let network = dense_block();
        let mut seconds = |float| -> Result<f64, Cause> {
            let mut graph = self.load(Source::Memory(&network), float)?;
            let mut run = || -> Result<f64, Cause> {
                let began = Instant::now();
                graph.run(Tensor::zeros(SAMPLE), &Stop::default())?;
                Ok(began.elapsed().as_secs_f64())
            };
            // The first run prepares the others.
            run()?;
            (0..RUNS).try_fold(f64::INFINITY, |least, _| Ok(least.min(run()?)))
        };
        let (single, short) = (seconds(Float::Float32)?, seconds(Float::BFloat16)?);
        tracing::debug!(ratio = single / short, "how many times as fast this CPU is in bf16");
        Ok(short < MARKEDLY * single)
    }
}

impl Runtime for OpenVino {
    fn load(&mut self, source: Source<'_>, float: Float) -> Result<Box<dyn Graph>, Cause> {
        let bytes;
        let onnx = match source {
            Source::File(path) => {
                bytes = std::fs::read(path)?;
                &bytes
            }
            Source::Memory(bytes) => bytes,
        };
        // It would choose bfloat16 by itself otherwise.
        let precision = if float == Float::BFloat16 { "bf16" } else { "f32" };
        self.core.set_property(&DeviceType::CPU, &RwPropertyKey::HintInferencePrecision, precision)?;
        let model = self.core.read_model_from_buffer(onnx, None)?;
        // A compiled model has further names for the same outputs.
        let name = |index| model.get_output_by_index(index)?.get_name();
        let names = (0..model.get_outputs_len()?).map(name).collect::<Result<_, _>>()?;
        let mut compiled = self.core.compile_model(&model, DeviceType::CPU)?;
        Ok(Box::new(Compiled { request: compiled.create_infer_request()?, names }))
    }
}

/// A graph that is compiled for the CPU.
struct Compiled {
    request: InferRequest,
    /// The names of the outputs, in the order of the graph.
    names: Vec<String>,
}

impl Graph for Compiled {
    fn run(&mut self, input: Tensor, stop: &Stop) -> Result<Vec<Output>, EngineError> {
        self.request.set_input_tensor(&buffer(&input).map_err(run_error)?).map_err(run_error)?;
        drop(input);
        self.request.infer_async().map_err(run_error)?;
        loop {
            match self.request.wait(LOOK) {
                Ok(()) => break,
                Err(error) if error.kind == InferenceErrorKind::ResultNotReady => {
                    if stop.is_stopped() {
                        self.request.cancel().map_err(run_error)?;
                    }
                }
                Err(error) => return Err(run_error(error)),
            }
        }
        self.names.iter().enumerate().map(|(index, name)| output(&self.request, index, name)).collect()
    }
}

/// A copy of the tensor for OpenVINO.
fn buffer(tensor: &Tensor) -> Result<Buffer, InferenceError> {
    let sides: Vec<i64> = tensor.shape().iter().map(|side| *side as i64).collect();
    let mut buffer = Buffer::new(ElementType::F32, &Shape::new(&sides)?)?;
    let values = buffer.get_data_mut::<f32>()?;
    match tensor.as_slice() {
        Some(samples) => values.copy_from_slice(samples),
        None => values.iter_mut().zip(tensor).for_each(|(value, sample)| *value = *sample),
    }
    Ok(buffer)
}

fn output(request: &InferRequest, index: usize, name: &str) -> Result<Output, EngineError> {
    let buffer = request.get_output_tensor_by_index(index).map_err(run_error)?;
    if buffer.get_element_type().map_err(run_error)? != ElementType::F32 {
        return Err(EngineError::Run(format!("the output {name} is not of float32").into()));
    }
    let shape = buffer.get_shape().map_err(run_error)?;
    let sides: Vec<usize> = shape.get_dimensions().iter().map(|side| *side as usize).collect();
    let values = buffer.get_data::<f32>().map_err(run_error)?.to_vec();
    let values = ArrayD::from_shape_vec(IxDyn(&sides), values).map_err(|error| EngineError::Run(error.into()))?;
    Ok(Output { name: name.to_owned(), values })
}

fn run_error(error: InferenceError) -> EngineError {
    EngineError::of_run(error.into(), &["bad_alloc", "could not allocate", "out of memory"])
}
