//! Facilities whose records patients can bring themselves.

use crate::{Kind, Shape, optional, required};

/// The setting that has them.
pub const BRANDS_KEY: &str = "patient_access.brands";

/// The most of them.
pub const MOST_BRANDS: usize = 10_000;

/// A facility and its FHIR server.
pub const BRAND: Shape = Shape {
    name: "Brand",
    fields: &[
        required("facilityName", Kind::Text(255)),
        optional("addressText", Kind::AnyText),
        optional("city", Kind::AnyText),
        optional("state", Kind::AnyText),
        optional("postalCode", Kind::AnyText),
        optional("brandName", Kind::AnyText),
        required("fhirBaseUrl", Kind::Text(1_000)).about("The R4 base of its server: https."),
    ],
};

/// The catalogue, as it is kept.
pub const BRANDS: Shape =
    Shape { name: "Brands", fields: &[required("value", Kind::List(&Kind::Object(&BRAND), MOST_BRANDS))] };
