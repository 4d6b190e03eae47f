-- Times are microseconds since 1970 UTC, ids UUIDv7 in their canonical text, digests and MACs 32 bytes.
-- {text}, {bytes}, {int} and {clustered} are spelled by the dialect.

CREATE TABLE instance (
    id          {int}   NOT NULL PRIMARY KEY CHECK (id = 1),
    tenant      {text}  NOT NULL,
    instance_id {text}  NOT NULL,
    account_id  {text}  NOT NULL,
    created_at  {int}   NOT NULL
);

-- A key-encryption key, wrapped once under each root key that can open it.
CREATE TABLE root_key_slots (
    key_id      {int}   NOT NULL,
    kind        {text}  NOT NULL,
    fingerprint {text}  NOT NULL,
    wrapped     {bytes} NOT NULL,
    created_at  {int}   NOT NULL,
    PRIMARY KEY (key_id, fingerprint)
);

CREATE TABLE users (
    id          {text}  NOT NULL PRIMARY KEY,
    email       {text}  NOT NULL UNIQUE,
    tenant_role {text}  NOT NULL,
    active      {int}   NOT NULL,
    created_at  {int}   NOT NULL,
    updated_at  {int}   NOT NULL
);

CREATE TABLE virtual_accounts (
    id          {text}  NOT NULL PRIMARY KEY,
    name        {text}  NOT NULL UNIQUE,
    manifest    {text}  NOT NULL,
    created_by  {text}  NOT NULL,
    created_at  {int}   NOT NULL,
    updated_at  {int}   NOT NULL
);

CREATE TABLE tokens (
    hash         {bytes} NOT NULL PRIMARY KEY,
    id           {text}  NOT NULL UNIQUE,
    subject_type {text}  NOT NULL,
    subject_id   {text}  NOT NULL,
    name         {text}  NOT NULL,
    created_at   {int}   NOT NULL,
    expires_at   {int},
    revoked_at   {int}
) {clustered};

CREATE TABLE provider_accounts (
    id          {text}  NOT NULL PRIMARY KEY,
    name        {text}  NOT NULL,
    provider    {text}  NOT NULL,
    fqn         {text}  NOT NULL UNIQUE,
    manifest    {text}  NOT NULL,
    created_by  {text}  NOT NULL,
    created_at  {int}   NOT NULL,
    updated_at  {int}   NOT NULL
);

CREATE TABLE provider_integrations (
    id          {text}  NOT NULL PRIMARY KEY,
    account_id  {text}  NOT NULL REFERENCES provider_accounts (id),
    name        {text}  NOT NULL,
    type        {text}  NOT NULL,
    fqn         {text}  NOT NULL UNIQUE,
    manifest    {text}  NOT NULL,
    created_by  {text}  NOT NULL,
    created_at  {int}   NOT NULL,
    updated_at  {int}   NOT NULL
);

-- The newest revision of each group. revision_mac is taken under the group's data key.
CREATE TABLE secret_groups (
    id             {text}  NOT NULL PRIMARY KEY,
    name           {text}  NOT NULL,
    name_search    {text}  NOT NULL,
    integration_id {text}  NOT NULL REFERENCES provider_integrations (id),
    manifest       {text}  NOT NULL,
    revision       {int}   NOT NULL,
    revision_mac   {bytes} NOT NULL,
    data_key       {bytes},
    data_key_kek   {int}   NOT NULL,
    seals          {int}   NOT NULL,
    created_by     {text}  NOT NULL,
    created_at     {int}   NOT NULL,
    updated_at     {int}   NOT NULL,
    deleted_at     {int},
    purge_at       {int}
) {clustered};
CREATE UNIQUE INDEX secret_groups_live_name ON secret_groups (name_search) WHERE deleted_at IS NULL;
CREATE INDEX secret_groups_purge ON secret_groups (purge_at) WHERE purge_at IS NOT NULL;

