//! A picture's way through a network: its tiles are read, run, brought to the scale that was asked for, and pasted.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, future::BoxFuture, stream};
use remaster_engine::{EngineError, SharedEngine, Tensor};
use remaster_shared::job::{ModelId, Scale};

use super::alpha::FlatAlpha;
use super::error::UpscaleError;
use super::tiles::{Tile, TileSettings, Tiling};
use crate::blocking::blocking;
use crate::output::{expect_finite, expect_shape};
use crate::picture::{Header, Patch, Picture, Plane, Strip, Window, keep_grain, resize_tensor};
use crate::progress::Progress;

/// Tiles in preparation per picture: one that the engine runs and one that is ready when the engine has finished.
const TILES_IN_FLIGHT: usize = 2;

/// Where the strips of an enlarged picture go, from top to bottom.
#[async_trait]
pub trait Strips: Send {
    /// Why a strip cannot be taken.
    type Error: From<UpscaleError>;

    /// Returns when the strip before is out of memory, so that there is room for the next one.
    async fn room(&mut self) -> Result<(), Self::Error>;

    /// Takes the next strip, and works on it while the next one is made.
    fn take(&mut self, strip: Strip);
}

/// The strips put together, in memory as a whole.
#[async_trait]
impl Strips for Option<Picture> {
    type Error = UpscaleError;

    async fn room(&mut self) -> Result<(), UpscaleError> {
        Ok(())
    }

    fn take(&mut self, strip: Strip) {
        match self {
            None => *self = Some(strip.rows),
            Some(whole) => {
                assert_eq!(whole.height, strip.top, "strips come from top to bottom");
                whole.append(strip.rows);
            }
        }
    }
}

/// Enlarges pictures with one network.
pub struct Upscaler {
    /// Runs the network.
    pub engine: SharedEngine,
    /// How pictures are cut into tiles.
    pub tiles: TileSettings,
    /// The network.
    pub model: ModelId,
    /// The scale of the result. Where the network's own scale is another one, its output is resized with Lanczos.
    pub scale: Scale,
    /// How much of the picture's own grain is laid over the result, 0..=1.
    pub grain: f64,
}

impl Upscaler {
    /// Hands the picture with `scale` times its width and height to `out`, in its own layout and depth. `progress` hears the fraction of
    /// tiles that are done.
    ///
    /// Alpha passes through the network as a picture of its own, but for tiles in which it does not change.
    ///
    /// # Errors
    /// A tile cannot be run, or its output cannot be used, or `out` does not take it. Nothing is ever put in the place of such a tile.
    pub async fn upscale<O: Strips>(
        &self,
        picture: Arc<Picture>,
        progress: Progress<'_>,
        out: &mut O,
    ) -> Result<(), O::Error> {
        let network = self.engine.network(&self.model).await.map_err(UpscaleError::from)?;
        let tiling = self.tiles.tiling(network.tile_area, network.overlap);
        let scale = self.scale.factor() as usize;
        let pass = Arc::new(Pass {
            engine: Arc::clone(&self.engine),
            model: self.model.clone(),
            network_scale: network.scale as usize,
            scale,
            grain: self.grain as f32,
            tiling,
            picture: Arc::clone(&picture),
        });
        let planes: &[Plane] = if picture.layout.has_alpha() { &[Plane::Color, Plane::Alpha] } else { &[Plane::Color] };
        let tiles = tiling.tiles(picture.width, picture.height);
        let rows: Vec<&[Tile]> = tiles.chunk_by(|a, b| a.y == b.y).collect();
        let row_runs = |row: &&[Tile]| planes.iter().flat_map(|plane| row.iter().map(|tile| (*plane, *tile))).collect();
        let runs: Vec<Vec<(Plane, Tile)>> = rows.iter().map(row_runs).collect();
        let total = (tiles.len() * planes.len()) as f64;
        let mut finished = stream::iter(runs.concat())
            .map(|(plane, tile)| {
                let pass = Arc::clone(&pass);
                async move { Ok::<_, UpscaleError>((plane, pass.tile(plane, tile).await?)) }
            })
            .buffered(TILES_IN_FLIGHT);

        let header = Header::like(&picture, (picture.width * scale, picture.height * scale));
        let mut done = 0.0;
        for (row, runs) in rows.iter().zip(&runs) {
            let mut strip = None;
            for _ in runs {
                let Some((plane, patches)) = finished.try_next().await? else { break };
                let mut canvas = match strip.take() {
                    Some(canvas) => canvas,
                    None => {
                        out.room().await?;
                        header.strip(row[0].y * scale, row[0].height * scale)
                    }
                };
                let pasted = blocking(move || {
                    patches.into_iter().for_each(|patch| canvas.paste(plane, patch));
                    canvas
                });
                strip = Some(pasted.await.map_err(UpscaleError::from)?);
                done += 1.0;
                progress(done / total);
            }
            strip.into_iter().for_each(|strip| out.take(strip));
        }
        Ok(())
    }
}

