-- People: dashboard sessions, second factors, invitations, workspace membership, and the hash-chained log of what
-- administrators do.

-- The id in the cookie is 256 random bits, stored hashed: who reads this table can't sign in with it.
create table session (
  id uuid primary key,
  user_id uuid not null references app_user (id),
  token_hash bytea not null unique check (length(token_hash) = 32),
  -- The id before the last change of id: requests that were under way with it still count for a few seconds.
  previous_token_hash bytea unique check (length(previous_token_hash) = 32),
  previous_until timestamptz(3),
  -- Something about the user's rights changed: the next request gets a new id.
  renew_due boolean not null default false,
  created_at timestamptz(3) not null,
  last_seen_at timestamptz(3) not null,
  -- Absolute end, however busy the session is.
  expires_at timestamptz(3) not null
);
create index on session (user_id);
create index on session (expires_at);

-- Second factor (RFC 6238): the secret sealed under the control master key; unconfirmed until a first code was shown.
create table totp_secret (
  user_id uuid primary key references app_user (id),
  secret_sealed bytea not null,
  confirmed_at timestamptz(3),
  -- The time step of the last code that was taken: no code counts twice.
  last_step bigint not null default 0,
  created_at timestamptz(3) not null
);

-- Attempts to sign in, counted per account and per address in windows. The bucket is an HMAC: whose account was tried
-- is not to be read here.
create table sign_in_attempt (
  bucket bytea primary key check (length(bucket) = 32),
  attempts integer not null,
  window_ends_at timestamptz(3) not null
);
create index on sign_in_attempt (window_ends_at);

-- Which workspaces a MEMBER or VIEWER sees; an OWNER or ADMIN sees all.
create table workspace_member (
  company_id uuid not null,
  workspace_id uuid not null,
  user_id uuid not null,
  created_at timestamptz(3) not null,
  primary key (workspace_id, user_id),
  foreign key (company_id, user_id) references company_member (company_id, user_id) on delete cascade,
  foreign key (company_id, workspace_id) references workspace (company_id, id)
);
create index on workspace_member (company_id, user_id);

create table invitation (
  id uuid primary key,
  company_id uuid not null references company (id),
  email text not null check (email = lower(email)),
  role text not null check (role in ('OWNER', 'ADMIN', 'MEMBER', 'VIEWER')),
  workspace_ids uuid[] not null default '{}',
  token_hash bytea not null unique check (length(token_hash) = 32),
  invited_by uuid not null references app_user (id),
  created_at timestamptz(3) not null,
  expires_at timestamptz(3) not null,
  accepted_at timestamptz(3),
  accepted_by uuid references app_user (id)
);
-- A new invitation of the same address takes the place of the one that is open.
create unique index invitation_open on invitation (company_id, email) where accepted_at is null;

-- The key that took this one's place: a key is rotated once.
alter table api_key add column replaced_by uuid references api_key (id);

-- The admin log: ledger format HL1, region CONTROL. One chain per company, whose id is the company's, and one with the
-- nil UUID for what concerns no company.
create table admin_chain (
  chain_id uuid primary key,
  term integer not null default 1 check (term >= 1),
  sequence bigint not null default 0 check (sequence >= 0),
  hash bytea not null default '\x0000000000000000000000000000000000000000000000000000000000000000' check (length(hash) = 32),
  frontier bytea not null default '' check (length(frontier) % 32 = 0),
  updated_at timestamptz(3) not null default now()
);
create table admin_event (
  chain_id uuid not null references admin_chain (chain_id),
  sequence bigint not null check (sequence >= 1),
  id uuid not null unique,
  term integer not null,
  -- The ledger body, byte for byte; the columns beside it repeat its members so that they can be listed.
  body bytea not null,
  prev_hash bytea not null check (length(prev_hash) = 32),
  hash bytea not null check (length(hash) = 32),
  occurred_at timestamptz(3) not null,
  action text not null,
  category text not null,
  target_type text,
  -- JCS of [[path, value, salt as hex], …]: what the digests in the body stand for. Ids of dashboard accounts, never
  -- personal data of anybody an event is about.
  disclosures bytea not null,
  primary key (chain_id, sequence)
);
create index admin_event_time on admin_event (chain_id, occurred_at, id);

create function refuse_admin_rewrite() returns trigger language plpgsql as $$
begin
  raise exception 'table % is append-only', tg_table_name using errcode = 'HY001';
end $$;
create trigger append_only before update or delete on admin_event for each row execute function refuse_admin_rewrite();
create trigger append_only_truncate before truncate on admin_event for each statement execute function refuse_admin_rewrite();
alter table admin_event enable always trigger append_only;
alter table admin_event enable always trigger append_only_truncate;

create function refuse_admin_rewind() returns trigger language plpgsql as $$
begin
  if tg_op <> 'UPDATE' then
    raise exception 'table % is append-only', tg_table_name using errcode = 'HY001';
  end if;
  if new.chain_id <> old.chain_id or new.sequence < old.sequence or new.term < old.term then
    raise exception 'a chain head only moves forward' using errcode = 'HY001';
  end if;
  return new;
end $$;
create trigger forward_only before update or delete on admin_chain for each row execute function refuse_admin_rewind();
create trigger forward_only_truncate before truncate on admin_chain for each statement execute function refuse_admin_rewrite();
alter table admin_chain enable always trigger forward_only;
alter table admin_chain enable always trigger forward_only_truncate;

grant select, insert, update, delete on session, totp_secret, sign_in_attempt, workspace_member to {{service}};
grant select, insert, update on invitation, admin_chain to {{service}};
grant select, insert on admin_event to {{service}};
