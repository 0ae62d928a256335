//! What commands print. Who reads it may have enough before its end (`jhe audit prove 4711 | head`): that is no failure, and what else
//! the command does goes on.

use std::{
    fmt::Display,
    io::{self, Write},
};

/// A writer whose reader may go away.
pub struct Quiet<W>(pub W);

impl<W: Write> Write for Quiet<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        unless_gone(self.0.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        unless_gone(self.0.flush(), ())
    }
}

fn unless_gone<T>(result: io::Result<T>, gone: T) -> io::Result<T> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(gone),
        other => other,
    }
}

/// Prints a line.
pub fn say(line: impl Display) -> io::Result<()> {
    say_all(format_args!("{line}\n"))
}

/// Prints a text that ends its own lines.
pub fn say_all(text: impl Display) -> io::Result<()> {
    let mut out = Quiet(io::stdout().lock());
    write!(out, "{text}")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Failing(io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn only_a_reader_who_went_away_is_no_failure() {
        let mut gone = Quiet(Failing(io::ErrorKind::BrokenPipe));
        assert!(write!(gone, "a line").is_ok() && gone.flush().is_ok());
        let mut full = Quiet(Failing(io::ErrorKind::StorageFull));
        assert!(write!(full, "a line").is_err() && full.flush().is_err());
    }
}
