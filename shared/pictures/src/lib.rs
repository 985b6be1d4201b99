//! What can be known of a picture file without decoding it. Both the API and the worker need this, and nothing else of a picture.

pub mod header;
