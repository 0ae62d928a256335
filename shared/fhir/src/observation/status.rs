/// The observation-status value set (<https://hl7.org/fhir/R5/valueset-observation-status.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObservationStatus {
    /// Registered, without a result yet.
    Registered,
    /// Initial or interim.
    Preliminary,
    /// Complete and verified.
    Final,
    /// Changed after it was final.
    Amended,
    /// Amended to correct an error.
    Corrected,
    /// Not available: not completed.
    Cancelled,
    /// Withdrawn after it was final.
    EnteredInError,
    /// Not known.
    Unknown,
}

impl ObservationStatus {
    /// Every status.
    pub const ALL: [Self; 8] = [
        Self::Registered,
        Self::Preliminary,
        Self::Final,
        Self::Amended,
        Self::Corrected,
        Self::Cancelled,
        Self::EnteredInError,
        Self::Unknown,
    ];

    /// Code system of the codes.
    pub const SYSTEM: &str = "http://hl7.org/fhir/observation-status";

    /// The code on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Preliminary => "preliminary",
            Self::Final => "final",
            Self::Amended => "amended",
            Self::Corrected => "corrected",
            Self::Cancelled => "cancelled",
            Self::EnteredInError => "entered-in-error",
            Self::Unknown => "unknown",
        }
    }

    /// The status of a code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == code)
    }
}
