//! Enlarging a picture by a network, tile by tile; memory is bounded by the tile, not by the picture.

mod lanczos;
mod tiles;

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, future::BoxFuture, stream};
use remaster_shared::job::{ModelId, Scale};

use crate::enhance::EnhanceError;
use crate::picture::{Band, Picture, Window};
pub use lanczos::enlarge;
pub(crate) use lanczos::resized;
use remaster_engine::{EngineError, SharedEngine, Tensor};
pub use tiles::{Cell, Grid, SettingsError, TileSettings};

/// Tiles in preparation per picture: one in the engine, one ready behind it.
const AHEAD: usize = 2;

/// Enlarges `picture` to `scale` times its size with `model`; `progress` hears the fraction of tiles done.
///
/// Alpha passes through the network as a picture of its own, unless it is the same everywhere.
///
/// # Errors
/// The engine's, when a tile cannot be run: nothing is ever put in its place.
pub async fn upscale(
    engine: &SharedEngine,
    settings: TileSettings,
    picture: Arc<Picture>,
    model: &ModelId,
    scale: Scale,
    progress: &(dyn Fn(f64) + Send + Sync),
) -> Result<Picture, EnhanceError> {
    let factor = scale.factor() as usize;
    let constant_alpha = picture.constant_alpha();
    let mut bands = vec![Band::Color];
    if picture.layout.has_alpha() && constant_alpha.is_none() {
        bands.push(Band::Alpha);
    }
    let network = engine.network(model).await?;
    let grid = settings.grid(network.overlap);
    let pass = Arc::new(Pass {
        engine: Arc::clone(engine),
        model: model.clone(),
        native: network.scale as usize,
        factor,
        grid,
        picture: Arc::clone(&picture),
    });
    let cells = grid.cells(picture.width, picture.height);
    let runs: Vec<(Band, Cell)> = bands.iter().flat_map(|band| cells.iter().map(|cell| (*band, *cell))).collect();
    let total = runs.len() as f64;
    let mut tiles = stream::iter(runs)
        .map(|(band, cell)| {
            let pass = Arc::clone(&pass);
            async move { Ok::<_, EnhanceError>((band, pass.cell(band, cell).await?)) }
        })
        .buffered(AHEAD);

    let mut canvas = picture.canvas(factor);
    let mut done = 0.0;
    while let Some((band, pieces)) = tiles.try_next().await? {
        canvas = blocking(move || {
            for piece in pieces {
                canvas.paste(band, piece.target, &piece.tile, piece.left, piece.top);
            }
            canvas
        })
        .await?;
        done += 1.0;
        progress(done / total);
    }
    if let Some(alpha) = constant_alpha {
        canvas.fill_alpha(alpha);
    }
    Ok(canvas)
}

/// A tile of the result: from (`left`, `top`) of `tile`, `target`'s size goes to `target`.
struct Piece {
    target: Window,
    tile: Tensor,
    left: usize,
    top: usize,
}

/// One picture's way through one network.
struct Pass {
    engine: SharedEngine,
    model: ModelId,
    /// The network's own factor.
    native: usize,
    /// The factor asked for.
    factor: usize,
    grid: Grid,
    picture: Arc<Picture>,
}

impl Pass {
    /// One cell: a single piece, or those of its quarters when it did not fit into memory.
    fn cell(self: Arc<Self>, band: Band, cell: Cell) -> BoxFuture<'static, Result<Vec<Piece>, EnhanceError>> {
        Box::pin(async move {
            match self.piece(band, cell).await {
                Err(EnhanceError::Engine(EngineError::OutOfMemory(cause))) => {
                    let Some(quarters) = cell.quarters() else {
                        return Err(EngineError::OutOfMemory(cause).into());
                    };
                    tracing::warn!(?cell, %cause, "a tile did not fit; trying its quarters");
                    let mut pieces = Vec::new();
                    for quarter in quarters {
                        pieces.extend(Arc::clone(&self).cell(band, quarter).await?);
                    }
                    Ok(pieces)
                }
                piece => Ok(vec![piece?]),
            }
        })
    }

    async fn piece(&self, band: Band, cell: Cell) -> Result<Piece, EnhanceError> {
        let window = self.grid.window(cell, self.picture.width, self.picture.height);
        let picture = Arc::clone(&self.picture);
        let input = blocking(move || picture.cut(band, window)).await?;
        let output = self.engine.run(&self.model, input).await?;
        let expected = (1, 3, window.height * self.native, window.width * self.native);
        if output.dim() != expected {
            let got = output.dim();
            return Err(EngineError::Run(format!("the output is {got:?}, not {expected:?}")).into());
        }
        let (width, height) = (window.width * self.factor, window.height * self.factor);
        let tile = blocking(move || finish(output, width, height)).await??;
        let factor = self.factor;
        Ok(Piece {
            target: Window {
                x: (cell.x * factor) as isize,
                y: (cell.y * factor) as isize,
                width: cell.width * factor,
                height: cell.height * factor,
            },
            tile,
            left: (cell.x as isize - window.x) as usize * factor,
            top: (cell.y as isize - window.y) as usize * factor,
        })
    }
}

