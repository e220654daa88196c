-- Exports of workspaces: what was asked for and how far it is. The events themselves are in a file on the region's side;
-- nothing here is of a person.

create table export_job (
  id uuid primary key,
  company_id uuid not null,
  workspace_id uuid not null,
  region text not null check (region in ('AU', 'US', 'EU', 'APAC')),
  format text not null check (format in ('NDJSON', 'CSV')),
  -- By when events were received; null: no bound.
  from_time timestamptz(3),
  to_time timestamptz(3),
  status text not null default 'QUEUED' check (status in ('QUEUED', 'RUNNING', 'DONE', 'FAILED', 'EXPIRED')),
  created_at timestamptz(3) not null,
  -- The snapshot: a signed checkpoint, and the stretch of the chain that is written. Fixed once, before the first line.
  tree_size bigint check (tree_size >= 0),
  note text,
  first_sequence bigint,
  last_sequence bigint,
  -- Everything up to here is on disk: a process that takes over goes on from it.
  rows_written bigint not null default 0,
  bytes_written bigint not null default 0,
  file_name text,
  -- Whoever holds the lease writes. Times of the database's own clock, which all processes share.
  lease_owner uuid,
  lease_until timestamptz,
  attempts integer not null default 0,
  failures integer not null default 0,
  sha256 bytea check (length(sha256) = 32),
  completed_at timestamptz(3),
  expires_at timestamptz(3),
  -- A stable sentence, never a database's.
  failure text,
  check (status <> 'DONE' or (sha256 is not null and file_name is not null and completed_at is not null and expires_at is not null)),
  foreign key (company_id, workspace_id) references workspace (company_id, id)
);
create index export_job_open on export_job (created_at) where status in ('QUEUED', 'RUNNING');
create index export_job_company on export_job (company_id, status);
create index export_job_expiry on export_job (expires_at) where status = 'DONE';

grant select, insert, update, delete on export_job to {{service}};
