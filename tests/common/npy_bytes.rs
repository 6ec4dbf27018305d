//! `.npy` files byte by byte, so that tests can write bad ones too. Format: `numpy.lib.format`.

/// A file of version 1: the header, padded as `NumPy` pads it, and the data.
pub fn npy(descr: &str, fortran_order: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let order = if fortran_order { "True" } else { "False" };
    let header = format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}");
    with_header(1, &header, data)
}

/// A file of any version, with any text for a header.
pub fn with_header(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
    let width = if version == 1 { 2 } else { 4 };
    let unpadded = 8 + width + header.len() + 1;
    let header = format!("{header}{}\n", " ".repeat(unpadded.next_multiple_of(64) - unpadded));
    let mut bytes = b"\x93NUMPY".to_vec();
    bytes.extend([version, 0]);
    bytes.extend(&header.len().to_le_bytes()[..width]);
    bytes.extend(header.bytes());
    bytes.extend(data);
    bytes
}

/// f32 logits, rows × classes.
pub fn logits(rows: usize, classes: usize, values: &[f32]) -> Vec<u8> {
    npy("'<f4'", false, &format!("({rows}, {classes})"), &f32_bytes(values))
}

/// i64 labels.
pub fn labels(values: &[i64]) -> Vec<u8> {
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    npy("'<i8'", false, &format!("({},)", values.len()), &data)
}

pub fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
