//! The way of the finished strips to the file: faces are blended in, the picture is reduced where that is asked for, and rows are encoded. A
//! strip is worked on while the network makes the next one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::task::{JoinHandle, spawn_blocking};

use super::error::EnhanceError;
use crate::blocking::BlockingError;
use crate::faces::RestoredFaces;
use crate::picture::{Encoded, Encoder, Reducer, Strip};
use crate::upscale::Strips;

/// What strips go through.
pub(super) struct Output {
    /// At rest; taken while it is at work.
    writer: Option<Box<Writer>>,
    /// The work on the last strip.
    at_work: Option<JoinHandle<Result<Box<Writer>, EnhanceError>>>,
}

/// The last steps of a picture.
pub(super) struct Writer {
    /// The faces to blend in.
    pub faces: Option<Arc<RestoredFaces>>,
    /// Brings the picture to the largest side that was asked for.
    pub reducer: Option<Reducer>,
    /// The file.
    pub encoder: Encoder,
    /// How long blending in faces has taken.
    pub blending: Duration,
    /// How long reducing and encoding have taken.
    pub encoding: Duration,
}

impl Writer {
    fn write(&mut self, mut strip: Strip) -> Result<(), EnhanceError> {
        let began = Instant::now();
        self.faces.iter().for_each(|faces| faces.blend(&mut strip));
        self.blending += began.elapsed();
        let began = Instant::now();
        let strip = match &mut self.reducer {
            Some(reducer) => reducer.push(strip)?,
            None => Some(strip),
        };
        strip.iter().try_for_each(|strip| self.encoder.push(strip))?;
        self.encoding += began.elapsed();
        Ok(())
    }
}

/// A file, and how long the last steps have taken.
pub(super) struct Written {
    pub encoded: Encoded,
    pub blending: Duration,
    pub encoding: Duration,
}

impl Output {
    pub(super) fn new(writer: Writer) -> Self {
        Self { writer: Some(Box::new(writer)), at_work: None }
    }

    /// Ends the file.
    pub(super) async fn finish(mut self) -> Result<Written, EnhanceError> {
        self.room().await?;
        let Some(writer) = self.writer else { unreachable!("the writer is at rest where there is room") };
        let end = move || {
            let began = Instant::now();
            let Writer { encoder, blending, encoding, .. } = *writer;
            let encoded = encoder.finish()?;
            Ok(Written { encoded, blending, encoding: encoding + began.elapsed() })
        };
        spawn_blocking(end).await.map_err(BlockingError::from)?
    }
}

#[async_trait]
impl Strips for Output {
    type Error = EnhanceError;

    async fn room(&mut self) -> Result<(), EnhanceError> {
        if let Some(at_work) = self.at_work.take() {
            self.writer = Some(at_work.await.map_err(BlockingError::from)??);
        }
        Ok(())
    }

    fn take(&mut self, strip: Strip) {
        let Some(mut writer) = self.writer.take() else { unreachable!("a strip is taken where there is room") };
        self.at_work = Some(spawn_blocking(move || writer.write(strip).map(|()| writer)));
    }
}
