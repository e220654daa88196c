-- Erasing personal data. What the chain commits to stays; values and salts go, and of each a tombstone is left for ever.
-- The service's role can't change an event or destroy a key; it may call the functions below, which belong to the owner
-- and do exactly that much: values only together with the event that says so, keys only with the turn of a bucket.

-- What is left of an erased disclosure: the digest in the body of the event `sequence`, erased by the event
-- `erasure_sequence` of the same chain (ledger format HL1, section 5).
create table tombstone (
  workspace_id uuid not null,
  sequence bigint not null check (sequence >= 1),
  digest bytea not null check (length(digest) = 32),
  company_id uuid not null,
  erasure_sequence bigint not null check (erasure_sequence > sequence),
  primary key (workspace_id, sequence, digest)
);
create index tombstone_erasure on tombstone (workspace_id, erasure_sequence);

create trigger append_only before update or delete on tombstone for each row execute function refuse_rewrite();
create trigger append_only_truncate before truncate on tombstone for each statement execute function refuse_rewrite();
alter table tombstone enable always trigger append_only;
alter table tombstone enable always trigger append_only_truncate;
alter table tombstone enable row level security;
alter table tombstone force row level security;
create policy tenant on tombstone using (company_id = any ((select visible_companies())::uuid[])) with check (company_id = any ((select visible_companies())::uuid[]));
grant select on tombstone to {{service}};

-- What an anonymised actor is shown as: 8 bytes that are the same wherever one request found the same person, and mean
-- nothing outside of it.
alter table event add column actor_pseudonym bytea check (length(actor_pseudonym) = 8);

-- Only erase_disclosures() may pass, and only to take away: the marker is set while it runs. Who sets it otherwise lacks
-- the right to update.
create function refuse_event_rewrite() returns trigger language plpgsql as $$
begin
  if tg_op <> 'UPDATE' or coalesce(current_setting('hyrelog.erasing', true), '') <> 'on' then
    raise exception 'table % is append-only', tg_table_name using errcode = 'HY001';
  end if;
  if (new.workspace_id, new.sequence, new.id, new.company_id, new.term, new.body, new.prev_hash, new.hash, new.occurred_at,
      new.received_at, new.action, new.category)
     <> (old.workspace_id, old.sequence, old.id, old.company_id, old.term, old.body, old.prev_hash, old.hash, old.occurred_at,
      old.received_at, old.action, old.category)
    or new.project_id is distinct from old.project_id or new.target_type is distinct from old.target_type
    or new.actor_id_tag <> coalesce(old.actor_id_tag, '') or new.actor_email_tag <> coalesce(old.actor_email_tag, '')
    or new.target_id_tag <> coalesce(old.target_id_tag, '') or new.trace_id_tag <> coalesce(old.trace_id_tag, '')
    or (new.identity_blob is not null and old.identity_blob is null)
    or (new.content_blob is not null and old.content_blob is null)
    or new.erased_at is null then
    raise exception 'an erasure only takes away' using errcode = 'HY001';
  end if;
  return new;
end $$;
drop trigger append_only on event;
create trigger append_only before update or delete on event for each row execute function refuse_event_rewrite();
alter table event enable always trigger append_only;

-- Takes disclosures away from events of one chain and stores their tombstones. To be called in the very transaction that
-- appended the erasure event, whose body has to name as many. Each event is given with the blobs it is to have from now
-- on, and with the first 29 bytes (version, key, nonce) of those it was read with: one that was changed meanwhile fails
-- everything (serialization_failure). A digest that was erased before fails it too (unique_violation).
create function erase_disclosures(
  workspace uuid, erasure bigint, moment timestamptz, pseudonym bytea,
  sequences bigint[], identities_seen bytea[], contents_seen bytea[], identities bytea[], contents bytea[],
  actors boolean[], targets boolean[], traces boolean[],
  tombstone_sequences bigint[], digests bytea[]
) returns void language plpgsql security definer as $$
declare
  said jsonb;
  company uuid;
  changed bigint;
