//! A data key for recipients of age (<https://age-encryption.org/v1>): whoever has one of the identities reads it, with this
//! program or any other that reads age. The machine that makes backups needs none of them.
//!
//! Written here for what is needed of it, X25519 recipients and one short text, so that its cryptography is the one that
//! everything else uses (decision 52).

use crate::{FormatError, bech32};
use aws_lc_rs::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    agreement::{PrivateKey, UnparsedPublicKey, X25519, agree},
    hkdf::{HKDF_SHA256, KeyType, Salt},
    hmac, rand,
};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString, zeroize::Zeroizing};

const VERSION: &str = "age-encryption.org/v1";
const STANZA: &str = "-> X25519 ";

/// A text that is longer would be more than one chunk of age.
const MOST: usize = 64 * 1024;

/// Who may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient([u8; 32]);

impl Recipient {
    /// Reads `age1...`.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let bytes = bech32::decode("age", text.trim()).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(FormatError::Key("a recipient of age"))
    }

    /// `age1...`.
    pub fn to_text(&self) -> Result<String, FormatError> {
        bech32::encode("age", &self.0).ok_or(FormatError::Cryptography)
    }
}

/// Who reads.
pub struct Identity(Zeroizing<[u8; 32]>);

impl Identity {
    /// A new one.
    pub fn generate() -> Result<Self, FormatError> {
        Ok(Self(random()?))
    }

    /// Reads the first `AGE-SECRET-KEY-1...` of a file, as `age-keygen` writes it: with comments.
    pub fn parse(file: &str) -> Result<Self, FormatError> {
        let mut lines = file.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let bytes = lines.next().and_then(|line| bech32::decode("age-secret-key-", line));
        let bytes = bytes.map(Zeroizing::new).and_then(|bytes| bytes.as_slice().try_into().ok());
        bytes.map(|bytes| Self(Zeroizing::new(bytes))).ok_or(FormatError::Key("the identity of age"))
    }

    /// The file.
    pub fn to_text(&self) -> Result<SecretString, FormatError> {
        let text = bech32::encode("age-secret-key-", self.0.as_slice()).ok_or(FormatError::Cryptography)?;
        Ok(format!("# public key: {}\n{}\n", self.recipient()?.to_text()?, text.to_ascii_uppercase()).into())
    }

    /// Its public half.
    pub fn recipient(&self) -> Result<Recipient, FormatError> {
        let public = self.private()?.compute_public_key().map_err(|_| FormatError::Cryptography)?;
        public.as_ref().try_into().map(Recipient).map_err(|_| FormatError::Cryptography)
    }

