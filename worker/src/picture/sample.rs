//! The two sample types, 8 and 16 bits, as one.

/// A sample type: `MAX` is white.
pub(super) trait Sample: Copy {
    const MAX: f32;
    fn to_f32(self) -> f32;
    fn from_f32(value: f32) -> Self;
}

impl Sample for u8 {
    const MAX: f32 = 255.0;

    fn to_f32(self) -> f32 {
        f32::from(self)
    }

    // The cast saturates; it also keeps the loop free of a call, so that it vectorises.
    fn from_f32(value: f32) -> Self {
        value as u8
    }
}

impl Sample for u16 {
    const MAX: f32 = 65535.0;

    fn to_f32(self) -> f32 {
        f32::from(self)
    }

    fn from_f32(value: f32) -> Self {
        value as u16
    }
}