begin
  select convert_from(e.body, 'UTF8')::jsonb #> '{system,erasure}', e.company_id into said, company from event e
  where e.workspace_id = workspace and e.sequence = erasure and e.action = 'gdpr.erasure'
    and e.xmin = pg_current_xact_id()::xid and e.company_id = any (visible_companies());
  if said is null then
    raise exception 'an erasure needs its event, appended by the same transaction' using errcode = 'HY001';
  end if;
  if (said ->> 'disclosures')::bigint <> cardinality(digests)
    or (said ->> 'events')::bigint <> cardinality(sequences)
    or exists (select unnest(sequences) except select unnest(tombstone_sequences))
    or exists (select unnest(tombstone_sequences) except select unnest(sequences)) then
    raise exception 'an erasure takes away what its event says' using errcode = 'HY001';
  end if;
  perform set_config('hyrelog.erasing', 'on', true);
  update event e set
    identity_blob = c.identity,
    content_blob = c.content,
    actor_id_tag = case when c.actor then null else e.actor_id_tag end,
    actor_email_tag = case when c.actor then null else e.actor_email_tag end,
    target_id_tag = case when c.target then null else e.target_id_tag end,
    trace_id_tag = case when c.trace then null else e.trace_id_tag end,
    actor_pseudonym = case when c.actor then pseudonym else e.actor_pseudonym end,
    erased_at = moment
  from unnest(sequences, identities_seen, contents_seen, identities, contents, actors, targets, traces)
    as c (sequence, identity_seen, content_seen, identity, content, actor, target, trace)
  where e.workspace_id = workspace and e.sequence = c.sequence and e.company_id = company
    and substring(e.identity_blob from 1 for 29) is not distinct from c.identity_seen
    and substring(e.content_blob from 1 for 29) is not distinct from c.content_seen;
  get diagnostics changed = row_count;
  perform set_config('hyrelog.erasing', '', true);
  if changed <> cardinality(sequences) then
    raise exception 'events were changed by another erasure' using errcode = '40001';
  end if;
  insert into tombstone (workspace_id, sequence, digest, company_id, erasure_sequence)
  select workspace, t.sequence, t.digest, company, erasure from unnest(tombstone_sequences, digests) as t (sequence, digest);
end $$;

-- The bucket keys that wrap subject keys are replaced when a key of their bucket is destroyed. A subject key says under
-- which generation of its bucket key it is wrapped; only the newest may still be used to wrap.
create table key_bucket (
  bucket smallint primary key check (bucket between 0 and 255),
  generation integer not null default 0 check (generation >= 0)
);
insert into key_bucket (bucket) select generate_series(0, 255);
grant select on key_bucket to {{service}};

-- Counts the turns of buckets. Who seals takes the number first, and commits only what was sealed with keys that are
-- still there.
create table key_epoch (
  one boolean primary key default true check (one),
  epoch bigint not null default 0
);
insert into key_epoch default values;
grant select on key_epoch to {{service}};

alter table subject_key add column generation integer not null default 0 check (generation >= 0);

-- A process that has not heard of a turn would wrap with the key that was destroyed: nobody could ever unwrap it.
create function require_newest_bucket_key() returns trigger language plpgsql security definer as $$
begin
  -- Waits for a turn that is under way.
  perform from key_bucket b where b.bucket = new.bucket and b.generation = new.generation for key share;
  if not found then
    raise exception 'the bucket key has been replaced' using errcode = 'HY002';
  end if;
  return new;
end $$;
create trigger newest_bucket_key before insert on subject_key for each row execute function require_newest_bucket_key();
alter table subject_key enable always trigger newest_bucket_key;

