//! The architectures that are built from weights or recognised in ONNX files.

use std::fmt;

use serde::Deserialize;

/// A network's architecture, by the name that the manifest and the models' metadata use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Architecture {
    /// The generator of [ESRGAN](https://arxiv.org/abs/1809.00219) and
    /// [Real-ESRGAN](https://github.com/xinntao/Real-ESRGAN): an upscaler.
    Rrdbnet,
    /// [SRVGGNetCompact](https://github.com/xinntao/Real-ESRGAN/blob/master/realesrgan/archs/srvgg_arch.py),
    /// Real-ESRGAN's small upscaler.
    Srvgg,
    /// [GFPGAN](https://github.com/TencentARC/GFPGAN) v1 "clean": restores aligned faces.
    Gfpgan,
    /// [RetinaFace](https://arxiv.org/abs/1905.00641) over ResNet-50: finds faces.
    Retinaface,
    /// ParseNet of [facexlib](https://github.com/xinntao/facexlib): tells the parts of an aligned face.
    Parsenet,
    /// [YuNet](https://github.com/opencv/opencv_zoo/tree/main/models/face_detection_yunet): finds faces.
    Yunet,
}

impl Architecture {
    /// The name in the manifest, in model metadata and in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rrdbnet => "rrdbnet",
            Self::Srvgg => "srvgg",
            Self::Gfpgan => "gfpgan",
            Self::Retinaface => "retinaface",
            Self::Parsenet => "parsenet",
            Self::Yunet => "yunet",
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