/// One picture and the network that it passes through.
struct Pass {
    engine: SharedEngine,
    model: ModelId,
    /// Output pixels per input pixel along one side, of the network.
    network_scale: usize,
    /// The same of the result.
    scale: usize,
    /// How much of the picture's own grain is laid over the result, 0..=1.
    grain: f32,
    tiling: Tiling,
    picture: Arc<Picture>,
}

impl Pass {
    /// The patch that a tile becomes, or those of its quarters when it does not fit into the device's memory.
    fn tile(self: Arc<Self>, plane: Plane, tile: Tile) -> BoxFuture<'static, Result<Vec<Patch>, UpscaleError>> {
        Box::pin(async move {
            match self.patch(plane, tile).await {
                Err(UpscaleError::Engine(EngineError::OutOfMemory(cause))) => {
                    let Some(quarters) = tile.quarters() else {
                        return Err(EngineError::OutOfMemory(cause).into());
                    };
                    tracing::warn!(?tile, %cause, "a tile did not fit; trying its quarters");
                    let mut patches = Vec::new();
                    for quarter in quarters {
                        patches.extend(Arc::clone(&self).tile(plane, quarter).await?);
                    }
                    Ok(patches)
                }
                patch => Ok(vec![patch?]),
            }
        })
    }

    async fn patch(&self, plane: Plane, tile: Tile) -> Result<Patch, UpscaleError> {
        match plane {
            Plane::Color => self.run(plane, tile).await,
            Plane::Alpha => {
                let picture = Arc::clone(&self.picture);
                let flat = blocking(move || FlatAlpha::of(&picture, tile)).await?;
                if flat.is_everywhere() {
                    return Ok(flat.patch(self.target(tile)));
                }
                let mut patch = self.run(plane, tile).await?;
                flat.keep(&mut patch);
                Ok(patch)
            }
        }
    }

    /// What the network makes of a tile.
    async fn run(&self, plane: Plane, tile: Tile) -> Result<Patch, UpscaleError> {
        let window = self.tiling.window(tile, self.picture.width, self.picture.height);
        let picture = Arc::clone(&self.picture);
        let input = blocking(move || picture.to_tensor(plane, window)).await?;
        let original = (plane == Plane::Color && self.grain > 0.0).then(|| input.clone());
        let output = self.engine.run(&self.model, input).await?;
        let expected = [1, 3, window.height * self.network_scale, window.width * self.network_scale];
        expect_shape("a tile's output", &output, &expected)?;
        let scale = self.scale;
        let (width, height) = (window.width * scale, window.height * scale);
        let grain = self.grain;
        let finish = move || -> Result<Tensor, UpscaleError> {
            let made = finish(output, width, height)?;
            Ok(match original {
                Some(original) => keep_grain(&original, made, grain)?,
                None => made,
            })
        };
        let tensor = blocking(finish).await??;
        let left = (tile.x as isize - window.x) as usize * scale;
        let top = (tile.y as isize - window.y) as usize * scale;
        Ok(Patch { target: self.target(tile), tensor, left, top })
    }

    /// Where a tile is in the result.
    fn target(&self, tile: Tile) -> Window {
        let Tile { x, y, width, height } = tile;
        let scale = self.scale;
        let (x, y) = ((x * scale) as isize, (y * scale) as isize);
        Window { x, y, width: width * scale, height: height * scale }
    }
}

/// A network's output, checked, clamped to 0..=1 and resized to `width` x `height`.
fn finish(mut output: Tensor, width: usize, height: usize) -> Result<Tensor, UpscaleError> {
    expect_finite("a tile's output", &output)?;
    output.mapv_inplace(|value| value.clamp(0.0, 1.0));
    if output.dim() == (1, 3, height, width) { Ok(output) } else { Ok(resize_tensor(&output, width, height)?) }
}
