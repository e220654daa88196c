-- Archiving. Events past their retention move, a contiguous run of a day at a time, into immutable objects of the
-- region's bucket. What the chain, its tree, its proofs and searches need of them stays here as a place row. Rows leave
-- the table of events only through archive_events(), which belongs to the owner: it stores the places in the same
-- transaction, and refuses unless the object was written, read back and found whole.

-- Whole pages are older than a moment or not: a summary of a few bytes per 32 pages, which costs recording nothing. Over
-- an expression that only marking uses: lists would be planned over it, and read a third of the table.
create index event_received on event using brin ((received_at at time zone 'UTC')) with (pages_per_range = 32, autosummarize = on);

-- A night takes a day's events out of a table of a year: what is left of them must not wait for a fifth of the table.
alter table event set (autovacuum_vacuum_scale_factor = 0.002, autovacuum_vacuum_threshold = 5000);

-- Runs of a chain that were past their retention when they were last looked at: same day (UTC) of receivedAt, no gaps.
create table retention_mark (
  workspace_id uuid not null,
  company_id uuid not null,
  day date not null,
  first_sequence bigint not null check (first_sequence >= 1),
  last_sequence bigint not null check (last_sequence >= first_sequence),
  marked_at timestamptz(3) not null,
  primary key (workspace_id, first_sequence)
);

-- Grows with every change that a copy of the region has to hear of, in the order in which the changes are committed: who
-- takes a number keeps others from taking one until its transaction ends.
create sequence archive_change;
create function next_archive_change() returns bigint language plpgsql as $$
begin
  perform pg_advisory_xact_lock(7011327456012284);
  return nextval('archive_change');
end $$;

-- WRITING: a process is at it, or was. VERIFIED: the bytes in the bucket were read back and are whole. STORED: the
-- events are there and no longer in the table of events.
create table archive_object (
  id uuid primary key,
  workspace_id uuid not null,
  company_id uuid not null,
  day date not null,
  first_sequence bigint not null check (first_sequence >= 1),
  last_sequence bigint not null check (last_sequence >= first_sequence),
  state text not null check (state in ('WRITING', 'VERIFIED', 'STORED')),
  -- Of the process that is at it: another one takes over with a token of its own.
  token uuid not null,
  -- Of the object in the bucket; one that was rewritten by an erasure has a later revision and another key.
  key text not null,
  revision integer not null default 1 check (revision >= 1),
  size_bytes bigint check (size_bytes > 0),
  sha256 bytea check (length(sha256) = 32),
  -- The RFC 6962 root over the hashes of its events alone.
  root_hash bytea check (length(root_hash) = 32),
  storage_class text not null default 'WARM' check (storage_class in ('WARM', 'COLD', 'RESTORING', 'RESTORED')),
  restored_until timestamptz(3),
  created_at timestamptz(3) not null,
  verified_at timestamptz(3),
  -- What the last verification found; null: it is whole.
  fault text check (fault in ('MISSING', 'ALTERED', 'TRUNCATED', 'SWAPPED', 'WRONG_COUNT', 'BROKEN_CHAIN')),
  checked_at timestamptz(3),
  -- 0 until it is stored.
  change bigint not null default 0,
  unique (workspace_id, first_sequence),
  check (state = 'WRITING' or (size_bytes is not null and sha256 is not null and root_hash is not null and verified_at is not null))
);
create index archive_object_day on archive_object (workspace_id, day, first_sequence);
create index archive_object_change on archive_object (change);
create index archive_object_unfinished on archive_object (created_at) where state <> 'STORED';

-- Keys of the bucket that hold nothing any more and are to be deleted, until they are.
create table archive_garbage (
  key text primary key,
  workspace_id uuid not null,
  company_id uuid not null,
  noted_at timestamptz(3) not null
);

-- What stays of an archived event.
create table archived_event (
  workspace_id uuid not null,
  sequence bigint not null check (sequence >= 1),
  id uuid not null,
  company_id uuid not null,
  project_id uuid,
  term integer not null,
  body_hash bytea not null check (length(body_hash) = 32),
  -- Of the first event of a chain and of events of the service's own, which no one's data is in: the verifier, signing
  -- and erasures go by what they say, cold or not.
  body bytea,
  prev_hash bytea not null check (length(prev_hash) = 32),
  hash bytea not null check (length(hash) = 32),
  occurred_at timestamptz(3) not null,
  received_at timestamptz(3) not null,
  action text not null,
  category text not null,
  target_type text,
  actor_id_tag bytea check (length(actor_id_tag) = 16),
  actor_email_tag bytea check (length(actor_email_tag) = 16),
  target_id_tag bytea check (length(target_id_tag) = 16),
  trace_id_tag bytea check (length(trace_id_tag) = 16),
  erased_at timestamptz(3),
  actor_pseudonym bytea check (length(actor_pseudonym) = 8),
  object_id uuid not null references archive_object,
  primary key (workspace_id, sequence)
);
alter table archived_event
  alter column actor_id_tag set statistics 0,
  alter column actor_email_tag set statistics 0,
  alter column target_id_tag set statistics 0,
  alter column trace_id_tag set statistics 0;
