//! Whether a server still speaks TLS 1.0 or 1.1. No library here does, so the first message is written by hand (RFC 4346,
//! section 7.4.1.2), and of the answer only its first bytes are read.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// A version that must be refused (RFC 8996).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Old {
    /// TLS 1.0.
    Tls10,
    /// TLS 1.1.
    Tls11,
}

impl Old {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tls10 => "TLS 1.0",
            Self::Tls11 => "TLS 1.1",
        }
    }

    /// All of them.
    pub const ALL: [Self; 2] = [Self::Tls10, Self::Tls11];

    const fn minor(self) -> u8 {
        match self {
            Self::Tls10 => 1,
            Self::Tls11 => 2,
        }
    }
}

/// What servers of that time took: with and without forward secrecy, for RSA and for ECDSA.
const CIPHERS: [u16; 10] = [0xc009, 0xc00a, 0xc013, 0xc014, 0x0033, 0x0039, 0x002f, 0x0035, 0x000a, 0x00ff];

/// A `ClientHello` of this version for a server of this name.
fn client_hello(version: Old, host: &str, random: &[u8; 32]) -> Vec<u8> {
    let mut extensions = Vec::new();
    // A name, and not an address (RFC 6066 section 3).
    if host.parse::<std::net::IpAddr>().is_err() {
        let name = [&[0][..], &sized(host.as_bytes())].concat();
        extensions.extend(extension(0, &sized(&name)));
    }
    // The curves and the form of points (RFC 8422 section 5.1): X25519, P-256, P-384; uncompressed.
    extensions.extend(extension(10, &sized(&[0, 29, 0, 23, 0, 24])));
    extensions.extend(extension(11, &[1, 0]));
    let ciphers: Vec<u8> = CIPHERS.iter().flat_map(|cipher| cipher.to_be_bytes()).collect();
    let body = [&[3, version.minor()][..], random, &[0], &sized(&ciphers), &[1, 0], &sized(&extensions)].concat();
    let handshake = [&[1, 0][..], &sized(&body)].concat();
    [&[22, 3, 1][..], &sized(&handshake)].concat()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &sized(content)].concat()
}

/// Bytes after their length in two bytes. Nothing here is as long as that can say.
fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes()[..], bytes].concat()
}

/// What the server's first bytes say: true when it goes on in the old version, false for an alert or nothing at all.
fn is_taken(version: Old, answer: &[u8]) -> bool {
    // A record of the handshake, with a ServerHello of that version in it.
    matches!(answer, [22, 3, _, _, _, 2, _, _, _, 3, minor, ..] if *minor == version.minor())
}

/// How many bytes of the answer say it.
const ENOUGH: u64 = 11;

/// Whether the server at the other end goes on in the old version.
pub async fn is_taken_by(mut stream: impl AsyncRead + AsyncWrite + Unpin, old: Old, host: &str) -> io::Result<bool> {
    let random = oauth::token::random_bytes::<32>().map_err(io::Error::other)?;
    stream.write_all(&client_hello(old, host, &random)).await?;
    let mut answer = Vec::new();
    stream.take(ENOUGH).read_to_end(&mut answer).await?;
    Ok(is_taken(old, &answer))
}

/// The same of a PostgreSQL, which is asked for TLS first (PostgreSQL documentation, 55.2.10).
pub async fn is_taken_by_postgres(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    old: Old,
    host: &str,
) -> io::Result<bool> {
    const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
    stream.write_all(&SSL_REQUEST).await?;
    if stream.read_u8().await? != b'S' {
        return Ok(false);
    }
    is_taken_by(stream, old, host).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_message_has_the_lengths_that_it_says() {
        for (host, named) in [("jhe.example", true), ("192.0.2.1", false), ("::1", false)] {
            let hello = client_hello(Old::Tls11, host, &[7; 32]);
            let length = |at: usize| usize::from(u16::from_be_bytes([hello[at], hello[at + 1]]));
            assert_eq!(hello[..3], [22, 3, 1]);
            assert_eq!(length(3), hello.len() - 5, "the record");
            assert_eq!((hello[5], hello[6], length(7)), (1, 0, hello.len() - 9), "the handshake");
            assert_eq!(hello[9..11], [3, 2], "the version");
            let ciphers = 11 + 32 + 1;
            let extensions = ciphers + 2 + length(ciphers) + 2;
            assert_eq!(length(extensions), hello.len() - extensions - 2, "the extensions");
            assert_eq!(hello.windows(host.len()).any(|window| window == host.as_bytes()), named, "{host}");
        }
    }

    #[test]
    fn only_a_hello_of_that_version_takes_it() {
        let hello = |minor| [22, 3, minor, 0, 50, 2, 0, 0, 46, 3, minor, 9];
        assert!(is_taken(Old::Tls10, &hello(1)));
        assert!(is_taken(Old::Tls11, &hello(2)));
        assert!(!is_taken(Old::Tls11, &hello(1)));
        assert!(!is_taken(Old::Tls10, &hello(3)));
        assert!(!is_taken(Old::Tls10, &[21, 3, 1, 0, 2, 2, 70]), "an alert: protocol_version");
        assert!(!is_taken(Old::Tls10, &[]));
        assert!(!is_taken(Old::Tls10, b"HTTP/1.1 400"));
    }
}