-- What each revision changed hands to: who, when, why, from where.
CREATE TABLE group_revisions (
    group_id       {text}  NOT NULL REFERENCES secret_groups (id),
    revision       {int}   NOT NULL,
    at             {int}   NOT NULL,
    actor          {text}  NOT NULL,
    action         {text}  NOT NULL,
    source         {text}  NOT NULL,
    request_id     {text}  NOT NULL,
    name           {text}  NOT NULL,
    integration_id {text}  NOT NULL,
    manifest       {text}  NOT NULL,
    mac            {bytes} NOT NULL,
    PRIMARY KEY (group_id, revision)
) {clustered};

-- A secret's identity and, while deleted_at is null, what is current of it.
CREATE TABLE secrets (
    id          {text}  NOT NULL PRIMARY KEY,
    group_id    {text}  NOT NULL REFERENCES secret_groups (id),
    key         {text}  NOT NULL,
    key_search  {text}  NOT NULL,
    version     {int}   NOT NULL,
    created_by  {text}  NOT NULL,
    created_at  {int}   NOT NULL,
    updated_at  {int}   NOT NULL,
    deleted_at  {int},
    purge_at    {int}
) {clustered};
CREATE UNIQUE INDEX secrets_live_key ON secrets (group_id, key) WHERE deleted_at IS NULL;
CREATE INDEX secrets_purge ON secrets (purge_at) WHERE purge_at IS NOT NULL;

-- A version is kept as long as its store holds it; sealed is null when the store is another system, or when purged.
CREATE TABLE secret_versions (
    secret_id     {text}  NOT NULL REFERENCES secrets (id),
    version       {int}   NOT NULL,
    id            {text}  NOT NULL,
    digest        {bytes} NOT NULL,
    store_version {text}  NOT NULL,
    sealed        {bytes},
    created_by    {text}  NOT NULL,
    created_at    {int}   NOT NULL,
    gone_at       {int},
    PRIMARY KEY (secret_id, version)
) {clustered};

-- From which revision to which (exclusive; null: still) a version was current, and under which key.
CREATE TABLE lifetimes (
    group_id      {text}  NOT NULL,
    secret_id     {text}  NOT NULL REFERENCES secrets (id),
    from_revision {int}   NOT NULL,
    to_revision   {int},
    version       {int}   NOT NULL,
    key           {text}  NOT NULL,
    PRIMARY KEY (group_id, secret_id, from_revision)
) {clustered};
-- A secret lives once at a time; and ending that life doesn't walk through those before it.
CREATE UNIQUE INDEX lifetimes_open ON lifetimes (group_id, secret_id) WHERE to_revision IS NULL;

-- role: 1 viewer, 2 editor, 3 admin. source: who maintains the row (the group's or the virtual account's manifest).
CREATE TABLE grants (
    group_id {text} NOT NULL REFERENCES secret_groups (id),
    subject  {text} NOT NULL,
    source   {text} NOT NULL,
    role     {int}  NOT NULL,
    PRIMARY KEY (group_id, subject, source)
) {clustered};
CREATE INDEX grants_subject ON grants (subject, group_id);

-- Only ever appended to, in the order of its key: an index on anything else would cost each reveal a page of its own.
CREATE TABLE audit_events (
    id            {text}  NOT NULL PRIMARY KEY,
    at            {int}   NOT NULL,
    action        {text}  NOT NULL,
    result        {text}  NOT NULL,
    actor         {text}  NOT NULL,
    actor_slug    {text}  NOT NULL,
    token_id      {text},
    address       {text}  NOT NULL,
    request_id    {text}  NOT NULL,
    request_path  {text}  NOT NULL,
    resource_type {text}  NOT NULL,
    resource_id   {text}  NOT NULL,
    resource_name {text}  NOT NULL,
    resource_fqn  {text}  NOT NULL,
    revision      {int},
    detail        {text}  NOT NULL,
    mac_key       {int}   NOT NULL,
    mac           {bytes} NOT NULL
);