create unique index archived_event_id on archived_event (id);
create index archived_event_time on archived_event (workspace_id, occurred_at, id);
create index archived_event_action on archived_event (workspace_id, action, occurred_at, id);
create index archived_event_actor_id on archived_event (workspace_id, actor_id_tag, occurred_at, id) where actor_id_tag is not null;
create index archived_event_actor_email on archived_event (workspace_id, actor_email_tag, occurred_at, id) where actor_email_tag is not null;
create index archived_event_target_id on archived_event (workspace_id, target_id_tag, occurred_at, id) where target_id_tag is not null;
create index archived_event_trace_id on archived_event (workspace_id, trace_id_tag, occurred_at, id) where trace_id_tag is not null;

-- Events in objects that could not be rewritten yet, whose erasure is under way: their keys may be gone already and
-- their tombstones not there yet, so that nobody reads the object until it has been rewritten.
create table deferred_erasure (
  workspace_id uuid not null,
  sequence bigint not null,
  request_id uuid not null,
  company_id uuid not null,
  object_id uuid not null references archive_object,
  -- The subject did it; else it is mentioned.
  is_own boolean not null,
  primary key (workspace_id, sequence, request_id)
);
create index deferred_erasure_object on deferred_erasure (object_id);
create index deferred_erasure_request on deferred_erasure (request_id);

do $$
declare
  name text;
begin
  foreach name in array array['retention_mark', 'archive_object', 'archive_garbage', 'archived_event', 'deferred_erasure'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format('create policy tenant on %I using (company_id = any ((select visible_companies())::uuid[])) with check (company_id = any ((select visible_companies())::uuid[]))', name);
  end loop;
  -- Sizes, digests and ranges: what looks after all objects of a region reads them across tenants.
  foreach name in array array['retention_mark', 'archive_object', 'archive_garbage'] loop
    execute format('create policy across_tenants on %I for select using ((select across_tenants()))', name);
  end loop;
end $$;

create trigger append_only_truncate before truncate on archived_event for each statement execute function refuse_rewrite();
create trigger append_only_truncate before truncate on archive_object for each statement execute function refuse_rewrite();
alter table archived_event enable always trigger append_only_truncate;
alter table archive_object enable always trigger append_only_truncate;

-- A place only loses what an erasure takes from it.
create function refuse_place_rewrite() returns trigger language plpgsql as $$
begin
  if tg_op <> 'UPDATE' or coalesce(current_setting('hyrelog.erasing', true), '') <> 'on' then
    raise exception 'table % is append-only', tg_table_name using errcode = 'HY001';
  end if;
  if (new.workspace_id, new.sequence, new.id, new.company_id, new.term, new.body_hash, new.prev_hash, new.hash, new.occurred_at,
      new.received_at, new.action, new.category, new.object_id)
     <> (old.workspace_id, old.sequence, old.id, old.company_id, old.term, old.body_hash, old.prev_hash, old.hash, old.occurred_at,
      old.received_at, old.action, old.category, old.object_id)
    or new.project_id is distinct from old.project_id or new.target_type is distinct from old.target_type
    or new.body is distinct from old.body
    or new.actor_id_tag <> coalesce(old.actor_id_tag, '') or new.actor_email_tag <> coalesce(old.actor_email_tag, '')
    or new.target_id_tag <> coalesce(old.target_id_tag, '') or new.trace_id_tag <> coalesce(old.trace_id_tag, '') then
    raise exception 'an erasure only takes away' using errcode = 'HY001';
  end if;
  return new;
end $$;
create trigger append_only before update or delete on archived_event for each row execute function refuse_place_rewrite();
alter table archived_event enable always trigger append_only;

-- What is stored is not deleted, and its place in the chain does not move.
create function refuse_object_rewrite() returns trigger language plpgsql as $$
begin
  if old.state = 'STORED' and (tg_op = 'DELETE' or new.state <> 'STORED'
    or (new.id, new.workspace_id, new.company_id, new.day, new.first_sequence, new.last_sequence, new.root_hash)
      <> (old.id, old.workspace_id, old.company_id, old.day, old.first_sequence, old.last_sequence, old.root_hash)
    or new.revision < old.revision) then
    raise exception 'an archive object stays what it is' using errcode = 'HY001';
  end if;
  return case when tg_op = 'DELETE' then old else new end;
end $$;
create trigger append_only before update or delete on archive_object for each row execute function refuse_object_rewrite();
alter table archive_object enable always trigger append_only;

-- An event leaves by archive_events() alone, and only where its place is stored.
create or replace function refuse_event_rewrite() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' and coalesce(current_setting('hyrelog.archiving', true), '') = 'on' and exists (
    select from archived_event a where a.workspace_id = old.workspace_id and a.sequence = old.sequence and a.id = old.id
      and a.hash = old.hash and a.company_id = old.company_id) then
    return old;
  end if;
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

