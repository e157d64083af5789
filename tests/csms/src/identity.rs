//! The charge point's identity, read from the path of its WebSocket request. Pure.

/// Every charge point connects below this path.
pub(crate) const ROOT: &str = "/ocpp";

/// The identity in `/ocpp/IDENTITY`, percent-decoded; `None` where the path names no charge point.
pub(crate) fn from_path(path: &str) -> Option<String> {
    let segment = path.strip_prefix(ROOT)?.strip_prefix('/')?;
    if segment.is_empty() || segment.contains('/') {
        return None;
    }
    percent_decode(segment)
}

fn percent_decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            decoded.push(hex_digit(bytes.next()?)? << 4 | hex_digit(bytes.next()?)?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::from_path;

    #[test]
    fn identities_are_decoded_and_other_paths_refused() {
        for (path, identity) in [
            ("/ocpp/CP1", Some("CP1")),
            ("/ocpp/a%20b%2Fc", Some("a b/c")),
            ("/ocpp/%C3%A4", Some("ä")),
            ("/ocpp/", None),
            ("/ocpp", None),
            ("/other/CP1", None),
            ("/ocpp/CP1/x", None),
            ("/ocpp/%zz", None),
            ("/ocpp/%4", None),
            ("/ocpp/%ff", None),
        ] {
            assert_eq!(from_path(path).as_deref(), identity, "{path}");
        }
    }
}
