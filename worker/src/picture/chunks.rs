//! What a PNG file says of how its samples are to be shown, which its result has to say too.

use super::raster::Chunk;

/// The chunks that are kept, each with the length of its data in bytes: the transfer function, the primaries, sRGB, the code points of
/// video, the density of pixels, and what displays with a high dynamic range need. See the
/// [PNG specification](https://www.w3.org/TR/png-3/#11Chunks).
const KEPT: [(&[u8; 4], usize); 7] =
    [(b"gAMA", 4), (b"cHRM", 32), (b"sRGB", 1), (b"cICP", 4), (b"pHYs", 9), (b"mDCV", 24), (b"cLLI", 8)];

/// The length of what comes before the first chunk.
const SIGNATURE: usize = 8;
/// The length of a chunk's length and name, and of its checksum.
const HEAD: usize = 8;
const CHECKSUM: usize = 4;

/// The chunks to keep of a PNG file, the first of each name where it is intact. Any other bytes have none.
pub(super) fn kept(png: &[u8]) -> Vec<Chunk> {
    let mut kept: Vec<Chunk> = Vec::new();
    let mut rest = png.get(SIGNATURE..).unwrap_or_default();
    while let Some((head, after)) = rest.split_first_chunk::<HEAD>() {
        let [a, b, c, d, name @ ..] = *head;
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let Some(data) = after.get(..length).filter(|_| &name != b"IDAT") else { break };
        let listed = KEPT.iter().any(|(of, expected)| **of == name && *expected == length);
        let intact = after.get(length..length + CHECKSUM) == Some(&checksum(name, data));
        if listed && intact && !kept.iter().any(|chunk| chunk.name == name) {
            kept.push(Chunk { name, data: data.to_vec() });
        }
        rest = after.get(length + CHECKSUM..).unwrap_or_default();
    }
    kept
}

fn checksum(name: [u8; 4], data: &[u8]) -> [u8; CHECKSUM] {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&name);
    sum.update(data);
    sum.finalize().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
        [&(data.len() as u32).to_be_bytes(), name.as_slice(), data, &checksum(*name, data)].concat()
    }

    #[test]
    fn chunks_before_the_picture_are_kept_and_others_are_not() {
        let chunks = [
            chunk(b"IHDR", &[0; 13]),
            chunk(b"gAMA", &[0, 1, 134, 160]),
            chunk(b"tIME", &[0; 7]),
            chunk(b"cICP", &[9, 16, 0, 1]),
            chunk(b"gAMA", &[0, 0, 0, 1]),
            [&chunk(b"cLLI", &[0; 8])[..16], &[1, 2, 3, 4]].concat(),
            chunk(b"sRGB", &[0, 0]),
            chunk(b"IDAT", &[]),
            chunk(b"pHYs", &[0; 9]),
        ];
        let file = [&[0; SIGNATURE], chunks.concat().as_slice()].concat();
        let names: Vec<[u8; 4]> = kept(&file).into_iter().map(|chunk| chunk.name).collect();
        assert_eq!(names, [*b"gAMA", *b"cICP"]);
        for length in 0..file.len() {
            kept(&file[..length]);
        }
        assert_eq!(kept(&[&[0; SIGNATURE], u32::MAX.to_be_bytes().as_slice(), b"gAMA"].concat()), []);
    }
}
