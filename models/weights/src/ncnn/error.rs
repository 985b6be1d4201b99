//! What is wrong with an ncnn network, and where.

/// Why an ncnn network cannot be translated.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NcnnError {
    /// The `.param` is not text.
    #[error("the .param is not text (its binary form is not accepted)")]
    Binary,
    /// A line of the `.param` is not a layer.
    #[error(".param line {line}: {what}")]
    Syntax {
        /// The number of the line, counted from one.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A layer is broken or not translated.
    #[error("layer {layer} ({kind}): {what}")]
    Layer {
        /// The layer's name.
        layer: String,
        /// The layer's kind.
        kind: String,
        /// What is wrong.
        what: String,
    },
    /// The layers do not make up an image network.
    #[error("{0}")]
    Graph(String),
}
