//! Rectangles of pixels.

/// A rectangle in pixels. It may reach past the edges of its picture, where the picture continues as its reflection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The leftmost column.
    pub x: isize,
    /// The topmost row.
    pub y: isize,
    /// The number of columns.
    pub width: usize,
    /// The number of rows.
    pub height: usize,
}

impl Window {
    /// Whether the two rectangles have a pixel in common.
    pub fn intersects(self, other: Window) -> bool {
        let meet = |a: (isize, usize), b: (isize, usize)| a.0 < b.0 + b.1 as isize && b.0 < a.0 + a.1 as isize;
        meet((self.x, self.width), (other.x, other.width)) && meet((self.y, self.height), (other.y, other.height))
    }
}
