//! The channels of a pixel, and which of them a pass through a network carries.

/// The channels of a pixel, in the order of its samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Luma.
    Gray,
    /// Luma, alpha.
    GrayAlpha,
    /// Red, green, blue.
    Rgb,
    /// Red, green, blue, alpha.
    Rgba,
}

/// What one pass through a network carries: a network takes three channels, so alpha needs a pass of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plane {
    /// The colour channels. A gray picture's one channel is given to the network three times.
    Color,
    /// The alpha channel, given to the network three times.
    Alpha,
}

impl Layout {
    /// The number of samples per pixel.
    pub fn channels(self) -> usize {
        match self {
            Layout::Gray => 1,
            Layout::GrayAlpha => 2,
            Layout::Rgb => 3,
            Layout::Rgba => 4,
        }
    }

    /// The number of samples per pixel that carry colour. They come first; alpha comes last.
    pub fn color_channels(self) -> usize {
        match self {
            Layout::Gray | Layout::GrayAlpha => 1,
            Layout::Rgb | Layout::Rgba => 3,
        }
    }

    /// Whether the last sample of each pixel is alpha.
    pub fn has_alpha(self) -> bool {
        self.channels() > self.color_channels()
    }

    /// For each of a tensor's three channels, the index within a pixel of the sample that it is made of.
    pub(super) fn tensor_channels(self, plane: Plane) -> [usize; 3] {
        match (plane, self.color_channels()) {
            (Plane::Color, 3) => [0, 1, 2],
            (Plane::Color, _) => [0; 3],
            (Plane::Alpha, color_channels) => [color_channels; 3],
        }
    }
}
