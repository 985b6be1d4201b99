//! An ncnn network to import.

use std::path::{Path, PathBuf};

/// The `.param` and the `.bin` of two 1x1 convolutions and an enlargement by two. More channels in the `middle` make it
/// larger.
pub fn files(middle: usize) -> (String, Vec<u8>) {
    let weights = 3 * middle;
    let param = format!(
        "7767517\n4 4\nInput in 0 1 data\nConvolution a 1 1 data x 0={middle} 1=1 5=0 6={weights}\n\
         Convolution b 1 1 x y 0=3 1=1 5=0 6={weights}\nInterp up 1 1 y output 0=1 1=2.0 2=2.0\n"
    );
    let block = |_| [0; 4].into_iter().chain((0..weights).flat_map(|at| (at as f32).to_le_bytes()));
    (param, (0..2).flat_map(block).collect())
}

/// Writes a small network into `dir`; returns its `.param`.
pub fn write(dir: &Path) -> PathBuf {
    let (param, bin) = files(4);
    std::fs::write(dir.join("net.param"), param).unwrap();
    std::fs::write(dir.join("net.bin"), bin).unwrap();
    dir.join("net.param")
}