-- Keeps subject keys from being destroyed until the transaction ends, and answers the epoch that they have been
-- checked against. A lock in memory: it costs a commit no write.
create function hold_subject_keys() returns bigint language plpgsql as $$
begin
  perform pg_advisory_xact_lock_shared(7265646163746564);
  return (select epoch from key_epoch);
end $$;
grant execute on function hold_subject_keys() to {{service}};

-- The turn of a bucket spans tenants: its key wraps keys of many companies. Only the owner's functions see them all, and
-- only while a bucket is being turned.
do $$
begin
  execute format(
    'create policy bucket_turn on subject_key to %I using (bucket::text = current_setting(''hyrelog.turning_bucket'', true))',
    current_user);
end $$;

-- Begins the turn of a bucket in the caller's transaction: no key is destroyed or made in it by anybody else until the
-- transaction ends, and no event sealed meanwhile is committed. Answers the generation and every key of the bucket.
create function begin_bucket_turn(turning smallint)
returns table (id uuid, company_id uuid, blob text, wrapped bytea, generation integer)
language plpgsql security definer as $$
#variable_conflict use_column
begin
  perform pg_advisory_xact_lock(7265646163746564);
  perform from key_bucket b where b.bucket = turning for update;
  perform set_config('hyrelog.turning_bucket', turning::text, true);
  return query select k.id, k.company_id, k.blob, k.wrapped, k.generation from subject_key k where k.bucket = turning;
  perform set_config('hyrelog.turning_bucket', '', true);
end $$;

-- Ends it: the doomed keys are gone, all others wrapped under the next generation. Answers how many were destroyed.
-- Refuses (serialization_failure) where a key was left out, or the bucket has turned since.
create function end_bucket_turn(turning smallint, from_generation integer, doomed uuid[], kept uuid[], wrappings bytea[])
returns bigint language plpgsql security definer as $$
declare
  destroyed bigint;
  rewrapped bigint;
begin
  perform pg_advisory_xact_lock(7265646163746564);
  perform set_config('hyrelog.turning_bucket', turning::text, true);
  update key_bucket set generation = from_generation + 1 where bucket = turning and generation = from_generation;
  if not found then
    raise exception 'the bucket has been turned by another process' using errcode = '40001';
  end if;
  delete from subject_key where bucket = turning and id = any (doomed);
  get diagnostics destroyed = row_count;
  update subject_key k set wrapped = w.wrapped, generation = from_generation + 1
  from unnest(kept, wrappings) as w (id, wrapped) where k.bucket = turning and k.id = w.id;
  get diagnostics rewrapped = row_count;
  if rewrapped <> (select count(*) from subject_key where bucket = turning) then
    raise exception 'a key of the bucket was left out' using errcode = '40001';
  end if;
  update key_epoch set epoch = epoch + 1;
  perform set_config('hyrelog.turning_bucket', '', true);
  return destroyed;
end $$;

-- Functions of the owner look names up where the tables are, never in a schema that the caller can write to.
do $$
declare
  signature regprocedure;
begin
  foreach signature in array array[
    'erase_disclosures(uuid, bigint, timestamptz, bytea, bigint[], bytea[], bytea[], bytea[], bytea[], boolean[], boolean[], boolean[], bigint[], bytea[])',
    'require_newest_bucket_key()', 'begin_bucket_turn(smallint)',
    'end_bucket_turn(smallint, integer, uuid[], uuid[], bytea[])']::regprocedure[] loop
    execute format('alter function %s set search_path = %I, pg_temp', signature, current_schema());
    execute format('revoke execute on function %s from public', signature);
  end loop;
end $$;
grant execute on function erase_disclosures(uuid, bigint, timestamptz, bytea, bigint[], bytea[], bytea[], bytea[], bytea[], boolean[], boolean[], boolean[], bigint[], bytea[]) to {{service}};
grant execute on function begin_bucket_turn(smallint) to {{service}};
grant execute on function end_bucket_turn(smallint, integer, uuid[], uuid[], bytea[]) to {{service}};
