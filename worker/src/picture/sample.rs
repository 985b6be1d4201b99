//! The two sample types, 8 and 16 bits, behind one trait.

/// A sample type.
pub(super) trait Sample: Copy {
    /// The value of white, and of full opacity.
    const MAX: f32;

    /// The sample as a number in 0..=[`MAX`](Sample::MAX).
    fn to_f32(self) -> f32;

    /// The integer part of `value`, saturating at both ends of the type. Callers add 0.5 to round.
    fn from_f32(value: f32) -> Self;
}

impl Sample for u8 {
    const MAX: f32 = 255.0;

    fn to_f32(self) -> f32 {
        f32::from(self)
    }

    // A cast saturates, and unlike `f32::round` it is no function call, so loops over it vectorise.
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
