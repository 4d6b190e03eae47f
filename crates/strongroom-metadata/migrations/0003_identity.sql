-- Who may do what: teams, role bindings, roles of one's own, identity providers, and tokens of several kinds.

-- Everybody whom a grant can name, as `<type>:<name>`. Grants and memberships refer to it: nobody is granted anything
-- once they are gone, and nobody who goes is left standing anywhere.
CREATE TABLE subjects (
    name {text} NOT NULL PRIMARY KEY,
    id   {text} NOT NULL UNIQUE
) {clustered};
INSERT INTO subjects (name, id) SELECT 'user:' || email, id FROM users;
INSERT INTO subjects (name, id) SELECT 'virtualaccount:' || name, id FROM virtual_accounts;
INSERT INTO subjects (name, id) VALUES ('team:everyone', 'everyone');

CREATE TABLE teams (
    id         {text} NOT NULL PRIMARY KEY,
    name       {text} NOT NULL UNIQUE,
    manifest   {text} NOT NULL,
    created_by {text} NOT NULL,
    created_at {int}  NOT NULL,
    updated_at {int}  NOT NULL
);

-- Who has what a team is granted. Every person is in team:everyone.
CREATE TABLE team_members (
    team   {text} NOT NULL REFERENCES subjects (name),
    member {text} NOT NULL REFERENCES subjects (name),
    PRIMARY KEY (team, member)
) {clustered};
CREATE INDEX team_members_member ON team_members (member, team);
INSERT INTO team_members (team, member) SELECT 'team:everyone', 'user:' || email FROM users;

-- Who says who is in a team.
CREATE TABLE team_managers (
    team   {text} NOT NULL REFERENCES subjects (name),
    member {text} NOT NULL REFERENCES subjects (name),
    PRIMARY KEY (team, member)
) {clustered};
CREATE INDEX team_managers_member ON team_managers (member, team);

-- Roles of one's own, for the tenant (account) or for teams. permissions is a JSON list.
CREATE TABLE roles (
    id            {text} NOT NULL PRIMARY KEY,
    name          {text} NOT NULL UNIQUE,
    resource_type {text} NOT NULL,
    permissions   {text} NOT NULL,
    manifest      {text} NOT NULL,
    created_by    {text} NOT NULL,
    created_at    {int}  NOT NULL,
    updated_at    {int}  NOT NULL
);

CREATE TABLE role_bindings (
    id         {text} NOT NULL PRIMARY KEY,
    name       {text} NOT NULL UNIQUE,
    manifest   {text} NOT NULL,
    created_by {text} NOT NULL,
    created_at {int}  NOT NULL,
    updated_at {int}  NOT NULL
);

