//! Standard output and standard input, where a pipe that is closed is no fault.

use crate::failure::Failure;
use serde::Serialize;
use std::io::{self, BufRead, ErrorKind, Write};

/// Writes a text as it is.
///
/// # Errors
/// [`Failure::NobodyReads`] when the reader has gone.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::NobodyReads,
        _ => Failure::Internal(format!("the output cannot be written: {error}")),
    })
}

/// Writes a line.
///
/// # Errors
/// [`Failure::NobodyReads`] when the reader has gone.
pub fn print_line(text: &str) -> Result<(), Failure> {
    print(&format!("{text}\n"))
}

/// Writes a value as JSON on one line.
///
/// # Errors
/// [`Failure::NobodyReads`] when the reader has gone.
pub fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(|error| Failure::Internal(error.to_string()))?;
    print_line(&text)
}

/// One line from a reader, without its end. What it says may be a secret and is in no error.
///
/// # Errors
/// [`Failure::Usage`] when there is none.
pub fn first_line(mut from: impl BufRead) -> Result<String, Failure> {
    let mut line = String::new();
    match from.read_line(&mut line) {
        Ok(0) => Err(Failure::Usage("the value - stands for a line of standard input, and there is none".to_owned())),
        Ok(_) => {
            let line = line.strip_suffix('\n').unwrap_or(&line);
            Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
        }
        Err(error) => Err(Failure::Usage(format!("standard input cannot be read: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_the_first_line_without_its_end() {
        for (input, value) in [("secret\nmore\n", "secret"), ("secret\r\n", "secret"), ("secret", "secret"), ("\n", "")]
        {
            assert_eq!(first_line(input.as_bytes()).expect("a line"), value);
        }
        assert!(matches!(first_line(&b""[..]), Err(Failure::Usage(_))));
        assert!(matches!(first_line(&b"\xff\n"[..]), Err(Failure::Usage(_))));
    }
}
