-- A region: the chains of the workspaces that live here. {{service}} is the role the service runs as: neither owner nor
-- superuser. Row-level security is the second wall between tenants: a transaction sees the companies it names in
-- app.companies (comma-separated UUIDs); unset, which on a reused connection reads as '', means no rows.

create function visible_companies() returns uuid[] language sql stable parallel safe
  return string_to_array(nullif(current_setting('app.companies', true), ''), ',')::uuid[];

-- One row per chain, locked while a commit extends it.
create table chain_head (
  workspace_id uuid primary key,
  company_id uuid not null,
  term integer not null default 1 check (term >= 1),
  sequence bigint not null default 0 check (sequence >= 0),
  hash bytea not null default '\x0000000000000000000000000000000000000000000000000000000000000000' check (length(hash) = 32),
  -- The compact range [0, sequence): roots of its perfect subtrees, largest first, 32 bytes each.
  frontier bytea not null default '' check (length(frontier) % 32 = 0),
  updated_at timestamptz(3) not null default now()
);

create table event (
  workspace_id uuid not null,
  sequence bigint not null check (sequence >= 1),
  id uuid not null,
  company_id uuid not null,
  project_id uuid,
  term integer not null,
  -- The ledger body, byte for byte; the columns beside it repeat its members so that they can be searched.
  body bytea not null,
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
  -- Sealed disclosures: actor.* and everything else. Null where there is none.
  identity_blob bytea,
  content_blob bytea,
  erased_at timestamptz(3),
  primary key (workspace_id, sequence)
);
-- Already encrypted: compressing it again only costs time. Tags of an erased subject must not live on in statistics.
alter table event
  alter column identity_blob set storage external,
  alter column content_blob set storage external,
  alter column actor_id_tag set statistics 0,
  alter column actor_email_tag set statistics 0,
  alter column target_id_tag set statistics 0,
  alter column trace_id_tag set statistics 0;
create unique index event_id on event (id);
create index event_time on event (workspace_id, occurred_at, id);
create index event_action on event (workspace_id, action, occurred_at, id);
create index event_category on event (workspace_id, category, occurred_at, id);
create index event_target_type on event (workspace_id, target_type, occurred_at, id) where target_type is not null;
create index event_project on event (workspace_id, project_id, occurred_at, id) where project_id is not null;
create index event_actor_id on event (workspace_id, actor_id_tag, occurred_at, id) where actor_id_tag is not null;
create index event_actor_email on event (workspace_id, actor_email_tag, occurred_at, id) where actor_email_tag is not null;
create index event_target_id on event (workspace_id, target_id_tag, occurred_at, id) where target_id_tag is not null;
create index event_trace_id on event (workspace_id, trace_id_tag, occurred_at, id) where trace_id_tag is not null;

-- Inner nodes of the Merkle trees at levels 8, 16, 24 …, one for each full run of 256 leaves (or nodes) below it: with at
-- most 256 leaves read per level a proof for any size is O(log n) reads.
create table merkle_node (
  workspace_id uuid not null,
  company_id uuid not null,
  level smallint not null check (level % 8 = 0 and level > 0),
  index bigint not null,
  hash bytea not null check (length(hash) = 32),
  primary key (workspace_id, level, index)
);

-- Keys that seal disclosures, one per subject and blob, wrapped by one of the region's bucket keys, which live outside
-- PostgreSQL. subject_tag is the HMAC of the subject (actor id and e-mail as given), or of the workspace for events
-- without an actor.
create table subject_key (
  id uuid primary key,
  company_id uuid not null,
  subject_tag bytea not null check (length(subject_tag) = 16),
  blob text not null check (blob in ('identity', 'content')),
  actor_id_tag bytea check (length(actor_id_tag) = 16),
  actor_email_tag bytea check (length(actor_email_tag) = 16),
  bucket smallint not null check (bucket between 0 and 255),
  wrapped bytea not null,
  created_at timestamptz(3) not null,
  unique (company_id, subject_tag, blob)
);
alter table subject_key
  alter column subject_tag set statistics 0,
  alter column actor_id_tag set statistics 0,
  alter column actor_email_tag set statistics 0;
create index on subject_key (company_id, actor_id_tag) where actor_id_tag is not null;
create index on subject_key (company_id, actor_email_tag) where actor_email_tag is not null;
create index on subject_key (bucket);

-- Dropped after 24 to 48 hours. Key and fingerprint are HMACs under the company's tag key.
create table idempotency_key (
  workspace_id uuid not null,
  company_id uuid not null,
  key_digest bytea not null check (length(key_digest) = 32),
  fingerprint bytea not null check (length(fingerprint) = 32),
  sequence bigint not null,
  created_at timestamptz(3) not null,
  primary key (workspace_id, key_digest)
);
create index on idempotency_key (created_at);

-- Stretches of chains that the global index doesn't know yet. Read across tenants by the indexer; no personal data.
create table index_outbox (
  id bigint generated always as identity primary key,
  workspace_id uuid not null,
  company_id uuid not null,
  first_sequence bigint not null,
  last_sequence bigint not null
);

create function refuse_rewrite() returns trigger language plpgsql as $$
begin
  raise exception 'table % is append-only', tg_table_name using errcode = 'HY001';
end $$;
create trigger append_only before update or delete on event for each row execute function refuse_rewrite();
create trigger append_only_truncate before truncate on event for each statement execute function refuse_rewrite();
create trigger append_only before update or delete on merkle_node for each row execute function refuse_rewrite();
create trigger append_only_truncate before truncate on merkle_node for each statement execute function refuse_rewrite();
alter table event enable always trigger append_only;
alter table event enable always trigger append_only_truncate;
alter table merkle_node enable always trigger append_only;
alter table merkle_node enable always trigger append_only_truncate;

-- A head only ever moves forward, one chain stays one chain.
create function refuse_head_rewind() returns trigger language plpgsql as $$
begin
  if tg_op <> 'UPDATE' then
    raise exception 'table % is append-only', tg_table_name using errcode = 'HY001';
  end if;
  if new.workspace_id <> old.workspace_id or new.company_id <> old.company_id or new.sequence < old.sequence or new.term < old.term then
    raise exception 'a chain head only moves forward' using errcode = 'HY001';
  end if;
  return new;
end $$;
create trigger forward_only before update or delete on chain_head for each row execute function refuse_head_rewind();
create trigger forward_only_truncate before truncate on chain_head for each statement execute function refuse_rewrite();
alter table chain_head enable always trigger forward_only;
alter table chain_head enable always trigger forward_only_truncate;

do $$
declare
  name text;
begin
  foreach name in array array['chain_head', 'event', 'merkle_node', 'subject_key', 'idempotency_key'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    -- The sub-select makes the setting a constant of the statement: read once, not once a row.
    execute format('create policy tenant on %I using (company_id = any ((select visible_companies())::uuid[])) with check (company_id = any ((select visible_companies())::uuid[]))', name);
  end loop;
end $$;

grant select, insert on event, merkle_node, subject_key to {{service}};
grant select, insert, update on chain_head to {{service}};
grant select, insert, delete on idempotency_key to {{service}};
-- update: rows are locked while their events are indexed, and a long stretch is worked off in pieces.
grant select, insert, update, delete on index_outbox to {{service}};
