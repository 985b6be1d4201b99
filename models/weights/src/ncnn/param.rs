//! The [`.param` text](https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure): a magic number, the counts
//! of layers and blobs, and one line per layer.

use super::error::NcnnError;
use super::params::Params;

const MAGIC: &str = "7767517";
/// The largest known network has a thousand layers.
const MAX_LAYERS: usize = 100_000;

/// One line: a layer, the blobs it takes and gives, and its parameters.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Layer {
    pub kind: String,
    pub name: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub params: Params,
}

impl Layer {
    pub(crate) fn error(&self, what: impl Into<String>) -> NcnnError {
        NcnnError::Layer { layer: self.name.clone(), kind: self.kind.clone(), what: what.into() }
    }
}

/// Parses the layers of a `.param`, in order.
///
/// # Errors
/// A line that is no layer, by its number.
pub(crate) fn parse(text: &str) -> Result<Vec<Layer>, NcnnError> {
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line)).filter(|(_, l)| !l.trim().is_empty());
    let syntax = |line, what: &str| NcnnError::Syntax { line, what: what.to_owned() };
    let (line, magic) = lines.next().ok_or_else(|| syntax(1, "the file is empty"))?;
    if magic.trim() != MAGIC {
        return Err(syntax(line, "not an ncnn text .param: it does not begin with 7767517"));
    }
    let (line, counts) = lines.next().ok_or_else(|| syntax(2, "the layer count is missing"))?;
    let counts: Vec<Option<usize>> = counts.split_whitespace().map(|word| word.parse().ok()).collect();
    let [Some(count), Some(_blobs)] = counts[..] else {
        return Err(syntax(line, "the layer and blob counts are missing"));
    };
    if count > MAX_LAYERS {
        return Err(syntax(line, "more layers than accepted"));
    }
    let layers = lines
        .map(|(line, text)| layer(text).map_err(|what| NcnnError::Syntax { line, what }))
        .collect::<Result<Vec<_>, _>>()?;
    if layers.len() != count {
        return Err(syntax(line, &format!("announces {count} layers, but there are {}", layers.len())));
    }
    Ok(layers)
}

fn layer(line: &str) -> Result<Layer, String> {
    let mut words = line.split_whitespace();
    let mut next = || words.next().ok_or_else(|| "the line ends early".to_owned());
    let (kind, name) = (next()?.to_owned(), next()?.to_owned());
    let mut count = || next()?.parse::<usize>().map_err(|_| format!("{name}: a blob count is no number"));
    let (inputs, outputs) = (count()?, count()?);
    // Names are read one by one, so that an absurd count ends with the line instead of allocating.
    let inputs = (0..inputs).map(|_| next().map(str::to_owned)).collect::<Result<_, _>>()?;
    let outputs = (0..outputs).map(|_| next().map(str::to_owned)).collect::<Result<_, _>>()?;
    let mut params = Params::default();
    for word in words {
        params.add(word).map_err(|what| format!("{name}: {what}"))?;
    }
    Ok(Layer { kind, name, inputs, outputs, params })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_becomes_a_layer() {
        let layers = parse("7767517\n1 2\nConcat  c 2 1 a b out 0=0\n").unwrap();
        assert_eq!((layers[0].inputs.len(), layers[0].outputs[0].as_str()), (2, "out"));
    }

    #[test]
    fn what_is_not_one_is_refused_with_its_line() {
        for (text, line) in [
            ("", 1),
            ("x", 1),
            ("7767517\n", 2),
            ("7767517\n1\n", 2),
            ("7767517\n2 1\nInput a 0 1 x\n", 2),
            ("7767517\n9999999 1\n", 2),
            ("7767517\n1 1\nInput a 0 99999999999 x\n", 3),
            ("7767517\n1 1\nInput a 0 -1 x\n", 3),
            ("7767517\n1 1\nInput a 0 1 x 0\n", 3),
        ] {
            assert!(matches!(parse(text), Err(NcnnError::Syntax { line: at, .. }) if at == line), "{text:?}");
        }
    }
}
