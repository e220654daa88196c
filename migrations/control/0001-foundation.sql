-- Control: who the tenants are, which keys they hold, where regions live, and where each event is to be found.
-- {{service}} is the role the service runs as: neither owner nor superuser.

create table company (
  id uuid primary key,
  name text not null check (length(name) between 1 and 200),
  slug text not null unique check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  data_region text not null check (data_region in ('AU', 'US', 'EU', 'APAC')),
  replicate_to text[] not null default '{}' check (replicate_to <@ array['AU', 'US', 'EU', 'APAC']),
  retention_days integer not null check (retention_days between 1 and 36500),
  -- Key of the equality tags (16-byte HMACs) of this company's identifiers, sealed under the control master key.
  tag_key_sealed bytea not null,
  created_at timestamptz(3) not null
);

create table workspace (
  id uuid primary key,
  company_id uuid not null references company (id),
  name text not null check (length(name) between 1 and 200),
  slug text not null check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  data_region text not null check (data_region in ('AU', 'US', 'EU', 'APAC')),
  -- Null: the company's.
  retention_days integer check (retention_days between 1 and 36500),
  status text not null default 'ACTIVE' check (status in ('ACTIVE', 'ARCHIVED')),
  created_at timestamptz(3) not null,
  unique (company_id, slug),
  unique (company_id, id)
);

create table project (
  id uuid primary key,
  company_id uuid not null,
  workspace_id uuid not null,
  name text not null check (length(name) between 1 and 200),
  slug text not null check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  created_at timestamptz(3) not null,
  unique (workspace_id, slug),
  foreign key (company_id, workspace_id) references workspace (company_id, id)
);

create table app_user (
  id uuid primary key,
  email text not null unique check (email = lower(email)),
  name text,
  -- PHC string of argon2id.
  password_hash text not null,
  staff_role text check (staff_role in ('SUPER_ADMIN', 'PRIVACY_ADMIN', 'SUPPORT_ADMIN', 'BILLING_ADMIN')),
  created_at timestamptz(3) not null
);

create table company_member (
  company_id uuid not null references company (id),
  user_id uuid not null references app_user (id),
  role text not null check (role in ('OWNER', 'ADMIN', 'MEMBER', 'VIEWER')),
  created_at timestamptz(3) not null,
  primary key (company_id, user_id)
);
create index on company_member (user_id);

create table api_key (
  id uuid primary key,
  company_id uuid not null references company (id),
  workspace_id uuid,
  name text not null check (length(name) between 1 and 200),
  -- The first characters of the key, to recognise it by; never enough to guess it.
  prefix text not null,
  -- HMAC-SHA-256 of the whole key under the server's pepper: the key itself is stored nowhere.
  secret_hmac bytea not null unique check (length(secret_hmac) = 32),
  scope text not null check (scope in ('COMPANY', 'WORKSPACE')),
  read_only boolean not null default false,
  ip_allowlist cidr[] not null default '{}',
  expires_at timestamptz(3),
  revoked_at timestamptz(3),
  last_used_at timestamptz(3),
  created_at timestamptz(3) not null,
  check ((scope = 'WORKSPACE') = (workspace_id is not null)),
  foreign key (company_id, workspace_id) references workspace (company_id, id)
);
create index on api_key (company_id);

create table region_data_store (
  region text primary key check (region in ('AU', 'US', 'EU', 'APAC')),
  -- Connection URLs, each sealed under the control master key.
  database_url_sealed bytea not null,
  owner_url_sealed bytea,
  read_only_url_sealed bytea,
  cold_storage_provider text not null check (cold_storage_provider in ('LOCAL', 'AWS', 'AZURE', 'GCP')),
  cold_storage_bucket text not null,
  updated_at timestamptz(3) not null
);

-- The global event index: enough to know that an event exists, where, and how many match a filter. No personal data:
-- identifiers are 16-byte HMAC tags under the company's key.
create table event_index (
  event_id uuid primary key,
  company_id uuid not null,
  workspace_id uuid not null,
  project_id uuid,
  region text not null,
  occurred_at timestamptz(3) not null,
  received_at timestamptz(3) not null,
  action text not null,
  category text not null,
  target_type text,
  actor_id_tag bytea,
  actor_email_tag bytea,
  target_id_tag bytea,
  trace_id_tag bytea
);
-- Tags of an erased subject must not live on in planner statistics.
alter table event_index
  alter column actor_id_tag set statistics 0,
  alter column actor_email_tag set statistics 0,
  alter column target_id_tag set statistics 0,
  alter column trace_id_tag set statistics 0;
create index event_index_time on event_index (workspace_id, occurred_at);
create index event_index_action on event_index (workspace_id, action, occurred_at);
create index event_index_category on event_index (workspace_id, category, occurred_at);
create index event_index_target_type on event_index (workspace_id, target_type, occurred_at) where target_type is not null;
create index event_index_project on event_index (workspace_id, project_id, occurred_at) where project_id is not null;
create index event_index_actor_id on event_index (workspace_id, actor_id_tag, occurred_at) where actor_id_tag is not null;
create index event_index_actor_email on event_index (workspace_id, actor_email_tag, occurred_at) where actor_email_tag is not null;
create index event_index_target_id on event_index (workspace_id, target_id_tag, occurred_at) where target_id_tag is not null;
create index event_index_trace_id on event_index (workspace_id, trace_id_tag, occurred_at) where trace_id_tag is not null;

-- Every change of what processes keep in memory is pushed to all of them, whichever way it was made.
create function notify_fact() returns trigger language plpgsql as $$
declare
  row_now jsonb := to_jsonb(coalesce(new, old));
begin
  perform pg_notify('hyrelog_facts', json_build_object(
    'table', tg_table_name,
    'id', coalesce(row_now ->> 'id', row_now ->> 'region'),
    'companyId', case when tg_table_name = 'company' then row_now ->> 'id' else row_now ->> 'company_id' end
  )::text);
  return null;
end $$;
create trigger notify_fact after insert or update or delete on company for each row execute function notify_fact();
create trigger notify_fact after insert or update or delete on workspace for each row execute function notify_fact();
create trigger notify_fact after insert or update or delete on project for each row execute function notify_fact();
create trigger notify_fact after insert or delete or update of company_id, workspace_id, secret_hmac, scope, read_only, ip_allowlist, expires_at, revoked_at
  on api_key for each row execute function notify_fact();
create trigger notify_fact after insert or update or delete on region_data_store for each row execute function notify_fact();

grant select, insert, update on company, workspace, project, app_user, api_key, region_data_store to {{service}};
grant select, insert, update, delete on company_member to {{service}};
grant select, insert on event_index to {{service}};