/// A network's output made safe and brought to `width` x `height`.
fn finish(mut output: Tensor, width: usize, height: usize) -> Result<Tensor, EngineError> {
    if !output.iter().all(|value| value.is_finite()) {
        return Err(EngineError::Run("the output has values that are not numbers".into()));
    }
    output.mapv_inplace(|value| value.clamp(0.0, 1.0));
    if output.dim() == (1, 3, height, width) { Ok(output) } else { lanczos::resize(&output, width, height) }
}

/// Runs `work` where blocking is allowed. Its panic becomes an error.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, EnhanceError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| EnhanceError::Panic(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::picture::{Layout, Metadata, Samples};
    use remaster_engine::fake::FakeEngine;

    fn picture(width: usize, height: usize, layout: Layout) -> Picture {
        let length = width * height * layout.channels();
        let samples = Samples::U8((0..length).map(|i| (i * 31 % 253) as u8).collect());
        Picture { width, height, layout, samples, metadata: Metadata::default() }
    }

    /// Each pixel repeated, as the fake engine does.
    fn repeated(source: &Picture, factor: usize) -> Picture {
        let mut canvas = source.canvas(factor);
        let (channels, width) = (source.layout.channels(), source.width);
        let (Samples::U8(from), Samples::U8(to)) = (&source.samples, &mut canvas.samples) else { panic!() };
        for (index, sample) in to.iter_mut().enumerate() {
            let (pixel, channel) = (index / channels, index % channels);
            let (x, y) = (pixel % (width * factor) / factor, pixel / (width * factor) / factor);
            *sample = from[(y * width + x) * channels + channel];
        }
        canvas
    }

    fn model() -> ModelId {
        ModelId::parse("fake").unwrap()
    }

    async fn run(engine: FakeEngine, tile: usize, source: Picture, scale: Scale) -> Result<Picture, EnhanceError> {
        let settings = TileSettings::new(tile).unwrap();
        upscale(&(Arc::new(engine) as SharedEngine), settings, Arc::new(source), &model(), scale, &|_| ()).await
    }

    #[tokio::test]
    async fn tiles_fit_together_at_every_size_and_layout() {
        for (width, height) in [(1, 1), (3, 200), (200, 3), (231, 97), (460, 230)] {
            for layout in [Layout::Gray, Layout::GrayAlpha, Layout::Rgb, Layout::Rgba] {
                let source = picture(width, height, layout);
                let result = run(FakeEngine::default(), 192, source.clone(), Scale::X4).await.unwrap();
                assert_eq!(result, repeated(&source, 4), "{width}x{height} {layout:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_tile_that_does_not_fit_is_quartered() {
        let source = picture(200, 150, Layout::Rgb);
        let engine = FakeEngine { largest: 120 * 120, ..FakeEngine::default() };
        assert_eq!(run(engine, 512, source.clone(), Scale::X4).await.unwrap(), repeated(&source, 4));
        let engine = FakeEngine { largest: 100, ..FakeEngine::default() };
        let error = run(engine, 512, source, Scale::X4).await.unwrap_err();
        assert!(matches!(error, EnhanceError::Engine(EngineError::OutOfMemory(_))));
    }

    #[tokio::test]
    async fn numbers_that_are_none_fail_the_picture() {
        let engine = FakeEngine { broken: true, ..FakeEngine::default() };
        let error = run(engine, 512, picture(40, 40, Layout::Rgb), Scale::X4).await.unwrap_err();
        assert!(matches!(error, EnhanceError::Engine(EngineError::Run(_))), "{error}");
    }

    #[tokio::test]
    async fn a_larger_network_is_reduced_to_the_scale() {
        let mut source = picture(150, 90, Layout::Rgb);
        let Samples::U8(samples) = &mut source.samples else { panic!() };
        samples.fill(77);
        let result = run(FakeEngine::default(), 192, source, Scale::X2).await.unwrap();
        assert_eq!((result.width, result.height), (300, 180));
        let Samples::U8(samples) = result.samples else { panic!() };
        assert!(samples.iter().all(|sample| *sample == 77));
    }

    #[tokio::test]
    async fn constant_alpha_costs_no_pass() {
        let engine = Arc::new(FakeEngine::default());
        let shared: SharedEngine = engine.clone();
        let mut source = picture(20, 20, Layout::Rgba);
        source.fill_alpha(200);
        let settings = TileSettings::new(512).unwrap();
        let result = upscale(&shared, settings, Arc::new(source), &model(), Scale::X2, &|_| ()).await.unwrap();
        assert_eq!(engine.runs.load(Ordering::SeqCst), 1);
        assert_eq!(result.constant_alpha(), Some(200));
    }
}
