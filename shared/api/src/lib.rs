//! What the routes take and answer, as data. Pure.
//!
//! A function names its [`Operation`]s. What a request sends is checked by the same [`Shape`] that the description is made
//! of ([`openapi::document`], OpenAPI 3.1), so the two cannot disagree.

mod check;
mod failures;
pub mod fhir;
pub mod openapi;
pub mod shapes;

pub use check::{Completeness, LINES, Problems, is_email, snake_case};

/// What a value is.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A whole number of 32 bits: an id. Digits in a text are taken too.
    Integer,
    /// A whole number of 64 bits.
    Long,
    /// True or false.
    Boolean,
    /// A text of 1 to so many characters, without control characters.
    Text(usize),
    /// The same, and it may have lines.
    Lines(usize),
    /// A text of any length, which may be empty: of answers.
    AnyText,
    /// A mailbox of RFC 5321 in its common form.
    Email,
    /// A day, `YYYY-MM-DD`.
    Date,
    /// An instant of RFC 3339.
    Instant,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A list of at most so many items.
    List(&'static Kind, usize),
    /// An object.
    Object(&'static Shape),
    /// The same, or null.
    OrNull(&'static Kind),
    /// An object of any members: a JSON document that is kept or passed on.
    Document,
    /// Any JSON value but null.
    Any,
    /// An object of the shape with this name: for shapes that hold themselves, in answers.
    Named(&'static str),
}

/// A member of an object.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name in camel case. In a request the snake case is taken too, but for names that are written with an underscore.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Whether it is always there.
    pub required: bool,
    /// What it means; empty where the name says it.
    pub about: &'static str,
}

/// A member that is always there.
#[must_use]
pub const fn required(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: true, about: "" }
}

/// A member that may be absent.
#[must_use]
pub const fn optional(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: false, about: "" }
}

impl Field {
    /// The same, with what it means.
    #[must_use]
    pub const fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }
}

/// An object with a name of its own.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Its name in the description.
    pub name: &'static str,
    /// Its members.
    pub fields: &'static [Field],
}

/// What an answer holds.
#[derive(Clone, Copy, Debug)]
pub enum Content {
    /// Nothing.
    Nothing,
    /// One object.
    Object(&'static Shape),
    /// A list without pages.
    List(&'static Shape),
    /// A page: `count`, `next`, `previous`, `results`.
    Page(&'static Shape),
    /// The same, counted to 1,000, or in another form of one of these media types.
    PageOr(&'static Shape, &'static [&'static str]),
    /// A JSON document that is described elsewhere, such as a FHIR resource.
    Document,
    /// The same, or as a text of one of these media types.
    DocumentOr(&'static [&'static str]),
    /// Anything else, by its media type.
    Media(&'static str),
    /// A resource of FHIR: a `Bundle`, or with the name `Resource` any.
    Resource(&'static str),
}

/// A parameter of the query.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name in snake case; camel case is taken too.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Whether it must be there.
    pub required: bool,
    /// What it does.
    pub about: &'static str,
}

/// A parameter that may be absent.
#[must_use]
pub const fn parameter(name: &'static str, kind: Kind, about: &'static str) -> Parameter {
    Parameter { name, kind, required: false, about }
}

/// What every list with pages takes.
pub const PAGE: [Parameter; 3] = [
    parameter(
        "page",
        Kind::Integer,
        "The number of the page, from 1. Of lists of any length, pages that begin within the first 10,000 rows have numbers; `next` leads on from there.",
    ),
    parameter("page_size", Kind::Integer, "Rows per page, from 1: 20 if absent, 1,000 at most."),
    parameter("cursor", Kind::AnyText, "Where the page begins, as `next` has it."),
];

/// A route with its method: who may call it, what it takes and answers.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Method and path as in `template.yaml`: `GET /api/v1/studies/{id}`.
    pub route: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// Who may call it, in words.
    pub who: &'static str,
    /// Whether it needs no token.
    pub is_public: bool,
    /// The parameters of the query.
    pub parameters: &'static [&'static [Parameter]],
    /// The body, and whether all of its required members must be there.
    pub body: Option<(&'static Shape, Completeness)>,
    /// The media types of a body that is no JSON.
    pub media: &'static [&'static str],
    /// The statuses of success, with what comes with them.
    pub answers: &'static [(u16, Content)],
    /// Whether answers of success tell the version of what they show (`ETag`). One with 202 shows what is still to come.
    pub has_version: bool,
    /// Whether only a version that the caller names is changed (`If-Match`).
    pub is_conditional: bool,
    /// Statuses of failure beside those that follow from what it takes.
    pub also_fails: &'static [u16],
    /// What a route of FHIR has besides.
    pub fhir: Option<fhir::Fhir>,
}

impl Operation {
    /// An operation that takes nothing and answers 200.
    #[must_use]
    pub const fn new(route: &'static str, summary: &'static str, who: &'static str) -> Self {
        Self {
            route,
            summary,
            who,
            is_public: false,
            parameters: &[],
            body: None,
            media: &[],
            answers: &[(200, Content::Nothing)],
            has_version: false,
            is_conditional: false,
            also_fails: &[],
            fhir: None,
        }
    }

    /// The same, without a token.
    #[must_use]
    pub const fn public(mut self) -> Self {
        self.is_public = true;
        self
    }

    /// The same, with parameters.
    #[must_use]
    pub const fn with(mut self, parameters: &'static [&'static [Parameter]]) -> Self {
        self.parameters = parameters;
        self
    }

    /// The same, with a body that must be whole.
    #[must_use]
    pub const fn takes(mut self, shape: &'static Shape) -> Self {
        self.body = Some((shape, Completeness::Whole));
        self
    }

    /// The same, with a body that has only what is to change.
    #[must_use]
    pub const fn changes(mut self, shape: &'static Shape) -> Self {
        self.body = Some((shape, Completeness::Part));
        self
    }

    /// The same, with a body of one of these media types.
    #[must_use]
    pub const fn takes_media(mut self, media: &'static [&'static str]) -> Self {
        self.media = media;
        self
    }

    /// The same, with answers that tell the version (`ETag`).
    #[must_use]
    pub const fn versioned(mut self) -> Self {
        self.has_version = true;
        self
    }

    /// The same, changing only a version that the caller names (`If-Match`).
    #[must_use]
    pub const fn conditional(mut self) -> Self {
        self.is_conditional = true;
        self
    }

    /// The same, with failures that do not follow from what it takes.
    #[must_use]
    pub const fn also_fails(mut self, statuses: &'static [u16]) -> Self {
        self.also_fails = statuses;
        self
    }

    /// The same, with these answers.
    #[must_use]
    pub const fn answers(mut self, answers: &'static [(u16, Content)]) -> Self {
        self.answers = answers;
        self
    }
}
