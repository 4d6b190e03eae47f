-- Secrets whose values are kept in outer stores, and writes over two systems.

-- What an account's manifest hides: a JSON object of paths and texts, sealed under the key-encryption key
-- credentials_kek. Null where it hides nothing.
ALTER TABLE provider_accounts ADD COLUMN credentials {bytes};
ALTER TABLE provider_accounts ADD COLUMN credentials_kek {int};

-- The entry of a secret in an outer store, from before the first put until it is known to be gone. Names are unique in
-- what their integration points to (target). remove_at: since when it is to be removed.
CREATE TABLE store_entries (
    secret_id      {text} NOT NULL PRIMARY KEY,
    group_id       {text} NOT NULL,
    integration_id {text} NOT NULL REFERENCES provider_integrations (id),
    target         {text} NOT NULL,
    name           {text} NOT NULL,
    place          {text} NOT NULL,
    remove_at      {int},
    tried_at       {int},
    problem        {text}
) {clustered};
CREATE UNIQUE INDEX store_entries_name ON store_entries (target, name);
CREATE INDEX store_entries_group ON store_entries (group_id);
CREATE INDEX store_entries_integration ON store_entries (integration_id);
CREATE INDEX store_entries_remove ON store_entries (remove_at) WHERE remove_at IS NOT NULL;

-- A write over two systems. state: putting, showing (our pointers are flipped, the store's latest are not yet), undoing,
-- done, undone. change: what the flip writes, JSON, never a value; '' once nobody needs it. claimed_name: of a group that
-- is being made. The writer has the operation to itself until expires_at, by the database's clock; whoever takes it over
-- raises the fence. quiet_at: when nothing can arrive any more that was put for an operation that is being undone.
CREATE TABLE operations (
    id             {text} NOT NULL PRIMARY KEY,
    group_id       {text} NOT NULL,
    claimed_name   {text},
    integration_id {text} NOT NULL,
    action         {text} NOT NULL,
    state          {text} NOT NULL,
    change         {text} NOT NULL,
    reason         {text},
    actor          {text} NOT NULL,
    holder         {text} NOT NULL,
    fence          {int}  NOT NULL,
    expires_at     {int}  NOT NULL,
    quiet_at       {int},
    created_at     {int}  NOT NULL,
    finished_at    {int}
) {clustered};
CREATE UNIQUE INDEX operations_open ON operations (group_id) WHERE finished_at IS NULL;
CREATE UNIQUE INDEX operations_claim ON operations (claimed_name) WHERE finished_at IS NULL AND claimed_name IS NOT NULL;
CREATE INDEX operations_expires ON operations (expires_at) WHERE finished_at IS NULL;
CREATE INDEX operations_finished ON operations (finished_at) WHERE finished_at IS NOT NULL;

-- What an operation does to one secret. digest: the keyed digest of the new value. before: the store's version that the
-- put replaces, null where there is to be no entry. kept: the store's version of the value that is written again when
-- the operation is undone. placed: the store's version that the put made. state: waiting, placed, failed, undone, leftover
-- (the store still holds the value of an operation that was undone, which is to be destroyed), abandoned (it can't be).
CREATE TABLE operation_puts (
    operation_id {text}  NOT NULL REFERENCES operations (id),
    secret_id    {text}  NOT NULL,
    key          {text}  NOT NULL,
    version      {int}   NOT NULL,
    digest       {bytes} NOT NULL,
    place        {text}  NOT NULL,
    before       {text},
    kept         {text},
    placed       {text},
    state        {text}  NOT NULL,
    reason       {text},
    PRIMARY KEY (operation_id, secret_id)
) {clustered};
CREATE INDEX operation_puts_leftover ON operation_puts (operation_id) WHERE state = 'leftover';
CREATE INDEX operation_puts_secret ON operation_puts (secret_id);
