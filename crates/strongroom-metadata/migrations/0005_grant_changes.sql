-- Grants on groups and memberships of teams are kept in memory. Over PostgreSQL, where any replica may write, a number
-- moves with each change of them, and a log tells what changed. SQLite has one writer, and leaves both as they are.
CREATE TABLE grant_number (
    id     {int} NOT NULL PRIMARY KEY CHECK (id = 1),
    number {int} NOT NULL
);
INSERT INTO grant_number (id, number) VALUES (1, 0);

-- kind: 0 anything (id ''), 1 the grants on a group, 2 the teams of a member.
CREATE TABLE grant_changes (
    number {int}  NOT NULL,
    kind   {int}  NOT NULL,
    id     {text} NOT NULL,
    PRIMARY KEY (number, kind, id)
) {clustered};

{postgres}
-- Triggers, so that it holds for whoever writes: during a rolling update the release before this one does, too.
-- Once in a transaction: the row would have a dead version more for each statement, and each walks past all of them.
CREATE FUNCTION strongroom_grants_moved() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RETURN current_setting('strongroom.grants_moved_by', true) IS NOT DISTINCT FROM pg_current_xact_id()::TEXT;
END $$;

CREATE FUNCTION strongroom_move_grants() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE grant_number SET number = number + 1 WHERE id = 1;
    PERFORM set_config('strongroom.grants_moved_by', pg_current_xact_id()::TEXT, true);
END $$;

-- The grants that a new group is made with move nothing: nobody can have kept anything of it, and whoever makes a group
-- would wait for all others who do.
CREATE FUNCTION strongroom_note_grants() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT strongroom_grants_moved() THEN
        IF NOT EXISTS (SELECT 1 FROM changed c WHERE TG_OP <> 'INSERT' OR NOT EXISTS (SELECT 1 FROM secret_groups g
            WHERE g.id = c.group_id AND g.revision = 1 AND g.xmin = pg_current_xact_id()::xid)) THEN
            RETURN NULL;
        END IF;
        PERFORM strongroom_move_grants();
    END IF;
    INSERT INTO grant_changes (number, kind, id)
        SELECT DISTINCT n.number, 1, c.group_id FROM changed c CROSS JOIN grant_number n ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE FUNCTION strongroom_note_members() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT strongroom_grants_moved() THEN
        IF NOT EXISTS (SELECT 1 FROM changed) THEN
            RETURN NULL;
        END IF;
        PERFORM strongroom_move_grants();
    END IF;
    INSERT INTO grant_changes (number, kind, id)
        SELECT DISTINCT n.number, 2, c.member FROM changed c CROSS JOIN grant_number n ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE FUNCTION strongroom_note_anything() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT strongroom_grants_moved() THEN
        PERFORM strongroom_move_grants();
    END IF;
    INSERT INTO grant_changes (number, kind, id) SELECT n.number, 0, '' FROM grant_number n ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE TRIGGER strongroom_grants_come AFTER INSERT ON grants
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION strongroom_note_grants();
CREATE TRIGGER strongroom_grants_go AFTER DELETE ON grants
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION strongroom_note_grants();
CREATE TRIGGER strongroom_grants_change AFTER UPDATE OR TRUNCATE ON grants
    FOR EACH STATEMENT EXECUTE FUNCTION strongroom_note_anything();
CREATE TRIGGER strongroom_members_come AFTER INSERT ON team_members
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION strongroom_note_members();
CREATE TRIGGER strongroom_members_go AFTER DELETE ON team_members
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION strongroom_note_members();
CREATE TRIGGER strongroom_members_change AFTER UPDATE OR TRUNCATE ON team_members
    FOR EACH STATEMENT EXECUTE FUNCTION strongroom_note_anything();

-- By the names of this schema, whatever the path of whoever writes: that of a restored dump is empty, and that of somebody
-- who looks after two instances in one database may lead to the other one's number.
DO $$
DECLARE
    name TEXT;
BEGIN
    FOREACH name IN ARRAY ARRAY['strongroom_note_grants', 'strongroom_note_members', 'strongroom_note_anything'] LOOP
        EXECUTE format('ALTER FUNCTION %1$I.%2$I() SET search_path = %1$I, pg_temp', current_schema(), name);
    END LOOP;
END $$;
{/postgres}
