-- Replicas: copies of chains whose home is another region, in a schema of their own with the same tables, so that the
-- same statements read them under another search path. A replica is never the authority: it is checked against the
-- chain before it is stored, rebuilt from home where it is found wrong, and deleted where it is no longer wanted. So the
-- service's role may delete here; it may not change an event: what an erasure took away at home is deleted and copied
-- again.

create schema replica;
grant usage on schema replica to {{service}};

create table replica.chain_head (
  workspace_id uuid primary key,
  company_id uuid not null,
  home_region text not null check (home_region in ('AU', 'US', 'EU', 'APAC')),
  term integer not null default 1 check (term >= 1),
  -- Everything up to here is stored; the next event copied is the one after it.
  sequence bigint not null default 0 check (sequence >= 0),
  hash bytea not null default '\x0000000000000000000000000000000000000000000000000000000000000000' check (length(hash) = 32),
  frontier bytea not null default '' check (length(frontier) % 32 = 0),
  -- STOPPED: it contradicts its home, and waits for somebody. PURGING: its rows are being deleted.
  state text not null default 'COPYING' check (state in ('COPYING', 'STOPPED', 'PURGING')),
  stopped_reason text,
  -- When it first had all events of its home: before that nothing is read from it.
  filled_at timestamptz(3),
  -- Up to here it was last compared with its home, row by row.
  checked_sequence bigint not null default 0,
  -- Up to here what archives took from home was taken from here too.
  dropped_sequence bigint not null default 0,
  updated_at timestamptz(3) not null default now(),
  check ((state = 'STOPPED') = (stopped_reason is not null))
);
create index on replica.chain_head (company_id);

create table replica.event (like event including all);
create table replica.merkle_node (like merkle_node including all);
create table replica.tombstone (like tombstone including all);
create table replica.checkpoint (like checkpoint including all);
create table replica.checkpoint_history (like checkpoint_history including all);
-- LIKE leaves these out.
alter table replica.event
  alter column actor_id_tag set statistics 0,
  alter column actor_email_tag set statistics 0,
  alter column target_id_tag set statistics 0,
  alter column trace_id_tag set statistics 0;

-- Keys of replicas are among the region's own, so that every turn of a bucket takes them along: the same key under the
-- same id, wrapped for this region. No subject can be told from them: subject_tag is random.
alter table subject_key add column replica_of text check (replica_of in ('AU', 'US', 'EU', 'APAC'));
create index subject_key_replica on subject_key (company_id, replica_of) where replica_of is not null;

do $$
declare
  name text;
begin
  foreach name in array array['chain_head', 'event', 'merkle_node', 'tombstone', 'checkpoint', 'checkpoint_history'] loop
    execute format('alter table replica.%I enable row level security', name);
    execute format('alter table replica.%I force row level security', name);
    execute format('create policy tenant on replica.%I using (company_id = any ((select visible_companies())::uuid[])) with check (company_id = any ((select visible_companies())::uuid[]))', name);
  end loop;
end $$;
-- Sizes and states only: what looks after all replicas of a region reads across tenants.
create policy across_tenants on replica.chain_head for select using ((select across_tenants()));

grant select, insert, delete on replica.event, replica.merkle_node, replica.tombstone, replica.checkpoint_history to {{service}};
grant select, insert, update, delete on replica.chain_head, replica.checkpoint to {{service}};
