//! Files in which somebody who was erased had a part: written anew without it. The part is unreadable already, since its key is
//! destroyed; now it is no more.

use crate::{Store, StoreError};
use tokio_postgres::types::Type;

/// A file to be written anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornFile {
    job: String,
    number: i32,
    object: String,
    torn: i32,
    mended: i32,
    /// Where its parts are, and how long they are.
    parts: Vec<(usize, usize)>,
}

impl TornFile {
    /// Its name in the archive until now.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.job, object_name(&self.object, self.mended))
    }

    /// Its name in the archive from now on.
    #[must_use]
    pub fn new_name(&self) -> String {
        format!("{}/{}", self.job, object_name(&self.object, self.torn))
    }

    /// Its bytes without those that belong to no part. Each part stays where it is.
    #[must_use]
    pub fn mended(&self, bytes: &[u8]) -> Vec<u8> {
        let end = self.parts.iter().map(|(at, length)| at.saturating_add(*length)).max().unwrap_or_default();
        let mut mended = vec![0; end.min(bytes.len())];
        for (at, length) in &self.parts {
            let range = *at..at.saturating_add(*length);
            if let (Some(to), Some(from)) = (mended.get_mut(range.clone()), bytes.get(range)) {
                to.copy_from_slice(from);
            }
        }
        mended
    }
}

/// The last part of a file's name in the archive: what is written anew has another name.
pub(super) fn object_name(object: &str, mended: i32) -> String {
    if mended == 0 { object.to_owned() } else { format!("{object}.{mended}") }
}

/// One after the other: a file has some megabytes, and what is torn at once may be many.
const TORN: &str = "
SELECT f.job_id::text AS job, f.number, f.object::text AS object, f.torn, f.mended,
       ARRAY(SELECT p.at FROM export_part p WHERE p.job_id = f.job_id AND p.number = f.number ORDER BY p.part) AS at,
       ARRAY(SELECT p.length FROM export_part p WHERE p.job_id = f.job_id AND p.number = f.number ORDER BY p.part) AS length
  FROM export_file f WHERE f.torn > f.mended ORDER BY f.job_id, f.number LIMIT 1";

/// 1 job, 2 number, 3 up to which erasure.
const MENDED: &str = "UPDATE export_file SET mended = $3 WHERE job_id = $1::text::uuid AND number = $2 AND mended < $3";

impl Store {
    /// A file that is to be written anew, if there is one.
    pub async fn torn_export_file(&self) -> Result<Option<TornFile>, StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(TORN, &[]).await?;
        let Some(row) = client.query_opt(&statement, &[]).await? else { return Ok(None) };
        let places = |name: &str| -> Result<Vec<usize>, StoreError> {
            let numbers: Vec<i32> = row.try_get(name)?;
            numbers.into_iter().map(|n| usize::try_from(n).map_err(|_| StoreError::Corrupt("part"))).collect()
        };
        Ok(Some(TornFile {
            job: row.try_get("job")?,
            number: row.try_get("number")?,
            object: row.try_get("object")?,
            torn: row.try_get("torn")?,
            mended: row.try_get("mended")?,
            parts: places("at")?.into_iter().zip(places("length")?).collect(),
        }))
    }

    /// Says that a file was written anew.
    pub async fn export_file_is_mended(&self, file: &TornFile) -> Result<(), StoreError> {
        let client = self.connection().await?;
        let statement = client.prepare_typed_cached(MENDED, &[Type::TEXT, Type::INT4, Type::INT4]).await?;
        client.execute(&statement, &[&file.job, &file.number, &file.torn]).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_no_part_is_no_more_and_the_parts_stay_where_they_are() {
        let mut file = TornFile {
            job: "j".to_owned(),
            number: 1,
            object: "o".to_owned(),
            torn: 2,
            mended: 0,
            parts: vec![(3, 2), (6, 1)],
        };
        assert_eq!(file.mended(b"aaabbcdee"), b"\0\0\0bb\0d");
        assert_eq!((file.name(), file.new_name()), ("j/o".to_owned(), "j/o.2".to_owned()));
        // What is shorter than it should be stays so: its parts do not open.
        assert_eq!(file.mended(b"aaabbc"), b"\0\0\0bb\0");
        file.parts.clear();
        assert_eq!(file.mended(b"aaabbcdee"), b"");
    }
}
