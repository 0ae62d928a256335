//! Every function of the product.

use runtime::Function;

/// The functions, by name. A test compares them with `template.yaml`.
pub const FUNCTIONS: &[Function] = &[
    fhir_bundle::FUNCTION,
    fhir_metadata::FUNCTION,
    fhir_observation_create::FUNCTION,
    fhir_observation_read::FUNCTION,
    fhir_observation_search::FUNCTION,
];
