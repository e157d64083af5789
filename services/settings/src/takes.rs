//! What keys take: the kinds of values, each with its words for people and its canonical form. Pure. Nothing here
//! repeats a value, which may be a secret.

use std::fmt;
use url::Url;

/// A kind of value with its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// `true` or `false`.
    Boolean,
    /// A whole number from..=to.
    Count(u32, u32),
    /// A whole number of seconds from..=to.
    Seconds(u32, u32),
    /// A comma-separated list of at most this many measurands.
    Measurands(usize),
    /// One entry of OCPP's list of phase rotations.
    PhaseRotation,
    /// From..=to characters, none of them a control character.
    Text(usize, usize),
    /// The charge point identity, which is part of an address and a user name.
    Identity,
    /// Where the CSMS is: addresses in the order in which they are tried.
    Addresses,
    /// The password of HTTP Basic authentication.
    Password,
    /// Read only.
    Nothing,
}

/// What the meters and the vehicle side can tell.
const MEASURANDS: [&str; 7] = [
    "Current.Import",
    "Current.Offered",
    "Energy.Active.Import.Register",
    "Power.Active.Import",
    "Power.Offered",
    "SoC",
    "Voltage",
];
/// OCPP 1.6, key `ConnectorPhaseRotation`.
const ROTATIONS: [&str; 8] = ["NotApplicable", "Unknown", "RST", "RTS", "SRT", "STR", "TRS", "TSR"];
/// Of the whole value of `SupervisionUrl`.
const LONGEST_ADDRESSES: usize = 255;

impl fmt::Display for Takes {
    /// In words, to follow "takes" and "must be".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Takes::Boolean => f.write_str("true or false"),
            Takes::Count(least, most) => write!(f, "a whole number from {least} to {most}"),
            Takes::Seconds(least, most) => write!(f, "a whole number of seconds from {least} to {most}"),
            Takes::Measurands(0) => f.write_str("empty"),
            Takes::Measurands(most) => {
                let known = MEASURANDS.join(", ");
                write!(f, "a list of at most {most} different measurands, separated by commas alone, out of {known}")
            }
            Takes::PhaseRotation => write!(f, "one of {}", ROTATIONS.join(", ")),
            Takes::Text(least, most) => write!(f, "{least} to {most} characters, none of them a control character"),
            Takes::Identity => {
                f.write_str("1 to 50 characters, each a letter, a digit or one of - _ . * = + | @, and not . or ..")
            }
            Takes::Addresses => write!(
                f,
                "ws:// and wss:// addresses without user, password, query or fragment, separated by one space each and \
                 tried in this order, of at most {LONGEST_ADDRESSES} characters in all"
            ),
            Takes::Password => f.write_str(
                "16 to 40 printable ASCII characters without spaces, or an even number of 32 to 80 hexadecimal digits, \
                 which stand for the bytes of the password",
            ),
            Takes::Nothing => f.write_str("left alone"),
        }
    }
}

impl Takes {
    /// The canonical form of a value that fits, `None` of one that does not.
    pub fn canonical(self, value: &str) -> Option<String> {
        match self {
            Takes::Boolean => {
                let lower = value.to_ascii_lowercase();
                matches!(lower.as_str(), "true" | "false").then_some(lower)
            }
            Takes::Count(least, most) | Takes::Seconds(least, most) => {
                // The standard library would take a sign.
                let digits = value.bytes().all(|byte| byte.is_ascii_digit());
                let number: u32 = value.parse().ok().filter(|number| digits && (least..=most).contains(number))?;
                Some(number.to_string())
            }
            Takes::Measurands(most) => are_measurands(value, most).then(|| value.to_owned()),
            Takes::PhaseRotation => {
                let word = ["0.", "1.", "2."].iter().find_map(|index| value.strip_prefix(index)).unwrap_or(value);
                ROTATIONS.contains(&word).then(|| value.to_owned())
            }
            Takes::Text(least, most) => {
                let good = (least..=most).contains(&value.chars().count()) && !value.chars().any(char::is_control);
                good.then(|| value.to_owned())
            }
            Takes::Identity => is_identity(value).then(|| value.to_owned()),
            Takes::Addresses => are_addresses(value).then(|| value.to_owned()),
            Takes::Password => (value.is_empty() || is_password(value)).then(|| value.to_owned()),
            Takes::Nothing => None,
        }
    }
}

