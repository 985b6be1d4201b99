//! What is wrong with an ncnn network, and where.

/// Why an ncnn network cannot be translated.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NcnnError {
    /// Not the text form.
    #[error("the .param is not text (its binary form is not accepted)")]
    Binary,
    /// A line that is no layer.
    #[error(".param line {line}: {what}")]
    Syntax {
        /// Counted from one.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A layer that is broken or not translated.
    #[error("layer {layer} ({kind}): {what}")]
    Layer {
        /// The layer's name.
        layer: String,
        /// The layer's kind.
        kind: String,
        /// What is wrong.
        what: String,
    },
    /// Layers that are fine one by one but make no image network.
    #[error("{0}")]
    Graph(String),
}
