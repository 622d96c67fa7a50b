-- PostGraphile makes mutations of functions: this one leaves the same rows behind as our server's createTask.
CREATE FUNCTION make_task(
  user_id text, title text, description text, priority int, due_at timestamptz, tags text[]
) RETURNS tasks LANGUAGE sql VOLATILE AS $$
  WITH counted AS (
    UPDATE users SET revision = revision + 1 WHERE id = make_task.user_id AND is_active RETURNING revision, now() AS moment
  ), made AS (
    INSERT INTO tasks (user_id, id, revision, created_at, title, description, completed, priority, due_at, tags, words,
                       updated_at)
    SELECT make_task.user_id, uuidv7(), revision, moment, make_task.title, make_task.description, false,
           make_task.priority, make_task.due_at, make_task.tags,
           (SELECT string_agg(DISTINCT word, ' ' ORDER BY word)
            FROM regexp_split_to_table(lower(concat_ws(' ', make_task.title, make_task.description)), '\W+') AS word
            WHERE word <> ''),
           moment
    FROM counted RETURNING *
  ), recorded AS (
    INSERT INTO history (user_id, id, revision, created_at, entity, row_id, kind, before, after)
    SELECT made.user_id, uuidv7(), made.revision, made.created_at, 'TASK', made.id, 'CREATED', '{}', to_json(made) FROM made
  )
  SELECT made.* FROM made
$$;