fn are_measurands(value: &str, most: usize) -> bool {
    if value.is_empty() {
        return true;
    }
    let entries: Vec<&str> = value.split(',').collect();
    let known = entries.iter().all(|entry| MEASURANDS.contains(entry));
    let once = entries.iter().enumerate().all(|(index, entry)| !entries.iter().take(index).any(|other| other == entry));
    known && once && entries.len() <= most
}

fn is_identity(value: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.*=+|@".contains(&byte);
    // A dot segment would vanish from the address that the identity is appended to.
    (1..=50).contains(&value.len()) && value.bytes().all(fits) && !matches!(value, "." | "..")
}

fn are_addresses(value: &str) -> bool {
    value.is_empty() || (value.len() <= LONGEST_ADDRESSES && value.split(' ').all(is_address))
}

fn is_address(value: &str) -> bool {
    // The parser forgives a missing or third slash, backslashes and white space; it also drops an empty user.
    let Some((_, rest)) = value.split_once("://") else { return false };
    let authority = rest.split('/').next().unwrap_or_default();
    let plain = value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    plain
        && !authority.is_empty()
        && !authority.contains('@')
        && Url::parse(value).is_ok_and(|url| {
            matches!(url.scheme(), "ws" | "wss") && url.has_host() && url.query().is_none() && url.fragment().is_none()
        })
}

/// The addresses of a value of `SupervisionUrl` that fits.
fn addresses(value: &str) -> impl Iterator<Item = &str> {
    value.split(' ').filter(|address| !address.is_empty())
}

/// Every address of a value of `SupervisionUrl` is one of TLS; so it is when there is none.
pub fn are_all_tls(value: &str) -> bool {
    addresses(value).all(|address| address.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("wss://")))
}