-- Events wherever they are. Of those in an object body and blobs are null; object_id says where they are.
create view stored_event with (security_invoker = true) as
  select workspace_id, sequence, id, company_id, project_id, term, body, null::bytea as body_hash, prev_hash, hash,
    occurred_at, received_at, action, category, target_type, actor_id_tag, actor_email_tag, target_id_tag, trace_id_tag,
    identity_blob, content_blob, erased_at, actor_pseudonym, null::uuid as object_id
  from event
  union all
  select workspace_id, sequence, id, company_id, project_id, term, body, body_hash, prev_hash, hash,
    occurred_at, received_at, action, category, target_type, actor_id_tag, actor_email_tag, target_id_tag, trace_id_tag,
    null, null, erased_at, actor_pseudonym, object_id
  from archived_event;

-- Takes a run of events for archiving, or takes over from whoever was at it. Answers the object's id; null where the run
-- is stored already. A key under which an earlier attempt wrote something else is noted as garbage.
create function claim_archive_object(
  candidate uuid, workspace uuid, company uuid, run_day date, first bigint, last bigint, object_key text, claimant uuid, moment timestamptz
) returns uuid language plpgsql security definer as $$
declare
  before archive_object;
begin
  select * into before from archive_object o where o.workspace_id = workspace and o.first_sequence = first for update;
  if not found then
    insert into archive_object (id, workspace_id, company_id, day, first_sequence, last_sequence, state, token, key, created_at)
    values (candidate, workspace, company, run_day, first, last, 'WRITING', claimant, object_key, moment);
    return candidate;
  end if;
  if before.state = 'STORED' or before.company_id <> company then
    return null;
  end if;
  if before.key <> object_key then
    insert into archive_garbage (key, workspace_id, company_id, noted_at) values (before.key, workspace, company, moment) on conflict do nothing;
  end if;
  update archive_object o set state = 'WRITING', token = claimant, last_sequence = last, day = run_day, key = object_key,
    created_at = moment, size_bytes = null, sha256 = null, root_hash = null, verified_at = null
  where o.id = before.id;
  return before.id;
end $$;

-- Notes what was read back from the bucket and found whole. False where another process took over.
create function verify_archive_object(
  object uuid, claimant uuid, bytes bigint, digest bytea, root bytea, moment timestamptz
) returns boolean language plpgsql security definer as $$
begin
  update archive_object o set state = 'VERIFIED', size_bytes = bytes, sha256 = digest, root_hash = root, verified_at = moment
  where o.id = object and o.token = claimant and o.state in ('WRITING', 'VERIFIED');
  return found;
end $$;

-- Gives up a run that is not stored; its key is garbage from then on.
create function drop_archive_object(object uuid, moment timestamptz) returns void language plpgsql security definer as $$
begin
  insert into archive_garbage (key, workspace_id, company_id, noted_at)
  select o.key, o.workspace_id, o.company_id, moment from archive_object o where o.id = object and o.state <> 'STORED'
  on conflict do nothing;
  delete from archive_object o where o.id = object and o.state <> 'STORED';
end $$;

-- Moves the events of a verified object out of the table of events: their places are stored, the events deleted, the
-- mark shortened, in the caller's transaction. `fingerprint` is the SHA-256 over hash and blob heads of what was
-- written, in order: events that were erased from meanwhile are other events (serialization_failure). False where the
-- object is not the claimant's any more.
create function archive_events(object uuid, claimant uuid, fingerprint bytea) returns boolean language plpgsql security definer as $$
declare
  o archive_object;
  seen bytea;
  counted bigint;
  gone bigint;
