//! What an event's patients were in it for: of some something was shown, of some it was counted, and some were only asked for.
//! `detail` of the record says it, so that nobody is told of an exposure that was none.

/// An expression of SQL: `$1 || this` is the audit context of a search. `named` is the query of the patients `id` whom the search names,
/// `shown` that of those of whom it showed something; who is in the first alone is in `detail.asked`.
pub(crate) fn asked(named: &str, shown: &str) -> String {
    in_detail(&only_asked(named, shown))
}

/// As [`asked`], with `more` of an object in `detail`.
pub(crate) fn asked_with(more: &str, named: &str, shown: &str) -> String {
    in_detail(&format!("{more} || {}", only_asked(named, shown)))
}

/// As [`asked`], of a count: `counted` is a table of `patient_id` and `n`. How many there are of whom is in `detail.counted`.
pub(crate) fn asked_and_counted(named: &str, counted: &str) -> String {
    let counts = format!(
        "coalesce((SELECT jsonb_build_object('counted', jsonb_object_agg(c.patient_id, c.n)) FROM {counted} c HAVING count(*) > 0), '{{}}')"
    );
    in_detail(&format!("{counts} || {}", only_asked(named, &format!("SELECT patient_id FROM {counted}"))))
}

fn only_asked(named: &str, shown: &str) -> String {
    format!(
        "coalesce((SELECT jsonb_build_object('asked', jsonb_agg(x.id ORDER BY x.id)) FROM ({named} EXCEPT {shown}) x (id) HAVING count(*) > 0), '{{}}')"
    )
}

fn in_detail(members: &str) -> String {
    format!(
        "coalesce((SELECT jsonb_build_object('detail', m.members) FROM (SELECT {members} AS members) m WHERE m.members <> '{{}}'), '{{}}')"
    )
}