/// Whitepaper, section on Basic authentication: 16 to 40 bytes; its key is written in hexadecimal.
fn is_password(value: &str) -> bool {
    let hexadecimal = value.len().is_multiple_of(2) && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    let characters = value.bytes().all(|byte| byte.is_ascii_graphic());
    (16..=40).contains(&value.len()) && characters || (32..=80).contains(&value.len()) && hexadecimal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Key;

    #[test]
    fn values_that_are_taken_and_their_canonical_form() {
        let hexadecimal = "0123456789abcdefABCDEF".repeat(4)[..80].to_owned();
        let longest = format!("wss://a.example/{}", "p".repeat(239));
        for (key, value, canonical) in [
            ("authorizeremotetxrequests", "FALSE", "false"),
            ("localpreauthorize", "TRUE", "true"),
            ("HeartbeatInterval", "0300", "300"),
            ("WebSocketPingInterval", "0", "0"),
            ("MeterValuesSampledData", "", ""),
            ("MeterValuesSampledData", "SoC,Voltage", "SoC,Voltage"),
            ("MeterValuesAlignedData", "Energy.Active.Import.Register", "Energy.Active.Import.Register"),
            ("ConnectorPhaseRotation", "0.RST", "0.RST"),
            ("SupervisionUrl", "wss://csms.example:8443/ocpp", "wss://csms.example:8443/ocpp"),
            ("SupervisionUrl", "WSS://csms.example/", "WSS://csms.example/"),
            ("SupervisionUrl", "ws://[2001:db8::1]/", "ws://[2001:db8::1]/"),
            ("SupervisionUrl", "wss://a.example/x wss://b.example/y", "wss://a.example/x wss://b.example/y"),
            ("SupervisionUrl", "ws://csms.example/@home", "ws://csms.example/@home"),
            ("SupervisionUrl", &longest, &longest),
            ("BoxIdentifier", "DE*ABC*E1-2", "DE*ABC*E1-2"),
            ("disconnectedMeterValueSampleInterval", "5", "5"),
            ("AuthorizationKey", "0123456789abcdef", "0123456789abcdef"),
            ("AuthorizationKey", &hexadecimal, &hexadecimal),
            ("AuthorizationKey", "", ""),
            ("SecurityProfile", "3", "3"),
        ] {
            let key = Key::named(key).expect("a key");
            assert_eq!(key.takes.canonical(value).as_deref(), Some(canonical), "{} {value}", key.name);
        }
    }

    #[test]
    fn case_31_values_that_are_not_taken() {
        let too_long = format!("wss://a.example/{}", "p".repeat(240));
        for (key, value) in [
            ("LocalPreAuthorize", " true"),
            ("LocalPreAuthorize", "1"),
            ("LocalPreAuthorize", ""),
            ("HeartbeatInterval", ""),
            ("HeartbeatInterval", "0"),
            ("HeartbeatInterval", "+5"),
            ("HeartbeatInterval", "-5"),
            ("HeartbeatInterval", " 5"),
            ("HeartbeatInterval", "5 "),
            ("HeartbeatInterval", "5.0"),
            ("HeartbeatInterval", "0x5"),
            ("HeartbeatInterval", "٥"),
            ("HeartbeatInterval", "604801"),
            ("HeartbeatInterval", "99999999999"),
            ("ClockAlignedDataInterval", "86401"),
            ("disconnectedMeterValueSampleInterval", "4"),
            ("disconnectedMeterValueSampleInterval", "3601"),
            ("MeterValuesSampledData", "SoC, Voltage"),
            ("MeterValuesSampledData", "SoC,"),
            ("MeterValuesSampledData", ","),
            ("MeterValuesSampledData", "SoC,SoC"),
            ("MeterValuesSampledData", "Temperature"),
            ("MeterValuesAlignedData", "Voltage.L1"),
            ("StopTxnSampledData", "SoC"),
            ("ConnectorPhaseRotation", "RST,RST"),
            ("SupervisionUrl", "http://csms.example"),
            ("SupervisionUrl", "ws://user:word@csms.example/"),
            ("SupervisionUrl", "ws://user@csms.example/"),
            ("SupervisionUrl", "ws://@csms.example/"),
            ("SupervisionUrl", "wss://:@csms.example/"),
            ("SupervisionUrl", "ws://csms.example/?key=1"),
            ("SupervisionUrl", "ws://csms.example/?"),
            ("SupervisionUrl", "ws://csms.example/#here"),
            ("SupervisionUrl", "ws://"),
            ("SupervisionUrl", "ws:///ocpp"),
            ("SupervisionUrl", "ws:csms.example"),
            ("SupervisionUrl", "ws:\\\\csms.example"),
            ("SupervisionUrl", "ws://csms.example/a b"),
            ("SupervisionUrl", " ws://csms.example/"),
            ("SupervisionUrl", "ws://csms.example/ "),
            ("SupervisionUrl", "ws://a.example/  ws://b.example/"),
            ("SupervisionUrl", "ws://a.example/\tws://b.example/"),
            ("SupervisionUrl", "ws://a.example/,ws://b.example/ b"),
            ("SupervisionUrl", &too_long),
            ("BoxIdentifier", "a/b"),
            ("BoxIdentifier", ".."),
            ("BoxIdentifier", ""),
            ("DefaultIdTag", "123456789012345678901"),
            ("DefaultIdTag", ""),
            ("AuthorizationKey", "fifteen-letters"),
            ("AuthorizationKey", "with a space in it"),
            ("AuthorizationKey", "pässword-of-letters"),
            ("AuthorizationKey", "forty-one-characters-are-one-too-many-xyz"),
            ("AuthorizationKey", &"a".repeat(41)),
            ("AuthorizationKey", &"0".repeat(82)),
            ("NumberOfConnectors", "2"),
            ("SecurityProfile", "4"),
            ("SecurityProfile", "-1"),
        ] {
            assert_eq!(Key::named(key).expect("a key").takes.canonical(value), None, "{key} {value}");
        }
    }

    #[test]
    fn tls_is_what_every_address_says() {
        assert!(are_all_tls("wss://a.example/ WSS://b.example/"));
        assert!(are_all_tls(""));
        assert!(!are_all_tls("wss://a.example/ ws://b.example/"));
        assert!(!are_all_tls("ws://wss.example/"));
    }
}