begin
  select * into o from archive_object a where a.id = object for update;
  if not found or o.token <> claimant or o.state <> 'VERIFIED' then
    return false;
  end if;
  if exists (select from index_outbox x where x.workspace_id = o.workspace_id and x.first_sequence <= o.last_sequence
      and x.last_sequence >= o.first_sequence) then
    raise exception 'events that the global index does not know yet stay where they are' using errcode = '40001';
  end if;
  perform from event e where e.workspace_id = o.workspace_id and e.sequence between o.first_sequence and o.last_sequence
    order by e.sequence for update;
  select count(*), sha256(coalesce(string_agg(e.hash || coalesce(substring(e.identity_blob from 1 for 29), '\x00')
      || coalesce(substring(e.content_blob from 1 for 29), '\x00'), ''::bytea order by e.sequence), ''))
    into counted, seen
  from event e where e.workspace_id = o.workspace_id and e.company_id = o.company_id
    and e.sequence between o.first_sequence and o.last_sequence;
  if counted <> o.last_sequence - o.first_sequence + 1 or seen <> fingerprint then
    raise exception 'the events are not those that were written' using errcode = '40001';
  end if;
  insert into archived_event (workspace_id, sequence, id, company_id, project_id, term, body_hash, body, prev_hash, hash,
    occurred_at, received_at, action, category, target_type, actor_id_tag, actor_email_tag, target_id_tag, trace_id_tag,
    erased_at, actor_pseudonym, object_id)
  select e.workspace_id, e.sequence, e.id, e.company_id, e.project_id, e.term, sha256(convert_to('HL1.B', 'UTF8') || '\x00'::bytea || e.body),
    case when e.sequence = 1 or e.category = 'system' then e.body end, e.prev_hash, e.hash,
    e.occurred_at, e.received_at, e.action, e.category, e.target_type, e.actor_id_tag, e.actor_email_tag, e.target_id_tag,
    e.trace_id_tag, e.erased_at, e.actor_pseudonym, object
  from event e where e.workspace_id = o.workspace_id and e.sequence between o.first_sequence and o.last_sequence;
  perform set_config('hyrelog.archiving', 'on', true);
  delete from event e where e.workspace_id = o.workspace_id and e.sequence between o.first_sequence and o.last_sequence;
  get diagnostics gone = row_count;
  perform set_config('hyrelog.archiving', '', true);
  if gone <> counted then
    raise exception 'not every event could be moved' using errcode = '40001';
  end if;
  update archive_object a set state = 'STORED', storage_class = 'WARM', change = next_archive_change() where a.id = object;
  delete from retention_mark m where m.workspace_id = o.workspace_id and m.first_sequence >= o.first_sequence
    and m.last_sequence <= o.last_sequence;
  update retention_mark m set first_sequence = o.last_sequence + 1
  where m.workspace_id = o.workspace_id and m.first_sequence <= o.last_sequence and m.last_sequence > o.last_sequence;
  return true;
end $$;

-- Erases from the places of events in one object, as erase_disclosures() does from events: in the transaction that
-- appended the erasure event, whose body names as many. `fresh_*`: the object's bytes as they are from now on, where
-- they were rewritten; the key they had is garbage. `seen_sha256` is that of the bytes it was decided on: an object
-- that was rewritten meanwhile fails everything (serialization_failure).
create function erase_archived(
  object uuid, seen_sha256 bytea, erasure bigint, request uuid, moment timestamptz, pseudonym bytea,
  sequences bigint[], actors boolean[], targets boolean[], traces boolean[], own boolean[],
  tombstone_sequences bigint[], digests bytea[],
  fresh_key text, fresh_size bigint, fresh_sha256 bytea
) returns void language plpgsql security definer as $$
declare
  o archive_object;
  said jsonb;
  changed bigint;
begin
  select * into o from archive_object a where a.id = object and a.state = 'STORED' for update;
  if not found or o.sha256 <> seen_sha256 then
    raise exception 'the object was rewritten by another erasure' using errcode = '40001';
  end if;
  if cardinality(digests) > 0 then
    select convert_from(e.body, 'UTF8')::jsonb #> '{system,erasure}' into said from event e
    where e.workspace_id = o.workspace_id and e.sequence = erasure and e.action = 'gdpr.erasure'
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
    update archived_event e set
      actor_id_tag = case when c.actor then null else e.actor_id_tag end,
      actor_email_tag = case when c.actor then null else e.actor_email_tag end,
      target_id_tag = case when c.target then null else e.target_id_tag end,
      trace_id_tag = case when c.trace then null else e.trace_id_tag end,
      actor_pseudonym = case when c.actor and c.own then pseudonym else e.actor_pseudonym end,
      erased_at = moment
    from unnest(sequences, actors, targets, traces, own) as c (sequence, actor, target, trace, own)
    where e.workspace_id = o.workspace_id and e.sequence = c.sequence and e.object_id = object;
    get diagnostics changed = row_count;
    perform set_config('hyrelog.erasing', '', true);
    if changed <> cardinality(sequences) then
      raise exception 'events are not in this object' using errcode = '40001';
    end if;
    insert into tombstone (workspace_id, sequence, digest, company_id, erasure_sequence)
    select o.workspace_id, t.sequence, t.digest, o.company_id, erasure
    from unnest(tombstone_sequences, digests) as t (sequence, digest);
  end if;
  if fresh_key is not null then
    insert into archive_garbage (key, workspace_id, company_id, noted_at)
    values (o.key, o.workspace_id, o.company_id, moment) on conflict do nothing;
    update archive_object a set key = fresh_key, size_bytes = fresh_size, sha256 = fresh_sha256, revision = a.revision + 1,
      storage_class = 'WARM', restored_until = null, verified_at = moment, fault = null, checked_at = null, change = next_archive_change()
    where a.id = object;
  end if;
  delete from deferred_erasure d where d.object_id = object and d.request_id = request;
