-- What is recorded while its home region can't take it: where each region's writes go, who believes what about that, and
-- the queue. No personal data in clear: blobs are sealed by keys that are wrapped by a pending key of the home region's
-- vault, which is destroyed when nothing is queued under it any more.

-- Where a region's writes go. HOME: to the region. CLOSING: nowhere yet; who believed in HOME has to say that it does not
-- any more, or its lease to end. QUEUEING: to pending_write, until that is empty.
create table region_mode (
  region text primary key check (region in ('AU', 'US', 'EU', 'APAC')),
  mode text not null default 'HOME' check (mode in ('HOME', 'CLOSING', 'QUEUEING')),
  -- Counts the changes of mode: of two messages the one with the larger number is the newer.
  epoch bigint not null default 0,
  since timestamptz(3) not null default now(),
  -- What is queued now is sealed under this key.
  pending_key uuid,
  -- Set from triggerFailover to endFailover: the region is neither asked nor drained into.
  failed_over_at timestamptz(3),
  failed_over_reason text,
  check ((mode = 'HOME') = (pending_key is null)),
  check (mode <> 'HOME' or failed_over_at is null)
);
insert into region_mode (region) values ('AU'), ('US'), ('EU'), ('APAC');

create function notify_region_mode() returns trigger language plpgsql as $$
begin
  perform pg_notify('hyrelog_region_mode', to_jsonb(new)::text);
  return null;
end $$;
create trigger notify_region_mode after insert or update on region_mode for each row execute function notify_region_mode();

-- Whoever reads a mode and acts on it holds this lock shared until its transaction ends; whoever changes it, exclusively.
-- A lock in memory and not on the row: PostgreSQL serves its waiters in turn, so a change gets its turn under any load.
create function hold_region_mode(asked text) returns void language sql as $$
  select pg_advisory_xact_lock_shared(7265646, array_position(array['AU', 'US', 'EU', 'APAC'], asked))
$$;
create function change_region_mode(asked text) returns void language sql as $$
  select pg_advisory_xact_lock(7265646, array_position(array['AU', 'US', 'EU', 'APAC'], asked))
$$;

-- Processes that may write home, and until when they believe so: some seconds after renewed_at, or ten minutes where the
-- control database was away since.
create table home_lease (
  process_id uuid primary key,
  renewed_at timestamptz not null,
  -- By region: the change of mode that it has heard of and acts by; what it commits at home was begun before.
  acknowledged jsonb not null default '{}'
);
-- When a process last found that this database had been out of its reach.
create table control_outage (
  one boolean primary key default true check (one),
  noted_at timestamptz not null default '-infinity'
);
insert into control_outage default values;

create table pending_write (
  -- The order in which events were accepted, within each workspace.
  position bigint generated always as identity primary key,
  region text not null check (region in ('AU', 'US', 'EU', 'APAC')),
  id uuid not null unique,
  company_id uuid not null,
  workspace_id uuid not null,
  project_id uuid,
  body bytea not null,
  occurred_at timestamptz(3) not null,
  received_at timestamptz(3) not null,
  action text not null,
  category text not null,
  target_type text,
  actor_id_tag bytea check (length(actor_id_tag) = 16),
  actor_email_tag bytea check (length(actor_email_tag) = 16),
  target_id_tag bytea check (length(target_id_tag) = 16),
  trace_id_tag bytea check (length(trace_id_tag) = 16),
  identity_blob bytea,
  content_blob bytea,
  -- The keys of the blobs, wrapped by the pending key.
  pending_key uuid not null,
  identity_key bytea,
  content_key bytea,
  key_digest bytea check (length(key_digest) = 32),
  fingerprint bytea check (length(fingerprint) = 32),
  queued_at timestamptz(3) not null default now(),
  attempts smallint not null default 0,
  check ((identity_blob is null) = (identity_key is null)),
  check ((content_blob is null) = (content_key is null)),
  check ((key_digest is null) = (fingerprint is null))
);
alter table pending_write
  alter column identity_blob set storage external,
  alter column content_blob set storage external,
  alter column actor_id_tag set statistics 0,
  alter column actor_email_tag set statistics 0,
  alter column target_id_tag set statistics 0,
  alter column trace_id_tag set statistics 0;
create index pending_write_order on pending_write (region, position);
create index pending_write_company on pending_write (company_id, region);
create index pending_write_pending_key on pending_write (pending_key);
create unique index pending_write_key on pending_write (workspace_id, key_digest) where key_digest is not null;

-- What its home region would not take, whatever was tried; kept until somebody has it tried again, or its subject is erased.
create table dead_letter (
  like pending_write including defaults including constraints including storage,
  failed_at timestamptz(3) not null,
  -- A fixed word.
  reason text not null,
  primary key (id)
);
alter table dead_letter
  alter column actor_id_tag set statistics 0,
  alter column actor_email_tag set statistics 0,
  alter column target_id_tag set statistics 0,
  alter column trace_id_tag set statistics 0;
create index dead_letter_order on dead_letter (region, failed_at, id);
create index dead_letter_company on dead_letter (company_id, region);
create index dead_letter_pending_key on dead_letter (pending_key);

-- The pending keys there were, until they are destroyed.
create table pending_key (
  region text not null check (region in ('AU', 'US', 'EU', 'APAC')),
  id uuid not null,
  created_at timestamptz(3) not null default now(),
  primary key (region, id)
);

grant select, update on region_mode, control_outage to {{service}};
grant select, insert, update, delete on home_lease, pending_write, dead_letter, pending_key to {{service}};