-- Roles on secret groups, by rank: 10 viewer, 15 reader, 20 editor, 30 admin. source: which manifest maintains the row
-- (manifest: the group's own, virtual-account, role-binding); source_id: that account or binding, '' for the group.
CREATE TABLE group_grants (
    group_id   {text} NOT NULL REFERENCES secret_groups (id),
    subject    {text} NOT NULL REFERENCES subjects (name),
    source     {text} NOT NULL,
    source_id  {text} NOT NULL,
    role       {int}  NOT NULL,
    expires_at {int},
    PRIMARY KEY (group_id, subject, source, source_id)
) {clustered};
INSERT INTO group_grants (group_id, subject, source, source_id, role)
    SELECT g.group_id, g.subject, g.source, CASE g.source WHEN 'manifest' THEN '' ELSE s.id END, g.role * 10
    FROM grants g JOIN subjects s ON s.name = g.subject;
DROP TABLE grants;
ALTER TABLE group_grants RENAME TO grants;
-- What somebody sees is read from this index alone.
CREATE INDEX grants_subject ON grants (subject, group_id, expires_at);
CREATE INDEX grants_source ON grants (source_id) WHERE source_id <> '';

-- Lists count and search what lives without reading its manifests.
CREATE INDEX secret_groups_live ON secret_groups (deleted_at, id, name_search) WHERE deleted_at IS NULL;
CREATE INDEX secrets_live_search ON secrets (deleted_at, group_id, key_search) WHERE deleted_at IS NULL;

-- Roles on everything else: the tenant (account), teams, provider accounts and integrations. There are few.
CREATE TABLE role_grants (
    subject       {text} NOT NULL REFERENCES subjects (name),
    resource_type {text} NOT NULL,
    resource_id   {text} NOT NULL,
    role          {text} NOT NULL,
    source        {text} NOT NULL,
    source_id     {text} NOT NULL,
    expires_at    {int},
    PRIMARY KEY (subject, resource_type, resource_id, role, source, source_id)
) {clustered};
CREATE INDEX role_grants_resource ON role_grants (resource_type, resource_id);
CREATE INDEX role_grants_source ON role_grants (source_id);
-- Whom an integration's manifest authorizes: so far they were found by their names.
INSERT INTO role_grants (subject, resource_type, resource_id, role, source, source_id)
    SELECT s.name, 'provider-integration', i.id, 'provider-integration-access', 'provider-integration', i.id
    FROM provider_integrations i JOIN subjects s ON REPLACE(i.manifest, '"' || s.name || '"', '') <> i.manifest;

-- A person's way in that works once, by the person's id: whoever has the code gets a token.
CREATE TABLE invitations (
    id         {text}  NOT NULL PRIMARY KEY REFERENCES users (id),
    hash       {bytes} NOT NULL UNIQUE,
    created_at {int}   NOT NULL,
    expires_at {int}   NOT NULL
);

-- Whose tokens are taken besides our own.
CREATE TABLE identity_providers (
    id         {text} NOT NULL PRIMARY KEY,
    name       {text} NOT NULL UNIQUE,
    manifest   {text} NOT NULL,
    created_by {text} NOT NULL,
    created_at {int}  NOT NULL,
    updated_at {int}  NOT NULL
);

-- Which machine a provider's token stands for, by the value of its subject claim.
CREATE TABLE identity_mappings (
    provider_id {text} NOT NULL REFERENCES identity_providers (id),
    value       {text} NOT NULL,
    subject     {text} NOT NULL REFERENCES subjects (name),
    PRIMARY KEY (provider_id, value)
) {clustered};
CREATE INDEX identity_mappings_subject ON identity_mappings (subject);

-- What our own JWTs are signed with; sealed under the key-encryption key kek.
CREATE TABLE signing_keys (
    id         {text}  NOT NULL PRIMARY KEY,
    public     {bytes} NOT NULL,
    sealed     {bytes} NOT NULL,
    kek        {int}   NOT NULL,
    created_at {int}   NOT NULL
);

-- kind: virtual-account or agent-identity. rotate_at: when a new token is due. synced_*: the token that was last written
-- into a secret group, when, and why it failed where it did.
ALTER TABLE virtual_accounts ADD COLUMN kind {text} NOT NULL DEFAULT 'virtual-account';
ALTER TABLE virtual_accounts ADD COLUMN rotate_at {int};
ALTER TABLE virtual_accounts ADD COLUMN synced_token {text};
ALTER TABLE virtual_accounts ADD COLUMN synced_at {int};
ALTER TABLE virtual_accounts ADD COLUMN sync_error {text};
-- The secret group that the manifest named when it was applied. Its tokens go into no other that takes the name later.
ALTER TABLE virtual_accounts ADD COLUMN target_group {text};
CREATE INDEX virtual_accounts_rotate ON virtual_accounts (rotate_at) WHERE rotate_at IS NOT NULL;

-- purpose: personal (made for a person), first (the first start's), machine. signing_key: of a JWT; null: opaque.
-- created_by: null where it isn't known.
ALTER TABLE tokens ADD COLUMN purpose {text} NOT NULL DEFAULT 'personal';
ALTER TABLE tokens ADD COLUMN signing_key {text};
ALTER TABLE tokens ADD COLUMN created_by {text};
UPDATE tokens SET purpose = 'machine' WHERE subject_type = 'serviceaccount';
UPDATE tokens SET purpose = 'first' WHERE subject_type = 'user' AND name = 'admin';
CREATE INDEX tokens_expires ON tokens (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX tokens_revoked ON tokens (revoked_at) WHERE revoked_at IS NOT NULL;
