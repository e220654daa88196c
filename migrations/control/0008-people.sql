-- Invitations can be taken back, and the admin log's chains are signed.

alter table invitation add column revoked_at timestamptz(3);

-- The control database's own key signs the chains of the admin log.
alter table signing_key drop constraint signing_key_region_check;
alter table signing_key add constraint signing_key_region_check check (region in ('AU', 'US', 'EU', 'APAC', 'CONTROL'));

-- The newest signed checkpoint of each chain of the admin log.
create table admin_checkpoint (
  chain_id uuid primary key references admin_chain (chain_id),
  tree_size bigint not null check (tree_size >= 1),
  root_hash bytea not null check (length(root_hash) = 32),
  -- The C2SP signed note, byte for byte.
  note text not null,
  signed_at timestamptz(3) not null,
  -- Roots of the perfect subtrees under the root, largest first: what the next checkpoint has to go on from.
  frontier bytea not null check (length(frontier) % 32 = 0)
);

create function refuse_admin_checkpoint_rewind() returns trigger language plpgsql as $$
begin
  if tg_op <> 'UPDATE' then
    raise exception 'table % is append-only', tg_table_name using errcode = 'HY001';
  end if;
  if new.chain_id <> old.chain_id or new.tree_size <= old.tree_size then
    raise exception 'a checkpoint only moves forward' using errcode = 'HY001';
  end if;
  return new;
end $$;
create trigger forward_only before update or delete on admin_checkpoint for each row execute function refuse_admin_checkpoint_rewind();
create trigger forward_only_truncate before truncate on admin_checkpoint for each statement execute function refuse_admin_rewrite();
alter table admin_checkpoint enable always trigger forward_only;
alter table admin_checkpoint enable always trigger forward_only_truncate;

grant select, insert, update on admin_checkpoint to {{service}};
