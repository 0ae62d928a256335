-- Super admins add kinds of health data to the catalogue of scopes. None is changed or deleted: consents name them.
GRANT INSERT (system, code, text) ON scope TO jhe_app;
