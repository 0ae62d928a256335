-- Lists in the order of their names begin anywhere without being sorted.

CREATE INDEX study_name ON study (name, id);
CREATE INDEX organization_name ON organization (name, id);
