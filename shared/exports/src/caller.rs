//! Who asks for an export, and for which: what the three routes share.

use audit::{Action, Target};
use authz::{Actor, Layer, PractitionerId, Refusal, StudyId};
use fhir::search::is_uuid;
use runtime::{App, Failure, Interaction, Request};
use store::ExportOf;

/// The only operation of a study that there is.
const OPERATION: &str = "$export";

/// A practitioner, or a client that acts as one, and the study of the route.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// Whose exports.
    pub of: ExportOf,
    /// As whom they read.
    pub practitioner: PractitionerId,
    /// As whom the audit has them.
    pub actor: Actor,
}

impl Caller {
    /// Who asks. A patient has `$everything` instead; what a super admin sees is not by consent.
    pub async fn of(app: &App, request: &Request) -> Result<Self, Failure> {
        let actor = request.fhir_actor(app, "Group", Interaction::Read).await?;
        if request.variable("operation") != Some(OPERATION) {
            return Err(Failure::NotFound);
        }
        let study: StudyId = request.id_variable("id")?;
        let Some(practitioner) = actor.practitioner() else {
            let context = request.audit(Some(&actor), Action::Execute, "Group");
            let refusal = Refusal::known(Layer::UserType);
            return Err(request.refuse(app, &context, &Target::study(study), refusal).await);
        };
        Ok(Self { of: ExportOf { user: actor.user, client: actor.client, study: study.0 }, actor, practitioner })
    }
}

/// The export of the route: a UUID as we write it, which is a name in the archive, too.
pub fn job(request: &Request) -> Result<&str, Failure> {
    request
        .variable("job")
        .filter(|id| is_uuid(id) && !id.bytes().any(|byte| byte.is_ascii_uppercase()))
        .ok_or(Failure::NotFound)
}
