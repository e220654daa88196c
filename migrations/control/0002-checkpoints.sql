-- The keys that sign checkpoints, and copies of the regions' newest checkpoints: a region that was set back to an old
-- state is behind its copy here.

create table signing_key (
  -- `<log name>/<region>`.
  name text not null,
  region text not null check (region in ('AU', 'US', 'EU', 'APAC')),
  -- Raw Ed25519.
  public_key bytea not null check (length(public_key) = 32),
  created_at timestamptz(3) not null,
  -- When another key of this name took over. It stays published: what it has signed remains signed.
  retired_at timestamptz(3),
  primary key (name, public_key)
);

create table checkpoint_copy (
  workspace_id uuid primary key,
  company_id uuid not null,
  home_region text not null check (home_region in ('AU', 'US', 'EU', 'APAC')),
  tree_size bigint not null check (tree_size >= 1),
  root_hash bytea not null check (length(root_hash) = 32),
  -- The C2SP signed note, byte for byte.
  note text not null,
  signed_at timestamptz(3) not null
);
create index checkpoint_copy_home on checkpoint_copy (home_region, workspace_id);

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
create trigger forward_only before update or delete on checkpoint_copy for each row execute function refuse_checkpoint_rewind();
create trigger forward_only_truncate before truncate on checkpoint_copy for each statement execute function refuse_checkpoint_rewind();
alter table checkpoint_copy enable always trigger forward_only;
alter table checkpoint_copy enable always trigger forward_only_truncate;

-- A published key is for ever; the one thing that happens to it is that it is retired, once.
create function refuse_signing_key_change() returns trigger language plpgsql as $$
begin
  if tg_op <> 'UPDATE' then
    raise exception 'table % is append-only', tg_table_name using errcode = 'HY001';
  end if;
  if (new.name, new.region, new.public_key, new.created_at) is distinct from (old.name, old.region, old.public_key, old.created_at)
    or old.retired_at is not null then
    raise exception 'a signing key is only ever retired' using errcode = 'HY001';
  end if;
  return new;
end $$;
create trigger retire_only before update or delete on signing_key for each row execute function refuse_signing_key_change();
create trigger retire_only_truncate before truncate on signing_key for each statement execute function refuse_signing_key_change();
-- Processes that hold the key's region tell its chains at once.
create trigger notify_fact after insert on signing_key for each row execute function notify_fact();
alter table signing_key enable always trigger retire_only;
alter table signing_key enable always trigger retire_only_truncate;

grant select, insert, update on signing_key, checkpoint_copy to {{service}};
