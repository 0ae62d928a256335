//! A QR code as an inline picture.

use qrcodegen::{QrCode, QrCodeEcc};
use std::fmt::Write as _;

/// The light modules around the code that readers need (ISO/IEC 18004).
const MARGIN: i32 = 4;

/// The picture of a text; nothing when the text is too long for one.
pub(crate) fn svg(text: &str) -> String {
    let Ok(code) = QrCode::encode_text(text, QrCodeEcc::Medium) else { return String::new() };
    let mut path = String::new();
    for y in 0..code.size() {
        for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
            // Writing to a string does not fail.
            let _ = write!(path, "M{} {}h1v1h-1z", x + MARGIN, y + MARGIN);
        }
    }
    let side = code.size() + 2 * MARGIN;
    format!(
        "<svg class=\"qr\" viewBox=\"0 0 {side} {side}\" role=\"img\" aria-label=\"QR code for an authenticator app\" \
         shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/><path fill=\"#000\" d=\"{path}\"/></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_has_the_three_corners_and_a_margin() {
        let picture = svg("otpauth://totp/a:b?secret=GEZDGNBVGY3TQOJQ&issuer=a");
        assert!(picture.contains("M4 4h1v1h-1z") && !picture.contains("M3 "), "{picture}");
        assert_eq!(svg(&"x".repeat(5000)), "");
    }
}
