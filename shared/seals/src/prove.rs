//! The proof that an event was recorded.

use crate::{
    RESOURCE, kept, list,
    vault::{signer, vault},
};
use audit::{
    Action, merkle,
    proof::{FORM, Proof},
};
use runtime::{App, Failure, Occasion};

const NOT_SEALED: &str = "The event is not sealed yet.";
const NOT_GOOD: &str = "The event or its seal is not as it was: it cannot be proved. Run `jhe audit verify`.";

/// A proof of the event with this number.
pub async fn prove(app: &App, occasion: &Occasion, event: i64) -> Result<Proof, Failure> {
    let store = app.store().await?;
    store.record_proving(&occasion.audit(Action::Read, RESOURCE), event).await?;
    let event = store.sealable_event(event).await?.ok_or(Failure::NotFound)?;
    let row = store.audit_seal_at(event.occurred_at).await?.ok_or(Failure::Conflict(NOT_SEALED))?;
    let signer = signer(app).await?.ok_or(Failure::Conflict(NOT_GOOD))?;
    let vault = vault(app)?;
    let seal = kept(&vault, row.sequence).await?.filter(|kept| *kept == row.seal);
    let seal = seal.ok_or(Failure::Conflict(NOT_GOOD))?;
    let head = seal.open(&signer.public).map_err(|_| Failure::Conflict(NOT_GOOD))?;
    let list = list(&vault, &head).await?.ok_or(Failure::Conflict(NOT_GOOD))?;
    let (place, hashes) = list.place(event.id).ok_or(Failure::Conflict(NOT_GOOD))?;
    let proof = Proof {
        form: FORM.to_owned(),
        leaf: event.text(),
        index: u64::try_from(place).unwrap_or(u64::MAX),
        path: merkle::path(&hashes, place).unwrap_or_default(),
        seal,
        public_key: signer.public.to_pem(),
    };
    proof.check(&signer.public).map_err(|_| Failure::Conflict(NOT_GOOD))?;
    Ok(proof)
}
