//! What a picture file tells before it is decoded. The API refuses here what no worker could use, and the worker relies
//! on the same answer.

#![warn(missing_docs)]

pub mod header;
pub mod tiff;
