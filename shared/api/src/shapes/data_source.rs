//! Data sources.

use super::{SCOPE, study::DATA_SOURCE_OF};
use crate::{Kind, Shape, required};

/// What a data source can be.
pub const DATA_SOURCE_TYPE: Kind = Kind::OneOf(&["personal_device", "patient_app"]);

/// A data source, a FHIR Device.
pub const DATA_SOURCE: Shape = Shape {
    name: "DataSource",
    fields: &[
        required("id", Kind::Integer).about("From 70001."),
        required("name", Kind::AnyText),
        required("type", Kind::AnyText),
        required("supportedScopes", Kind::List(&Kind::Object(&SCOPE), 1_000)),
    ],
};

/// A data source to be created, or what is to change of one.
pub const NEW_DATA_SOURCE: Shape =
    Shape { name: "NewDataSource", fields: &[required("name", Kind::Text(255)), required("type", DATA_SOURCE_TYPE)] };

/// A scope that a data source supplies.
pub const SUPPORTED_SCOPE: Shape = Shape {
    name: "SupportedScope",
    fields: &[
        required("id", Kind::Integer).about("The scope's."),
        required("dataSource", Kind::Object(&DATA_SOURCE_OF)),
        required("scopeCode", Kind::Object(&SCOPE)),
    ],
};
