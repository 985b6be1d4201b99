//! [OpenVINO](https://docs.openvino.ai) on the CPU. It computes in bfloat16 where the CPU has instructions for that, and takes less memory
//! then. With AMX that is several times as fast as float32.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use ndarray::{ArrayViewD, IxDyn};
use openvino::{
    Core, DeviceType, Dimension, ElementType, InferRequest, InferenceError, InferenceErrorKind, Model, PartialShape,
    PropertyKey, RwPropertyKey, Shape, Tensor as Buffer,
};

use remaster_weights::dense_block;

use crate::error::{Cause, EngineError};
use crate::graph::{Float, Graph, Reader, Runtime, Sizes, Source, Stop};
use crate::port::Tensor;

/// How often a run looks whether it is to end, in milliseconds. A run that is done is noticed at once.
const LOOK: i64 = 20;

/// What the network for measuring is given, and how often.
const SAMPLE: (usize, usize, usize, usize) = (1, 64, 64, 64);
const RUNS: usize = 3;
/// The part of the time in float32 that bfloat16 may take to be worth its error.
const MARKEDLY: f64 = 0.85;

/// OpenVINO on the CPU.
pub struct OpenVino {
    core: Arc<Mutex<Core>>,
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
        Ok(Self { core: Arc::new(Mutex::new(core)) })
    }

    /// Whether the CPU has instructions for bfloat16.
    pub fn has_bfloat16(&self) -> bool {
        let core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        let capabilities = core.get_property(&DeviceType::CPU, &PropertyKey::DeviceCapabilities);
        capabilities.is_ok_and(|names| names.split_whitespace().any(|name| name == "BF16"))
    }

    /// Whether the CPU computes networks markedly faster in bfloat16, as a small one shows. There are CPUs with instructions for it, Intel's
    /// without AMX, that do not.
    ///
    /// # Errors
    /// The small network does not run.
    pub fn is_faster_in_bfloat16(&mut self) -> Result<bool, Cause> {
        let network = dense_block();
        let mut seconds = |float| -> Result<f64, Cause> {
            let mut graph = self.load(Source::Memory(&network), float, Sizes::Any)?;
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
    fn load(&mut self, source: Source<'_>, float: Float, sizes: Sizes) -> Result<Box<dyn Graph>, Cause> {
        let bytes;
        let onnx = match source {
            Source::File(path) => {
                bytes = std::fs::read(path)?;
                &bytes
            }
            Source::Memory(bytes) => bytes,
        };
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        let model = core.read_model_from_buffer(onnx, None)?;
        // A compiled model has further names for the same outputs.
        let name = |index| model.get_output_by_index(index)?.get_name();
        let names = (0..model.get_outputs_len()?).map(name).collect::<Result<_, _>>()?;
        let Sizes::Repeated(large) = sizes else {
            let request = compile(&mut core, &model, float)?;
            return Ok(Box::new(Compiled { request, names }));
        };
        let any = model.get_input_by_index(0)?.get_partial_shape()?;
        let any = any.get_dimensions().iter().map(range).collect();
        let core = Arc::clone(&self.core);
        Ok(Box::new(Repeated { core, model, float, any, large, names, compiled: None }))
    }
}

/// The least and the most of a side. One without bounds is told as 0 and -1, and asked for as -1 and -1.
fn range(side: &Dimension) -> (i64, i64) {
    match (side.get_min(), side.get_max()) {
        (least, most) if most < least => (-1, -1),
        bounds => bounds,
    }
}

fn compile(core: &mut Core, model: &Model, float: Float) -> Result<InferRequest, InferenceError> {
    // It would choose bfloat16 by itself otherwise.
    let precision = if float == Float::BFloat16 { "bf16" } else { "f32" };
    core.set_property(&DeviceType::CPU, &RwPropertyKey::HintInferencePrecision, precision)?;
    core.compile_model(model, DeviceType::CPU)?.create_infer_request()
}

/// A graph that is compiled for inputs of any size.
struct Compiled {
    request: InferRequest,
    /// The names of the outputs, in the order of the graph.
    names: Vec<String>,
}

impl Graph for Compiled {
    fn run_and_read(&mut self, input: Tensor, stop: &Stop, read: &mut Reader<'_>) -> Result<(), EngineError> {
        run(&mut self.request, &self.names, input, stop, read)
    }
}

/// A graph that is compiled when it runs: for a large input for its size alone, which takes half the memory, and for others for any size.
/// Compiling takes a second, and only the latest is kept.
struct Repeated {
    core: Arc<Mutex<Core>>,
    model: Model,
    float: Float,
    /// The least and the most of each side that the model itself takes.
    any: Vec<(i64, i64)>,
    /// The pixels from which on an input is large.
    large: usize,
    /// The names of the outputs, in the order of the graph.
    names: Vec<String>,
    /// The size that it is compiled for; `None` for any.
    compiled: Option<(Option<[i64; 4]>, InferRequest)>,
}

impl Graph for Repeated {
    fn run_and_read(&mut self, input: Tensor, stop: &Stop, read: &mut Reader<'_>) -> Result<(), EngineError> {
        let (batch, channels, height, width) = input.dim();
        let size = (height * width >= self.large).then(|| [batch, channels, height, width].map(|side| side as i64));
        let request = match &mut self.compiled {
            Some((of, request)) if *of == size => request,
            compiled => {
                // Before the next one takes memory.
                *compiled = None;
                let made = compiled_for(&self.core, &mut self.model, &self.any, size, self.float).map_err(run_error)?;
                &mut compiled.insert((size, made)).1
            }
        };
        run(request, &self.names, input, stop, read)
    }
}

fn compiled_for(
    core: &Mutex<Core>,
    model: &mut Model,
    any: &[(i64, i64)],
    size: Option<[i64; 4]>,
    float: Float,
) -> Result<InferRequest, InferenceError> {
    let sides: Vec<Dimension> = match size {
        Some(size) => size.iter().map(|side| Dimension::new(*side, *side)).collect(),
        None => any.iter().map(|(least, most)| Dimension::new(*least, *most)).collect(),
    };
    model.reshape_single_input(&PartialShape::new(sides.len() as i64, &sides)?)?;
    compile(&mut core.lock().unwrap_or_else(PoisonError::into_inner), model, float)
}

fn run(
    request: &mut InferRequest,
    names: &[String],
    input: Tensor,
    stop: &Stop,
    read: &mut Reader<'_>,
) -> Result<(), EngineError> {
    request.set_input_tensor(&buffer(&input).map_err(run_error)?).map_err(run_error)?;
    drop(input);
    request.infer_async().map_err(run_error)?;
    loop {
        match request.wait(LOOK) {
            Ok(()) => break,
            Err(error) if error.kind == InferenceErrorKind::ResultNotReady => {
                if stop.is_stopped() {
                    request.cancel().map_err(run_error)?;
                }
            }
            Err(error) => return Err(run_error(error)),
        }
    }
    names.iter().enumerate().try_for_each(|(index, name)| output(request, index, name, read))
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

/// Shows `read` an output where OpenVINO has it.
fn output(request: &InferRequest, index: usize, name: &str, read: &mut Reader<'_>) -> Result<(), EngineError> {
    let buffer = request.get_output_tensor_by_index(index).map_err(run_error)?;
    if buffer.get_element_type().map_err(run_error)? != ElementType::F32 {
        return Err(EngineError::Run(format!("the output {name} is not of float32").into()));
    }
    let shape = buffer.get_shape().map_err(run_error)?;
    let sides: Vec<usize> = shape.get_dimensions().iter().map(|side| *side as usize).collect();
    let values = buffer.get_data::<f32>().map_err(run_error)?;
    let values = ArrayViewD::from_shape(IxDyn(&sides), values).map_err(|error| EngineError::Run(error.into()))?;
    read(name, values)
}

fn run_error(error: InferenceError) -> EngineError {
    EngineError::of_run(error.into(), &["bad_alloc", "could not allocate", "out of memory"])
}
