//! The way of a face out of a picture and back into it, with made-up faces and pictures.

mod blending;
mod fixtures;
mod reference;
