//! Values in words for people.

use std::time::Duration;

/// A time in words for people, without fractions of a second.
pub fn in_words(time: Duration) -> String {
    humantime::format_duration(Duration::from_secs(time.as_secs())).to_string()
}
