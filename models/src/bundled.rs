//! The weights that are part of the binary: they are small, free to distribute, and needed before anything is fetched.
//!
//! Each file lies in `models/bundled/` with its licence beside it. Bundled bytes pass the same checks as fetched ones.

const FILES: [(&str, &[u8]); 1] =
    [("face_detection_yunet_2026may.onnx", include_bytes!("../bundled/face_detection_yunet_2026may.onnx"))];

/// A small network that is part of the binary, as an ONNX model: `[1, 3, h, w]` in, sides in multiples of 32. It shows whether a device
/// runs networks at all.
#[must_use]
pub fn small_network() -> &'static [u8] {
    FILES[0].1
}

/// The bytes of the bundled file `name`, or `None` when no file of that name is part of the binary.
pub(crate) fn bytes(name: &str) -> Option<&'static [u8]> {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}
