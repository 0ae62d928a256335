//! A world as it was: what a request wrote is taken back, so that the next caller finds the same.

use crate::World;

/// Copies every table, and gives back what each table was at that time. Triggers and foreign keys rest meanwhile: the rows
/// are those that were there.
const TAKE: &str = "
DO $$
DECLARE name text;
BEGIN
  CREATE SCHEMA as_it_was;
  FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition LOOP
    EXECUTE format('CREATE TABLE as_it_was.%I AS TABLE public.%I', name, name);
  END LOOP;
END $$";

const RESTORE: &str = "
DO $$
DECLARE name text;
BEGIN
  SET LOCAL session_replication_role = replica;
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'as_it_was' LOOP
    EXECUTE format('DELETE FROM public.%I', name);
    EXECUTE format('INSERT INTO public.%I OVERRIDING SYSTEM VALUE TABLE as_it_was.%I', name, name);
  END LOOP;
END $$";

impl World {
    /// Remembers the world as it is.
    pub async fn remember(&self) {
        self.as_owner().await.batch_execute(TAKE).await.expect("a copy of each table");
    }

    /// Makes the world what it was when it was remembered.
    pub async fn restore(&self) {
        self.as_owner().await.batch_execute(RESTORE).await.expect("what was remembered");
    }
}