end $$;

-- Clears the tags of a subject from places in an object that can't be read now, and notes that the rest of their
-- erasure is still to come. Whether target and trace go is the caller's to say for each.
create function defer_erasure(
  object uuid, request uuid, moment timestamptz, pseudonym bytea, sequences bigint[], actors boolean[], targets boolean[], traces boolean[]
) returns void language plpgsql security definer as $$
declare
  o archive_object;
begin
  select * into o from archive_object a where a.id = object and a.state = 'STORED' for update;
  if not found then
    raise exception 'there is no such object' using errcode = '40001';
  end if;
  insert into deferred_erasure (workspace_id, sequence, request_id, company_id, object_id, is_own)
  select o.workspace_id, e.sequence, request, o.company_id, object, c.actor from archived_event e
  join unnest(sequences, actors) as c (sequence, actor) on c.sequence = e.sequence
  where e.workspace_id = o.workspace_id and e.object_id = object
  on conflict do nothing;
  perform set_config('hyrelog.erasing', 'on', true);
  update archived_event e set
    actor_id_tag = case when c.actor then null else e.actor_id_tag end,
    actor_email_tag = case when c.actor then null else e.actor_email_tag end,
    target_id_tag = case when c.target then null else e.target_id_tag end,
    trace_id_tag = case when c.trace then null else e.trace_id_tag end,
    actor_pseudonym = case when c.actor then pseudonym else e.actor_pseudonym end
  from unnest(sequences, actors, targets, traces) as c (sequence, actor, target, trace)
  where e.workspace_id = o.workspace_id and e.sequence = c.sequence and e.object_id = object;
  perform set_config('hyrelog.erasing', '', true);
end $$;

-- For copies of the region: which runs of which chains were archived, or rewritten, after the last change that they know
-- of (0: none). With app.across_tenants set it tells of all tenants.
create function archived_runs(after bigint, at_most integer)
returns table (change bigint, workspace_id uuid, company_id uuid, first_sequence bigint, last_sequence bigint, object_id uuid, key text, revision integer, sha256 bytea)
language sql stable as $$
  select o.change, o.workspace_id, o.company_id, o.first_sequence, o.last_sequence, o.id, o.key, o.revision, o.sha256
  from archive_object o where o.state = 'STORED' and o.change > after order by o.change limit at_most
$$;

grant select, insert, update, delete on retention_mark to {{service}};
grant select on archive_object, archived_event, deferred_erasure, stored_event to {{service}};
grant update (storage_class, restored_until, verified_at, fault, checked_at) on archive_object to {{service}};
grant select, delete on archive_garbage to {{service}};

do $$
declare
  signature regprocedure;
begin
  foreach signature in array array[
    'claim_archive_object(uuid, uuid, uuid, date, bigint, bigint, text, uuid, timestamptz)',
    'verify_archive_object(uuid, uuid, bigint, bytea, bytea, timestamptz)',
    'drop_archive_object(uuid, timestamptz)',
    'archive_events(uuid, uuid, bytea)',
    'erase_archived(uuid, bytea, bigint, uuid, timestamptz, bytea, bigint[], boolean[], boolean[], boolean[], boolean[], bigint[], bytea[], text, bigint, bytea)',
    'defer_erasure(uuid, uuid, timestamptz, bytea, bigint[], boolean[], boolean[], boolean[])']::regprocedure[] loop
    execute format('alter function %s set search_path = %I, pg_temp', signature, current_schema());
    execute format('revoke execute on function %s from public', signature);
    execute format('grant execute on function %s to {{service}}', signature);
  end loop;
end $$;
