//! The fields of IPTC (captions, names and rights, as agencies write them) where files keep them: among the resources of Photoshop, each of
//! which has a number, a name and a length before its content.

/// What each resource begins with.
const RESOURCE: &[u8] = b"8BIM";
/// The number of the resource with the fields of IPTC.
const NUMBER: u16 = 0x0404;
/// What each field begins with.
const FIELD: u8 = 0x1C;
/// What the segment of a JPEG with resources begins with.
const SEGMENT: &[u8] = b"Photoshop 3.0\0";

/// The keyword of the text chunk of a PNG that holds the fields, as ImageMagick and ExifTool know it.
pub(super) const KEYWORD: &str = "Raw profile type iptc";
/// The bytes of a row in that chunk.
const ROW: usize = 36;

/// The fields in `content`, which holds nothing else, or the resources of Photoshop.
pub(super) fn fields(content: &[u8]) -> Option<Vec<u8>> {
    let content = content.strip_prefix(SEGMENT).unwrap_or(content);
    if content.first() == Some(&FIELD) {
        return Some(content.to_vec());
    }
    let mut rest = content;
    while let Some((number, after)) = rest.strip_prefix(RESOURCE)?.split_first_chunk() {
        // A name has its length in a byte before it, and fills an even number of bytes with that.
        let name = (usize::from(*after.first()?) + 2) & !1;
        let (length, after) = after.get(name..)?.split_first_chunk()?;
        let length = u32::from_be_bytes(*length) as usize;
        let content = after.get(..length)?;
        if u16::from_be_bytes(*number) == NUMBER {
            return (!content.is_empty()).then(|| content.to_vec());
        }
        rest = after.get(length.next_multiple_of(2)..)?;
    }
    None
}

/// The fields in the text of a PNG: after a name and a length the content in hexadecimal digits.
pub(super) fn of_text(text: &[u8]) -> Option<Vec<u8>> {
    let mut words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).skip(2);
    let mut bytes = Vec::new();
    words.try_for_each(|word| {
        let digits = word.iter().map(|digit| char::from(*digit).to_digit(16)).collect::<Option<Vec<u32>>>()?;
        let (pairs, []) = digits.as_chunks::<2>() else { return None };
        bytes.extend(pairs.iter().map(|[high, low]| (16 * high + low) as u8));
        Some(())
    })?;
    fields(&bytes)
}

/// The text of a PNG with these fields.
pub(super) fn text(fields: &[u8]) -> String {
    let resource = resource(fields);
    let rows = resource.chunks(ROW).map(|row| row.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    format!("\niptc\n{:8}\n{}\n", resource.len(), rows.collect::<Vec<_>>().join("\n"))
}

/// The content of a JPEG's segment with these fields.
pub(super) fn segment(fields: &[u8]) -> Vec<u8> {
    [SEGMENT, &resource(fields)].concat()
}

/// The resource of Photoshop with these fields, without a name.
fn resource(fields: &[u8]) -> Vec<u8> {
    let padding = &[0][..fields.len() % 2];
    [RESOURCE, &NUMBER.to_be_bytes(), &[0; 2], &(fields.len() as u32).to_be_bytes(), fields, padding].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: [u8; 9] = [FIELD, 2, 120, 0, 4, b'a', b'b', b'c', b'd'];

    #[test]
    fn fields_are_found_where_they_were_put() {
        assert_eq!(fields(&FIELDS).as_deref(), Some(&FIELDS[..]));
        assert_eq!(fields(&segment(&FIELDS)).as_deref(), Some(&FIELDS[..]));
        assert_eq!(of_text(text(&FIELDS).as_bytes()).as_deref(), Some(&FIELDS[..]));
        let long = [&FIELDS[..], &[7; 200]].concat();
        assert_eq!(of_text(text(&long).as_bytes()).unwrap(), long);
    }

    #[test]
    fn other_resources_are_passed_over() {
        let other = [RESOURCE, &[3, 0xED, 3, b'a', b'b', b'c', 0, 0, 0, 3, 1, 2, 3, 0]].concat();
        let both = [&other[..], &resource(&FIELDS)].concat();
        assert_eq!(fields(&both).as_deref(), Some(&FIELDS[..]));
        assert_eq!(fields(&other), None);
        for length in 0..both.len() {
            assert_eq!(fields(&both[..length]).filter(|found| found != &FIELDS[..]), None);
        }
    }

    #[test]
    fn a_text_that_is_no_content_has_no_fields() {
        for text in ["", "\niptc\n 4\n", "\niptc\n 2\nxy", "\niptc\n 2\n1c0", "iptc 1"] {
            assert_eq!(of_text(text.as_bytes()), None, "{text}");
        }
    }
}
