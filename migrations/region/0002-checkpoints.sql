-- Signed checkpoints of the chains that live here, and copies of other regions' newest ones. A checkpoint is never
-- replaced by an earlier one, nor by another of the same size: whoever may write here can add to what was signed, not
-- take it back.

-- What looks after all chains of a region reads across tenants, in transactions that say so. It concerns sizes, hashes
-- and signatures; no table that holds anything of an event has this policy.
create function across_tenants() returns boolean language sql stable parallel safe
  return coalesce(current_setting('app.across_tenants', true) = 'on', false);

-- The newest checkpoint of each chain.
create table checkpoint (
  workspace_id uuid primary key,
  company_id uuid not null,
  tree_size bigint not null check (tree_size >= 1),
  root_hash bytea not null check (length(root_hash) = 32),
  -- The C2SP signed note, byte for byte.
  note text not null,
  -- Ours, not covered by the signature.
  signed_at timestamptz(3) not null
);

-- One of each minute in which there were any: what a chain has to be consistent with for ever.
create table checkpoint_history (
  workspace_id uuid not null,
  company_id uuid not null,
  tree_size bigint not null check (tree_size >= 1),
  root_hash bytea not null check (length(root_hash) = 32),
  note text not null,
  signed_at timestamptz(3) not null,
  primary key (workspace_id, tree_size)
);

-- Copies of checkpoints of chains that live in another region, so that this one notices when that one is set back.
create table foreign_checkpoint (
  workspace_id uuid primary key,
  company_id uuid not null,
  home_region text not null check (home_region in ('AU', 'US', 'EU', 'APAC')),
  tree_size bigint not null check (tree_size >= 1),
  root_hash bytea not null check (length(root_hash) = 32),
  note text not null,
  signed_at timestamptz(3) not null
);
create index foreign_checkpoint_home on foreign_checkpoint (home_region, workspace_id);

create function refuse_checkpoint_rewind() returns trigger language plpgsql as $$
begin
  if tg_op <> 'UPDATE' then
    raise exception 'table % is append-only', tg_table_name using errcode = 'HY001';
  end if;
  if new.workspace_id <> old.workspace_id or new.company_id <> old.company_id or new.tree_size <= old.tree_size then
    raise exception 'a checkpoint only moves forward' using errcode = 'HY001';
  end if;
  return new;
end $$;
create trigger forward_only before update or delete on checkpoint for each row execute function refuse_checkpoint_rewind();
create trigger forward_only_truncate before truncate on checkpoint for each statement execute function refuse_rewrite();
create trigger forward_only before update or delete on foreign_checkpoint for each row execute function refuse_checkpoint_rewind();
create trigger forward_only_truncate before truncate on foreign_checkpoint for each statement execute function refuse_rewrite();
create trigger append_only before update or delete on checkpoint_history for each row execute function refuse_rewrite();
create trigger append_only_truncate before truncate on checkpoint_history for each statement execute function refuse_rewrite();
alter table checkpoint enable always trigger forward_only;
alter table checkpoint enable always trigger forward_only_truncate;
alter table foreign_checkpoint enable always trigger forward_only;
alter table foreign_checkpoint enable always trigger forward_only_truncate;
alter table checkpoint_history enable always trigger append_only;
alter table checkpoint_history enable always trigger append_only_truncate;

do $$
declare
  name text;
begin
  foreach name in array array['checkpoint', 'checkpoint_history', 'foreign_checkpoint'] loop
    execute format('alter table %I enable row level security', name);
    execute format('alter table %I force row level security', name);
    execute format('create policy tenant on %I using (company_id = any ((select visible_companies())::uuid[])) with check (company_id = any ((select visible_companies())::uuid[]))', name);
  end loop;
  foreach name in array array['chain_head', 'checkpoint', 'foreign_checkpoint'] loop
    execute format('create policy across_tenants on %I for select using ((select across_tenants()))', name);
  end loop;
end $$;

grant select, insert, update on checkpoint, foreign_checkpoint to {{service}};
grant select, insert on checkpoint_history to {{service}};
