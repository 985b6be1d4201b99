//! The weights that are part of the binary: they are small, free to distribute, and needed before anything is fetched.
//!
//! Each file lies in `models/bundled/` with its licence beside it. Bundled bytes pass the same checks as fetched ones.

const FILES: [(&str, &[u8]); 1] =
    [("face_detection_yunet_2026may.onnx", include_bytes!("../bundled/face_detection_yunet_2026may.onnx"))];

/// The bytes of the bundled file `name`, or `None` when no file of that name is part of the binary.
pub(crate) fn bytes(name: &str) -> Option<&'static [u8]> {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}