    fn private(&self) -> Result<PrivateKey, FormatError> {
        PrivateKey::from_private_key(&X25519, self.0.as_slice()).map_err(|_| FormatError::Cryptography)
    }
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, FormatError> {
    let mut bytes = Zeroizing::new([0; N]);
    rand::fill(bytes.as_mut_slice()).map_err(|_| FormatError::Cryptography)?;
    Ok(bytes)
}

/// So many bytes of HKDF.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// A key of 32 bytes by HKDF-SHA-256 (RFC 5869).
fn derived(secret: &[u8], salt: &[u8], info: &[u8]) -> Result<Zeroizing<[u8; 32]>, FormatError> {
    let mut key = Zeroizing::new([0; 32]);
    let pseudorandom = Salt::new(HKDF_SHA256, salt).extract(secret);
    let info = [info];
    let expanded = pseudorandom.expand(&info, Length(32)).and_then(|okm| okm.fill(key.as_mut_slice()));
    expanded.map_err(|_| FormatError::Cryptography)?;
    Ok(key)
}

fn cipher(key: &[u8; 32]) -> Result<LessSafeKey, FormatError> {
    let key = UnboundKey::new(&CHACHA20_POLY1305, key).map_err(|_| FormatError::Cryptography)?;
    Ok(LessSafeKey::new(key))
}

/// Each key of a file encrypts one thing. The last chunk of a payload, which is also its first, says so in its nonce.
fn nonce(is_payload: bool) -> Nonce {
    let mut bytes = [0; 12];
    if let Some(last) = bytes.last_mut() {
        *last = u8::from(is_payload);
    }
    Nonce::assume_unique_for_key(bytes)
}

fn encrypt(key: &[u8; 32], is_payload: bool, text: &[u8]) -> Result<Vec<u8>, FormatError> {
    let mut sealed = text.to_vec();
    cipher(key)?
        .seal_in_place_append_tag(nonce(is_payload), Aad::empty(), &mut sealed)
        .map_err(|_| FormatError::Cryptography)?;
    Ok(sealed)
}

fn decrypt(key: &[u8; 32], is_payload: bool, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(sealed.to_vec());
    let length = cipher(key).ok()?.open_in_place(nonce(is_payload), Aad::empty(), &mut text).ok()?.len();
    text.truncate(length);
    Some(text)
}

/// The key that the file's key is wrapped with, for both sides.
fn wrapping_key(
    private: &PrivateKey,
    theirs: &[u8],
    share: &[u8],
    recipient: &[u8],
) -> Result<Zeroizing<[u8; 32]>, FormatError> {
    let theirs = UnparsedPublicKey::new(&X25519, theirs);
    agree(private, theirs, FormatError::Cryptography, |secret| {
        derived(secret, &[share, recipient].concat(), b"age-encryption.org/v1/X25519")
    })
}

fn stanza(file_key: &[u8], recipient: &Recipient) -> Result<String, FormatError> {
    let own = Identity::generate()?;
    let share = own.recipient()?.0;
    let key = wrapping_key(&own.private()?, &recipient.0, &share, &recipient.0)?;
    let wrapped = encrypt(&key, false, file_key)?;
    Ok(format!("{STANZA}{}\n{}\n", STANDARD_NO_PAD.encode(share), STANDARD_NO_PAD.encode(wrapped)))
}

fn header_key(file_key: &[u8]) -> Result<hmac::Key, FormatError> {
    Ok(hmac::Key::new(hmac::HMAC_SHA256, derived(file_key, b"", b"header")?.as_slice()))
}

/// A file of age with this text, for these recipients.
pub fn wrap(text: &[u8], recipients: &[Recipient]) -> Result<Vec<u8>, FormatError> {
    if recipients.is_empty() || text.len() > MOST {
        return Err(FormatError::Key("the recipients of age"));
    }
    let file_key = random::<16>()?;
    let mut header = format!("{VERSION}\n");
    for recipient in recipients {
        header.push_str(&stanza(file_key.as_slice(), recipient)?);
    }
    header.push_str("---");
    let mac = hmac::sign(&header_key(file_key.as_slice())?, header.as_bytes());
    let end = format!(" {}\n", STANDARD_NO_PAD.encode(mac));
    let salt = random::<16>()?;
    let key = derived(file_key.as_slice(), salt.as_slice(), b"payload")?;
    Ok([header.as_bytes(), end.as_bytes(), salt.as_slice(), &encrypt(&key, true, text)?].concat())
}

/// The text of such a file, for one of its recipients.
pub fn unwrap(file: &[u8], identity: &Identity) -> Result<Zeroizing<Vec<u8>>, FormatError> {
    let parts = Parts::of(file).ok_or(FormatError::Manifest)?;
    let recipient = identity.recipient()?;
    let file_key = parts.stanzas.iter().find_map(|(share, wrapped)| {
        let key = wrapping_key(&identity.private().ok()?, share, share, &recipient.0).ok()?;
        decrypt(&key, false, wrapped)
    });
    let file_key = file_key.ok_or(FormatError::WrongKey)?;
    hmac::verify(&header_key(&file_key)?, parts.header, &parts.mac).map_err(|_| FormatError::WrongKey)?;
    let key = derived(&file_key, parts.salt, b"payload")?;
    decrypt(&key, true, parts.payload).ok_or(FormatError::WrongKey)
}

/// The parts of a file.
struct Parts<'a> {
    /// The shares of the X25519 stanzas, and the wrapped keys.
    stanzas: Vec<(Vec<u8>, Vec<u8>)>,
    /// What the MAC is of.
    header: &'a [u8],
    mac: Vec<u8>,
    salt: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(file: &'a [u8]) -> Option<Self> {
        let mark = file.windows(5).position(|window| window == b"\n--- ")?;
        let (header, rest) = file.split_at_checked(mark.checked_add(4)?)?;
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let mac = STANDARD_NO_PAD.decode(rest.get(1..end)?).ok()?;
        let (salt, payload) = rest.get(end.checked_add(1)?..)?.split_at_checked(16)?;
        let mut lines = std::str::from_utf8(header).ok()?.lines();
        if lines.next() != Some(VERSION) {
            return None;
        }
        let mut stanzas = Vec::new();
        while let Some(line) = lines.next() {
            // Stanzas of other kinds are for others.
            let Some(share) = line.strip_prefix(STANZA) else { continue };
            stanzas.push((STANDARD_NO_PAD.decode(share).ok()?, STANDARD_NO_PAD.decode(lines.next()?).ok()?));
        }
        Some(Self { stanzas, header, mac, salt, payload })
    }
}

