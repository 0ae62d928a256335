-- Who cares for people and studies counts resources and says of which patients they are. None of these functions needs what is in them.

DO $$
DECLARE
  payloads text;
  columns text;
BEGIN
  FOREACH payloads IN ARRAY ARRAY['observation', 'auxiliary'] LOOP
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO columns
      FROM pg_attribute WHERE attrelid = payloads::regclass AND attnum > 0 AND NOT attisdropped AND attname <> 'content';
    EXECUTE format('REVOKE SELECT ON %I FROM jhe_people', payloads);
    EXECUTE format('GRANT SELECT (%s) ON %I TO jhe_people', columns, payloads);
  END LOOP;
END
$$;
