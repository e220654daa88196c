-- What is known of replicas outside the regions, so that a search can tell how far behind one is while its home is down.

create table replica_chain (
  workspace_id uuid not null references workspace (id),
  replica_region text not null check (replica_region in ('AU', 'US', 'EU', 'APAC')),
  company_id uuid not null,
  home_region text not null check (home_region in ('AU', 'US', 'EU', 'APAC')),
  -- How many events it has.
  sequence bigint not null check (sequence >= 0),
  -- When it last had every event of its home, by this database's clock; null: never yet.
  current_at timestamptz(3),
  -- Why it was stopped; null: it was not.
  stopped_reason text,
  updated_at timestamptz(3) not null,
  primary key (workspace_id, replica_region)
);
create index on replica_chain (company_id);
create index on replica_chain (replica_region);

-- The newest erasure of each chain. Nothing is read from a replica that has not come so far.
create table erasure_floor (
  workspace_id uuid primary key references workspace (id),
  company_id uuid not null,
  sequence bigint not null check (sequence >= 1)
);
create index on erasure_floor (company_id);
create trigger notify_fact after insert or update or delete on erasure_floor for each row execute function notify_fact();

grant select, insert, update, delete on replica_chain to {{service}};
grant select, insert, update on erasure_floor to {{service}};