/// Reads recipients, with commas or white space between them.
pub fn recipients(text: &str) -> Result<Vec<Recipient>, FormatError> {
    let words = text.split([',', ' ', '\n', '\t']).filter(|word| !word.is_empty());
    words.map(Recipient::parse).collect()
}

/// The identity in a file that was read as a secret.
pub fn identity(file: &SecretString) -> Result<Identity, FormatError> {
    Identity::parse(file.expose_secret())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By pyrage 1, another program: an identity, and 32 bytes for it.
    const IDENTITY: &str = "AGE-SECRET-KEY-1Q2XL86UAM0T6SQQC0TDKENE5Q8DDF3TTUCJPS664HEKXS52SXUNSNM0NXQ";
    const FILE: &[&str] = &[
        "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBPbWZQZzlKLzFZeFlIUy9IV0wrWUJkeXlxTkszS2xJOFZYamk0QUlQdG1r",
        "CmFCcWdpM2NoS0YxTUdQbnhNSXNsd3ZaT3lWRzA2dUw0bm0zTEw3M2szYTQKLT4gVCtUTGxmQC1ncmVhc2UgYChAdiAtR3ggJVAK",
        "bXJuZHE3cWFxUQotLS0gWW50NzJKQVp1NGI3d29JeEh5ZjRmdjh5QTh1eGxnaGFuZERDbVNKTnQvcwpX8G7N55AtgaaMs1eReyEN",
        "oBIslcwGrIcIHmymdXWajuR80Y26uvMIYlv1eJ+1vbv+g9JJBK9JgDQali1l5Sg3",
    ];

    #[test]
    fn a_file_of_another_program_is_read() {
        let file = base64::engine::general_purpose::STANDARD.decode(FILE.concat()).unwrap();
        let identity = Identity::parse(IDENTITY).unwrap();
        assert_eq!(
            identity.recipient().unwrap().to_text().unwrap(),
            "age1xxecupdquqzjg3syuqwf5p8h2xyfdyq2yktrg46w0q8cwsgkxa6snqh082"
        );
        assert_eq!(unwrap(&file, &identity).unwrap().as_slice(), [7; 32]);
    }

    #[test]
    fn each_recipient_reads_it_and_nobody_else() {
        let [one, other, stranger] = [(); 3].map(|()| Identity::generate().unwrap());
        let recipients = [one.recipient().unwrap(), other.recipient().unwrap()];
        let file = wrap(&[7; 32], &recipients).unwrap();
        for identity in [&one, &other] {
            assert_eq!(unwrap(&file, identity).unwrap().as_slice(), [7; 32]);
        }
        assert_eq!(unwrap(&file, &stranger), Err(FormatError::WrongKey));
        assert!(wrap(&[7; 32], &[]).is_err());
    }

    #[test]
    fn keys_are_written_as_age_writes_them() {
        let identity = Identity::generate().unwrap();
        let file = identity.to_text().unwrap();
        let again = super::identity(&file).unwrap();
        assert_eq!(again.recipient(), identity.recipient());
        let text = identity.recipient().unwrap().to_text().unwrap();
        assert!(text.starts_with("age1") && text.len() == 62, "{text}");
        assert_eq!(recipients(&format!("{text}, {text}\n")).unwrap().len(), 2);
        for wrong in ["age1", "x", &text[1..], &text.replace("age1", "age2")] {
            assert!(Recipient::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Identity::parse(&text).is_err() && Identity::parse("").is_err());
    }

    #[test]
    fn no_bit_of_a_file_can_be_changed() {
        let identity = Identity::generate().unwrap();
        let file = wrap(&[7; 32], &[identity.recipient().unwrap()]).unwrap();
        for bit in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(unwrap(&flipped, &identity).is_err(), "bit {bit}");
        }
        for length in 0..file.len() {
            assert!(unwrap(&file[..length], &identity).is_err(), "{length} bytes");
        }
    }
}
